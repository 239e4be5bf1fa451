"""Moving resources to another group: `moveResources` and `validateMoveResources`.

All of them move, or none. What lies in a resource and its locks go with it, its ids change, tags
stay; role assignments and diagnostic settings stay behind at the old id ("Move Azure resources to a
new resource group or subscription"). A resource that mentions a moved one elsewhere is not changed,
as on Azure; those of Microsoft.Network are, whose service looks after its own.

Which types move is what "Move operation support for resources" says of those that are served here,
and of those in wide use; every other type is refused. Jobs, environments and identities stay where
they are: what runs in them hangs on their ids.

The answer is an operation, which is over at once here. Azure's word for too many resources and for
a name that is taken is not documented; the codes here are assumed.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.localcloud.arm import locks
from orchestrator.localcloud.arm.access import ASSIGNMENTS
from orchestrator.localcloud.arm.errors import ArmError, group_not_found, subscription_not_found
from orchestrator.localcloud.arm.ids import ResourceId, group_id, missing, parse
from orchestrator.localcloud.arm.linked_access import lacking
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Reply
from orchestrator.localcloud.arm.store import Record

MOST = 800
"""Resources that one request may name."""

_NETWORK = "microsoft.network/"
_NETWORKS = "microsoft.network/virtualnetworks"
_STAY = (ASSIGNMENTS.lower(), "microsoft.insights/diagnosticsettings")
_WRITE = "Microsoft.Resources/subscriptions/resourceGroups/write"
_MOVABLE = frozenset(
    f"{namespace}/{kind}".lower()
    for namespace, kinds in {
        "Microsoft.AppConfiguration": ("configurationStores",),
        "Microsoft.Cache": ("Redis",),
        "Microsoft.CognitiveServices": ("accounts",),
        "Microsoft.Compute": (
            *("availabilitySets", "disks", "images", "snapshots", "virtualMachines"),
            "virtualMachineScaleSets",
        ),
        "Microsoft.ContainerRegistry": ("registries",),
        "Microsoft.DataFactory": ("factories",),
        "Microsoft.DocumentDB": ("databaseAccounts",),
        "Microsoft.EventGrid": ("domains", "topics"),
        "Microsoft.EventHub": ("clusters", "namespaces"),
        "Microsoft.Insights": (
            *("actionGroups", "autoscaleSettings", "components", "scheduledQueryRules"),
            *("webTests", "workbooks"),
        ),
        "Microsoft.KeyVault": ("vaults",),
        "Microsoft.Logic": ("workflows", "integrationAccounts"),
        "Microsoft.Network": (
            *("applicationSecurityGroups", "dnsZones", "loadBalancers", "networkInterfaces"),
            *("networkSecurityGroups", "privateDnsZones", "publicIPAddresses", "routeTables"),
            *("trafficManagerProfiles", "virtualNetworks"),
        ),
        "Microsoft.OperationalInsights": ("workspaces",),
        "Microsoft.Portal": ("dashboards",),
        "Microsoft.Relay": ("namespaces",),
        "Microsoft.ServiceBus": ("namespaces",),
        "Microsoft.SignalRService": ("SignalR",),
        "Microsoft.Sql": ("servers",),
        "Microsoft.Storage": ("storageAccounts",),
        "Microsoft.Web": ("serverFarms", "sites"),
    }.items()
    for kind in kinds
)


async def move(call: Call) -> Answer:
    """Move the resources, or say in the operation why none of them moves.

    Raises:
        ArmError: 400 for a bad request, 403 without a right on the target group, 404 for a group or
            a resource that is not there, 409 for a lock.
    """
    return await _moved(call, really=True)


async def validate_move(call: Call) -> Answer:
    """Say in the operation whether `move` would move them. Raises ArmError as that does."""
    return await _moved(call, really=False)


async def _moved(call: Call, *, really: bool) -> Reply:
    arm = call.arm
    target = _target(call)
    named = _named(call)
    async with arm.changes.turns([*named, *(_place(id, target) for id in named)]):
        records = [record for id in named if (record := arm.store.record(id)) is not None]
        errors = list(_obstacles(call, records, target))
        operation = arm.operations.finished(call.id, kind="move resources")
        if errors:
            operation |= {"status": "Failed", "error": _failure(call, errors).inner()}
        put, gone = _changes(call, records, target) if really and not errors else ([], [])
        await arm.store.write(put=put, delete=gone, operations=[operation])
    return Reply(None, 202, arm.operations.location(call, call.id, operation))


def _target(call: Call) -> ResourceId:
    """The group to move to. Raises ArmError where the request, a right or a lock forbids it."""
    arm, body = call.arm, call.object()
    source = group_id(arm.subscription, str(call.id.group))
    if source not in arm.store:
        raise group_not_found(str(call.id.group))
    given = body.get("targetResourceGroup")
    if not isinstance(given, str) or not given:
        raise ArmError(
            "InvalidRequestContent",
            "'targetResourceGroup' must be the id of a resource group.",
            target="targetResourceGroup",
        )
    target = parse(given)
    if target.subscription is not None and target.subscription.lower() != arm.subscription.lower():
        raise subscription_not_found(target.subscription)
    record = arm.store.record(target) if target.group is not None and not target.rest else None
    if record is None or target.namespace is not None:
        raise group_not_found(str(target.group or given))
    if target.key == source.key:
        raise ArmError(
            "InvalidResourceMoveRequest",
            "The source and the target resource group must not be the same.",
        )
    if arm.access is not None:
        lacking(arm.access, call, [(_WRITE, record.id)])
    return record.id


def _named(call: Call) -> list[ResourceId]:
    """The resources to move. Raises ArmError where one is not there or may not change."""
    given = call.object().get("resources")
    if not isinstance(given, list) or not given or not all(isinstance(it, str) for it in given):
        raise ArmError(
            "InvalidRequestContent",
            "'resources' must be the ids of the resources to move.",
            target="resources",
        )
    found: dict[str, ResourceId] = {}
    for text in given:
        id = parse(text)
        record = call.arm.store.record(id)
        if record is None or not id.is_resource:
            raise missing(id)
        if (id.group or "").lower() != str(call.id.group).lower():
            raise ArmError(
                "InvalidResourceMoveRequest",
                f"The resource '{text}' does not lie in the resource group '{call.id.group}'.",
            )
        found[id.key] = record.id
    if len(found) > MOST:
        raise ArmError(
            "InvalidResourceMoveRequest",
            f"A request moves at most {MOST} resources, not {len(found)}.",
        )
    return list(found.values())


def _place(id: ResourceId, group: ResourceId) -> ResourceId:
    """Where a resource will be."""
    return ResourceId(group.text, group.subscription, group.group, id.namespace, id.types, id.names)


# --------------------------------------------------------------- what is in the way ----


def _obstacles(call: Call, records: Sequence[Record], target: ResourceId) -> Iterator[ArmError]:
    store = call.arm.store
    locks.check_read_only(store, target, "move", inside=False)
    for record in records:
        locks.check_read_only(store, record.id, "move", inside=True)
    moving = {record.id.key for record in records}
    for record in records:
        id, resource = record.id, record.read()
        if len(id.names) > 1 or id.type.lower() not in _MOVABLE or parse(id.scope).is_resource:
            yield _obstacle(
                id,
                "ResourceMoveNotSupported",
                f"Resource move is not supported for resource types '{resource['type']}'.",
            )
            continue
        state = resource.get("properties", {}).get("provisioningState", "Succeeded")
        if state != "Succeeded":
            yield _obstacle(
                id,
                "MoveCannotProceedWithResourcesNotInSucceededState",
                f"The resource is in the state '{state}'; it moves in the state 'Succeeded' only.",
            )
        if _place(id, target) in store:
            yield _obstacle(
                id,
                "ResourceAlreadyExists",
                f"The resource group '{target.group}' has a resource '{id.name}' of the type "
                f"'{resource['type']}' already.",
            )
        if resource.get("properties", {}).get("virtualNetworkPeerings"):
            yield _obstacle(
                id, "CannotMoveResource", "A virtual network with peerings cannot be moved."
            )
        if id.type.lower().startswith(_NETWORK) and (left := _left_behind(call, record, moving)):
            yield _obstacle(
                id,
                "MissingMoveDependentResources",
                "The move resources request does not contain all the dependent resources: "
                f"'{', '.join(left)}'.",
            )


def _obstacle(id: ResourceId, code: str, message: str) -> ArmError:
    return ArmError(code, message, 409, target=id.text)


def _left_behind(call: Call, record: Record, moving: set[str]) -> list[str]:
    """Network resources that hang together with one that moves, and stay.

    DNS zones know networks from afar; they move alone.
    """
    if record.id.type.lower() == f"{_NETWORK}privatednszones":
        return []
    group = group_id(call.arm.subscription, str(call.id.group))
    found = []
    for other in call.arm.store.inside(group):
        top = other.id.top
        if (
            other.id.type.lower().startswith(_NETWORK)
            and not top.type.lower().startswith(f"{_NETWORK}privatednszones")
            and top.key not in moving
            and (_mentions(other.text, record.id.key) or _mentions(record.text, top.key))
        ):
            found.append(top.text)
    return list(dict.fromkeys(found))


def _mentions(text: str, key: str) -> bool:
    """Whether a resource's JSON names another, or what lies in it."""
    return re.search(rf'"{re.escape(key)}["/]', text.lower()) is not None


