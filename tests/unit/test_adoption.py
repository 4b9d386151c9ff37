"""What was on a machine before us: seen before it is touched, kept, and put back."""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from pathlib import Path

import pytest

from nova_infra import adoption, node
from nova_infra.errors import Refused
from nova_infra.remote.inspection import Facts, Question, facts_of
from nova_infra.remote.script import Answer, Call, call

from .nodes import NOVA_CONF, SQLITE, Machine, facts_of_case, state_of
from .test_script import facts, ours, run  # noqa: F401 - a fixture

WANTED = {"DEFAULT": {"verbose": "True", "rabbit_password": "hunter2"}, "glance": {"host": "controller"}}
STATE = state_of({"options": {NOVA_CONF: WANTED}, "services": {"nova-api": {}, "nova-cert": {}}})
BY_HAND = "[DEFAULT]\nverbose = False\nrabbit_password = swordfish\nec2_pin = 4711\n"


def met(content: str, origin: str, *, kind: str = "file", note: str | None = None) -> Facts:
    """A machine whose nova.conf holds this, with nova-api running."""
    machine = {
        "files": {NOVA_CONF: {"content": content, "kind": kind}},
        "services": {"nova-api": {}, "nova-cert": {"pid": 0, "enabled": False}},
    }
    return dataclasses.replace(facts_of_case(machine, STATE), origins={NOVA_CONF: origin}, notes={node.FOUND: note})


# ------------------------------------------------------------ a file that somebody else wrote


def test_a_file_written_by_hand_is_refused_with_each_option_that_differs() -> None:
    with pytest.raises(Refused) as refusal:
        adoption.begin(STATE, met(BY_HAND, "foreign"))
    lines = [line.strip() for line in str(refusal.value).splitlines()]
    assert lines[1:6] == [
        NOVA_CONF,
        "[DEFAULT] ec2_pin: not in the stack",
        "[DEFAULT] rabbit_password: another value",
        "[DEFAULT] verbose: another value",
        "[glance] host: not in the file",
    ]
    assert all(word in str(refusal.value) for word in ("controller (10.0.0.11)", "adopt: true", "pulumi up"))


def test_a_refusal_shows_no_value_that_may_be_a_secret() -> None:
    with pytest.raises(Refused) as refusal:
        adoption.begin(STATE, met(BY_HAND, "foreign"))
    assert not [secret for secret in ("hunter2", "swordfish", "4711") if secret in str(refusal.value)]


@pytest.mark.parametrize("origin", ["packaged", "ours", "none"])
def test_a_file_of_the_package_or_of_an_earlier_run_is_overwritten(origin: str) -> None:
    assert "put_file" in [each.function for each in adoption.begin(STATE, met(BY_HAND, origin))]


def test_a_file_by_hand_is_overwritten_once_the_stack_says_so() -> None:
    calls = adoption.begin({**STATE, "adopt": True}, met(BY_HAND, "foreign"))
    assert "put_file" in [each.function for each in calls]


def test_a_file_by_hand_that_says_the_same_is_nothing_to_refuse() -> None:
    same = "# mine\n[glance]\nhost: controller\n[DEFAULT]\nrabbit_password=hunter2\nverbose='True'\n"
    assert "put_file" not in [each.function for each in adoption.begin(STATE, met(same, "foreign"))]


@pytest.mark.parametrize("kind", ["link", "other"])
def test_what_is_no_file_is_refused_too(kind: str) -> None:
    with pytest.raises(Refused, match=f"is a {kind}, not a file"):
        adoption.begin(STATE, met("/etc/elsewhere", "foreign", kind=kind))


def test_a_file_by_hand_that_does_not_parse_is_refused_without_its_text() -> None:
    with pytest.raises(Refused, match="line 2") as refusal:
        adoption.begin(STATE, met("[DEFAULT]\nsword fish\n", "foreign"))
    assert "sword fish" not in str(refusal.value)


def test_only_files_that_are_new_to_the_stack_are_asked_about() -> None:
    assert "read_origins" not in [each.function for each in node.question(STATE).calls()]
    asked = [str(each) for each in node.question(STATE, [NOVA_CONF]).calls()]
    assert f"read_origins {NOVA_CONF}" in asked


# ------------------------------------------------------------ services that ran before us


def test_what_ran_before_us_is_noted_before_anything_is_done() -> None:
    first = adoption.begin(STATE, met(BY_HAND, "packaged"))[0]
    assert first.function == "add_lines"
    assert first.arguments == (node.FOUND, "nova-api running enabled -\nnova-cert stopped disabled -")


def test_a_run_that_was_cut_off_has_noted_it_already() -> None:
    noted = "nova-api stopped enabled -\nnova-cert stopped enabled -"
    assert "add_lines" not in [each.function for each in adoption.begin(STATE, met(BY_HAND, "packaged", note=noted))]


