"""A node's packages, over a connection that holds its own credentials."""

import pulumi
from pulumi_command import remote

import nova_infra

config = pulumi.Config()
node = config.require("node")
connection = remote.ConnectionArgs(
    host=config.require("address"),
    user=config.require("user"),
    private_key=config.require_secret("privateKey"),
    host_key=config.require("hostKey"),
)
packages = nova_infra.NodePackages(
    f"{node}-packages",
    nova_infra.NodePackagesArgs(node=node, connection=connection, packages=config.require_object("packages")),
)
pulumi.export("versions", packages.versions)
