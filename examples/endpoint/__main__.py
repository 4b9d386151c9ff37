"""Where clients find nova; the service is in the catalog already."""

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
url = "http://controller:8774/v2/%(tenant_id)s"
endpoint = nova_infra.Endpoint(
    "endpoint",
    nova_infra.EndpointArgs(
        region="regionOne",
        service_type="compute",
        service_name="nova",
        public_url=url,
        internal_url=url,
        admin_url=url,
    ),
    opts=pulumi.ResourceOptions(provider=access),
)
pulumi.export("endpoint_id", endpoint.endpoint_id)
