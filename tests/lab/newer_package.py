"""A repository on the controller with nova-cert in another version, the same but for the number."""

from __future__ import annotations

from tests.nodes import Lab

NEWER = "3:99.0-1"


def offer_newer_package(lab: Lab) -> None:
    """Adds the repository to apt's sources."""
    lab.run(
        "controller",
        f"""set -e
mkdir -p /srv/newer/tree && cd /srv/newer
dpkg-deb -R /srv/nova-lab-repo/nova-cert_*.deb tree
sed -i 's/^Version: .*/Version: {NEWER}/; s/nova-common (= [^)]*)/nova-common/' tree/DEBIAN/control
dpkg-deb -b tree nova-cert.deb >/dev/null
{{ dpkg-deb -f nova-cert.deb; echo Filename: ./nova-cert.deb; echo Size: $(stat -c %s nova-cert.deb)
echo SHA256: $(sha256sum nova-cert.deb | cut -d' ' -f1); }} >Packages
rm -r tree
echo 'deb [trusted=yes] file:/srv/newer ./' >/etc/apt/sources.list.d/newer.list
apt-get -q update >/dev/null 2>&1""",
    )


def withdraw_newer_package(lab: Lab) -> None:
    """Takes it away."""
    lab.run("controller", "rm -rf /srv/newer /etc/apt/sources.list.d/newer.list; apt-get -q update >/dev/null 2>&1")
