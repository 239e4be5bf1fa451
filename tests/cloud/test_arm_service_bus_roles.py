"""Role assignments on a namespace and its queues lie below them, and are none of theirs."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.cloud.test_arm_service_bus import group_path, rest
from tests.conftest import CloudInThread

SENDER = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"  # Azure Service Bus Data Sender


@pytest.mark.parametrize("scope", ["", "/queues/a~b", "/queues/c"])
def test_a_server_starts_again_with_a_role_assignment_on_a_namespace(
    tmp_path: Path, scope: str
) -> None:
    cloud = CloudInThread(tmp_path)
    subscription = f"/subscriptions/{cloud.connection['subscription']}"
    base = f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/bus-roles"
    assignment = f"{base}{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    try:
        rest(cloud, "PUT", group_path(cloud), {"location": "westeurope"})
        assert rest(cloud, "PUT", base, {"location": "westeurope"})[0] == 200
        for name in ("a~b", "c"):
            assert rest(cloud, "PUT", f"{base}/queues/{name}", {"properties": {}})[0] == 200
        properties = {
            "roleDefinitionId": f"{subscription}/providers/Microsoft.Authorization"
            f"/roleDefinitions/{SENDER}",
            "principalId": str(uuid.uuid4()),
            "principalType": "ServicePrincipal",
        }
        assert rest(cloud, "PUT", assignment, {"properties": properties})[0] == 201
        before = rest(cloud, "GET", assignment)
        cloud.stop()
        cloud.start()
        assert rest(cloud, "GET", assignment) == before
        names = [queue["name"] for queue in rest(cloud, "GET", f"{base}/queues")[1]["value"]]
        assert names == ["a~b", "c"]
        # The namespace is put again by every `up`, and looks after what is below it.
        assert rest(cloud, "PUT", base, {"location": "westeurope"})[0] == 200
        assert rest(cloud, "GET", assignment) == before
    finally:
        cloud.stop()
