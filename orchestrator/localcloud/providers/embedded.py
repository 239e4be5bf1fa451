"""Children that live in a list of their parent: subnets of a network, rules of a security group.

They can be written both ways, in the parent's properties and as resources of their own, and are the
same ("Set name and type for child resources"). The parent's list is the one truth.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.content import strip_nulls
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, group_id, missing, parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.arm.shapes import Shape, check_shape
from orchestrator.localcloud.arm.store import ResourceStore

_NAME = re.compile(r"[A-Za-z0-9_]([-.\w]{0,78}\w)?")


class Holder(ResourceType):
    """A type whose resources have such children."""

    def check_whole(self, properties: JSON) -> None:
        """Check what concerns several children together; raises ArmError (400)."""


class Embedded(ResourceType):
    """One type of such children; `members_key` is the parent's list, `inside` the shape of what
    the properties of each must be.

    The parent's `prepare` calls `complete_all`, so that both ways are checked in one place.
    """

    members_key: ClassVar[str]
    inside: ClassVar[Shape] = {}
    stored: ClassVar[bool] = False

    def complete(self, call: Call, item: JSON) -> None:
        """Check the properties of one child and fill in its defaults, in place."""

    async def get(self, call: Call) -> JSON | None:
        """One child."""
        return next(
            (item for item in self._all(call) if item["name"].lower() == call.id.name.lower()), None
        )

    async def members(self, call: Call) -> Iterable[JSON]:
        """All of a parent."""
        return self._all(call)

    def _all(self, call: Call) -> list[JSON]:
        parent = call.id.parent
        assert parent is not None
        holder = call.arm.store.get(parent)
        if holder is None:
            return []
        found: list[JSON] = holder["properties"].get(self.members_key, [])
        return [dict(item) for item in found]

    def methods(self) -> Mapping[str, Handler]:
        """They are changed through their parent."""
        return {"PUT": self._put, "DELETE": self._delete}

    async def _put(self, call: Call) -> Answer:
        body = strip_nulls(call.object())
        created = await self.get(call) is None
        name = call.id.name

        def change(items: list[JSON]) -> list[JSON]:
            item = {"name": name, "properties": body.get("properties") or {}}
            rest = [it for it in items if it["name"].lower() != name.lower()]
            return [*rest, item]

        await self._rewrite(call, change)
        shown = await self.get(call)
        if shown is None:
            raise missing(call.id)
        shown = await self.show(call, shown)
        if not created:
            return Reply(shown, 200)
        operation = call.arm.operations.finished(call.id)
        await call.arm.store.write(operations=[operation])
        return Reply(shown, 201, call.arm.operations.async_operation(call, call.id, operation))

    async def _delete(self, call: Call) -> Answer:
        found = await self.get(call)
        if found is None:
            return Reply(None, 204)
        await self.releasing(call, found)
        name = call.id.name.lower()
        await self._rewrite(call, lambda items: [it for it in items if it["name"].lower() != name])
        return Reply(None, 200)

    async def releasing(self, call: Call, item: JSON) -> None:
        """About to be deleted; refuse by raising."""

    async def _rewrite(self, call: Call, change: Callable[[list[JSON]], list[JSON]]) -> None:
        parent = call.id.parent
        assert parent is not None
        kind = call.arm.kind(parent)
        async with call.arm.changes.turn(parent):
            record = call.arm.store.record(parent)
            if record is None:
                raise missing(parent)
            body = record.read()
            properties = body["properties"]
            properties[self.members_key] = change(properties.get(self.members_key, []))
            self.complete_all(call, record.id, properties)
            if isinstance(kind, Holder):
                kind.check_whole(properties)
            await call.arm.store.write(put=[(record.id, body, secrets.token_hex(8))])

    def complete_all(self, call: Call, parent: ResourceId, properties: JSON) -> None:
        """Bring the parent's list into the shape in which it is stored and shown.

        Raises:
            ArmError: 400.
        """
        items = properties.setdefault(self.members_key, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ArmError(
                "InvalidRequestFormat",
                f"'properties.{self.members_key}' must be a list of objects.",
                target=f"properties.{self.members_key}",
            )
        names: set[str] = set()
        for item in items:
            name = item.get("name")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ArmError(
                    "InvalidResourceName",
                    f"The resource name '{name}' in 'properties.{self.members_key}' is invalid: it "
                    "begins with a letter, a digit or '_', and has at most 80 characters.",
                )
            if name.lower() in names:
                raise ArmError(
                    "DuplicateResourceName", f"Resource {name} has a duplicate under its parent."
                )
            names.add(name.lower())
            check_shape(item, {"properties": self.inside}, f"{self.members_key}/{name}")
            inner = item.setdefault("properties", {})
            inner["provisioningState"] = "Succeeded"
            item |= {
                "id": parent.child(self.type.rpartition("/")[2], name).text,
                "type": self.type,
                "etag": item.get("etag") or f'W/"{secrets.token_hex(8)}"',
            }
            self.complete(call, item)


async def adopt(store: ResourceStore, kind: Embedded) -> None:
    """Put children that an older version has stored as resources of their own into their parents.

    One whose parent has a child of that name already, or is gone, is left out.
    """
    for record in store.records(kind.type):
        put = []
        parent = store.record(record.id.parent) if record.id.parent else None
        if parent is not None:
            body, child = parent.read(), record.read()
            items = body.setdefault("properties", {}).setdefault(kind.members_key, [])
            if all(item["name"].lower() != record.id.name.lower() for item in items):
                item = {name: child[name] for name in ("id", "name", "type", "properties")}
                item["etag"] = f'W/"{secrets.token_hex(8)}"'
                items.append(item)
                put.append((parent.id, body, secrets.token_hex(8)))
        await store.write(put=put, delete=[record.id])


def existing(call: Call, value: Any, path: str) -> ResourceId:
    """The resource that `{"id": …}` at `path` names.

    Raises:
        ArmError: 400 when it names none, or one that does not exist.
    """
    given = value.get("id") if isinstance(value, dict) else None
    if not isinstance(given, str) or not given:
        raise ArmError("InvalidRequestFormat", f"'{path}.id' is missing.", target=path)
    id = parse(given)
    parent = id.parent
    found = id in call.arm.store
    if not found and parent is not None and (holder := call.arm.store.get(parent)):
        lists = {name.lower(): items for name, items in holder["properties"].items()}
        items = lists.get(id.types[-1].lower())
        found = isinstance(items, list) and any(
            str(item.get("name", "")).lower() == id.name.lower()
            for item in items
            if isinstance(item, dict)
        )
    if not found:
        raise ArmError(
            "InvalidResourceReference",
            f"Resource {given} referenced by resource {call.id.text} was not found. Please make "
            "sure that the referenced resource exists, and that both resources are in the same "
            "region.",
            400,
            target=path,
        )
    return id


def group_deleting(call: Call) -> bool:
    """Whether what is deleted goes with its whole group: then nothing in it holds it back."""
    if call.id.group is None or call.id.subscription is None:
        return False
    group = call.arm.store.get(group_id(call.id.subscription, call.id.group)) or {}
    return bool(group.get("properties", {}).get("provisioningState") == "Deleting")
