"""The few calls of GitHub's REST API that the scripts beside this file need, as an Actions run may make them.

It needs Python alone: a night in which no package could be installed has its issue too.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

SECONDS = 30
# Before what only asks is asked again.
PAUSES = (1, 2, 4)
PASSING = (502, 503, 504)
# What to do about an answer, where its status says that.
_RIGHTS = "Look at the job's `permissions`."
ADVICE = {
    401: _RIGHTS,
    403: _RIGHTS,
    404: _RIGHTS,
    410: "Switch issues on (Settings, General, Features): a fork has none.",
}
# Who writes with the token of a workflow. Nobody can choose a login with brackets.
ACTIONS = "github-actions[bot]"


class AsTheyCome(urllib.request.HTTPErrorProcessor):
    """Answers of every status. None sends us elsewhere: the token would go there too."""

    def http_response(self, request: Any, response: Any) -> Any:  # noqa: ARG002
        """The answer itself."""
        return response

    https_response = http_response


class NotNow(SystemExit):
    """There may be another answer in a moment."""


class Repository:
    """A repository on GitHub: `owner/name` in $GITHUB_REPOSITORY, the API at $GITHUB_API_URL, a token in $GITHUB_TOKEN."""

    def __init__(self) -> None:
        self._root = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
        self._open = urllib.request.build_opener(AsTheyCome).open
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
            "User-Agent": "nova-infra",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def all(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, over all of its pages. Raises SystemExit with what GitHub said."""
        url = f"{self._root}/{path}?{urlencode({**parameters, 'per_page': '100'})}"
        while url:
            links, body = self._ask("GET", url)
            yield from json.loads(body)
            # The address of the next page holds the query.
            following = re.search(r'<([^<>]*)>; *rel="next"', links)
            url = following[1] if following else ""

    def send(self, method: str, path: str, **fields: Any) -> None:
        """Makes or changes something. Raises SystemExit with what GitHub said."""
        self._ask(method, f"{self._root}/{path}", json.dumps(fields).encode())

    def _ask(self, method: str, url: str, data: bytes | None = None) -> tuple[str, bytes]:
        """The links to other pages, and the answer. Only what changes nothing is asked again."""
        request = urllib.request.Request(url, data, self._headers, method=method)  # noqa: S310 - an address of Actions
        for pause in PAUSES if method == "GET" else ():
            try:
                return self._answer(request)
            except NotNow:
                time.sleep(pause)
        return self._answer(request)

    def _answer(self, request: urllib.request.Request) -> tuple[str, bytes]:
        asked = f"{request.method} {request.full_url}"
        try:
            with self._open(request, timeout=SECONDS) as answer:
                code, links, body = answer.status, answer.headers.get("Link", ""), answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotNow(f"{asked}: GitHub does not answer: {getattr(error, 'reason', error)}") from None
        if http.HTTPStatus.OK <= code < http.HTTPStatus.MULTIPLE_CHOICES:
            return links, body
        said = body.decode(errors="replace")[:300]
        advice = ADVICE.get(code, "Run the job again." if code >= http.HTTPStatus.INTERNAL_SERVER_ERROR else "")
        refused = f"{asked}: GitHub says {code}: {said}. {advice}".rstrip()
        raise (NotNow if code in PASSING else SystemExit)(refused)


def first_line(body: str | None) -> str:
    """The line by which a comment or an issue of ours is found again."""
    return (body or "").partition("\n")[0].strip()


def is_ours(item: dict[str, Any]) -> bool:
    """Whether Actions wrote it: anybody can write our first line."""
    return bool((item.get("user") or {}).get("login") == ACTIONS)
