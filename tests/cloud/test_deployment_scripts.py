"""Deployment scripts: run as processes, with the outputs, states and logs that Azure gives."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.resource.deployments import DeploymentsMgmtClient

from orchestrator.clock import ManualClock
from tests.cloud.wire import Answer, Wire
from tests.conftest import CloudInThread
from tests.file_server import Files, file_server

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
VERSION = "2023-08-01"
PROJECT = """\
[scripts."seed-*"]
outputs = { count = 3 }

[scripts.other]
process = ["bash", "-c", "printf '{\\"who\\": \\"%s\\"}' \\"$NAME\\" > $AZ_SCRIPTS_OUTPUT_PATH"]

[scripts.broken]
process = "bash"
"""


@pytest.fixture(scope="module")
def files() -> Iterator[Files]:
    with file_server() as served:
        yield served


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudInThread]:
    project = tmp_path_factory.mktemp("project")
    (project / "orchestrator.toml").write_text(PROJECT, "utf-8")
    running = CloudInThread(tmp_path_factory.mktemp("cloud"), project)
    yield running
    running.stop()


class Scripts:
    """A resource group with scripts in it."""

    def __init__(self, cloud: CloudInThread) -> None:
        self.cloud = cloud
        self.wire = Wire(cloud)
        self.name = f"scripts{uuid.uuid4().hex[:6]}"
        self.group = f"{self.wire.subscription}/resourceGroups/{self.name}"
        self.wire.ask("PUT", self.group, {"location": "westeurope"})

    def id(self, name: str) -> str:
        return f"{self.group}/providers/Microsoft.Resources/deploymentScripts/{name}"

    def put(self, name: str, content: str | None, identity: Any = None, **more: Any) -> Answer:
        properties = {"azCliVersion": "2.59.0", "retentionInterval": "PT1H", **more}
        if content is not None:
            properties["scriptContent"] = content
        body = {"location": "westeurope", "kind": "AzureCLI", "properties": properties}
        if identity is not None:
            body["identity"] = identity
        return self.wire.ask("PUT", self.id(name), body, version=VERSION)

    def get(self, name: str) -> Any:
        return self.wire.ask("GET", self.id(name), version=VERSION).body

    def ended(self, name: str) -> Any:
        """A script, once it is over."""
        terminal = ("Succeeded", "Failed", "Canceled")
        self.cloud.until(lambda: self.get(name)["properties"]["provisioningState"] in terminal)
        return self.get(name)

    def run(self, name: str, content: str | None, identity: Any = None, **more: Any) -> Any:
        """Make a script and wait for its end."""
        answer = self.put(name, content, identity, **more)
        assert answer.status in (200, 201), answer.body
        return self.ended(name)

    def log(self, name: str, query: str = "") -> str:
        path = f"{self.id(name)}/logs/default?api-version={VERSION}{query}"
        return str(self.wire.ask("GET", path).body["properties"]["log"])

    def status(self, answer: Answer) -> Any:
        """The operation that an answer leads to, once it is over."""
        link = answer.headers["azure-asyncoperation"]
        path = link.removeprefix(self.cloud.connection["resource_manager"])
        self.cloud.until(lambda: self.wire.ask("GET", path).body["status"] != "InProgress")
        return self.wire.ask("GET", path).body


@pytest.fixture(scope="module")
def scripts(cloud: CloudInThread) -> Scripts:
    return Scripts(cloud)


def test_a_script_is_run_and_a_template_reads_its_outputs(
    scripts: Scripts, cloud: CloudInThread
) -> None:
    template = {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [
            {
                "type": "Microsoft.Resources/deploymentScripts",
                "apiVersion": "2020-10-01",
                "name": "greeting",
                "location": "westeurope",
                "kind": "AzureCLI",
                "properties": {
                    "azCliVersion": "2.59.0",
                    "retentionInterval": "P1D",
                    "arguments": "'John Dole' two",
                    "environmentVariables": [
                        {"name": "MARK", "value": "plain"},
                        {"name": "KEY", "secureValue": "hidden"},
                    ],
                    "scriptContent": 'echo "for $1, $MARK"; echo "{\\"text\\": \\"Hello $1\\", '
                    '\\"key\\": ${#KEY}, \\"count\\": $#}" > $AZ_SCRIPTS_OUTPUT_PATH',
                },
            }
        ],
        "outputs": {
            "text": {"type": "string", "value": "[reference('greeting').outputs.text]"},
            "key": {"type": "int", "value": "[reference('greeting').outputs.key]"},
            "count": {"type": "int", "value": "[reference('greeting').outputs.count]"},
        },
    }
    client = DeploymentsMgmtClient(
        cloud.credential,
        cloud.connection["subscription"],
        base_url=cloud.connection["resource_manager"],
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=cloud.ca,
    )
    properties: Any = {"mode": "Incremental", "template": template}
    done = client.deployments.begin_create_or_update(
        scripts.name, "one", {"properties": properties}
    ).result()
    assert done.properties.outputs == {
        "text": {"type": "String", "value": "Hello John Dole"},
        "key": {"type": "Int", "value": 6},
        "count": {"type": "Int", "value": 2},
    }
    script = scripts.get("greeting")["properties"]
    assert script["provisioningState"] == "Succeeded"
    assert script["outputs"] == {"text": "Hello John Dole", "key": 6, "count": 2}
    assert script["environmentVariables"] == [{"name": "MARK", "value": "plain"}, {"name": "KEY"}]
    assert script["timeout"] == "P1D"
    assert script["cleanupPreference"] == "Always"
    status = script["status"]
    assert status["startTime"] <= status["endTime"] < status["expirationTime"]
    assert "/Microsoft.ContainerInstance/containerGroups/" in status["containerInstanceId"]
    assert scripts.log("greeting") == "for John Dole, plain\n"
    # The same again: nothing has changed, so nothing is run; what-if says so, too.
    what = client.deployments.begin_what_if(
        scripts.name, "two", {"properties": properties}
    ).result()
    assert [change.change_type for change in what.changes] == ["NoChange"]
    client.deployments.begin_create_or_update(
        scripts.name, "two", {"properties": properties}
    ).result()
    assert scripts.get("greeting")["properties"]["status"] == status


def test_a_changed_tag_runs_it_again_and_tags_do_not(scripts: Scripts, tmp_path: Path) -> None:
    count = f"echo x >> {tmp_path / 'runs'}"
    scripts.run("again", count, forceUpdateTag="1")
    assert scripts.put("again", count, forceUpdateTag="1").status == 200
    tagged = scripts.wire.ask("PATCH", scripts.id("again"), {"tags": {"a": "b"}}, version=VERSION)
    assert tagged.body["tags"] == {"a": "b"}
    assert tagged.body["properties"]["provisioningState"] == "Succeeded"
    assert (tmp_path / "runs").read_text() == "x\n"
    scripts.run("again", count, forceUpdateTag="2")
    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_a_script_that_fails_fails_its_operation_with_what_it_said(scripts: Scripts) -> None:
    answer = scripts.put("bad", "echo fine; echo 'ERROR: no such thing' >&2; exit 3")
    assert answer.status == 201
    told = scripts.status(answer)
    assert told["status"] == "Failed"
    assert told["error"]["code"] == "DeploymentScriptError"
    assert "following error:\r\nERROR: no such thing. " in told["error"]["message"]
    found = scripts.get("bad")["properties"]
    assert found["provisioningState"] == "Failed"
    assert found["status"]["error"]["code"] == "DeploymentScriptError"
    assert scripts.log("bad", "&tail=1") == "ERROR: no such thing\n"
    silent = scripts.run("silent", "exit 1")["properties"]["status"]["error"]["message"]
    assert silent.startswith("The provided script failed without returning any errors.")


def test_a_tool_that_is_missing_is_named(scripts: Scripts) -> None:
    error = scripts.run("tool", "PATH=/nowhere; jq .")["properties"]["status"]["error"]
    assert "jq: " in error["message"]
    if shutil.which("az") is None:
        error = scripts.run("tool", "az version")["properties"]["status"]["error"]
        assert "install the Azure CLI" in error["message"]


@pytest.mark.parametrize("text", ["[1, 2]", "no json"])
def test_outputs_are_an_object(scripts: Scripts, text: str) -> None:
    found = scripts.run("list", f"echo '{text}' > $AZ_SCRIPTS_OUTPUT_PATH")["properties"]
    assert found["provisioningState"] == "Failed"
    assert found["status"]["error"]["code"] == "DeploymentScriptInvalidOutputs"
    assert "outputs" not in found


def test_files_are_downloaded_and_lie_where_the_script_looks(
    scripts: Scripts, files: Files
) -> None:
    files.files["/main.sh"] = b'./helper.sh "$1"'
    files.files["/more/helper.sh"] = b'echo "{\\"got\\": \\"$1\\"}" > $AZ_SCRIPTS_OUTPUT_PATH'
    found = scripts.run(
        "files",
        None,
        primaryScriptUri=f"{files.address}/main.sh?sig=secret",
        supportingScriptUris=[f"{files.address}/more/helper.sh"],
        arguments="blue",
    )
    assert found["properties"]["outputs"] == {"got": "blue"}
    missing = scripts.run("files", None, primaryScriptUri=f"{files.address}/none.sh?sig=secret")
    error = missing["properties"]["status"]["error"]
    assert error["code"] == "DeploymentScriptDownloadFailure"
    assert "none.sh" in error["message"]
    assert "404" in error["message"]
    assert "secret" not in error["message"]
    local = scripts.run("files", None, primaryScriptUri="file:///etc/hostname")
    assert local["properties"]["status"]["error"]["code"] == "DeploymentScriptDownloadFailure"


def test_its_identity_is_its_own(scripts: Scripts) -> None:
    at = f"{scripts.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hand"
    identity = scripts.wire.ask("PUT", at, {"location": "westeurope"}).body
    text = (
        'curl -s -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" '
        '"$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://management.azure.com/" '
        "> $AZ_SCRIPTS_OUTPUT_PATH; ls $AZURE_CONFIG_DIR"
    )
    block = {"type": "UserAssigned", "userAssignedIdentities": {at: {}}}
    found = scripts.run("own", text, block)["properties"]["outputs"]
    assert found["client_id"] == identity["properties"]["clientId"]
    assert "azureProfile.json" in scripts.log("own").split()
    # One that has none is logged in nowhere.
    scripts.run("none", 'echo "[$IDENTITY_HEADER]"; ls $AZURE_CONFIG_DIR')
    assert scripts.log("none").startswith("[]")
    assert "azureProfile.json" not in scripts.log("none")
    refused = scripts.put("sys", "true", {"type": "SystemAssigned"})
    assert refused.error["code"] == "DeploymentScriptInvalidOperation"


def test_a_time_out_ends_it(scripts: Scripts) -> None:
    found = scripts.run("slow", "sleep 300", timeout="PT1S")["properties"]
    assert found["provisioningState"] == "Failed"
    assert found["status"]["error"]["code"] == "DeploymentScriptExceededMaxAllowedTime"


def test_a_deployment_that_is_canceled_takes_its_script_along(scripts: Scripts) -> None:
    resource = {
        "type": "Microsoft.Resources/deploymentScripts",
        "apiVersion": VERSION,
        "name": "long",
        "location": "westeurope",
        "kind": "AzureCLI",
        "properties": {
            "azCliVersion": "2.59.0",
            "retentionInterval": "P1D",
            "scriptContent": "echo begun; sleep 300",
        },
    }
    template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": [resource]}
    at = f"{scripts.group}/providers/Microsoft.Resources/deployments/long"
    properties = {"mode": "Incremental", "template": template}
    scripts.wire.ask("PUT", at, {"properties": properties})
    scripts.cloud.until(lambda: "properties" in scripts.get("long"))
    scripts.cloud.until(lambda: "begun" in scripts.log("long"))
    # What runs is not deleted, and no other content takes its place.
    assert scripts.wire.ask("DELETE", scripts.id("long"), version=VERSION).error["code"] == (
        "DeploymentScriptResourceConflict"
    )
    assert scripts.put("long", "true").error["code"] == "DeploymentScriptResourceConflict"
    assert scripts.wire.ask("POST", f"{at}/cancel").status == 204
    assert scripts.ended("long")["properties"]["provisioningState"] == "Canceled"
    final = ("Succeeded", "Failed", "Canceled")

    def state() -> str:
        return str(scripts.wire.ask("GET", at).body["properties"]["provisioningState"])

    scripts.cloud.until(lambda: state() in final)
    assert state() == "Canceled"
    assert scripts.wire.ask("DELETE", scripts.id("long"), version=VERSION).status == 200


def test_a_group_that_goes_takes_what_runs_along(cloud: CloudInThread) -> None:
    scripts = Scripts(cloud)
    scripts.put("going", "echo begun; sleep 300")
    cloud.until(lambda: "begun" in scripts.log("going"))
    folder = cloud.state / "deployment-scripts"
    assert [path for path in folder.iterdir() if path.name.startswith("going-")]
    scripts.wire.ask("DELETE", scripts.group)
    cloud.until(lambda: scripts.wire.ask("GET", scripts.group).status == 404)
    assert not [path for path in folder.iterdir() if path.name.startswith("going-")]


def test_what_cannot_run_here_says_what_to_do_and_a_stand_in_does(scripts: Scripts) -> None:
    body = {
        "location": "westeurope",
        "kind": "AzurePowerShell",
        "properties": {
            "azPowerShellVersion": "10.0",
            "retentionInterval": "P1D",
            "scriptContent": "$DeploymentScriptOutputs = @{}",
        },
    }
    if shutil.which("pwsh") is None:
        scripts.wire.ask("PUT", scripts.id("power"), body, version=VERSION)
        error = scripts.ended("power")["properties"]["status"]["error"]
        assert "`pwsh`" in error["message"]
        assert '[scripts."power"]' in error["message"]
    scripts.wire.ask("PUT", scripts.id("seed-1"), body, version=VERSION)
    assert scripts.ended("seed-1")["properties"]["outputs"] == {"count": 3}
    variables = [{"name": "NAME", "secureValue": "me"}]
    found = scripts.run("other", "exit 1", environmentVariables=variables)
    assert found["properties"]["outputs"] == {"who": "me"}
    broken = scripts.run("broken", "true")["properties"]["status"]["error"]["message"]
    assert '[scripts."broken"]' in broken


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"retentionInterval": None}, "properties.retentionInterval"),
        ({"retentionInterval": "1 day"}, "properties.retentionInterval"),
        ({"timeout": "PT0S"}, "properties.timeout"),
        ({"azCliVersion": None}, "properties.azCliVersion"),
        ({"primaryScriptUri": "https://x.y/z.sh"}, "properties.scriptContent"),
        ({"cleanupPreference": "Never"}, "properties.cleanupPreference"),
        ({"environmentVariables": [{"value": "x"}]}, "properties.environmentVariables"),
    ],
)
def test_what_is_wrong_with_it_is_told(
    scripts: Scripts, change: dict[str, Any], target: str
) -> None:
    answer = scripts.put("wrong", "true", **change)
    assert answer.status == 400
    assert answer.error["target"] == target


def test_its_log_is_listed_and_its_tail_checked(scripts: Scripts) -> None:
    scripts.run("talk", "for i in 1 2 3; do echo $i; done", cleanupPreference="OnExpiration")
    logs = scripts.wire.ask("GET", f"{scripts.id('talk')}/logs", version=VERSION).body["value"]
    assert [(log["name"], log["properties"]["log"]) for log in logs] == [("default", "1\n2\n3\n")]
    assert scripts.log("talk", "&tail=2") == "2\n3\n"
    path = f"{scripts.id('talk')}/logs/default?tail=0"
    assert scripts.wire.ask("GET", path, version=VERSION).status == 400
    listed = scripts.wire.ask(
        "GET",
        f"{scripts.wire.subscription}/providers/Microsoft.Resources/deploymentScripts",
        version=VERSION,
    )
    assert "talk" in [item["name"] for item in listed.body["value"]]
    missing = scripts.wire.ask("GET", f"{scripts.id('nobody')}/logs", version=VERSION)
    assert missing.status == 404


def test_it_is_kept_for_its_interval_and_its_files_as_it_wants(tmp_path: Path) -> None:
    clock = ManualClock()
    cloud = CloudInThread(tmp_path / "state", None, clock)
    try:
        scripts = Scripts(cloud)
        folder = cloud.state / "deployment-scripts"

        def kept() -> set[str]:
            return {path.name for run in folder.iterdir() for path in run.iterdir()}

        async def later(seconds: float) -> None:
            await clock.advance(seconds)

        scripts.run("brief", "echo hi")
        assert kept() == {"log.txt"}
        # What has failed is run again as it is; what an earlier run left is gone.
        scripts.run("brief", "echo no; exit 1", cleanupPreference="OnSuccess")
        scripts.run("brief", "echo no; exit 1", cleanupPreference="OnSuccess")
        assert len(list(folder.iterdir())) == 1
        assert "azscriptinput" in kept()
        cloud.call(later(3599))
        assert scripts.get("brief")["properties"]["provisioningState"] == "Failed"
        cloud.stop()
        cloud.start()
        scripts.wire = Wire(cloud)
        assert scripts.get("brief")["properties"]["provisioningState"] == "Failed"
        cloud.call(later(2))
        cloud.until(lambda: scripts.get("brief").get("error", {}).get("code"))
        assert scripts.get("brief")["error"]["code"] == "ResourceNotFound"
        cloud.until(lambda: not list(folder.iterdir()))
    finally:
        cloud.stop()
