"""Template deployments and stacks by the unmodified SDKs, and as `az` sends them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.resource.deployments import DeploymentsMgmtClient
from azure.mgmt.resource.deploymentstacks import DeploymentStacksClient
from azure.mgmt.resource.resources import ResourceManagementClient

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def template() -> dict[str, Any]:
    """Infrastructure of a job: modules, loops, identities, roles on a queue."""
    queues = {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": {
            "name": {"type": "string"},
            "queues": {"type": "array"},
            "principal": {"type": "string"},
        },
        "variables": {
            "sender": "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions',"
            " '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39')]"
        },
        "resources": [
            {
                "type": "Microsoft.ServiceBus/namespaces",
                "apiVersion": "2024-01-01",
                "name": "[parameters('name')]",
                "location": "[resourceGroup().location]",
                "sku": {"name": "Standard"},
            },
            {
                "copy": {"name": "queues", "count": "[length(parameters('queues'))]"},
                "type": "Microsoft.ServiceBus/namespaces/queues",
                "apiVersion": "2024-01-01",
                "name": "[format('{0}/{1}', parameters('name'),"
                " parameters('queues')[copyIndex()])]",
                "properties": {"lockDuration": "PT1M"},
                "dependsOn": [
                    "[resourceId('Microsoft.ServiceBus/namespaces', parameters('name'))]"
                ],
            },
            {
                "type": "Microsoft.Authorization/roleAssignments",
                "apiVersion": "2022-04-01",
                "scope": "[format('Microsoft.ServiceBus/namespaces/{0}', parameters('name'))]",
                "name": "[guid(resourceGroup().id, parameters('principal'))]",
                "properties": {
                    "roleDefinitionId": "[variables('sender')]",
                    "principalId": "[parameters('principal')]",
                    "principalType": "ServicePrincipal",
                },
                "dependsOn": [
                    "[resourceId('Microsoft.ServiceBus/namespaces', parameters('name'))]"
                ],
            },
        ],
        "outputs": {
            "endpoint": {
                "type": "string",
                "value": "[reference(resourceId('Microsoft.ServiceBus/namespaces',"
                " parameters('name')), '2024-01-01').serviceBusEndpoint]",
            }
        },
    }
    return {
        "$schema": SCHEMA,
        "languageVersion": "2.0",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "name": {
                "type": "string",
                "defaultValue": "[format('bus-{0}', uniqueString(resourceGroup().id))]",
            }
        },
        "resources": {
            "identity": {
                "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
                "apiVersion": "2023-01-31",
                "name": "sender-identity",
                "location": "[resourceGroup().location]",
            },
            "bus": {
                "type": "Microsoft.Resources/deployments",
                "apiVersion": "2024-03-01",
                "name": "bus",
                "properties": {
                    "mode": "Incremental",
                    "expressionEvaluationOptions": {"scope": "inner"},
                    "parameters": {
                        "name": {"value": "[parameters('name')]"},
                        "queues": {"value": ["parameters", "results"]},
                        "principal": {"value": "[reference('identity').principalId]"},
                    },
                    "template": queues,
                },
            },
        },
        "outputs": {
            "endpoint": {"type": "string", "value": "[reference('bus').outputs.endpoint.value]"}
        },
    }


@pytest.fixture(scope="module")
def options(cloud: CloudInThread) -> dict[str, Any]:
    return {
        "base_url": cloud.connection["resource_manager"],
        "connection_verify": cloud.ca,
        "polling_interval": 0.05,
    }


@pytest.fixture(scope="module")
def client(cloud: CloudInThread, options: dict[str, Any]) -> Iterator[DeploymentsMgmtClient]:
    with DeploymentsMgmtClient(
        cloud.credential, cloud.connection["subscription"], **options
    ) as made:
        yield made


@pytest.fixture
def group(cloud: CloudInThread, options: dict[str, Any]) -> Iterator[str]:
    with ResourceManagementClient(
        cloud.credential, cloud.connection["subscription"], **options
    ) as resources:
        name = f"rg-{uuid.uuid4().hex[:8]}"
        resources.resource_groups.create_or_update(name, {"location": "westeurope"})
        yield name
        resources.resource_groups.begin_delete(name).result()


def deployment(**properties: Any) -> Any:
    return {"properties": {"mode": "Incremental", "template": template(), **properties}}


def test_the_sdk_deploys_predicts_validates_and_exports(
    client: DeploymentsMgmtClient, group: str
) -> None:
    predicted = client.deployments.begin_what_if(group, "main", deployment()).result()
    kinds = {change.change_type for change in predicted.properties.changes}
    assert kinds <= {"Create", "Unsupported"}
    checked = client.deployments.begin_validate(group, "main", deployment()).result()
    assert checked.error is None
    done = client.deployments.begin_create_or_update(group, "main", deployment()).result()
    assert done.properties.provisioning_state == "Succeeded"
    assert done.properties.outputs["endpoint"]["value"].startswith("https://bus-")
    assert len(done.properties.output_resources) == 5
    predicted = client.deployments.begin_what_if(group, "main", deployment()).result()
    assert {change.change_type for change in predicted.properties.changes} == {"NoChange"}
    names = {
        operation.properties.target_resource.resource_name
        for operation in client.deployment_operations.list(group, "main")
        if operation.properties.target_resource
    }
    assert names == {"bus", "sender-identity"}
    assert client.deployments.export_template(group, "main").template == template()
    assert client.deployments.check_existence(group, "MAIN")
    client.deployments.begin_delete(group, "main").result()
    assert not client.deployments.check_existence(group, "main")


def test_a_failure_reaches_the_sdk_with_its_reason(
    client: DeploymentsMgmtClient, group: str
) -> None:
    raw = template()
    raw["resources"]["bus"]["properties"]["parameters"]["queues"]["value"] = ["bad name!"]
    with pytest.raises(HttpResponseError) as caught:
        client.deployments.begin_create_or_update(group, "main", deployment(template=raw)).result()
    assert caught.value.error is not None
    assert caught.value.error.code == "DeploymentFailed"
    (nested,) = caught.value.error.details
    assert nested.details[0].target.endswith("/queues/bad name!")
    with pytest.raises(HttpResponseError) as caught:
        client.deployments.begin_create_or_update(
            group, "main", deployment(parameters={"nome": {"value": 1}})
        ).result()
    assert caught.value.error is not None
    assert caught.value.error.code == "InvalidTemplate"


def test_a_stack_goes_with_all_it_made(
    cloud: CloudInThread, options: dict[str, Any], client: DeploymentsMgmtClient, group: str
) -> None:
    body: Any = {
        "properties": {
            "template": template(),
            "actionOnUnmanage": {"resources": "delete", "resourceGroups": "delete"},
            "denySettings": {"mode": "none"},
        }
    }
    with DeploymentStacksClient(
        cloud.credential, cloud.connection["subscription"], **options
    ) as stacks:
        verbs = stacks.deployment_stacks
        checked = verbs.begin_validate_stack_at_resource_group(group, "s", body).result()
        assert len(checked.properties.validated_resources) >= 1
        made = verbs.begin_create_or_update_at_resource_group(group, "s", body).result()
        assert made.properties.provisioning_state == "succeeded"
        assert len(made.properties.resources) == 5
        assert [stack.name for stack in verbs.list_at_resource_group(group)] == ["s"]
        verbs.begin_delete_at_resource_group(
            group,
            "s",
            unmanage_action_resources="delete",
            unmanage_action_resource_groups="detach",
        ).result()
        with pytest.raises(ResourceNotFoundError):
            verbs.get_at_resource_group(group, "s")
    wire = Wire(cloud)
    path = f"/subscriptions/{cloud.connection['subscription']}/resourceGroups/{group}/resources"
    assert wire.ask("GET", path).body["value"] == []


def test_a_body_as_az_sends_it(cloud: CloudInThread, group: str) -> None:
    """Not JSON: the template file as it is, behind a name without quotes."""
    text = json.dumps(template(), indent=2).replace('"resources"', '// mine\n  "resources"', 1)
    raw = '{"properties": {"mode": "Incremental", template: ' + text + "}}"
    path = (
        f"/subscriptions/{cloud.connection['subscription']}/resourcegroups/{group}/deployments/az"
    )
    answer = Wire(cloud).ask("PUT", f"{path}?api-version=2025-04-01", raw=raw.encode())
    assert answer.status == 201
    assert "azure-asyncoperation" in answer.headers


def test_what_lies_in_a_resource_that_is_not_there_fails_with_that_reason(
    client: DeploymentsMgmtClient, group: str
) -> None:
    raw = {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [
            {
                "type": "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
                "apiVersion": "2024-05-01",
                "name": "nowhere/default",
                "properties": {"privateDnsZoneConfigs": []},
            }
        ],
    }
    with pytest.raises(HttpResponseError) as caught:
        client.deployments.begin_create_or_update(group, "main", deployment(template=raw)).result()
    assert caught.value.error is not None
    assert caught.value.error.details[0].code == "ParentResourceNotFound"


def test_an_alert_rules_criteria_are_read_without_regard_to_case(
    cloud: CloudInThread, group: str
) -> None:
    """As a public module writes them."""
    wire = Wire(cloud)
    base = f"{wire.subscription}/resourceGroups/{group}/providers"
    bus = f"{base}/Microsoft.ServiceBus/namespaces/spelt-{group}"
    assert wire.ask("PUT", bus, {"location": "westeurope"}).status < 300
    condition = {
        "name": "many",
        "metricname": "ActiveMessages",
        "operator": "GreaterThan",
        "threshold": 5,
        "timeAggregation": "Maximum",
    }
    criteria = {
        "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
        "allof": [condition],
    }
    rule = {
        "location": "global",
        "properties": {"severity": 1, "enabled": True, "scopes": [bus], "criteria": criteria},
    }
    made = wire.ask("PUT", f"{base}/Microsoft.Insights/metricAlerts/spelt", rule)
    assert made.status < 300, made.raw
    assert made.body["properties"]["criteria"]["allOf"][0]["metricName"] == "ActiveMessages"