def test_a_service_that_the_stack_names_later_is_noted_then_and_runs_again_after_destroy() -> None:
    seen = met(BY_HAND, "ours", note="nova-cert stopped enabled -")
    first = adoption.begin(STATE, seen)[0]
    assert first.arguments == (node.FOUND, "nova-api running enabled -")
    seen.notes[node.FOUND] = f"{first.arguments[1]}\n{seen.notes[node.FOUND]}"
    assert "give_back_service nova-api enabled running" in [str(each) for each in adoption.undo(STATE, seen)]


def test_a_service_that_we_have_started_did_not_run_before_us_whatever_became_of_the_note() -> None:
    seen = met(BY_HAND, "ours")
    process = seen.services["nova-api"]
    seen.services["nova-api"] = dataclasses.replace(process, noted_ticks=process.ticks)
    assert adoption.begin(STATE, seen)[0].arguments[1].splitlines()[0] == "nova-api stopped enabled -"


@pytest.mark.parametrize(
    ("origin", "added", "word"),
    [
        ("foreign", None, "running enabled by-hand"),
        ("packaged", None, "running enabled -"),
        ("foreign", "nova-api\nnova-common", "stopped enabled -"),
    ],
    ids=["configured by hand", "as its package starts it", "installed by us, and started by a reboot"],
)
def test_only_what_somebody_had_configured_worked_before_us(origin: str, added: str | None, word: str) -> None:
    seen = met(BY_HAND, origin)
    seen.notes[node.ADDED] = added
    first = adoption.begin({**STATE, "adopt": True}, seen)[0]
    assert first.arguments[1].splitlines()[0] == f"nova-api {word}"
    noted = dataclasses.replace(seen, notes={node.FOUND: first.arguments[1]})
    assert adoption.worked_before(noted) == ({"nova-api"} if word.endswith("by-hand") else set())


def undone(note: str | None) -> list[str]:
    return [str(each) for each in adoption.undo(STATE, met(BY_HAND, "ours", note=note))]


def test_undoing_stops_the_services_then_puts_the_files_back_then_removes_the_notes() -> None:
    assert undone("nova-api stopped enabled -\nnova-cert stopped disabled -") == [
        "stop_services nova-api nova-cert",
        f"put_back_original {NOVA_CONF}",
        "put_back_original /etc/init/nova-api.override",
        "put_back_original /etc/init/nova-cert.override",
        "give_back_service nova-api enabled stopped",
        "give_back_service nova-cert disabled stopped",
        "remove_notes service.nova-api service.nova-cert",
        f"put_back_original {SQLITE}",
        f"remove_lines {node.FOUND} nova-api nova-cert",
        "remove_notes",
    ]


def test_what_an_earlier_run_has_given_back_is_not_stopped_again() -> None:
    def noted(note: str | None) -> bool:
        return adoption.is_ours(STATE, met(BY_HAND, "foreign", note=note))

    assert noted("nova-api running enabled by-hand")
    # The note goes last: after all of it the engine may have died before it could write that down.
    assert not noted(None)
    # Another role of the same machine, in somebody's own program.
    assert not noted("nova-compute running enabled -")


def test_a_service_that_the_stack_no_longer_names_is_given_back_once() -> None:
    # What came behind it has failed: the state still names the service.
    again = met(BY_HAND, "ours", note="nova-cert stopped disabled -")
    assert adoption.leave(["nova-api"], [], again) == []
    # One that a stack of before named later has no line, but was started by us.
    again.services["nova-api"] = dataclasses.replace(again.services["nova-api"], noted_ticks="5000")
    assert "stop_services nova-api" in [str(each) for each in adoption.leave(["nova-api"], [], again)]


def test_a_service_that_ran_before_us_runs_again_with_its_own_file() -> None:
    done = undone("nova-api running enabled -\nnova-cert stopped disabled -")
    assert done.index("give_back_service nova-api enabled running") > done.index(f"put_back_original {NOVA_CONF}")
    assert "give_back_service nova-cert disabled stopped" in done


def test_a_service_starts_at_boot_as_it_did_before_us() -> None:
    assert "give_back_service nova-cert enabled stopped" in undone(
        "nova-api stopped enabled -\nnova-cert stopped enabled -"
    )


def test_a_service_that_the_stack_no_longer_names_is_what_it_was_before_us() -> None:
    seen = met(BY_HAND, "ours", note="nova-api running enabled -\nnova-cert stopped disabled -")
    assert [str(each) for each in adoption.leave(["nova-api"], [], seen)] == [
        "stop_services nova-api",
        "put_back_original /etc/init/nova-api.override",
        "give_back_service nova-api enabled running",
        "remove_notes service.nova-api",
        f"remove_lines {node.FOUND} nova-api",
    ]


def test_a_first_run_that_finds_everything_as_wanted_notes_it_and_does_no_more() -> None:
    machine = Machine(STATE, "kvm")
    machine.do(node.decide(STATE, machine.facts()))
    machine.clock += 60
    seen = dataclasses.replace(machine.facts(), notes={node.FOUND: None})
    assert [each.function for each in adoption.begin(STATE, seen)] == ["add_lines"]


# ------------------------------------------------------------ on the machine


