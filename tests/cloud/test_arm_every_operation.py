"""Every operation that azure-mgmt-appcontainers and azure-mgmt-servicebus have is answered.

Each is called with plausible arguments. It gives what the SDK's model of it can read, or an error
of the kind that Azure has: a status below 500, with a code and a sentence.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.paging import ItemPaged
from azure.core.polling import LROPoller
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.servicebus import ServiceBusManagementClient

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

GROUP = "every"

NAMES: Mapping[str, Any] = {
    "resource_group_name": GROUP,
    "location": "westeurope",
    # Container Apps
    "environment_name": "env",
    "connected_environment_name": "arc",
    "job_name": "job",
    "container_app_name": "web",
    "revision_name": "web--0000001",
    "replica_name": "one",
    "job_execution_name": "job-none",
    "auth_config_name": "current",
    "source_control_name": "current",
    "custom_hostname": "www.example",
    # Service Bus
    "namespace_name": "every-operation-bus",
    "queue_name": "q",
    "topic_name": "t",
    "subscription_name": "s",
    "rule_name": "r",
    "config_name": "$default",
}
"""Arguments by name; any other text is "name"."""

CONTAINERS = {
    "containers": [{"name": "c", "image": "python", "resources": {"cpu": 0.25, "memory": "0.5Gi"}}]
}
DAPR = {"componentType": "state.redis", "version": "v1", "secrets": [{"name": "k", "value": "v"}]}
FILES = {
    "azureFile": {
        "accountName": "a",
        "accountKey": "k",
        "accessMode": "ReadOnly",
        "shareName": "s",
    }
}
ENTRY = {"weekDay": "Sunday", "startHourUtc": 12, "durationHours": 9}
REGENERATED = {"keyType": "PrimaryKey"}
RULE = {"properties": {"rights": ["Listen", "Send"]}}

BODIES: Mapping[tuple[str, str], Any] = {
    ("container_apps_source_controls", "begin_create_or_update"): {
        "properties": {"repoUrl": "https://github.com/x/y", "branch": "main"}
    },
    ("managed_environments_storages", "create_or_update"): {"properties": FILES},
    ("connected_environments_storages", "begin_create_or_update"): {"properties": FILES},
    ("dapr_components", "create_or_update"): {"properties": DAPR},
    ("connected_environments_dapr_components", "begin_create_or_update"): {"properties": DAPR},
    ("maintenance_configurations", "create_or_update"): {
        "properties": {"scheduledEntries": [ENTRY]}
    },
    ("managed_environments", "check_migration_eligibility"): {"targetMode": "WorkloadProfiles"},
    ("jobs", "begin_start"): {},
    **{
        (group, method): body
        for group in ("namespaces", "queues", "topics")
        for method, body in (
            ("create_or_update_authorization_rule", RULE),
            ("regenerate_keys", REGENERATED),
        )
    },
    ("namespaces", "begin_create_or_update"): {
        "location": "westeurope",
        "sku": {"name": "Premium", "tier": "Premium"},
    },
    ("rules", "create_or_update"): {
        "properties": {"filterType": "SqlFilter", "sqlFilter": {"sqlExpression": "a = 1"}}
    },
}
REFUSED: Mapping[str, set[str]] = {
    # A certificate needs a blob, and what was not made is not found.
    "certificates": {"create_or_update", "get", "update"},
    "connected_environments_certificates": {"begin_create_or_update", "begin_update", "get"},
    # Nobody runs here what these are of.
    "container_apps_diagnostics": {"get_detector"},
    "container_apps_functions": {"get"},
    "container_apps_label_history": {"get_label_history"},
    "container_apps_revision_functions": {"get"},
    "container_apps_revision_replicas": {"get_replica"},
    "functions_extension": {"invoke_functions_host"},
    "jobs": {"begin_stop_execution", "get_detector", "proxy_get"},
    "logic_apps": {"get_workflow", "list_workflows_connections"},
    "managed_environment_diagnostics": {"get_detector"},
    # It was deactivated before.
    "container_apps_revisions": {"restart_revision"},
    # Connections are made by private endpoints.
    "container_app_private_link_resources": {"get"},
    "managed_environment_private_endpoint_connections": {"begin_create_or_update", "get"},
    "managed_environment_private_link_resources": {"get"},
    "private_endpoint_connections": {"create_or_update", "get"},
    # Namespaces here have one place and stay what they are.
    "disaster_recovery_configs": {
        *("break_pairing", "create_or_update", "fail_over", "get", "list_keys"),
        *("get_authorization_rule", "list_authorization_rules"),
    },
    "migration_configs": {
        *("begin_create_and_start_migration", "complete_migration", "get", "revert"),
    },
    "namespaces": {"begin_failover"},
    "network_security_perimeter_configurations": {"get_resource_association_name", "reconcile"},
}
"""What is refused of these arguments; everything else succeeds."""

OTHER = {"location": "westeurope", "name": "name", "properties": {}}
"""Any other body."""


@pytest.fixture(scope="module")
def environment(cloud: CloudInThread) -> str:
    """A resource group in which there is an environment; its id."""
    wire = Wire(cloud)
    group = f"{wire.subscription}/resourceGroups/{GROUP}"
    wire.ask("PUT", group, {"location": "westeurope"})
    return f"{group}/providers/Microsoft.App/managedEnvironments/env"


def operations(client: Any) -> Iterator[tuple[str, str, Any]]:
    """Group, name and method of each: what makes first, what removes last."""
    groups = {
        name: getattr(client, name)
        for name in dir(client)
        if type(getattr(client, name)).__name__.endswith("Operations")
    }
    found = [
        (group, name, getattr(methods, name))
        for group, methods in groups.items()
        for name in dir(methods)
        if not name.startswith("_") and callable(getattr(methods, name))
    ]
    first = ("namespaces", "managed_environments", "connected_environments", "container_apps")
    then = ("jobs", "dapr_components", "queues", "topics", "subscriptions")

    def place(item: tuple[str, str, Any]) -> tuple[int, int, str, str]:
        group, name, _ = item
        made = "create" in name
        gone = "delete" in name
        order = [*first, *then]
        rank = order.index(group) if group in order else len(order)
        return (2 if gone else 0 if made else 1, -rank if gone else rank, group, name)

    return iter(sorted(found, key=place))


def arguments(group: str, name: str, method: Any, bodies: Mapping[Any, Any]) -> Mapping[str, Any]:
    """What the operation needs, by the names of its parameters."""
    found = {}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.name in NAMES:
            found[parameter.name] = NAMES[parameter.name]
        elif "str" in str(parameter.annotation) and "Union" not in str(parameter.annotation):
            found[parameter.name] = "name"
        else:
            found[parameter.name] = bodies.get((group, name), OTHER)
    return found


def read(value: Any) -> None:
    """Read every member of what a model has of an answer."""
    if hasattr(value, "_attr_to_rest_field"):
        for name in value._attr_to_rest_field:
            read(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            read(item)
    elif isinstance(value, list):
        for item in value:
            read(item)


def answered(group: str, name: str, method: Any, bodies: Mapping[Any, Any]) -> str | None:
    """What is wrong with an operation's answer; None for nothing."""
    try:
        result = method(**arguments(group, name, method, bodies))
        if isinstance(result, LROPoller):
            result = result.result()
        read(list(result) if isinstance(result, ItemPaged) else result)
    except HttpResponseError as error:
        told = error.error is not None and error.error.code and error.error.message
        proper = told and error.status_code is not None and 400 <= error.status_code < 500
        if not proper or name not in REFUSED.get(group, ()):
            return f"{group}.{name}: {error.status_code} {error.message}"
    except Exception as error:  # noqa: BLE001 - whatever a model makes of what it cannot read
        return f"{group}.{name}: {error!r}"
    return None


@pytest.mark.parametrize("kind", [ContainerAppsAPIClient, ServiceBusManagementClient])
def test_every_operation_is_answered(cloud: CloudInThread, environment: str, kind: Any) -> None:
    bodies = {
        ("container_apps", "begin_create_or_update"): {
            "location": "westeurope",
            "properties": {
                "environmentId": environment,
                "configuration": {"ingress": {"external": True, "targetPort": 80}},
                "template": CONTAINERS,
            },
        },
        ("jobs", "begin_create_or_update"): {
            "location": "westeurope",
            "properties": {
                "environmentId": environment,
                "configuration": {"triggerType": "Manual", "replicaTimeout": 60},
                "template": CONTAINERS,
            },
        },
        **BODIES,
    }
    with kind(
        cloud.credential,
        cloud.connection["subscription"],
        base_url=cloud.connection["resource_manager"],
        connection_verify=cloud.ca,
        polling_interval=0.1,
    ) as client:
        found = list(operations(client))
        assert len(found) > 50
        wrong = [fault for item in found if (fault := answered(*item, bodies)) is not None]
    assert wrong == []
