"""Nova's schema in MariaDB, and its user."""

import pulumi

import nova_infra

config = pulumi.Config()
access = nova_infra.Provider(
    "access",
    ssh=nova_infra.SSHArgs(
        private_key_file=config.require("privateKeyFile"), known_hosts_file=config.require("knownHostsFile")
    ),
    controller=nova_infra.ControllerArgs(host=config.require("controllerAddress"), user=config.require("user")),
    database=nova_infra.DatabaseServerArgs(password=config.require_secret("databaseAdminPassword")),
)
database = nova_infra.Database(
    "database",
    nova_infra.DatabaseArgs(
        name="nova",
        user="nova",
        password=config.require_secret("novaDatabasePassword"),
        on_delete="drop",  # with the data; the default, refuse, keeps them
    ),
    opts=pulumi.ResourceOptions(provider=access),
)
pulumi.export("adopted", database.adopted)
