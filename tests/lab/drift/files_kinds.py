"""What can become of nova.conf and nova-compute.conf."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType

from nova_infra.configuration import read_options
from tests.lab.drift.kinds import Kind
from tests.lab.drift.masked import SOMEBODY_ELSES
from tests.lab.drift.plan import ANOTHER_VALUE, HIDDEN, NOT_IN_THE_STACK, NUMBER, TEXT, Value
from tests.nodes import ROOT, Lab, setting

NOVA_CONF = "/etc/nova/nova.conf"
COMPUTE_CONF = "/etc/nova/nova-compute.conf"
# Where nova keeps its tables when no file says where: nova-manage makes it then, and the guide removes it.
SQLITE = "/var/lib/nova/nova.sqlite"
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


def is_absent(node: str, path: str) -> Callable[[Lab], None]:
    """A check of `after` and `looked`."""

    def check(lab: Lab) -> None:
        assert lab.run(node, f"ls {path} 2>/dev/null; true") == ""

    return check


def all_of(role: str, name: str) -> dict[tuple[str, str], Value]:
    """(section, option) of what the stack writes into a file, as its template says, and how a plan shows its value."""
    section, found = "", {}
    for line in (ROOT / "templates" / "juno" / role / name).read_text().splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif (option := re.match(r"(\w+) = ", line)) and option[1] not in LEFT_OUT:
            found[section, option[1]] = HIDDEN if "secret(" in line else TEXT
    return found


def option(section: str, name: str, path: str = NOVA_CONF) -> str:
    """The path of the property."""
    return f"options.{path}.{section}.{name}"


CONTROLLER_CONF = all_of("controller", "nova.conf")
COMPUTE_NOVA_CONF = all_of("compute", "nova.conf")
NOVA_COMPUTE_CONF = all_of("compute", "nova-compute.conf")
DRIVER = ("DEFAULT", "compute_driver", "libvirt.LibvirtDriver")
LIBVIRT = '"libvirt.LibvirtDriver"'


# ------------------------------------------------------------ what becomes of a whole file


@dataclass(frozen=True)
class Written:
    """A file of a node, and what the stack writes into it."""

    node: str
    path: str
    options: Mapping[tuple[str, str], Value]
    """As `all_of` has them."""

    @property
    def resource(self) -> str:
        return f"nova-{self.node}"

    def is_right(self) -> Callable[[Lab], None]:
        """A check of `after`."""
        return is_file_of_nova(self.node, self.path, len(self.options))

    def without_options(self) -> dict[str, tuple[Value, Value]]:
        """What a plan shows of it when nothing stands there any more."""
        return {option(section, name, self.path): (shown, "") for (section, name), shown in self.options.items()}


AT_CONTROLLER = Written("controller", NOVA_CONF, CONTROLLER_CONF)
AT_COMPUTE = Written("compute1", NOVA_CONF, COMPUTE_NOVA_CONF)
AT_NOVA_COMPUTE = Written("compute1", COMPUTE_CONF, NOVA_COMPUTE_CONF)
NOT_KNOWN = ('"current"', '"not known"')


def commented(name: str, node: str, path: str) -> Kind:
    return Kind(
        name,
        cause=edit(node, path, "1i # by hand"),
        after=lambda lab: lab.run(node, f"grep -qx '# by hand' {path}") and None,
        undo=edit(node, path, "/^# by hand$/d"),
    )


def of_another_owner(name: str, file: Written, mode: str) -> Kind:
    path = file.path
    return Kind(
        name,
        cause=lambda lab: lab.run(file.node, f"chown nova:root {path}; chmod {mode} {path}"),
        after=file.is_right(),
        shows={
            file.resource: {
                f"files.{path}.owner": ('"root"', '"nova"'),
                f"files.{path}.group": ('"nova"', '"root"'),
                f"files.{path}.mode": ('"640"', f'"{mode}"'),
            }
        },
    )


def gone(name: str, file: Written, more: Mapping[str, tuple[Value, Value]] = MappingProxyType({})) -> Kind:
    missing = {f"files.{file.path}.mode": ('"640"', '"missing"')}
    return Kind(
        name,
        cause=lambda lab: lab.run(file.node, f"rm {file.path}"),
        after=file.is_right(),
        shows={file.resource: {**file.without_options(), **missing, **more}},
    )


def emptied(name: str, file: Written) -> Kind:
    return Kind(
        name,
        cause=lambda lab: lab.run(file.node, f": >{file.path}"),
        after=file.is_right(),
        shows={file.resource: file.without_options()},
    )


def linked(name: str, file: Written, more: Mapping[str, tuple[Value, Value]] = MappingProxyType({})) -> Kind:
    elsewhere = f"/srv/{PurePosixPath(file.path).name}"
    link = {f"files.{file.path}.mode": ('"640"', '"link"')}
    return Kind(
        name,
        cause=lambda lab: lab.run(file.node, f"mv {file.path} {elsewhere}; ln -s {elsewhere} {file.path}"),
        after=file.is_right(),
        shows={file.resource: {**file.without_options(), **link, **more}},
        undo=lambda lab: lab.run(file.node, f"rm -f {elsewhere}"),
    )


def with_crlf(name: str, file: Written) -> Kind:
    return Kind(
        name,
        cause=edit(file.node, file.path, "s/$/\\r/"),
        after=file.is_right(),
        shows={file.resource: {f"files.{file.path}.line_ends": ("", '"CRLF"')}},
    )


# ------------------------------------------------------------ the kinds


CHANGED = Kind(
    "an option is changed",
    cause=edit("controller", NOVA_CONF, "s/^verbose = .*/verbose = False/"),
    after=says("controller", NOVA_CONF, "DEFAULT", "verbose", "True"),
    shows={"nova-controller": {option("DEFAULT", "verbose"): ('"True"', '"False"')}},
)
SECRET_CHANGED = Kind(
    "a password is changed",
    cause=edit("controller", NOVA_CONF, f"s/^admin_password = .*/admin_password = {SOMEBODY_ELSES}/"),
    after=says("controller", NOVA_CONF, "keystone_authtoken", "admin_password", setting("NOVA_PASS")),
    shows={"nova-controller": {option("keystone_authtoken", "admin_password (found)"): ("", ANOTHER_VALUE)}},
)
ADDED = Kind(
    "an option is added",
    cause=edit("controller", NOVA_CONF, "s/^verbose/by_hand = 1\\nverbose/"),
    after=says("controller", NOVA_CONF, "DEFAULT", "by_hand", None),
    shows={"nova-controller": {option("DEFAULT", "by_hand"): ("", NOT_IN_THE_STACK)}},
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
        "controller",
        NOVA_CONF,
        "/^rabbit_password/d",
        f"s/^\\[glance\\]/[glance]\\nrabbit_password = {setting('RABBIT_PASS')}/",
    ),
    after=says("controller", NOVA_CONF, "DEFAULT", "rabbit_password", setting("RABBIT_PASS")),
    shows={
        "nova-controller": {
            option("DEFAULT", "rabbit_password"): (HIDDEN, ""),
            option("glance", "rabbit_password"): ("", NOT_IN_THE_STACK),
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
COMMENTED = commented("a comment is added", "controller", NOVA_CONF)
OWNER_AND_MODE = of_another_owner("owner and mode of a file are changed", AT_COMPUTE, "644")
# nova-manage would ask another database then, nova's default.
OF_NO_DATABASE: dict[str, tuple[Value, Value]] = {"schema": NOT_KNOWN, "schema_version": (NUMBER, NUMBER)}
NOVA_CONF_GONE = replace(
    gone("nova.conf is gone", AT_CONTROLLER, OF_NO_DATABASE), looked=is_absent("controller", SQLITE)
)
CONNECTION_TAKEN_OUT = Kind(
    "the way to the database is removed",
    cause=edit("controller", NOVA_CONF, "/^connection/d"),
    looked=is_absent("controller", SQLITE),
    after=says(
        "controller", NOVA_CONF, "database", "connection", f"mysql://nova:{setting('NOVA_DBPASS')}@controller/nova"
    ),
    shows={"nova-controller": {option("database", "connection"): (HIDDEN, ""), **OF_NO_DATABASE}},
)
GONE = gone("a file is gone", AT_NOVA_COMPUTE)
EMPTIED = emptied("a file is emptied", AT_COMPUTE)
# Nobody has looked where it leads.
LINK = linked("a file is replaced by a link", AT_CONTROLLER, {"schema": NOT_KNOWN})
CRLF = with_crlf("the lines of a file end in CRLF", AT_COMPUTE)
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
    shows={"nova-compute1": {option("DEFAULT", "by_hand", COMPUTE_CONF): ("", NOT_IN_THE_STACK)}},
)
TAKEN_OUT_THERE = Kind(
    "an option is removed from nova-compute.conf",
    cause=edit("compute1", COMPUTE_CONF, "/^virt_type/d"),
    after=says("compute1", COMPUTE_CONF, "libvirt", "virt_type", "qemu"),
    shows={"nova-compute1": {option("libvirt", "virt_type", COMPUTE_CONF): ('"auto"', "")}},
)
MOVED_THERE = Kind(
    "an option of nova-compute.conf is moved to another section",
    cause=edit("compute1", COMPUTE_CONF, "/^virt_type/d", "s/^\\[DEFAULT\\]/[DEFAULT]\\nvirt_type = qemu/"),
    after=says("compute1", COMPUTE_CONF, "libvirt", "virt_type", "qemu"),
    shows={
        "nova-compute1": {
            option("libvirt", "virt_type", COMPUTE_CONF): ('"auto"', ""),
            option("DEFAULT", "virt_type", COMPUTE_CONF): ("", NOT_IN_THE_STACK),
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
COMMENTED_THERE = commented("a comment is added to nova-compute.conf", "compute1", COMPUTE_CONF)
OWNER_AND_MODE_THERE = of_another_owner("owner and mode of nova-compute.conf are changed", AT_NOVA_COMPUTE, "600")
EMPTIED_THERE = emptied("nova-compute.conf is emptied", AT_NOVA_COMPUTE)
LINK_THERE = linked("nova-compute.conf is replaced by a link", AT_NOVA_COMPUTE)
CRLF_THERE = with_crlf("the lines of nova-compute.conf end in CRLF", AT_NOVA_COMPUTE)
OPTIONS = [CHANGED, SECRET_CHANGED, ADDED, TAKEN_OUT, MOVED, DOUBLED, CONNECTION_TAKEN_OUT]
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
