"""The few calls of GitHub's REST API that the scripts beside this file need, as an Actions run may make them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

SECONDS = 30
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


class Repository:
    """A repository on GitHub: `owner/name` in $GITHUB_REPOSITORY, the API at $GITHUB_API_URL, a token in $GITHUB_TOKEN."""

    def __init__(self) -> None:
        self._root = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
        self._session = requests.Session()
        # Only what changes nothing is asked again.
        retry = Retry(3, backoff_factor=1, status_forcelist=(502, 503, 504), allowed_methods=("GET",))
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        )

    def all(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, over all of its pages. Raises SystemExit with what GitHub said."""
        url, query = f"{self._root}/{path}", {**parameters, "per_page": "100"}
        while url:
            answer = self._ask("GET", url, params=query)
            yield from answer.json()
            # The address of the next page holds the query.
            url, query = answer.links.get("next", {}).get("url", ""), {}

    def send(self, method: str, path: str, **fields: Any) -> None:
        """Makes or changes something. Raises SystemExit with what GitHub said."""
        self._ask(method, f"{self._root}/{path}", json=fields)

    def _ask(self, method: str, url: str, **more: Any) -> requests.Response:
        try:
            answer = self._session.request(method, url, timeout=SECONDS, **more)
        except requests.RequestException as error:
            raise SystemExit(f"{method} {url}: GitHub does not answer: {error}") from None
        if not answer.ok:
            said = answer.text[:300]
            code = answer.status_code
            advice = ADVICE.get(code, "Run the job again." if code >= requests.codes.server_error else "")
            raise SystemExit(f"{method} {url}: GitHub says {code}: {said}. {advice}".rstrip())
        return answer


def first_line(body: str | None) -> str:
    """The line by which a comment or an issue of ours is found again."""
    return (body or "").partition("\n")[0].strip()


def is_ours(item: dict[str, Any]) -> bool:
    """Whether Actions wrote it: anybody can write our first line."""
    return bool((item.get("user") or {}).get("login") == ACTIONS)
