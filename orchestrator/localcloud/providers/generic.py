"""Any resource type that nobody knows better: kept as it was sent.

Of many types it is known what their services publish of them (`published`): host names, keys,
state. That comes in when a resource is shown; nothing else of these types is looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.providers.published import (
    Action,
    Published,
    Seen,
    action_names,
    of_type,
)

_SEED = "publishedSeed"


class Generic(ResourceType):
    """PUT, GET, PATCH, DELETE, HEAD and list, for every type and every scope.

    A create answers 201 with `Azure-AsyncOperation`, which long-running and plain clients take.
    """

    type: ClassVar[str] = "*"
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Draw what keys and ids are made of; fill in the defaults that are known."""
        published = of_type(call.id.type)
        if published is not None:
            resource[_SEED] = (old or {}).get(_SEED) or secrets.token_hex(16)
            for name, value in published.defaults.items():
                resource["properties"].setdefault(name, value)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With what its service publishes of it, without what its keys are made of."""
        id = _id_of(call, resource)
        published = of_type(id.type)
        if published is not None:
            facts = published.facts(_seen(call, id, resource))
            resource["properties"] = _merged(resource.get("properties") or {}, facts)
            for path in published.hidden:
                _hide(resource["properties"], path.split("."))
        resource.pop(_SEED, None)
        return resource

    async def get(self, call: Call) -> JSON | None:
        """What is stored; or what every parent has, empty."""
        stored = call.arm.store.get(call.id)
        if stored is not None:
            return stored
        published, parent = of_type(call.id.type), call.id.parent
        if published is None or parent is None or not published.stands(call.id.name):
            return None
        if parent not in call.arm.store:
            return None
        return _standing(call.id)

    def actions(self) -> Mapping[str, Handler]:
        """The actions that give keys, of all types."""
        return {name: partial(self._act, name) for name in action_names()}

    async def _act(self, name: str, call: Call) -> Answer:
        published = of_type(call.id.type)
        action = None if published is None else _action(published, name)
        if published is None or action is None:
            raise ArmError(
                "NotFound", f"The resource type {call.id.type} has no action '{name}'.", 404
            )
        resource = await self.get(call)
        if resource is None:
            raise missing(call.id)
        return action(_seen(call, call.id, resource))


def _action(published: Published, name: str) -> Action | None:
    return next(
        (act for known, act in published.actions.items() if known.lower() == name.lower()), None
    )


def _id_of(call: Call, resource: JSON) -> ResourceId:
    """Of a list each resource has an id of its own; one that is foreseen has that of the call."""
    return parse(resource["id"]) if resource.get("id") else call.id


def _standing(id: ResourceId) -> JSON:
    return {"id": id.text, "name": id.name, "type": id.type, "properties": {}}


def _seen(call: Call, id: ResourceId, resource: JSON) -> Seen:
    """A resource for its tables. One without a seed has one of its parent's, or of its id: it is
    always there, or older than this."""
    top = resource if len(id.names) == 1 else call.arm.store.get(id.top) or {}
    of_top = top.get(_SEED) or id.top.key
    seed = resource.get(_SEED) or f"{of_top}{id.key}"

    def find(text: str) -> JSON | None:
        return call.arm.store.get(parse(text))

    return Seen(id=id, resource=resource, top=top, seed=seed, top_seed=of_top, find=find)


def _merged(properties: JSON, facts: JSON) -> JSON:
    """Properties with facts in them, which win; what both have as objects holds both."""
    found = dict(properties)
    for name, value in facts.items():
        before = found.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            found[name] = _merged(before, value)
        else:
            found[name] = value
    return found


def _hide(properties: JSON, path: list[str]) -> None:
    *above, last = path
    holder: object = properties
    for step in above:
        holder = holder.get(step) if isinstance(holder, dict) else None
    if isinstance(holder, dict):
        holder.pop(last, None)
