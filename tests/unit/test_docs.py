"""Documents: every command is run by a test or marked, every link leads somewhere.

A command stands in a block that is indented or fenced as `sh`. A comment before a block, `<!-- needs real machines -->`, marks what no test here can run.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.nodes import ROOT

# Those that tell what to type, and all whose links are looked at.
TAUGHT = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md", "lab/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
PAGES = [*TAUGHT, ROOT / "CHANGELOG.md"]
MARK = "<!-- needs real machines -->"
SHELL = {"sh", "bash", "shell", "console"}
# What every shell and system has. A test runs those lines that stand alone.
ORDINARY = ("cd ", "export ", "unset ", "mkdir ", "(umask ", "for ", "done")

LAB, DEPLOYMENT, INTEGRATION, UNIT = "tests/lab", "tests/lab/deployment", "tests/integration", "tests/unit"
# How a command begins, the file of a test that runs it, and what stands there when it does. The longest beginning counts.
RUN = {
    ". ./activate": (f"{UNIT}/test_toolchain_activate.py", '". ./activate && . ./activate && env"'),
    ". lab/activate": (f"{UNIT}/test_toolchain_activate.py", '". lab/activate && . lab/activate && env"'),
    "lab/ssh": (f"{LAB}/test_the_lab_itself.py", 'lab_command("ssh", "compute1"'),
    'lab/ssh compute1 "sudo sed -i': (f"{LAB}/test_readme.py", "block_of("),
    "find ~/nova-state/.pulumi -name '*.attrs' -empty -delete": (f"{INTEGRATION}/test_state.py", '"find ~/nova-state"'),
    **dict.fromkeys(
        (
            "pulumi stack export --file state.json",
            "pulumi login s3://...",
            "pulumi stack import --file state.json",
            "rm state.json",
        ),
        (f"{INTEGRATION}/test_state.py", '"pulumi stack export --stack production --file"'),
    ),
    "rm -r ~/nova-state/.pulumi/backups/nova/mine": (
        f"{INTEGRATION}/test_state.py",
        '"rm -r ~/nova-state/"',
    ),
    "git rm stacks/Pulumi.staging.yaml stacks/Pulumi.production.yaml": (
        f"{INTEGRATION}/test_init.py",
        '"git rm stacks/"',
    ),
    "make bench-profile": (f"{LAB}/test_benchmarks.py", '"-m", "benchmarks.profiling"'),
    # Each benchmark takes its own lab down with the same script.
    "make lab-down": (f"{LAB}/test_benchmarks.py", "assert no_node_is_left()"),
    "make bench": (f"{LAB}/test_benchmarks.py", 'run("-m", "benchmarks", '),
    "make demo": (f"{LAB}/test_readme.py", '"lab" / "demo"'),
    "pulumi preview --refresh --diff --expect-no-changes": (
        f"{DEPLOYMENT}/test_deployment.py",
        '"preview", "--refresh", "--diff", "--expect-no-changes"',
    ),
    "pulumi preview --refresh --diff": (f"{LAB}/test_readme.py", "block_of("),
    "pulumi preview --diff": (f"{DEPLOYMENT}/test_deployment.py", '"preview", "--diff"'),
    "pulumi up": (f"{DEPLOYMENT}/conftest.py", '"up", "--yes"'),
    "pulumi up --refresh": (f"{DEPLOYMENT}/test_deployment.py", '.up("--refresh"'),
    "pulumi up --continue-on-error": (f"{LAB}/test_many_nodes.py", '"--continue-on-error"'),
    "pulumi destroy": (f"{DEPLOYMENT}/test_teardown.py", '"destroy", "--yes"'),
    "pulumi destroy --target '**::nova-compute1-packages' --target-dependents": (
        f"{LAB}/test_many_nodes.py",
        '"--target-dependents"',
    ),
    "pulumi cancel --yes": (f"{LAB}/test_cut_off.py", '"cancel", "--yes"'),
    "pulumi refresh --yes --clear-pending-creates": (f"{LAB}/test_cut_off.py", '"--clear-pending-creates"'),
    "pulumi config set --secret": (f"{LAB}/test_values.py", '"config", "set", "--secret"'),
    # The same keys and values, all of an example in one command.
    **dict.fromkeys(
        (
            'pulumi config set hostKey "$(sed -n',
            "pulumi config set node",
            "pulumi config set address",
            "pulumi config set --path",
        ),
        (f"{LAB}/test_examples.py", '"config", "set-all"'),
    ),
    "pulumi stack init": (f"{LAB}/test_examples.py", '"stack", "init"'),
    "pulumi stack output service_list": (f"{LAB}/test_readme.py", '"stack", "output", "service_list"'),
    "pulumi stack rm --preserve-config": (f"{DEPLOYMENT}/test_teardown.py", '"--preserve-config"'),
    "python -m nova_infra check": (f"{LAB}/test_check.py", '.command("check"'),
    "python -m nova_infra drift": (f"{INTEGRATION}/test_commands.py", '.command("drift", "--stack", "lab")'),
    "python -m nova_infra drift --html": (f"{DEPLOYMENT}/test_drift_report.py", '.command("drift", "--html"'),
    "python -m nova_infra drift --json": (f"{DEPLOYMENT}/test_drift_report.py", '.command("drift", "--json"'),
    "python -m nova_infra init": (f"{INTEGRATION}/test_init.py", '"nova_infra", "init"'),
    "python -m nova_infra init staging --answers -": (f"{INTEGRATION}/test_init.py", '"--answers", "-"'),
    "python -m nova_infra teardown": (f"{DEPLOYMENT}/test_teardown.py", '.command("teardown"'),
}
# What sentences name besides: the file of a test that runs it and what stands there, or why no test does.
NAMED_IN_SENTENCES: dict[str, tuple[str, str] | str] = {
    "lab/by-hand --at-once": "`make bench BENCH=fresh` runs it",
    "pulumi up --profiling": "it is Go's profiler of the engine, for who looks into that",
    "PULUMI_SKIP_CHECKPOINTS=true pulumi up": "`make bench BENCH=option` runs it and measures it beside the others",
    "make docs": (f"{UNIT}/test_settings_page.py", '"settings-page"'),
    "make drift-matrix": "its kinds are run by test_drift.py in groups; it runs them one by one, for half an hour",
    "make help": (f"{UNIT}/test_docs.py", '["make", "help"]'),
    "lab/keep NAME": (f"{LAB}/../own_lab.py", 'lab_script("keep", '),
    "LAB_FROM=NAME lab/reset": (f"{LAB}/../own_lab.py", 'lab_script("reset", LAB_FROM='),
    "make lab-reset": (f"{LAB}/../own_lab.py", '"reset"'),
    "make test-versions": "`make test-all` makes it, in minutes",
    "pulumi cancel": (f"{LAB}/test_cut_off.py", '"cancel", "--yes"'),
    "pulumi config": (f"{INTEGRATION}/test_commands.py", '.command("check", "--stack", "lab"'),
    "pulumi config set": (f"{LAB}/test_values.py", '"config", "set", "--secret"'),
    "pulumi login": (f"{INTEGRATION}/test_state.py", '"login", f"file://'),
    "pulumi login 'file:///srv/pulumi?metadata=skip'": (f"{INTEGRATION}/test_state.py", '?metadata=skip"'),
    "pulumi login s3://BUCKET?region=REGION": "there is no such store here",
    "pulumi preview": (f"{INTEGRATION}/test_init.py", '"preview", "--json"'),
    "pulumi preview --json": (f"{INTEGRATION}/test_init.py", '"preview", "--json"'),
    "pulumi preview --refresh": (f"{DEPLOYMENT}/test_deployment.py", '"preview", "--refresh"'),
    "pulumi refresh": (f"{LAB}/test_cut_off.py", '"refresh", "--yes"'),
    "pulumi stack change-secrets-provider": "it asks on a terminal for the new passphrase, and is all Pulumi's own",
    "pulumi stack export": (f"{LAB}/../nodes.py", '"stack", "export"'),
    "pulumi stack ls": (f"{DEPLOYMENT}/test_teardown.py", '"stack", "ls"'),
    "pulumi state unprotect --stack production 'URN'": (f"{DEPLOYMENT}/test_teardown.py", "state unprotect"),
    "pulumi up --parallel 16": (f"{LAB}/test_many_nodes.py", '"--parallel", "16"'),
    "pulumi whoami": (f"{INTEGRATION}/test_init.py", '"no backend for a new stack"'),
    "pulumi whoami -v": (f"{INTEGRATION}/test_state.py", '"whoami", "-v"'),
    # test_workflow_scripts.py runs the script.
    "python -m nova_infra comment": (".github/scripts/preview", "nova_infra comment"),
    "python -m nova_infra init STACK --secrets-provider=...": "it needs the key of a cloud",
}
# A name for all of them.
ANY_COMMAND = {"pulumi …", "python -m nova_infra ...", "python -m nova_infra COMMAND"}


@dataclass(frozen=True)
class Command:
    """A line of a document that is to be typed."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> Iterator[tuple[Token, bool]]:
    """Each block of code, and whether it is marked."""
    marked = False
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            yield token, marked
        # The mark may stand in front of the paragraph that closes above the block: it counts for the next block only.
        if token.type == "html_block":
            marked = token.content.strip() == MARK
        elif token.type in ("fence", "code_block", "paragraph_open", "heading_open"):
            marked = False


