"""A group as a template: what may be set is in it, what the service alone says is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.providers.insights.log_analytics import OperationalInsights
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.registries import ContainerRegistry
from tests.unit.deployments.world import GROUP, SUBSCRIPTION, deploying

OTHER = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/other"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/net"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/images"


async def test_what_the_service_alone_says_is_in_no_exported_template(tmp_path: Path) -> None:
    place = {"location": "westeurope"}
    subnet = {
        "name": "apps",
        "properties": {
            "addressPrefix": "10.0.0.0/23",
            "delegations": [
                {"name": "d", "properties": {"serviceName": "Microsoft.App/environments"}}
            ],
        },
    }
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": [subnet]}
    providers = Network(), OperationalInsights(), ContainerRegistry()
    async with deploying(tmp_path, *providers) as d:
        await d.world.put(IDENTITY, place)
        await d.world.put(NETWORK, place | {"properties": space})
        await d.world.put(WORKSPACE, place)
        having = {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
        await d.world.put(REGISTRY, place | {"identity": having})
        export = await d.world.ask("POST", f"{GROUP}/exportTemplate", {"resources": ["*"]})
        made = export.body["template"]
        by_type = {item["type"].rpartition("/")[2]: item for item in made["resources"]}

        assert by_type["userAssignedIdentities"].get("properties", {}) == {}
        workspace = by_type["workspaces"]["properties"]
        assert workspace["sku"] == {"name": "PerGB2018"}
        assert workspace["workspaceCapping"] == {"dailyQuotaGb": -1.0}
        assert not workspace.keys() & {"customerId", "createdDate", "modifiedDate"}
        registry = by_type["registries"]
        assert not registry["properties"].keys() & {"loginServer", "creationDate"}
        # An identity is that of the group it is deployed to, and is made before who has it.
        id = "resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', "
        id = f"[{id}parameters('userAssignedIdentities_worker_name'))]"
        assert registry["identity"]["userAssignedIdentities"] == {id: {}}
        assert registry["dependsOn"] == [id]
        network = by_type["virtualNetworks"]["properties"]
        assert "resourceGuid" not in network
        (exported,) = network["subnets"]
        assert exported["name"] == "apps"
        assert not exported.keys() & {"id", "type"}
        assert not exported["properties"]["delegations"][0].keys() & {"id", "type"}
        assert NETWORK not in json.dumps(made)

        await d.world.group("other")
        made["parameters"]["registries_images_name"]["defaultValue"] = "images2"
        found = await d.run("again", made, at=f"{OTHER}/providers/Microsoft.Resources/deployments")
        assert found["provisioningState"] == "Succeeded", found
        second = _of(await d.world.get(NETWORK.replace(GROUP, OTHER)))
        assert second["subnets"][0]["id"].startswith(OTHER)
        assert (
            _of(await d.world.get(IDENTITY))["clientId"]
            != (_of(await d.world.get(IDENTITY.replace(GROUP, OTHER)))["clientId"])
        )
        images = await d.world.get(f"{OTHER}/providers/{parse(REGISTRY).type}/images2")
        assert list(images["identity"]["userAssignedIdentities"]) == [
            IDENTITY.replace(GROUP, OTHER)
        ]


def _of(resource: Any) -> dict[str, Any]:
    found: dict[str, Any] = resource["properties"]
    return found
