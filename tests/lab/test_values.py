"""A deployment with passwords and values that are hard to carry: nova reads what the stack said, and no secret is anywhere else."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab.watched import command_lines
from tests.nodes import Lab, Stack, lab_state, setting

pytestmark = [pytest.mark.lab, pytest.mark.engine]

NODES = ("controller", "compute1")
ODD = "$ % # ; = @ : / ? & + \" ' \\ ~ ` | < > ( ) { } [ ] * ! ^ , %(tenant_id)s $my_ip ${x} %%"
# The words in the middle are what is searched for: any quoting leaves them as they are.
SECRETS = {
    # Nova's MySQL client carries ASCII only; the settings say so.
    "novaDatabasePassword": f" database4Kq {ODD} ",
    "novaPassword": f"identity7Wz {ODD} ünï☃ " + "x" * 100,
    "rabbitPassword": f"rabbit9Jd {ODD}",
    "probe": f'"probe3Xv {ODD}"',
}
WORDS = ("database4Kq", "identity7Wz", "rabbit9Jd", "probe3Xv")
RABBIT_USER = "odd user@host:1/2"

# Text options of nova that this deployment does not use otherwise: any value is as good as another.
VALUES = {
    ("vmware", "host_username"): ODD,
    ("vmware", "cluster_name"): "  spaces before and after  ",
    ("vmware", "datastore_regex"): '"quoted"',
    ("vmware", "integration_bridge"): "'single'",
    ("vmware", "pbm_wsdl_location"): "comma, comma; semicolon # hash",
    ("vmware", "pbm_default_policy"): "%(tenant_id)s $$ %%",
    ("vmware", "serial_port_service_uri"): "Grüße ☃ 漢字",
    ("vmware", "serial_port_proxy_uri"): "x" * 200,
    ("vmware", "ca_file"): "back\\slash \\n \\\\",
    ("vmware", "vlan_interface"): "=",
    ("spice", "html5proxy_base_url"): "http://[2001:db8::1]:6082/spice_auto.html?a=1&b=%20+c#d",
}
LISTS = {
    # An option that is given more than once, and one that is a list with commas.
    ("DEFAULT", "dhcpbridge_flagfile"): ["/etc/nova/nova.conf", "/etc/nova/$other, %(x)s.conf"],
    ("DEFAULT", "non_inheritable_image_properties"): "cache_in_nova,bittorrent,ünï $x",
}


@dataclass
class Run:
    """A deployment, with everything that was seen while it was made and changed."""

    stack: Stack
    began: float
    printed: str = ""
    seen: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def values(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    user, password = shlex.quote(RABBIT_USER), shlex.quote(SECRETS["rabbitPassword"])
    # Debian's wrapper of rabbitmqctl gives its arguments to a shell once more.
    rabbitmqctl = "runuser -u rabbitmq -- env HOME=/var/lib/rabbitmq /usr/lib/rabbitmq/bin/rabbitmqctl -q"
    lab.run(
        "controller",
        f"printf '%s\\n' {password} | {rabbitmqctl} add_user {user} && {rabbitmqctl} set_permissions {user} '.*' '.*' '.*'",
    )
    stack = Stack(Path(tmp_path_factory.mktemp("backend")))
    stack.create()
    directory = tmp_path_factory.mktemp("settings")
    options: dict[str, dict[str, Any]] = {"vmware": {"host_password": {"secret": "probe"}}}
    for (section, option), value in {**VALUES, **LISTS}.items():
        options.setdefault(section, {})[option] = value
    settings = stack.configured(
        directory,
        options={"all": options},
        messageQueue={"user": RABBIT_USER},
        identity={"admin_openrc": "/root/nova-openrc.sh"},
    )
    for key, value in SECRETS.items():
        stack.pulumi("config", "set", "--secret", f"nova:{key}", "--config-file", settings, answer=value)
    run = Run(stack, began=time.time())
    with command_lines() as run.seen:
        for arguments in (
            ("up", "--yes", "--skip-preview", "-v=8", "--logtostderr"),
            ("preview", "--refresh", "--diff", "--expect-no-changes"),
        ):
            done = stack.pulumi(*arguments, "--non-interactive", "--config-file", settings)
            run.printed += done.stdout + done.stderr
    run.printed += stack.pulumi("stack", "output", "--json").stdout
    yield run
    with command_lines() as run.seen:
        stack.destroy()
    assert_not_in_any(run.seen)


def assert_not_in_any(lines: set[str]) -> None:
    assert len(lines) > 100, "the watch saw nothing"
    assert [line for line in lines if any(word in line for word in WORDS)] == []


# ------------------------------------------------------------ nova reads what the stack said

ASK = """
import io, json, sys
from nova import config
from nova.conf import CONF
from keystonemiddleware import auth_token  # registers its options
config.parse_args(["nova"] + sum([["--config-file", each] for each in sys.argv[1].split(",")], []), configure_db=False) \
    if "configure_db" in config.parse_args.__code__.co_varnames else config.parse_args(["nova"] + sum([["--config-file", each] for each in sys.argv[1].split(",")], []))
from oslo_config import cfg
asked = json.loads(sys.argv[2])
for section, option in asked:
    group = CONF if section == "DEFAULT" else CONF[section]
    try:
        value = group[option]
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
        CONF.register_opt(cfg.StrOpt(option), group=None if section == "DEFAULT" else section)
        value = (CONF if section == "DEFAULT" else CONF[section])[option]
    print(json.dumps([section, option, value]))
