"""What is known of where a deployment is: the results of `resourceGroup()` and its like."""

from __future__ import annotations

from functools import partial

from orchestrator.bicep import kinds
from orchestrator.bicep.kinds import ANY, Kind, Property

# Source: Bicep's documentation of scope and deployment functions
SCOPE_PROPERTIES = {
    "resourceGroup": ("id", "name", "type", "location", "managedBy", "tags", "properties"),
    "subscription": ("id", "subscriptionId", "tenantId", "displayName"),
    "tenant": ("tenantId", "country", "countryCode", "displayName"),
    "managementGroup": ("id", "name", "type", "properties"),
    "deployment": ("name", "properties"),
    "deployer": ("objectId", "tenantId", "userPrincipalName"),
    "environment": (
        "activeDirectoryDataLake",
        "authentication",
        "batch",
        "gallery",
        "graph",
        "graphAudience",
        "media",
        "name",
        "portal",
        "resourceManager",
        "sqlManagement",
        "suffixes",
        "vmImageAliasDoc",
    ),
}
_PARTS = {
    ("environment", "authentication"): (
        "audiences",
        "identityProvider",
        "loginEndpoint",
        "tenant",
    ),
    ("environment", "suffixes"): (
        "acrLoginServer",
        "azureDatalakeAnalyticsCatalogAndJob",
        "azureDatalakeStoreFileSystem",
        "azureFrontDoorEndpointSuffix",
        "keyvaultDns",
        "sqlServerHostname",
        "storage",
    ),
    ("resourceGroup", "properties"): ("provisioningState",),
}
_NO_TEXTS = frozenset({"tags", "properties", "authentication", "suffixes"})


def scope_kind(name: str, target_scope: str) -> Kind:
    """The kind of `name()`, in a file with this target scope."""
    names = SCOPE_PROPERTIES[name]
    if name == "deployment" and target_scope != "resourceGroup":
        names = (*names, "location")
    texts = {one: Property(lambda: kinds.STRING) for one in names if one not in _NO_TEXTS}
    others = {one: Property(partial(_parts, name, one)) for one in names if one in _NO_TEXTS}
    return Kind("object", props={**texts, **others}, closed=True)


def _parts(name: str, of: str) -> Kind:
    """What a part of a scope's description has."""
    known = _PARTS.get((name, of))
    if known is None:
        return ANY
    return Kind("object", props={one: Property(lambda: ANY) for one in known}, closed=True)
