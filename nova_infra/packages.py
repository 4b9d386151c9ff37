"""What a stack may say of a package: its name, and the version that it is to have."""

from __future__ import annotations

import re
from typing import Any

# In place of a version: any will do.
PRESENT = "present"
# Debian policy 5.6.1 and 5.6.12. To apt, `name-` means removing it.
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]")
_VERSION = re.compile(r"([0-9]+:)?[0-9][A-Za-z0-9.+~:-]*")


def no_package_name(name: str) -> str:
    """Why `name` names no package, or an empty string."""
    if _NAME.fullmatch(name):
        return ""
    return "is no name of a package: lower-case letters, digits, `+`, `-` and `.`, at least two, not `-` at an end"


def no_package_version(version: Any) -> str:
    """Why `version` is no version of a package, or an empty string."""
    if version == PRESENT or (isinstance(version, str) and _VERSION.fullmatch(version)):
        return ""
    return f"is {version!r}; it can be `{PRESENT}` or a version such as 1:2014.2.4-0ubuntu1"
