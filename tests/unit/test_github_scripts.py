"""The scripts that write to GitHub, against a small server on the loopback address that plays its endpoints."""

from __future__ import annotations

import importlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from nova_infra.plan.comment import Circumstances, comment, comment_without_file, marker
from nova_infra.plan.reading import Plan
from tests.browser import ARTIFACTS
from tests.nodes import ROOT
from tests.plans import CASES

from .serving import serving

SCRIPTS = ROOT / ".github" / "scripts"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
BOT, SOMEBODY = {"type": "Bot", "login": "github-actions[bot]"}, {"type": "User", "login": "somebody"}
ANOTHER_BOT = {"type": "Bot", "login": "renovate[bot]"}
PAGE = 2
# Python without any package: a run may break before they are installed.
ALONE = (sys.executable, "-E", "-S")


class GitHub:
    """Comments, issues and pull requests of one repository; lists come in pages."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {"issues/7/comments": [], "issues": [], "pulls": []}
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.refuses = 0
        self.not_now = 0
        """So many times it cannot answer."""
        self.moved_to = ""
        self.sent_in_vain = 0
        github = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def answer(self, status: int, value: object, **headers: str) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                github.asked.append(query)
                if github.not_now:
                    github.not_now -= 1
                    self.answer(502, {"message": "Bad gateway"})
                    return
                if github.moved_to:
                    self.answer(301, {"message": "Moved Permanently"}, Location=github.moved_to)
                    return
                page = int(query.get("page", ["1"])[-1])
                items = github.lists[url.path.removeprefix("/repos/owner/name/")]
                headers = {}
                if len(items) > page * PAGE:
                    headers["Link"] = f'<{github.url}{url.path}?{url.query}&page={page + 1}>; rel="next"'
                self.answer(200, items[(page - 1) * PAGE : page * PAGE], **headers)

            def written(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["Authorization"] != "Bearer the token":
                    self.answer(401, {"message": "Bad credentials"})
                    return
                if github.refuses:
                    github.sent_in_vain += 1
                    self.answer(github.refuses, {"message": "Resource not accessible by integration"})
                    return
                github.sent.append((self.command, self.path.removeprefix("/repos/owner/name/"), fields))
                self.answer(200, {})

            do_POST = do_PATCH = written  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a workflow gives its scripts."""
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "owner/name",
            "GITHUB_TOKEN": "the token",
            "RUN_URL": "https://example.org/runs/1",
        }

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*ALONE, str(SCRIPTS / script), *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def github() -> Iterator[GitHub]:
    made = GitHub()
    with serving(made.server):
        yield made


# ------------------------------------------------------------ comments

MARKER = marker("staging")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "comment.md"
    file.write_text(f"{MARKER}\n\nnew\n")
    return file


def a_comment(number: int, body: str, user: dict[str, str] = BOT) -> dict[str, Any]:
    return {"id": number, "body": body, "user": user}


def test_the_first_comment_of_an_environment_is_made(github: GitHub, text: Path) -> None:
    github.lists["issues/7/comments"] = [a_comment(1, "<!-- nova-infra: preview of production -->\r\n\r\nold")]
    assert github.run("post-comment", "7", str(text)).returncode == 0
    assert github.sent == [("POST", "issues/7/comments", {"body": text.read_text()})]


def test_the_next_one_takes_its_place_wherever_it_stands(github: GitHub, text: Path) -> None:
    others = [a_comment(number, "hello", SOMEBODY) for number in range(5)]
    github.lists["issues/7/comments"] = [*others, a_comment(8, f"{MARKER}\r\n\r\nold")]
    assert github.run("post-comment", "7", str(text)).returncode == 0
    assert github.sent == [("PATCH", "issues/comments/8", {"body": text.read_text()})]
    assert len(github.asked) == 3


def test_the_same_again_is_not_written(github: GitHub, text: Path) -> None:
    github.lists["issues/7/comments"] = [a_comment(8, f"{MARKER}\r\n\r\nnew")]
    assert github.run("post-comment", "7", str(text)).returncode == 0
    assert github.sent == []


@pytest.mark.parametrize("user", [SOMEBODY, ANOTHER_BOT])
def test_what_somebody_has_written_with_our_first_line_is_not_ours(
    github: GitHub, text: Path, user: dict[str, str]
) -> None:
    github.lists["issues/7/comments"] = [a_comment(8, f"{MARKER}\r\nmine", user)]
    assert github.run("post-comment", "7", str(text)).returncode == 0
    assert [method for method, _, _ in github.sent] == ["POST"]


COMMIT = f"{1:040d}"


