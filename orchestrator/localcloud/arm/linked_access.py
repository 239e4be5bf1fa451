"""Linked access: a resource that refers to another one wants a right on that one, too.

Who puts an endpoint into a subnet needs `subnets/join/action` there; who gives a job an identity
needs `userAssignedIdentities/assign/action` on it. Resource Manager looks for the ids in the body
of each write and refuses with `LinkedAuthorizationFailed` ("Resolve errors for linked resource
access"; the operations are those of the resource providers' lists).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.access import Access, operation
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.provider import Call

LINKED = "LinkedAuthorizationFailed"
_NETWORK = "Microsoft.Network"
_JOIN_ENVIRONMENT = "Microsoft.App/managedEnvironments/join/action"
_JOIN_SUBNET = f"{_NETWORK}/virtualNetworks/subnets/join/action"
_ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
_APPROVE = "privateEndpointConnectionsApproval/action"

# Type, in small letters -> (where an id is, the operation on it). `[]`: each item of a list; an
# operation without a namespace is one of the type that the id is of.
_LINKS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "microsoft.app/jobs": (("properties.environmentId", _JOIN_ENVIRONMENT),),
    "microsoft.app/containerapps": (
        ("properties.environmentId", _JOIN_ENVIRONMENT),
        ("properties.managedEnvironmentId", _JOIN_ENVIRONMENT),
    ),
    "microsoft.app/managedenvironments": (
        ("properties.vnetConfiguration.infrastructureSubnetId", _JOIN_SUBNET),
    ),
    "microsoft.network/privateendpoints": (
        ("properties.subnet.id", _JOIN_SUBNET),
        (
            "properties.privateLinkServiceConnections[].properties.privateLinkServiceId",
            _APPROVE,
        ),
    ),
    "microsoft.network/privateendpoints/privatednszonegroups": (
        (
            "properties.privateDnsZoneConfigs[].properties.privateDnsZoneId",
            f"{_NETWORK}/privateDnsZones/join/action",
        ),
    ),
    "microsoft.network/privatednszones/virtualnetworklinks": (
        ("properties.virtualNetwork.id", f"{_NETWORK}/virtualNetworks/join/action"),
    ),
    "microsoft.network/virtualnetworks": (
        (
            "properties.subnets[].properties.networkSecurityGroup.id",
            f"{_NETWORK}/networkSecurityGroups/join/action",
        ),
        (
            "properties.subnets[].properties.routeTable.id",
            f"{_NETWORK}/routeTables/join/action",
        ),
    ),
    "microsoft.network/virtualnetworks/subnets": (
        ("properties.networkSecurityGroup.id", f"{_NETWORK}/networkSecurityGroups/join/action"),
        ("properties.routeTable.id", f"{_NETWORK}/routeTables/join/action"),
    ),
    "microsoft.network/virtualnetworks/virtualnetworkpeerings": (
        ("properties.remoteVirtualNetwork.id", f"{_NETWORK}/virtualNetworks/peer/action"),
    ),
    "microsoft.insights/diagnosticsettings": (
        ("properties.workspaceId", "Microsoft.OperationalInsights/workspaces/sharedKeys/action"),
    ),
}


def check(access: Access, call: Call) -> None:
    """Refuse a write that refers to what the caller may not use.

    Raises:
        ArmError: 403 `LinkedAuthorizationFailed`, with all that is missing.
    """
    if call.method not in ("PUT", "PATCH") or not isinstance(call.body, dict):
        return
    lacking(access, call, links(call.id, call.body))


def lacking(access: Access, call: Call, linked: Iterable[tuple[str, ResourceId]]) -> None:
    """Refuse what the caller lacks a right for on a resource that the request refers to.

    Args:
        linked: The operations, each with the resource that it is to be done to.

    Raises:
        ArmError: 403 `LinkedAuthorizationFailed`, with all that is missing.
    """
    who = str(call.claims.get("oid", ""))
    missing = [(action, id) for action, id in linked if not access.allows(who, action, id.text)]
    if not missing:
        return
    action, scope = operation(call.method, call.id)
    actions = ",".join(dict.fromkeys(name for name, _ in missing))
    scopes = ",".join(dict.fromkeys(id.text for _, id in missing))
    raise ArmError(
        LINKED,
        f"The client '{call.claims.get('appid') or who}' with object id '{who}' has permission to "
        f"perform action '{action}' on scope '{scope.text}'; however, it does not have permission "
        f"to perform action(s) '{actions}' on the linked scope(s) '{scopes}' (respectively) or "
        "the linked scope(s) are invalid.",
        403,
    )


def links(id: ResourceId, body: Mapping[str, Any]) -> Iterator[tuple[str, ResourceId]]:
    """The operations that a body asks for, each with the resource that it is to be done to."""
    for path, action in _LINKS.get(id.type.lower(), ()):
        for value in _at(body, path.split(".")):
            if (target := _resource(value)) is not None:
                own = "." not in action.partition("/")[0]
                yield (f"{target.type}/{action}" if own else action), target
    assigned = _member(_member(body, "identity"), "userAssignedIdentities")
    for given in assigned if isinstance(assigned, (dict, list)) else ():
        if (target := _resource(given)) is not None:
            yield _ASSIGN, target


def _resource(value: Any) -> ResourceId | None:
    if not isinstance(value, str) or not value.startswith("/"):
        return None
    try:
        id = parse(value)
    except ArmError:
        return None
    return id if id.is_resource else None


def _member(holder: Any, name: str) -> Any:
    if not isinstance(holder, dict):
        return None
    return next((value for key, value in holder.items() if key.lower() == name.lower()), None)


def _at(holder: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield holder
        return
    name, rest = path[0], path[1:]
    found = _member(holder, name.removesuffix("[]"))
    if not name.endswith("[]"):
        yield from _at(found, rest)
    elif isinstance(found, list):
        for item in found:
            yield from _at(item, rest)
