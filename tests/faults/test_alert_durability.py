"""kill -9 of the server after an alert has fired and before its webhook was told."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import psutil
import pytest

from orchestrator.localcloud.process import down, up
from orchestrator.localcloud.steering.client import SteeringClient
from tests.faults.cloud_process import ask, config

GROUP = "/resourceGroups/g"
BUS = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/bus-of-a-test"
INSIGHTS = f"{GROUP}/providers/Microsoft.Insights"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "state"
    yield path
    down(path)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listen(port: int, got: Queue[Any]) -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def put(connection: dict[str, Any], path: str, body: Any) -> None:
    status, answer = ask(connection, "PUT", path, body)
    assert status in (200, 201), answer


def alerts(connection: dict[str, Any]) -> list[dict[str, Any]]:
    status, answer = ask(connection, "GET", "/providers/Microsoft.AlertsManagement/alerts")
    assert status == 200
    return list(answer["value"])


def test_an_alert_is_told_by_the_next_server_and_not_fired_twice(state: Path) -> None:
    connection = up(config(state))
    port, subscription = free_port(), connection["subscription"]
    put(connection, GROUP, {"location": "westeurope"})
    put(connection, BUS, {"location": "westeurope", "sku": {"name": "Standard"}})
    put(connection, f"{BUS}/queues/q", {})
    put(
        connection,
        f"{INSIGHTS}/actionGroups/told",
        {
            "location": "Global",
            "properties": {
                "groupShortName": "told",
                "webhookReceivers": [
                    {
                        "name": "hook",
                        "serviceUri": f"http://127.0.0.1:{port}/",
                        "useCommonAlertSchema": True,
                    }
                ],
            },
        },
    )
    put(
        connection,
        f"{INSIGHTS}/metricAlerts/always",
        {
            "location": "global",
            "properties": {
                "severity": 3,
                "scopes": [f"/subscriptions/{subscription}{BUS}"],
                "evaluationFrequency": "PT1M",
                "windowSize": "PT1M",
                "criteria": {
                    "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                    "allOf": [
                        {
                            "criterionType": "StaticThresholdCriterion",
                            "name": "c",
                            "metricName": "ActiveMessages",
                            "operator": "GreaterThanOrEqual",
                            "threshold": 0,
                            "timeAggregation": "Maximum",
                        }
                    ],
                },
                "actions": [
                    {"actionGroupId": f"/subscriptions/{subscription}{INSIGHTS}/actionGroups/told"}
                ],
            },
        },
    )
    clock = SteeringClient(connection)
    clock.freeze()
    clock.advance(180)
    [fired] = alerts(connection)

    victim = psutil.Process(connection["pid"])
    victim.kill()
    victim.wait(10)

    got: Queue[Any] = Queue()
    receiver = listen(port, got)
    try:
        connection = up(config(state))
        told = got.get(timeout=20)
        assert told["data"]["essentials"]["alertId"] == fired["id"]
        SteeringClient(connection).advance(180)
        assert [alert["id"] for alert in alerts(connection)] == [fired["id"]]
        assert got.empty()
    finally:
        receiver.shutdown()
        receiver.server_close()
