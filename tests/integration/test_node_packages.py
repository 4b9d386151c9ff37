"""NodePackages against apt and dpkg of a real machine. Everything is applied twice.

The packages are made on the node for these tests, in a repository of their own: a version, a dependency or a script that fails is
then a line here, and a run takes a second.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from nova_infra.access import Access
from nova_infra.errors import Refused, StepFailed
from nova_infra.remote.connection import Connection
from nova_infra.remote.script import Answer, Call
from nova_infra.resources.node_packages import NodePackagesLifecycle
from tests.nodes import ROOT, Lab

LOOK = "dpkg --get-selections; cat /etc/passwd /etc/group; ls /usr/sbin/policy-rc.d* 2>/dev/null; true"
# The newest of several versions comes first in each list.
TOOL, PLUGIN, LIBRARY, OTHER = (f"novainfratest-{each}" for each in ("tool", "plugin", "lib", "other"))

REPOSITORY = r"""
set -e
rm -rf /srv/novainfratest && mkdir -p /srv/novainfratest && cd /srv/novainfratest
package() { # name, version, depends, postinst
    mkdir -p build/DEBIAN
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Tests <tests@example.org>\nDescription: a test\n' "$1" "$2" >build/DEBIAN/control
    [ -z "$3" ] || echo "Depends: $3" >>build/DEBIAN/control
    [ -z "$4" ] || { printf '#!/bin/sh\n%s\n' "$4" >build/DEBIAN/postinst; chmod 755 build/DEBIAN/postinst; }
    dpkg-deb -Znone -b build "$1_$2.deb" >/dev/null
    rm -rf build
}
user='getent passwd novainfra-lib >/dev/null || useradd --system novainfra-lib'
package novainfratest-lib 1.0 '' "$user"
package novainfratest-tool 1.0 novainfratest-lib 'getent passwd novainfra-tool >/dev/null || useradd --system novainfra-tool'
package novainfratest-tool 2.0 novainfratest-lib 'getent passwd novainfra-tool >/dev/null || useradd --system novainfra-tool'
package novainfratest-plugin 1.0 novainfratest-tool
package novainfratest-other 1.0 novainfratest-lib \
    '[ ! -e /run/novainfratest-fails ] || { echo no answer; echo the licence server refuses password=lab-hunter2-secret and lab-admin-pass; exit 1; }'
package novainfratest-user 1.0 novainfratest-other
mkdir -p build/opt/novainfratest && head -c 300000 /dev/zero >build/opt/novainfratest/big && package novainfratest-big 1.0
for deb in *.deb; do
    dpkg-deb -f "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d ' ' -f 1)"
done >Packages
echo 'deb [trusted=yes] file:/srv/novainfratest ./' >/etc/apt/sources.list.d/novainfratest.list
apt-get -qq update -o Dir::Etc::sourcelist=sources.list.d/novainfratest.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
"""
NO_REPOSITORY = r"""
rm -f /run/novainfratest-fails /usr/sbin/policy-rc.d.nova-infra*
names=$(dpkg-query -W -f '${Package} ' 'novainfratest-*' 2>/dev/null)
[ -z "$names" ] || { apt-mark unhold $names; DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge $names; } >/dev/null 2>&1
for user in novainfra-lib novainfra-tool; do userdel $user 2>/dev/null; done
rm -rf /srv/novainfratest /etc/apt/sources.list.d/novainfratest.list /var/lib/apt/lists/*novainfratest*
true
"""


def wanted(lab: Lab, *packages: str, **more: str) -> dict[str, Any]:
    """The state that names these packages; `name=version` pins one."""
    connection = {"host": lab.address("compute1"), "port": 22, "user": "ubuntu", "host_key": ""}
    named = {name: version or "present" for name, _, version in (each.partition("=") for each in packages)}
    return {"node": "compute1", "connection": connection, "packages": named, "on_unreachable": "refuse", **more}


@pytest.fixture(scope="module", autouse=True)
def repository(lab: Lab) -> Iterator[None]:
    lab.run("compute1", NO_REPOSITORY + REPOSITORY)
    try:
        yield
    finally:
        lab.run("compute1", NO_REPOSITORY)


@pytest.fixture
def packages(access: Access, lab: Lab) -> Iterator[NodePackagesLifecycle]:
    """The resource's own code; afterwards the node is as it was, to the last account."""
    before = lab.run("compute1", LOOK)
    lifecycle = NodePackagesLifecycle()
    lifecycle.access = access
    yield lifecycle
    lab.run("compute1", "rm -f /run/novainfratest-fails")
    lifecycle.remove(wanted(lab, TOOL))
    assert lab.run("compute1", LOOK) == before
    assert lab.run("compute1", "ls -d /var/lib/nova-infra 2>/dev/null; true") == ""


def installed(lab: Lab) -> set[str]:
    return set(
        lab.run("compute1", "dpkg-query -W -f '${Package} ${Status}\\n' | sed -n 's/ install ok installed$//p'").split()
    )


def ours(lab: Lab) -> set[str]:
    """The packages of these tests that are installed."""
    return {name for name in installed(lab) if name.startswith("novainfratest-")}


def accounts(lab: Lab) -> set[str]:
    return set(lab.run("compute1", "sed -n 's/^\\(novainfra-[a-z]*\\):.*/\\1/p' /etc/passwd").split())


