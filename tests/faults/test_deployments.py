"""A server killed in the middle of a deployment: it goes on, nothing twice, nothing missing."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from orchestrator.localcloud.process import down, up
from tests.faults.cloud_process import ask, config
from tests.unit.templates.world import template, thing

COUNT = 60
GROUP = "/resourceGroups/g"
DEPLOYMENT = f"{GROUP}/providers/Microsoft.Resources/deployments/d"


def test_a_deployment_outlives_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state"
    raw = template(
        parameters={"mark": {"type": "string", "defaultValue": "[newGuid()]"}},
        resources=[
            thing(
                "[format('a{0}', copyIndex())]",
                copy={"name": "all", "count": COUNT, "mode": "serial", "batchSize": 1},
                type="Microsoft.Portal/dashboards",
                location="westeurope",
                properties={"mark": "[parameters('mark')]"},
            )
        ],
        outputs={"mark": {"type": "string", "value": "[parameters('mark')]"}},
    )
    try:
        connection = up(config(state))
        assert ask(connection, "PUT", GROUP, {"location": "westeurope"})[0] == 201
        body = {"properties": {"mode": "Incremental", "template": raw}}
        status, answer = ask(connection, "PUT", DEPLOYMENT, body)
        assert status == 201
        mark = answer["properties"]["parameters"]["mark"]["value"]
        victim = psutil.Process(connection["pid"])
        victim.kill()
        victim.wait(10)
        connection = up(config(state))
        end = time.monotonic() + 60
        while True:
            found = ask(connection, "GET", DEPLOYMENT)[1]["properties"]
            if found["provisioningState"] == "Succeeded":
                break
            assert found["provisioningState"] in ("Accepted", "Running")
            assert time.monotonic() < end
            time.sleep(0.05)
        assert found["outputs"]["mark"]["value"] == mark
        assert len(found["outputResources"]) == COUNT
        things = f"{GROUP}/providers/Microsoft.Portal/dashboards?$top=1000"
        marks: list[str] = []
        page = ask(connection, "GET", things)[1]
        while True:
            marks += [item["properties"]["mark"] for item in page["value"]]
            if "nextLink" not in page:
                break
            path = page["nextLink"].split(connection["subscription"], 1)[1]
            page = ask(connection, "GET", path)[1]
        assert marks == [mark] * COUNT
    finally:
        down(state)
