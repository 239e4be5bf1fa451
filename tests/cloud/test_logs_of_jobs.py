"""What a job writes is found live, then in the workspace of its environment, and only there."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import LogsQueryClient

from tests.conftest import CloudInThread

from .wire import Answer, Wire

TABLE = "ContainerAppConsoleLogs_CL"
PROGRAM = """
import sys, time
print("to stdout")
print("to stderr", file=sys.stderr, flush=True)
for n in range(500):
    print("line", n)
"""


class World:
    """A group with two workspaces, and a job whose environment logs to the first."""

    def __init__(self, cloud: CloudInThread) -> None:
        self.cloud = cloud
        self.wire = Wire(cloud)
        self.group = f"{self.wire.subscription}/resourceGroups/logs-of-jobs"
        self.put(self.group)
        insights = f"{self.group}/providers/Microsoft.OperationalInsights/workspaces"
        self.mine, self.other = (
            self.put(f"{insights}/{name}").body["properties"]["customerId"]
            for name in ("mine", "other")
        )
        environment = f"{self.group}/providers/Microsoft.App/managedEnvironments/logs"
        self.put(
            environment,
            appLogsConfiguration={
                "destination": "log-analytics",
                "logAnalyticsConfiguration": {"customerId": self.mine, "sharedKey": "none"},
            },
        )
        self.job = f"{self.group}/providers/Microsoft.App/jobs/talker"
        self.put(
            self.job,
            environmentId=environment,
            configuration={
                "triggerType": "Manual",
                "replicaTimeout": 60,
                "manualTriggerConfig": {"parallelism": 1, "replicaCompletionCount": 1},
            },
            template={
                "containers": [
                    {
                        "name": "main",
                        "image": "python:3",
                        "args": ["-c", PROGRAM],
                        "resources": {"cpu": 0.25, "memory": "0.5Gi"},
                    }
                ]
            },
        )

    def put(self, path: str, **properties: Any) -> Answer:
        answer = self.wire.ask(
            "PUT", f"{path}?api-version=2025-07-01",
            {"location": "westeurope", "properties": properties},
        )  # fmt: skip
        assert answer.status in (200, 201), answer.raw
        return answer

    def run(self) -> tuple[str, str]:
        """Start the job; names of the execution and of its replica."""
        name = self.wire.ask("POST", f"{self.job}/start?api-version=2025-07-01").body["name"]
        replicas = self.cloud.until(
            lambda: self.wire.ask(
                "GET", f"{self.job}/executions/{name}/replicas?api-version=2025-07-01"
            ).body["value"]
        )
        return name, replicas[0]["name"]

    def stream_token(self) -> str:
        answer = self.wire.ask("POST", f"{self.job}/getAuthToken?api-version=2025-07-01")
        return str(answer.body["properties"]["token"])

    @contextmanager
    def stream(
        self, names: tuple[str, str], token: str, query: str
    ) -> Iterator[http.client.HTTPResponse]:
        address = urlsplit(self.cloud.connection["resource_manager"])
        link = http.client.HTTPSConnection(
            str(address.hostname), address.port, timeout=30,
            context=ssl.create_default_context(cafile=self.cloud.ca),
        )  # fmt: skip
        link.request(
            "GET",
            f"{self.group}/jobs/talker/executions/{names[0]}/replicas/{names[1]}/containers/main"
            f"/logstream?{query}",
            headers={"Authorization": f"Bearer {token}"},
        )
        response = link.getresponse()
        try:
            yield response
        finally:
            response.close()
            link.close()

    def client(self, audience: str | None = None) -> LogsQueryClient:
        options = {"audience": audience} if audience else {}
        return LogsQueryClient(
            self.cloud.credential,
            endpoint=self.cloud.connection["logs"],
            connection_verify=self.cloud.ca,
            retry_total=0,
            **options,
        )


@pytest.fixture(scope="module")
def world(cloud: CloudInThread) -> World:
    return World(cloud)


def test_stream_and_workspace_hold_the_same_lines_at_the_same_times(world: World) -> None:
    names = world.run()
    with world.stream(names, world.stream_token(), "follow=true&output=text") as response:
        live = [line.decode().rstrip("\n").split(" ", 3) for line in response]
    with world.client() as client:
        result = client.query_workspace(
            world.mine,
            f"{TABLE} | where ContainerGroupName_s startswith '{names[0]}' "
            "| order by _timestamp_d asc | project TimeGenerated, Stream_s, Log_s",
            timespan=None,
        )
    stored = [
        [row[0].strftime("%Y-%m-%dT%H:%M:%S.%fZ"), row[1], "F", row[2]]
        for row in result.tables[0].rows
    ]
    assert len(stored) == 502
    assert sorted(line[3] for line in stored) == sorted(
        ["to stdout", "to stderr", *(f"line {n}" for n in range(500))]
    )
    # The stream may have been opened after the first lines: then it begins with the last 300.
    assert live == stored[-len(live) :]
    assert len(live) >= 300


def test_the_story_of_an_execution_is_in_the_system_log(world: World) -> None:
    name, replica = world.run()
    query = (
        f"ContainerAppSystemLogs_CL | where JobName_s == 'talker' and ExecutionName_s == '{name}' "
        "| order by TimeGenerated asc | project Reason_s, ReplicaName_s"
    )

    def story() -> list[list[str]]:
        with world.client() as client:
            result = client.query_workspace(world.mine, query, timespan=None)
        return [list(row) for row in result.tables[0].rows]

    world.cloud.until(lambda: "Completed" in [reason for reason, _ in story()])
    assert replica in [name for _, name in story()]


def test_another_workspace_sees_nothing_of_it(world: World) -> None:
    names = world.run()
    with world.stream(names, world.stream_token(), "follow=true") as response:
        response.read()
    with world.client() as client, pytest.raises(HttpResponseError) as refusal:
        client.query_workspace(world.other, f"{TABLE} | count", timespan=None)
    assert "Failed to resolve table" in refusal.value.model.message
    with world.client() as client:
        result = client.query_resource(world.job, f"{TABLE} | count", timespan=None)
    assert result.tables[0].rows[0][0] > 0


def test_each_door_wants_its_own_token(world: World) -> None:
    names = world.run()
    world.wire.token = None
    try:
        answer = world.wire.ask("POST", f"/v1/workspaces/{world.mine}/query", {"query": "print 1"})
    finally:
        world.wire.token = world.cloud.credential.text()
    assert (answer.status, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    with (
        world.client(audience="https://servicebus.azure.net") as client,
        pytest.raises(HttpResponseError) as refusal,
    ):
        client.query_workspace(world.mine, "print 1", timespan=None)
    assert refusal.value.status_code == 401
    for token in (world.cloud.credential.text(), "nonsense"):
        with world.stream(names, token, "") as response:
            assert response.status == 401
            assert json.loads(response.read())["error"]["code"]
