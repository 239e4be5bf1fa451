"""What a deployment would change, and what it has changed: resources in people's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal

import msgspec

from orchestrator.queues.body import WORDS
from orchestrator.records import Column, Records
from orchestrator.results import Action, Change, FieldChange, Record

# What a resource type is called. Others: the last word of the type.
KINDS = {
    "microsoft.app/managedenvironments": "environment",
    "microsoft.app/jobs": "job",
    "microsoft.authorization/roleassignments": "role",
    "microsoft.containerregistry/registries": "registry",
    "microsoft.insights/diagnosticsettings": "diagnostics",
    "microsoft.managedidentity/userassignedidentities": "identity",
    "microsoft.network/privatednszones": "DNS zone",
    "microsoft.network/privatednszones/virtualnetworklinks": "DNS link",
    "microsoft.network/privateendpoints": "private endpoint",
    "microsoft.network/privateendpoints/privatednszonegroups": "DNS group",
    "microsoft.network/virtualnetworks": "network",
    "microsoft.network/virtualnetworks/subnets": "subnet",
    "microsoft.operationalinsights/workspaces": "workspace",
    "microsoft.servicebus/namespaces": "namespace",
    "microsoft.servicebus/namespaces/queues": "queue",
    "microsoft.servicebus/namespaces/topics": "topic",
    "microsoft.servicebus/namespaces/topics/subscriptions": "subscription",
}
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES = {
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": "Data Sender",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": "Data Receiver",
    "090c5cfd-751d-490a-894a-3ce6f1109419": "Data Owner",
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
}

_KNOWN_BY_THEMSELVES = ("queue", "topic", "subnet")

_ID_BEGINS = re.compile(
    r"/subscriptions/[^\s/]+(?:/resourceGroups/[^\s/]+)?/providers/", re.IGNORECASE
)

Effect = Literal["create", "modify", "delete", "unchanged", "ignore", "deploy", "unsupported"]
_EFFECTS: dict[str, Effect] = {
    "create": "create",
    "modify": "modify",
    "delete": "delete",
    "nochange": "unchanged",
    "ignore": "ignore",
    "deploy": "deploy",
    "unsupported": "unsupported",
}


class ResourceId(msgspec.Struct, frozen=True):
    """The parts of a resource's id that people name it by.

    Attributes:
        kind: Its type, "Microsoft.ServiceBus/namespaces/queues".
        names: Its own name and those above it in the type, outermost first.
        scope: The id of the resource that it is on, "" for most.
        group: The resource group, "" when it is in none.
    """

    kind: str
    names: tuple[str, ...]
    scope: str = ""
    group: str = ""

    @property
    def name(self) -> str:
        return self.names[-1] if self.names else ""

    @property
    def noun(self) -> str:
        """What such a thing is called."""
        return KINDS.get(self.kind.lower()) or self.kind.rpartition("/")[2] or "resource"


_ORDER = (
    "resource group", "workspace", "network", "subnet", "registry", "namespace", "queue", "topic",
    "subscription", "identity", "role", "environment", "job",
)  # fmt: skip


def order(kind: str) -> int:
    """Where a kind of thing stands in a list of them all."""
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def parse_id(resource_id: str) -> ResourceId:
    """The parts of an id; anything that is none is a name."""
    at = resource_id.lower().rfind("/providers/")
    parts = resource_id.strip("/").split("/")
    group = ""
    for key, value in pairwise(parts):
        if key.lower() == "resourcegroups":
            group = value
            break
    if at < 0:
        return ResourceId(parts[-2] if len(parts) > 1 else "", (parts[-1],), "", group)
    above, words = resource_id[:at], resource_id[at + len("/providers/") :].strip("/").split("/")
    kind = "/".join([words[0], *words[1::2]])
    scope = above if "/providers/" in above.lower() else ""
    return ResourceId(kind, tuple(words[2::2]), scope, group)


def short(value: str) -> str:
    """The text with each id in it without its beginning, which is the same everywhere."""
    return _ID_BEGINS.sub("…/", value)


def title(resource_id: str, properties: Mapping[str, Any] | None = None) -> str:
    """A resource's name as people know it; of a role assignment, the role and on what.

    Of a part of another resource, with whose it is: each private endpoint has a DNS group of the
    name "default". What is looked after by its own name, a queue, has that alone.
    """
    parts = parse_id(resource_id)
    if parts.noun == "role":
        role = str((properties or {}).get("roleDefinitionId") or "").rpartition("/")[2].lower()
        on = parse_id(parts.scope).name if parts.scope else parts.group
        return f"{ROLES.get(role, '')} on {on}".strip() if on else ROLES.get(role, parts.name)
    if parts.noun == "diagnostics" and parts.scope:
        return f"{parts.name} of {parse_id(parts.scope).name}"
    if len(parts.names) > 1 and parts.noun not in _KNOWN_BY_THEMSELVES:
        return f"{parts.name} of {parts.names[-2]}"
    return parts.name


# ------------------------------------------------------------------------------- what-if


class PropertyChange(Record, frozen=True, kw_only=True):
    """One property that would change. `effect`: create, delete, modify, array or noeffect."""

    path: str
    effect: str
    before: Any = None
    after: Any = None


class ResourceChange(Record, frozen=True, kw_only=True):
    """What a deployment would do to one resource.

    Attributes:
        effect: create, modify, delete, unchanged; ignore: it is not in the template; deploy: it
            would be sent, and nobody can tell what changes; unsupported: it cannot be foreseen.
        reason: Why it is unsupported.
        properties: What would change, outermost first.
    """

    id: str
    type: str
    name: str
    effect: Effect
    reason: str = ""
    properties: tuple[PropertyChange, ...] = ()
    raw: Mapping[str, Any] = {}

    @property
    def noun(self) -> str:
        return parse_id(self.id).noun

    def as_json(self) -> dict[str, Any]:
        """As the service told it: what `az deployment group what-if` prints for one resource."""
        return dict(self.raw)


class WhatIf(Records[ResourceChange]):
    """What a deployment would change, resource by resource.

    `diagnostics`: what the service remarks, a sentence each.
    """

    noun = "resources"
    columns = (
        Column("effect", "effect", "status"),
        Column("kind", "kind", "text", lambda c: c.noun),
        Column("name", "name"),
        Column(
            "properties", "what changes", "text", lambda c: "; ".join(p.path for p in c.properties)
        ),
    )

    def __init__(self, items: Any = (), *, diagnostics: tuple[str, ...] = ()) -> None:
        super().__init__(items)
        self.diagnostics = diagnostics

    @property
    def changed(self) -> bool:
        """Whether a deployment would do anything that can be foreseen."""
        return any(c.effect in ("create", "modify", "delete", "deploy") for c in self)

    @property
    def certain(self) -> bool:
        """Whether everything that would change can be foreseen."""
        return not self.diagnostics and not self.count("deploy", "unsupported")

    def count(self, *effects: Effect) -> int:
        """How many resources have one of these effects."""
        return sum(c.effect in effects for c in self)

    def changes(self, *, done: bool = True) -> list[Change]:
        """The resources of the template as `up` tells of them, in the template's order."""
        actions: dict[Effect, Action] = {"create": "created", "modify": "updated"}
        return [
            Change(
                name=c.name,
                kind=c.noun,
                action=actions.get(c.effect, "unchanged") if done else "unchanged",
                fields=tuple(
                    FieldChange(path=_word(p.path, c.noun), old=p.before, new=p.after)
                    for p in c.properties
                    if c.effect == "modify"
                ),
            )
            for c in self
            if c.effect in ("create", "modify", "unchanged", "deploy", "unsupported")
        ]