def kept(tmp_path: Path, path: Path) -> Path:
    return Path(f"{tmp_path}/ours/original{path}")


def put(path: Path, content: str) -> Call:
    return call("put_file", str(path), path.owner(), path.group(), "640", content)


def test_what_is_kept_is_for_root_only_and_comes_back_with_its_own_mode_and_time(tmp_path: Path, ours: Call) -> None:  # noqa: F811
    path = tmp_path / "nova.conf"
    path.write_text("theirs")
    path.chmod(0o664)
    before = path.stat()
    run(ours, put(path, "ours"))
    assert oct(kept(tmp_path, path).stat().st_mode)[-3:] == "600"
    run(ours, call("put_back_original", str(path)))
    after = path.stat()
    assert path.read_text() == "theirs"
    assert (after.st_mode, after.st_uid, int(after.st_mtime)) == (before.st_mode, before.st_uid, int(before.st_mtime))


def test_a_file_of_which_only_the_mode_was_changed_gets_its_own_mode_back(tmp_path: Path, ours: Call) -> None:  # noqa: F811
    path = tmp_path / "nova-compute.conf"
    path.write_text("theirs")
    path.chmod(0o644)
    run(ours, put(path, "theirs"))
    assert oct(path.stat().st_mode)[-3:] == "640"
    run(ours, call("put_back_original", str(path)))
    assert oct(path.stat().st_mode)[-3:] == "644"


def test_a_link_is_kept_as_a_link_and_its_target_is_not_written_to(tmp_path: Path, ours: Call) -> None:  # noqa: F811
    target, path = tmp_path / "target", tmp_path / "nova.conf"
    target.write_text("theirs")
    path.symlink_to(target)
    run(ours, put(path, "ours"))
    assert not path.is_symlink()
    assert target.read_text() == "theirs"
    run(ours, call("put_back_original", str(path)))
    assert path.readlink() == target


def test_what_root_keeps_is_never_what_a_link_names_that_took_the_files_place_meanwhile(
    tmp_path: Path,
    ours: Call,  # noqa: F811
) -> None:
    path, secret = tmp_path / "nova.conf", tmp_path / "shadow"
    secret.write_text("root:hash")
    path.write_text("theirs")
    swap = f"rm {shlex.quote(str(path))}; ln -s {shlex.quote(str(secret))} {shlex.quote(str(path))}"
    race = Call(f'cp() {{ {swap}; unset -f cp; command cp "$@"; }}')
    run(ours, race, call("keep_original", str(path)))
    assert "root:hash" not in "".join(
        each.read_text() for each in (tmp_path / "ours").rglob("*") if each.is_file() and not each.is_symlink()
    )
    run(ours, call("put_back_original", str(path)))
    assert path.is_symlink()


@pytest.mark.parametrize("exists", [True, False])
def test_a_file_is_ours_from_the_moment_that_it_was_kept(tmp_path: Path, ours: Call, exists: bool) -> None:  # noqa: F811
    path = tmp_path / "nova.conf"
    if exists:
        path.write_text("theirs")
    ask = call("read_origins", str(path))
    assert facts(ours, ask) == [("origin", str(path), "foreign" if exists else "none")]
    run(ours, call("keep_original", str(path)))
    assert facts(ours, ask) == [("origin", str(path), "ours")]


def test_dpkg_and_ucf_say_what_a_package_brought(tmp_path: Path, ours: Call) -> None:  # noqa: F811
    conffile, managed, edited = (tmp_path / name for name in ("conffile", "managed", "edited"))
    for path in (conffile, managed, edited):
        path.write_text(path.name)
    sums = {path: run_md5(path) for path in (conffile, managed, edited)}
    # The lines of dpkg-query(1), format ${Conffiles}, an obsolete one among them, and of ucf(1)'s hashfile.
    lines = f" {conffile} {sums[conffile]}\n {tmp_path}/old {sums[edited]} obsolete\n {edited} {sums[conffile]}"
    program = tmp_path / "bin" / "dpkg-query"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'L'\n{lines}\nL\n")
    program.chmod(0o755)
    dpkg = Call(f"PATH={shlex.quote(str(program.parent))}:$PATH")
    ucf = Call(f"cat() {{ [ \"$1\" != /var/lib/ucf/hashfile ] || echo '{sums[managed]}  {managed}'; }}")
    asked = [call("read_origins", str(conffile), str(managed), str(edited))]
    assert facts(ours, dpkg, ucf, *asked) == [
        ("origin", str(conffile), "packaged"),
        ("origin", str(managed), "packaged"),
        ("origin", str(edited), "foreign"),
    ]


def run_md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_the_answer_about_files_is_among_the_facts() -> None:
    answer = Answer(
        [
            ("hostname", "n"),
            ("now", "1"),
            ("later", "1"),
            ("virt_type", "kvm"),
            ("init", "sysv"),
            ("origin", NOVA_CONF, "foreign"),
        ]
    )
    assert facts_of(answer).origins == {NOVA_CONF: "foreign"}
    assert "read_origins" in [each.function for each in Question(origins=[NOVA_CONF]).calls()]
