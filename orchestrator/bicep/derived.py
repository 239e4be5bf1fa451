"""`resourceInput<'type@version'>.properties.x`: what kind of value a part of a resource is.

The real compiler knows from Azure's library of types, which no package holds. What all resource
types share is known here; what a parameter's values and uses say is read by use_kinds.py. Else no
kind is written, and the service checks the value itself, which it does in either case.
"""

from __future__ import annotations

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


def derived_kind(resource_type: str, segments: tuple[str, ...]) -> str | None:
    """string, int, bool, object or array; None when it is not known."""
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
