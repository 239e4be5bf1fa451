"""The Resource Manager: from a request to the hooks of a resource type, the store, and an answer.

Knows no HTTP: `dispatch` takes a `Call` and gives a `Reply`, so that a template deployment can use
it as a client does. What the types do is theirs (`provider.py`); what is the same for all is here:
existence of scopes and parents, one change at a time, entity tags, null-free bodies, system data,
paging and `$filter`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.arm import activity, denials, linked_access, locks
from orchestrator.localcloud.arm.access import Access, guard
from orchestrator.localcloud.arm.changes import Changes
from orchestrator.localcloud.arm.errors import (
    ArmError,
    group_not_found,
    no_namespace,
    subscription_not_found,
)
from orchestrator.localcloud.arm.filters import compile_filter
from orchestrator.localcloud.arm.ids import ResourceId, group_id, missing, parse
from orchestrator.localcloud.arm.operations import RESULTS, STATUSES, Operations
from orchestrator.localcloud.arm.paging import page
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.arm.routes import Routes
from orchestrator.localcloud.arm.store import ResourceStore

_log = logging.getLogger(__name__)

_OPERATIONS = (["locations", STATUSES.lower()], ["locations", RESULTS.lower()])
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "POST")


class ResourceManager:
    """One local cloud's Resource Manager. Belongs to one event loop.

    Attributes:
        store, clock, operations: For the hooks of providers.
        access: Decides who may do what; None: everybody may do everything.
        known: Whether Azure has a namespace (and a top-level type in it) that no provider here
            knows; None: whatever is asked for is taken for one.
        regions: Azure's; none: whatever is asked for is taken for one.
        geographies: Where resources may be, beside regions, of types that no provider here knows.
        subscription, tenant: This local cloud's guids.
    """

    def __init__(
        self,
        store: ResourceStore,
        clock: Clock,
        *,
        subscription: str,
        tenant: str,
        providers: Sequence[Provider],
        fallback: ResourceType,
        access: Access | None = None,
        known: Callable[[str, str | None], bool] | None = None,
        regions: Collection[str] = (),
        geographies: Collection[str] = (),
    ) -> None:
        self.store = store
        self.clock = clock
        self.subscription = subscription
        self.tenant = tenant
        self.operations = Operations(store, clock)
        self.providers = tuple(providers)
        self.fallback = fallback
        self.access = access
        self._known = known
        self.regions = frozenset(regions)
        self.geographies = frozenset(geographies)
        self._types: dict[str, ResourceType] = {}
        self._actions: dict[ResourceType, Routes] = {}
        self._reads: dict[ResourceType, Routes] = {}
        self._methods: dict[ResourceType, Mapping[str, Handler]] = {}
        self._provider_actions: dict[str, Handler] = {}
        self._routes = Routes()
        for provider in self.providers:
            for kind in provider.types():
                self._types[kind.type.lower()] = kind
            for name, handler in provider.actions().items():
                self._provider_actions[f"{provider.namespace}/{name}".lower()] = handler
            for (method, pattern), handler in provider.routes().items():
                self._routes.add(method, pattern, handler)
        for kind in (*self._types.values(), fallback):
            self._actions[kind] = Routes.of("POST", kind.actions())
            self._reads[kind] = Routes.of("GET", kind.reads())
            self._methods[kind] = kind.methods()
        self._own = {"/".join(name.split("/")[:2]) for name in self._types}
        self._own.update(self._provider_actions)
        self.changes = Changes(self)

    # ------------------------------------------------------------------- life ----

    async def open(self) -> None:
        """Bring the providers in line with the store. Raises what a provider's `open` raises."""
        for provider in self.providers:
            await provider.open(self)

    async def resume(self) -> None:
        """All rooms run: go on with what was interrupted, forget what is over."""
        for provider in self.providers:
            await provider.resume(self)
        await self.operations.sweep()

    async def close(self) -> None:
        """Stop background work and the providers."""
        await self.operations.close()
        for provider in reversed(self.providers):
            await provider.close()

    def kind(self, id: ResourceId) -> ResourceType:
        """The resource type that looks after an id."""
        return self._types.get(id.type.lower(), self.fallback)

    def types(self) -> Iterable[ResourceType]:
        """The registered resource types."""
        return self._types.values()

    # --------------------------------------------------------------- requests ----

    def parse(self, method: str, id: ResourceId, raw: bytes) -> Any:
        """The body of a request; a type may read its own (deployments of `az` are not JSON)."""
        if method in ("GET", "HEAD"):
            return None
        target = id.parent if method == "POST" and id.is_collection else id
        return self.kind(target or id).parse(raw)

    async def dispatch(self, call: Call) -> Reply:
        """Answer one request; what was no read is noted in the activity log.

        Raises:
            ArmError: It is refused.
        """
        if call.method in ("GET", "HEAD"):
            return await self._dispatch(call)
        try:
            reply = await self._dispatch(call)
        except ArmError as error:
            activity.record(call, error)
            raise
        activity.record(call, reply)
        return reply

    async def _dispatch(self, call: Call) -> Reply:
        id = call.id
        if call.method not in METHODS:
            raise method_not_allowed(call, METHODS)
        if id.subscription is not None and id.subscription.lower() != self.subscription.lower():
            raise subscription_not_found(id.subscription)
        if self.access is not None:
            guard(self.access, call)
            linked_access.check(self.access, call)
        denials.check(call)
        locks.check(call)
        found = self._routes.find("GET" if call.method == "HEAD" else call.method, id.text)
        if found is not None:
            handler, arguments = found
            call.arguments = arguments
            return await self.answer(call, await handler(call))
        if id.namespace is None or not id.types:
            if allowed := self._routes.methods(id.text):
                raise method_not_allowed(call, allowed)
            raise ArmError("NotFound", f"There is nothing at '{id.text}'.", 404)
        self.require_type(id, call.query.get("api-version", ""))
        if id.is_resource and [name.lower() for name in id.types] in _OPERATIONS:
            return self.operations.answer(call, id.name, id.types[-1])
        if call.method == "POST":
            return await self._post(call)
        if id.is_collection:
            return await self._get_collection(call)
        own = self._methods[self.kind(id)].get(call.method)
        if own is not None:
            await self.require_scope(id)
            if (parent := id.parent) is not None:
                await self.require(call, parent)
            return await self.answer(call, await own(call))
        if call.method in ("GET", "HEAD"):
            return await self._get(call)
        if not self.kind(id).stored:
            raise method_not_allowed(call, ("GET",))
        if call.method == "PUT":
            return await self.changes.put(call)
        if call.method == "PATCH":
            return await self.changes.patch(call)
        return await self.changes.delete(call)

    async def _get(self, call: Call) -> Reply:
        kind = self.kind(call.id)
        resource = await kind.get(call)
        if resource is None:
            parent = call.id.parent
            if parent is not None:
                read = self._reads[self.kind(parent)].find(
                    "GET", f"{call.id.types[-1]}/{call.id.name}"
                )
                if read is not None:
                    handler, arguments = read
                    inner = replace(call, id=parent, arguments=arguments)
                    return await self.answer(inner, await handler(inner))
            if parent is not None:
                await self.require_parent(call, parent)
            await self.require_scope(call.id)
            raise kind.missing(call.id)
        if call.method == "HEAD":
            return Reply(None, 204)
        reply = Reply(await kind.shown(call, resource))
        record = self.store.record(call.id)
        if record is not None:
            reply.headers["ETag"] = f'"{record.etag}"'
        return reply

    async def _get_collection(self, call: Call) -> Reply:
        if call.method not in ("GET", "HEAD"):
            raise method_not_allowed(call, ("GET", "POST"))
        parent = call.id.parent
        if parent is not None:
            found = self._reads[self.kind(parent)].find("GET", call.id.types[-1])
            await self.require_parent(call, parent)
            if found is not None:
                inner = replace(call, id=parent)
                return await self.answer(inner, await found[0](inner))
        await self.require_scope(call.id)
        kind = self.kind(call.id)
        items = list(await kind.members(call))
        if text := call.query.get("$filter"):
            keep = compile_filter(text)
            shown = [await kind.shown(call, item) for item in items]
            chosen = [item for item in shown if keep(kind.for_filter(item))]
            return Reply(_page(call, chosen))
        reply = await self.answer(call, items)
        # Only what is on the page needs to be shown.
        reply.body["value"] = [await kind.shown(call, item) for item in reply.body["value"]]
        return reply

    async def _post(self, call: Call) -> Reply:
        id_ = call.id
        if id_.is_collection and not id_.names:
            handler = self._provider_actions.get(id_.type.lower())
            if handler is not None:
                return await self.answer(call, await handler(call))
            raise ArmError(
                "NotFound", f"The provider {id_.namespace} has no action '{id_.types[-1]}'.", 404
            )
        target = id_.parent
        if target is None:
            raise method_not_allowed(call, ("GET", "HEAD", "PUT", "PATCH", "DELETE"))
        wanted = id_.types[-1] if id_.is_collection else f"{id_.types[-1]}/{id_.name}"
        found = self._actions[self.kind(target)].find("POST", wanted)
        inner = replace(call, id=target)
        await self.require(inner, target)
        if found is None:
            raise ArmError(
                "NotFound",
                f"The resource type {target.type} has no action '{id_.types[-1]}'.",
                404,
            )
        handler, inner.arguments = found
        return await self.answer(inner, await handler(inner))

    async def answer(self, call: Call, answer: Answer) -> Reply:
        """Turn what a handler returned into a reply; a list is filtered and paged."""
        if isinstance(answer, Reply):
            return answer
        if answer is None:
            return Reply(None, 200)
        if isinstance(answer, Mapping):
            return Reply(dict(answer))
        items = list(answer)
        if text := call.query.get("$filter"):
            keep = compile_filter(text)
            items = [item for item in items if keep(item)]
        return Reply(_page(call, items))

    # -------------------------------------------------------------- existence ----

    def require_type(self, id: ResourceId, api_version: str = "") -> None:
        """See to it that there is such a provider and, in it, such a top-level resource type.

        Raises:
            ArmError: 404 `InvalidResourceNamespace` or `InvalidResourceType`.
        """
        if self._known is None or id.namespace is None or not id.types:
            return
        namespace, kind = id.namespace, id.types[0]
        if f"{namespace}/{kind}".lower() in self._own:
            return
        if not self._known(namespace, None):
            raise no_namespace(namespace)
        if self._known(namespace, kind) or (id.names and id.top in self.store):
            return
        version = f" for api version '{api_version}'" if api_version else ""
        raise ArmError(
            "InvalidResourceType",
            f"The resource type '{kind}' could not be found in the namespace '{namespace}'"
            f"{version}.",
            404,
        )

    def require_region(self, location: str, kind: str) -> None:
        """See to it that there is such a region.

        Args:
            location: As it is stored: in small letters, without spaces.
            kind: Of what is to be there: a resource type, `resource group` or `deployment`.

        Raises:
            ArmError: 400 `LocationNotAvailableFor…`.
        """
        if not self.regions or location in self.regions or location == "global":
            return
        typed = "/" in kind
        if typed and location in self.geographies and kind.lower() not in self._types:
            return
        what = "ResourceType" if typed else kind.title().replace(" ", "")
        whose = f"resource type '{kind}'" if typed else kind
        raise ArmError(
            f"LocationNotAvailableFor{what}",
            f"The provided location '{location}' is not available for {whose}. List of available "
            f"regions{' for the resource type' if typed else ''} is "
            f"'{','.join(sorted(self.regions))}'.",
        )

    async def require(self, call: Call, id: ResourceId) -> None:
        """See to it that the resource `id` exists.

        Raises:
            ArmError: 404, naming what is missing.
        """
        await self.require_scope(id)
        if id in self.store:
            return
        kind = self.kind(id)
        if kind is self.fallback:
            # Nested singletons (`blobServices/default`) exist without having been made.
            top = id.top
            if len(id.names) > 1 and top in self.store:
                return
            raise missing(id)
        if await kind.get(replace(call, method="GET", id=id)) is None:
            # Resource Manager itself knows whether the outermost resource is there; what lies in
            # it, the service knows.
            raise kind.missing(id) if id.parent is None or id.top in self.store else missing(id)

    async def require_parent(self, call: Call, parent: ResourceId) -> None:
        """See to it that the resource exists in which `call.id` lies.

        Raises:
            ArmError: 404; `ParentResourceNotFound`, or what the service says of the parent.
        """
        try:
            await self.require(call, parent)
        except ArmError as error:
            if error.code != "ResourceNotFound":
                raise
            verb = "read" if call.method in ("GET", "HEAD") else "write"
            raise ArmError(
                "ParentResourceNotFound",
                f"Failed to perform '{verb}' on resource(s) of type '{'/'.join(call.id.types)}', "
                f"because the parent resource '{parent.text}' could not be found.",
                404,
            ) from None

    async def require_scope(self, id: ResourceId) -> None:
        """See to it that the subscription, group and extended resource of `id` exist."""
        scope = parse(id.scope) if id.scope else None
        if scope is not None and scope.is_resource and self.kind(scope).stored:
            top = scope.top
            if top not in self.store and not self.kind(top).always_there(self, top):
                raise missing(top)
        if id.group is not None and id.subscription is not None:
            group = group_id(id.subscription, id.group)
            if group not in self.store:
                raise group_not_found(id.group)


def _page(call: Call, items: Sequence[JSON]) -> JSON:
    """What of a list is given at once."""
    own = (call.id.namespace or "microsoft.resources").lower() == "microsoft.resources"
    size = call.arm.kind(call.id).page_size
    link = f"{call.base}{call.id.text}"
    return page(items, link=link, query=call.query, size=size, top_is_page=own)


def method_not_allowed(call: Call, allowed: Iterable[str]) -> ArmError:
    """405 for a method that is not meant for what is addressed."""
    names = ", ".join(sorted(set(allowed)))
    return ArmError(
        "MethodNotAllowed",
        f"The method {call.method[:20]} is not supported for '{call.id.text}'; it understands "
        f"{names}.",
        405,
        headers={"Allow": names},
    )
