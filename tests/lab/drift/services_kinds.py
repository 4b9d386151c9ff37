"""What can become of services, of nova's record of them, and of its schema."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from nova_infra.resources.compute_node import REASON
from tests.lab.drift.files_kinds import NOVA_CONF, SQLITE, edit, is_absent, option
from tests.lab.drift.kinds import NOVA_IS_SILENT, Kind
from tests.lab.drift.plan import FINGERPRINT, NOT_IN_THE_STACK
from tests.nodes import Lab

MINE = "/srv/mine.conf"
WATCHDOG = "/srv/watchdog.pid"


def runs(lab: Lab, service: str, node: str = "controller") -> None:
    assert service in lab.processes(node)


def pid(service: str) -> str:
    return f"$(cat /var/run/nova/{service}.pid)"


def arguments(lab: Lab, service: str) -> str:
    return lab.run("controller", f"tr '\\0' ' ' </proc/{pid(service)}/cmdline")


def read_something_else(lab: Lab) -> None:
    """The service reads an option that somebody then puts back."""
    edit("controller", NOVA_CONF, "s/^verbose = .*/verbose = False/")(lab)
    lab.run("controller", "service nova-scheduler restart >/dev/null")
    edit("controller", NOVA_CONF, "s/^verbose = .*/verbose = True/")(lab)


def with_another_file(lab: Lab) -> None:
    daemon = f"--pidfile /var/run/nova/nova-consoleauth.pid --chuid nova:nova --startas /usr/bin/nova-consoleauth -- --config-file {MINE}"
    lab.run(
        "controller",
        f"""printf '[DEFAULT]\\nverbose = False\\n' >{MINE} && chmod 644 {MINE}
service nova-consoleauth stop >/dev/null
start-stop-daemon --start --background --make-pidfile {daemon}
sleep 1""",
    )
    assert MINE in arguments(lab, "nova-consoleauth")


def has_the_usual_files(lab: Lab) -> None:
    assert MINE not in arguments(lab, "nova-consoleauth")
    assert arguments(lab, "nova-consoleauth").rstrip().endswith(NOVA_CONF)


def crash(lab: Lab) -> None:
    """A watchdog starts the service again whenever it ends, and it ends after 2 s as long as an option stands in the file.

    nova itself ends then, too, but on a busy machine only after more than that.
    """
    ends = f"sleep 2; ! grep -q ^report_interval {NOVA_CONF} || kill -9 {pid('nova-cert')}"
    loop = f"while :; do service nova-cert start; {ends}; sleep 1; done"
    edit("controller", NOVA_CONF, "s/^verbose/report_interval = often\\nverbose/")(lab)
    lab.run(
        "controller",
        f"service nova-cert stop >/dev/null; setsid nohup bash -c {shlex.quote(loop)} >/dev/null 2>&1 & echo $! >{WATCHDOG}; sleep 3",
    )


def end_the_watchdog(lab: Lab) -> None:
    lab.run("controller", f"kill -- -$(cat {WATCHDOG}); rm {WATCHDOG}")


def by_hand(lab: Lab) -> None:
    lab.run(
        "controller",
        f"""printf '[DEFAULT]\\nverbose = False\\n' >{MINE} && chmod 644 {MINE}
start-stop-daemon --start --background --make-pidfile --pidfile /srv/by-hand.pid --chuid nova:nova \
  --startas /usr/bin/nova-cert -- --config-file {MINE}
