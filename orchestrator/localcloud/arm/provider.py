"""How a resource provider plugs into the local cloud's Resource Manager.

A provider is one module in `orchestrator/localcloud/providers/`. It names a namespace, the resource
types it knows better than the generic store, and the actions that belong to no resource. Types
nobody registered are kept by `providers/generic.py`: any PUT, GET, PATCH, DELETE, HEAD and list
works. What a registered type adds are *hooks*, called in this order:

    PUT, PATCH   parsed and null-free body (PATCH: already merged, RFC 7396)
                 -> prepare   check, fill defaults; returns what will be stored
                 -> apply     make it real in another room (a queue in the broker); may refuse
                 -> the store, durable
                 -> changed   tell others (the runtime); must not fail
                 -> show      what the caller sees: live values in, secrets out
    GET, list    get / members (default: from the store) -> show
    DELETE       deleting (may refuse) -> the store -> deleted, also for each resource inside
    POST         actions[name]

Every hook may be slow (it is async) and may raise `ArmError`. One resource is changed by one
request at a time; different resources at the same time.

    class Queue(ResourceType):
        type = "Microsoft.ServiceBus/namespaces/queues"
        create_status = 200

        async def prepare(self, call, resource, old):
            resource["properties"].setdefault("maxDeliveryCount", 10)
            return resource

    class ServiceBus(Provider):
        namespace = "Microsoft.ServiceBus"

        def __init__(self, broker): ...
        def types(self): return [Namespace(self.broker), Queue(self.broker)]
        def actions(self): return {"checkNameAvailability": self.check_name}

A resource is the plain JSON object of the wire: `id`, `name`, `type`, `location`, `tags`,
`properties`, `identity`, `sku`, … The store fills `id`, `name`, `type` and keeps `systemData`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from orchestrator.localcloud.arm.content import parse as parse_body
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing
from orchestrator.localcloud.arm.paging import PAGE
from orchestrator.localcloud.arm.shapes import Shape

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

__all__ = [
    "JSON",
    "Answer",
    "ArmError",
    "Call",
    "Handler",
    "Provider",
    "Reply",
    "ResourceId",
    "ResourceType",
]

JSON: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Call:
    """One request, as a hook or an action sees it.

    Attributes:
        method: `GET`, `PUT`, …
        id: What is addressed: the resource itself; for an action the resource it is done to; for a
            list the collection.
        arm: The Resource Manager: `arm.store`, `arm.clock`, `arm.operations`, `arm.dispatch`.
        body: The parsed JSON body, or None where there was none.
        query: The query string, names in lower case (`api-version`, `$filter`, `$top`).
        headers: The request's headers, names in lower case.
        claims: Of the caller's token: `oid`, `appid`, `tid`, `aud`.
        base: Where the caller reached us, `https://127.0.0.1:14443`; links in answers start so.
        correlation: `x-ms-correlation-request-id`.
        arguments: For an action whose path carries a value (`jobs/{j}/stop/{execution}`): those
            values.
        stack: The deployment stack that asks, by its key; its own deny settings do not hold for it.
    """

    method: str
    id: ResourceId
    arm: ResourceManager
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    base: str = "https://localhost"
    correlation: str = ""
    arguments: tuple[str, ...] = ()
    stack: str = ""

    def object(self) -> JSON:
        """The body as an object, `{}` where there was none. Raises ArmError for anything else."""
        if self.body is None:
            return {}
        if not isinstance(self.body, dict):
            raise ArmError("InvalidRequestContent", "The request body must be a JSON object.")
        return self.body


@dataclass(slots=True)
class Reply:
    """An answer with a status or headers of its own."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


# dict: 200 with that body. list: 200 with {"value": […]}, paged. None: 200 without a body.
Answer: TypeAlias = Reply | JSON | Sequence[JSON] | None
Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


