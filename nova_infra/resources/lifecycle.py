"""What all resources share: how the engine's questions become four plain functions over dictionaries.

A resource says what it wants (its inputs) and implements make, look, change and remove. They know nothing of Pulumi; this file
is the only one that does, so that a native provider can take its place.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi import dynamic
from pulumi.runtime import rpc

from ..errors import Problem, Refused
from ..provider import AnyConnection, with_provider
from .engine import end_with_the_engine
from .last_up import LAST_UP, short_hash

if TYPE_CHECKING:
    from ..access import Access

State = Mapping[str, Any]
T = TypeVar("T")
U = TypeVar("U")
# The format of what we store, in the state and in the notes. A state of another format is refused.
STATE_SCHEMA = 2
_NOT_OURS = ("__provider", "state_schema", LAST_UP)
# An output of every resource: sentences about what is there and is nobody's fault, or not ours to put right. Never drift.
REMARKS = "remarks"
# An input that stands beside a password and is always true. Plans mask secrets on both sides, so a password that somebody changed shows as
# nothing; this one then reads `password_works: true => false`.
PASSWORD_WORKS = "password_works"  # noqa: S105 - a name


class Lifecycle(dynamic.ResourceProvider):
    """The engine's side of a resource."""

    serialize_as_secret_always = False  # the provider holds no secret: it is stored by the name of its class

    kind: str
    """What the resource is, in a sentence: `database`."""
    identity: tuple[str, ...]
    """The inputs that say which one it is. They never change."""
    computed: tuple[str, ...] = ()
    """The outputs besides the inputs."""
    kept_in_state: frozenset[str] = frozenset()
    """Inputs that only `remove` and `look` use: a change of them alone opens no connection."""
    optional: frozenset[str] = frozenset()
    """Inputs that are absent where nothing is said: to leave one out is a change, and opens no connection."""
    only_found: frozenset[str] = frozenset()
    """Inputs that no program has: a look makes one where something is left to take back, and `up` takes it back."""
    looked_at: tuple[str, ...] = ()
    """The inputs that a look finds out; all others it returns as the state has them."""
    rename: str = "remove the resource, run `pulumi up`, add it with the new name, and run `pulumi up` again"

    # ------------------------------------------------------------ what a resource implements

    @abstractmethod
    def name_of(self, wanted: State) -> str:
        """The id: the natural key."""

    def problems(self, wanted: State) -> list[Problem]:  # noqa: ARG002
        """What is wrong with the inputs; only of values that are known. Opens no connection."""
        return []

    @abstractmethod
    def make(self, wanted: State) -> dict[str, Any]:
        """Finds or creates it as wanted. Returns the outputs besides the inputs. May find what a run that died has left."""

    @abstractmethod
    def look(self, known: State) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """What is really there, in the shape of the inputs, and the outputs; None when it is gone.

        Among the outputs may be `remarks`: sentences about what an operator should know and `up` leaves as it is.
        """

    @abstractmethod
    def change(self, known: State, wanted: State) -> dict[str, Any]:
        """Makes what is there as wanted. Returns the outputs besides the inputs."""

    @abstractmethod
    def remove(self, known: State) -> None:
        """Undoes what we did, and nothing else."""

    def without_secrets(self, inputs: State) -> State:
        """The inputs that a look finds out, without values of secrets: of what is left the state holds hashes that everybody may read."""
        return inputs

    # ------------------------------------------------------------ what the last `up` made

    def last_up(self, wanted: State) -> dict[str, str]:
        """A short hash of each input that a look finds out. A refresh that is stored puts what it has found in place of the inputs, and these stay."""
        hashed = self.without_secrets(wanted)
        return {key: short_hash(hashed[key]) for key in self.looked_at if key in hashed}

    def as_last_up(self, stored: State, inputs: State) -> dict[str, bool]:
        """Of each input that a look finds out, whether it is as the last `up` made it.

        `stored` is the state. One that an earlier version has written does not tell it: then there is none.
        """
        made = stored.get(LAST_UP)
        if made is None:
            return {}
        here = self.last_up(inputs)
        told = {key: made[key] == here.get(key) for key in self.looked_at if key in made}
        return told | {key: key not in inputs for key in self.only_found}

    # ------------------------------------------------------------ what the engine asks

    def configure(self, req: dynamic.ConfigureRequest) -> None:
        """Takes the credentials from the provider's own inputs."""
        # The user reads our sentence, not the way through our code.
        sys.tracebacklimit = 0
        end_with_the_engine()
        self._configuration = req.config.get

    @cached_property
    def access(self) -> Access:
        """Connections and clients, as the provider's inputs say."""
        # Only what connects needs the clients: to import them takes longer than all else of a run in which nothing is to be done.
        from ..access import access_from  # noqa: PLC0415

        return access_from(self._configuration)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.CheckResult:
        """Refuses bad inputs, and a change of identity, at preview."""
        problems = self.problems(news)
        for key in self.identity:
            old, new = olds.get(key), news.get(key)
            if old is not None and rpc.UNKNOWN not in (old, new) and old != new:
                problems.append(
                    Problem(
                        key,
                        f"is {old!r} and cannot become {new!r}: a {self.kind} is known by it. To rename, {self.rename}",
                    )
                )
        return dynamic.CheckResult(news, [dynamic.CheckFailure(each.key, each.reason) for each in problems])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
        """A change of any input is an update; nothing is ever replaced unless the user forces it."""
        left_out = any(key in olds and key not in news for key in self.optional | self.only_found)
        changes = left_out or bool(_changed(olds, news)) or self._now_wants_what_a_refresh_found(olds)
        return dynamic.DiffResult(changes=changes, replaces=[], delete_before_replace=True)

    def _now_wants_what_a_refresh_found(self, olds: State) -> bool:
        # Asked where the stack wants what is stored. Nothing is to be done then but to store that it is wanted.
        return not all(self.as_last_up(olds, plain(olds)).values())

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        """Makes it."""
        wanted = self._inputs(props)
        return dynamic.CreateResult(self.name_of(wanted), _outputs(wanted, self.make(wanted), self.last_up(wanted)))

    def read(self, id_: str, props: dict[str, Any]) -> dynamic.ReadResult:
        """Says what is really there, also as inputs, so that a preview shows drift and repair property by property."""
        self._refuse_another_schema(id_, props)
        found = self.look(plain(props))
        if found is None:
            return dynamic.ReadResult("", {})
        inputs, outputs = found
        observed = self._inputs(inputs)
        return dynamic.ReadResult(id_, _outputs(observed, outputs, props.get(LAST_UP)), observed)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dynamic.UpdateResult:
        """Makes it as wanted."""
        self._refuse_another_schema(id_, olds)
        wanted = self._inputs(news)
        if _changed(olds, news) | self.only_found & olds.keys() <= self.kept_in_state:
            outputs = {key: olds[key] for key in (*self.computed, REMARKS) if key in olds}
        else:
            outputs = self.change(plain(olds), wanted)
        return dynamic.UpdateResult(_outputs(wanted, outputs, self.last_up(wanted)))

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        """Takes it away."""
        self._refuse_another_schema(id_, props)
        self.remove(plain(props))

    def _refuse_another_schema(self, id_: str, stored: State) -> None:
        # Without one it is no state of ours: `pulumi import` asks with nothing but the id.
        schema = plain(stored.get("state_schema", STATE_SCHEMA))
        if schema != STATE_SCHEMA:
            raise Refused(
                f"The {self.kind} {id_} is left alone: its state was written by another version of nova-infra "
                f"(state_schema {schema}; this one reads {STATE_SCHEMA}). Destroy it with that version, or run "
                "`pulumi state delete` for it and `pulumi up`, which adopts what is there."
            )

    def _inputs(self, props: State) -> dict[str, Any]:
        left_out = (*_NOT_OURS, *self.computed, REMARKS)
        return {key: plain(value) for key, value in props.items() if key not in left_out}


