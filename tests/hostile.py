# ruff: noqa: RUF001 - some letters are not what they look like
"""Texts that shells, SQL, oslo.config, URLs, templates, terminals or our own protocol would take for more than data.

They are the same in each run. Others come with

    NOVA_HOSTILE=random pytest tests/unit/test_hostile_values.py tests/integration/test_hostile_values.py

and hypothesis then prints the values of a failure, and `--hypothesis-seed=N` that repeats it.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

FRAGMENTS = [
    # Shells. What would be run leaves a file.
    *(
        "'",
        '"',
        "`touch ran`",
        "$(touch ran)",
        "${IFS}",
        "$HOME",
        ";touch ran;",
        "|",
        "&",
        "&&",
        ">ran",
        "<",
        "*",
        "?",
        "~",
    ),
    *("#", "!", "(", ")", "{a,b}", "[", "]", "^", "=", "\\", "\\n", "\\'", "'\\''", "\nEOF\ntouch ran\n", "touch ran"),
    *("-", "--", "-n", "-e/bin/sh", "--help", "."),
    # Ends of lines, and what is none.
    *("\n", "\r", "\r\n", "\t", " ", "\v", "\f", "\0", "\x1a", "\x85", "\u2028", "\u2029"),
    # SQL.
    *("'; DROP DATABASE nova; -- ", "' OR '1'='1", "`", "``", "%", "%s", "%(a)s", "_", "/*", "*/", "\x00"),
    # oslo.config, INI, YAML, Jinja.
    *(
        "$my_ip",
        "$$",
        "${my_ip}",
        "\\$",
        "[DEFAULT]",
        "\n[DEFAULT]\na = b\n",
        "a = b",
        ": ",
        "\n  more",
        "{{ 7 * 7 }}",
        "{% if",
    ),
    *("{#", "!!python/object:os.system", "&a", "*a", "null", "true"),
    # URLs, paths.
    *("@", "://", "/", "//", "/../", "..", "?", "%41", "%00", "%zz", "+", "http://x:y@z/", ":", ",", "|"),
    # Terminals, and letters that are not what they look like.
    *(
        "\x1b[2J",
        "\x1b]0;x\a",
        "\b",
        "\x7f",
        "\u202e",
        "\u200b",
        "\ufeff",
        "nоva",
        "ＮＯＶＡ",
        "é",
        "e\u0301",
        "ß",
        "İ",
        "☃",
        "😀",
        "\U0010ffff",
    ),
    # No characters.
    *("\ud800", "\udc00", "\udcff"),
    # Lines of ours.
    *("nova-infra-0123456789abcdef\tfact\thostname\tevil", "\tend", "step\tx", "nova-infra", "not in the stack (0123)"),
    *("[secret]", "absent", "-", "auto", "present"),
    "x" * 300,
]
HOSTILE = st.one_of(
    st.sampled_from(FRAGMENTS),
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4).map("".join),
    st.text(st.characters(), max_size=6),
)


def repeatable(examples: int) -> settings:
    """So many examples, the same in each run unless somebody asks for others."""
    return settings(
        max_examples=examples,
        derandomize=os.environ.get("NOVA_HOSTILE") != "random",
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def batch(size: int) -> st.SearchStrategy[list[str]]:
    """So many texts: what they go through takes many as fast as one. Of long lists Hypothesis repeats most."""
    return st.lists(HOSTILE, min_size=size, max_size=size)


def batches(count: int, size: int) -> Iterator[list[str]]:
    """At least so many different texts, in lists of this size."""
    chosen = sample(count + -count % size)
    return (chosen[start : start + size] for start in range(0, len(chosen), size))


def hostile(count: int, size: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The test gets `values`, lists of this size: at least so many different texts, then what Hypothesis makes of its own.

    Those have halves of characters too, and Hypothesis finds the shortest that fails.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        searched: Any = given(values=batch(size))(test)
        for values in batches(count, size):
            searched = example(values=values)(searched)
        return repeatable(5)(searched)

    return decorate


def half_a_character(text: str) -> bool:
    """Whether UTF-8 has no bytes for it."""
    return any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def sample(count: int) -> list[str]:
    """So many different texts that UTF-8 can carry, for what is too slow for all of them."""
    seed = random.randrange(10**6) if os.environ.get("NOVA_HOSTILE") == "random" else 5  # noqa: S311 - no secret
    if os.environ.get("NOVA_HOSTILE_SEED"):
        seed = int(os.environ["NOVA_HOSTILE_SEED"])
    print(f"hostile values of seed {seed}; NOVA_HOSTILE_SEED={seed} repeats them", file=sys.stderr)
    chosen = random.Random(seed)  # noqa: S311 - no secret
    found = dict.fromkeys(text for text in FRAGMENTS if not half_a_character(text))
    while len(found) < count:
        text = "".join(chosen.choices(FRAGMENTS, k=chosen.randint(2, 4)))
        if not half_a_character(text):
            found[text] = None
    return list(found)[:count]