"""


def as_nova_reads(lab: Lab, node: str, asked: list[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """The values of options as nova's own parser gives them to nova."""
    files = "/etc/nova/nova.conf" + (",/etc/nova/nova-compute.conf" if node == "compute1" else "")
    text = lab.run(
        node,
        f"cat >/tmp/ask.py <<'P'\n{ASK}\nP\n"
        f"/usr/lib/nova-venv/bin/python -W ignore /tmp/ask.py {files} {shlex.quote(json.dumps(asked))}; rm /tmp/ask.py",
    )
    return {(each[0], each[1]): each[2] for each in map(json.loads, text.splitlines())}


@pytest.mark.parametrize("node", NODES)
def test_nova_reads_every_text_as_the_stack_says_it(lab: Lab, values: Run, node: str) -> None:
    assert as_nova_reads(lab, node, list(VALUES)) == VALUES


@pytest.mark.parametrize("node", NODES)
def test_nova_reads_lists_and_options_given_more_than_once(lab: Lab, values: Run, node: str) -> None:
    read = as_nova_reads(lab, node, list(LISTS))
    assert read["DEFAULT", "dhcpbridge_flagfile"] == LISTS["DEFAULT", "dhcpbridge_flagfile"]
    assert read["DEFAULT", "non_inheritable_image_properties"] == ["cache_in_nova", "bittorrent", "ünï $x"]


@pytest.mark.parametrize("node", NODES)
def test_nova_reads_every_password_as_it_is(lab: Lab, values: Run, node: str) -> None:
    asked = {
        ("DEFAULT", "rabbit_password"): SECRETS["rabbitPassword"],
        ("DEFAULT", "rabbit_userid"): RABBIT_USER,
        ("keystone_authtoken", "admin_password"): SECRETS["novaPassword"],
        ("vmware", "host_password"): SECRETS["probe"],
    }
    assert as_nova_reads(lab, node, list(asked)) == asked


def test_the_services_work_with_these_passwords(lab: Lab, values: Run) -> None:
    assert {row["State"] for row in lab.table("nova service-list")} == {"up"}
    hosts = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'nova'"
    assert int(lab.sql(hosts)[0][0]) > 0
    users = lab.run("controller", "rabbitmqctl -q list_connections user")
    assert RABBIT_USER in users


def test_the_shell_reads_the_administrators_login_from_the_file_that_was_asked_for(lab: Lab, values: Run) -> None:
    assert lab.run("controller", "stat -c '%U %G %a' /root/nova-openrc.sh").split() == ["root", "root", "600"]
    text = lab.run("controller", '. /root/nova-openrc.sh; echo "$OS_PASSWORD $OS_TENANT_NAME"; nova image-list')
    assert text.splitlines()[0] == f"{setting('ADMIN_PASS')} admin"
    assert "cirros-0.3.3-x86_64" in text


# ------------------------------------------------------------ no secret is anywhere else


def test_no_secret_is_in_a_command_line_here_or_on_a_node(values: Run) -> None:
    assert any("nova-manage" in line for line in values.seen), "the watch saw no process of a node"
    assert any("__main__" in line or "pulumi" in line for line in values.seen)
    assert_not_in_any(values.seen)


def test_no_secret_is_in_what_is_printed(values: Run) -> None:
    assert "nova-controller" in values.printed
    assert [word for word in WORDS if word in values.printed] == []


def test_no_secret_is_in_the_state_or_in_any_file_of_the_backend(values: Run) -> None:
    files = [path for path in values.stack.backend.rglob("*") if path.is_file()]
    texts = [values.stack.state(), *(path.read_text(errors="replace") for path in files)]
    assert any("nova-compute1" in text for text in texts)
    assert [word for word in WORDS for text in texts if word in text] == []


def test_no_secret_is_in_a_temporary_file_or_a_history_here(values: Run) -> None:
    home = Path.home()
    places = [Path(tempfile.gettempdir()), *home.glob(".*history"), lab_state()]
    files = [path for place in places for path in files_below(place, since=values.began)]
    # Other tests make checkouts of their own at the same time, with this file in them.
    found = [
        path for path in files if path.name != Path(__file__).name and any(word in text_of(path) for word in WORDS)
    ]
    assert any(values.stack.backend in path.parents for path in files)
    assert found == []


def files_below(place: Path, since: float) -> Iterator[Path]:
    """The files that have changed since then."""
    paths = [place, *(Path(folder, name) for folder, _, names in os.walk(place) for name in names)]
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_mtime >= since:
                yield path


def text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace") if path.stat().st_size < 5_000_000 else ""
    except OSError:
        return ""


@pytest.mark.parametrize("node", NODES)
def test_on_a_node_a_secret_is_only_in_the_file_that_needs_it(lab: Lab, values: Run, node: str) -> None:
    words = " ".join(f"-e {word}" for word in WORDS)
    # /var/log has nova's, Keystone's, MariaDB's, RabbitMQ's and sudo's logs.
    places = (
        "/etc /var/log /tmp /var/tmp /root /home /run /var/lib/nova-infra /var/lib/nova /var/lib/mysql /var/backups"
    )
    found = set(lab.run(node, f"grep -rlaF {words} {places} 2>/dev/null; true").split())
    # The lab's nova is one with cells: its own database of them has the address of the other one.
    assert found - {"/var/lib/nova/nova_api.sqlite"} == {"/etc/nova/nova.conf"}
    assert lab.run(node, "stat -c '%U %G %a' /etc/nova/nova.conf").split() == ["root", "nova", "640"]


@pytest.mark.parametrize("node", NODES)
def test_no_secret_is_in_the_environment_of_a_process_of_ours(lab: Lab, values: Run, node: str) -> None:
    words = " ".join(f"-e {word}" for word in WORDS)
    assert lab.run(node, f"grep -laF {words} /proc/[0-9]*/environ 2>/dev/null; true") == ""
