"""One connection for a node's packages and for a command of your own."""

import pulumi
from pulumi_command import remote

import nova_infra

config = pulumi.Config()
connection = remote.ConnectionArgs(
    host=config.require("address"),
    user=config.require("user"),
    private_key=config.require_secret("privateKey"),
    host_key=config.require("hostKey"),
)
packages = nova_infra.NodePackages(
    "compute1-packages",
    nova_infra.NodePackagesArgs(
        node=config.require("node"), connection=connection, packages={"nova-compute": "present"}
    ),
)
version = remote.Command(
    "version",
    connection=connection,
    create="dpkg-query --show nova-compute",
    opts=pulumi.ResourceOptions(depends_on=[packages]),
)
pulumi.export("version", version.stdout)
