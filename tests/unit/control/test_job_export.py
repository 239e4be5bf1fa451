"""A live job as Bicep, ARM template and settings: the same job comes of it, and no secret does."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from orchestrator.jobs.bicep_text import bicep, identifier, literal
from orchestrator.jobs.body import Surroundings, job_resource, secret_values
from orchestrator.jobs.diff import changes
from orchestrator.jobs.export import as_bicep, as_json, as_toml
from orchestrator.settings import Settings, check

BASE = "/subscriptions/s/resourceGroups/rg/providers"
OWN, PULL, SCALER = (
    f"{BASE}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    for name in ("id-receiver", "id-pull", "id-scaler")
)
PLACE = Surroundings(
    location="westeurope",
    environment_id=f"{BASE}/Microsoft.App/managedEnvironments/e",
    identity_id=None,
    registry="acr.azurecr.io",
    namespace="bus",
    own={"receiver": (OWN, "client-1")},
    pull_identity_id=PULL,
    scaler_identity_id=SCALER,
    values={"servicebus": "bus.servicebus.windows.net", "identity.client_id": None},
)
JOB: dict[str, Any] = {
    "trigger": "event",
    "image": "team/receiver:1.0",
    "cpu": 0.5,
    "command": ["python", "-c", "print('$${x}')\n\\"],
    "args": ["[not an expression]", "tab\there"],
    "timeout": "90s",
    "retries": 2,
    "parallelism": 3,
    "completions": 2,
    "sends": [],
    "receives": ["results"],
    "env": {
        "HOST": "${servicebus}",
        "AZURE_CLIENT_ID": "${identity.client_id}",
        "COSTS": "$${5}",
        "TOKEN": {"secret": "api-token"},
    },
    "secrets": {
        "api-token": {"env": "API_TOKEN"},
        "pin": {"key_vault": "https://kv.vault.azure.net/secrets/pin"},
    },
    "scale": {
        "min_executions": 1,
        "max_executions": 10,
        "polling_interval": "5s",
        "rules": [
            {"name": "results", "queue": "results", "message_count": 7},
            {
                "name": "cpu",
                "type": "cpu",
                "metadata": {"value": "5"},
                "auth": [{"secret": "pin", "parameter": "p"}],
            },
        ],
    },
}
SECRET = "s3cret-value"


def settings(jobs: dict[str, Any]) -> Settings:
    return check({"queues": {"results": {}}, "jobs": jobs}, Path("/project/orchestrator.toml"))


def wanted(read: Settings, name: str = "receiver") -> dict[str, Any]:
    values = secret_values(read, read.jobs, {"API_TOKEN": SECRET})
    return job_resource(name, read.jobs[name], PLACE, values)


def live() -> dict[str, Any]:
    """The job as the service would send it, with all that it adds."""
    resource = copy.deepcopy(wanted(settings({"receiver": JOB})))
    resource["id"] = f"{BASE}/Microsoft.App/jobs/receiver"
    resource["name"], resource["type"] = "receiver", "Microsoft.App/jobs"
    resource["systemData"] = {"createdAt": "2026-01-01T00:00:00Z"}
    resource["location"] = "West Europe"
    resource["tags"] = {"team": "a 'b'"}
    for entry in resource["identity"]["userAssignedIdentities"].values():
        entry |= {"clientId": "c", "principalId": "p"}
    resource["properties"] |= {
        "provisioningState": "Succeeded",
        "runningState": "Ready",
        "outboundIpAddresses": ["1.2.3.4"],
        "eventStreamEndpoint": "https://…",
    }
    configuration = resource["properties"]["configuration"]
    configuration |= {"manualTriggerConfig": None, "scheduleTriggerConfig": None}
    for secret in configuration["secrets"]:
        secret.pop("value", None)  # as the service answers
    return resource


def test_as_settings_it_is_the_same_job() -> None:
    text = as_toml(live(), PLACE, settings({"receiver": JOB}).jobs["receiver"])
    read = settings(tomllib.loads(text)["jobs"])
    assert changes(wanted(settings({"receiver": JOB})), wanted(read)) == ()
    assert read.jobs["receiver"] == settings({"receiver": JOB}).jobs["receiver"]
    assert "#" not in text


def test_a_job_that_rests_is_one_of_settings() -> None:
    """`az containerapp job update --max-executions 0` makes it so."""
    resource = live()
    scale = resource["properties"]["configuration"]["eventTriggerConfig"]["scale"]
    scale |= {"minExecutions": 0, "maxExecutions": 0}
    read = settings(tomllib.loads(as_toml(resource, PLACE))["jobs"]).jobs["receiver"].scale
    assert read is not None
    assert (read.min_executions, read.max_executions) == (0, 0)


def test_what_settings_have_no_word_for_is_said() -> None:
    resource = live()
    template = resource["properties"]["template"]
    template["initContainers"] = [{"name": "before", "image": "x"}]
    template["containers"].append({"name": "sidecar", "image": "y"})
    template["volumes"] = [{"name": "v", "storageType": "EmptyDir"}]
    resource["identity"]["userAssignedIdentities"]["/somebody/elses"] = {}
    text = as_toml(resource, PLACE)
    for said in ("init containers: before", "more containers: sidecar", "volumes", "/somebody"):
        assert said in text
    assert tomllib.loads(text)["jobs"]["receiver"]["secrets"]["api-token"] == {
        "env": "RECEIVER_API_TOKEN"
    }


def test_an_arm_template_has_the_body_and_secure_parameters() -> None:
    template = json.loads(as_json(live()))
    parameters = template["parameters"]
    assert parameters["apiToken"]["type"] == "securestring"
    assert "defaultValue" not in parameters["apiToken"]
    assert all(p["metadata"]["description"] for p in parameters.values())
    (job,) = template["resources"]
    assert job["name"] == "[parameters('name')]"
    configuration = job["properties"]["configuration"]
    assert configuration["secrets"] == [
        {"name": "api-token", "value": "[parameters('apiToken')]"},
        {
            "name": "pin",
            "keyVaultUrl": "https://kv.vault.azure.net/secrets/pin",
            "identity": OWN,
        },
    ]
    container = job["properties"]["template"]["containers"][0]
    assert container["args"][0] == "[[not an expression]"
    assert "provisioningState" not in job["properties"]
    assert "manualTriggerConfig" not in configuration
    assert job["identity"]["userAssignedIdentities"] == {OWN: {}, PULL: {}, SCALER: {}}


@pytest.mark.parametrize("write", [as_bicep, as_json, lambda r: as_toml(r, PLACE)])
def test_no_secret_is_written_even_when_the_service_tells_it(write: Any) -> None:
    resource = live()
    for secret in resource["properties"]["configuration"]["secrets"]:
        secret["value"] = SECRET
    assert SECRET not in write(resource)


def test_bicep_says_strings_as_they_are() -> None:
    assert literal("it's ${x} \\ \n") == "'it\\'s \\${x} \\\\ \\n'"
    assert bicep({"a-b": [0.25, 2.0, True, None, []]}) == (
        "{\n  'a-b': [\n    json('0.25')\n    2\n    true\n    null\n    []\n  ]\n}"
    )
    assert identifier("service-bus key") == "serviceBusKey"
    assert identifier("2fa") == "p2fa"