def _failure(call: Call, errors: Sequence[ArmError]) -> ArmError:
    now = datetime.fromtimestamp(call.arm.clock.time(), UTC)
    return ArmError(
        "ResourceMoveValidationFailed",
        f"The resource batch move request has '{len(errors)}' validation errors. Diagnostic "
        f"information: timestamp '{now:%Y%m%dT%H%M%SZ}', tracking Id '{uuid.uuid4()}', request "
        f"correlation Id '{call.correlation}'.",
        409,
        details=errors,
    )


# ------------------------------------------------------------------------ the move ----


def _changes(
    call: Call, records: Sequence[Record], target: ResourceId
) -> tuple[list[tuple[ResourceId, JSON, str]], list[ResourceId]]:
    """What is stored under new ids, and the ids that are no more."""
    store = call.arm.store
    new = {record.id.key: _place(record.id, target).text for record in records}
    put: list[tuple[ResourceId, JSON, str]] = []
    gone: list[ResourceId] = []
    for record in records:
        for item in (record, *store.inside(record.id)):
            if item.id.type.lower() in _STAY:
                continue
            gone.append(item.id)
            put.append(_rewritten(item, new))
    going = {id.key for id in gone}
    for item in store.all():
        if item.id.key not in going and item.id.type.lower().startswith(_NETWORK):
            changed = _rewritten(item, new)
            if changed[1] != item.read():
                put.append(changed)
    return put, gone


def _rewritten(record: Record, new: Mapping[str, str]) -> tuple[ResourceId, JSON, str]:
    body: JSON = _renamed(json.loads(record.text), new)
    return parse(_renamed(record.id.text, new)), body, secrets.token_hex(8)


def _renamed(value: Any, new: Mapping[str, str]) -> Any:
    """A value in which ids of moved resources, and of what lies in them, are the new ones."""
    if isinstance(value, dict):
        return {name: _renamed(item, new) for name, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, new) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        lower = value.lower()
        for old, text in new.items():
            if lower == old or lower.startswith(old + "/"):
                return text + value[len(old) :]
    return value
