"""The drift report's page in a real browser: on a desk, on a phone, in the dark and on paper. Needs Chromium, no lab and no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from nova_infra.drift.page import as_page
from nova_infra.drift.report import Report
from tests import reports
from tests.browser import PAPER, PHONE, WIDE, Browser
from tests.unit.test_drift import HOSTILE, hostile

# The ratio of WCAG 2 (AA) for text of any size, of each status on what is behind it.
CONTRAST = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = text => rgb(text).slice(0, 3).map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = node => { const back = rgb(getComputedStyle(node).backgroundColor);
    return back.length == 4 && back[3] == 0 ? behind(node.parentElement) : getComputedStyle(node).backgroundColor; };
  const ratio = node => { const [a, b] = [light(getComputedStyle(node).color), light(behind(node))].sort((x, y) => y - x);
    return (a + .05) / (b + .05); };
  return [...document.querySelectorAll('h1, h2, h3, p, .status, .quiet, .name, td, code, .tile li')].map(ratio);
})()"""
OVERFLOWING = """[...document.querySelectorAll('body *')].filter(each => each.getBoundingClientRect().right > innerWidth + 1 && each.tagName != 'use'
  && !each.closest('thead')).map(each => each.outerHTML.slice(0, 80))"""


def opened(browser: Browser, report: Report, folder: Path) -> Report:
    page = folder / "drift.html"
    page.write_text(as_page(report), encoding="utf-8")
    browser.open(page)
    return report


def assert_all_is_said(browser: Browser, report: Report) -> None:
    """Every place, and every property that has drifted with both values."""
    text = browser.text
    for place in report.places:
        assert place.name in text
    for resource in report.resources:
        assert resource.name in text
        assert resource.sentence in text
        for difference in resource.differences:
            assert all(each in text for each in (difference.path, difference.recorded, difference.found))


@pytest.fixture(params=["small", "fleet"])
def report(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Report:
    return opened(browser, getattr(reports, request.param)(), tmp_path)


def test_it_says_all_at_every_width_and_nothing_is_beyond_the_edge(browser: Browser, report: Report) -> None:
    name = f"drift/{'small' if len(report.resources) < 50 else 'fleet'}"
    for width, dark in ((WIDE, False), (PHONE, False), (PHONE, True)):
        browser.show(width, dark=dark)
        assert browser.says("document.documentElement.scrollWidth") <= width
        assert browser.says(OVERFLOWING) == []
        assert_all_is_said(browser, report)
        assert min(browser.says(CONTRAST)) >= 4.5, f"{width} {dark}"
        browser.keep(f"{name}-{width}{'-dark' if dark else ''}")
    browser.show(PAPER, dark=True, printed=True)
    assert browser.says("document.documentElement.scrollWidth") <= PAPER
    assert browser.says(OVERFLOWING) == []
    assert browser.says("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert_all_is_said(browser, report)
    assert browser.keep_as_pdf(name).read_bytes().startswith(b"%PDF")
    assert browser.requests() == [browser.driver.current_url]
    assert browser.complaints() == []


def test_what_is_drawn_is_drawn(browser: Browser, tmp_path: Path) -> None:
    opened(browser, reports.small(), tmp_path)
    browser.show(WIDE)
    sizes = browser.says("[...document.querySelectorAll('.icon')].map(each => each.getBoundingClientRect().width)")
    assert len(sizes) > 10
    assert min(sizes) > 10
    shapes = browser.says(
        "new Set([...document.querySelectorAll('.tile')].map(each => getComputedStyle(each).borderLeftStyle)).size"
    )
    assert shapes >= 2


def test_what_a_machine_says_is_text_in_a_browser_too(browser: Browser, tmp_path: Path) -> None:
    opened(browser, hostile(), tmp_path)
    browser.show(PHONE)
    assert "<script>alert(1)</script>" in browser.text
    assert browser.says("document.scripts.length") == 0
    assert browser.says("document.documentElement.scrollWidth") <= PHONE
    assert "{{ 7*7 }}" in HOSTILE
    assert "{{ 7*7 }}" in browser.text
    assert browser.complaints() == []
