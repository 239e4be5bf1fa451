"""A server killed in the middle of a deployment: it goes on, nothing twice, nothing missing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

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


def _script(content: str) -> dict[str, Any]:
    return {
        "location": "westeurope",
        "kind": "AzureCLI",
        "properties": {
            "azCliVersion": "2.59.0",
            "retentionInterval": "P1D",
            "scriptContent": content,
        },
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_script_that_a_kill_interrupts_has_failed_and_its_deployment_runs_it_again(
    tmp_path: Path,
) -> None:
    state, runs = tmp_path / "state", tmp_path / "runs"
    scripts = f"{GROUP}/providers/Microsoft.Resources/deploymentScripts"
    # The first run waits for ever, the next one finds its mark and ends.
    content = f"echo $$ >> {runs}; [ $(wc -l < {runs}) -gt 1 ] || sleep 600"
    raw = template(
        resources=[
            thing(
                "inner",
                type="Microsoft.Resources/deploymentScripts",
                **_script(content),
            )
        ]
    )
    try:
        connection = up(config(state))
        assert ask(connection, "PUT", GROUP, {"location": "westeurope"})[0] == 201
        body = _script("echo begun; sleep 600")
        status, answer = ask(connection, "PUT", f"{scripts}/alone", body)
        assert status == 201
        assert answer["properties"]["provisioningState"] not in ("Succeeded", "Failed")
        ask(connection, "PUT", DEPLOYMENT, {"properties": {"mode": "Incremental", "template": raw}})
        log = f"{scripts}/alone/logs/default"
        _until(lambda: "begun" in ask(connection, "GET", log)[1]["properties"]["log"])
        _until(lambda: runs.exists() and runs.read_text().endswith("\n"))
        first = psutil.Process(int(runs.read_text().split()[0]))
        victim = psutil.Process(connection["pid"])
        victim.kill()
        victim.wait(10)
        connection = up(config(state))
        alone = ask(connection, "GET", f"{scripts}/alone")[1]["properties"]
        assert alone["provisioningState"] == "Failed"
        assert alone["status"]["error"]["code"] == "DeploymentScriptOperationFailed"
        _until(lambda: not first.is_running())

        def over() -> bool:
            found = ask(connection, "GET", DEPLOYMENT)[1]["properties"]["provisioningState"]
            return found not in ("Accepted", "Running")

        _until(over)
        assert ask(connection, "GET", DEPLOYMENT)[1]["properties"]["provisioningState"] == (
            "Succeeded"
        )
        inner = ask(connection, "GET", f"{scripts}/inner")[1]["properties"]
        assert inner["provisioningState"] == "Succeeded"
        assert len(runs.read_text().split()) == 2
    finally:
        down(state)


def _until(test: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not test():
        assert time.monotonic() < end
        time.sleep(0.05)
