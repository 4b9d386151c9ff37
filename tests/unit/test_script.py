"""Scripts for nodes, run by a real sh over standard input as SSH would."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_infra.errors import StepFailed
from nova_infra.masking import MASK, Secret
from nova_infra.remote.connection import Address, Connection, Login
from nova_infra.remote.inspection import Question, facts_of
from nova_infra.remote.operation import operate, wait_until
from nova_infra.remote.script import Answer, Call, Listener, call, compose, decoded, fields_of

from .clock import Clock

HOSTILE = [
    "plain",
    "with space",
    "it's",
    '"quoted"',
    "$HOME $(touch nothing) `touch nothing` ${x}",
    "a;b|c&d>e<f",
    "back\\slash \\$x \\n",
    "*?[a-z]~!#%",
    "-n",
    "--",
    "",
    "tab\there",
    "two\nlines",
    "grün ☃",
    "'; exit 1; '",
]
words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12)


def started(calls: list[Call]) -> tuple[subprocess.Popen[bytes], str]:
    """A shell that runs the script as it runs on a node: from standard input, which stays open."""
    script = compose(calls)
    shell = subprocess.Popen(  # noqa: S602 - sshd too gives the command to a shell
        Connection("n", Address("h"), Login())._command(len(script.source)),
        shell=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdin
    shell.stdin.write(script.source)
    shell.stdin.flush()
    return shell, script.mark


def run(*calls: Call) -> tuple[int, list[tuple[str, ...]], str]:
    """Exit status, the fields of the lines that are ours, and what was said on standard error."""
    shell, mark = started(list(calls))
    assert shell.stdout
    assert shell.stderr
    with shell:
        lines = shell.stdout.read().decode().splitlines()
        complaint = shell.stderr.read().decode()
        status = shell.wait(20)
    return status, [tuple(fields) for line in lines if (fields := fields_of(line, mark))], complaint


def facts(*calls: Call) -> list[tuple[str, ...]]:
    status, fields, complaint = run(*calls)
    assert status == 0, complaint
    return [each[1:] for each in fields if each[0] == "fact"]


@pytest.fixture
def ours(tmp_path: Path) -> Call:
    """Lets a script keep its notes in a folder of the test."""
    return Call(f"ours={shlex.quote(str(tmp_path / 'ours'))}")


def owner(path: Path) -> tuple[str, str]:
    return path.owner(), path.group()


# ------------------------------------------------------------ values are data


@pytest.mark.parametrize("value", [each for each in HOSTILE if "\n" not in each and "\t" not in each])
def test_an_argument_arrives_as_it_is(value: str) -> None:
    assert facts(call("fact", "said", value)) == [("said", value)]


@pytest.mark.parametrize("value", HOSTILE)
def test_the_content_of_a_file_arrives_and_comes_back_as_it_is(tmp_path: Path, ours: Call, value: str) -> None:
    path = tmp_path / "nova.conf"
    user, group = owner(tmp_path)
    run(ours, call("put_file", str(path), user, group, "640", Secret(value)))
    assert path.read_bytes() == value.encode()
    read = facts(call("read_file", str(path)))[0]
    assert decoded(read[7]) == value


@settings(max_examples=20, deadline=None)
@given(values=st.lists(words, min_size=1, max_size=40))
def test_no_argument_is_ever_code(values: list[str]) -> None:
    said = facts(Call('shown() { fact shown "$(printf %s "$1" | encoded)"; }'), *(call("shown", v) for v in values))
    assert [decoded(each[1]) for each in said] == values


def test_a_title_is_data_too() -> None:
    status, fields, _ = run(call("fact", "said", "x", title="it's $(touch nothing)"))
    assert status == 0
    assert fields[0] == ("step", "it's $(touch nothing)")


def test_only_the_calls_are_shown_and_a_secret_in_them_is_masked() -> None:
    shown = call("put_file", "/etc/nova/nova.conf", "root", Secret("hunter2"))
    assert str(shown) == f"put_file /etc/nova/nova.conf root {MASK}"
    assert "hunter2" not in repr(shown)
    assert "hunter2" in shown.text()


# ------------------------------------------------------------ whose line is it


def test_a_line_without_the_mark_is_not_ours() -> None:
    assert fields_of("fact\thostname\tevil\n", "nova-infra-12") is None
    assert fields_of("Welcome to Ubuntu 14.04\n", "nova-infra-12") is None
    assert fields_of("", "nova-infra-12") is None


def test_a_line_behind_a_prompt_is_ours() -> None:
    assert fields_of("root@controller# nova-infra-12\tfact\ta\t\tb\n", "nova-infra-12") == ["fact", "a", "", "b"]


def test_no_two_scripts_share_a_mark() -> None:
    assert len({compose([]).mark for _ in range(100)}) == 100


def test_what_a_program_prints_is_not_taken_for_an_answer() -> None:
    said = facts(
        call("printf", "nova-infra-0\\tfact\\thostname\\tevil\\n"), call("printf", "no newline"), call("fact", "a")
    )
    assert said == [("a",)]


# ------------------------------------------------------------ reading


def test_a_file_is_read_with_owner_mode_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_bytes(b"one\ntwo\xff")
    path.chmod(0o604)
    kind, name, what, user, group, mode, changed, content = facts(call("read_file", str(path)))[0]
    assert (kind, name, what, (user, group), mode) == ("file", str(path), "file", owner(path), "604")
    assert abs(int(changed) - time.time()) < 10
    assert decoded(content) == "one\ntwo\ufffd"


def test_what_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    kinds = [each[2] for each in facts(*(call("read_file", str(tmp_path / each)) for each in ("link", "none", ".")))]
    assert kinds == ["link", "missing", "other"]


def test_a_file_that_was_moved_into_place_has_changed_then_and_not_at_its_own_date(tmp_path: Path) -> None:
    # `mv nova.conf.bak nova.conf` keeps the date of the content: a process that started in between has not read it.
    path = tmp_path / "nova.conf"
    (tmp_path / "backup").write_text("old")
    os.utime(tmp_path / "backup", (1000, 1000))
    (tmp_path / "backup").rename(path)
    changed = facts(call("read_file", str(path)))[0][6]
    assert abs(int(changed) - time.time()) < 10


def test_a_machine_says_who_it_is() -> None:
    answer = Answer(facts=[("hostname", "x"), *facts(call("read_machine"), call("read_clock"))][1:])
    read = facts_of(answer)
    assert read.hostname == subprocess.run(["hostname"], capture_output=True, text=True, check=True).stdout.strip()
    assert read.now <= read.later
    assert all(abs(each - time.time()) < 10 for each in (read.now, read.later))
    cpu = Path("/proc/cpuinfo").read_text()
    assert read.virt_type == ("kvm" if "vmx" in cpu or "svm" in cpu else "qemu")
    assert read.init == "sysv"


def test_every_question_has_an_answer(tmp_path: Path, ours: Call) -> None:
    question = Question(
        files=[str(tmp_path / "f")],
        paths=[str(tmp_path)],
        packages=["no-such-package"],
        services=["no-such"],
        notes=["n"],
    )
    read = facts_of(Answer(facts=facts(ours, *question.calls())))
    assert read.files[str(tmp_path / "f")].kind == "missing"
    assert read.paths == {str(tmp_path): True}
    assert not read.packages["no-such-package"].installed
    assert not read.services["no-such"].running
    assert not read.services["no-such"].enabled
    assert read.notes == {"n": None}


def test_when_a_process_started_is_known(tmp_path: Path) -> None:
    pid = os.getpid()
    ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[19]
    said = facts(Call(f'fact start "$(process_ticks {pid})" "$(process_start "$(process_ticks {pid})")"'))[0]
    assert said[1] == ticks
    boot = next(line.split()[1] for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    assert abs(int(said[2]) - (int(boot) + int(ticks) / os.sysconf("SC_CLK_TCK"))) <= 1


# ------------------------------------------------------------ acting


def test_a_file_that_holds_passwords_is_never_readable_by_others(tmp_path: Path, ours: Call) -> None:
    path, seen = tmp_path / "nova.conf", tmp_path / "seen"
    user, group = owner(tmp_path)
    # chown stands between the first byte and the rename: it says with which mode the bytes lay there.
    watch = Call(f'chown() {{ stat -c %a "$2" >{shlex.quote(str(seen))}; command chown "$@"; }}')
    run(ours, watch, call("put_file", str(path), user, group, "640", Secret("hunter2")))
    assert seen.read_text() == "600\n"
    assert oct(path.stat().st_mode)[-3:] == "640"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["nova.conf", "ours", "seen"]


@pytest.mark.parametrize(
    ("function", "moment"),
    [
        *(("put_file", moment) for moment in ("stat", "printf", "chown", "chmod", "mv")),
        *(("put_back_original", moment) for moment in ("stat", "cp", "chown", "chmod", "touch", "mv")),
    ],
)
def test_root_follows_no_link_that_the_owner_of_the_folder_puts_in_its_way(
    tmp_path: Path, ours: Call, function: str, moment: str
) -> None:
    folder, victim = tmp_path / "nova", tmp_path / "shadow"
    path = folder / "nova.conf"
    folder.mkdir()
    path.write_text("theirs")
    run(ours, call("keep_original", str(path)))
    victim.write_text("root:hash")
    victim.chmod(0o600)
    before = victim.stat()
    # Whatever is there becomes a link, and our own folder another one that is full of links.
    race = f"""
        {moment}() {{
            [ ! -e {shlex.quote(str(tmp_path))}/raced ] || {{ command {moment} "$@"; return; }}
            : >{shlex.quote(str(tmp_path))}/raced
            for each in {shlex.quote(str(folder))}/* {shlex.quote(str(folder))}/.nova-infra.*; do
                [ -e "$each" ] || continue
                if [ -d "$each" ]; then command mv "$each" "$each.away"; mkdir "$each"; each=$each/new; else rm -f "$each"; fi
                ln -s {shlex.quote(str(victim))} "$each"
            done
            command {moment} "$@"
        }}"""
    arguments = [] if function == "put_back_original" else [*owner(folder), "640", "ours"]
    status, _, complaint = run(ours, Call(race), call(function, str(path), *arguments))
    assert (tmp_path / "raced").exists()
    assert (victim.read_text(), victim.stat().st_mode, victim.stat().st_ctime) == (
        "root:hash",
        before.st_mode,
        before.st_ctime,
    )
    assert status == 0, complaint
    assert path.read_text() == ("ours" if arguments else "theirs")
    assert not path.is_symlink()


def test_what_is_no_folder_of_our_own_is_not_written_into(tmp_path: Path, ours: Call) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o755)
    swap = Call(
        f'mktemp() {{ ln -s {shlex.quote(str(elsewhere))} "{tmp_path}/.nova-infra.ABCDEF"; echo "{tmp_path}/.nova-infra.ABCDEF"; }}'
    )
    status, _, complaint = run(
        ours, swap, call("put_file", str(tmp_path / "nova.conf"), *owner(tmp_path), "640", "ours")
    )
    assert status == 1
    assert "somebody has put something else in the place of" in complaint
    assert list(elsewhere.iterdir()) == []


def test_what_a_run_that_was_cut_off_has_left_beside_a_file_goes_with_the_next_one(tmp_path: Path, ours: Call) -> None:
    path = tmp_path / "nova.conf"
    cut = Call(r'mv() { [ "$2" != new ] || sh -c "kill -KILL $$ \$PPID"; command mv "$@"; }')
    put = call("put_file", str(path), *owner(tmp_path), "640", "ours")
    for then in (put, call("put_back_original", str(path))):
        run(ours, cut, put)
        assert list(tmp_path.glob(".nova-infra.*"))
        run(ours, then)
        assert not list(tmp_path.glob(".nova-infra.*"))


def test_a_folder_that_hands_down_its_group_is_written_to_as_well(tmp_path: Path, ours: Call) -> None:
    tmp_path.chmod(0o2755)
    run(ours, call("put_file", str(tmp_path / "nova.conf"), *owner(tmp_path), "640", "ours"))
    assert (tmp_path / "nova.conf").read_text() == "ours"


def test_destroy_puts_a_file_back_as_it_was_however_often_we_wrote_it(tmp_path: Path, ours: Call) -> None:
    path = tmp_path / "nova.conf"
    path.write_text("theirs")
    path.chmod(0o604)
    user, group = owner(path)
    for content in ("one", "two"):
        run(ours, call("put_file", str(path), user, group, "640", content))
    run(ours, call("put_back_original", str(path)), call("remove_notes"))
    assert path.read_text() == "theirs"
    assert oct(path.stat().st_mode)[-3:] == "604"
    assert not (tmp_path / "ours").exists()


def test_destroy_removes_a_file_that_was_not_there(tmp_path: Path, ours: Call) -> None:
    path = tmp_path / "nova.conf"
    user, group = owner(tmp_path)
    run(ours, call("put_file", str(path), user, group, "640", "ours"))
    run(ours, call("put_back_original", str(path)), call("put_back_original", str(path)))
    assert not path.exists()


def test_a_step_that_fails_is_named_with_what_the_machine_said(tmp_path: Path, ours: Call) -> None:
    path = tmp_path / "none" / "nova.conf"
    status, fields, complaint = run(
        ours,
        call("put_file", str(path), "root", "root", "640", Secret("hunter2"), title="writing nova.conf"),
        call("fact", "on"),
    )
    assert status == 1
    assert ("failed", "writing nova.conf") in fields
    assert ("fact", "on") not in fields
    assert f"could not write {path}" in complaint
    assert "hunter2" not in complaint


def test_the_first_note_stays_and_says_what_it_says(tmp_path: Path, ours: Call) -> None:
    first = facts(ours, call("write_first_note", "user.nova", "new"))[0]
    second = facts(ours, call("write_first_note", "user.nova", "found 12"))[0]
    assert [decoded(each[2]) for each in (first, second)] == ["new", "new"]
    assert oct((tmp_path / "ours" / "user.nova").stat().st_mode)[-3:] == "600"
    run(ours, call("remove_notes", "user.nova"))
    assert not (tmp_path / "ours").exists()


def test_the_note_of_one_whose_name_ends_in_new_is_a_note_like_any_other(tmp_path: Path, ours: Call) -> None:
    run(ours, call("write_first_note", "user.nova.new", "theirs"), call("write_first_note", "user.nova", "ours"))
    assert (tmp_path / "ours" / "user.nova.new").read_text() == "theirs"
    run(ours, call("remove_notes", "user.nova"))
    assert (tmp_path / "ours" / "user.nova.new").read_text() == "theirs"


def test_removing_a_note_leaves_those_of_others(tmp_path: Path, ours: Call) -> None:
    run(ours, call("write_first_note", "a", "1"), call("write_first_note", "b", "2"))
    run(ours, call("remove_notes", "a"))
    assert (tmp_path / "ours" / "b").read_text() == "2"


def test_lines_are_added_to_a_note_for_names_that_have_none(ours: Call) -> None:
    notes = [call("add_lines", "services.found", lines) for lines in ("a running", "a stopped\nb stopped", "")]
    said = facts(ours, *notes, call("read_note", "services.found"))
    assert decoded(said[0][2]) == "a running\nb stopped"


def test_lines_of_a_note_go_one_by_one_and_the_note_with_the_last(tmp_path: Path, ours: Call) -> None:
    note = tmp_path / "ours" / "services.found"
    lines = "nova-api running enabled -\nnova-api-metadata stopped enabled -\nnova-cert stopped disabled -"
    run(ours, call("write_first_note", note.name, lines), call("remove_lines", note.name, "nova-api", "nova-cert"))
    assert note.read_text() == "nova-api-metadata stopped enabled -"
    run(ours, call("remove_lines", note.name, "nova-api-metadata"), call("remove_lines", note.name, "nova-cert"))
    assert not note.exists()


@contextlib.contextmanager
def holding(*calls: Call) -> Iterator[subprocess.Popen[bytes]]:
    """A script that is at work; it is ended by closing its standard input."""
    shell, mark = started(list(calls))
    assert shell.stdout
    assert mark in shell.stdout.readline().decode()
    try:
        yield shell
    finally:
        assert shell.stdin
        shell.stdin.close()
        shell.wait(10)
        shell.stdout.close()
        if shell.stderr:
            shell.stderr.close()


def lives(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(is_so: Callable[[], bool], within: float = 5.0) -> None:
    """Fails when something is not so within these seconds."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def waiting_for(path: Path) -> str:
    """Shell source that goes on when the file is there, or after ten seconds: a test that fails leaves no process behind."""
    return f"for _ in $(seq 500); do [ ! -e {shlex.quote(str(path))} ] || break; sleep 0.02; done"


def test_when_the_other_side_goes_the_script_and_its_children_end_within_five_seconds(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = f"sleep 60 & echo $! >{shlex.quote(str(pid_file))}; fact on; wait"
    with holding(Call(child)) as shell:
        pid = int(pid_file.read_text())
        assert lives(pid)
        began = time.monotonic()
    assert shell.returncode != 0
    # The child got the same signal; it may end a moment after the shell.
    eventually(lambda: not lives(pid), within=began + 5 - time.monotonic())


def test_what_must_not_be_cut_off_goes_on_when_the_other_side_goes(tmp_path: Path, ours: Call) -> None:
    done = tmp_path / "done"
    began, alone = tmp_path / "began", tmp_path / "alone"
    work = f"touch {shlex.quote(str(began))}; {waiting_for(alone)}; touch {shlex.quote(str(done))}"
    with holding(ours, Call('mkdir -p "$ours"; fact on'), call("in_own_session", "^$", "sh", "-c", work)):
        eventually(began.exists)
    assert not done.exists()
    alone.touch()
    eventually(done.exists)


def test_whoever_waited_for_another_run_is_told_to_begin_again(tmp_path: Path, ours: Call) -> None:
    enough = tmp_path / "enough"
    with holding(ours, call("lock", "5"), Call(f"fact on; {waiting_for(enough)}; exit 0")):
        status, fields, _ = run(ours, locked_for(0, enough), call("lock", "5"), call("fact", "acted"))
    assert status == 0
    assert ("again", "-") in fields
    assert ("fact", "acted") not in fields
    assert any(each[0] == "step" and "waiting for another run" in each[1] for each in fields)


def locked_for(beats: int, then: Path) -> Call:
    """Whoever waits for the lock sees so many beats pass, of a moment each, and this file made in the next."""
    return Call(f"""
        flock() {{
            if [ "$1" = -n ]; then command flock "$@"; return; fi
            [ "$1 $2" = "-w $beat" ] || exit 9
            beats=$((${{beats:-0}} + 1))
            if [ "$beats" -le {beats} ]; then command flock -w 0.05 "$3"; return; fi
            : >{shlex.quote(str(then))}; command flock -w 5 "$3"
        }}""")


def test_a_lock_that_nobody_holds_is_taken_at_once(ours: Call) -> None:
    assert facts(ours, call("lock", "1"), call("fact", "acted")) == [("acted",)]


def test_progress_of_long_work_is_shown_while_it_runs(ours: Call) -> None:
    work = call("in_own_session", "^Setting up", "sh", "-c", "echo Setting up nova-api; echo noise; exit 3")
    _, fields, _ = run(*quickly(ours), work, Call('fact status "$?"'))
    assert ("progress", "Setting up nova-api") in fields
    assert ("progress", "noise") not in fields
    assert ("fact", "status", "3") in fields


def test_a_script_needs_only_the_plain_shell() -> None:
    source = compose([]).source
    subprocess.run(["sh", "-n"], input=source, check=True)
    assert b"[[" not in source.replace(b"[[:", b"")
    assert b"local " not in source


# ------------------------------------------------------------ read, decide, act


class Answers:
    """A connection with answers made up, to see what is asked how often."""

    name = "controller"
    address = "root@10.0.0.11"

    def __init__(self, *again: bool) -> None:
        self.again = list(again)
        self.asked: list[list[str]] = []

    def run(self, calls: list[Call], **_more: object) -> Answer:
        self.asked.append([str(each) for each in calls])
        if calls[0].function == "read_machine":
            return Answer(
                [("hostname", "controller"), ("now", "1"), ("later", "1"), ("virt_type", "kvm"), ("init", "sysv")]
            )
        facts = [("hostname", "controller"), ("now", "2"), ("later", "2"), ("virt_type", "kvm"), ("init", "sysv")]
        return Answer(facts, again=self.again.pop(0))


def test_nothing_to_do_is_one_round_trip_and_takes_no_lock() -> None:
    node = Answers()
    operate(node, Question(), lambda _facts: [], doing="x", deadline=1)  # type: ignore[arg-type]
    assert node.asked == [["read_machine", "read_clock"]]


def test_after_waiting_for_another_run_the_node_is_read_and_decided_anew() -> None:
    node = Answers(True, False)
    decided: list[int] = []

    def decide(_facts: object) -> list[Call]:
        decided.append(1)
        return [call("remove_file", str(len(decided)))]

    operated = operate(node, Question(), decide, doing="x", deadline=1)  # type: ignore[arg-type]
    assert [str(each) for each in operated.calls] == ["remove_file 2"]
    assert [each[0].split()[0] for each in node.asked] == ["read_machine", "lock", "read_machine", "lock"]


def test_a_node_whose_lock_is_always_taken_is_given_up_with_a_sentence() -> None:
    node = Answers(*[True] * 10)
    with pytest.raises(StepFailed, match=r"controller .*other runs took the node's lock"):
        operate(node, Question(), lambda _facts: [call("lock")], doing="x", deadline=1)  # type: ignore[arg-type]


# ------------------------------------------------------------ a quiet minute never passes


def quickly(ours: Call) -> list[Call]:
    """Waits say after a second already what they wait for, and the half seconds and seconds of their rounds are moments."""
    return [
        ours,
        Call('beat=1; mkdir -p "$ours"; sleep() { case $1 in 0.5 | 1) command sleep 0.02 ;; *) exit 9 ;; esac; }'),
    ]


def working(ours: Call, rounds: int, each: str = ":") -> tuple[list[Call], Call]:
    """Calls ahead of a work, and that work, which prints a line and ends in the given round of looking at it. `each` is run a round."""
    here = [
        *quickly(ours),
        Call(f"""
        sleep() {{
            [ "$1" = 0.5 ] || exit 9
            round=$((${{round:-0}} + 1))
            until [ -s "$ours/output" ]; do command sleep 0.02; done
            {each}
            [ "$round" -lt {rounds} ] || {{ : >"$ours/end"; while kill -0 "$child" 2>/dev/null; do command sleep 0.02; done; }}
        }}"""),
    ]
    return here, Call(
        """in_own_session "^Setting up" sh -c 'echo Unpacking nova-api; echo
        for _ in $(seq 500); do [ ! -e "$1" ] || break; sleep 0.02; done' sh "$ours/end\""""
    )


def progress_of(fields: list[tuple[str, ...]]) -> list[str]:
    return [each[1] for each in fields if each[0] == "progress"]


def test_long_work_that_says_nothing_worth_showing_shows_its_last_line_now_and_then(ours: Call) -> None:
    # Two and a half seconds.
    here, work = working(ours, rounds=5)
    _, fields, _ = run(*here, work)
    assert progress_of(fields) == ["still running: Unpacking nova-api"] * 2


def test_no_login_of_a_package_source_is_shown(ours: Call) -> None:
    said = "W: Failed to fetch https://s3cr3ttoken@repo.example.org/x https://user:hunter2@repo.example.org/y"
    work = call("in_own_session", "^(W|E):", "sh", "-c", f"echo '{said}'")
    _, fields, _ = run(*quickly(ours), work, Call('say "progress${tab}$(last_words)"'))
    shown = said.replace("s3cr3ttoken@", "").replace("user:hunter2@", "")
    assert progress_of(fields) == [shown, shown]


def test_work_that_shows_something_is_not_said_to_run_as_well(ours: Call) -> None:
    here, work = working(ours, rounds=5, each='echo "Setting up $round" >>"$ours/output"')
    _, fields, _ = run(*here, work)
    assert progress_of(fields) == [f"Setting up {number}" for number in (1, 2, 3, 4, 5)]


def test_whoever_waits_for_another_run_sees_what_that_one_does(tmp_path: Path, ours: Call) -> None:
    enough = tmp_path / "enough"
    busy = Call(f'printf "Unpacking nova-api\\n" >"$ours/output"; fact on; {waiting_for(enough)}; exit 0')
    with holding(ours, call("lock", "5"), busy):
        _, fields, _ = run(*quickly(ours), locked_for(2, enough), call("lock", "5"))
    assert progress_of(fields) == ["it still works: Unpacking nova-api"] * 2
    assert ("again", "-") in fields


def test_a_run_that_waits_too_long_for_another_one_says_so(tmp_path: Path, ours: Call) -> None:
    never = locked_for(2, tmp_path / "never")
    with holding(ours, call("lock", "5"), Call("fact on; sleep 60")):
        status, _, complaint = run(*quickly(ours), never, call("lock", "2"))
    assert status == 1
    assert "the other run did not end within 2 s" in complaint
    assert not (tmp_path / "never").exists()


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """A file locked with fcntl(2), as apt and dpkg do."""
    with path.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def apt_lock(path: Path) -> Call:
    """Lets a file of the test be the lock of apt."""
    return Call(f"apt_locks={shlex.quote(str(path))}")


def test_another_apt_is_named_now_and_then_and_when_it_takes_too_long(tmp_path: Path, ours: Call) -> None:
    lock = tmp_path / "lock"
    with held(lock):
        status, fields, complaint = run(
            *quickly(ours), apt_lock(lock), Call("apt_patience=2"), call("wait_for_apt", title="installing nova-api")
        )
    me = f"process {os.getpid()} ({Path('/proc/self/comm').read_text().strip()})"
    assert [each[1] for each in fields if each[0] == "step"] == [
        "installing nova-api",
        f"waiting for another apt or dpkg: {me}",
    ]
    assert progress_of(fields) == [f"{me} still holds apt's lock"] * 2
    assert status == 1
    assert f"{me} still holds apt's lock after 2 s" in complaint


def test_apt_is_not_waited_for_when_nobody_holds_its_lock(tmp_path: Path, ours: Call) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    with held(tmp_path / "another"):
        assert facts(ours, apt_lock(lock), Call('fact holder "$(apt_holder)"')) == [("holder", "")]


def test_a_step_is_named_again_after_a_wait_for_apt(tmp_path: Path, ours: Call) -> None:
    lock = tmp_path / "lock"
    released = Call('apt_holder() { [ -e "$ours/once" ] || { : >"$ours/once"; echo \'process 7 (apt)\'; }; }')
    _, fields, _ = run(*quickly(ours), apt_lock(lock), released, call("wait_for_apt", title="installing nova-api"))
    assert [each[1] for each in fields if each[0] == "step"] == [
        "installing nova-api",
        "waiting for another apt or dpkg: process 7 (apt)",
        "installing nova-api",
    ]


class Heard:
    """A listener, what it shows, and its clock."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.clock = Clock()
        self.listener = Listener("mark", "reading", self.shown.append, self.clock)

    def after(self, seconds: float, *lines: str) -> list[str]:
        """What is shown when these lines come after so many seconds, in which somebody listens all the time."""
        self.shown.clear()
        for _ in range(round(seconds)):
            self.clock.now += 1
            self.listener.beat()
        for line in lines:
            self.listener.hear("\t".join(["mark", *line.split("|")]) + "\n")
        return list(self.shown)


def test_each_step_ends_with_its_seconds_when_it_took_any() -> None:
    heard = Heard()
    assert heard.after(0, "step|stopping nova-api") == ["stopping nova-api"]
    assert heard.after(7, "done|") == ["  stopping nova-api: done in 7 s"]
    assert heard.after(0, "step|writing nova.conf", "done|") == ["writing nova.conf"]


def test_a_step_within_a_step_ends_the_first_one() -> None:
    heard = Heard()
    heard.after(0, "step|installing nova-api")
    assert heard.after(3, "step|fetching the package lists") == [
        "  installing nova-api: done in 3 s",
        "fetching the package lists",
    ]
    assert heard.after(2, "end") == ["  fetching the package lists: done in 2 s"]


def test_waiting_for_another_run_ends_with_its_seconds() -> None:
    heard = Heard()
    heard.after(0, "step|waiting for another run")
    assert heard.after(9, "again|-") == ["  waiting for another run: done in 9 s"]
    assert heard.listener.answer.again


def test_a_step_that_says_nothing_is_said_to_run_every_twenty_seconds() -> None:
    heard = Heard()
    heard.after(0, "step|stopping nova-api")
    assert heard.after(19) == []
    assert heard.after(41) == [
        "  stopping nova-api: still running (20 s)",
        "  stopping nova-api: still running (40 s)",
        "  stopping nova-api: still running (60 s)",
    ]


def test_progress_puts_off_saying_that_it_still_runs() -> None:
    heard = Heard()
    heard.after(0, "step|installing")
    assert heard.after(15, "progress|Setting up nova-api") == ["  Setting up nova-api (15 s)"]
    assert heard.after(19) == []
    assert heard.after(1) == ["  installing: still running (35 s)"]


def test_what_fails_before_the_first_step_is_what_the_script_is_for() -> None:
    heard = Heard()
    heard.after(0, "failed|")
    assert heard.listener.current == "reading"


def test_a_script_without_steps_is_said_to_run_by_what_it_is_for() -> None:
    assert Heard().after(20) == ["  reading: still running (20 s)"]


def test_a_wait_says_what_it_waits_for_and_what_was_last_seen_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers = iter([False] * 45 + [True])
    wait_until(
        lambda: next(answers),
        doing="controller: reports",
        seconds=60,
        seen=lambda: "password=hunter2 never",
        passing=Clock().passing,
    )
    said = capsys.readouterr().out.splitlines()
    # Every 20 s.
    assert said == [
        f"controller: reports: still waiting ({waited} s); last seen: password={MASK} never" for waited in (20, 40)
    ]


def test_a_wait_that_ends_soon_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    wait_until(lambda: True, doing="controller: reports", seconds=5)
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------ no room


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (call("lock", "9"), "could not write {ours}/lock ("),
        (call("write_first_note", "x", "{}"), "could not take the lock {ours}/notes.lock ("),
        (call("in_own_session", "x", "true"), "could not write {ours}/output ("),
        (call("run_service", "nova-api", "stop"), "could not write {ours}/output.nova-api ("),
        (call("keep_original", "/none/nova.conf"), "could not keep a copy of /none/nova.conf in {ours} ("),
    ],
    ids=lambda each: each.function if isinstance(each, Call) else "",
)
def test_what_cannot_be_written_down_is_said_in_our_words(tmp_path: Path, ours: Call, of: Call, said: str) -> None:
    # Each fails as on a full disk: where its file would be is a folder, or where its folder would be a file.
    for name in ("lock", "notes.lock", "output", "output.nova-api"):
        (tmp_path / "ours" / name).mkdir(parents=True)
    (tmp_path / "ours" / "original").touch()
    status, fields, complaint = run(ours, call(of.function, *of.arguments, title="writing it down"))
    assert status == 1
    assert said.format(ours=tmp_path / "ours") in complaint.splitlines()[-1]
    assert ("failed", "writing it down") in fields


# ------------------------------------------------------------ a policy of somebody else


def test_a_policy_that_is_a_link_is_asked_meanwhile_and_is_the_link_again(tmp_path: Path, ours: Call) -> None:
    policy, theirs, asked = (tmp_path / name for name in ("policy-rc.d", "theirs", "asked"))
    theirs.write_text(f"#!/bin/sh\necho $1 >{asked}\nexit 101\n")
    (tmp_path / "ours").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("dpkg", "apt-get"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{policy} mysql start\n[ $? = 101 ]\n")
    for program in (theirs, *(tmp_path / "bin").iterdir()):
        program.chmod(0o755)
    policy.symlink_to("theirs")
    there = f"s#/usr/sbin/policy-rc.d#{policy}#g; s#/var/lib/nova-infra#{tmp_path}/ours#g"
    moved = Call(f"packages_session=$(printf '%s' \"$packages_session\" | sed '{there}'); PATH={tmp_path}/bin:$PATH")
    status, _, complaint = run(ours, moved, Call('sh -c "$packages_session" all-yes install nova-api || exit 1'))
    assert status == 0, complaint
    assert asked.read_text() == "mysql\n"
    assert policy.readlink() == Path("theirs")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["asked", "bin", "ours", "policy-rc.d", "theirs"]
