"""Nova's user in Keystone."""

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
user = nova_infra.KeystoneUser(
    "user",
    nova_infra.KeystoneUserArgs(
        name="nova", password=config.require_secret("novaPassword"), tenant="service", roles=["admin"]
    ),
    opts=pulumi.ResourceOptions(provider=access),
)
pulumi.export("user_id", user.user_id)
