"""oslo.config files: what is written is what nova reads. The reader here is oslo.config itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oslo_config import cfg

from nova_infra.configuration import Value, encode, merge, read_options, write_options
from nova_infra.errors import UnreadableFile, UnsupportedValue

NEWLINES = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
one_value = st.text(st.one_of(st.sampled_from("$\"' \t\\#;={}[]%"), st.characters(codec="utf-8")), max_size=20)
hostile_value = one_value.filter(lambda text: not set(text) & {chr(code) for code in range(32)} - {"\t"})
carried = hostile_value.filter(lambda text: not set(text) & {"\x7f", *NEWLINES} and "\\$" not in text)


def as_nova_reads(path: Path, options: Mapping[str, Mapping[str, Value]]) -> dict[str, dict[str, Any]]:
    """The values that oslo.config hands to nova for these options of the file."""
    conf = cfg.ConfigOpts()
    for section, values in options.items():
        for option, value in values.items():
            kind = cfg.MultiStrOpt if isinstance(value, list) else cfg.StrOpt
            conf.register_opt(kind(option), group=None if section == "DEFAULT" else section)
    conf([], project="nova", default_config_files=[str(path)], default_config_dirs=[])
    return {
        section: {option: (conf if section == "DEFAULT" else conf[section])[option] for option in values}
        for section, values in options.items()
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("etc") / "nova.conf"


@settings(max_examples=300, deadline=None)
@given(
    options=st.fixed_dictionaries(
        {"DEFAULT": st.fixed_dictionaries({"one": carried, "many": st.lists(carried, min_size=1, max_size=3)})},
        optional={"libvirt": st.fixed_dictionaries({"virt_type": carried})},
    )
)
@example(options={"DEFAULT": {"one": "p$$a$my_ip", "many": ["'", '"']}})
@example(options={"DEFAULT": {"one": " '$' ", "many": ["", " "]}})
def test_nova_reads_exactly_what_was_written(file: Path, options: dict[str, dict[str, Value]]) -> None:
    file.write_text(write_options(options), encoding="utf-8")
    assert as_nova_reads(file, options) == options


@settings(max_examples=300, deadline=None)
@given(value=carried, others=st.lists(carried, min_size=2, max_size=3))
def test_we_read_back_what_we_wrote(value: str, others: list[str]) -> None:
    options: dict[str, dict[str, Value]] = {"DEFAULT": {"one": value, "many": others}}
    assert read_options(write_options(options), "nova.conf") == options


@settings(max_examples=500, deadline=None)
@given(value=st.text(st.characters(), max_size=10))
@example(value="\ud800")
def test_any_text_is_carried_or_refused(file: Path, value: str) -> None:
    try:
        text = write_options({"DEFAULT": {"one": value}})
    except UnsupportedValue:
        return
    file.write_text(text, encoding="utf-8")
    assert as_nova_reads(file, {"DEFAULT": {"one": value}}) == {"DEFAULT": {"one": value}}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("pa$$word", "pa$$$$word"),
        ("ends with $", "ends with $$"),
        ('"quoted"', '""quoted""'),
        ("'quoted'", "\"'quoted'\""),
        ("it's", "it's"),
        (" led by a space", '" led by a space"'),
        ("Passwörter", "Passwörter"),
        ("", ""),
    ],
)
def test_the_rules_of_the_format(value: str, written: str) -> None:
    assert encode(value) == written


@pytest.mark.parametrize("value", [f"two{newline}lines" for newline in NEWLINES])
def test_a_value_with_a_newline_is_refused(value: str) -> None:
    with pytest.raises(UnsupportedValue, match="newline or another control character"):
        encode(value)


@pytest.mark.parametrize("value", ["nul\0", "bell\a", "escape\x1b[2J", "delete\x7f"])
def test_a_control_character_is_refused(value: str) -> None:
    with pytest.raises(UnsupportedValue, match="control character"):
        encode(value)


def test_a_backslash_before_a_dollar_sign_is_refused_because_releases_differ() -> None:
    with pytest.raises(UnsupportedValue, match="backslash before a dollar sign"):
        encode(r"\$ecret")


def test_a_refusal_does_not_quote_the_value() -> None:
    with pytest.raises(UnsupportedValue) as refusal:
        encode("hunter2\n")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["", "with space", "a=b", "a:b", "a\nb", "#a", "[a]", " a"])
def test_a_name_that_the_file_cannot_carry_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedValue):
        write_options({"DEFAULT": {name: "value"}})


@pytest.mark.parametrize("section", ["", "a]b", "a\nb"])
def test_a_section_that_the_file_cannot_carry_is_refused(section: str) -> None:
    with pytest.raises(UnsupportedValue):
        write_options({section: {"option": "value"}})


def test_the_file_has_its_heading_then_default_then_the_other_sections() -> None:
    options: dict[str, dict[str, Value]] = {"database": {"connection": "x"}, "DEFAULT": {"b": ["1", "2"], "a": "0"}}
    assert write_options(options, "By hand: no.\nSecond line.").splitlines() == [
        "# By hand: no.",
        "# Second line.",
        "",
        "[DEFAULT]",
        "a = 0",
        "b = 1",
        "b = 2",
        "",
        "[database]",
        "connection = x",
    ]


@pytest.mark.parametrize(("first", "second", "read"), [("Libvirt", "libvirt", "2"), ("libvirt", "Libvirt", "2")])
def test_nova_takes_sections_that_differ_only_in_case_for_one_and_the_later_one_counts(
    tmp_path: Path, first: str, second: str, read: str
) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(f"[{first}]\nvirt_type = 1\n[{second}]\nvirt_type = 2\n")
    assert as_nova_reads(path, {"libvirt": {"virt_type": ""}}) == {"libvirt": {"virt_type": read}}
    # But for DEFAULT, which is no other.
    path.write_text("[default]\na = 1\n[DEFAULT]\nb = 2\n")
    assert as_nova_reads(path, {"DEFAULT": {"a": "", "b": ""}}) == {"DEFAULT": {"a": None, "b": "2"}}


# ------------------------------------------------------------ reading


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[DEFAULT]\r\na = 1\r\n", "1"),
        ("[DEFAULT]\na=1", "1"),
        ("[DEFAULT]\na: 1\n", "1"),
        ("[DEFAULT]\na = 'one'\n", "one"),
        ("[DEFAULT]\na = one # two\n", "one # two"),
        ("[DEFAULT]\n# a = 0\n; a = 0\na = 1\n", "1"),
        ("[DEFAULT]\na = 1\n[other]\nb = 2\n[DEFAULT]\na = 3\n", ["1", "3"]),
        ("[DEFAULT]\na = 1\na = 2\na = 1\n", ["1", "2", "1"]),
        ("[DEFAULT]\na =\n", ""),
        ("[DEFAULT]\na = one\n  two\n", "one\ntwo"),
        ("[DEFAULT]\na = x$$y\n", "x$y"),
    ],
    ids=[
        "windows line ends",
        "no spaces, no last newline",
        "a colon",
        "one pair of quotes goes",
        "a comment after a value is part of it",
        "comments are not options",
        "a section twice",
        "a doubled option is a list",
        "empty",
        "a continued line",
        "a doubled dollar sign is one",
    ],
)
def test_reading(text: str, value: Value) -> None:
    assert read_options(text, "nova.conf")["DEFAULT"]["a"] == value


@pytest.mark.parametrize("written", ["$my_ip", "http://$my_ip:80", "${my_ip}", "$$$my_ip", r"\$my_ip"])
def test_a_reference_is_never_taken_for_the_text_that_looks_like_it(written: str) -> None:
    read = read_options(f"[DEFAULT]\na = {written}\n", "nova.conf")["DEFAULT"]["a"]
    assert isinstance(read, str)
    # The stack's value is literal; were it equal, a hand-made reference would look as if nothing had changed.
    for wanted in (written, written.replace("$$", "$"), written.replace("\\", "")):
        assert read != wanted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[DEFAULT]\nhunter2\n", 2),
        ("[DEFAULT\n", 1),
        ("[DEFAULT]\na = 1\n\n  hunter2\n", 4),
        ("password = hunter2\n[DEFAULT]\n", None),
    ],
)
def test_a_file_that_does_not_parse_is_named_with_the_line_and_without_its_text(text: str, line: int | None) -> None:
    with pytest.raises(UnreadableFile, match=f"nova.conf, line {line or ''}") as error:
        read_options(text, "/etc/nova/nova.conf")
    assert "hunter2" not in str(error.value)


# ------------------------------------------------------------ layers


def test_the_later_layer_wins_option_by_option() -> None:
    assert merge([{"a": {"x": "1", "y": "1"}}, {"a": {"y": "2"}, "b": {"z": "2"}}]) == {
        "a": {"x": "1", "y": "2"},
        "b": {"z": "2"},
    }


def test_none_removes_an_option_and_a_section_without_options_goes() -> None:
    assert merge([{"a": {"x": "1"}, "b": {"y": "1"}}, {"a": {"x": None}}]) == {"b": {"y": "1"}}


def test_a_layer_after_one_that_removed_sets_the_option_again() -> None:
    assert merge([{"a": {"x": "1"}}, {"a": {"x": None}}, {"a": {"x": "3"}}]) == {"a": {"x": "3"}}


layer = st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), st.none() | st.just("v")))


@given(first=layer, second=layer, third=layer)
def test_merging_never_leaves_none_nor_an_empty_section_nor_changes_a_layer(
    first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    before = repr([first, second, third])
    merged = merge([first, second, third])
    assert repr([first, second, third]) == before
    for section, options in merged.items():
        assert options
        for option, value in options.items():
            said = [each[section][option] for each in (first, second, third) if option in each.get(section, {})]
            assert value == said[-1] is not None
