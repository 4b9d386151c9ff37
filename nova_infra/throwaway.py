"""Folders of states that will be deleted. Their file THROWAWAY names the stacks that may be there; all others are refused.

A line that begins with # says why; each other line is the name of a stack. Only backends of the kind file:// have such folders.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from .errors import Refused
from .wording import abridged, escaped

FILE = "THROWAWAY"


@dataclass(frozen=True)
class Throwaway:
    """A folder that will be deleted."""

    folder: Path
    why: str
    stacks: tuple[str, ...]
    """Those that may be there."""

    def allows(self, stack: str) -> bool:
        """Whether a stack may be there; its name may have the organization and the project before it."""
        return stack.rpartition("/")[2] in self.stacks

    def __str__(self) -> str:
        names = [escaped(each) for each in self.stacks]
        allowed = f"only the stack{'s' if names[1:] else ''} {abridged(names)}" if names else "no stack"
        why = f" It says: {escaped(self.why).removesuffix('.')}." if self.why else ""
        return f"{escaped(str(self.folder))}, and the file {FILE} there allows {allowed}.{why}"


def read_throwaway(backend: str) -> Throwaway | None:
    """What the folder of a backend says; None where nothing does. `backend` is a URL as `pulumi login` takes it."""
    try:
        folder = _folder(backend)
        # What is no file, such as a pipe, might not come to an end.
        if folder is None or not (folder / FILE).is_file():
            return None
        lines = [line.strip() for line in (folder / FILE).read_text(encoding="utf-8").splitlines()]
    # RuntimeError: there is no home for a ~.
    except (OSError, ValueError, RuntimeError):
        return None
    why = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    return Throwaway(folder, why, tuple(line for line in lines if line and not line.startswith("#")))


def _folder(backend: str) -> Path | None:
    url = urlsplit(backend)
    # As pulumi takes them: file:///srv/pulumi, file://~/pulumi, file://./pulumi; the rest of a URL is options.
    return Path(unquote(f"{url.netloc}{url.path}")).expanduser().absolute() if url.scheme == "file" else None


def refuse_throwaway(stack: str, project: Path) -> None:
    """Raises Refused where the program of a stack would have its state in such a folder. `project` is the folder of the project."""
    found = read_throwaway(_selected_backend(project))
    if found is not None and not found.allows(stack):
        raise Refused(
            f"The settings of the stack {stack} are not read: its state is in {found} Set PULUMI_BACKEND_URL to a backend of your own; docs/state.md says "
            "how a stack moves there."
        )


def _selected_backend(project: Path) -> str:
    """The URL of the backend, found where pulumi finds it; empty where it cannot be told."""
    return os.environ.get("PULUMI_BACKEND_URL", "") or _of_project(project) or _of_login()


def _of_project(project: Path) -> str:
    try:
        file = next(path for name in ("Pulumi.yaml", "Pulumi.yml") if (path := project / name).is_file())
        return str(yaml.safe_load(file.read_text(encoding="utf-8"))["backend"]["url"] or "")
    except (StopIteration, OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError):
        return ""


def _of_login() -> str:
    home = os.environ.get("PULUMI_CREDENTIALS_PATH") or os.environ.get("PULUMI_HOME") or "~/.pulumi"
    try:
        return str(json.loads(Path(home).expanduser().joinpath("credentials.json").read_text("utf-8"))["current"] or "")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return ""