def commands(page: Path) -> list[Command]:
    """What a page tells to type, without what is marked."""
    found = []
    for token, marked in blocks(page):
        if marked or (token.type == "fence" and token.info.strip() not in SHELL):
            continue
        first = (token.map or [0])[0] + (2 if token.type == "fence" else 1)
        for number, line in enumerate(token.content.splitlines(), first):
            text = re.sub(r"(^|\s+)#\s.*$", "", line).strip()
            if text:
                found.append(Command(page, number, text))
    return found


def make_rules() -> dict[str, tuple[list[str], str]]:
    """Target of the Makefile -> what it needs, and its recipe."""
    rules = {}
    for target, needs, recipe in re.findall(
        r"^([a-z-]+):([^#\n]*)(?:#.*)?\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    ):
        rules[target] = (needs.split(), recipe)
    return rules


def made_by_make_test() -> set[str]:
    """The targets that `make test` makes on its way."""
    found, ahead = set(), ["test"]
    while ahead:
        target = ahead.pop()
        found.add(target)
        ahead += make_rules()[target][0]
    return found


def run_by(text: str) -> tuple[str, str] | None:
    """The file of the test that runs a command, and what stands there. Another option is another command; the stack's name is not."""
    command = re.sub(r" --stack [\w-]+", "", text)
    beginnings = [each for each in RUN if f"{command} ".startswith(f"{each} ")]
    longest = max(beginnings, key=len, default="")
    return RUN[longest] if longest and " -" not in command.removeprefix(longest) else None


def why_not_run(text: str) -> str:
    """Why a command is not known to be run by a test, or an empty string."""
    words = text.split()
    if text.startswith(ORDINARY) or run_by(text):
        return ""
    if words[0] == "make":
        return why_not_made([each for each in words[1:] if "=" not in each])
    if words[0] == "pytest":
        return "" if (ROOT / words[1]).exists() else f"there is no {words[1]}"
    return f"neither is it in RUN of {Path(__file__).name}, nor does {MARK} stand before its block"


def why_not_made(targets: list[str]) -> str:
    """Why targets are not made by `make test`, or an empty string. A part of the tests runs whenever all of them run."""
    rules = make_rules()
    if unknown := [each for each in targets if each not in rules]:
        return f"the Makefile has no {unknown}"
    missing = [each for each in targets if each not in made_by_make_test() and "pytest tests" not in rules[each][1]]
    return f"`make test` does not make {missing}" if missing else ""


@pytest.mark.parametrize("page", TAUGHT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_run_by_a_test_or_marked(page: Path) -> None:
    reasons = [f"{each}: {reason}" for each in commands(page) if (reason := why_not_run(each.text))]
    assert not reasons, "\n".join(reasons)


def named_in_sentences(page: Path) -> list[Command]:
    """What a page's sentences name as a command, each part of a pipe by itself."""
    return [
        Command(page, (token.map or [0])[0] + 1, part)
        for token in tokens(page)
        for each in token.children or []
        if each.type == "code_inline" and " " in each.content
        for part in each.content.split(" | ")
        if re.match(r"([A-Z_]+=\S+ )*(pulumi|make|python -m|lab/|\. \./activate)[ \w]", part)
        and part not in ANY_COMMAND
    ]


@pytest.mark.parametrize("page", TAUGHT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_sentence_names_is_run_by_a_test_or_it_is_said_why_not(page: Path) -> None:
    known = {each.partition(" --environment ")[0] for each in NAMED_IN_SENTENCES}
    named = [each for each in named_in_sentences(page) if each.text.partition(" --environment ")[0] not in known]
    reasons = [f"{each}: {reason}" for each in named if (reason := why_not_run(each.text))]
    assert not reasons, "\n".join(reasons)


@pytest.mark.parametrize("text", [each for each, how in NAMED_IN_SENTENCES.items() if not isinstance(how, str)])
def test_the_test_that_is_said_to_run_what_a_sentence_names_does(text: str) -> None:
    file, there = NAMED_IN_SENTENCES[text]
    assert there in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not run {text}"


def test_what_is_said_of_commands_in_sentences_is_of_commands_that_are_there() -> None:
    named = {each.text.partition(" --environment ")[0] for page in TAUGHT for each in named_in_sentences(page)}
    assert NAMED_IN_SENTENCES.keys() - named == set()


@pytest.mark.parametrize("beginning", sorted(RUN))
def test_the_test_that_is_said_to_run_a_command_does(beginning: str) -> None:
    file, there = RUN[beginning]
    assert Path(file).name.startswith("test_") or Path(file).name == "conftest.py"
    assert there in (ROOT / file).read_text(encoding="utf-8"), f"{file} does not run {beginning}"


def test_commands_are_found_where_they_are() -> None:
    readme = [each.text for each in commands(ROOT / "README.md")]
    assert "make demo" in readme
    assert "pulumi preview --refresh --diff" in readme
    cut_off = [each.text for each in commands(ROOT / "docs" / "operations.md")]
    assert "pulumi refresh --yes --clear-pending-creates" in cut_off


def test_make_help_lists_every_target_that_has_a_line_for_it() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} >= {"demo", "test", "lab-down"}


def test_what_nobody_runs_is_said() -> None:
    assert "RUN" in why_not_run("pulumi frobnicate")
    assert "RUN" in why_not_run("pulumi upwards")
    assert "RUN" in why_not_run("pulumi up --target-replace x")
    assert why_not_run("pulumi up --refresh --stack production") == ""
    assert "no ['nonsense']" in why_not_run("make nonsense")
    assert "does not make ['clean']" in why_not_run("make clean")
    assert why_not_run("make venv engine") == ""


def test_output_that_looks_like_commands_stands_in_a_block_of_commands() -> None:
    programs = ("$ ", "pulumi ", "make ", "python ", "lab/", ". ./activate", ". lab/activate")
    hidden = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in PAGES
        for token, _ in blocks(page)
        if token.type == "fence" and token.info.strip() not in SHELL
        for line in token.content.splitlines()
        if line.startswith(programs)
    ]
    assert not hidden


def test_the_ordinary_lines_of_getting_started_work_and_the_passphrase_is_for_its_owner_only(tmp_path: Path) -> None:
    lines = [each.text for each in commands(ROOT / "docs" / "getting-started.md") if each.text.startswith(ORDINARY)]
    script = "\n".join(["set -eu", *lines, "env"])
    done = subprocess.run(
        ["bash", "-c", script],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    passphrase = Path(found["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert passphrase.stat().st_mode & 0o077 == 0
    assert len(passphrase.read_text(encoding="utf-8").strip()) == 32
    assert Path(found["PULUMI_BACKEND_URL"].removeprefix("file://").partition("?")[0]).is_dir()


# ------------------------------------------------------------ links


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: list[str] = []
    listed = tokens(page)
    for opening, heading in pairwise(listed):
        if opening.type == "heading_open":
            text = "".join(each.content for each in heading.children or [] if each.type in ("text", "code_inline"))
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            before = found.count(anchor)
            found += [anchor, f"{anchor}-{before}"] if before else [anchor]
    return set(found)


def links(page: Path) -> list[str]:
    """The targets of links and pictures within the repository."""
    inline = [each for token in tokens(page) for each in token.children or []]
    targets = [str(each.attrs.get("href") or each.attrs.get("src") or "") for each in inline]
    return [each for each in targets if each and not re.match(r"[a-z]+:", each)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    wrong = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            wrong.append(f"{link}: there is no such file")
        elif anchor and anchor not in anchors(target):
            wrong.append(f"{link}: there is no such heading")
    assert not wrong, "\n".join(wrong)


def test_readme_leads_to_every_page() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(ROOT / "README.md")}
    assert {page for page in PAGES if page.name != "README.md" or page.parent != ROOT} - linked == set()
