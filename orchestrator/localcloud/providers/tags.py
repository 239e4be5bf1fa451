"""Microsoft.Resources/tags: the tags of a subscription, a group or a resource, and nothing else.

PUT replaces all of them, PATCH merges, replaces or deletes some, DELETE removes all ("Tags" of the
Resource Manager REST reference, 2021-04-01). For groups and resources they are the same tags that
stand in the resource itself; a subscription has no other place for them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.changes import check_tags
from orchestrator.localcloud.arm.content import child
from orchestrator.localcloud.arm.errors import ArmError, group_not_found
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.arm.store import ResourceStore

TAGS = "Microsoft.Resources/tags"
Change = Callable[[Mapping[str, str]], dict[str, str]]

_OPERATIONS = {"merge": "Merge", "replace": "Replace", "delete": "Delete"}


class Tags(ResourceType):
    """`{scope}/providers/Microsoft.Resources/tags/default`."""

    type: ClassVar[str] = TAGS
    stored: ClassVar[bool] = False

    def methods(self) -> Mapping[str, Handler]:
        """All of them: tags lie in another resource."""
        return {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}

    async def _get(self, call: Call) -> Answer:
        return _shown(call, _tags(call, _scope(call)))

    async def _put(self, call: Call) -> Answer:
        given = _given(call)
        return _shown(call, await _write(call, lambda old: given))

    async def _patch(self, call: Call) -> Answer:
        word = str(call.object().get("operation", ""))
        operation = _OPERATIONS.get(word.lower())
        if operation is None:
            raise ArmError(
                "InvalidTagsOperation",
                f"The operation '{word}' is not valid: Merge, Replace and Delete are.",
                target="operation",
            )
        given = _given(call)
        if operation == "Replace":
            return _shown(call, await _write(call, lambda old: given))
        if operation == "Merge":
            return _shown(call, await _write(call, lambda old: _merged(old, given)))
        gone = {(name.lower(), value) for name, value in given.items()}
        return _shown(
            call,
            await _write(
                call,
                lambda old: {
                    name: value for name, value in old.items() if (name.lower(), value) not in gone
                },
            ),
        )

    async def _delete(self, call: Call) -> Answer:
        await _write(call, lambda old: {})
        return None


def _merged(old: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Tag names are one in any case; a tag keeps the spelling it had."""
    spelt = {name.lower(): name for name in old}
    return {**old, **{spelt.get(name.lower(), name): value for name, value in given.items()}}


def _given(call: Call) -> dict[str, str]:
    tags = child(call.object(), "properties").get("tags") or {}
    check_tags(tags)
    return dict(tags)


def _scope(call: Call) -> ResourceId:
    if call.id.name.lower() != "default":
        raise missing(call.id)
    return parse(call.id.scope or "/")


def _tags(call: Call, scope: ResourceId) -> dict[str, str]:
    if scope.namespace is None and scope.group is None:
        return subscription_tags(call.arm.store, call.arm.subscription)
    resource = call.arm.store.get(scope)
    if resource is None:
        raise missing(scope) if scope.namespace else group_not_found(str(scope.group))
    found: dict[str, str] = resource.get("tags", {})
    return found


async def _write(call: Call, change: Change) -> dict[str, str]:
    scope = _scope(call)
    async with call.arm.changes.turn(scope):
        tags = change(_tags(call, scope))
        check_tags(tags)
        if scope.namespace is None and scope.group is None:
            id = _subscription_id(call.arm.subscription)
            body = _shown(call, tags)
        else:
            record = call.arm.store.record(scope)
            assert record is not None
            id, body = record.id, record.read()
            body["tags"] = tags
            if not tags:
                del body["tags"]
        await call.arm.store.write(put=[(id, body, secrets.token_hex(8))])
    return tags


def _shown(call: Call, tags: Mapping[str, str]) -> JSON:
    return {
        "id": call.id.text,
        "name": "default",
        "type": TAGS,
        "properties": {"tags": dict(tags)},
    }


def _subscription_id(subscription: str) -> ResourceId:
    return parse(f"/subscriptions/{subscription}/providers/{TAGS}/default")


def subscription_tags(store: ResourceStore, subscription: str) -> dict[str, str]:
    """The tags of a subscription."""
    body = store.get(_subscription_id(subscription))
    tags: dict[str, str] = body["properties"]["tags"] if body else {}
    return tags
