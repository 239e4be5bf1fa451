"""Microsoft's JavaScript SDKs with credentials of their own, told where by `local env`."""

from __future__ import annotations

import os

from orchestrator.cli.shell_exports import variables
from tests.cloud.javascript_program import needs, ran
from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

pytestmark = needs("@azure/monitor-query-logs")


def test_the_javascript_sdks_are_given_tokens_query_logs_and_send(cloud: CloudInThread) -> None:
    wire = Wire(cloud)
    group = f"{wire.subscription}/resourceGroups/jsobserving"
    namespace = f"{group}/providers/Microsoft.ServiceBus/namespaces/jsobserving"
    for path in (
        group,
        f"{group}/providers/Microsoft.OperationalInsights/workspaces/observed",
        namespace,
        f"{namespace}/queues/by-token",
    ):
        answer = wire.ask("PUT", f"{path}?api-version=2024-01-01", {"location": "westeurope"})
        assert answer.status in (200, 201), answer.raw
    application = cloud.connection["application"]
    # What finds a credential by itself is to find the managed identity, on every machine.
    inherited = {name: value for name, value in os.environ.items() if name[:6] != "AZURE_"}
    seen = ran(
        "observing.js",
        "jsobserving",
        "observed",
        "jsobserving.servicebus.windows.net",
        "by-token",
        env=inherited
        | variables(cloud.connection)
        | {
            "APPLICATION_ID": application["client_id"],
            "APPLICATION_SECRET": application["client_secret"],
        },
    )
    tenant = cloud.connection["tenant"]
    audience = "https://management.azure.com"
    assert [[tid, aud.rstrip("/"), valid] for tid, aud, valid in seen["tokens"]] == [
        [tenant, audience, True]
    ] * 3
    assert seen["wrong"] == "AuthenticationRequiredError"
    assert seen["types"] == ["datetime", "long", "timespan", "dynamic", "bool", "real", "string"]
    assert seen["row"][1:] == [None, "00:00:01", {"a": 1}, True, 1.5, "x"]
    assert (seen["resource"], seen["batch"]) == ([[1]], ["Success", "BadArgumentError"])
    assert seen["unknown"] == "400 BadArgumentError"
    assert seen["tables"] > 0
    assert seen["keys"] == ["primarySharedKey", "secondarySharedKey"]
    assert seen["missing"] == "404 ResourceNotFound"
    assert seen["activity"] is True
    assert seen["received"] == ["by token"]
