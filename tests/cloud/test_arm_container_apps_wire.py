"""Jobs and environments on the wire: members and codes that clients read and no model tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

GROUP = "apps-wire"


class Place:
    """An environment in a group of its own."""

    def __init__(self, cloud: CloudInThread) -> None:
        self.wire = Wire(cloud)
        group = f"{self.wire.subscription}/resourceGroups/{GROUP}"
        self.apps = f"{group}/providers/Microsoft.App"
        self.environment = f"{self.apps}/managedEnvironments/wired"
        self.identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
        self.put(group, {"location": "westeurope"})
        self.put(self.identity, {"location": "westeurope"})
        self.put(
            self.environment,
            {
                "location": "westeurope",
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {self.identity: {}}},
            },
        )

    def put(self, path: str, body: Any) -> Any:
        answer = self.wire.ask("PUT", path, body)
        assert answer.status in (200, 201), answer.raw
        return answer.body

    def job(self, name: str, **configuration: Any) -> Any:
        properties = {
            "environmentId": self.environment,
            "configuration": {"triggerType": "Manual", "replicaTimeout": 60} | configuration,
            "template": {
                "containers": [{"name": "c", "image": "python:3", "args": ["-c", "pass"]}]
            },
        }
        path = f"{self.apps}/jobs/{name}"
        return self.put(path, {"location": "westeurope", "properties": properties})


@pytest.fixture(scope="module")
def place(cloud: CloudInThread) -> Place:
    return Place(cloud)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        # `az containerapp env storage set` looks first, and goes on at this code alone.
        ("managedEnvironments/wired/storages/no", "ManagedEnvironmentStorageNotFound"),
        ("managedEnvironments/wired/daprComponents/no", "DaprComponentNotFound"),
        ("managedEnvironments/wired/daprComponents/no/resiliencyPolicies", "DaprComponentNotFound"),
        ("managedEnvironments/no/storages/no", "ParentResourceNotFound"),
        ("managedEnvironments/no/daprComponents/no/resiliencyPolicies", "ParentResourceNotFound"),
        ("managedEnvironments/no/usages", "ParentResourceNotFound"),
        ("jobs/no/executions", "ParentResourceNotFound"),
        ("jobs/no/executions/no", "ParentResourceNotFound"),
        ("jobs/no", "ResourceNotFound"),
    ],
)
def test_what_is_missing_is_named_as_the_service_names_it(
    place: Place, path: str, code: str
) -> None:
    answer = place.wire.ask("GET", f"{place.apps}/{path}")
    assert (answer.status, answer.error["code"]) == (404, code)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_environment_tells_no_secret_and_keeps_it(
    place: Place, cloud: CloudInThread, method: str
) -> None:
    told = {
        "daprAIInstrumentationKey": "hush-1",
        "daprAIConnectionString": "hush-2",
        "appInsightsConfiguration": {"connectionString": "hush-3"},
        "customDomainConfiguration": {
            "dnsSuffix": "example.com",
            "certificateValue": "hush-4",
            "certificatePassword": "hush-5",
        },
        "openTelemetryConfiguration": {
            "destinationsConfiguration": {
                "dataDogConfiguration": {"site": "here", "key": "hush-6"},
                "otlpConfigurations": [
                    {"name": "b", "headers": [{"key": "k", "value": "hush-7"}]},
                    {"name": "a", "headers": [{"key": "k", "value": "hush-8"}]},
                ],
            }
        },
    }
    path = f"{place.apps}/managedEnvironments/discreet-{method.lower()}"
    made = place.put(path, {"location": "westeurope", "properties": told})
    shown = place.wire.ask("GET", path).body
    listed = place.wire.ask("GET", f"{place.apps}/managedEnvironments").body
    assert "hush" not in json.dumps([made, shown, listed])
    destinations = shown["properties"]["openTelemetryConfiguration"]["destinationsConfiguration"]
    assert destinations["dataDogConfiguration"] == {"site": "here", "key": None}
    # What was read is sent again, its endpoints in another order, and the secrets stay.
    destinations["otlpConfigurations"].reverse()
    assert place.wire.ask(method, path, shown).status in (200, 202)
    stored = cloud.server.arm.store.record(path)
    assert stored is not None
    kept = stored.read()["properties"]
    assert kept["appInsightsConfiguration"] == {"connectionString": "hush-3"}
    assert kept["customDomainConfiguration"]["certificatePassword"] == "hush-5"
    ends = kept["openTelemetryConfiguration"]["destinationsConfiguration"]["otlpConfigurations"]
    assert {end["name"]: end["headers"][0]["value"] for end in ends} == {
        "a": "hush-8",
        "b": "hush-7",
    }


def test_a_job_shows_what_clients_of_older_versions_read(place: Place) -> None:
    registry = {"server": "r.azurecr.io", "identity": place.identity}
    job = place.job("older", registries=[registry])
    properties = job["properties"]
    assert properties["runningStatus"] == properties["runningState"] == "Ready"
    assert properties["configuration"]["identitySettings"] == []
    assert properties["configuration"]["registries"] == [registry]
    token = place.wire.ask("POST", f"{job['id']}/getAuthToken").body
    assert token["type"] == "Microsoft.App/jobs/accesstoken"


def test_a_replica_says_where_its_containers_stream(place: Place) -> None:
    job = place.job("streams")
    started = place.wire.ask("POST", f"{job['id']}/start").body
    [replica] = place.wire.ask("GET", f"{started['id']}/replicas").body["value"]
    [container] = replica["properties"]["containers"]
    end = f"/jobs/streams/executions/{started['name']}/replicas/{replica['name']}/containers/c"
    assert container["logStreamEndpoint"].endswith(f"/resourceGroups/{GROUP}{end}/logstream")


def test_an_internal_environment_is_closed_and_names_its_managed_group(place: Place) -> None:
    network = f"{place.apps.rpartition('/')[0]}/Microsoft.Network/virtualNetworks/inner"
    delegation = {"name": "d", "properties": {"serviceName": "Microsoft.App/environments"}}
    subnet = {"addressPrefix": "10.9.0.0/27", "delegations": [delegation]}
    place.put(
        network,
        {
            "location": "westeurope",
            "properties": {
                "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
                "subnets": [{"name": "s", "properties": subnet}],
            },
        },
    )
    properties = {
        "vnetConfiguration": {"internal": True, "infrastructureSubnetId": f"{network}/subnets/s"},
        "workloadProfiles": [{"name": "Consumption", "workloadProfileType": "Consumption"}],
    }
    path = f"{place.apps}/managedEnvironments/inner"
    made = place.put(path, {"location": "West Europe", "properties": properties})
    assert made["properties"]["publicNetworkAccess"] == "Disabled"
    assert made["properties"]["infrastructureResourceGroup"] == f"ME_inner_{GROUP}_westeurope"


def test_an_environment_without_profiles_is_of_the_older_kind(place: Place) -> None:
    path = f"{place.apps}/managedEnvironments/older"
    # As a template does whose subnet is a parameter that is left empty.
    none = {"vnetConfiguration": {"infrastructureSubnetId": "", "runtimeSubnetId": ""}}
    made = place.put(path, {"location": "westeurope", "properties": none})
    assert made["properties"]["environmentMode"] == "ConsumptionOnly"
    assert "workloadProfiles" not in made["properties"]
    container = {"name": "c", "image": "python:3", "resources": {"cpu": 2.25, "memory": "4.5Gi"}}
    properties = {
        "environmentId": path,
        "configuration": {"triggerType": "Manual", "replicaTimeout": 60},
        "template": {"containers": [container]},
    }
    job = {"location": "westeurope", "properties": properties}
    refused = place.wire.ask("PUT", f"{place.apps}/jobs/larger", job)
    assert (refused.status, refused.error["code"]) == (400, "ContainerAppInvalidResourceTotal")
    container["resources"] = {"cpu": 2, "memory": "4Gi"}
    assert "workloadProfileName" not in place.put(f"{place.apps}/jobs/larger", job)["properties"]
    # Profiles come with an update, and stay when one says nothing of them.
    profile = {"name": "Consumption", "workloadProfileType": "Consumption"}
    place.put(path, {"location": "westeurope", "properties": {"workloadProfiles": [profile]}})
    again = place.put(path, {"location": "westeurope"})["properties"]
    assert (again["environmentMode"], again["workloadProfiles"]) == ("WorkloadProfiles", [profile])
