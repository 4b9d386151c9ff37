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

# What stands between quotes, to the closing one or to the end of a line that was cut off. Nothing is tried twice (`*+`): a line may be long.
_BETWEEN = r"(?P<quote>['\"])(?:[^\\\n'\"]++|\\.|(?P=quote){2}|(?!(?P=quote))['\"])*+(?P=quote)?"
# The same where all of it has been quoted once more, as JSON within JSON.
_BETWEEN_ESCAPED = r"(?P<escaped>\\++['\"])(?:(?!(?P=escaped))[^\n])*+(?P=escaped)?"
# `password = x`, `{u'adminPass': u'x'}`: what services write into their own logs. MariaDB's `(using password: YES)` is no password.
_NAMES = r"(?:password|passwd|passphrase|secret|token|_pass|(?-i:(?<=[a-z])Pass)|(?<=['\"])pass(?=['\"]))"
_ASSIGNMENT = re.compile(
    rf"(?i)({_NAMES}\\*['\"]?\s*[:=]\s*)(?!(?:YES|NO)\))"
    # Behind a value in quotes of its own there may be more of it: `""x""`.
    rf"(?:[ub]?(?:{_BETWEEN}|{_BETWEEN_ESCAPED})[^\s,;:)}}\]]*|(?P<bare>(?:[^\s,]|,(?!['\"]))++))"
)
_ENDS = ",;)}'\""
# `PASSWORD 'x'`, `PASSWORD('x')`, `IDENTIFIED BY 'x'`, `IDENTIFIED VIA mysql_native_password USING 'x'`: SQL.
_SQL = re.compile(
    r"(?i)((?:password|passwd)(?:\s+|\s*\(\s*)|\bidentified\s+by\s+|\bidentified\s+(?:with|via)\s+\w+\s+(?:as|by|using)\s+)"
    rf"{_BETWEEN}"
)
# `mysql://user:x@host`. A password may hold what a URL would have to write otherwise; with a quote and a comma behind it, the URL has ended.
_URL = re.compile(r"(?<=\w)://(?:[^\s'\"]|['\"](?![\s,;:)}\]]|$))*+")


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
    text = _URL.sub(_without_login, text)
    text = _SQL.sub(rf"\g<1>{MASK}", text)
    return _ASSIGNMENT.sub(_without_value, text)


def _without_login(url: re.Match[str]) -> str:
    """A URL, from its `://` on, without the password in it."""
    login, at, rest = url[0].removeprefix("://").rpartition("@")
    user, colon, _ = login.partition(":")
    if at and colon and "/" not in user:
        # A second @ in front of the password may be behind a token.
        return f"://{'' if '@' in user else f'{user}:'}{MASK}@{rest}"
    # Without a password the only word ahead of an HTTP server is a token.
    token, at, rest = url[0].removeprefix("://").partition("@")
    of_http = url.string[max(0, url.start() - 5) : url.start()].lower().endswith(("http", "https"))
    return f"://{MASK}@{rest}" if at and token and of_http and "/" not in token else url[0]


def _without_value(assignment: re.Match[str]) -> str:
    # What ends a text or an object behind the value is no part of it.
    bare = assignment["bare"] or ""
    return f"{assignment[1]}{MASK}{bare[len(bare.rstrip(_ENDS)) :]}"


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
