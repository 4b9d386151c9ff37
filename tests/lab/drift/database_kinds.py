"""What can become of the schema, its users, their privileges and passwords."""

from __future__ import annotations

from tests.lab.drift.kinds import Kind
from tests.nodes import Lab


def charset(lab: Lab) -> list[list[str]]:
    return lab.sql(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'nova'"
    )


def is_utf8(lab: Lab) -> None:
    assert charset(lab) == [["utf8", "utf8_general_ci"]]


CHARSET = Kind(
    "the character set is changed",
    cause=lambda lab: lab.sql("ALTER DATABASE nova CHARACTER SET latin1"),
    after=is_utf8,
    shows={
        "nova-database": {
            "charset": ('"utf8"', '"latin1"'),
            "collation": ('"utf8_general_ci"', '"latin1_swedish_ci"'),
        }
    },
)
KINDS = [CHARSET]