# ------------------------------------------------------------ installing and removing


def test_what_is_missing_is_installed_with_its_dependencies_noted_and_twice_is_the_same(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    before = installed(lab)
    made = packages.make(wanted(lab, TOOL))
    assert packages.make(wanted(lab, TOOL)) == made
    assert set(made["added"]) == installed(lab) - before == {TOOL, LIBRARY}
    assert made["versions"] == {TOOL: "2.0"}
    assert packages.look(wanted(lab, TOOL)) == (wanted(lab, TOOL), {**made, "remarks": []})


def test_removing_takes_exactly_what_was_added_and_leaves_nothing_of_ours(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    before = lab.run("compute1", LOOK)
    packages.make(wanted(lab, TOOL))
    assert accounts(lab) == {"novainfra-lib", "novainfra-tool"}
    packages.remove(wanted(lab, TOOL))
    packages.remove(wanted(lab, TOOL))
    assert lab.run("compute1", LOOK) == before
    assert lab.run("compute1", "ls -d /var/lib/nova-infra 2>/dev/null; true") == ""
    assert packages.look(wanted(lab, TOOL)) is None


@contextlib.contextmanager
def by_hand(lab: Lab, *names: str) -> Iterator[None]:
    """Packages that somebody else installs, and takes away again."""
    lab.run("compute1", f"DEBIAN_FRONTEND=noninteractive apt-get -qq -y install {' '.join(names)}")
    try:
        yield
    finally:
        lab.run(
            "compute1",
            f"DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge --auto-remove {' '.join(names)}; "
            "userdel novainfra-lib; userdel novainfra-tool; true",
        )


def test_a_package_that_was_there_before_us_stays_also_when_it_is_no_longer_named(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    with by_hand(lab, LIBRARY):
        assert packages.make(wanted(lab, LIBRARY, OTHER))["added"] == [OTHER]
        packages.change(wanted(lab, LIBRARY, OTHER), wanted(lab, OTHER))
        assert ours(lab) == {LIBRARY, OTHER}
        packages.remove(wanted(lab, OTHER))
        assert ours(lab) == {LIBRARY}
        assert accounts(lab) == {"novainfra-lib"}


def test_what_others_have_come_to_need_stays_is_named_and_goes_with_them(
    lab: Lab, packages: NodePackagesLifecycle, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.make(wanted(lab, TOOL))
    lab.run("compute1", f"DEBIAN_FRONTEND=noninteractive apt-get -qq -y install {OTHER}")
    packages.remove(wanted(lab, TOOL))
    assert ours(lab) == {LIBRARY, OTHER}
    assert f"stays, because {OTHER} needs it: {LIBRARY}" in capsys.readouterr().out
    lab.run("compute1", f"DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge {OTHER}")
    packages.remove(wanted(lab, TOOL))
    assert ours(lab) == set()


# ------------------------------------------------------------ taken off the list


def test_a_package_that_is_taken_off_the_list_goes_with_what_only_it_needs_and_its_accounts(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    packages.make(wanted(lab, PLUGIN, OTHER))
    assert ours(lab) == {PLUGIN, TOOL, LIBRARY, OTHER}
    left = packages.change(wanted(lab, PLUGIN, OTHER), wanted(lab, OTHER))
    assert ours(lab) == {LIBRARY, OTHER}
    assert left["added"] == [LIBRARY, OTHER]
    assert accounts(lab) == {"novainfra-lib"}
    assert packages.change(wanted(lab, PLUGIN, OTHER), wanted(lab, OTHER)) == left


def test_a_package_that_is_taken_off_the_list_and_that_the_list_needs_stays_until_nobody_needs_it(
    lab: Lab, packages: NodePackagesLifecycle, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.make(wanted(lab, PLUGIN, TOOL, OTHER))
    packages.change(wanted(lab, PLUGIN, TOOL, OTHER), wanted(lab, PLUGIN, OTHER))
    assert ours(lab) == {PLUGIN, TOOL, LIBRARY, OTHER}
    assert f"stays, because {PLUGIN} needs it: {TOOL}" in capsys.readouterr().out
    packages.change(wanted(lab, PLUGIN, OTHER), wanted(lab, OTHER))
    assert ours(lab) == {LIBRARY, OTHER}


def test_a_dependency_that_is_named_later_stays_when_what_brought_it_goes(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    packages.make(wanted(lab, PLUGIN))
    packages.change(wanted(lab, PLUGIN), wanted(lab, PLUGIN, TOOL))
    packages.change(wanted(lab, PLUGIN, TOOL), wanted(lab, TOOL))
    assert ours(lab) == {TOOL, LIBRARY}


def test_what_a_run_that_died_has_installed_goes_when_the_list_no_longer_names_it(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    # The engine knows nothing of a create that did not end: only the node does.
    packages.make(wanted(lab, PLUGIN))
    packages.make(wanted(lab, OTHER))
    assert ours(lab) == {LIBRARY, OTHER}


# ------------------------------------------------------------ versions


def test_a_pin_is_followed_up_and_down_and_no_pin_changes_nothing(
    lab: Lab, packages: NodePackagesLifecycle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packages.make(wanted(lab, f"{TOOL}=1.0"))["versions"] == {TOOL: "1.0"}
    assert packages.make(wanted(lab, f"{TOOL}=2.0"))["versions"] == {TOOL: "2.0"}
    assert packages.make(wanted(lab, f"{TOOL}=1.0"))["versions"] == {TOOL: "1.0"}
    assert f"these go to an older version: {TOOL}" in capsys.readouterr().out
    assert packages.make(wanted(lab, TOOL))["versions"] == {TOOL: "1.0"}


@pytest.fixture
def old_apt(lab: Lab, packages: NodePackagesLifecycle, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The node's apt-get refuses --allow-downgrades, as apt 1.0.1 does."""
    lab.run(
        "compute1",
        "mkdir -p /run/novainfratest && cd /run/novainfratest && printf '%s\\n' '#!/bin/sh' "
        "'case \"$*\" in *allow-downgrades*) exit 100 ;; esac' 'exec /usr/bin/apt-get \"$@\"' >apt-get && chmod 755 apt-get",
    )
    run = Connection.run

    def with_it(self: Connection, calls: Iterable[Call], **more: Any) -> Answer:
        return run(self, [Call("PATH=/run/novainfratest:$PATH"), *calls], **more)

    monkeypatch.setattr(Connection, "run", with_it)
    yield
    lab.run("compute1", "rm -r /run/novainfratest")


def test_an_apt_before_1_1_goes_down_with_one_yes(lab: Lab, packages: NodePackagesLifecycle, old_apt: None) -> None:
    packages.make(wanted(lab, f"{TOOL}=2.0"))
    assert packages.make(wanted(lab, f"{TOOL}=1.0"))["versions"] == {TOOL: "1.0"}


def test_an_apt_before_1_1_does_not_go_down_to_what_nobody_has_signed(
    lab: Lab, packages: NodePackagesLifecycle, old_apt: None
) -> None:
    packages.make(wanted(lab, f"{TOOL}=2.0"))
    source = "/etc/apt/sources.list.d/novainfratest.list"
    quietly = "-o Acquire::AllowInsecureRepositories=true -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0"
    quietly += " -o Dir::Etc::sourcelist=sources.list.d/novainfratest.list"
    lab.run("compute1", f"sed -i 's/ .trusted=yes.//' {source}; apt-get -qq update {quietly}")
    try:
        with pytest.raises(StepFailed, match="authenticated"):
            packages.make(wanted(lab, f"{TOOL}=1.0"))
        assert packages.look(wanted(lab, TOOL))[1]["versions"] == {TOOL: "2.0"}  # type: ignore[index]
    finally:
        lab.run("compute1", f"sed -i 's/^deb /deb [trusted=yes] /' {source}; apt-get -qq update {quietly}")


def test_another_version_than_pinned_is_seen(lab: Lab, packages: NodePackagesLifecycle) -> None:
    packages.make(wanted(lab, f"{TOOL}=1.0"))
    seen = packages.look(wanted(lab, f"{TOOL}=2.0"))
    assert seen is not None
    assert seen[0]["packages"] == {TOOL: "1.0"}


def test_a_version_that_the_sources_do_not_have_is_named(lab: Lab, packages: NodePackagesLifecycle) -> None:
    with pytest.raises(StepFailed, match=r"Version .9\.9. for .novainfratest-tool. was not found"):
        packages.make(wanted(lab, f"{TOOL}=9.9"))


def test_a_package_that_is_held_back_keeps_its_version_and_stays_with_a_sentence(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    packages.make(wanted(lab, f"{TOOL}=1.0"))
    lab.run("compute1", f"apt-mark hold {TOOL}")
    with pytest.raises(Refused, match=f"holds it back at 1.0 there.*apt-mark unhold {TOOL}"):
        packages.make(wanted(lab, f"{TOOL}=2.0"))
    with pytest.raises(StepFailed, match=f"held back on this node .apt-mark hold.: {TOOL}"):
        packages.remove(wanted(lab, TOOL))
    lab.run("compute1", f"apt-mark unhold {TOOL}")


# ------------------------------------------------------------ what others do to apt


def test_dpkg_that_was_cut_off_is_completed_first(lab: Lab, packages: NodePackagesLifecycle) -> None:
    lab.run("compute1", "touch /run/novainfratest-fails")
    with pytest.raises(StepFailed, match=OTHER):
        packages.make(wanted(lab, OTHER))
    assert "half-configured" in lab.run("compute1", f"dpkg-query -W -f '${{Status}}' {OTHER}")
    lab.run("compute1", "rm /run/novainfratest-fails")
    packages.make(wanted(lab, TOOL, OTHER))
    assert ours(lab) == {TOOL, LIBRARY, OTHER}


@contextlib.contextmanager
def another_apt(lab: Lab, seconds: int) -> Iterator[None]:
    """A process that holds dpkg's lock as dpkg does: with fcntl(2), which flock(1) does not see."""
    hold = (
        "use Fcntl; open(F, '>>', '/var/lib/dpkg/lock') or die; "
        "$lock = pack('s s x4 q q i x4', F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; $| = 1; print 'held'; sleep "
        f"{seconds}"
    )
    command = [ROOT / "lab" / "ssh", "compute1", f"sudo perl -e {shlex.quote(hold)}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.read(4) == b"held"
        yield
        process.wait()


def test_another_apt_is_waited_for_by_name(
    lab: Lab, packages: NodePackagesLifecycle, capsys: pytest.CaptureFixture[str]
) -> None:
    with another_apt(lab, 4):
        packages.make(wanted(lab, TOOL))
    said = capsys.readouterr().out
    assert "compute1: waiting for another apt or dpkg: process " in said
    assert "(perl)" in said
    assert ours(lab) == {TOOL, LIBRARY}


def test_what_answered_for_the_start_of_services_before_answers_again(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    lab.run("compute1", "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; chmod 750 /usr/sbin/policy-rc.d")
    try:
        before = lab.run("compute1", "stat -c '%a %Y' /usr/sbin/policy-rc.d*; cat /usr/sbin/policy-rc.d*")
        packages.make(wanted(lab, TOOL))
        after = lab.run("compute1", "stat -c '%a %Y' /usr/sbin/policy-rc.d*; cat /usr/sbin/policy-rc.d*")
        assert after == before
    finally:
        lab.run("compute1", "rm -f /usr/sbin/policy-rc.d")


def test_a_package_that_apt_does_not_know_is_named_with_the_sources_and_nothing_is_left_behind(
    lab: Lab, packages: NodePackagesLifecycle
) -> None:
    with pytest.raises(StepFailed, match="no-such-package") as raised:
        packages.make(wanted(lab, "no-such-package"))
    assert "its sources: file:/srv/nova-lab-repo" in str(raised.value)


def test_a_name_that_apt_would_take_for_a_pattern_installs_nothing(lab: Lab, packages: NodePackagesLifecycle) -> None:
    with pytest.raises(StepFailed, match=r"novainfratest\.tool"):
        packages.make(wanted(lab, "novainfratest.tool"))
    assert ours(lab) == set()
