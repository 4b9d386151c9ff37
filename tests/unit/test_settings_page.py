"""docs/settings.md and Pulumi.yaml say what the models of the settings say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from nova_infra.ranges import expanded
from nova_infra.settings import OPTIONAL_SECRETS, SECRETS, Settings
from nova_infra.stack_config import parse

from .test_settings import PASSWORDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
DECLARED = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
FIELDS = {to_camel(name): field for name, field in Settings.model_fields.items() if name != "secrets"}
ALL_SECRETS = {**SECRETS, **OPTIONAL_SECRETS}


def rows(part: str) -> list[list[str]]:
    """The rows of the tables in a part of the page, without heading."""
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def parts() -> dict[str, str]:
    """Heading -> what is below it."""
    found = re.split(r"^## (.*)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def examples() -> list[dict[str, Any]]:
    """The configuration in each block of YAML."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(block)["config"] for block in blocks]


def loaded(values: dict[str, Any]) -> Settings:
    """Settings from the values of a stack file, as the engine hands them out, with the page's smallest stack below them."""
    plain = {**examples()[0], **values}
    texts = {
        key.removeprefix("nova:"): each if isinstance(each, str) else json.dumps(each) for key, each in plain.items()
    }
    hidden = {**PASSWORDS, "vcenterPassword": "hunter2"} if "vcenterPassword" in json.dumps(plain) else PASSWORDS
    texts |= hidden
    return parse(texts.get, keys=list(texts), is_secret=hidden.__contains__)


def test_the_page_and_pulumi_yaml_are_what_is_generated_from_the_models() -> None:
    command = [sys.executable, ROOT / "toolchain" / "settings-page", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------ the page


def test_every_key_has_a_row_and_every_row_is_a_key() -> None:
    plain = {key for key, field in FIELDS.items() if not _models(field)}
    assert {row[0].strip("`") for row in rows(parts()["The stack"])} == plain
    for key, field in FIELDS.items():
        for model in _models(field):
            assert {row[0].strip("`") for row in rows(parts()[key])} == set(model.model_fields), key
    assert {row[0].strip("`") for row in rows(parts()["Secrets"])} == set(ALL_SECRETS)
    assert set(parts()) == {"The stack", "Secrets", *(key for key, field in FIELDS.items() if _models(field))}


def test_every_cell_says_something() -> None:
    for heading, part in parts().items():
        for row in rows(part):
            assert len(row) == (3 if heading == "Secrets" else 4)
            assert all(cell and cell != "None" for cell in row), row


@pytest.mark.parametrize("values", examples(), ids=lambda values: next(iter(values)))
def test_every_example_is_accepted(values: dict[str, Any]) -> None:
    settings = loaded(values)
    for key, value in values.items():
        field = next(name for name in Settings.model_fields if to_camel(name) == key.removeprefix("nova:"))
        written, taken = json.loads(json.dumps(value)), getattr(settings, field)
        if not isinstance(taken, BaseModel | list):
            assert str(taken) == str(written)
            continue
        # A range is many nodes.
        nodes = expanded(written).computes if key == "nova:computes" else written
        for said, got in zip(_list(nodes), _list(taken), strict=True):
            # What is said in the example is in the settings; options become text.
            assert key == "nova:options" or {name: getattr(got, name) for name in said if name != "nodes"} == {
                name: each for name, each in said.items() if name != "nodes"
            }


def test_every_key_of_the_page_stands_in_an_example() -> None:
    set_in_examples = {key.removeprefix("nova:"): value for values in examples() for key, value in values.items()}
    for heading, part in parts().items():
        for row in rows(part):
            key = row[0].strip("`")
            if heading == "Secrets":
                continue
            if heading == "The stack":
                assert key in set_in_examples, key
            else:
                assert any(key in each for each in _list(set_in_examples[heading])), f"{heading}.{key}"


def test_a_default_on_the_page_is_that_of_the_model() -> None:
    for key, field in FIELDS.items():
        for model in _models(field):
            for row in rows(parts()[key]):
                one = model.model_fields[row[0].strip("`")]
                if row[2] == "required":
                    assert one.is_required()
                else:
                    default = one.get_default(call_default_factory=True)
                    shown = "" if row[2] == "empty" else yaml.safe_load(row[2].strip("`"))
                    assert (shown or None) == (default or None), row


# ------------------------------------------------------------ Pulumi.yaml


def test_the_engine_knows_every_key_and_no_other() -> None:
    assert set(DECLARED) == {*FIELDS, *ALL_SECRETS}


@pytest.mark.parametrize("key", sorted(FIELDS))
def test_the_engine_has_the_default_and_description_of_the_model_and_leaves_types_to_it(key: str) -> None:
    field, declared = FIELDS[key], DECLARED[key]
    # With a type the engine ends at the first value that has another one, and the other problems stay unsaid.
    assert set(declared) == {"default", "description"}
    said, _, types = declared["description"].rpartition(" (")
    if isinstance(field.default, BaseModel):
        assert declared["default"] == {}
        assert type(field.default).model_validate({}) == field.default
        assert said == str(type(field.default).__doc__).strip().split("\n\n")[0].replace("\n", " ")
        assert types == "object)"
    else:
        machines = key in ("controllers", "computes")
        assert (declared["default"], said) == ([] if machines else field.default, field.description)
        plain = {int: "whole number)", bool: "true or false)"}
        assert types == ("list of objects)" if machines else plain.get(field.annotation, "text)"))


@pytest.mark.parametrize("key", sorted(ALL_SECRETS))
def test_a_secret_is_declared_as_one_with_an_empty_default_and_without_a_type(key: str) -> None:
    # With a type the engine ends at the first that is in plain, and takes the default for one; without a default it ends where one is missing.
    assert set(DECLARED[key]) == {"secret", "default", "description"}
    assert DECLARED[key]["secret"] is True
    assert DECLARED[key]["default"] == ""
    assert DECLARED[key]["description"].endswith(f"{ALL_SECRETS[key][1:]} (text)")


def test_the_defaults_that_the_engine_fills_in_change_nothing() -> None:
    machines = {"controllers": [{"name": "controller", "address": "10.0.0.11"}]}
    filled = {**{key: each["default"] for key, each in DECLARED.items() if key not in PASSWORDS}, **machines}
    texts = {key: each if isinstance(each, str) else json.dumps(each) for key, each in filled.items()} | PASSWORDS
    bare = {"controllers": json.dumps(machines["controllers"])} | PASSWORDS
    settings = parse(texts.get, keys=list(texts), is_secret=PASSWORDS.__contains__)
    assert settings == parse(bare.get, keys=list(bare), is_secret=PASSWORDS.__contains__)


def _models(field: Any) -> list[type[BaseModel]]:
    arguments = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return [each for each in arguments if isinstance(each, type) and issubclass(each, BaseModel)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
