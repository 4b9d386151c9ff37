"""A resource that is nothing."""

from typing import Any

import pulumi
from pulumi import dynamic


class NothingProvider(dynamic.ResourceProvider):
    """Answers at once."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Made."""
        return dynamic.CreateResult("nothing", props)

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """As it was, in the form in which ours answer: with inputs."""
        inputs = {key: value for key, value in props.items() if key != "__provider"}
        return dynamic.ReadResult(id_, props, inputs)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        """Nothing has changed."""
        return dynamic.DiffResult(changes=False)


class Nothing(dynamic.Resource, module="nova", name="Nothing"):
    """A resource that is nothing."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(NothingProvider(), name, {}, opts)