class Resource(dynamic.Resource):
    """A resource of this package."""

    remarks: pulumi.Output[list[str]]
    """What a refresh has seen that is no drift: left as it is, and good to know. Empty after an `up`."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        name: str,
        inputs: dict[str, Any],
        opts: pulumi.ResourceOptions | None,
        *,
        connection: AnyConnection | None = None,
    ) -> None:
        """`connection` is that of a resource which needs nothing else: without a provider it gets one made from it."""
        # Should somebody force a replacement, the old one goes first: `create` would adopt it otherwise.
        opts = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), opts)
        if any(_is_later(inputs.get(key)) for key in lifecycle.looked_at):
            # It may be a secret, and whoever reads a short hash of one can try guesses.
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=[LAST_UP]))
        if connection is not None:
            opts = with_provider(name, connection, opts)
        super().__init__(lifecycle, name, {**inputs, REMARKS: None}, opts)


def known_text(wanted: State, key: str) -> str | None:
    """The text of an input, or None while it is not known yet."""
    value = wanted.get(key)
    return value if isinstance(value, str) and value != rpc.UNKNOWN else None


def required_text(wanted: State, *keys: str) -> list[Problem]:
    """A problem for each of these inputs that is an empty text."""
    return [Problem(key, "is empty") for key in keys if wanted.get(key) == ""]


def usable_connection(wanted: State) -> list[Problem]:
    """What is wrong with the place of a machine, as far as it is known."""
    connection = wanted["connection"]
    problems = [
        Problem(f"connection.{key}", "is empty: it says how SSH reaches the node")
        for key in ("host", "user")
        if connection[key] == ""
    ]
    port = plain(connection["port"])
    if port != rpc.UNKNOWN and not (isinstance(port, int) and 0 < port < 65536):
        problems.append(Problem("connection.port", f"is {port!r}; a port is a whole number from 1 to 65535"))
    return problems


def known_list(wanted: State, key: str) -> list[Any] | None:
    """The items of an input, or None while they are not known yet."""
    value = wanted.get(key)
    return list(value) if isinstance(value, (list, tuple)) else None


def normal(value: pulumi.Input[T], function: Callable[[Any], U]) -> pulumi.Input[U]:
    """What the function makes of an input: at once of a plain value, so that previews show it, else when it is known."""
    return when_known(value, function) if _later(value) else function(value)


def when_known(value: pulumi.Input[T], function: Callable[[Any], U]) -> pulumi.Output[U]:
    """What the function makes of an input when all of it is known. The same as `Output.from_input(value).apply(function)`.

    That would make an Output of each leaf, a millisecond for a node's options; here only those that are Outputs are waited for.
    """
    return pulumi.Output.all(*_later(value)).apply(lambda known: function(_filled(value, iter(known))))


def _later(value: Any) -> list[Any]:
    """The leaves that are known only later, in their order."""
    if isinstance(value, Mapping):
        return [leaf for each in value.values() for leaf in _later(each)]
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in _later(each)]
    return [value] if _is_later(value) else []


def _filled(value: Any, known: Iterator[Any]) -> Any:
    """The value with these in place of the leaves of `_later`."""
    if isinstance(value, Mapping):
        return {key: _filled(each, known) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(each, known) for each in value]
    return next(known) if _is_later(value) else value


def _is_later(value: Any) -> bool:
    return isinstance(value, pulumi.Output) or isawaitable(value)


def _changed(olds: State, news: State) -> set[str]:
    return {key for key in news if key not in _NOT_OURS and olds.get(key) != news[key]}


def plain(value: Any) -> Any:
    """The value with whole numbers as int: on the wire every number is a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def _outputs(inputs: State, outputs: State, last_up: State | None) -> dict[str, Any]:
    # A state of an earlier version has none, and what a refresh finds is not what an `up` has made.
    made = {} if last_up is None else {LAST_UP: last_up}
    return {**inputs, REMARKS: [], **outputs, "state_schema": STATE_SCHEMA, **made}
