"""Resource groups and any resource through azure-mgmt-resource; workspaces, registries, roles."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.resource.resources import ResourceManagementClient

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

API = "2024-01-01"


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ResourceManagementClient]:
    with ResourceManagementClient(
        cloud.credential,
        cloud.connection["subscription"],
        base_url=cloud.connection["resource_manager"],
        connection_verify=cloud.ca,
    ) as made:
        yield made


@pytest.fixture
def group(client: ResourceManagementClient) -> Iterator[Any]:
    """A resource group of one's own, deleted with its contents at the end."""
    name = f"rg-{uuid.uuid4().hex[:8]}"
    yield client.resource_groups.create_or_update(name, {"location": "westeurope"})
    if client.resource_groups.check_existence(name):
        client.resource_groups.begin_delete(name).result()


def test_a_group_lives_and_dies_with_its_contents(
    client: ResourceManagementClient, group: Any
) -> None:
    assert client.resource_groups.check_existence(group.name.upper())
    assert group.name in [item.name for item in client.resource_groups.list()]
    path = f"{group.id}/providers/Microsoft.Portal/dashboards/a"
    client.resources.begin_create_or_update_by_id(
        path, {"location": "westeurope", "properties": {"n": 1}}, api_version=API
    ).result()
    client.resource_groups.begin_delete(group.name).result()
    assert not client.resource_groups.check_existence(group.name)
    with pytest.raises(ResourceNotFoundError) as caught:
        client.resources.get_by_id(path, api_version=API)
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceGroupNotFound"


def test_any_resource_is_created_updated_found_and_deleted(
    client: ResourceManagementClient, group: Any
) -> None:
    path = f"{group.id}/providers/Microsoft.Portal/dashboards/a"
    made = client.resources.begin_create_or_update_by_id(
        path,
        {"location": "westeurope", "tags": {"x": "1"}, "properties": {"n": {"a": 1}}},
        api_version=API,
    ).result()
    assert made.id == path
    patched = client.resources.begin_update_by_id(
        path, {"tags": {"y": "2"}, "properties": {"n": {"b": 2}}}, api_version=API
    ).result()
    assert patched.tags == {"y": "2"}  # as Resource Manager has it: all that are given
    assert patched.properties["n"] == {"a": 1, "b": 2}
    assert client.resources.check_existence_by_id(path, api_version=API)
    found = client.resources.list(filter="resourceType eq 'Microsoft.Portal/dashboards'")
    assert path in [item.id for item in found]
    inside = client.resources.list_by_resource_group(group.name)
    assert [item.id for item in inside] == [path]
    client.resources.begin_delete_by_id(path, api_version=API).result()
    assert not client.resources.check_existence_by_id(path, api_version=API)


def test_providers_are_registered_and_know_their_types(client: ResourceManagementClient) -> None:
    provider = client.providers.get("Microsoft.App")
    assert provider.registration_state == "Registered"
    types = {item.resource_type: item for item in provider.resource_types}
    assert "West Europe" in types["jobs"].locations
    assert "managedEnvironments" in types
    assert client.providers.register("Microsoft.Batch").registration_state == "Registered"


def test_a_workspace_has_keys_that_only_an_action_tells(cloud: CloudInThread, group: Any) -> None:
    wire = Wire(cloud)
    path = f"{group.id}/providers/Microsoft.OperationalInsights/workspaces/logs"
    made = wire.ask("PUT", path, {"location": "westeurope"})
    customer = made.body["properties"]["customerId"]
    assert uuid.UUID(customer)
    again = wire.ask("PUT", path, {"location": "westeurope", "properties": {"retentionInDays": 90}})
    assert again.body["properties"]["customerId"] == customer
    keys = wire.ask("POST", f"{path}/sharedKeys?api-version=2020-08-01").body
    assert keys["primarySharedKey"] != keys["secondarySharedKey"]
    shown = wire.ask("GET", path).raw
    assert keys["primarySharedKey"].encode() not in shown


