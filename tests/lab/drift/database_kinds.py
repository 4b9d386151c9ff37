"""What can become of the schema, its users, their privileges and passwords."""

from __future__ import annotations

from collections.abc import Callable

from tests.lab.drift.kinds import MANAGED, NOVA_IS_SILENT, Kind
from tests.lab.drift.masked import SOMEBODY_ELSES
from tests.nodes import Lab, setting

AREA = "Database"
DATABASE = "nova-database"
HOSTS = MANAGED["database"]["hosts"]


def caused_by(statement: str) -> Callable[[Lab], object]:
    return lambda lab: lab.sql(statement)


def defaults(lab: Lab) -> list[list[str]]:
    return lab.sql(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'nova'"
    )


def the_defaults_are_the_stacks(lab: Lab) -> None:
    assert defaults(lab) == [["utf8", "utf8_general_ci"]]


def privileges(lab: Lab, user: str, host: str) -> set[str]:
    """What SHOW GRANTS says of the schema nova."""
    (grant,) = [row[0] for row in lab.sql(f"SHOW GRANTS FOR '{user}'@'{host}'") if "ON `nova`.*" in row[0]]
    names, _, rest = grant.removeprefix("GRANT ").partition(" ON ")
    return {*names.split(", "), *(["GRANT OPTION"] if "WITH GRANT OPTION" in rest else [])}


def everything_at_localhost_without_the_grant_option(lab: Lab) -> None:
    assert privileges(lab, "nova", "localhost") == {"ALL PRIVILEGES"}


def what_the_stack_names_from_everywhere(lab: Lab) -> None:
    assert privileges(lab, "nova", "%") == set(HOSTS["%"])


def everything_at_the_third_host(lab: Lab) -> None:
    assert privileges(lab, "nova", "192.0.2.7") == {"ALL PRIVILEGES"}


def our_password_lets_in_at_localhost(lab: Lab) -> None:
    lab.run("controller", f"MYSQL_PWD={setting('NOVA_DBPASS')} mysql -h localhost -u nova -e 'SELECT 1' nova")


def tables(lab: Lab) -> int:
    return int(lab.sql("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'nova'")[0][0])


def nova_works_on_the_new_schema(lab: Lab) -> None:
    the_defaults_are_the_stacks(lab)
    assert tables(lab) > 100
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}


def the_other_user_is_left(lab: Lab) -> None:
    assert privileges(lab, "report", "%") == {"SELECT"}


def the_anonymous_user_is_left(lab: Lab) -> None:
    assert lab.sql("SELECT Host FROM mysql.user WHERE User = ''") == [["192.0.2.9"]]


def the_other_account_is_left(lab: Lab) -> None:
    assert lab.sql("SELECT Host FROM mysql.user WHERE User = 'nova' AND Host = '192.0.2.8'") == [["192.0.2.8"]]