def test_a_comment_of_a_stack_that_is_touched_no_more_says_so(github: GitHub) -> None:
    plan = comment(Plan((), 15, refreshed=False), "staging")
    github.lists["issues/7/comments"] = [
        a_comment(1, "hello", SOMEBODY),
        a_comment(2, plan.replace("\n", "\r\n")),
        a_comment(3, f"{marker('production')}\r\n\r\nold"),
        a_comment(4, plan, SOMEBODY),
        a_comment(5, "<!-- nova-infra: drift of staging -->"),
    ]
    assert github.run("retire-comments", "7", COMMIT, "production").returncode == 0
    ((method, path, fields),) = github.sent
    assert (method, path) == ("PATCH", "issues/comments/2")
    assert fields["body"].startswith(f"{marker('staging')}\n")
    assert COMMIT in fields["body"]
    assert "No changes" not in fields["body"]


def test_where_every_stack_with_a_comment_is_touched_nothing_is_written(github: GitHub) -> None:
    github.lists["issues/7/comments"] = [a_comment(3, marker("staging"))]
    assert github.run("retire-comments", "7", COMMIT, "production", "staging").returncode == 0
    assert github.sent == []


def from_a_fork(github: GitHub, folder: Path, conclusion: str) -> None:
    command = [str(SCRIPTS / "comment-on-fork"), "7", str(folder), COMMIT, conclusion]
    bin_ = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        env={**os.environ, **github.environment, "PATH": bin_},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("conclusion", "written"), [("success", 1), ("failure", 0)])
def test_a_fork_that_touches_a_stack_no_more_has_left_no_plan_and_its_run_is_green(
    github: GitHub, tmp_path: Path, conclusion: str, written: int
) -> None:
    github.lists["issues/7/comments"] = [a_comment(2, f"{MARKER}\n\nold")]
    from_a_fork(github, tmp_path, conclusion)
    assert len(github.sent) == written


def test_a_fork_that_removes_a_stack_gets_the_comment_of_a_branch_of_our_own(github: GitHub, tmp_path: Path) -> None:
    (tmp_path / "preview-staging").mkdir()
    (tmp_path / "preview-staging" / "without-file").touch()
    from_a_fork(github, tmp_path, "success")
    own = comment_without_file("staging", Circumstances(commit=COMMIT, link=github.environment["RUN_URL"]))
    assert github.sent == [("POST", "issues/7/comments", {"body": own})]


def left_by_a_fork(folder: Path, *names: str) -> None:
    """What the run of a fork has left: a folder each that says that the stack's file is gone, for which no plan is needed."""
    for name in names:
        (folder / f"preview-{name}").mkdir()
        (folder / f"preview-{name}" / "without-file").touch()


def test_a_stack_that_only_the_fork_has_gets_a_comment(github: GitHub, tmp_path: Path) -> None:
    plan = CASES / "nodes.json"
    (tmp_path / "preview-new.stack_1").mkdir()
    for name in ("base.json", "head.json"):
        shutil.copy(plan, tmp_path / "preview-new.stack_1" / name)
    (tmp_path / "preview-new.stack_1" / "plan.log").touch()
    from_a_fork(github, tmp_path, "success")
    ((method, _, fields),) = github.sent
    assert method == "POST"
    assert fields["body"].startswith(f"{marker('new.stack_1')}\n")


# What `python` is asked for, in the place of it: to start the real one sixty times takes a minute.
A_PYTHON = """#!/bin/sh
case $* in
"-m nova_infra comment "*) echo "comment: $*" ;;
*post-comment*) echo "post $2 $(basename "$3")"; cat "$3" ;;
*retire-comments*) echo "touched: $*" ;;
esac
"""


def told(folder: Path, *names: str) -> list[str]:
    """What the script that comments on a fork asks for, where these stacks are left by its run."""
    (folder / "out").mkdir(exist_ok=True)
    left_by_a_fork(folder / "out", *names)
    (folder / "python").write_text(A_PYTHON)
    (folder / "python").chmod(0o755)
    command = [str(SCRIPTS / "comment-on-fork"), "7", str(folder / "out"), COMMIT, "success"]
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "RUN_URL": "https://example.org/runs/1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return [line for line in done.stdout.splitlines() if line]


def test_what_is_no_name_of_a_stack_gets_no_comment(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "preview-a-file").touch()
    lines = told(tmp_path, "", "a stack", "$(id)", "ä", "a'b", "x" * 101, "-x", "x" * 100)
    posted = [line for line in lines if line.startswith("post")]
    assert sorted(posted) == sorted(["post 7 comment--x.md", f"post 7 comment-{'x' * 100}.md"])
    # The name is a value also where it looks like an option.
    assert [line.split("--environment=")[1].split()[0] for line in lines if line.startswith("comment:")] == [
        "-x",
        "x" * 100,
    ]


