"""All of it: the settings of a stack become a deployment."""

import pulumi

import nova_infra

try:
    deployment = nova_infra.NovaDeployment("nova", nova_infra.load_settings(pulumi.Config()))
except nova_infra.NovaInfraError as error:
    raise pulumi.RunError(str(error)) from None

pulumi.export("service_list", deployment.service_list)
pulumi.export("image_list", deployment.image_list)
