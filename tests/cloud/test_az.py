"""The unmodified Azure CLI on the local cloud, with what `local env --az` gives it.

Skipped where there is no `az`: `pip install azure-cli` in a virtual environment of its own, and put
it on PATH, or name it in ORCHESTRATOR_TEST_AZ.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator import az_configuration
from orchestrator.cli.shell_exports import variables
from tests.conftest import CloudInThread

AZ = os.environ.get("ORCHESTRATOR_TEST_AZ") or shutil.which("az")

pytestmark = pytest.mark.skipif(
    AZ is None, reason="there is no az here: pip install azure-cli elsewhere, and put it on PATH"
)


class Az:
    """Runs commands of `az` in an environment as `local env --az` exports it."""

    def __init__(self, cloud: CloudInThread, folder: Path) -> None:
        config = az_configuration.write(folder, cloud.connection)
        values = variables(cloud.connection)
        self._env = {**os.environ, **values, "AZURE_CONFIG_DIR": str(config)}
        self._env.pop("AZURE_CLIENT_ID", None)

    def refused(self, line: str, *more: str) -> str:
        """A command that fails: what it said."""
        done = self._run(line, more)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def __call__(self, line: str, *more: str) -> Any:
        done = self._run(line, more)
        assert done.returncode == 0, f"az {line}\n{done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line as it is typed."""
        path = os.pathsep.join([str(Path(str(AZ)).parent), os.environ["PATH"]])
        return subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self._env | {"PATH": path},
            stdin=subprocess.DEVNULL,
        )

    def _run(self, line: str, more: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AZ), *line.split(), *more, "--output", "json"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self._env,
            stdin=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def az(cloud: CloudInThread, tmp_path_factory: pytest.TempPathFactory) -> Az:
    made = Az(cloud, tmp_path_factory.mktemp("az"))
    made("group create -n azlab -l westeurope")
    return made


def test_it_is_logged_in_without_a_step(az: Az, cloud: CloudInThread) -> None:
    account = az("account show")
    assert account["id"] == cloud.connection["subscription"]
    assert account["environmentName"] == az_configuration.CLOUD
    assert az("ad signed-in-user show")["userPrincipalName"] == "developer@localhost"


def test_a_job_with_a_registry_identity_is_created_and_started(az: Az) -> None:
    """As the sample's 01-create-job.sh does, whose look-ups in Graph have to be answered."""
    identity = az("identity create -n azworker -g azlab")
    registry = az("acr create -n azlabregistry --sku Basic -g azlab")
    az("containerapp env create -n azenv -g azlab --logs-destination none")
    az(
        "containerapp job create -n azjob -g azlab --environment azenv --trigger-type Manual "
        "--replica-timeout 300 --replica-retry-limit 0 --cpu 0.25 --memory 0.5Gi "
        f"--image {registry['loginServer']}/python:v1 --registry-server {registry['loginServer']}",
        *("--registry-identity", identity["id"]),
    )
    held = az(f"role assignment list --scope {registry['id']}")
    assert [(it["roleDefinitionName"], it["principalId"]) for it in held] == [
        ("AcrPull", identity["principalId"])
    ]
    started = az("containerapp job start -n AZJOB -g AzLab")
    listed = az("containerapp job execution list -n azjob -g azlab")
    assert [execution["name"] for execution in listed] == [started["name"]]
    assert az("containerapp job identity show -n azjob -g azlab")["type"] == "UserAssigned"
    in_use = az.refused("containerapp env delete -n azenv -g azlab --yes")
    assert "ManagedEnvironmentInUse" in in_use