@pytest.mark.parametrize("left_out", [0, 3])
def test_a_fork_gets_twenty_comments_and_the_last_one_says_how_many_stacks_have_none(
    tmp_path: Path, left_out: int
) -> None:
    names = [f"s{each:02d}" for each in range(1, 21 + left_out)]
    *comments, touched = told(tmp_path, *names)
    posted = [number for number, line in enumerate(comments) if line.startswith("post")]
    assert [comments[number] for number in posted] == [f"post 7 comment-{each}.md" for each in names[:20]]
    assert comments[-1].endswith(f"Without one: {left_out}.") == bool(left_out)
    assert "Without one" not in "".join(comments[: posted[-1]])
    # A comment of an earlier push on one that is left out is not said to be of a stack that is touched no more.
    assert touched.split()[4:] == names


def test_all_that_the_preview_of_a_fork_leaves_for_its_comment_is_kept() -> None:
    (job,) = [job for workflow, name, job, _ in jobs() if (workflow, name) == ("preview", "preview-without-secrets")]
    (kept,) = [step["with"]["path"] for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    read = re.findall(r"\$made/([a-z.-]+)", (SCRIPTS / "comment-on-fork").read_text())
    assert set(kept.split()) == {f"out/{name}" for name in read}


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "`permissions`"), (404, "`permissions`"), (410, "Switch issues on"), (422, "")]
)
def test_what_github_refuses_is_said_with_what_to_do_and_without_the_token(
    github: GitHub, text: Path, status: int, advice: str
) -> None:
    github.refuses = status
    done = github.run("post-comment", "7", str(text))
    assert done.returncode == 1
    assert f"GitHub says {status}" in done.stderr
    assert "not accessible" in done.stderr
    assert advice in done.stderr
    assert ("permissions" in done.stderr) == ("permissions" in advice)
    assert "Traceback" not in done.stderr
    assert "the token" not in done.stderr


def test_what_github_cannot_answer_just_now_is_asked_again(
    github: GitHub, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.not_now = 2
    for name, value in github.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    paused: list[float] = []
    monkeypatch.setattr(importlib.import_module("github_api"), "time", SimpleNamespace(sleep=paused.append))
    monkeypatch.setattr(sys, "argv", ["post-comment", "7", str(text)])
    runpy.run_path(str(SCRIPTS / "post-comment"), run_name="__main__")
    assert [method for method, _, _ in github.sent] == ["POST"]
    assert paused == [1, 2]


def test_what_changes_something_is_sent_once(github: GitHub, text: Path) -> None:
    github.refuses = 502
    done = github.run("post-comment", "7", str(text))
    assert "GitHub says 502" in done.stderr
    assert "Run the job again." in done.stderr
    assert github.sent_in_vain == 1


def test_an_answer_that_sends_us_elsewhere_does_not_get_the_token(github: GitHub, text: Path) -> None:
    github.moved_to = f"{github.url}/repos/owner/name/pulls"
    done = github.run("post-comment", "7", str(text))
    assert "GitHub says 301" in done.stderr
    assert len(github.asked) == 1


def test_the_pull_request_of_a_fork_is_found_by_what_github_says_of_the_run(github: GitHub) -> None:
    github.lists["pulls"] = [{"number": number, "head": {"sha": f"{number:040d}"}} for number in (3, 4, 5)]
    done = github.run("fork-pull-request", "stranger", "a-branch", f"{5:040d}")
    assert done.stdout == "5\n"
    assert github.asked[0]["head"] == ["stranger:a-branch"]
    # Another push came meanwhile: its own run comments.
    assert github.run("fork-pull-request", "stranger", "a-branch", f"{6:040d}").stdout == "\n"


# ------------------------------------------------------------ the issue of the night


def an_issue(number: int, stack: str, user: dict[str, str] = BOT, **more: Any) -> dict[str, Any]:
    return {"number": number, "user": user, "body": f"<!-- nova-infra: drift of {stack} -->\r\n\r\nold", **more}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "report.txt"
    file.write_text("| compute1 | drifted | verbose: True => False |\n```\n")
    return file


OTHERS = [
    an_issue(1, "production"),
    an_issue(2, "staging", SOMEBODY),
    an_issue(3, "staging", pull_request={}),
    {"number": 4, "user": BOT, "body": None},
]


def test_an_issue_is_opened_when_a_stack_has_drifted(github: GitHub, report: Path) -> None:
    github.lists["issues"] = OTHERS
    assert github.run("drift-issue", "staging", "2", str(report)).returncode == 0
    ((method, path, fields),) = github.sent
    assert (method, path) == ("POST", "issues")
    assert fields["labels"] == ["drift"]
    assert fields["title"] == "staging: the machines differ from the stack"
    assert fields["body"].startswith("<!-- nova-infra: drift of staging -->\n")
    assert report.read_text().rstrip() in fields["body"]
    # The report cannot end the block that it stands in.
    assert fields["body"].count("````") == 2
    assert "https://example.org/runs/1" in fields["body"]
    assert github.asked[0]["state"] == ["open"]


@pytest.mark.parametrize(
    ("code", "title"),
    [("2", "differ from the stack"), ("3", "not everything can be reached"), ("1", "could not be made")],
)
def test_the_issue_that_is_open_is_kept_up_to_date(github: GitHub, report: Path, code: str, title: str) -> None:
    github.lists["issues"] = [*OTHERS, an_issue(5, "staging")]
    assert github.run("drift-issue", "staging", code, str(report)).returncode == 0
    ((method, path, fields),) = github.sent
    assert (method, path) == ("PATCH", "issues/5")
    assert title in fields["title"]
    assert "state" not in fields


def test_the_issue_is_closed_when_all_is_in_order(github: GitHub, report: Path) -> None:
    github.lists["issues"] = [*OTHERS, an_issue(5, "staging")]
    assert github.run("drift-issue", "staging", "0", str(report)).returncode == 0
    assert [(method, path) for method, path, _ in github.sent] == [("POST", "issues/5/comments"), ("PATCH", "issues/5")]
    assert github.sent[1][2] == {"state": "closed", "state_reason": "completed"}


def test_a_night_in_order_writes_nothing(github: GitHub, report: Path) -> None:
    github.lists["issues"] = OTHERS
    assert github.run("drift-issue", "staging", "0", str(report)).returncode == 0
    assert github.sent == []


def test_a_report_that_is_too_long_for_an_issue_is_cut(github: GitHub, report: Path) -> None:
    report.write_text("ä line\n" * 20_000)
    assert github.run("drift-issue", "staging", "2", str(report)).returncode == 0
    body = github.sent[0][2]["body"]
    assert len(body.encode()) < 65_536
    assert "does not fit here" in body


@pytest.mark.parametrize(("code", "title"), [("", "could not be made"), ("2", "differ from the stack")])
def test_a_night_that_broke_before_its_report_opens_an_issue_too(
    github: GitHub, tmp_path: Path, code: str, title: str
) -> None:
    step = the_step("drift", "drift", "drift-issue")
    assert step["if"] == "${{ !cancelled() }}"
    # One that hangs breaks while its job still has time; a job that runs out of it is cancelled.
    (job,) = [job for workflow, _, job, _ in jobs() if workflow == "drift"]
    assert the_step("drift", "drift", "drift")["timeout-minutes"] <= job["timeout-minutes"] - 10
    if code:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "code").write_text(f"{code}\n")
        (tmp_path / "out" / "report.txt").write_text("verbose: True => False\n")
    run_step(step, tmp_path, **github.environment, STACK="staging")
    ((_, _, fields),) = github.sent
    assert title in fields["title"]
    assert ("broke before there was a report" in fields["body"]) == (not code)


