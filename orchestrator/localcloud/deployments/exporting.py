"""What a resource group holds, as a template (ARM REST "Resource Groups - Export Template").

Names become parameters with the present name as their default, ids of what is exported become
`resourceId(…)`, children and extensions wait for what they lie in. What the service alone says of a
resource is left out, and the ids of its own parts, which hold where it is and nowhere else. Secrets
are in it no more than in a GET.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.localcloud.arm.content import strip_nulls
from orchestrator.localcloud.arm.errors import ArmError, group_not_found
from orchestrator.localcloud.arm.ids import ResourceId, group_id, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.templates.values import member

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_OF_THE_SERVICE = frozenset(("systemData", "etag", "provisioningState"))
_HAVING = "userAssignedIdentities"
_PLAIN = "SkipResourceNameParameterization", "SkipAllParameterization"


async def export_group(call: Call) -> Answer:
    """Answer `POST …/resourceGroups/{name}/exportTemplate`."""
    arm = call.arm
    group = group_id(arm.subscription, str(call.id.group))
    if group not in arm.store:
        raise group_not_found(str(call.id.group))
    body = call.object()
    wanted = member(body, "resources") or ["*"]
    options = str(member(body, "options") or "")
    if not isinstance(wanted, list):
        raise ArmError("InvalidRequestContent", "'resources' must be an array of ids or of '*'.")
    ids = [record.id for record in arm.store.inside(group)]
    ids = [id for id in ids if (id.namespace or "").lower() != "microsoft.resources"]
    # An older version may have stored what is now part of another resource.
    ids = [id for id in ids if arm.kind(id).stored]
    if "*" not in wanted:
        chosen = {str(item).lower().rstrip("/") for item in wanted}
        ids = [id for id in ids if any(_within(id.key, one) for one in chosen)]
        missing = [one for one in chosen if not any(id.key == one for id in ids)]
        if missing:
            raise ArmError(
                "ExportTemplateResourceNotFound",
                f"The resource '{missing[0]}' is not in the resource group '{call.id.group}'.",
                404,
            )
    ids.sort(key=lambda id: (id.key.count("/"), id.key))
    client = Client(arm, Caller.of(call))
    export = _Export(ids, named=not any(word.lower() in options.lower() for word in _PLAIN))
    versions = _versions(arm.store.of_type("Microsoft.Resources/deployments", group))
    resources = []
    for id in ids:
        shown = (await client.send("GET", id)).body
        version = versions.get(id.type.lower(), "2024-01-01")
        shown = _settable(shown, arm.kind(id).read_only)
        resources.append(export.resource(id, shown, version))
    return {
        "template": {
            "$schema": SCHEMA,
            "contentVersion": "1.0.0.0",
            "parameters": export.parameters,
            "variables": {},
            "resources": resources,
        }
    }


def _settable(shown: JSON, read_only: Iterable[str]) -> JSON:
    """What a template may say of a resource; `shown` is what a GET tells."""
    found = copy.deepcopy(shown)
    for path in read_only:
        *outer, name = path.split(".")
        inside = found.get("properties")
        for step in outer:
            inside = inside.get(step) if isinstance(inside, dict) else None
        if isinstance(inside, dict):
            inside.pop(name, None)
            if outer and not inside:
                found["properties"].pop(outer[0])
    identity = found.get("identity")
    if isinstance(identity, dict):
        found["identity"] = {
            name: {id: {} for id in value} if name == _HAVING and isinstance(value, dict) else value
            for name, value in identity.items()
            if name not in ("principalId", "tenantId")
        }
    return found


def _within(key: str, outer: str) -> bool:
    return key == outer or key.startswith(outer + "/")


def _versions(deployments: list[JSON]) -> dict[str, str]:
    """The API versions that templates have used here, by type."""
    found: dict[str, str] = {}
    for deployment in deployments:
        resources = deployment["private"]["template"].get("resources", [])
        items = resources.values() if isinstance(resources, Mapping) else resources
        for item in items:
            if isinstance(item.get("type"), str) and isinstance(item.get("apiVersion"), str):
                found[item["type"].lower()] = item["apiVersion"]
    return found


class _Export:
    def __init__(self, ids: list[ResourceId], *, named: bool) -> None:
        self._ids = {id.key: id for id in ids}
        self._named = named
        self._edges: dict[str, list[str]] = {id.key: [] for id in ids}
        self._used: list[ResourceId] = []
        self.parameters: JSON = {}

    def resource(self, id: ResourceId, shown: JSON, version: str) -> JSON:
        """One resource of the template."""
        found: JSON = {
            "type": id.type,
            "apiVersion": version,
            "name": f"[{self._name(id)}]" if self._named else "/".join(id.names),
        }
        waits = []
        outer = parse(id.scope)
        if outer.is_resource:
            found["scope"] = f"[{self._id_of(outer)}]"
            waits.append(outer)
        if id.parent is not None:
            waits.append(id.parent)
        waits = [item for item in waits if item.key in self._ids]
        self._used = []
        values = {
            name: self._value(value, id.key)
            for name, value in strip_nulls(shown).items()
            if name not in ("id", "name", "type", *_OF_THE_SERVICE)
        }
        for item in [*waits, *self._used]:
            if item.key not in self._edges[id.key] and not self._leads(item.key, id.key):
                self._edges[id.key].append(item.key)
        if self._edges[id.key]:
            found["dependsOn"] = [f"[{self._id_of(self._ids[k])}]" for k in self._edges[id.key]]
        return found | values

    def _leads(self, start: str, goal: str) -> bool:
        """Whether `start` waits, by whatever way, for `goal`: both cannot wait for each other."""
        waiting, seen = [start], set()
        while waiting:
            key = waiting.pop()
            if key == goal:
                return True
            if key not in seen:
                seen.add(key)
                waiting += self._edges[key]
        return False

    def _value(self, value: Any, own: str) -> Any:
        if isinstance(value, dict):
            # A subnet in its network: the name says which it is, the id and type follow from it.
            part = "name" in value and _within(str(value.get("id", "")).lower(), own)
            own_part = ("id", "type") if part else ()
            return {
                # Ids stand as names, too: of the identities that a resource has.
                self._value(name, own): self._value(item, own)
                for name, item in value.items()
                if name not in _OF_THE_SERVICE and name not in own_part
            }
        if isinstance(value, list):
            return [self._value(item, own) for item in value]
        if not isinstance(value, str):
            return value
        target = self._exported(value) if value.startswith("/") else None
        if target is not None and not _within(own, target.key) and not _within(target.key, own):
            self._used.append(target)
            rest = value.rstrip("/")[len(target.text) :]
            found = self._id_of(target)
            return f"[concat({found}, {_quoted(rest)})]" if rest else f"[{found}]"
        return f"[{value}" if value.startswith("[") and value.endswith("]") else value

    def _exported(self, text: str) -> ResourceId | None:
        """The exported resource that an id means or lies in, the innermost."""
        key = text.lower().rstrip("/")
        while key:
            if key in self._ids:
                return self._ids[key]
            key = key.rpartition("/")[0]
        return None

    def _name(self, id: ResourceId) -> str:
        if not self._named:
            return _quoted("/".join(id.names))
        top = f"parameters({_quoted(self._parameter(id))})"
        rest = "/".join(("", *id.names[1:]))
        return f"concat({top}, {_quoted(rest)})" if rest else top

    def _parameter(self, id: ResourceId) -> str:
        outer = parse(id.scope)
        words = [id.types[0], id.names[0]]
        if outer.is_resource:
            words = [outer.types[0], outer.names[0], *words]
        name = re.sub(r"\W", "_", "_".join(words)) + "_name"
        self.parameters.setdefault(name, {"defaultValue": id.names[0], "type": "String"})
        return name

    def _id_of(self, id: ResourceId) -> str:
        outer = parse(id.scope)
        names = [
            f"parameters({_quoted(self._parameter(id))})" if self._named else _quoted(id.names[0]),
            *map(_quoted, id.names[1:]),
        ]
        tail = ", ".join([_quoted(id.type), *names])
        if outer.is_resource:
            return f"extensionResourceId({self._id_of(outer)}, {tail})"
        return f"resourceId({tail})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