def test_a_registry_tells_its_login_server(cloud: CloudInThread, group: Any) -> None:
    wire = Wire(cloud)
    name = f"Acr{uuid.uuid4().hex[:8]}"
    check = f"{wire.subscription}/providers/Microsoft.ContainerRegistry/checkNameAvailability"
    assert wire.ask("POST", check, {"name": name}).body["nameAvailable"] is True
    path = f"{group.id}/providers/Microsoft.ContainerRegistry/registries/{name}"
    made = wire.ask("PUT", path, {"location": "westeurope", "sku": {"name": "Basic"}})
    assert made.body["properties"]["loginServer"] == f"{name.lower()}.azurecr.io"
    assert wire.ask("POST", check, {"name": name.upper()}).body["nameAvailable"] is False


def test_a_role_is_found_by_name_and_assigned_once(cloud: CloudInThread, group: Any) -> None:
    wire = Wire(cloud)
    definitions = f"{group.id}/providers/Microsoft.Authorization/roleDefinitions"
    [role] = wire.ask("GET", f"{definitions}?$filter=roleName%20eq%20'acrpull'").body["value"]
    assert role["name"] == "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    assignments = f"{group.id}/providers/Microsoft.Authorization/roleAssignments"
    principal = {"principalId": str(uuid.uuid4()), "principalType": "ServicePrincipal"}
    body = {"properties": {"roleDefinitionId": role["id"], **principal}}
    first = str(uuid.uuid4())
    made = wire.ask("PUT", f"{assignments}/{first}", body)
    assert made.status == 201
    assert made.body["properties"]["scope"] == group.id
    assert wire.ask("PUT", f"{assignments}/{first}", body).status == 200
    double = wire.ask("PUT", f"{assignments}/{uuid.uuid4()}", body)
    assert (double.status, double.error["code"]) == (409, "RoleAssignmentExists")
    query = f"?$filter=principalId%20eq%20'{body['properties']['principalId']}'"
    assert len(wire.ask("GET", assignments + query).body["value"]) == 1
    unknown = {"properties": body["properties"] | {"roleDefinitionId": f"{definitions}/{first}"}}
    missing = wire.ask("PUT", f"{assignments}/{uuid.uuid4()}", unknown)
    assert (missing.status, missing.error["code"]) == (404, "RoleDefinitionDoesNotExist")


def test_the_sdk_reads_conflicts_and_bad_requests(
    client: ResourceManagementClient, group: Any
) -> None:
    with pytest.raises(ResourceExistsError) as conflict:
        client.resource_groups.create_or_update(group.name, {"location": "eastus"})
    assert conflict.value.error is not None
    assert conflict.value.error.code == "InvalidResourceGroupLocation"
    with pytest.raises(HttpResponseError) as bad:
        list(client.resources.list(filter="nonsense here"))
    assert bad.value.status_code == 400
    assert "position" in str(bad.value)


def test_a_namespace_moves_to_another_group_with_its_queues(
    client: ResourceManagementClient, group: Any
) -> None:
    name = f"moving-{uuid.uuid4().hex[:8]}"
    old = f"{group.id}/providers/Microsoft.ServiceBus/namespaces/{name}"
    for path, body in ((old, {"location": "westeurope"}), (f"{old}/queues/q", {"properties": {}})):
        client.resources.begin_create_or_update_by_id(path, body, api_version=API).result()
    target = client.resource_groups.create_or_update(
        f"rg-{uuid.uuid4().hex[:8]}", {"location": "westeurope"}
    )
    body = {"resources": [old], "targetResourceGroup": target.id}
    client.resources.begin_validate_move_resources(group.name, body).result()
    client.resources.begin_move_resources(group.name, body).result()
    moved = f"{target.id}/providers/Microsoft.ServiceBus/namespaces/{name}"
    assert [
        item["id"]
        for item in client.resources.get_by_id(f"{moved}/queues", api_version=API).as_dict()[
            "value"
        ]
    ] == [f"{moved}/queues/q"]
    assert not client.resources.check_existence_by_id(old, api_version=API)
    with pytest.raises(ResourceNotFoundError):
        client.resources.begin_move_resources(group.name, body)
    body["resources"] = [f"{moved}/queues/q"]
    body["targetResourceGroup"] = group.id
    with pytest.raises(HttpResponseError) as caught:
        client.resources.begin_move_resources(target.name, body).result()
    assert caught.value.status_code == 409
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceMoveValidationFailed"
    client.resource_groups.begin_delete(target.name).result()
