"""From a stack's configuration, as Pulumi hands it out, to settings. Every bad value is refused by its key, all at once, before anything is touched."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from .configuration import unprintable, unsupported
from .contradictions import contradictions, mapping, options_in
from .errors import InvalidSettings, Problem
from .options import template_sections
from .ranges import Expanded, expanded
from .releases import RELEASES
from .settings import (
    OPTIONAL_SECRETS,
    SECRETS,
    Compute,
    ComputeDefaults,
    OptionLayers,
    Settings,
    is_structured,
    top_level_keys,
)
from .wording import nearest, quoted, shown

# These become values of nova.conf as they are.
_IN_NOVA_CONF = frozenset({"novaPassword", "rabbitPassword"})
_WITH_LINES = frozenset({"sshPrivateKey", "jumpHostPrivateKey"})


def parse(
    get: Callable[[str], str | None],
    *,
    keys: Iterable[str] = (),
    is_secret: Callable[[str], bool] = lambda _key: False,
    prefix: str = "nova:",
) -> Settings:
    """Settings from texts: `get(key)` is the text of a key or None; objects are JSON. Raises InvalidSettings.

    `keys` are all that the stack sets, to find the misspelled ones.
    """
    settings, problems = read(get, keys=keys, is_secret=is_secret, prefix=prefix)
    if problems:
        raise InvalidSettings(problems)
    return settings


def read(
    get: Callable[[str], str | None],
    *,
    keys: Iterable[str] = (),
    is_secret: Callable[[str], bool] = lambda _key: False,
    prefix: str = "nova:",
) -> tuple[Settings, list[Problem]]:
    """What `parse` returns, and all problems. Where there are some, a stand-in takes the place of what cannot be used."""
    known = {*top_level_keys(), *SECRETS, *OPTIONAL_SECRETS}
    raw = {
        key: _from_text(text, structured=is_structured(key))
        for key in top_level_keys()
        if (text := get(key)) is not None
    }
    references = list(_references(raw))
    referenced = {key for _, key in references}
    # With an empty value, the engine's default, it is not set.
    secrets = {key: value for key in (*SECRETS, *OPTIONAL_SECRETS) if (value := get(key))}
    for key in sorted(referenced - known):
        value = get(key)
        if value is not None and is_secret(key):
            secrets[key] = value

    problems = list(_unknown_keys(keys, known | referenced, is_secret))
    problems += _misplaced_secrets(raw, is_secret)
    problems += _bad_secrets(secrets, is_secret)
    problems += _bad_references(references, secrets, get)
    fleet = expanded(raw.get("computes"))
    raw = {**raw, **({"computes": fleet.computes} if "computes" in raw else {})}
    settings, said = _validated(raw, fleet)
    release = RELEASES[settings.release]
    said += contradictions(raw, release, fleet.written, template_sections(release))
    # What is wrong inside an object with a secret may quote it.
    problems += [(key, reason) for key, reason in said if not is_secret(re.split(r"[.\[]", key)[0])]
    computes = [_with_defaults(node, settings.compute_defaults) for node in settings.computes]
    settings = settings.model_copy(update={"secrets": secrets, "computes": computes})
    if problems:
        # Options of the stack may refer to secrets that are not there, and are no part of a template.
        stand_in = {"secrets": {**secrets, **dict.fromkeys(SECRETS, "stand-in")}, "options": OptionLayers()}
        settings = settings.model_copy(update=stand_in)
    # Each member of a union says what does not fit.
    return settings, list(dict.fromkeys(Problem(prefix + shown(key), reason) for key, reason in problems))


def _with_defaults(node: Compute, defaults: ComputeDefaults) -> Compute:
    # Both are valid by themselves, and no key of one depends on a key of the other.
    said = {name: getattr(defaults, name) for name in defaults.model_fields_set - node.model_fields_set}
    return node.model_copy(update=said)


Found = Iterable[tuple[str, str]]


def _unknown_keys(keys: Iterable[str], known: Collection[str], is_secret: Callable[[str], bool]) -> Found:
    for key in keys:
        if key not in known:
            what = "neither a setting nor a secret that an option refers to" if is_secret(key) else "not a setting"
            yield key, f"is {what}{nearest(key, known)}"


def _misplaced_secrets(raw: Iterable[str], is_secret: Callable[[str], bool]) -> Found:
    for key in raw:
        if is_secret(key) and is_structured(key):
            yield (
                key,
                "holds a `secure:` value inside an object, which Pulumi would store in plain. Make it a flat secret key and refer to it as {secret: KEY}",
            )
        elif is_secret(key):
            yield (
                key,
                f"is a secret in the stack file, and would be stored in plain. Run `pulumi config set --plaintext {key}`",
            )


def _bad_secrets(secrets: Mapping[str, str], is_secret: Callable[[str], bool]) -> Found:
    for key in secrets:
        if not is_secret(key) and key in (*SECRETS, *OPTIONAL_SECRETS):
            yield key, f"stands in the stack file in plain. Run `pulumi config set --secret {key}`"
    for key, what in SECRETS.items():
        if key not in secrets:
            yield key, f"is missing: the password {what}. Run `pulumi config set --secret {key}`"
    for key, value in secrets.items():
        if key not in SECRETS and key not in OPTIONAL_SECRETS:
            continue
        # The engine hands an object out as a text. A password that reads as one is not told from it.
        if isinstance(_from_text(value, structured=False), dict | list):
            yield key, f"is an object or a list. Run `pulumi config set --secret {key}`"
            continue
        if not value.strip():
            yield key, f"cannot be used: the value is nothing but spaces. Run `pulumi config set --secret {key}`"
            continue
        reason = unsupported(value) if key in _IN_NOVA_CONF else unprintable(_in_one_line(key, value))
        if reason:
            yield key, f"cannot be used: the value {reason}"
        # Tried: nova's MySQL client, on Python 2, ends with UnicodeEncodeError where it gets the password as unicode.
        if key == "novaDatabasePassword" and not value.isascii():
            yield (
                key,
                "cannot be used: the value holds characters beyond ASCII, which nova's MySQL client does not carry",
            )


def _in_one_line(key: str, value: str) -> str:
    # A private key has lines; a passphrase or a password with a newline at its end opens nothing.
    return re.sub(r"\r?\n", "", value) if key in _WITH_LINES else value


def _references(raw: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Keys of options, and the secret that each refers to. Also where something else is wrong."""
    for key, _, _, value in options_in(raw):
        secret = mapping(value).get("secret")
        if isinstance(secret, str) and secret.strip() and len(value) == 1:
            yield key, secret


