"""What no text may show: the lab's passwords, and the one that somebody puts in their place."""

from __future__ import annotations

from tests.nodes import passwords

SOMEBODY_ELSES = "somebody-elses-password"
SECRETS = (SOMEBODY_ELSES, *passwords().values())


def assert_masked(*texts: str) -> None:
    """None of the texts has one of them in it."""
    assert [secret for secret in SECRETS if any(secret in text for text in texts)] == []
