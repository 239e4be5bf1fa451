"""Microsoft's JavaScript SDKs against Resource Manager."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CloudInThread

FOLDER = Path(__file__).parent / "javascript"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "@azure" / "arm-appcontainers").is_dir(),
        reason="@azure/arm-appcontainers is not installed: npm install --prefix "
        "tests/cloud/javascript",
    ),
]


def test_the_javascript_sdks_make_change_list_and_are_refused(cloud: CloudInThread) -> None:
    assert NODE is not None
    connection = cloud.connection
    ended = subprocess.run(
        [
            NODE,
            "resources.js",
            connection["resource_manager"],
            connection["subscription"],
            cloud.credential.text(),
            "jslab",
        ],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | {"NODE_EXTRA_CA_CERTS": connection["ca"]},
    )
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
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