def test_an_app_is_updated_and_its_revisions_share_the_traffic(az: Az) -> None:
    az("containerapp env create -n azapps -g azlab --logs-destination none")
    image = "mcr.microsoft.com/k8se/quickstart:latest"
    made = az(
        f"containerapp create -n azweb -g azlab --environment azapps --image {image} "
        "--ingress external --target-port 80 --revisions-mode multiple"
    )
    assert made["properties"]["configuration"]["ingress"]["fqdn"].startswith("azweb.")
    az("containerapp update -n azweb -g azlab --set-env-vars A=1 --revision-suffix two")
    az(
        "containerapp ingress traffic set -n azweb -g azlab "
        "--revision-weight latest=80 azweb--0000001=20"
    )
    listed = az("containerapp revision list -n azweb -g azlab")
    assert {it["name"]: it["properties"]["trafficWeight"] for it in listed} == {
        "azweb--0000001": 20,
        "azweb--two": 80,
    }
    told = az("containerapp revision deactivate -n azweb -g azlab --revision azweb--0000001")
    assert told == "Deactivate succeeded"
    listed = az("containerapp revision list -n azweb -g azlab")
    assert [it["name"] for it in listed] == ["azweb--two"]
    az("containerapp revision restart -n azweb -g azlab --revision azweb--two")
    assert az("containerapp replica list -n azweb -g azlab") == []
    az("containerapp secret set -n azweb -g azlab --secrets s=hush")
    secrets = az("containerapp secret list -n azweb -g azlab --show-values")
    assert secrets == [{"name": "s", "value": "hush"}]
    az("containerapp delete -n azweb -g azlab --yes")


def test_a_custom_role_is_made_listed_by_its_name_and_deleted(az: Az, cloud: CloudInThread) -> None:
    role = {
        "Name": "Job reader",
        "Description": "Reads jobs.",
        "Actions": ["Microsoft.App/jobs/read"],
        "AssignableScopes": [f"/subscriptions/{cloud.connection['subscription']}"],
    }
    made = az("role definition create --role-definition", json.dumps(role))
    assert (made["roleName"], made["roleType"]) == ("Job reader", "CustomRole")
    listed = az("role definition list --custom-role-only")
    assert [(it["roleName"], it["createdBy"]) for it in listed] == [
        ("Job reader", az("ad signed-in-user show")["id"])
    ]
    az("role definition delete", "--name", "Job reader")
    assert az("role definition list --custom-role-only") == []


def test_a_lock_holds_and_the_activity_log_tells(az: Az) -> None:
    az("lock create -n keep --lock-type CanNotDelete -g azlab")
    try:
        assert "ScopeLocked" in az.refused("group delete -n azlab --yes")
    finally:
        az("lock delete -n keep -g azlab")
    found = az("monitor activity-log list -g azlab --offset 1h")
    failed = [it["operationName"]["value"] for it in found if it["status"]["value"] == "Failed"]
    assert "Microsoft.Resources/subscriptions/resourceGroups/delete" in failed


def test_the_commands_of_the_documentation_end_well(az: Az) -> None:
    """Blocks of docs/az.md, line by line; a line that says "refused" has to be."""
    text = (Path(__file__).parents[2] / "docs" / "az.md").read_text(encoding="utf-8")
    part = text.partition("## What works")[2].partition("## Templates")[0]
    blocks = re.findall(r"```bash\n(.*?)```", part, re.DOTALL)
    assert len(blocks) == 2
    # The name of a namespace is one in the whole cloud, which other tests have, too.
    script = "".join(blocks).replace("sb-lab", "sb-lab-docs").replace("\\\n", " ")
    for line in script.splitlines():
        command, _, remark = line.partition("#")
        done = az.shell(command)
        refused = "refused" in remark
        assert (done.returncode != 0) is refused, f"{line}\n{done.stdout}\n{done.stderr}"


def test_bicep_is_deployed_with_the_compiler_that_is_there(az: Az, tmp_path: Path) -> None:
    template = tmp_path / "main.bicep"
    template.write_text(
        "param name string\n"
        "resource id 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {\n"
        "  name: name\n"
        "  location: resourceGroup().location\n"
        "}\n"
        "output principal string = id.properties.principalId\n"
    )
    line = f"deployment group create -g azlab -n fromaz --template-file {template}"
    made = az(line, "--parameters", "name=frombicep")
    principal = az("identity show -n frombicep -g azlab")["principalId"]
    assert made["properties"]["outputs"]["principal"]["value"] == principal


