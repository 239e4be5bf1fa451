"""`resourceInput<'type@version'>.properties.x`: what kind of value a part of a resource is.

A library of Azure's types knows, where one is named. Without it, what all resource types share is
known here; what a parameter's values and uses say is read by use_kinds.py. Else no kind is written,
and the service checks the value itself, which it does in either case.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.bicep import kinds
from orchestrator.bicep import syntax as s
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.literals import spelled
from orchestrator.bicep.model import Model
from orchestrator.bicep.type_library.bodies import part_kind
from orchestrator.bicep.type_library.described import OWN

_DEEPEST = 40
_NAMED = {"string", "int", "bool", "object", "array"}
_TOP = {
    "id": "string",
    "name": "string",
    "type": "string",
    "apiVersion": "string",
    "location": "string",
    "kind": "string",
    "etag": "string",
    "managedBy": "string",
    "tags": "object",
    "properties": "object",
    "identity": "object",
    "sku": "object",
    "plan": "object",
    "extendedLocation": "object",
    "zones": "array",
    "dependsOn": "array",
}
# secret parts of types that many templates have, in all their versions. Source: Azure's REST API
_SECRETS = {
    "microsoft.apimanagement/service/loggers": {"credentials": "object"},
    "microsoft.apimanagement/service/workspaces/loggers": {"credentials": "object"},
    "microsoft.compute/virtualmachines": {
        "osProfile.adminPassword": "string",
        "osProfile.customData": "string",
    },
    "microsoft.compute/virtualmachinescalesets": {
        "virtualMachineProfile.osProfile.adminPassword": "string",
        "virtualMachineProfile.osProfile.customData": "string",
    },
    "microsoft.containerservice/managedclusters": {
        "servicePrincipalProfile.secret": "string",
        "windowsProfile.adminPassword": "string",
    },
    "microsoft.app/managedenvironments": {
        "appLogsConfiguration.logAnalyticsConfiguration.sharedKey": "string",
    },
    "microsoft.dbformysql/flexibleservers": {"administratorLoginPassword": "string"},
    "microsoft.dbforpostgresql/flexibleservers": {"administratorLoginPassword": "string"},
    "microsoft.keyvault/vaults/secrets": {"value": "string"},
    "microsoft.kubernetesconfiguration/extensions": {"configurationProtectedSettings": "object"},
    "microsoft.kubernetesconfiguration/fluxconfigurations": {
        "configurationProtectedSettings": "object",
    },
    "microsoft.network/connections": {"sharedKey": "string"},
    "microsoft.sql/managedinstances": {"administratorLoginPassword": "string"},
    "microsoft.sql/servers": {"administratorLoginPassword": "string"},
    "microsoft.synapse/workspaces": {"sqlAdministratorLoginPassword": "string"},
}


def described_part(model: Model, node: s.Node) -> Kind | None:
    """What a library says of a type that is a part of a resource's; None of every other type."""
    segments: list[str] = []
    for _ in range(_DEEPEST):
        where = spelled(model, node)
        if where is None:
            return None
        model, node = where
        match node:
            case s.TypeDerived(args=[s.TypeLiteral(value=str() as source)]):
                return _described(model, source, segments)
            case s.TypeMember():
                segments[:0] = ["properties", node.name.name]
            case s.TypeItems():
                segments.insert(0, "items")
            case s.TypeRest():
                segments.insert(0, "additionalProperties")
            case _:
                return None
        node = node.base
    return None


def _described(model: Model, source: str, segments: Sequence[str]) -> Kind | None:
    type_, _, version = source.removeprefix("az:").partition("@")
    found = model.described(type_, version)
    return part_kind(found, segments) if found is not None and found.trust == OWN else None


def derived_kind(model: Model, resource_type: str, segments: tuple[str, ...]) -> str | None:
    """string, int, bool, object or array; None when it is not known."""
    described = _described(model, resource_type, segments)
    if described is not None:
        plain = kinds.without_null(described)
        names = {one.name for one in plain.members or (plain,)}
        return names.pop() if len(names) == 1 and names < _NAMED else None
    if not segments:
        return "object"
    if len(segments) == 2 and segments[0] == "properties":
        return _TOP.get(segments[1])
    if segments[0] == "properties" and segments[1] == "tags" and segments[-1] != "tags":
        return "string"
    if segments[:2] == ("properties", "properties") and set(segments[::2]) == {"properties"}:
        type_ = resource_type.removeprefix("az:").partition("@")[0].lower()
        return _SECRETS.get(type_, {}).get(".".join(segments[3::2]))
    return None