def test_a_night_in_which_no_package_could_be_installed_opens_an_issue(github: GitHub, tmp_path: Path) -> None:
    for name in ("python", "python3"):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {" ".join(ALONE)} "$@"\n')
        (tmp_path / name).chmod(0o755)
    without = subprocess.run(
        [tmp_path / "python", "-c", "import requests"], capture_output=True, text=True, check=False
    )
    assert "ModuleNotFoundError" in without.stderr
    step = the_step("drift", "drift", "drift-issue")
    run_step(step, tmp_path, tmp_path, **github.environment, STACK="staging")
    ((method, path, fields),) = github.sent
    assert (method, path) == ("POST", "issues")
    assert "could not be made" in fields["title"]


# ------------------------------------------------------------ which stacks a change touches


def the_step(workflow: str, job: str, script: str) -> dict[str, Any]:
    """The step of a job that runs this script."""
    (steps,) = [each["steps"] for file, name, each, _ in jobs() if (file, name) == (workflow, job)]
    (step,) = [step for step in steps if f".github/scripts/{script} " in step.get("run", "")]
    return dict(step)


def run_step(
    step: dict[str, Any], folder: Path, python: Path = Path(sys.executable).parent, **environment: str
) -> None:
    """What a runner does with the shell of a step: in the folder of the checkout, with python on PATH."""
    if not (folder / ".github").exists():
        (folder / ".github").symlink_to(ROOT / ".github")
    path = f"{python}:{os.environ['PATH']}"
    command = ["bash", "-e", "-c", step["run"]]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment, "PATH": path}, timeout=60, check=True)


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for name in (
        "stacks/Pulumi.lab.yaml",
        "stacks/Pulumi.staging.yaml",
        "stacks/Pulumi.production.yaml",
        "docs/a page.md",
        "nova_infra/x.py",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a line\n")
    git(folder.parent, "init", "-q", str(folder))
    for key, value in (("user.name", "Somebody"), ("user.email", "somebody@example.org")):
        git(folder, "config", key, value)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    return folder


@pytest.mark.parametrize(
    ("files", "stacks"),
    [
        (["stacks/Pulumi.staging.yaml"], ["staging"]),
        (["stacks/Pulumi.staging.yaml", "stacks/Pulumi.production.yaml"], ["production", "staging"]),
        (["stacks/Pulumi.lab.yaml"], []),
        (["stacks/Pulumi.new.yaml"], ["new"]),
        (["nova_infra/x.py"], ["production", "staging"]),
        (["templates/juno/controller/nova.conf"], ["production", "staging"]),
        (["__main__.py"], ["production", "staging"]),
        (["requirements.txt"], ["production", "staging"]),
        (["docs/a page.md", "tests/nova_infra/x.py", "README.md"], []),
    ],
)
def test_a_change_touches_these_stacks(repository: Path, files: list[str], stacks: list[str]) -> None:
    for name in files:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("another line\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "head")
    assert touched(repository) == stacks


def touched(repository: Path) -> list[str]:
    command = [sys.executable, str(SCRIPTS / "touched-stacks"), "HEAD~1", "HEAD", "--except", "lab"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def test_a_file_that_stacks_name_touches_these(repository: Path) -> None:
    hosts = repository / "stacks" / "known_hosts"
    hosts.write_text("one\n")
    names = "config:\n  nova:ssh: { known_hosts_file: stacks/known_hosts }\n"
    (repository / "stacks" / "Pulumi.production.yaml").write_text(names)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "base")
    for change in ("two\n", None):
        hosts.write_text(change) if change else hosts.unlink()
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "head")
        assert touched(repository) == ["production"]


NAMING = """# docs/a page.md says more, and stacks/known_hosts.old was the file before.
config:
  nova:ssh: { known_hosts_file: ./stacks/known_hosts, private_key_file: ~/.ssh/id_ed25519 }
  nova:identity: { admin_openrc: /root/docs/a page.md }
  nova:options: { all: { DEFAULT: { "README": 1, state_path: see docs/a page.md } } }
"""


@pytest.mark.parametrize(
    ("file", "stacks"),
    [
        ("stacks/known_hosts", ["production"]),
        ("known_hosts", []),
        ("stacks/known_hosts.old", []),
        ("stacks/known", []),
        ("docs/a page.md", []),
        ("README", []),
    ],
)
def test_a_stack_names_a_file_where_a_value_is_its_path(repository: Path, file: str, stacks: list[str]) -> None:
    (repository / "stacks" / "Pulumi.production.yaml").write_text(NAMING)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "base")
    (repository / file).write_text("another line\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "head")
    assert touched(repository) == stacks


@pytest.mark.parametrize("text", ["", "a: [", "- !nothing x", "2014-13-45", "a: *b"])
def test_a_stack_file_that_cannot_be_read_names_nothing_and_is_touched_by_its_own_change(
    repository: Path, text: str
) -> None:
    (repository / "stacks" / "Pulumi.production.yaml").write_text(text)
    git(repository, "commit", "-q", "-a", "-m", "base")
    assert touched(repository) == ["production"]
    (repository / "docs" / "a page.md").write_text("another line\n")
    git(repository, "commit", "-q", "-a", "-m", "head")
    assert touched(repository) == []


def test_a_stack_that_goes_is_touched_and_what_moves_out_of_the_package_touches_all(repository: Path) -> None:
    git(repository, "rm", "-q", "stacks/Pulumi.staging.yaml", "stacks/Pulumi.lab.yaml")
    git(repository, "commit", "-q", "-m", "head")
    assert touched(repository) == ["staging"]
    git(repository, "mv", "nova_infra/x.py", "docs/x.py")
    git(repository, "commit", "-q", "-m", "next")
    assert touched(repository) == ["production"]


# ------------------------------------------------------------ the workflows


def jobs() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for file in WORKFLOWS:
        workflow = yaml.safe_load(file.read_text())
        for name, job in workflow["jobs"].items():
            yield file.stem, name, job, workflow


def test_the_step_that_looks_for_touched_stacks_hands_them_on(repository: Path, tmp_path: Path) -> None:
    for name in ("staging", "lab"):
        (repository / "stacks" / f"Pulumi.{name}.yaml").write_text("another line\n")
    git(repository, "commit", "-q", "-a", "-m", "head")
    output = tmp_path / "output"
    run_step(the_step("preview", "stacks", "touched-stacks"), repository, GITHUB_OUTPUT=str(output))
    assert output.read_text() == 'stacks=["staging"]\n'


@pytest.mark.parametrize("made", ["", "whole"])
def test_the_step_that_comments_posts_what_there_is_and_shows_it_in_the_run(
    github: GitHub, tmp_path: Path, made: str
) -> None:
    summary, text = tmp_path / "summary", f"{MARKER}\n\nnew\n"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "comment.md").write_text(text if made else "")
    step = the_step("preview", "preview", "post-comment")
    run_step(step, tmp_path, **github.environment, PULL_REQUEST="7", GITHUB_STEP_SUMMARY=str(summary))
    assert github.sent == ([("POST", "issues/7/comments", {"body": text})] if made else [])
    assert summary.exists() == bool(made)


