"""Debian's Chromium, headless, as tests look at pages with it. It is driven through chromedriver; nothing is downloaded."""

from __future__ import annotations

import base64
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.nodes import ROOT

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
# Outside of git: what people may want to look at after a run.
ARTIFACTS = ROOT / "build" / "artifacts"
ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PHONE, WIDE = 360, 1280
# A4 at 96 dpi, without margins of 1 cm.
PAPER = 718


def why_not() -> str:
    """Why there is no browser, or an empty string."""
    missing = [str(each) for each in (CHROMIUM, DRIVER) if not each.exists()]
    return (
        f"{' and '.join(missing)} missing: apt-get install chromium chromium-driver, or toolchain/browser"
        if missing
        else ""
    )


@dataclass
class Browser:
    """An open browser with one page."""

    driver: Any

    def open(self, page: Path) -> None:
        """Opens a file, and forgets what was logged before."""
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.driver.get(page.as_uri())

    def complaints(self) -> list[str]:
        """What stands on the console since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """The addresses that were asked for since the page was opened."""
        logged = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [each["params"]["request"]["url"] for each in logged if each["method"] == "Network.requestWillBeSent"]

    def show(self, width: int, *, dark: bool = False, printed: bool = False) -> None:
        """Shows the page this many pixels wide, as a phone does below 600; in a dark room; on paper."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = {"media": "print" if printed else "screen", "features": [scheme]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def says(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        return self.driver.execute_script(f"return {expression}")

    @property
    def text(self) -> str:
        """What is visible as text."""
        return " ".join(str(self.says("document.body.innerText")).split())

    def keep(self, name: str) -> Path:
        """A picture of the whole page, kept as an artifact."""
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        return _kept(f"{name}.png", taken["data"])

    def keep_as_pdf(self, name: str) -> Path:
        """The page on A4, kept as an artifact."""
        sides = dict.fromkeys(("marginTop", "marginBottom", "marginLeft", "marginRight"), 0.39)
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, **sides, "printBackground": True}
        return _kept(f"{name}.pdf", self.driver.execute_cdp_cmd("Page.printToPDF", paper)["data"])


def _kept(name: str, data: str) -> Path:
    path = ARTIFACTS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(data))
    print(f"kept {path}")
    return path


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own, closed and forgotten afterwards."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with TemporaryDirectory(prefix="nova-infra-browser-") as profile:
        # Chromium has no sandbox for root.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        for argument in (*ARGUMENTS, *sandbox, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        driver = Chrome(options=options, service=Service(str(DRIVER)))
        try:
            yield Browser(driver)
        finally:
            driver.quit()
