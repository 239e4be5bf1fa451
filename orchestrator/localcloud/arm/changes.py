"""PUT, PATCH and DELETE of one resource: the same steps for every type.

One resource tree (a namespace with its queues, a job with its extensions) is changed by one request
at a time, so that a child never outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.content import merge, strip_nulls
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, group_id, missing, parse, resource_id
from orchestrator.localcloud.arm.managed_identities import assign
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call, Reply, ResourceType
from orchestrator.localcloud.arm.shapes import check_shape
from orchestrator.localcloud.arm.store import Record

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_log = logging.getLogger(__name__)

READ_ONLY = ("id", "name", "type", "systemData", "etag")
MAX_TAGS = 50
MAX_TAG_NAME, MAX_TAG_VALUE = 512, 256
"""Characters ("Limitations" of tags)."""

_RESERVED = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")
_WITH_ANY = ("hidden", "link")
"""Tags of the portal's own, whose names may have any character."""

DELETING = "Deleting"


class Turns:
    """A queue for each resource tree: who changes it waits for who came before."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def take(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn at `key` and hold it."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)

    def below(self, prefix: str) -> list[str]:
        """Keys in use that start with `prefix`."""
        return [key for key in self._locks if key.startswith(prefix)]


class Changes:
    """Changes resources on behalf of a ResourceManager."""

    def __init__(self, arm: ResourceManager) -> None:
        self._arm = arm
        self._turns = Turns()
        self._busy: set[str] = set()

    @contextlib.contextmanager
    def _alone(self, call: Call) -> Iterator[None]:
        """Refuse a change of a resource whose type does not let changes wait for each other."""
        key = call.id.key
        if key in self._busy:
            refusal = self._arm.kind(call.id).busy(call)
            if refusal is not None:
                raise refusal
            yield
            return
        self._busy.add(key)
        try:
            yield
        finally:
            self._busy.discard(key)

    def turn(self, id: ResourceId) -> contextlib.AbstractAsyncContextManager[None]:
        """Wait for the turn to change the tree that `id` is in, and hold it."""
        return self._turns.take(_tree(id))

    @contextlib.asynccontextmanager
    async def turns(self, ids: Iterable[ResourceId]) -> AsyncIterator[None]:
        """Hold the turns to change all the trees that `ids` are in."""
        async with contextlib.AsyncExitStack() as held:
            # In one order, so that two who want several never wait for each other.
            for tree in sorted({_tree(id) for id in ids}):
                await held.enter_async_context(self._turns.take(tree))
            yield

    def _concerned(self, call: Call, body: JSON) -> Iterator[ResourceId]:
        """Whose turns a change of `call.id` needs: its own, and of what others may want, too."""
        kind = self._arm.kind(call.id)
        yield call.id
        if kind.named_in_cloud:
            yield resource_id("/", kind.type, call.id.name)
        yield from kind.shares(call, body)

    # -------------------------------------------------------------------- PUT ----

    async def put(self, call: Call) -> Reply:
        """Create or replace the resource at `call.id`."""
        body = strip_nulls(call.object())
        with self._alone(call):
            return await self._put(call, body)

    async def _put(self, call: Call, body: JSON) -> Reply:
        async with self.turns(self._concerned(call, body)):
            record = self._arm.store.record(call.id)
            _conditions(call, record)
            self._group_open(call.id)
            if record is None:
                await self._place(call)
            old = record.read() if record else None
            resource = {key: value for key, value in body.items() if key not in READ_ONLY}
            return await self._keep(call, resource, old, record)

    async def patch(self, call: Call) -> Reply:
        """Merge the body into the resource at `call.id` (RFC 7396); `tags` are replaced."""
        patch = {key: value for key, value in call.object().items() if key not in READ_ONLY}
        with self._alone(call):
            return await self._patch(call, patch)

    async def _patch(self, call: Call, patch: JSON) -> Reply:
        async with self.turns(self._concerned(call, patch)):
            record = self._arm.store.record(call.id)
            if record is None:
                await self._arm.require_scope(call.id)
                raise missing(call.id)
            _conditions(call, record)
            self._group_open(call.id)
            old = record.read()
            resource = {
                key: value for key, value in merge(old, patch).items() if key not in READ_ONLY
            }
            if patch.get("tags") is not None and not self._arm.kind(call.id).patch_merges_tags:
                resource["tags"] = strip_nulls(patch["tags"])
            return await self._keep(call, resource, old, record)

    async def preview(self, call: Call) -> JSON:
        """What a PUT of `call.body` would show, with nothing stored and nothing told to anybody.

        Raises:
            ArmError: The PUT would be refused for its content.
        """
        record = self._arm.store.record(call.id)
        old = record.read() if record else None
        body = strip_nulls(call.object())
        resource = {key: value for key, value in body.items() if key not in READ_ONLY}
        kind = self._arm.kind(call.id)
        id = record.id if record else call.id
        call = replace(call, id=id)
        self._envelope(call, kind, resource, old)
        resource = await kind.prepare(call, resource, old)
        if kind.provisioning:
            resource.setdefault("properties", {})["provisioningState"] = "Succeeded"
        whole = {"id": id.text, "name": id.name, "type": old["type"] if old else id.type}
        return await kind.foresee(call, whole | resource)

    async def alter(self, call: Call, change: Callable[[JSON], None]) -> JSON:
        """Change the stored resource at `call.id` in place, for an action; returns it.

        No hook is called: the caller knows what it changes.

        Raises:
            ArmError: 404, or the store refuses.
        """
        async with self.turn(call.id):
            record = self._arm.store.record(call.id)
            if record is None:
                raise missing(call.id)
            self._group_open(call.id)
            resource = record.read()
            change(resource)
            resource["systemData"] = self._system_data(call, resource)
            await self._arm.store.write(put=[(record.id, resource, secrets.token_hex(8))])
            return resource

    async def _keep(
        self, call: Call, resource: JSON, old: JSON | None, record: Record | None
    ) -> Reply:
        arm = self._arm
        kind = arm.kind(call.id)
        id = record.id if record else call.id
        call = replace(call, id=id)
        self._envelope(call, kind, resource, old)
        resource = await kind.prepare(call, resource, old)
        if kind.provisioning:
            resource.setdefault("properties", {})["provisioningState"] = "Succeeded"
        resource = {
            "id": id.text,
            "name": id.name,
            "type": old["type"] if old else (id.type if kind is arm.fallback else kind.type),
            **resource,
            "systemData": self._system_data(call, old),
        }
        await kind.apply(call, resource, old)
        etag = secrets.token_hex(8)
        operations = []
        headers = {"ETag": f'"{etag}"'}
        status = kind.put_status(id, old is None) if call.method == "PUT" else 200
        if status != 200 and kind.create_polled:
            operation = arm.operations.finished(id)
            operations.append(operation)
            headers |= arm.operations.async_operation(call, id, operation)
        try:
            await arm.store.write(put=[(id, resource, etag)], operations=operations)
        except ArmError:
            await self._undo(kind, call, resource, old)
            raise
        await self._tell(kind.changed(call, resource, old), "changed", id)
        return Reply(await kind.shown(call, arm.store.get(id) or resource), status, headers)

    async def _undo(self, kind: ResourceType, call: Call, resource: JSON, old: JSON | None) -> None:
        """The store refused: take back what `apply` did in another room."""
        try:
            if old is None:
                await kind.deleting(call, resource)
            else:
                await kind.apply(call, old, resource)
        except ArmError as error:
            _log.error("%s could not be taken back: %s", call.id, error.message)

    def _envelope(self, call: Call, kind: ResourceType, resource: JSON, old: JSON | None) -> None:
        """Check and complete what every resource has around its properties."""
        if resource.get("properties") == "":
            # As Azure's reader of JSON has it: an empty text where an object may be is nothing.
            resource["properties"] = {}
        properties = resource.setdefault("properties", {})
        if not isinstance(properties, dict):
            raise ArmError(
                "InvalidRequestContent", "'properties' must be an object.", target="properties"
            )
        check_shape(resource, kind.shape)
        check_tags(resource.get("tags", {}))
        location = resource.get("location", old.get("location") if old else None)
        if location is None:
            if kind.tracked:
                raise ArmError(
                    "LocationRequired",
                    "The location property is required for this definition.",
                    target="location",
                )
        elif not isinstance(location, str):
            raise ArmError("InvalidRequestContent", "'location' must be a text.")
        else:
            location = location.replace(" ", "").lower()
            before = old.get("location", location) if old else location
            if before != location:
                raise ArmError(
                    "InvalidResourceLocation",
                    f"The resource '{call.id.name}' already exists in location '{before}' in "
                    f"resource group '{call.id.group}'. A resource with the same name cannot be "
                    f"created in location '{location}'. Please select a new resource name.",
                    409,
                )
            if old is None:
                self._arm.require_region(location, call.id.type)
            resource["location"] = location
        if "identity" in resource:
            assign(resource, old, self._arm.store, self._arm.tenant)

    def _system_data(self, call: Call, old: JSON | None) -> JSON:
        who = str(call.claims.get("oid") or call.claims.get("appid") or "")
        kind = "User" if call.claims.get("idtyp") == "user" else "Application"
        now = iso(self._arm.clock.time())
        created: JSON = dict((old or {}).get("systemData") or {})
        return {
            "createdBy": created.get("createdBy", who),
            "createdByType": created.get("createdByType", kind),
            "createdAt": created.get("createdAt", now),
            "lastModifiedBy": who,
            "lastModifiedByType": kind,
            "lastModifiedAt": now,
        }

    async def _place(self, call: Call) -> None:
        """See to it that there is a place for a new resource: its scope and its parent."""
        arm = self._arm
        await arm.require_scope(call.id)
        for provider in arm.providers:
            provider.admit(call)
        parent = call.id.parent
        if parent is not None:
            await arm.require_parent(call, parent)

    def _group_open(self, id: ResourceId) -> None:
        if id.group is None or id.subscription is None:
            return
        group = self._arm.store.get(group_id(id.subscription, id.group))
        if group and group.get("properties", {}).get("provisioningState") == DELETING:
            raise ArmError(
                "ResourceGroupBeingDeleted",
                f"The resource group '{id.group}' is in deprovisioning state and cannot perform "
                "this operation.",
                409,
            )

    # ----------------------------------------------------------------- DELETE ----

    async def delete(self, call: Call) -> Reply:
        """Delete the resource at `call.id` and all inside it."""
        with self._alone(call):
            return await self._delete(call)

    async def _delete(self, call: Call) -> Reply:
        arm = self._arm
        kind = arm.kind(call.id)
        async with self.turn(call.id):
            record = arm.store.record(call.id)
            if record is None:
                await arm.require_scope(call.id)
                return Reply(None, 204)
            _conditions(call, record)
            operations = []
            reply = Reply(None, kind.gone_status(record.id))
            if reply.status == 202:
                operation = arm.operations.finished(record.id)
                operations.append(operation)
                reply.headers = arm.operations.location(call, record.id, operation)
            if kind.delete_shows:
                reply.body = await kind.shown(call, record.read())
            await self._remove(call, record, operations)
            return reply

    async def _remove(self, call: Call, record: Record, operations: Sequence[JSON] = ()) -> None:
        arm = self._arm
        going = [*arm.store.inside(record.id), record]
        calls = [replace(call, id=item.id, method="DELETE") for item in going]
        for item, inner in zip(going, calls, strict=True):
            await arm.kind(item.id).deleting(inner, item.read())
        await arm.store.write(delete=[item.id for item in going], operations=operations)
        for item, inner in zip(going, calls, strict=True):
            await self._tell(arm.kind(item.id).deleted(inner, item.read()), "deleted", item.id)

    async def empty_group(self, call: Call, group: ResourceId) -> None:
        """Delete everything in a resource group, then the group, which is marked `Deleting`.

        Raises:
            ArmError: Something in it refuses; the group is as usable as before then.
        """
        try:
            await self._empty_group(call, group)
        except ArmError:
            body = self._arm.store.get(group)
            if body is not None:
                body["properties"]["provisioningState"] = "Succeeded"
                await self._arm.store.write(put=[(group, body, secrets.token_hex(8))])
            raise

    async def _empty_group(self, call: Call, group: ResourceId) -> None:
        arm = self._arm
        prefix = group.key + "/"
        while True:
            inside = arm.store.inside(group)
            trees = {_tree(record.id) for record in inside} | set(self._turns.below(prefix))
            if not trees:
                break
            for tree in sorted(trees):
                async with self._turns.take(tree):
                    if (record := arm.store.record(tree)) is not None:
                        await self._remove(call, record)
                    for orphan in arm.store.inside(tree):
                        await self._remove(call, orphan)
        await arm.store.write(delete=[group])

    async def _tell(self, telling: Any, what: str, id: ResourceId) -> None:
        """Await a hook that must not fail: the change is durable already."""
        try:
            await telling
        except Exception:  # noqa: BLE001 - logged; the caller's change stands
            _log.exception("hook '%s' of %s failed", what, id)


def _tree(id: ResourceId) -> str:
    """The key of the outermost resource: changes below it take turns."""
    if id.namespace is None:
        return id.key
    while id.scope and (outer := parse(id.scope)).is_resource:
        id = outer
    return id.top.key


def check_tags(tags: Any) -> None:
    """Tags are at most fifty texts by name.

    Raises:
        ArmError: 400.
    """
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise ArmError(
            "InvalidTagFormat", "'tags' must be an object whose values are texts.", target="tags"
        )
    if len(tags) > MAX_TAGS:
        raise ArmError(
            "TooManyTags", f"A resource has at most {MAX_TAGS} tags, not {len(tags)}.", 400
        )
    reserved = [
        name for name in tags if _RESERVED.search(name) and not name.lower().startswith(_WITH_ANY)
    ]
    if reserved:
        raise ArmError(
            "InvalidTagNameCharacters",
            f"The tag names '{','.join(reserved)}' have reserved characters '<,>,%,&,\\,?,/' or "
            "control characters.",
        )
    for what, code, most, texts in (
        ("name", "InvalidTagName", MAX_TAG_NAME, tags),
        ("value", "InvalidTagValueLength", MAX_TAG_VALUE, tags.values()),
    ):
        if long := [text for text in texts if len(text) > most]:
            word = "key" if what == "name" else what
            raise ArmError(
                code,
                f"Tag {word} too large. Following tag {what} '{', '.join(long)}' exceeded the "
                f"maximum length. Maximum allowed length for tag {what} - '{most}' characters.",
            )


def _conditions(call: Call, record: Record | None) -> None:
    """`If-Match` and `If-None-Match` (RFC 9110, section 13).

    An empty one asks for nothing: the models of hashicorp/go-azure-sdk send both with every change
    of a private DNS zone, and Azure takes them.
    """
    wanted = call.headers.get("if-match", "").strip()
    if wanted and (record is None or (wanted != "*" and not _matches(wanted, record.etag))):
        raise ArmError(
            "PreconditionFailed",
            f"The resource '{call.id.text}' is not in the state that If-Match {wanted[:80]} names.",
            412,
        )
    unwanted = call.headers.get("if-none-match", "").strip()
    if unwanted and record is not None and (unwanted == "*" or _matches(unwanted, record.etag)):
        raise ArmError(
            "PreconditionFailed",
            f"The resource '{call.id.text}' exists already, and If-None-Match forbids that.",
            412,
        )


def _matches(header: str, etag: str) -> bool:
    return any(part.strip().removeprefix("W/").strip('"') == etag for part in header.split(","))