@pytest.mark.parametrize(("touched", "retired"), [("", [1, 2]), ("production", [1]), ("production staging", [])])
def test_the_step_that_retires_comments_leaves_those_of_touched_stacks(
    github: GitHub, tmp_path: Path, touched: str, retired: list[int]
) -> None:
    github.lists["issues/7/comments"] = [a_comment(1, MARKER), a_comment(2, marker("production"))]
    step = the_step("preview", "untouched", "retire-comments")
    run_step(step, tmp_path, **github.environment, PULL_REQUEST="7", COMMIT=COMMIT, STACKS=touched)
    assert [path for _, path, _ in github.sent] == [f"issues/comments/{each}" for each in retired]


@pytest.mark.parametrize(("commit", "retired"), [(COMMIT, 1), (f"{2:040d}", 0)])
def test_the_step_that_comments_on_a_fork_writes_where_github_says_that_it_came_from(
    github: GitHub, tmp_path: Path, commit: str, retired: int
) -> None:
    github.lists["pulls"] = [{"number": 7, "head": {"sha": COMMIT}}]
    github.lists["issues/7/comments"] = [a_comment(1, MARKER)]
    of_the_run = {"OWNER": "stranger", "BRANCH": "a-branch", "COMMIT": commit, "CONCLUSION": "success"}
    step = the_step("fork-comment", "comment", "comment-on-fork")
    # The run has left nothing, as where it touches no stack; another push has a run of its own.
    run_step(step, tmp_path, **{**github.environment, **of_the_run})
    assert [path for _, path, _ in github.sent] == ["issues/comments/1"] * retired


