"""The Pulumi program: the stack's settings become a deployment."""

import pulumi

from nova_infra import NovaDeployment, NovaInfraError, load_settings

try:
    deployment = NovaDeployment("nova", load_settings(pulumi.Config()))
except NovaInfraError as error:
    raise pulumi.RunError(str(error)) from None

pulumi.export("service_list", deployment.service_list)
pulumi.export("image_list", deployment.image_list)
