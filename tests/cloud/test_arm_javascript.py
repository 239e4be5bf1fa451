"""Microsoft's JavaScript SDKs against Resource Manager."""

from __future__ import annotations

from tests.cloud.javascript_program import needs, ran
from tests.conftest import CloudInThread

pytestmark = needs("@azure/arm-appcontainers")


def test_the_javascript_sdks_make_change_list_and_are_refused(cloud: CloudInThread) -> None:
    connection = cloud.connection
    seen = ran(
        "resources.js",
        connection["resource_manager"],
        connection["subscription"],
        cloud.credential.text(),
        "jslab",
        ca=connection["ca"],
    )
    resources = {"cpu": 0.5, "memory": "1Gi", "ephemeralStorage": "2Gi"}
    assert seen["job"] == ["Succeeded", resources]
    assert seen["tags"] == {"k": "v"}
    assert seen["secret"] == "v"
    assert seen["executions"] == [seen["started"]]
    # One change of a job at a time: whoever comes meanwhile is told so.
    assert set(seen["at_once"]) <= {"ok", "ContainerAppsJobOperationInProgress"}
    assert "ok" in seen["at_once"]
    assert seen["missing"] == "404 ResourceNotFound"
    assert seen["in_use"] == "409 ManagedEnvironmentInUse"
    assert (seen["queues"], seen["free"]) == (["PT30S"], False)
    assert seen["twice"] == "409 RoleAssignmentExists"
    assert seen["types"] == [
        "Microsoft.App/jobs",
        "Microsoft.App/managedEnvironments",
        "Microsoft.ServiceBus/namespaces",
    ]