def test_every_script_that_a_workflow_runs_is_there_and_every_script_is_run() -> None:
    text = "\n".join(file.read_text() for file in WORKFLOWS)
    inside = "\n".join(file.read_text() for file in SCRIPTS.iterdir() if file.is_file())
    run = set(re.findall(r"\.github/scripts/([a-z-]+)", text)) | set(re.findall(r"scripts/([a-z-]+)", inside))
    there = {file.name for file in SCRIPTS.iterdir() if file.is_file() and file.suffix != ".py"}
    assert run == there
    assert all(os.access(SCRIPTS / name, os.X_OK) for name in there)


def test_actions_are_pinned_to_a_major_version_and_come_from_their_makers() -> None:
    for _, _, job, _ in jobs():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"(actions/[a-z-]+|pulumi/actions)@v\d+", step["uses"])


# The first major versions that run on Node 24; GitHub's runners have no Node 20 any more.
LOWEST = {
    "actions/checkout": 5,
    "actions/setup-python": 6,
    "actions/upload-artifact": 6,
    "actions/download-artifact": 7,
    "pulumi/actions": 7,
}


def test_actions_run_on_a_node_that_github_still_has() -> None:
    used = {step["uses"] for _, _, job, _ in jobs() for step in job["steps"] if "uses" in step}
    for name, _, major in (each.partition("@v") for each in used):
        assert int(major) >= LOWEST[name], name


def test_a_token_may_read_and_a_job_that_writes_says_what() -> None:
    writes = {}
    for workflow, name, job, whole in jobs():
        assert whole["permissions"] == {"contents": "read"}, workflow
        rights = job.get("permissions", {})
        writes[workflow, name] = {key for key, value in rights.items() if value != "read"}
    assert {key: rights for key, rights in writes.items() if rights} == {
        ("preview", "preview"): {"pull-requests"},
        ("preview", "untouched"): {"pull-requests"},
        ("fork-comment", "comment"): {"pull-requests"},
        ("drift", "drift"): {"issues"},
    }


def test_what_runs_the_code_of_a_fork_gets_no_secret_and_no_token_that_writes() -> None:
    (job,) = [job for workflow, name, job, _ in jobs() if (workflow, name) == ("preview", "preview-without-secrets")]
    assert "secrets." not in json.dumps(job)
    assert "environment" not in job
    assert "permissions" not in job
    # And the one that writes checks out no code of the fork.
    (job,) = [job for workflow, _, job, _ in jobs() if workflow == "fork-comment"]
    assert all("ref" not in step.get("with", {}) for step in job["steps"])
    assert not [file for file in WORKFLOWS if "pull_request_target" in file.read_text()]


