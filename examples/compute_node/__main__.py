"""nova-compute on a machine that has its packages."""

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
compute1 = nova_infra.ComputeNode(
    "compute1",
    nova_infra.ComputeNodeArgs(
        node="compute1",
        connection={"host": config.require("computeAddress"), "user": config.require("user")},
        options={
            "/etc/nova/nova.conf": {
                "DEFAULT": {
                    "rpc_backend": "rabbit",
                    "rabbit_host": "controller",
                    "rabbit_password": config.require_secret("rabbitPassword"),
                    "auth_strategy": "keystone",
                    "my_ip": config.require("computeAddress"),
                    "vnc_enabled": "True",
                    "vncserver_listen": "0.0.0.0",
                    "vncserver_proxyclient_address": config.require("computeAddress"),
                    "novncproxy_base_url": "http://controller:6080/vnc_auto.html",
                    "logdir": "/var/log/nova",
                    "state_path": "/var/lib/nova",
                    "lock_path": "/var/lock/nova",
                    "api_paste_config": "/etc/nova/api-paste.ini",
                    "rootwrap_config": "/etc/nova/rootwrap.conf",
                },
                "keystone_authtoken": {
                    "auth_uri": "http://controller:5000/v2.0",
                    "identity_uri": "http://controller:35357",
                    "admin_tenant_name": "service",
                    "admin_user": "nova",
                    "admin_password": config.require_secret("novaPassword"),
                },
                "glance": {"host": "controller"},
            },
            "/etc/nova/nova-compute.conf": {
                "DEFAULT": {"compute_driver": "libvirt.LibvirtDriver"},
                "libvirt": {"virt_type": "auto"},
            },
        },
    ),
    opts=pulumi.ResourceOptions(provider=access),
)
pulumi.export("virt_type", compute1.virt_type)