class ResourceType:
    """One resource type; override what differs from the generic behaviour.

    Class attributes:
        type: `Microsoft.App/jobs`; compared without regard to case, written as given here.
        tracked: Whether it needs a `location` and lies in a resource group (a child does not).
        provisioning: Whether `properties.provisioningState` is kept for it.
        create_status: What a PUT that creates answers: 200, or 201 (then with
            `Azure-AsyncOperation`, which `az` demands, unless `create_polled` is False).
        create_polled: Whether the 201 of a create, or 202, leads to an operation.
        delete_shows: Whether a DELETE answers with what was deleted.
        delete_status: 200 (or 204 when there was nothing) or 202 with `Location`.
        patch_merges_tags: Whether a PATCH merges `tags` into those that are there, as the services
            whose reference says so do; otherwise they are all there are then (ARM RPC v1.0, "Patch
            Resource").
        page_size: How many items one page of a list holds.
        tells_system_data: Whether the service shows `systemData`; some do not.
        named_in_cloud: Whether no two resources of the type may have one name, whatever group they
            are in: who wants a name waits for whoever is about to take it. `prepare` still refuses.
        shape: The form that a body must have before `prepare` looks at it (`shapes.py`).
        read_only: Properties that the service alone sets, `a.b` for those inside others ("readOnly"
            in its REST reference): no part of an exported template.
        stored: False for what lives elsewhere (executions): then override `get` and `members`; PUT,
            PATCH and DELETE are refused with 405.
    """

    type: ClassVar[str]
    tracked: ClassVar[bool] = False
    provisioning: ClassVar[bool] = True
    create_status: ClassVar[int] = 200
    create_polled: ClassVar[bool] = True
    delete_shows: ClassVar[bool] = False
    patch_merges_tags: ClassVar[bool] = False
    delete_status: ClassVar[int] = 200
    stored: ClassVar[bool] = True
    named_in_cloud: ClassVar[bool] = False
    shape: ClassVar[Shape] = {}
    read_only: ClassVar[tuple[str, ...]] = ()
    page_size: ClassVar[int] = PAGE
    tells_system_data: ClassVar[bool] = True

    def put_status(self, id: ResourceId, created: bool) -> int:
        """What a PUT answers: 200, or 201 or 202, which may lead to an operation."""
        return self.create_status if created else 200

    def gone_status(self, id: ResourceId) -> int:
        """What a DELETE answers of what was there."""
        return self.delete_status

    def always_there(self, arm: ResourceManager, id: ResourceId) -> bool:
        """Whether a stored type has this one without anybody having made it."""
        return False

    def missing(self, id: ResourceId) -> ArmError:
        """What a caller is told who asks for one that is not there; services have own words."""
        return missing(id)

    def parse(self, raw: bytes) -> Any:
        """The body of a request for this type; JSON unless overridden."""
        return parse_body(raw)

    def shares(self, call: Call, body: JSON) -> Iterable[ResourceId]:
        """What a change of `call.id` takes its part of, as an address of a network: such changes
        take turns. The body is as it came."""
        return ()

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check `resource` and fill its defaults; `old` is what the store holds, None if new.

        Must not change `old`. Nothing has happened yet when this refuses.
        """
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """Make it real elsewhere, before it is stored. Must be repeatable."""

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """It is stored and durable."""

    async def show(self, call: Call, resource: JSON) -> JSON:
        """What a caller sees of it. `resource` is a copy and may be changed."""
        return resource

    async def shown(self, call: Call, resource: JSON) -> JSON:
        """`show`, without what the service shows of no resource of this type."""
        told = await self.show(call, resource)
        if not self.tells_system_data:
            told.pop("systemData", None)
        return told

    async def foresee(self, call: Call, resource: JSON) -> JSON:
        """What a caller would see of it once `resource`, which is prepared, were stored."""
        return await self.show(call, resource)

    async def get(self, call: Call) -> JSON | None:
        """The resource at `call.id` as stored (a copy), None where there is none."""
        return call.arm.store.get(call.id)

    async def members(self, call: Call) -> Iterable[JSON]:
        """The resources of the collection `call.id`, as stored (copies)."""
        return call.arm.store.collection(call.id)

    def for_filter(self, resource: JSON) -> JSON:
        """The resource as `$filter` looks at it; names lead to members, then to properties."""
        return resource

    async def deleting(self, call: Call, resource: JSON) -> None:
        """About to be deleted; refuse by raising, or undo what `apply` did. Must be repeatable."""

    async def deleted(self, call: Call, resource: JSON) -> None:
        """It is gone from the store, durably."""

    async def interrupt(self, id: ResourceId) -> None:
        """Who has it made was canceled: end what making it takes time for."""

    def methods(self) -> Mapping[str, Handler]:
        """Handlers that take a method's place for one resource: `{"PATCH": self.patch}`.

        The scope and the parent have been looked for already; nothing else has been done.
        """
        return {}

    def busy(self, call: Call) -> ArmError | None:
        """The refusal of a change while another one of the same resource is under way.

        None: the change waits for its turn, as most services let it.
        """
        return None

    def actions(self) -> Mapping[str, Handler]:
        """POST actions by name, any case: `{"start": self.start}`.

        A name may hold `{}` segments whose values arrive in `call.arguments`: `"stop/{}"`.
        """
        return {}

    def reads(self) -> Mapping[str, Handler]:
        """GETs below the resource that are no child collection, by name as in `actions`."""
        return {}


class Provider:
    """A resource provider: a namespace and what it knows."""

    namespace: ClassVar[str]

    def types(self) -> Iterable[ResourceType]:
        """The resource types with behaviour of their own."""
        return ()

    def actions(self) -> Mapping[str, Handler]:
        """POSTs at `{scope}/providers/{namespace}/{action}`, for instance checkNameAvailability."""
        return {}

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Whole paths outside the pattern of resource ids, by (method, pattern).

        `("GET", "/subscriptions/{}/locations")`; what stands in the holes is in `call.arguments`.
        """
        return {}

    def admit(self, call: Call) -> None:
        """A new resource, of any provider, is about to be made; refuse by raising `ArmError`."""
        return

    async def open(self, arm: ResourceManager) -> None:
        """The store is open, no request has been served: bring other rooms in line with it."""

    async def resume(self, arm: ResourceManager) -> None:
        """Everything runs: go on with what a server's end has interrupted."""

    async def close(self) -> None:
        """The server stops."""