def test_what_gets_no_secrets_is_not_told_that_it_has_some() -> None:
    of_preview = {name: job for workflow, name, job, _ in jobs() if workflow == "preview"}
    trusted = "needs.stacks.outputs.secrets == 'true'"
    assert of_preview["stacks"]["outputs"]["secrets"] == (
        "${{ github.event.pull_request.head.repo.full_name == github.repository && github.actor != 'dependabot[bot]' }}"
    )
    writing = [name for name, job in of_preview.items() if "write" in job.get("permissions", {}).values()]
    assert writing == ["preview", "untouched"]
    assert all(trusted in of_preview[name]["if"] for name in writing)
    assert trusted.replace("==", "!=") in of_preview["preview-without-secrets"]["if"]
    (afterwards,) = [job for workflow, _, job, _ in jobs() if workflow == "fork-comment"]
    assert "actor.login == 'dependabot[bot]'" in afterwards["if"]


def test_secrets_and_tokens_are_given_to_steps_and_not_to_all_of_a_job() -> None:
    for workflow, _, job, whole in jobs():
        for environment in (whole.get("env"), job.get("env")):
            assert not re.search(r"secrets\.|github\.token", json.dumps(environment)), workflow


def test_one_check_stands_for_all_of_a_preview() -> None:
    of_preview = {name: job for workflow, name, job, _ in jobs() if workflow == "preview"}
    last = of_preview.pop("previewed")
    assert last["if"] == "${{ always() }}"
    assert set(last["needs"]) == set(of_preview)
    # A matrix would give it another name.
    assert "strategy" not in last


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ("success success success skipped", 0),
        ("success skipped skipped skipped", 0),
        ("failure skipped skipped skipped", 1),
        ("success failure success skipped", 1),
        ("success success cancelled skipped", 1),
    ],
)
def test_the_one_check_fails_when_a_part_has(results: str, code: int) -> None:
    (last,) = [job for _, name, job, _ in jobs() if name == "previewed"]
    (step,) = last["steps"]
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env={"RESULTS": results}, capture_output=True, check=False)
    assert done.returncode == code


def test_the_engine_is_the_one_that_the_tests_run_with() -> None:
    pin = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (ROOT / "toolchain/engine-cli/go.mod").read_text())
    assert pin
    of_pulumi = [step for _, _, job, _ in jobs() for step in job["steps"] if "pulumi/" in step.get("uses", "")]
    assert {step["with"]["pulumi-version"] for step in of_pulumi} == {pin[1]}


def test_reviewers_of_previews_and_deployments_do_not_hold_the_nightly_report() -> None:
    names = {
        workflow: str(job["environment"])
        for workflow, _, job, _ in jobs()
        if workflow in ("preview", "drift", "up") and "environment" in job
    }
    assert len(set(names.values())) == 3


def test_nothing_of_a_pull_request_is_put_into_a_script() -> None:
    for _, _, job, _ in jobs():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_a_command_inside_another_one_cannot_fail_unnoticed() -> None:
    for _, _, job, _ in jobs():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                # Bash forgets the exit code of `$(...)`, but for that of an assignment.
                assert "$(" not in line or re.match(r"\w+=\$\(", line), line


def test_a_change_is_compared_with_the_commit_that_it_was_merged_into() -> None:
    preview = (ROOT / ".github" / "workflows" / "preview.yml").read_text()
    # The event's base is that of another moment than the merge commit that is checked out.
    assert "pull_request.base.sha" not in preview
    assert preview.count(" HEAD^1 HEAD ") == preview.count("fetch-depth: 2") == 2


