"""What lies in container apps and their environments, and what a region says of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import Provider
from orchestrator.localcloud.providers.container_apps.app_parts import (
    HttpRoutes,
    MaintenanceConfigurations,
    SourceControls,
)
from orchestrator.localcloud.providers.container_apps.app_revisions import (
    DiagnosedRevisions,
    Revisions,
    RevisionsApi,
)
from orchestrator.localcloud.providers.container_apps.apps import Apps
from orchestrator.localcloud.providers.container_apps.connected_environments import (
    ConnectedDaprComponents,
    ConnectedEnvironments,
)
from orchestrator.localcloud.providers.container_apps.environment_parts import (
    region_meters,
    region_modes,
)
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world

AT = f"{GROUP}/providers/Microsoft.App"
ENVIRONMENT = f"{AT}/managedEnvironments/env"
APP = f"{AT}/containerApps/web"
REGION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.App/locations/westeurope"


class Parts(Provider):
    namespace = "Microsoft.App"

    def types(self) -> list[Any]:
        apps = [Apps(), Revisions(), RevisionsApi(), DiagnosedRevisions()]
        connected = [ConnectedEnvironments(), ConnectedDaprComponents()]
        return [*apps, *connected, SourceControls(), HttpRoutes(), MaintenanceConfigurations()]

    def routes(self) -> Any:
        at = "/subscriptions/{}/providers/Microsoft.App/locations/{}/"
        return {
            ("GET", at + "availableManagedEnvironmentsModes"): region_modes,
            ("GET", at + "billingMeters"): region_meters,
        }


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Parts()) as made:
        await made.group()
        properties = {"defaultDomain": "x.example", "environmentMode": "ConsumptionOnly"}
        await made.put(ENVIRONMENT, {"location": "westeurope", "properties": properties})
        template = {"containers": [{"name": "c", "image": "a:1"}]}
        body = {"environmentId": ENVIRONMENT, "template": template}
        await made.put(APP, {"location": "westeurope", "properties": body})
        yield made


async def test_secrets_of_a_source_control_are_written_alone(arm: World) -> None:
    path = f"{APP}/sourcecontrols/current"
    registry = {"registryUrl": "r.io", "registryPassword": "hush"}
    action = {"registryInfo": registry, "githubPersonalAccessToken": "hush"}
    body = {"repoUrl": "https://github.com/x/y", "branch": "main"}
    made = await arm.put(path, {"properties": body | {"githubActionConfiguration": action}})
    assert made["properties"] == body | {
        "githubActionConfiguration": {"registryInfo": {"registryUrl": "r.io"}},
        "operationState": "Succeeded",
    }
    # Who sends it as it was read leaves them as they are.
    await arm.put(path, {"properties": made["properties"]})
    record = arm.arm.store.get(path)
    assert record is not None
    kept = record["properties"]["githubActionConfiguration"]
    assert kept == action
    with pytest.raises(ArmError, match=r"properties\.branch' is missing"):
        await arm.put(path, {"properties": {"repoUrl": "https://github.com/x/y"}})


async def test_a_route_has_an_address_in_its_environment(arm: World) -> None:
    made = await arm.put(f"{ENVIRONMENT}/httpRouteConfigs/shop", {"properties": {"rules": []}})
    assert made["properties"]["fqdn"] == "shop.x.example"
    assert (await arm.ask("DELETE", f"{ENVIRONMENT}/httpRouteConfigs/shop")).status == 202


async def test_when_an_environment_is_serviced_is_a_time(arm: World) -> None:
    path = f"{ENVIRONMENT}/maintenanceConfigurations/default"
    entry = {"weekDay": "Sunday", "startHourUtc": 22, "durationHours": 8}
    made = await arm.put(path, {"properties": {"scheduledEntries": [entry]}})
    assert made["properties"] == {"scheduledEntries": [entry]}
    for wrong, words in (([], "is missing"), ([entry | {"startHourUtc": 24}], "at most 23")):
        with pytest.raises(ArmError, match=words):
            await arm.put(path, {"properties": {"scheduledEntries": wrong}})


async def test_diagnostics_read_an_app_and_its_revisions(arm: World) -> None:
    assert (await arm.get(f"{APP}/detectorProperties/rootApi"))["id"] == APP
    at = f"{APP}/detectorProperties/revisionsApi/revisions"
    assert [it["name"] for it in (await arm.get(at))["value"]] == ["web--0000001"]
    assert (await arm.get(f"{at}/web--0000001"))["properties"]["active"]
    with pytest.raises(ArmError) as refused:
        await arm.get(f"{at}/web--0000002")
    assert refused.value.status == 404


async def test_secrets_of_a_connected_environments_components_are_listed(arm: World) -> None:
    environment = f"{AT}/connectedEnvironments/arc"
    made = await arm.put(environment, {"location": "westeurope", "properties": {}})
    assert made["properties"]["defaultDomain"] == "arc.westeurope.k4apps.io"
    component = f"{environment}/daprComponents/c"
    properties = {
        "componentType": "state.redis",
        "version": "v1",
        "secrets": [{"name": "k", "value": "hush"}],
    }
    shown = await arm.put(component, {"properties": properties})
    assert shown["properties"]["secrets"] == [{"name": "k"}]
    told = (await arm.ask("POST", f"{component}/listSecrets")).body
    assert told == {"value": [{"name": "k", "value": "hush"}]}


async def test_what_a_region_offers(arm: World) -> None:
    modes = (await arm.get(f"{REGION}/availableManagedEnvironmentsModes"))["value"]
    assert [mode["name"] for mode in modes] == ["ConsumptionOnly", "WorkloadProfiles"]
    meters = (await arm.get(f"{REGION}/billingMeters"))["value"]
    assert {"D4", "Consumption"} <= {meter["name"] for meter in meters}
