"""From settings to the resource, and what differs from the live one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import ProfileError, SettingsError
from orchestrator.jobs.body import (
    Surroundings,
    full_image,
    job_record,
    job_resource,
    secret_values,
)
from orchestrator.jobs.diff import HIDDEN, changes
from orchestrator.settings import JobSpec, Settings, check

ENVIRONMENT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.App/managedEnvironments/e"
IDENTITY = (
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity"
    "/userAssignedIdentities/i"
)
PLACE = Surroundings(
    location="westeurope",
    environment_id=ENVIRONMENT,
    identity_id=IDENTITY,
    registry="acr.azurecr.io",
    namespace="bus",
    values={
        "servicebus": "bus.servicebus.windows.net",
        "identity.client_id": lambda: "client-id",
        "namespace": "bus",
        "registry": None,
    },
)


def spec(**given: Any) -> JobSpec:
    written = {"trigger": "manual", "image": "sender", **given}
    return settings(job=written).jobs["job"]


def settings(**jobs: dict[str, Any]) -> Settings:
    return check({"jobs": jobs}, Path("/project/orchestrator.toml"))


EVENT: dict[str, Any] = {
    "trigger": "event",
    "scale": {"rules": [{"name": "results", "queue": "results", "message_count": 100}]},
}


def test_a_manual_job_becomes_the_resource_that_the_service_wants() -> None:
    wanted = job_resource(
        "job",
        spec(
            env={"HOST": "${servicebus}", "ID": "${identity.client_id}", "RAW": "$${servicebus}"},
            args=["--to", "${namespace}"],
            timeout="10m",
            retries=1,
        ),
        PLACE,
        {},
    )
    assert wanted == {
        "location": "westeurope",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}},
        "properties": {
            "environmentId": ENVIRONMENT,
            "configuration": {
                "triggerType": "Manual",
                "replicaTimeout": 600,
                "replicaRetryLimit": 1,
                "manualTriggerConfig": {"parallelism": 1, "replicaCompletionCount": 1},
                "registries": [{"server": "acr.azurecr.io", "identity": IDENTITY}],
            },
            "template": {
                "containers": [
                    {
                        "name": "job",
                        "image": "acr.azurecr.io/sender",
                        "resources": {"cpu": 0.25, "memory": "0.5Gi"},
                        "args": ["--to", "bus"],
                        "env": [
                            {"name": "HOST", "value": "bus.servicebus.windows.net"},
                            {"name": "ID", "value": "client-id"},
                            {"name": "RAW", "value": "${servicebus}"},
                        ],
                    }
                ]
            },
        },
    }


def test_a_queue_rule_becomes_kedas_metadata_with_the_jobs_identity() -> None:
    resource = job_resource("job", spec(**EVENT), PLACE, {})
    scale = resource["properties"]["configuration"]["eventTriggerConfig"]["scale"]
    assert scale == {
        "minExecutions": 0,
        "maxExecutions": 100,
        "pollingInterval": 30,
        "rules": [
            {
                "name": "results",
                "type": "azure-servicebus",
                "metadata": {"queueName": "results", "namespace": "bus", "messageCount": "100"},
                "identity": IDENTITY,
            }
        ],
    }


def test_a_rule_with_a_secret_uses_it_and_not_the_identity() -> None:
    event = {
        "trigger": "event",
        "secrets": {"bus": {"env": "BUS"}},
        "scale": {
            "rules": [
                {
                    "name": "r",
                    "queue": "q",
                    "auth": [{"secret": "bus", "parameter": "connection"}],
                }
            ]
        },
    }
    resource = job_resource("job", spec(**event), PLACE, {("job", "bus"): "Endpoint=sb://x"})
    rule = resource["properties"]["configuration"]["eventTriggerConfig"]["scale"]["rules"][0]
    assert rule["auth"] == [{"secretRef": "bus", "triggerParameter": "connection"}]
    assert "identity" not in rule


def test_a_schedule_carries_its_cron() -> None:
    resource = job_resource("job", spec(trigger="schedule", cron="*/5 * * * *"), PLACE, {})
    trigger = resource["properties"]["configuration"]["scheduleTriggerConfig"]
    assert trigger["cronExpression"] == "*/5 * * * *"


def test_secrets_come_by_reference_and_the_vaults_stay_there() -> None:
    job = spec(
        secrets={"a": {"env": "A"}, "v": {"key_vault": "https://v.vault.azure.net/secrets/s"}},
        env={"TOKEN": {"secret": "a"}},
    )
    resource = job_resource("job", job, PLACE, {("job", "a"): "1"})
    assert resource["properties"]["configuration"]["secrets"] == [
        {"name": "a", "value": "1"},
        {
            "name": "v",
            "keyVaultUrl": "https://v.vault.azure.net/secrets/s",
            "identity": IDENTITY,
        },
    ]
    env = resource["properties"]["template"]["containers"][0]["env"]
    assert env == [{"name": "TOKEN", "secretRef": "a"}]


def test_a_vault_is_read_with_an_identity_that_the_job_has() -> None:
    vault = "https://kv.vault.azure.net/secrets/pin"
    other = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/x/other"
    for identity, kind, ids in (
        ("system", "SystemAssigned, UserAssigned", [IDENTITY]),
        (other, "UserAssigned", [IDENTITY, other]),
    ):
        wanted = spec(secrets={"pin": {"key_vault": vault, "identity": identity}})
        made = job_resource("kv", wanted, PLACE, {})
        assert made["identity"]["type"] == kind
        assert list(made["identity"]["userAssignedIdentities"]) == ids
        assert made["properties"]["configuration"]["secrets"][0]["identity"] == identity


def test_every_secret_that_refers_to_nothing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("value\n")
    both = check(
        {
            "jobs": {
                "one": {
                    "trigger": "manual",
                    "image": "x",
                    "secrets": {
                        "a": {"env": "NOT_SET"},
                        "b": {"file": "not-there"},
                        "c": {"file": "there"},
                    },
                }
            }
        },
        tmp_path / "orchestrator.toml",
    )
    with pytest.raises(SettingsError) as caught:
        secret_values(both, both.jobs, {})
    assert [p.where for p in caught.value.problems] == [
        "jobs.one.secrets.a",
        "jobs.one.secrets.b",
    ]
    assert "NOT_SET is not set" in caught.value.message
    (tmp_path / "not-there").write_text("two")
    values = secret_values(both, both.jobs, {"NOT_SET": "one"})
    assert values == {("one", "a"): "one", ("one", "b"): "two", ("one", "c"): "value"}


def test_a_placeholder_without_a_value_is_told_with_the_key_it_wants() -> None:
    with pytest.raises(ProfileError) as caught:
        job_resource("job", spec(env={"R": "${registry}"}), PLACE, {})
    assert "jobs.job.env.R" in caught.value.message
    assert "registry" in caught.value.hint


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("sender", "acr.azurecr.io/sender"),
        ("team/sender:1", "acr.azurecr.io/team/sender:1"),
        ("mcr.microsoft.com/x", "mcr.microsoft.com/x"),
        ("localhost/x", "localhost/x"),
        ("host:5000/x", "host:5000/x"),
    ],
)
def test_an_image_without_a_server_comes_from_the_registry(image: str, full: str) -> None:
    assert full_image(image, "acr.azurecr.io") == full
    assert full_image("sender", None) == "sender"


# ------------------------------------------------------------------------------- differences


def as_the_service_answers(resource: dict[str, Any]) -> dict[str, Any]:
    """What comes back for a PUT: defaults filled in, ids in other letters, more keys."""
    live = copy.deepcopy(resource)
    live["id"] = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.App/jobs/job"
    live["name"] = "job"
    live["location"] = "West Europe"
    live["identity"]["userAssignedIdentities"] = {
        IDENTITY.lower(): {"principalId": "p", "clientId": "c"}
    }
    properties = live["properties"]
    properties["environmentId"] = ENVIRONMENT.replace("resourceGroups", "resourcegroups")
    properties["workloadProfileName"] = "Consumption"
    properties["provisioningState"] = "Succeeded"
    configuration = properties["configuration"]
    configuration.setdefault("secrets", None)
    configuration["identitySettings"] = []
    container = properties["template"]["containers"][0]
    container["resources"]["ephemeralStorage"] = "1Gi"
    container["imageType"] = "ContainerImage"
    properties["template"]["volumes"] = None
    for rule in configuration.get("eventTriggerConfig", {}).get("scale", {}).get("rules", []):
        rule["metadata"]["messageCount"] = int(rule["metadata"]["messageCount"])
    return live


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"env": {"A": "b"}, "command": ["x"], "args": ["y"]},
        {"trigger": "schedule", "cron": "0 0 * * *"},
        EVENT,
        {"secrets": {"s": {"env": "S"}}, "env": {"T": {"secret": "s"}}},
    ],
)
def test_what_the_service_adds_is_no_difference(given: dict[str, Any]) -> None:
    wanted = job_resource("job", spec(**given), PLACE, {("job", "s"): "1"})
    assert changes(as_the_service_answers(wanted), wanted) == ()


def shown(before: dict[str, Any], after: dict[str, Any], values: tuple[str, str]) -> list[str]:
    old = job_resource("job", spec(**before), PLACE, {("job", "s"): values[0]})
    new = job_resource("job", spec(**after), PLACE, {("job", "s"): values[1]})
    return [str(change) for change in changes(as_the_service_answers(old), new)]


SECRET = {"secrets": {"s": {"env": "S"}}}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"timeout": "10m"}, {"timeout": "90s"}, ["timeout: 10m → 1m30s"]),
        ({"env": {"A": "1"}}, {"env": {"A": "2"}}, ["env.A: 1 → 2"]),
        ({"env": {"A": "1"}}, {}, ["env.A: 1 → (none)"]),
        ({}, {"args": ["x", "y"]}, ["args: (none) → x y"]),
        ({}, {"env": {"EMPTY": ""}}, ['env.EMPTY: (none) → ""']),
        ({}, {"cpu": 0.5}, ["cpu: 0.25 → 0.5", "memory: 0.5Gi → 1Gi"]),
        (
            {},
            {"trigger": "schedule", "cron": "0 * * * *"},
            ["trigger: manual → schedule", "cron: (none) → 0 * * * *"],
        ),
        (
            EVENT,
            {**EVENT, "scale": {"rules": [{"name": "results", "queue": "other"}]}},
            [
                "scale.rules.results.queueName: results → other",
                "scale.rules.results.messageCount: 100 → 5",
            ],
        ),
        ({}, SECRET, [f"secrets.s: (none) → {HIDDEN}"]),
        (SECRET, {}, [f"secrets.s: {HIDDEN} → (none)"]),
    ],
)
def test_what_a_user_wrote_is_a_difference(
    before: dict[str, Any], after: dict[str, Any], told: list[str]
) -> None:
    assert shown(before, after, ("1", "1")) == told


def test_a_dedicated_workload_profile_is_a_difference_and_consumption_is_the_default() -> None:
    bare = job_resource("job", spec(), PLACE, {})
    consumption = job_resource("job", spec(workload_profile="Consumption"), PLACE, {})
    dedicated = job_resource("job", spec(workload_profile="D4"), PLACE, {})
    assert changes(bare, consumption) == ()
    assert [str(c) for c in changes(dedicated, bare)] == ["workload_profile: D4 → (none)"]


def test_another_value_of_a_secret_is_a_difference_that_is_not_shown() -> None:
    assert shown(SECRET, SECRET, ("hunter2", "correct horse")) == [
        f"secrets.s: {HIDDEN} → {HIDDEN}"
    ]
    assert shown(SECRET, SECRET, ("same", "same")) == []


def test_a_second_container_that_somebody_added_is_a_difference() -> None:
    wanted = job_resource("job", spec(), PLACE, {})
    live = as_the_service_answers(wanted)
    live["properties"]["template"]["containers"].append({"name": "extra", "image": "x"})
    assert "containers.extra.image: x → (none)" in [str(c) for c in changes(live, wanted)]


def test_a_job_is_read_back_from_its_resource() -> None:
    given = {**EVENT, "env": {"A": "b", "T": {"secret": "s"}}, **SECRET, "timeout": "10m"}
    resource = job_resource("job", spec(**given), PLACE, {("job", "s"): "1"})
    job = job_record(as_the_service_answers(resource))
    assert (job.name, job.trigger, job.resource_group) == ("job", "event", "rg")
    assert job.when == "queue results, 100 a time"
    assert job.env == {"A": "b", "T": "secret:s"}
    assert job.secrets == ("s",)
    assert job.provisioning == "Succeeded"


def test_a_bare_resource_is_read_without_a_crash() -> None:
    assert job_record({}).name == ""
    assert job_record({"properties": {"template": {"containers": None}}}).image == ""
