"""What a state records beside what was found, property by property. Nothing here opens a connection."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..masking import MASK, mask, safe
from ..node import holds_a_secret
from ..wording import escaped

CHANGED, ADDED, REMOVED, STORED = "changed", "added", "removed", "stored"
NOTHING = "nothing"
# Behind a property of which the state says what was found.
_SAID_OF_STORED = "differs from what the last `pulumi up` made; a stored refresh has found it, `pulumi preview --diff` shows both values"
# As Pulumi writes a path: what else a key holds stands in ["..."].
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")


class _Missing:
    """Where there is no value."""


_MISSING = _Missing()


@dataclass(frozen=True)
class Difference:
    """A property that is not as recorded. Texts are safe to show: secrets are masked, and nothing is left that a terminal obeys."""

    path: str
    """As Pulumi writes it: `options["/etc/nova/nova.conf"].DEFAULT.verbose`."""
    change: str
    """`changed`; `added`, when only the machine or server has it; `removed`, when only the state has it.

    `stored`, when both say the same and the last `up` has made it otherwise: a stored refresh has put it into the state."""
    recorded: str
    """JSON, `[secret]`, or `nothing`. Of one that is `stored` empty where it is a mapping: which of its keys differ is not known."""
    found: str
    secret: bool = False

    def __str__(self) -> str:
        if self.change == STORED:
            return " ".join(filter(None, (f"{self.path}:", self.found, _SAID_OF_STORED)))
        return f"{self.path}: {self.recorded} => {self.found}"


def differences(
    recorded: Mapping[str, Any],
    found: Mapping[str, Any],
    *,
    hidden: Collection[tuple[str | int, ...]] = (),
    secrets: Collection[str] = (),
) -> tuple[Difference, ...]:
    """Where both differ, in the order of the keys. A list is one value.

    `hidden` are the ways to secrets: of these, and of options whose names say that they are one, only that they differ is told. The
    texts in `secrets` are masked wherever they stand.
    """
    return tuple(
        _difference(way, before, after, secret=_is_secret(way, hidden), secrets=secrets)
        for way, before, after in _leaves((), recorded, found)
    )


def stored(
    properties: Mapping[str, Any],
    *,
    hidden: Collection[tuple[str | int, ...]] = (),
    secrets: Collection[str] = (),
) -> tuple[Difference, ...]:
    """These properties as a stored refresh has put them into the state, in the order of the keys. The rest is as with `differences`."""
    return tuple(
        _stored(key, properties[key], secret=_is_secret((key,), hidden), secrets=secrets) for key in sorted(properties)
    )


def _stored(key: str, value: Any, *, secret: bool, secrets: Collection[str]) -> Difference:
    text = "" if isinstance(value, Mapping) else _text(value, secret, secrets)
    return Difference(path_text((key,)), STORED, text, text, secret)


def _leaves(way: tuple[str, ...], recorded: Any, found: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if recorded == found:
        return
    if _has_keys(recorded, found):
        before, after = (value if isinstance(value, Mapping) else {} for value in (recorded, found))
        for key in sorted({*before, *after}):
            yield from _leaves((*way, key), before.get(key, _MISSING), after.get(key, _MISSING))
    else:
        yield way, recorded, found


def _has_keys(recorded: Any, found: Any) -> bool:
    """Whether there is a mapping on one side, and a mapping or nothing on the other."""
    sides = (recorded, found)
    return any(isinstance(each, Mapping) and each for each in sides) and all(
        isinstance(each, (Mapping, _Missing)) for each in sides
    )


def _is_secret(way: tuple[str, ...], hidden: Collection[tuple[str | int, ...]]) -> bool:
    if way[0] == "options" and holds_a_secret(way[-1]):
        return True
    # A secret may be more than this value, or a part of it.
    return any(way[: len(each)] == each or each[: len(way)] == way for each in hidden)


def _difference(
    way: tuple[str, ...], recorded: Any, found: Any, *, secret: bool, secrets: Collection[str]
) -> Difference:
    change = ADDED if recorded is _MISSING else REMOVED if found is _MISSING else CHANGED
    before, after = (_text(each, secret, secrets) for each in (recorded, found))
    return Difference(path_text(tuple(safe(key, secrets) for key in way)), change, before, after, secret)


def _text(value: Any, secret: bool, secrets: Collection[str]) -> str:
    if value is _MISSING:
        return NOTHING
    return MASK if secret else escaped(json.dumps(_masked(value, secrets), ensure_ascii=False))


def _masked(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, Mapping):
        return {mask(key, secrets): _masked(each, secrets) for key, each in value.items()}
    if isinstance(value, list):
        return [_masked(each, secrets) for each in value]
    return value


def path_text(way: tuple[str, ...]) -> str:
    """The keys as Pulumi writes them."""
    text = ""
    for key in way:
        if _PLAIN_KEY.fullmatch(key):
            text += f".{key}" if text else key
        else:
            quoted = key.replace('"', '\\"')
            text += f'["{quoted}"]'
    return text