def _bad_references(
    references: Iterable[tuple[str, str]], secrets: Mapping[str, str], get: Callable[[str], str | None]
) -> Found:
    for option, key in references:
        if key in top_level_keys():
            yield option, f"refers to {key}, which is a setting and no secret. Refer to a secret key of another name"
        elif not secrets.get(key, "").strip():
            state = "empty" if key in secrets else "in plain" if get(key) else "not set"
            command = f"pulumi config set --secret {shlex.quote(shown(key))}"
            yield option, f"refers to the secret {shown(key)}, which is {state}. Run `{command}`"
        elif reason := unsupported(secrets[key]):
            yield key, f"cannot be used in nova.conf: the value {reason}"


def _from_text(text: str, *, structured: bool) -> Any:
    if not structured and not text.startswith(("{", "[")):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text  # the type is wrong, and the model says so
    except RecursionError:
        return text
    # The engine hands an object out as its JSON, also where a text is meant.
    return value if structured or isinstance(value, dict | list) else text


# Of example networks (RFC 5737): where no node can be used, templates are rendered for these.
_STAND_INS: Mapping[str, Any] = {
    "controllers": [{"name": "controller", "address": "192.0.2.1"}],
    "computes": [{"name": "compute", "address": "192.0.2.2"}],
}


def _validated(raw: Mapping[str, Any], fleet: Expanded) -> tuple[Settings, list[tuple[str, str]]]:
    """The settings without what is wrong in them, and what that is."""
    said = list(fleet.problems)
    try:
        return Settings.model_validate(raw), said
    except ValidationError as error:
        said += _as_written(error, fleet)
        bad = {str(each["loc"][0]) for each in error.errors(include_url=False)}
    usable = {key: value for key, value in raw.items() if key not in bad}
    return Settings.model_validate({**usable, **{key: _STAND_INS[key] for key in bad & set(_STAND_INS)}}), said


def _as_written(error: ValidationError, fleet: Expanded) -> Iterable[tuple[str, str]]:
    """What is wrong, by the keys of the stack file. What is wrong with each node of a range is said once."""
    told = {key for key, _ in fleet.problems}
    for each in error.errors(include_url=False):
        location = each["loc"]
        key = _path(location)
        if location[0] == "computes" and location[1:] and isinstance(location[1], int):
            node = fleet.written[location[1]]
            key = ".".join(filter(None, [node.key(*map(str, location[2:3])), _path(location[3:])]))
            if key in told:
                continue
            if node.of_range:
                told.add(key)
        yield key, _sentence(each)


def _path(location: tuple[int | str, ...]) -> str:
    # Which member of a union did not fit is of no use to the reader, and that it was a key can be seen.
    if not location:
        return ""
    if location[0] == "options":
        location = location[: 5 if location[1:2] == ("nodes",) else 4]
    if location[-1] == "[key]":
        location = location[:-1]
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _sentence(error: Any) -> str:
    kind, location, given = error["type"], error["loc"], error["input"]
    if location == ("release",):
        return f"{quoted(given)} is no release that is known; known are {', '.join(sorted(RELEASES))}"
    if location[0] == "options" and kind != "value_error" and len(location) > _OPTION_DEPTH:
        return "must be a text, a number, true or false, a list of these, null, or {secret: KEY}"
    if kind == "string_pattern_mismatch":
        # What holds an @ may be a URL with a password.
        return f"{'is a text that' if '@' in given else quoted(given)} does not fit {error['ctx']['pattern']}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return {
        "extra_forbidden": f"is not a setting{nearest(str(location[-1]), _known_keys(location))}",
        "missing": "is missing",
        "too_short": f"is empty; it needs at least {error.get('ctx', {}).get('min_length')}",
    }.get(kind, message[0].lower() + message[1:])


# ("options", layer, section, option)
_OPTION_DEPTH = 4


def _known_keys(location: tuple[int | str, ...]) -> set[str]:
    model: Any = Settings
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        field = next((f for n, f in model.model_fields.items() if part in (n, to_camel(n))), None)
        if field is None:
            return set()
        model = next(
            (
                each
                for each in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if hasattr(each, "model_fields")
            ),
            None,
        )
        if model is None:
            return set()
    return {to_camel(name) if model is Settings else name for name in model.model_fields if name != "secrets"}
