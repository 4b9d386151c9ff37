"""Secrets in texts: the one place that hides them.

Whatever a machine or server said passes `mask` before it reaches an error, a log or the screen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from .wording import escaped

MASK = "[secret]"

# `password = x`, `PASSWORD 'x'`, `mysql://user:x@host`: what services write into their own logs. MariaDB's `(using password: YES)`
# is no password.
_ASSIGNMENT = re.compile(r"(?i)((?:password|passwd|secret|token)['\"]?\s*[:=]\s*)(?!(?:YES|NO)\))(['\"]?)[^\s'\",]+\2")
_QUOTED = re.compile(r"(?i)(\b(?:password|passwd)\s+)(['\"]).*?\2")
_URL_PASSWORD = re.compile(r"(\w+://[^/\s:@]+:)[^@\s]+(@)")
# Without a password the only word ahead of an HTTP server is a token.
_URL_TOKEN = re.compile(r"(\bhttps?://)[^/\s:@]+(@)")


class Secret(str):
    """A string that is not shown: its repr is the mask. Use the value itself only where it is sent."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets, and without what looks like one.

    A secret is also found in the form it has inside a URL, inside an oslo.config file, and quoted by a program in Python or in JSON.
    """
    # Of a Secret the repr would be the mask.
    forms = {form for secret in secrets if secret for form in _forms(str(secret))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    text = _URL_PASSWORD.sub(rf"\g<1>{MASK}\2", text)
    text = _URL_TOKEN.sub(rf"\g<1>{MASK}\2", text)
    text = _QUOTED.sub(rf"\g<1>{MASK}", text)
    return _ASSIGNMENT.sub(rf"\g<1>{MASK}", text)


def _forms(secret: str) -> Iterable[str]:
    # nova's errors quote a bad value as Python 2 does: `invalid literal for int() with base 10: 'a\\b'`.
    quoted = repr(secret)[1:-1], ascii(secret)[1:-1], repr(secret.encode(errors="surrogatepass"))[2:-1]
    return (
        secret,
        quote(secret, safe="", errors="surrogatepass"),
        secret.replace("$", "$$"),
        *quoted,
        json.dumps(secret)[1:-1],
    )


def safe(text: str, secrets: Iterable[str]) -> str:
    """A text that may be shown: one line, without secrets, also where somebody has made one line of one before."""
    forms = {form for each in secrets for form in (each, _one_line(each), " ".join(each.split()), escaped(each))}
    return escaped(mask(_one_line(text), forms))


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))


@lru_cache(maxsize=1024)
def key_from(secrets: tuple[str, ...]) -> str:
    """A key for fingerprints of values of which these are a part: slow to make (scrypt, 30 ms), so that guesses are slow to try."""
    return hashlib.scrypt("\0".join(secrets).encode(), salt=b"nova-infra", n=2**14, r=8, p=1, dklen=32).hex()


def fingerprint(value: Any, key: str) -> str:
    """Twelve hexadecimal digits that stand for `value` (anything JSON can carry), keyed so that a guess proves nothing."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:12]