sleep 1""",
    )


def still_runs_by_hand(lab: Lab) -> None:
    assert lab.run("controller", "[ -d /proc/$(cat /srv/by-hand.pid) ] && echo yes") == "yes\n"


def end_it(lab: Lab) -> None:
    lab.run("controller", f"kill $(cat /srv/by-hand.pid); rm -f /srv/by-hand.pid {MINE}")


def records(lab: Lab, host: str) -> list[dict[str, str]]:
    return [row for row in lab.table("nova service-list") if (row["Binary"], row["Host"]) == ("nova-compute", host)]


def is_registered(lab: Lab) -> None:
    assert [row["State"] for row in records(lab, "compute1")] == ["up"]


def delete_the_record(lab: Lab) -> None:
    (row,) = records(lab, "compute1")
    lab.openstack(f"nova service-delete {row['Id']}")
    assert records(lab, "compute1") == []


def is_disabled(lab: Lab) -> None:
    assert [row["Disabled Reason"] for row in records(lab, "compute1")] == ["new disk"]


def leave_a_record_of_another_name(lab: Lab) -> None:
    """As nova-compute does that reports, and then never again because the host has another name."""
    lab.sql(
        "INSERT INTO nova.services (created_at, updated_at, host, `binary`, topic, report_count, disabled, deleted, forced_down, version) "
        "SELECT created_at - INTERVAL 1 HOUR, created_at - INTERVAL 1 HOUR, 'old-name', `binary`, topic, 1, 0, 0, forced_down, version FROM nova.services "
        "WHERE host = 'compute1' AND deleted = 0"
    )


def restore_an_older_schema(lab: Lab) -> None:
    """The schema as it was before the last migration."""
    lab.sql(
        "ALTER TABLE nova.instances DROP INDEX instances_updated_at_project_id_idx; UPDATE nova.migrate_version SET version = 346"
    )


def schema_is_new(lab: Lab) -> None:
    assert lab.sql("SELECT version FROM nova.migrate_version") == [["347"]]
    assert "instances_updated_at_project_id_idx" in {row[2] for row in lab.sql("SHOW INDEX FROM nova.instances")}


STOPPED = Kind(
    "a service is stopped",
    cause=lambda lab: lab.run("controller", "service nova-novncproxy stop >/dev/null"),
    after=lambda lab: runs(lab, "nova-novncproxy"),
    shows={"nova-controller": {"services.nova-novncproxy.running": ("true", "false")}},
    restarts={"controller": ["nova-novncproxy"]},
    updates=["nova-check"],
)
DISABLED_AT_BOOT = Kind(
    "a service does not start at boot",
    cause=lambda lab: lab.run("controller", "update-rc.d nova-cert disable"),
    after=lambda lab: lab.run("controller", "ls /etc/rc2.d/S*nova-cert >/dev/null") and None,
    shows={"nova-controller": {"services.nova-cert.enabled": ("true", "false")}},
)
LINKS_REMOVED = Kind(
    "the links that start a service at boot are removed",
    cause=lambda lab: lab.run("controller", "update-rc.d -f nova-conductor remove"),
    after=lambda lab: lab.run("controller", "ls /etc/rc2.d/S*nova-conductor >/dev/null") and None,
    shows={"nova-controller": {"services.nova-conductor.enabled": ("true", "false")}},
)
API_STOPPED = Kind(
    "nova-api is stopped",
    cause=lambda lab: lab.run("controller", "service nova-api stop >/dev/null"),
    after=lambda lab: runs(lab, "nova-api"),
    shows={"nova-controller": {"services.nova-api.running": ("true", "false")}},
    # Nobody else lists nova's records.
    said=NOVA_IS_SILENT,
    restarts={"controller": ["nova-api"]},
    updates=["nova-check"],
)
HAS_READ_SOMETHING_ELSE = Kind(
    "a service runs with an option that was changed for its start and put back",
    cause=read_something_else,
    after=lambda lab: runs(lab, "nova-scheduler"),
    shows={"nova-controller": {"services.nova-scheduler.fingerprint": (FINGERPRINT, '"unknown"')}},
    restarts={"controller": ["nova-scheduler"]},
    updates=["nova-check"],
)
ANOTHER_CONFIGURATION = Kind(
    "a service runs with another configuration file",
    cause=with_another_file,
    after=has_the_usual_files,
    shows={"nova-controller": {"services.nova-consoleauth.reads[1]": ("", f'"{MINE}"')}},
    restarts={"controller": ["nova-consoleauth"]},
    updates=["nova-check"],
    undo=lambda lab: lab.run("controller", f"rm -f {MINE}"),
)
CRASHING = Kind(
    "a service crashes and is started again and again",
    cause=crash,
    after=lambda lab: runs(lab, "nova-cert"),
    shows={
        "nova-controller": {
            option("DEFAULT", "report_interval"): ("", NOT_IN_THE_STACK),
            "services.nova-cert.running": ("true", '"crashing"'),
        }
    },
    # It is not there in the moment between two starts.
    looks=3,
    restarts={"controller": ["nova-cert"]},
    updates=["nova-check"],
    undo=end_the_watchdog,
)
PUT_BACK = Kind(
    "an option is changed and put back, and nothing restarted",
    cause=lambda lab: [
        edit("controller", NOVA_CONF, f"s/^verbose = .*/verbose = {value}/")(lab) for value in ("False", "True")
    ],
    after=lambda lab: runs(lab, "nova-scheduler"),
)
BY_HAND = Kind(
    "a service's program runs by hand, besides the service",
    cause=by_hand,
    after=still_runs_by_hand,
    said={"nova-controller": "somebody has started nova-cert by hand"},
    names=lambda lab: f"`kill {lab.run('controller', 'cat /srv/by-hand.pid').strip()}` ends it.",
    undo=end_it,
)
RECORD_GONE = Kind(
    "nova's record of a service is gone",
    cause=delete_the_record,
    after=is_registered,
    shows={"nova-compute1": {"reporting[0]": ('"nova-compute"', '"nova-compute (no record)"')}},
    restarts={"compute1": ["nova-compute"]},
    updates=["nova-check"],
)
RECORD_DISABLED = Kind(
    "an operator has disabled a service in nova",
    cause=lambda lab: lab.openstack("nova service-disable --reason 'new disk' compute1 nova-compute >/dev/null"),
    after=is_disabled,
    said={"nova-compute1": "disabled in nova (reason: new disk)"},
    advice="`nova service-enable compute1 nova-compute` enables it.",
    undo=lambda lab: lab.openstack("nova service-enable compute1 nova-compute >/dev/null"),
)


def is_scheduled(status: str) -> Callable[[Lab], None]:
    def check(lab: Lab) -> None:
        assert [row["Status"] for row in records(lab, "compute1")] == [status]

    return check


# In stacks that say what nova schedules on compute1 (`scheduling`).
ENABLED_AGAINST_THE_STACK = Kind(
    "an operator has enabled a service that the stack disables",
    cause=lambda lab: lab.openstack("nova service-enable compute1 nova-compute >/dev/null"),
    after=is_scheduled("disabled"),
    shows={"nova-compute1": {"scheduling": ('"disabled"', '"enabled"')}},
    settings={"computeDefaults": {"scheduling": "disabled"}},
)
DISABLED_AGAINST_THE_STACK = Kind(
    "an operator has disabled a service that the stack enables",
    cause=lambda lab: lab.openstack("nova service-disable --reason 'new disk' compute1 nova-compute >/dev/null"),
    after=is_scheduled("enabled"),
    shows={"nova-compute1": {"scheduling": ('"enabled"', '"disabled"')}},
    settings={"computeDefaults": {"scheduling": "enabled"}},
)
REMOVAL_CUT_OFF = Kind(
    "a removal of the node that was cut off has left its service disabled",
    cause=lambda lab: lab.openstack(f"nova service-disable --reason '{REASON}' compute1 nova-compute >/dev/null"),
    after=is_scheduled("enabled"),
    shows={"nova-compute1": {"being_removed": ("", "true")}},
)
RECORD_DOUBLED = Kind(
    "nova has a second record of a machine that was renamed",
    cause=leave_a_record_of_another_name,
    after=lambda lab: records(lab, "old-name")[0],  # type: ignore[arg-type,return-value]
    said={"nova-check": "nova lists nova-compute on old-name"},
    advice="(nova list --all-tenants --host old-name)",
    names=lambda lab: f"`nova service-delete {records(lab, 'old-name')[0]['Id']}` removes it.",
    undo=lambda lab: lab.sql("DELETE FROM nova.services WHERE host = 'old-name'"),
)
SCHEMA_BEHIND = Kind(
    "the schema is older than the packages",
    cause=restore_an_older_schema,
    after=schema_is_new,
    shows={
        "nova-controller": {"schema": ('"current"', '"version 346 of 347"'), "schema_version": ("347", "346")},
    },
)
SQLITE_BACK = Kind(
    "nova.sqlite is there again",
    cause=lambda lab: lab.run("controller", f"touch {SQLITE}"),
    after=is_absent("controller", SQLITE),
    shows={"nova-controller": {"absent[0]": (f'"{SQLITE}"', f'"{SQLITE} (is there)"')}},
)
SERVICES = [
    STOPPED,
    API_STOPPED,
    DISABLED_AT_BOOT,
    LINKS_REMOVED,
    HAS_READ_SOMETHING_ELSE,
    ANOTHER_CONFIGURATION,
    CRASHING,
    PUT_BACK,
    BY_HAND,
]
RECORDS = [
    RECORD_GONE,
    RECORD_DISABLED,
    ENABLED_AGAINST_THE_STACK,
    DISABLED_AGAINST_THE_STACK,
    REMOVAL_CUT_OFF,
    RECORD_DOUBLED,
]
SCHEMA = [SCHEMA_BEHIND, SQLITE_BACK]
KINDS = [*SERVICES, *RECORDS, *SCHEMA]
