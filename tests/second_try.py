"""`--second-try`: the files of tests that have failed run once more, by themselves. What passes then counts as passed, and is named.

A plugin that repeats single tests would repeat them on nodes and fixtures that the first try has left: these are of files here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

# More is no chance, and takes too long.
MOST_FILES = 3
FAILED = ("failed", "error")


def name_of(nodeid: str) -> str:
    """The name of a test without the group that xdist appends."""
    return re.sub(r"@[\w-]+$", "", nodeid)


def file_of(nodeid: str) -> str:
    """The file of a test."""
    return nodeid.partition("::")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--second-try", action="store_true", help="run the files of failed tests once more")


def pytest_configure(config: pytest.Config) -> None:
    """In the process that counts."""
    if config.getoption("--second-try") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondTry(config))


class SecondTry:
    """Changes what the run has counted: the reports of the second try take the place of the first ones."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.passed_then: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        """After the whole run, before its result is known."""
        result = yield
        stats = self._reporter.stats
        failed = {name_of(report.nodeid) for kind in FAILED for report in stats.get(kind, [])}
        files = sorted({file_of(name) for name in failed})
        if files and len(files) <= MOST_FILES and all("::" in name for name in failed):
            self._say(f"second try: {' '.join(files)}")
            if reports := self._run(files):
                replace(stats, files, ((self._kind(each), each) for each in reports))
                session.testsfailed = sum(len(stats.get(kind, [])) for kind in FAILED)
                still = {name_of(report.nodeid) for kind in FAILED for report in stats.get(kind, [])}
                self.passed_then = sorted(failed - still)
        elif files:
            self._say(f"no second try: tests of {len(files)} files failed, and at most {MOST_FILES} run again")
        return result

    def pytest_terminal_summary(self) -> None:
        """Names what has passed only then."""
        for name in self.passed_then:
            self._reporter.write_line(f"passed at the second try: {name}")

    @property
    def _reporter(self) -> Any:
        return self.config.pluginmanager.get_plugin("terminalreporter")

    def _say(self, text: str) -> None:
        self._reporter.ensure_newline()
        self._reporter.write_line(text)

    def _kind(self, report: Any) -> str:
        kind: str = self.config.hook.pytest_report_teststatus(report=report, config=self.config)[0]
        return kind

    def _run(self, files: list[str]) -> list[Any]:
        """The reports of these files' tests, run by themselves; none where not all of them came to an end."""
        # Which has the option: there is no third try.
        environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "reports.jsonl")
            command = [sys.executable, "-m", "pytest", *files, "-m", self.config.option.markexpr, "-n", "0"]
            subprocess.run(
                [*command, f"--report-log={log}"],
                cwd=self.config.rootpath,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        if not any("exitstatus" in line for line in lines):
            return []
        return [
            self.config.hook.pytest_report_from_serializable(config=self.config, data=line)
            for line in lines
            if line.get("$report_type") == "TestReport"
        ]


def replace(stats: dict[str, list[Any]], files: list[str], reports: Iterable[tuple[str, Any]]) -> None:
    """In place of what is counted of the tests of these files, these (kind, report)."""
    for counted in stats.values():
        counted[:] = [each for each in counted if file_of(getattr(each, "nodeid", None) or "") not in files]
    for kind, report in reports:
        stats.setdefault(kind, []).append(report)
