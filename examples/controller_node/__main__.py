"""The control services on a machine that has their packages."""

from urllib.parse import quote

import pulumi

import nova_infra

config = pulumi.Config()
access = nova_infra.Provider(
    "access",
    ssh=nova_infra.SSHArgs(
        private_key_file=config.require("privateKeyFile"), known_hosts_file=config.require("knownHostsFile")
    ),
    controller=nova_infra.ControllerArgs(host=config.require("controllerAddress"), user=config.require("user")),
    identity=nova_infra.IdentityArgs(
        url="http://controller:35357/v2.0", password=config.require_secret("adminPassword")
    ),
)
database_password = config.require_secret("novaDatabasePassword").apply(lambda text: quote(text, safe=""))
controller = nova_infra.ControllerNode(
    "controller",
    nova_infra.ControllerNodeArgs(
        node="controller",
        connection={"host": config.require("controllerAddress"), "user": config.require("user")},
        options={
            "/etc/nova/nova.conf": {
                "DEFAULT": {
                    "rpc_backend": "rabbit",
                    "rabbit_host": "controller",
                    "rabbit_password": config.require_secret("rabbitPassword"),
                    "auth_strategy": "keystone",
                    "my_ip": config.require("controllerAddress"),
                    "vncserver_listen": "0.0.0.0",
                    "vncserver_proxyclient_address": config.require("controllerAddress"),
                    "logdir": "/var/log/nova",
                    "state_path": "/var/lib/nova",
                    "lock_path": "/var/lock/nova",
                    "api_paste_config": "/etc/nova/api-paste.ini",
                    "rootwrap_config": "/etc/nova/rootwrap.conf",
                },
                "database": {"connection": pulumi.Output.format("mysql://nova:{}@controller/nova", database_password)},
                "keystone_authtoken": {
                    "auth_uri": "http://controller:5000/v2.0",
                    "identity_uri": "http://controller:35357",
                    "admin_tenant_name": "service",
                    "admin_user": "nova",
                    "admin_password": config.require_secret("novaPassword"),
                },
                "glance": {"host": "controller"},
            },
        },
    ),
    opts=pulumi.ResourceOptions(provider=access),
)
pulumi.export("schema_version", controller.schema_version)
