"""Any resource type that nobody knows better: kept as it was sent.

Of many types it is known what their services publish of them (`published`): host names, keys,
state. That comes in when a resource is shown; nothing else of these types is looked at.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.providers import answer_statuses
from orchestrator.localcloud.providers.published import (
    Published,
    Regeneration,
    Seen,
    action_names,
    of_type,
)

_SEED = "publishedSeed"
_TURNS = "publishedTurns"
"""Of a top-level resource: how often keys of it, and of what lies in it, were regenerated."""


class Generic(ResourceType):
    """PUT, GET, PATCH, DELETE, HEAD and list, for every type and every scope.

    What is not 200 comes with `Azure-AsyncOperation`, which long-running and plain clients take.
    """

    type: ClassVar[str] = "*"

    def put_status(self, id: ResourceId, created: bool) -> int:
        """That of the type's service."""
        return answer_statuses.of_put(id.type)

    def gone_status(self, id: ResourceId) -> int:
        """That of the type's service."""
        return answer_statuses.of_delete(id.type)

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Draw what keys and ids are made of; fill in the defaults that are known."""
        published = of_type(call.id.type)
        for name in (_SEED, _TURNS):
            resource.pop(name, None)
        if published is not None:
            resource[_SEED] = (old or {}).get(_SEED) or secrets.token_hex(16)
            if old is not None and _TURNS in old:
                resource[_TURNS] = old[_TURNS]
            for name, value in published.defaults.items():
                resource["properties"].setdefault(name, value)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With what its service publishes of it, without what its keys are made of."""
        id = _id_of(call, resource)
        published = of_type(id.type)
        if published is not None:
            seen = _seen(call, id, resource)
            if published.located:
                resource.setdefault("location", seen.location)
            facts = published.facts(seen)
            resource["properties"] = _merged(resource.get("properties") or {}, facts)
            for path in published.hidden:
                _hide(resource["properties"], path.split("."))
        for name in (_SEED, _TURNS):
            resource.pop(name, None)
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
        """The actions that give keys and make them anew, of all types."""
        return {name: partial(self._act, name) for name in action_names()}

    async def _act(self, name: str, call: Call) -> Answer:
        published = of_type(call.id.type) or Published()
        action = _named(published.actions, name)
        again = _named(published.regenerations, name)
        if action is None and again is None:
            raise ArmError(
                "NotFound", f"The resource type {call.id.type} has no action '{name}'.", 404
            )
        resource = await self.get(call)
        if resource is None:
            raise missing(call.id)
        if again is not None:
            return await self._regenerate(call, resource, again)
        assert action is not None
        return action(_seen(call, call.id, resource))

    async def _regenerate(self, call: Call, resource: JSON, again: Regeneration) -> Answer:
        """Make a key anew. Raises ArmError (400) for one that there is not."""
        seen = _seen(call, call.id, resource)
        labels = again.labels(seen)
        name = str(call.object().get(again.by, "")) if again.by else "".join(call.arguments)
        label = labels.get(name.lower())
        if label is None:
            raise ArmError(
                "BadRequest",
                f"There is no key '{name}': {', '.join(labels)} are.",
                target=again.by or None,
            )
        source = seen.source(label)

        def change(top: JSON) -> None:
            turns = top.setdefault(_TURNS, {})
            turns[source] = turns.get(source, 0) + 1

        await call.arm.changes.alter(replace(call, id=call.id.top), change)
        seen = _seen(call, call.id, await self.get(call) or resource)
        if again.one is not None:
            return again.one(seen, label)
        return Reply(None, again.status) if again.answer is None else again.answer(seen)


_Item = TypeVar("_Item")


def _named(items: Mapping[str, _Item], name: str) -> _Item | None:
    """What has that name, in any case."""
    return next((item for known, item in items.items() if known.lower() == name.lower()), None)


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

    turns = top.get(_TURNS, {})
    return Seen(id, resource, top, seed, of_top, find, turns, call.arm.tenant)


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


def _hide(properties: Any, path: list[str]) -> None:
    step, *rest = path
    if step == "[]":
        for item in properties if isinstance(properties, list) else ():
            _hide(item, rest)
    elif isinstance(properties, dict):
        if rest:
            _hide(properties.get(step), rest)
        else:
            properties.pop(step, None)
