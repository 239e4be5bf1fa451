"""The four scopes a deployment can have, and what a template is told about each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.errors import ArmError, group_not_found
from orchestrator.localcloud.arm.ids import ResourceId, group_id, parse
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.providers.management_groups import display_name
from orchestrator.localcloud.templates.environment import Environment, Scope

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

MANAGEMENT_GROUP = "microsoft.management/managementgroups"

PREFIXES = (
    "/subscriptions/{}/resourceGroups/{}",
    "/subscriptions/{}",
    "/providers/Microsoft.Management/managementGroups/{}",
    "",
)
"""Path patterns of the scopes that deployments and stacks lie at."""

_SCHEMAS = {
    "group": "deploymentTemplate.json",
    "subscription": "subscriptionDeploymentTemplate.json",
    "management group": "managementGroupDeploymentTemplate.json",
    "tenant": "tenantDeploymentTemplate.json",
}


def scope_of(id: ResourceId) -> Scope:
    """The scope that a deployment's id lies at.

    Raises:
        ArmError: It lies at none of the four.
    """
    outer = parse(id.scope) if id.scope else None
    if outer is None:
        return Scope()
    if outer.namespace is None and outer.subscription is not None and not outer.rest:
        return Scope(outer.subscription, outer.group)
    if outer.is_resource and outer.type.lower() == MANAGEMENT_GROUP:
        return Scope(management_group=outer.name)
    raise ArmError(
        "InvalidDeploymentScope",
        f"'{id.scope}' is no scope that a template can be deployed to.",
        404,
    )


def kind_of(scope: Scope) -> str:
    """`group`, `subscription`, `management group` or `tenant`."""
    if scope.group is not None:
        return "group"
    if scope.subscription is not None:
        return "subscription"
    return "management group" if scope.management_group is not None else "tenant"


def check_schema(scope: Scope, schema: str, *, empty: bool) -> None:
    """A template says for which scope it is written; one without resources is of every scope.

    Raises:
        ArmError: It is for another one.
    """
    file = schema.rstrip("#").rsplit("/", 1)[-1].lower()
    wanted = _SCHEMAS[kind_of(scope)]
    if file not in {name.lower() for name in _SCHEMAS.values()}:
        raise ArmError(
            "InvalidTemplate",
            "Deployment template validation failed: 'Template schema "
            f"'{schema}' is not supported. Supported versions are "
            "'2014-04-01-preview,2015-01-01,2018-05-01,2019-04-01,2019-08-01'. Please see "
            "https://aka.ms/arm-template for usage details.'.",
        )
    if file != wanted.lower() and not empty:
        raise ArmError(
            "InvalidTemplate",
            "Deployment template validation failed: 'The template schema "
            f"'{schema}' is not valid for a deployment to a {kind_of(scope)}: it must be "
            f"'https://schema.management.azure.com/schemas/2019-04-01/{wanted}#' or of another "
            "date.'.",
        )


def check_location(arm: ResourceManager, id: ResourceId, location: str | None) -> None:
    """A deployment outside a group stays where its metadata was first kept.

    Args:
        id: Of the deployment, or of an action on it.
        location: Where it is to be kept now.

    Raises:
        ArmError: 409 `InvalidDeploymentLocation`.
    """
    id = id.parent or id
    before = (arm.store.get(id) or {}).get("location")
    if location is None or before is None or id.group is not None:
        return
    if _plain(location) != _plain(before):
        raise ArmError(
            "InvalidDeploymentLocation",
            f"Invalid deployment location '{location}'. The deployment '{id.name}' already exists "
            f"in location '{before}'.",
            409,
        )


def _plain(location: str) -> str:
    return location.replace(" ", "").lower()


async def environment_of(
    arm: ResourceManager,
    caller: Caller,
    scope: Scope,
    deployment: JSON,
    assumed: Mapping[str, str],
) -> Environment:
    """What functions tell a template that is deployed to `scope`.

    Raises:
        ArmError: The scope does not exist.
    """
    client = Client(arm, caller)
    group = subscription = None
    if scope.subscription is not None:
        found = (await client.send("GET", f"/subscriptions/{scope.subscription}")).body
        subscription = {
            "id": found["id"],
            "subscriptionId": found["subscriptionId"],
            "tenantId": found["tenantId"],
            "displayName": found["displayName"],
        }
        if scope.group is not None:
            own = group_id(scope.subscription, scope.group)
            group = arm.store.get(own)
            if group is None and own.key in assumed:
                group = {
                    "id": own.text,
                    "name": scope.group,
                    "type": "Microsoft.Resources/resourceGroups",
                    "location": assumed[own.key],
                    "properties": {"provisioningState": "Succeeded"},
                }
            if group is None:
                raise group_not_found(scope.group)
            group.setdefault("tags", {})
            group.pop("systemData", None)
    tenant = arm.tenant
    return Environment(
        scope,
        now=datetime.fromtimestamp(arm.clock.time(), UTC),
        new_guid=lambda: str(uuid.uuid4()),
        tenant_id=tenant,
        tenant={
            "id": f"/tenants/{tenant}",
            "tenantId": tenant,
            "country": "",
            "countryCode": "",
            "displayName": "Local cloud",
        },
        subscription=subscription,
        group=group,
        cloud=cloud_of(caller.base, tenant),
        deployment=deployment,
        deployer={
            "objectId": str(caller.claims.get("oid", "")),
            "tenantId": tenant,
            "userPrincipalName": str(caller.claims.get("upn", "")),
        },
        provider=lambda namespace: _provider(arm, namespace),
        management_group_name=lambda name: display_name(arm.store, name),
    )


def cloud_of(base: str, tenant: str) -> JSON:
    """`environment()`: the endpoints are this cloud's, the suffixes Azure's."""
    return {
        "name": "AzureCloud",
        "gallery": f"{base}/gallery",
        "graph": f"{base}/graph",
        "portal": "https://portal.azure.com",
        "graphAudience": "https://graph.windows.net/",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "batch": "https://batch.core.windows.net/",
        "media": "https://rest.media.azure.net",
        "sqlManagement": f"{base}/sql",
        "vmImageAliasDoc": f"{base}/aliases.json",
        "resourceManager": f"{base}/",
        "authentication": {
            "loginEndpoint": f"{base}/",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": tenant,
            "identityProvider": "AAD",
        },
        "suffixes": {
            "acrLoginServer": ".azurecr.io",
            "azureDatalakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
            "azureDatalakeStoreFileSystem": "azuredatalakestore.net",
            "azureFrontDoorEndpointSuffix": "azurefd.net",
            "keyvaultDns": ".vault.azure.net",
            "sqlServerHostname": ".database.windows.net",
            "storage": "core.windows.net",
        },
    }


def _provider(arm: ResourceManager, namespace: str) -> JSON:
    types: list[JSON] = []
    for kind in arm.types():
        own, _, rest = kind.type.partition("/")
        if own.lower() == namespace.lower():
            item: dict[str, Any] = {"resourceType": rest, "locations": [], "apiVersions": []}
            types.append(item)
    return {"namespace": namespace, "resourceTypes": types}