def test_what_a_stranger_tries_next(az: Az, cloud: CloudInThread, tmp_path: Path) -> None:
    """Commands that met an answer of another shape, or none."""
    subscription = cloud.connection["subscription"]
    [usage] = az("containerapp list-usages -l westeurope")["value"]
    assert usage["name"]["value"] == "ManagedEnvironmentCount"
    az("tag create -n aznext")
    az("tag delete -n aznext --yes")
    az("account management-group create --no-register --name azmg --display-name MG")
    shown = az("account management-group show --no-register --name azmg")
    assert shown["details"]["parent"]["displayName"] == "Tenant Root Group"
    az("account management-group delete --no-register --name azmg")
    az("network private-dns zone create -n az.example -g azlab")
    az("network private-dns record-set a add-record -g azlab -z az.example -n w -a 10.0.0.1")
    sets = az("network private-dns record-set list -g azlab -z az.example")
    assert [it["fqdn"] for it in sets] == ["w.az.example.", "az.example."]
    az("monitor log-analytics workspace create -n azlogs -g azlab -l westeurope")
    workspace = "-g azlab --workspace-name azlogs"
    search = f"monitor log-analytics workspace saved-search create {workspace} -n s"
    made = az(f"{search} --category c --display-name d -q Usage")
    assert made["query"] == "Usage"
    assert az(f"monitor log-analytics workspace pack list {workspace}") == []
    az("servicebus namespace create -n azlab-next -g azlab")
    bus = f"/subscriptions/{subscription}/resourceGroups/azlab/providers/Microsoft.ServiceBus"
    listed = az(
        f"monitor diagnostic-settings categories list --resource {bus}/namespaces/azlab-next"
    )
    assert "OperationalLogs" in [it["name"] for it in listed["value"]]
    alert = (
        f"monitor metrics alert create -n azdynamic -g azlab --scopes {bus}/namespaces/azlab-next"
    )
    az(alert, "--condition", "avg ActiveMessages > dynamic medium 2 of 4")
    refused = az.refused(
        "servicebus georecovery-alias set --alias a -g azlab --namespace-name azlab-next "
        "--partner-namespace other"
    )
    assert "Geo-disaster recovery is not available" in refused
    empty = tmp_path / "empty.json"
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    empty.write_text(json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": []}))
    spec = az(f"ts create -n azspec -v 1.0 -g azlab -l westeurope -f {empty}")
    done = az(f"deployment group create -g azlab -n fromspec --template-spec {spec['id']}")
    assert done["properties"]["templateLink"]["id"] == spec["id"]


def test_a_deployment_script_runs_az_as_its_identity(
    az: Az, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`az` is found where the local cloud looks; logged in without a step, and by one."""
    path = os.pathsep.join([str(Path(str(AZ)).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    hand = "Microsoft.ManagedIdentity/userAssignedIdentities"
    script = {
        "type": "Microsoft.Resources/deploymentScripts",
        "apiVersion": "2023-08-01",
        "name": "listing",
        "location": "westeurope",
        "kind": "AzureCLI",
        "dependsOn": ["hand"],
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {f"[resourceId('{hand}', 'hand')]": {}},
        },
        "properties": {
            "azCliVersion": "2.59.0",
            "retentionInterval": "P1D",
            "scriptContent": "set -e; az account show --query user.name; "
            "az login --identity -o none; "
            'echo "{\\"groups\\": $(az group list --query [].name)}" > $AZ_SCRIPTS_OUTPUT_PATH',
        },
    }
    identity = {"type": hand, "apiVersion": "2023-01-31", "name": "hand", "location": "westeurope"}
    template = tmp_path / "script.json"
    template.write_text(
        json.dumps(
            {
                "$schema": "https://schema.management.azure.com/schemas/2019-04-01/"
                "deploymentTemplate.json#",
                "contentVersion": "1.0.0.0",
                "resources": [identity, script],
                "outputs": {"it": {"type": "object", "value": "[reference('listing').outputs]"}},
            }
        )
    )
    done = az(f"deployment group create -g azlab -n script --template-file {template}")
    assert "azlab" in done["properties"]["outputs"]["it"]["value"]["groups"]
    named = "-g azlab --name listing"
    assert az(f"deployment-scripts show {named}")["provisioningState"] == "Succeeded"
    log = az(f"deployment-scripts show-log {named}")["value"][0]["log"]
    assert log == '"userAssignedIdentity"\n'
    assert [item["name"] for item in az("deployment-scripts list")] == ["listing"]
    az(f"deployment-scripts delete {named} --yes")
    assert az("deployment-scripts list") == []
