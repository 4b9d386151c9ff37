"""The facts that our NodePackages and ComputeNode look at, as pyinfra operations."""

from pyinfra.context import host
from pyinfra.operations import apt, files, sysvinit

apt.packages(name="versions of the packages", packages=host.data.versions, _sudo=True)
for name in ("nova.conf", "nova-compute.conf"):
    files.template(
        name=name,
        src=f"{host.data.files}/{name}.j2",
        dest=f"/etc/nova/{name}",
        user="root",
        group="nova",
        mode="640",
        address=host.data.ssh_hostname,
        option=host.data.option,
        _sudo=True,
    )
sysvinit.service(
    name="nova-compute runs and starts at boot", service="nova-compute", running=True, enabled=True, _sudo=True
)
files.file(name="no database in a file", path="/var/lib/nova/nova.sqlite", present=False, _sudo=True)