def of_up(script: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Stack -> the job of up.yml that runs this script for it, by its name and what it is. Their names are their owner's to choose."""
    found = {}
    for workflow, name, job, _ in jobs():
        for step in job["steps"] if workflow == "up" else []:
            if words := re.search(rf"\.github/scripts/{script} (\S+)", step.get("run", "")):
                found[name if words[1] == '"$GITHUB_JOB"' else words[1]] = name, job
    return found


def test_a_deployment_waits_for_the_one_before_it_and_for_its_own_plan_and_is_not_cut_off() -> None:
    deployments, plans = of_up("up"), of_up("preview")
    assert deployments
    for before, stack in pairwise(deployments):
        assert set(deployments[stack][1]["needs"]) == {before, plans[stack][0]}
        assert plans[stack][1]["needs"] == before
    for stack, (_, job) in deployments.items():
        assert job["environment"] == stack
        assert job["concurrency"] == {"group": f"up-{stack}", "cancel-in-progress": False}


def test_every_commit_of_main_is_tested_and_of_a_pull_request_the_newest() -> None:
    ((whole, job),) = [(whole, job) for workflow, name, job, whole in jobs() if (workflow, name) == ("test", "lab")]
    # GitHub keeps one run waiting in a group, also where none is cancelled: only a group of its own keeps it.
    assert whole["concurrency"] == {
        "group": "test-${{ github.event_name == 'pull_request' && github.ref || github.run_id }}",
        "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
    }
    assert "concurrency" not in job


def test_every_push_is_tested_with_the_lowest_and_the_newest_versions_and_with_the_newest_python() -> None:
    (job,) = [job for workflow, name, job, _ in jobs() if (workflow, name) == ("test", "versions")]
    newest = re.search(r"for name in python3 (\S+) ", (ROOT / "toolchain" / "venv").read_text())
    assert newest
    assert job["strategy"]["matrix"] == {
        "kind": ["lowest", "newest"],
        "python": ["3.11"],
        "include": [{"kind": "newest", "python": newest[1].removeprefix("python")}],
    }
    assert job["steps"][-1]["run"] == 'toolchain/dependency-versions "$KIND"'


def test_all_tests_that_need_the_engine_and_neither_a_lab_nor_a_browser_are_run_without_these() -> None:
    (job,) = [job for workflow, name, job, _ in jobs() if (workflow, name) == ("test", "engine")]
    _, *lines = job["steps"][-1]["run"].splitlines()
    assert lines == [
        "pytest -n 2 -m 'engine and not slow' tests/integration",
        "pytest tests/integration/test_wheel.py",
    ]
    for file in (ROOT / "tests" / "integration").glob("test_*.py"):
        text = file.read_text()
        needs_more = re.search(r"mark\.lab|\blab: Lab|\baccess: Access|\bbrowser: Browser", text)
        run = "pytestmark = pytest.mark.engine\n" in text or file.name == "test_wheel.py"
        assert run != bool(needs_more), file


def test_what_needs_a_browser_and_no_lab_is_run_with_one_and_its_pictures_are_kept() -> None:
    (job,) = [job for workflow, name, job, _ in jobs() if (workflow, name) == ("test", "pages")]
    *_, browser, pytest_, kept = job["steps"]
    assert browser["run"] == "make venv browser"
    _, *files = pytest_["run"].split()
    assert files == [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests" / "integration").glob("test_*.py"))
        if "browser: Browser" in file.read_text()
    ]
    assert pytest_["env"] == {"CI": "true"}
    assert (kept["if"], ROOT / kept["with"]["path"]) == ("${{ !cancelled() }}", ARTIFACTS)


def test_what_takes_long_is_run_every_week_where_there_is_a_machine_for_the_lab() -> None:
    ((job, whole),) = [(job, whole) for workflow, _, job, whole in jobs() if workflow == "weekly"]
    # YAML takes `on` for true.
    assert set(whole[True]) == {"schedule", "workflow_dispatch"}
    assert job["if"] == "vars.LAB_RUNNER != ''"
    assert job["runs-on"] == "${{ vars.LAB_RUNNER }}"
    assert "make test-all" in [step.get("run") for step in job["steps"]]


def test_whoever_approves_a_deployment_sees_its_plan_made_with_the_secrets_of_previews() -> None:
    for stack, (_, job) in of_up("preview").items():
        assert job["environment"] == f"preview-{stack}"
        *_, preview, summary = job["steps"]
        assert preview["run"].startswith(f".github/scripts/preview {stack} out")
        # Also of a plan that failed.
        assert summary["if"] == "${{ !cancelled() }}"
        assert "GITHUB_STEP_SUMMARY" in summary["run"]


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (3, 0), (1, 1), (130, 1)])
def test_a_machine_that_could_not_be_asked_does_not_keep_its_own_removal_from_being_deployed(
    tmp_path: Path, code: int, ends: int
) -> None:
    script = tmp_path / ".github" / "scripts" / "preview"
    script.parent.mkdir(parents=True)
    script.write_text(f'#!/bin/sh\necho "$@" >words\nexit {code}\n')
    script.chmod(0o755)
    steps = [step for _, job in of_up("preview").values() for step in job["steps"] if step.get("name") == "preview"]
    for step, (refresh, option) in product(steps, (("--refresh", " --refresh"), ("", ""))):
        environment = {"PATH": "/usr/bin:/bin", "REFRESH": refresh}
        done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=environment, check=False)
        assert done.returncode == ends
        assert (tmp_path / "words").read_text().endswith(f" out{option}\n")


# Not any text: `false` is one too.
REFRESH = "${{ vars.PREVIEW_REFRESH == 'true' && '--refresh' || '' }}"


def test_machines_are_asked_only_where_the_variable_is_true() -> None:
    given = [
        step["env"]["REFRESH"] for _, _, job, _ in jobs() for step in job["steps"] if "REFRESH" in step.get("env", {})
    ]
    assert set(given) == {REFRESH}