def what_if(result: Mapping[str, Any]) -> WhatIf:
    """A `WhatIf` from what the service sent."""
    properties = result.get("properties") or {}
    changes = [_resource_change(c) for c in properties.get("changes") or ()]
    remarks = tuple(
        str(d.get("message") or "") for d in properties.get("diagnostics") or () if d.get("message")
    )
    return WhatIf(changes, diagnostics=remarks)


def _resource_change(change: Mapping[str, Any]) -> ResourceChange:
    resource_id = str(change.get("resourceId") or "")
    after, before = change.get("after") or {}, change.get("before") or {}
    shown = (after or before).get("properties")
    return ResourceChange(
        id=resource_id,
        type=parse_id(resource_id).kind,
        name=title(resource_id, shown if isinstance(shown, Mapping) else None),
        effect=_EFFECTS.get(str(change.get("changeType") or "").lower(), "unsupported"),
        reason=str(change.get("unsupportedReason") or ""),
        properties=tuple(_property_changes(change.get("delta") or ())),
        raw=dict(change),
    )


def _property_changes(delta: Any, above: str = "") -> Iterator[PropertyChange]:
    """The leaves of a delta: a change with children is told by them."""
    for change in delta:
        path = str(change.get("path") or "")
        if above:
            path = f"{above}[{path}]" if path.isdigit() else f"{above}.{path}"
        kind = str(change.get("propertyChangeType") or "").lower()
        if kind == "noeffect":
            continue
        if children := change.get("children"):
            yield from _property_changes(children, path)
            continue
        yield PropertyChange(
            path=path, effect=kind, before=change.get("before"), after=change.get("after")
        )


def _word(path: str, noun: str) -> str:
    """A property as the settings call it, where they do."""
    short = path.removeprefix("properties.")
    return WORDS.get(short, short) if noun == "queue" else short


# ------------------------------------------------------------------------------- what is deployed


class Resource(Record, frozen=True, kw_only=True):
    """One resource of a deployment. `status`: managed, or why it failed. `link`: to the portal."""

    id: str
    type: str
    kind: str
    name: str
    status: str = ""
    link: str = ""


class Deployed(Records[Resource]):
    """What a template has made, by type, and what it tells of it.

    Attributes:
        name: The deployment's.
        resource_group: Where.
        state: "succeeded", "failed", … in the service's words.
        outputs: name -> value; no secrets are among them.
        changes: What this deployment changed; empty when it was only looked at.
        duration: How long it took, an ISO 8601 duration, or "".
    """

    noun = "resources"
    columns = (
        Column("kind", "kind"),
        Column("name", "name"),
        Column("status", "status", "status"),
        Column("link", "portal"),
    )

    def __init__(
        self,
        items: Any = (),
        *,
        name: str = "",
        resource_group: str = "",
        state: str = "",
        outputs: Mapping[str, Any] | None = None,
        changes: tuple[Change, ...] = (),
        duration: str = "",
    ) -> None:
        super().__init__(items)
        self.name = name
        self.resource_group = resource_group
        self.state = state
        self.outputs = dict(outputs or {})
        self.changes = changes
        self.duration = duration

    def as_dict(self) -> dict[str, Any]:
        """Everything: what `-o json` prints."""
        return {
            "name": self.name,
            "resourceGroup": self.resource_group,
            "state": self.state,
            "resources": self.as_json(),
            "outputs": self.outputs,
        }
