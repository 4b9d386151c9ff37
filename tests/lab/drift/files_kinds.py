"""What can become of nova.conf and nova-compute.conf."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from nova_infra.configuration import read_options
from tests.lab.drift.kinds import Kind
from tests.lab.drift.plan import ANY, Difference
from tests.nodes import ROOT, Lab

NOVA_CONF = "/etc/nova/nova.conf"
COMPUTE_CONF = "/etc/nova/nova-compute.conf"
# What the lab's stack does not set.
LEFT_OUT = {"rabbit_port", "rabbit_hosts", "rabbit_userid", "rabbit_virtual_host", "port"}


def edit(node: str, path: str, *expressions: str) -> Callable[[Lab], object]:
    """An editor on the node: the file with these changes, by its owner and mode still the same."""
    script = " ".join(f"-e {shlex.quote(each)}" for each in expressions)
    return lambda lab: lab.run(node, f"sed -i {script} {path}")


def there(lab: Lab, node: str, path: str) -> dict[str, dict[str, object]]:
    return {section: dict(options) for section, options in read_options(lab.run(node, f"cat {path}"), path).items()}


def says(node: str, path: str, section: str, option: str, value: str | None) -> Callable[[Lab], None]:
    """A check of `after`: the option has this value, or is not there."""

    def check(lab: Lab) -> None:
        assert there(lab, node, path).get(section, {}).get(option) == value

    return check


def is_file_of_nova(node: str, path: str, options: int) -> Callable[[Lab], None]:
    """A check of `after`: a file with so many options that only root and nova can read."""

    def check(lab: Lab) -> None:
        assert lab.run(node, f"stat -c '%F %U %G %a' {path}") == "regular file root nova 640\n"
        assert sum(len(each) for each in there(lab, node, path).values()) == options
        assert "\r" not in lab.run(node, f"cat {path}")

    return check


def all_of(role: str, name: str) -> list[tuple[str, str]]:
    """(section, option) of what the stack writes into a file, as its template says."""
    section, found = "", []
    for line in (ROOT / "templates" / "juno" / role / name).read_text().splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif (option := re.match(r"(\w+) = ", line)) and option[1] not in LEFT_OUT:
            found.append((section, option[1]))
    return found


def option(section: str, name: str, path: str = NOVA_CONF) -> str:
    """The path of the property."""
    return f"options.{path}.{section}.{name}"


CONTROLLER_CONF = all_of("controller", "nova.conf")
COMPUTE_NOVA_CONF = all_of("compute", "nova.conf")
NOVA_COMPUTE_CONF = all_of("compute", "nova-compute.conf")
DRIVER = ("DEFAULT", "compute_driver", "libvirt.LibvirtDriver")
LIBVIRT = '"libvirt.LibvirtDriver"'


def without(options: list[tuple[str, str]], path: str) -> dict[str, Difference]:
    """What a plan shows of a file in which nothing stands any more."""
    return {option(section, name, path): (ANY, "") for section, name in options}


CHANGED = Kind(
    "an option is changed",
    cause=edit("controller", NOVA_CONF, "s/^verbose = .*/verbose = False/"),
    after=says("controller", NOVA_CONF, "DEFAULT", "verbose", "True"),
    shows={"nova-controller": {option("DEFAULT", "verbose"): ('"True"', '"False"')}},
)
SECRET_CHANGED = Kind(
    "a password is changed",
    cause=edit("controller", NOVA_CONF, "s/^admin_password = .*/admin_password = theirs/"),
    after=says("controller", NOVA_CONF, "keystone_authtoken", "admin_password", "lab-nova-pass"),
    shows={"nova-controller": {option("keystone_authtoken", "admin_password (found)"): ("", ANY)}},
)
ADDED = Kind(
    "an option is added",
    cause=edit("controller", NOVA_CONF, "s/^verbose/by_hand = 1\\nverbose/"),
    after=says("controller", NOVA_CONF, "DEFAULT", "by_hand", None),
    shows={"nova-controller": {option("DEFAULT", "by_hand"): ("", ANY)}},
)
TAKEN_OUT = Kind(
    "an option is removed",
    cause=edit("controller", NOVA_CONF, "/^auth_strategy/d"),
    after=says("controller", NOVA_CONF, "DEFAULT", "auth_strategy", "keystone"),
    shows={"nova-controller": {option("DEFAULT", "auth_strategy"): ('"keystone"', "")}},
)
MOVED = Kind(
    "an option is moved to another section",
    cause=edit(
        "controller", NOVA_CONF, "/^rabbit_password/d", "s/^\\[glance\\]/[glance]\\nrabbit_password = lab-rabbit-pass/"
    ),
    after=says("controller", NOVA_CONF, "DEFAULT", "rabbit_password", "lab-rabbit-pass"),
    shows={
        "nova-controller": {
            option("DEFAULT", "rabbit_password"): ("[secret]", ""),
            option("glance", "rabbit_password"): ("", ANY),
        }
    },
)
DOUBLED = Kind(
    "an option stands there twice",
    cause=edit("controller", NOVA_CONF, "s/^rabbit_host = .*/&\\nrabbit_host = elsewhere/"),
    after=says("controller", NOVA_CONF, "DEFAULT", "rabbit_host", "controller"),
    shows={
        "nova-controller": {
            option("DEFAULT", "rabbit_host"): ('"controller"', ""),
            option("DEFAULT", "rabbit_host[0]"): ("", '"controller"'),
            option("DEFAULT", "rabbit_host[1]"): ("", '"elsewhere"'),
        }
    },
)
COMMENTED = Kind(
    "a comment is added",
    cause=edit("controller", NOVA_CONF, "1i # by hand"),
    after=lambda lab: lab.run("controller", f"grep -qx '# by hand' {NOVA_CONF}") and None,
    undo=edit("controller", NOVA_CONF, "/^# by hand$/d"),
)
OWNER_AND_MODE = Kind(
    "owner and mode of a file are changed",
    cause=lambda lab: lab.run("compute1", f"chown nova:root {NOVA_CONF}; chmod 644 {NOVA_CONF}"),
    after=is_file_of_nova("compute1", NOVA_CONF, len(COMPUTE_NOVA_CONF)),
    shows={
        "nova-compute1": {
            f"files.{NOVA_CONF}.owner": ('"root"', '"nova"'),
            f"files.{NOVA_CONF}.group": ('"nova"', '"root"'),
            f"files.{NOVA_CONF}.mode": ('"640"', '"644"'),
        }
    },
)
NOVA_CONF_GONE = Kind(
    "nova.conf is gone",
    cause=lambda lab: lab.run("controller", f"rm {NOVA_CONF}"),
    after=is_file_of_nova("controller", NOVA_CONF, len(CONTROLLER_CONF)),
    # nova-manage asks another database then, nova's default.
    shows={
        "nova-controller": {
            **without(CONTROLLER_CONF, NOVA_CONF),
            f"files.{NOVA_CONF}.mode": ('"640"', '"missing"'),
            "schema": ('"current"', '"not known"'),
            "schema_version": (ANY, ANY),
        }
    },
)
GONE = Kind(
    "a file is gone",
    cause=lambda lab: lab.run("compute1", f"rm {COMPUTE_CONF}"),
    after=is_file_of_nova("compute1", COMPUTE_CONF, len(NOVA_COMPUTE_CONF)),
    shows={
        "nova-compute1": {
            **without(NOVA_COMPUTE_CONF, COMPUTE_CONF),
            f"files.{COMPUTE_CONF}.mode": ('"640"', '"missing"'),
        }
    },
)
EMPTIED = Kind(
    "a file is emptied",
    cause=lambda lab: lab.run("compute1", f": >{NOVA_CONF}"),
    after=is_file_of_nova("compute1", NOVA_CONF, len(COMPUTE_NOVA_CONF)),
    shows={"nova-compute1": without(COMPUTE_NOVA_CONF, NOVA_CONF)},
)
LINK = Kind(
    "a file is replaced by a link",
    cause=lambda lab: lab.run("controller", f"mv {NOVA_CONF} /srv/nova.conf; ln -s /srv/nova.conf {NOVA_CONF}"),
    after=is_file_of_nova("controller", NOVA_CONF, len(CONTROLLER_CONF)),
    # Nobody has looked where it leads.
    shows={
        "nova-controller": {
            **without(CONTROLLER_CONF, NOVA_CONF),
            f"files.{NOVA_CONF}.mode": ('"640"', '"link"'),
            "schema": ('"current"', '"not known"'),
        }
    },
    undo=lambda lab: lab.run("controller", "rm -f /srv/nova.conf"),
)
CRLF = Kind(
    "the lines of a file end in CRLF",
    cause=edit("compute1", NOVA_CONF, "s/$/\\r/"),
    after=is_file_of_nova("compute1", NOVA_CONF, len(COMPUTE_NOVA_CONF)),
    shows={"nova-compute1": {f"files.{NOVA_CONF}.line_ends": ("", '"CRLF"')}},
)
OF_NOVA_COMPUTE_CONF = Kind(
    "an option of nova-compute.conf is changed",
    cause=edit("compute1", COMPUTE_CONF, "s/^compute_driver.*/compute_driver = fake.FakeDriver/"),
    after=says("compute1", COMPUTE_CONF, *DRIVER),
    shows={"nova-compute1": {option("DEFAULT", "compute_driver", COMPUTE_CONF): (LIBVIRT, '"fake.FakeDriver"')}},
)
ADDED_THERE = Kind(
    "an option is added to nova-compute.conf",
    cause=edit("compute1", COMPUTE_CONF, "s/^compute_driver/by_hand = 1\\ncompute_driver/"),
    after=says("compute1", COMPUTE_CONF, "DEFAULT", "by_hand", None),
    shows={"nova-compute1": {option("DEFAULT", "by_hand", COMPUTE_CONF): ("", ANY)}},
)
TAKEN_OUT_THERE = Kind(
    "an option is removed from nova-compute.conf",
    cause=edit("compute1", COMPUTE_CONF, "/^compute_driver/d"),
    after=says("compute1", COMPUTE_CONF, *DRIVER),
    shows={"nova-compute1": {option("DEFAULT", "compute_driver", COMPUTE_CONF): (LIBVIRT, "")}},
)
MOVED_THERE = Kind(
    "an option of nova-compute.conf is moved to another section",
    cause=edit(
        "compute1",
        COMPUTE_CONF,
        "/^compute_driver/d",
        "s/^\\[libvirt\\]/[libvirt]\\ncompute_driver = libvirt.LibvirtDriver/",
    ),
    after=says("compute1", COMPUTE_CONF, *DRIVER),
    shows={
        "nova-compute1": {
            option("DEFAULT", "compute_driver", COMPUTE_CONF): (LIBVIRT, ""),
            option("libvirt", "compute_driver", COMPUTE_CONF): ("", ANY),
        }
    },
)
DOUBLED_THERE = Kind(
    "an option stands twice in nova-compute.conf",
    cause=edit("compute1", COMPUTE_CONF, "s/^compute_driver.*/&\\ncompute_driver = fake.FakeDriver/"),
    after=says("compute1", COMPUTE_CONF, *DRIVER),
    shows={
        "nova-compute1": {
            option("DEFAULT", "compute_driver", COMPUTE_CONF): (LIBVIRT, ""),
            option("DEFAULT", "compute_driver[0]", COMPUTE_CONF): ("", LIBVIRT),
            option("DEFAULT", "compute_driver[1]", COMPUTE_CONF): ("", '"fake.FakeDriver"'),
        }
    },
)
COMMENTED_THERE = Kind(
    "a comment is added to nova-compute.conf",
    cause=edit("compute1", COMPUTE_CONF, "1i # by hand"),
    after=lambda lab: lab.run("compute1", f"grep -qx '# by hand' {COMPUTE_CONF}") and None,
    undo=edit("compute1", COMPUTE_CONF, "/^# by hand$/d"),
)
OWNER_AND_MODE_THERE = Kind(
    "owner and mode of nova-compute.conf are changed",
    cause=lambda lab: lab.run("compute1", f"chown nova:root {COMPUTE_CONF}; chmod 600 {COMPUTE_CONF}"),
    after=is_file_of_nova("compute1", COMPUTE_CONF, len(NOVA_COMPUTE_CONF)),
    shows={
        "nova-compute1": {
            f"files.{COMPUTE_CONF}.owner": ('"root"', '"nova"'),
            f"files.{COMPUTE_CONF}.group": ('"nova"', '"root"'),
            f"files.{COMPUTE_CONF}.mode": ('"640"', '"600"'),
        }
    },
)
EMPTIED_THERE = Kind(
    "nova-compute.conf is emptied",
    cause=lambda lab: lab.run("compute1", f": >{COMPUTE_CONF}"),
    after=is_file_of_nova("compute1", COMPUTE_CONF, len(NOVA_COMPUTE_CONF)),
    shows={"nova-compute1": without(NOVA_COMPUTE_CONF, COMPUTE_CONF)},
)
LINK_THERE = Kind(
    "nova-compute.conf is replaced by a link",
    cause=lambda lab: lab.run(
        "compute1", f"mv {COMPUTE_CONF} /srv/nova-compute.conf; ln -s /srv/nova-compute.conf {COMPUTE_CONF}"
    ),
    after=is_file_of_nova("compute1", COMPUTE_CONF, len(NOVA_COMPUTE_CONF)),
    shows={
        "nova-compute1": {
            **without(NOVA_COMPUTE_CONF, COMPUTE_CONF),
            f"files.{COMPUTE_CONF}.mode": ('"640"', '"link"'),
        }
    },
    undo=lambda lab: lab.run("compute1", "rm -f /srv/nova-compute.conf"),
)
CRLF_THERE = Kind(
    "the lines of nova-compute.conf end in CRLF",
    cause=edit("compute1", COMPUTE_CONF, "s/$/\\r/"),
    after=is_file_of_nova("compute1", COMPUTE_CONF, len(NOVA_COMPUTE_CONF)),
    shows={"nova-compute1": {f"files.{COMPUTE_CONF}.line_ends": ("", '"CRLF"')}},
)
OPTIONS = [CHANGED, SECRET_CHANGED, ADDED, TAKEN_OUT, MOVED, DOUBLED]
OPTIONS_THERE = [OF_NOVA_COMPUTE_CONF, ADDED_THERE, TAKEN_OUT_THERE, MOVED_THERE, DOUBLED_THERE]
KINDS = [
    *OPTIONS,
    COMMENTED,
    OWNER_AND_MODE,
    NOVA_CONF_GONE,
    GONE,
    EMPTIED,
    LINK,
    CRLF,
    *OPTIONS_THERE,
    COMMENTED_THERE,
    OWNER_AND_MODE_THERE,
    EMPTIED_THERE,
    LINK_THERE,
    CRLF_THERE,
]
