"""NovaDeployment: the installation guide's chapter, composed of resources. Reads like its table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from . import intent
from .options import options_of_nodes
from .packages import PRESENT
from .provider import Provider, shard_of, shards, shards_of
from .releases import release
from .resources.compute_node import ComputeNode, ComputeNodeArgs
from .resources.controller_node import ControllerNode, ControllerNodeArgs
from .resources.database import Database, DatabaseArgs
from .resources.endpoint import Endpoint, EndpointArgs
from .resources.keystone_user import KeystoneUser, KeystoneUserArgs
from .resources.node_packages import NodePackages, NodePackagesArgs
from .resources.node_role import answers_of, hidden_in
from .resources.service import Service, ServiceArgs
from .resources.service_check import Awaited, ServiceCheck, ServiceCheckArgs
from .settings import Compute, Controller, Node, Settings


class NovaDeployment(pulumi.ComponentResource):
    """OpenStack Nova on the machines that the settings name.

    ```python
    deployment = nova_infra.NovaDeployment("nova", nova_infra.load_settings(pulumi.Config()))
    pulumi.export("services", deployment.service_list)
    ```
    """

    service_list: pulumi.Output[str]
    """The table of services, as the last check saw it."""
    image_list: pulumi.Output[str]
    """The table of images, as the last check saw it."""

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        # First of all: what is wrong is said before anything is registered.
        self._node_options = options_of_nodes(settings)
        super().__init__("nova:index:NovaDeployment", name, {}, opts)
        self._name = name
        self._settings = settings
        self._release = release(settings.release)
        # Few nodes leave no work for more processes.
        self._at_once = min(settings.concurrency, len(settings.nodes()))
        self._shards = [self._access(f"{name}-{number}") for number in shards(self._at_once)]
        self._shard_of = shards_of([node.name for node in settings.nodes()], self._at_once)

        packages = {node.name: self._packages(node) for node in settings.nodes()}
        database = self._database()
        user = self._user()
        service = self._service()
        endpoint = self._endpoint(service)

        controllers: list[ControllerNode] = []
        for controller in settings.controllers:
            needs = [packages[controller.name], database, user, endpoint, *controllers[:1]]
            controllers.append(self._controller(controller, needs))
        computes = [self._compute(node, [packages[node.name], *controllers]) for node in settings.computes]

        made: list[ControllerNode | ComputeNode] = [*controllers, *computes]
        check = self._check({node.name: each for node, each in zip(settings.nodes(), made, strict=True)})
        self.service_list = check.service_list
        self.image_list = check.image_list
        self.register_outputs({"service_list": self.service_list, "image_list": self.image_list})

    # ------------------------------------------------------------ how machines and servers are reached

    def _access(self, name: str) -> Provider:
        return Provider(name, **vars(intent.access_arguments(self._settings)), opts=pulumi.ResourceOptions(parent=self))

    def _named(self, what: str) -> str:
        # Pulumi wants names that are unique in the stack: two deployments in one program have the same parts.
        return f"{self._name}-{what}"

    def _options(self, node: str = "", *needs: pulumi.Resource) -> pulumi.ResourceOptions:
        provider = self._shards[self._shard_of[node] if node else shard_of("", self._at_once)]
        return pulumi.ResourceOptions(parent=self, provider=provider, depends_on=list(needs))

    def _guarded(self, node: str = "", *needs: pulumi.Resource) -> pulumi.ResourceOptions:
        """Of what all the rest hangs on. Without the setting a resource decides itself."""
        protect = pulumi.ResourceOptions(protect=True if self._settings.protect else None)
        return pulumi.ResourceOptions.merge(self._options(node, *needs), protect)

    # ------------------------------------------------------------ prerequisites: database and identity

    def _database(self) -> Database:
        database = self._settings.database
        args = DatabaseArgs(
            name=database.name,
            user=database.user,
            password=self._secret("novaDatabasePassword"),
            hosts=database.hosts,
            charset=database.charset,
            collation=database.collation,
            on_delete=database.on_delete,
        )
        return Database(self._named("database"), args, self._guarded())

    def _user(self) -> KeystoneUser:
        identity = self._settings.identity
        args = KeystoneUserArgs(
            name=identity.user,
            password=self._secret("novaPassword"),
            tenant=identity.service_tenant,
            roles=[identity.role],
            email=identity.email,
            default_tenant=identity.default_tenant,
        )
        return KeystoneUser(self._named("user"), args, self._guarded())

    def _service(self) -> Service:
        service = self._settings.service
        return Service(
            self._named("service"), ServiceArgs(service.name, service.type, service.description), self._guarded()
        )

    def _endpoint(self, service: Service) -> Endpoint:
        endpoint = self._settings.endpoint
        args = EndpointArgs(
            region=self._settings.region,
            service_type=self._settings.service.type,
            service_name=self._settings.service.name,
            public_url=endpoint.public_url,
            internal_url=endpoint.internal_url,
            admin_url=endpoint.admin_url,
        )
        return Endpoint(self._named("endpoint"), args, self._guarded("", service))

    # ------------------------------------------------------------ nodes

    def _pinned(self, node: Node) -> dict[str, str]:
        return {name: version for name, version in intent.packages(self._settings, node).items() if version != PRESENT}

    def _packages(self, node: Node) -> NodePackages:
        args = NodePackagesArgs(
            node.name,
            intent.place(self._settings, node),
            intent.packages(self._settings, node),
            on_unreachable=node.on_unreachable,
        )
        options = self._guarded if isinstance(node, Controller) else self._options
        return NodePackages(self._named(f"{node.name}-packages"), args, options(node.name))

    def _controller(self, node: Controller, needs: Sequence[pulumi.Resource]) -> ControllerNode:
        args = ControllerNodeArgs(
            node=node.name,
            connection=intent.place(self._settings, node),
            options=self._node_options[node.name],
            services=node.services,
            # The schema is one: the first controller keeps it up to date, the others wait for that.
            sync_database=node == self._settings.controllers[0],
            packages=self._pinned(node),
            adopt=node.adopt,
            on_unreachable=node.on_unreachable,
            # The last check waits for all nodes at once: compute nodes need not, and a wait holds one of a provider's four threads.
            wait=False,
            release=self._release.name,
        )
        return ControllerNode(self._named(node.name), args, self._guarded(node.name, *needs))

    def _compute(self, node: Compute, needs: Sequence[pulumi.Resource]) -> ComputeNode:
        args = ComputeNodeArgs(
            node=node.name,
            connection=intent.place(self._settings, node),
            options=self._node_options[node.name],
            packages=self._pinned(node),
            adopt=node.adopt,
            drain=node.drain,
            scheduling=node.scheduling,
            on_unreachable=node.on_unreachable,
            wait=False,
            release=self._release.name,
        )
        return ComputeNode(self._named(node.name), args, self._options(node.name, *needs))

    # ------------------------------------------------------------ the last check

    def _check(self, made: Mapping[str, ControllerNode | ComputeNode]) -> ServiceCheck:
        listed = self._release.listed_services
        args = ServiceCheckArgs(
            services={
                node.name: sorted(listed & set(intent.services(self._settings, node)))
                for node in self._settings.nodes()
            },
            restarts={name: node.started_at for name, node in made.items()},
            awaits={node.name: self._awaited(node) for node in self._settings.nodes()},
        )
        return ServiceCheck(self._named("check"), args, self._options("", *made.values()))

    def _awaited(self, node: Node) -> Awaited:
        if not isinstance(node, Controller):
            return Awaited(intent.place(self._settings, node), hidden=hidden_in(self._node_options[node.name]))
        options = self._node_options[node.name]
        answers = answers_of(self._release, intent.services(self._settings, node), options)
        return Awaited(intent.place(self._settings, node), answers, hidden=hidden_in(options))

    def _secret(self, key: str) -> pulumi.Output[str]:
        return pulumi.Output.secret(self._settings.secrets[key])