CHARACTER_SET = Kind(
    "the character set is changed",
    cause=caused_by("ALTER DATABASE nova CHARACTER SET latin1 COLLATE latin1_swedish_ci"),
    after=the_defaults_are_the_stacks,
    shows={
        DATABASE: {"charset": ('"utf8"', '"latin1"'), "collation": ('"utf8_general_ci"', '"latin1_swedish_ci"')},
    },
)
COLLATION = Kind(
    "the collation is changed",
    cause=caused_by("ALTER DATABASE nova COLLATE utf8_bin"),
    after=the_defaults_are_the_stacks,
    shows={DATABASE: {"collation": ('"utf8_general_ci"', '"utf8_bin"')}},
)
USER_MISSING = Kind(
    "the user is missing at one host",
    cause=caused_by("DROP USER 'nova'@'192.0.2.7'"),
    after=everything_at_the_third_host,
    shows={
        DATABASE: {
            "hosts.192.0.2.7.password_works": ("true", '"no such user"'),
            "hosts.192.0.2.7.privileges[0]": ('"ALL"', '"ALL (not granted)"'),
        }
    },
)
REVOKED = Kind(
    "a privilege is revoked",
    cause=caused_by("REVOKE DROP ON nova.* FROM 'nova'@'%'"),
    after=what_the_stack_names_from_everywhere,
    shows={DATABASE: {"hosts.%.privileges[3]": ('"DROP"', '"DROP (not granted)"')}},
)
REVOKED_OF_ALL = Kind(
    "a privilege is revoked from a user that is to have all",
    cause=caused_by("REVOKE DROP, EVENT ON nova.* FROM 'nova'@'localhost'"),
    after=everything_at_localhost_without_the_grant_option,
    shows={DATABASE: {"hosts.localhost.privileges[0]": ('"ALL"', '"ALL (not granted: DROP, EVENT)"')}},
)
EXTRA = Kind(
    "a privilege more on our schema",
    cause=caused_by("GRANT TRIGGER ON nova.* TO 'nova'@'%'"),
    after=what_the_stack_names_from_everywhere,
    shows={DATABASE: {f"hosts.%.privileges[{len(HOSTS['%'])}]": ("", '"TRIGGER (not in the stack)"')}},
)
GRANT_OPTION = Kind(
    "the grant option is given",
    cause=caused_by("GRANT USAGE ON nova.* TO 'nova'@'localhost' WITH GRANT OPTION"),
    after=everything_at_localhost_without_the_grant_option,
    shows={DATABASE: {"hosts.localhost.privileges[1]": ("", '"GRANT OPTION (not in the stack)"')}},
)
PASSWORD = Kind(
    "the password is changed at one host",
    cause=caused_by(f"SET PASSWORD FOR 'nova'@'localhost' = PASSWORD('{SOMEBODY_ELSES}')"),
    after=our_password_lets_in_at_localhost,
    shows={DATABASE: {"hosts.localhost.password_works": ("true", "false")}},
)
OTHER_USER = Kind(
    "another user of our schema",
    cause=caused_by(
        f"CREATE USER 'report'@'%' IDENTIFIED BY '{SOMEBODY_ELSES}'; GRANT SELECT ON nova.* TO 'report'@'%'"
    ),
    after=the_other_user_is_left,
    said={DATABASE: "'report'@'%' has privileges on the schema nova"},
    advice="SHOW GRANTS FOR 'report'@'%'. If nobody needs it: DROP USER 'report'@'%'.",
    undo=caused_by("DROP USER 'report'@'%'"),
)
# Of a client that is none of the lab's: nova itself is to get in.
ANONYMOUS_USER = Kind(
    "an anonymous user that shadows nova@'%'",
    cause=caused_by("CREATE USER ''@'192.0.2.9'"),
    after=the_anonymous_user_is_left,
    said={
        DATABASE: "Logins of nova from 192.0.2.9 are taken for the anonymous user ''@'192.0.2.9', whose host is more exact"
    },
    advice="If nobody needs it: DROP USER ''@'192.0.2.9'.",
    undo=caused_by("DROP USER ''@'192.0.2.9'"),
)
ANOTHER_ACCOUNT = Kind(
    "another account of our user's name that shadows nova@'%'",
    cause=caused_by(f"CREATE USER 'nova'@'192.0.2.8' IDENTIFIED BY '{SOMEBODY_ELSES}'"),
    after=the_other_account_is_left,
    said={DATABASE: "Logins of nova from 192.0.2.8 are taken for 'nova'@'192.0.2.8', whose host is more exact"},
    advice="If nobody needs it: DROP USER 'nova'@'192.0.2.8'.",
    undo=caused_by("DROP USER 'nova'@'192.0.2.8'"),
)
SCHEMA_GONE = Kind(
    "the schema is gone",
    cause=caused_by("DROP DATABASE nova"),
    after=nova_works_on_the_new_schema,
    gone=[DATABASE],
    may_say=NOVA_IS_SILENT,
    shows={"nova-controller": {"schema": ('"current"', '"not known"')}},
    follows={"nova-controller": ["schema_version"], "nova-check": ["restarts.controller"]},
    updates=["nova-check"],
    restarts={
        "controller": [
            "nova-api",
            "nova-cert",
            "nova-conductor",
            "nova-consoleauth",
            "nova-novncproxy",
            "nova-scheduler",
        ],
        "compute1": ["nova-compute"],
    },
)
KINDS = [
    SCHEMA_GONE,
    CHARACTER_SET,
    COLLATION,
    USER_MISSING,
    REVOKED,
    REVOKED_OF_ALL,
    EXTRA,
    GRANT_OPTION,
    PASSWORD,
    OTHER_USER,
    ANONYMOUS_USER,
    ANOTHER_ACCOUNT,
]
