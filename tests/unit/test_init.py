"""What `python -m nova_infra init` asks, and what it makes of the answers. No pulumi."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_infra.commands import init
from nova_infra.commands.init import Ask, NewStack, _passphrase_of_the_project, answered, asked, with_servers_at, write
from nova_infra.errors import InvalidSettings, NotWritten, Refused
from tests.error_rows import assert_printed

from .test_settings import PASSWORDS, parsed

PASSWORDS_TYPED = ["RABBIT_PASS", "ADMIN_PASS", "DB_ROOT_PASS"]
SHORTEST = ["controller 10.0.0.11", "", "compute1 10.0.0.31", "", "", "", ""]


def typing(answers: Iterable[str]) -> tuple[Ask, list[str]]:
    """Somebody who types these answers, and the questions that were asked."""
    questions: list[str] = []
    left = iter(answers)

    def ask(question: str) -> str:
        questions.append(question)
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    return ask, questions


def after(answers: list[str], passwords: list[str] | None = None) -> dict[str, Any]:
    return asked(typing(answers)[0], typing(PASSWORDS_TYPED if passwords is None else passwords)[0])[0]


def test_only_what_has_no_default_is_asked_and_only_that_is_written() -> None:
    assert after(SHORTEST) == {
        "controllers": [{"name": "controller", "address": "10.0.0.11"}],
        "computes": [{"name": "compute1", "address": "10.0.0.31"}],
    }


def test_nova_s_own_passwords_are_not_asked_for() -> None:
    ask, questions = typing(PASSWORDS_TYPED)
    _, passwords = asked(typing(SHORTEST)[0], ask)
    assert [question.partition(" ")[0] for question in questions] == [
        "rabbitPassword",
        "adminPassword",
        "databaseAdminPassword",
    ]
    assert passwords == {key: PASSWORDS[key] for key in passwords}


def test_ranges_logins_and_keys_are_taken() -> None:
    settings = after(
        ["c1 10.0.0.11", "c2 10.0.0.12", "", "compute[001-120] 10.0.0.31", "", "ubuntu", "~/.ssh/id_ed25519", ""]
    )
    assert settings["ssh"] == {"user": "ubuntu", "private_key_file": "~/.ssh/id_ed25519"}
    assert len(parsed(settings).computes) == 120
    assert [each.name for each in parsed(settings).controllers] == ["c1", "c2"]


def test_the_servers_are_on_the_first_controller_unless_another_host_is_named() -> None:
    settings = parsed(after(["ctl 10.0.0.11", "", "", "", "", ""]))
    assert (settings.database.host, settings.image.host, settings.message_queue.hosts) == ("ctl", "ctl", ["ctl"])
    assert settings.identity.public_url == "http://ctl:5000/v2.0"
    assert settings.endpoint.public_url == "http://ctl:8774/v2/%(tenant_id)s"
    elsewhere = parsed(after(["ctl 10.0.0.11", "", "", "", "", "2001:db8::5"]))
    assert elsewhere.identity.admin_url == "http://[2001:db8::5]:35357/v2.0"
    assert elsewhere.database.host == "2001:db8::5"


def test_no_setting_speaks_of_the_guide_s_host_when_the_servers_are_elsewhere() -> None:
    settings = parsed(with_servers_at("servers.example.org"))
    dumped = settings.model_dump(exclude={"controllers", "computes", "secrets"})
    assert "controller" not in str({key: each for key, each in dumped.items() if key not in ("options", "packages")})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("compute1", "A host name and an address, with a space between them."),
        ("compute1 10.0.0.300", "computes[0].address: '10.0.0.300' is no IP address"),
        ("controller 10.0.0.31", "puts nova-compute on controller"),
        ("compute[1-300] 10.0.0.31", "do not fit into 10.0.0.0/24"),
    ],
)
def test_an_answer_that_cannot_be_is_said_and_asked_again(
    wrong: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask, questions = typing(["controller 10.0.0.11", "", wrong, "compute1 10.0.0.31", "", "", "", ""])
    settings, _ = asked(ask, typing(PASSWORDS_TYPED)[0])
    assert said in capsys.readouterr().out
    assert questions.count("Compute 1: ") == 2
    assert settings["computes"] == [{"name": "compute1", "address": "10.0.0.31"}]


def test_a_controller_is_asked_for_until_there_is_one() -> None:
    assert after(["", "", *SHORTEST])["controllers"] == [{"name": "controller", "address": "10.0.0.11"}]


def test_an_empty_password_is_asked_for_again() -> None:
    ask, questions = typing(["", "  ", *PASSWORDS_TYPED])
    _, passwords = asked(typing(SHORTEST)[0], ask)
    assert len(questions) == 5
    assert passwords["rabbitPassword"] == "RABBIT_PASS"


@pytest.mark.parametrize("kept", range(len(SHORTEST)))
def test_answers_that_end_early_write_nothing(kept: int) -> None:
    with pytest.raises(NotWritten, match="nothing is written"):
        after(SHORTEST[:kept])


@pytest.mark.parametrize("name", ["a b", "", "a/", "a/b/c/d", "é", "a\nb", "x" * 101])
def test_what_is_no_name_for_a_stack_is_said_first(name: str) -> None:
    with pytest.raises(NotWritten) as refusal:
        init.run(argparse.Namespace(stack=name, answers="", secrets_provider=""))
    assert_printed("no name for a stack", str(refusal.value))


# ------------------------------------------------------------ a file of answers


def test_a_file_has_settings_and_passwords_by_the_keys_of_a_stack() -> None:
    settings, passwords = answered(
        {"controllers": [], "ssh": {"user": "ops"}, "adminPassword": "x", "sudoPassword": "y"}
    )
    assert settings == {"controllers": [], "ssh": {"user": "ops"}}
    assert passwords == {"adminPassword": "x", "sudoPassword": "y"}


@pytest.mark.parametrize("document", [None, [], "text", 3])
def test_a_file_that_is_no_mapping_is_refused(document: object) -> None:
    with pytest.raises(InvalidSettings, match="is no mapping"):
        answered(document)


def test_a_password_that_yaml_reads_as_a_number_is_refused_without_saying_it() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        answered({"adminPassword": 8675309})
    assert str(refusal.value.problems[0]) == "adminPassword: must be a text"


@pytest.mark.usefixtures("nothing_collected")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("region: 2014-11-22", "region: holds what YAML takes for a date"),
        ("options: { all: { DEFAULT: { built: 2014-11-22 } } }", "options: holds what YAML takes for a date"),
        ("options: !!set { all }", "a set"),
        ("options: &all { all: *all }", "options: holds itself"),
        ("region: 2014-13-45", "cannot be read: it is no YAML"),
        ("options: " + "[" * 5000, "cannot be read: it is no YAML"),
    ],
)
def test_what_yaml_may_hold_and_a_configuration_may_not_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises((InvalidSettings, NotWritten), match=said):
        answered(init._document(file))


# ------------------------------------------------------------ a file that is there already


def test_a_file_that_is_no_text_is_somebodys_and_is_left(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.production.yaml"
    file.write_bytes("# für uns\n".encode("latin-1"))
    with pytest.raises(Refused, match="has settings already"):
        init._refuse_to_overwrite(file)


@pytest.fixture
def new_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> NewStack:
    """A stack whose pulumi takes everything, and writes no secrets."""
    monkeypatch.setattr(init, "_pulumi", lambda *_words, **_more: None)
    return NewStack("tryout", tmp_path / "Pulumi.tryout.yaml", "nova")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# of ours\n",
        "# of ours",
        "null\n",
        "---\n",
        "{}\n",
        "config: {}\n",
        "config:\n",
        "# of ours\nencryptionsalt: v1:x\n",
        "encryptionsalt: v1:x",
        "config: {} # of ours\nencryptionsalt: v1:x\n",
        'encryptionsalt: v1:x\n"config":\n  {}\n# of ours\n',
        "{encryptionsalt: v1:x, config: null}",
    ],
)
def test_a_file_without_settings_gets_them_once_and_keeps_what_else_it_has(new_stack: NewStack, text: str) -> None:
    new_stack.file.write_text(text)
    write(new_stack, {"region": "regionOne"}, {})
    written = new_stack.file.read_text()
    keys = [key.value for key, _ in yaml.compose(written).value]
    assert sorted(keys) == sorted({"config", *(["encryptionsalt"] if "salt" in text else [])})
    assert yaml.safe_load(written)["config"] == {"nova:region": "regionOne"}
    assert written.count("# of ours") == text.count("# of ours")
    assert ("v1:x" in written) == ("v1:x" in text)


@pytest.mark.parametrize("text", ["config: {nova:region: x}\n", "config: [\n", "- config\n"])
def test_a_file_that_has_settings_or_is_something_else_is_left_as_it_is(new_stack: NewStack, text: str) -> None:
    new_stack.file.write_text(text)
    with pytest.raises(Refused, match="is left as it is"):
        write(new_stack, {"region": "regionOne"}, {})
    assert new_stack.file.read_text() == text


@pytest.mark.parametrize(
    ("file", "encrypts", "refused"),
    [
        ("{project}/lab/passphrase", ("", "file:///srv/states"), True),
        ("lab/passphrase", ("passphrase", "https://api.pulumi.com"), True),
        ("{project}/../link", ("default", "s3://states"), True),
        ("{project}/../passphrase", ("", "s3://states"), False),
        ("{project}-2/passphrase", ("", "s3://states"), False),
        ("lab/passphrase", ("", "https://api.pulumi.com"), False),
        ("lab/passphrase", ("awskms://alias/nova", "s3://states"), False),
        ("", ("", "s3://states"), False),
    ],
)
def test_a_passphrase_in_the_project_s_folder_is_found_where_it_is_what_encrypts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, encrypts: tuple[str, str], refused: bool
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "link").symlink_to(project / "lab" / "passphrase")
    monkeypatch.chdir(project)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", file.format(project=project))
    assert bool(_passphrase_of_the_project(*encrypts)) is refused
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert not _passphrase_of_the_project(*encrypts)
