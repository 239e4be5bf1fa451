"""What Container Apps refuses of a job, and the defaults it fills in."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.container_apps.configuration_rules import (
    Surroundings,
    check_name,
)
from orchestrator.localcloud.providers.container_apps.job_rules import check_properties

IDENTITY = "/subscriptions/s/resourcegroups/g/providers/x/userassignedidentities/jobs"
AROUND = Surroundings(workload_profiles={"consumption"}, identities={IDENTITY})


def job(**configuration: Any) -> dict[str, Any]:
    """Properties of the smallest job, with configuration members replaced."""
    return {
        "configuration": {"triggerType": "Manual", "replicaTimeout": 60} | configuration,
        "template": {
            "containers": [
                {"name": "c", "image": "i", "resources": {"cpu": 0.25, "memory": "0.5Gi"}}
            ]
        },
    }


def container(**members: Any) -> dict[str, Any]:
    """Properties of a job whose one container has these members replaced."""
    properties = job()
    properties["template"]["containers"][0] |= members
    return properties


def schedule(cron: Any) -> dict[str, Any]:
    return job(triggerType="Schedule", scheduleTriggerConfig={"cronExpression": cron})


def event(**scale: Any) -> dict[str, Any]:
    rule = {"name": "r", "type": "azure-servicebus", "metadata": {"queueName": "q"}}
    return job(triggerType="Event", eventTriggerConfig={"scale": {"rules": [rule]} | scale})


def rule(**members: Any) -> dict[str, Any]:
    properties = event()
    scale = properties["configuration"]["eventTriggerConfig"]["scale"]
    scale["rules"][0] |= members
    return properties


def refusal(properties: dict[str, Any], around: Surroundings = AROUND) -> ArmError:
    with pytest.raises(ArmError) as caught:
        check_properties(properties, around)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize("name", ["a", "sender", "a-b-c", "x" * 32, "job2"])
def test_names_that_are_allowed(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name", ["", "Sender", "1job", "-a", "a-", "a--b", "x" * 33, "a_b", "a.b", "ä"]
)
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(ArmError) as caught:
        check_name(name)
    assert caught.value.code == "ContainerAppInvalidName"


def test_the_smallest_job_gets_the_defaults() -> None:
    properties = job(replicaRetryLimit=None, manualTriggerConfig=None)
    del properties["configuration"]["replicaRetryLimit"]
    del properties["configuration"]["manualTriggerConfig"]
    properties["provisioningState"] = "Nonsense"
    check_properties(properties, AROUND)
    assert properties["configuration"] == {
        "triggerType": "Manual",
        "replicaTimeout": 60,
        "replicaRetryLimit": 0,
        "manualTriggerConfig": {"parallelism": 1, "replicaCompletionCount": 1},
        "identitySettings": [],
    }
    assert properties["workloadProfileName"] == "Consumption"
    assert properties["template"]["containers"][0]["resources"] == {
        "cpu": 0.25,
        "memory": "0.5Gi",
        "ephemeralStorage": "1Gi",
    }
    assert "provisioningState" not in properties


def test_an_event_job_is_paused_with_no_executions_at_most() -> None:
    properties = event(minExecutions=0, maxExecutions=0)
    check_properties(properties, AROUND)
    assert properties["configuration"]["eventTriggerConfig"]["scale"]["maxExecutions"] == 0


def test_images_are_pulled_with_an_identity_of_the_environment_too() -> None:
    lent = IDENTITY.replace("jobs", "environments")
    around = Surroundings(lent={lent})
    check_properties(job(registries=[{"server": "r.azurecr.io", "identity": lent.upper()}]), around)
    secret = {"name": "s", "keyVaultUrl": "https://v", "identity": lent}
    assert refusal(job(secrets=[secret]), around).code == "ManagedIdentityNotAssigned"


def test_resources_are_written_as_the_service_writes_them() -> None:
    properties = container(resources={"cpu": 0.5, "memory": "1.0Gi"})
    properties["template"]["initContainers"] = [{"name": "init", "image": "i"}]
    check_properties(properties, AROUND)
    half = {"cpu": 0.5, "memory": "1Gi", "ephemeralStorage": "2Gi"}
    assert properties["template"]["containers"][0]["resources"] == half
    assert properties["template"]["initContainers"][0]["resources"] == half


def test_an_event_job_gets_the_scalers_defaults() -> None:
    properties = event()
    check_properties(properties, AROUND)
    scale = properties["configuration"]["eventTriggerConfig"]["scale"]
    assert (scale["minExecutions"], scale["maxExecutions"], scale["pollingInterval"]) == (
        0,
        100,
        30,
    )


def test_checking_what_was_checked_changes_nothing() -> None:
    for properties in (job(), event(), schedule("*/5 * * * *")):
        check_properties(properties, AROUND)
        once = copy.deepcopy(properties)
        check_properties(properties, AROUND)
        assert properties == once


def test_a_job_that_changes_its_trigger_keeps_nothing_of_the_old_one() -> None:
    properties = schedule("0 * * * *")
    properties["configuration"]["manualTriggerConfig"] = {"parallelism": 3}
    check_properties(properties, AROUND)
    assert "manualTriggerConfig" not in properties["configuration"]


@pytest.mark.parametrize(
    "cron", ["* * * * *", "*/5 * * * *", "0 4 * * 1-5", "20 0,1,2 * * *", "0 0 1 JAN *"]
)
def test_cron_expressions_that_are_allowed(cron: str) -> None:
    check_properties(schedule(cron), AROUND)


@pytest.mark.parametrize(
    ("cron", "wanted"),
    [
        ("0 */5 * * * *", "6 fields instead of five"),
        ("* * * *", "4 fields instead of five"),
        ("@daily", "1 fields instead of five"),
        ("60 * * * *", "minute"),
        ("* 25 * * *", "hour"),
        ("0 0 31 2 *", "day-of-month"),
        ("every day at 5 am", "bad minute"),
    ],
)
def test_cron_expressions_that_are_not(cron: str, wanted: str) -> None:
    error = refusal(schedule(cron))
    assert error.code == "InvalidCronExpression"
    assert error.target == "configuration.scheduleTriggerConfig.cronExpression"
    assert wanted in error.message
    assert cron in error.message


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        (0.25, ".5Gi"),
        (0.25, "0.5Gi"),
        (0.5, "1.0Gi"),
        ("0.75", "1.5Gi"),
        (1, "2Gi"),
        (4, "8Gi"),
        (2.0, "4.0Gi"),
    ],
)
def test_cpu_and_memory_that_belong_together(cpu: Any, memory: str) -> None:
    check_properties(container(resources={"cpu": cpu, "memory": memory}), AROUND)


@pytest.mark.parametrize(
    ("cpu", "memory"),
    [(0.25, "1Gi"), (0.3, "0.6Gi"), (4.25, "8.5Gi"), (1, "2.1Gi"), (0.125, "0.25Gi")],
)
def test_cpu_and_memory_that_do_not(cpu: float, memory: str) -> None:
    error = refusal(container(resources={"cpu": cpu, "memory": memory}))
    assert error.code == "ContainerAppInvalidResourceTotal"
    assert "[cpu: 0.25, memory: 0.5Gi]" in error.message


def test_without_workload_profiles_two_cores_are_the_most() -> None:
    big = container(resources={"cpu": 4, "memory": "8Gi"})
    assert refusal(big, Surroundings()).code == "ContainerAppInvalidResourceTotal"


def test_on_a_dedicated_profile_cpu_and_memory_need_not_pair() -> None:
    around = Surroundings(workload_profiles={"consumption", "d4"}, dedicated={"d4"})
    odd = container(resources={"cpu": 1.75, "memory": "2.5Gi"})
    check_properties(odd | {"workloadProfileName": "D4"}, around)
    assert refusal(odd, around).code == "ContainerAppInvalidResourceTotal"


def test_resources_count_over_all_containers_but_not_init_containers() -> None:
    properties = job()
    one = properties["template"]["containers"][0]
    properties["template"]["containers"].append(copy.deepcopy(one) | {"name": "d"})
    properties["template"]["initContainers"] = [{"name": "i", "image": "i"}]
    check_properties(properties, AROUND)
    properties["template"]["containers"][1]["resources"]["memory"] = "1Gi"
    assert refusal(properties).code == "ContainerAppInvalidResourceTotal"


@pytest.mark.parametrize(
    ("properties", "code", "target"),
    [
        (job(triggerType=None), None, "configuration.triggerType"),
        (job(triggerType="Sometimes"), "InvalidTriggerType", "configuration.triggerType"),
        (job(replicaTimeout=None), None, "configuration.replicaTimeout"),
        (job(replicaTimeout=0), None, "configuration.replicaTimeout"),
        (job(replicaTimeout=True), None, "configuration.replicaTimeout"),
        (job(replicaTimeout="soon"), None, "configuration.replicaTimeout"),
        (job(replicaTimeout=1.5), None, "configuration.replicaTimeout"),
        (job(replicaTimeout=2**31), None, "configuration.replicaTimeout"),
        (job(replicaRetryLimit=-1), None, "configuration.replicaRetryLimit"),
        (
            job(manualTriggerConfig={"parallelism": 0}),
            None,
            "configuration.manualTriggerConfig.parallelism",
        ),
        (
            job(manualTriggerConfig={"replicaCompletionCount": 0}),
            None,
            "configuration.manualTriggerConfig.replicaCompletionCount",
        ),
        (job(manualTriggerConfig=[]), None, "configuration.manualTriggerConfig"),
        (schedule(None), None, "configuration.scheduleTriggerConfig.cronExpression"),
        (schedule(5), None, "configuration.scheduleTriggerConfig.cronExpression"),
        (event(minExecutions=-1), None, "configuration.eventTriggerConfig.scale.minExecutions"),
        (
            event(minExecutions=5, maxExecutions=4),
            None,
            "configuration.eventTriggerConfig.scale.minExecutions",
        ),
        (event(maxExecutions=-1), None, "configuration.eventTriggerConfig.scale.maxExecutions"),
        (event(rules=[]), None, "configuration.eventTriggerConfig.scale.rules"),
        (
            event(pollingInterval=0),
            None,
            "configuration.eventTriggerConfig.scale.pollingInterval",
        ),
        (
            rule(auth=[{"triggerParameter": "connection"}]),
            None,
            "configuration.eventTriggerConfig.scale.rules[0].auth[0].secretRef",
        ),
        (
            rule(identity="/subscriptions/s/other"),
            "ManagedIdentityNotAssigned",
            "configuration.eventTriggerConfig.scale.rules[0].identity",
        ),
        (
            rule(metadata={"queueName": {"of": "the namespace"}}),
            None,
            "configuration.eventTriggerConfig.scale.rules[0].metadata.queueName",
        ),
        (job(secrets=[{"name": "s"}]), "ContainerAppSecretInvalid", "configuration.secrets"),
        (
            job(secrets=[{"name": "S!", "value": "v"}]),
            "ContainerAppSecretInvalid",
            "configuration.secrets[0].name",
        ),
        (
            job(secrets=[{"name": "s", "value": "1"}, {"name": "s", "value": "2"}]),
            "ContainerAppSecretInvalid",
            "configuration.secrets[1].name",
        ),
        (
            job(registries=[{"server": "r", "passwordSecretRef": "nope"}]),
            "ContainerAppRegistryPasswordSecretRefNotFound",
            "configuration.registries[0].passwordSecretRef",
        ),
        (
            job(registries=[{"server": "r", "identity": "system"}]),
            "ManagedIdentityNotAssigned",
            "configuration.registries[0].identity",
        ),
        (
            container(name="Upper"),
            "InvalidParameterValueInContainerTemplate",
            "template.containers[0].name",
        ),
        (
            container(image="has space"),
            "InvalidParameterValueInContainerTemplate",
            "template.containers[0].image",
        ),
        (container(image=""), None, "template.containers[0].image"),
        (container(command="sh"), None, "template.containers[0].command"),
        (container(args=[1]), None, "template.containers[0].args[0]"),
        (
            container(env=[{"name": "A", "secretRef": "nope"}]),
            "ContainerAppSecretRefNotFound",
            "template.containers[0].env[0].secretRef",
        ),
        (container(env=[{"value": "x"}]), None, "template.containers[0].env[0].name"),
        (
            container(env=[{"name": "A=B", "value": "x"}]),
            "InvalidParameterValueInContainerTemplate",
            "template.containers[0].env[0].name",
        ),
        (container(env=[{"name": "A", "value": {}}]), None, "template.containers[0].env[0].value"),
        (container(env=["A=B"]), None, "template.containers[0].env[0]"),
        (
            container(resources={"cpu": "much"}),
            "InvalidParameterValueInContainerTemplate",
            "template.containers[0].resources.cpu",
        ),
        (
            container(resources={"cpu": 0.25, "memory": "512Mi"}),
            "InvalidParameterValueInContainerTemplate",
            "template.containers[0].resources.memory",
        ),
        (
            container(volumeMounts=[{"volumeName": "v", "mountPath": "/v"}]),
            "InvalidParameterValueInContainerTemplate",
            "template.containers[0].volumeMounts[0].volumeName",
        ),
        (
            job() | {"template": {}},
            "InvalidParameterValueInContainerTemplate",
            "template.containers",
        ),
        (
            job() | {"workloadProfileName": "Huge"},
            "WorkloadProfileNotFound",
            "workloadProfileName",
        ),
    ],
)
def test_what_is_refused_names_its_place(
    properties: dict[str, Any], code: str | None, target: str
) -> None:
    error = refusal(properties)
    assert error.target == target
    assert error.code == (code or "InvalidRequestParameterWithDetails")
    assert error.message.endswith((".", "]"))


def test_every_fault_is_told_at_once() -> None:
    error = refusal(job(replicaTimeout=0, replicaRetryLimit=-1) | {"template": {}})
    assert [detail.target for detail in error.details] == [
        "configuration.replicaTimeout",
        "configuration.replicaRetryLimit",
        "template.containers",
    ]
    assert error.message.startswith("The following field(s) are either invalid or missing.")
    assert "must be at least 1" in error.message


def test_references_to_what_is_there_are_fine() -> None:
    properties = job(
        secrets=[{"name": "conn", "value": "x"}, {"name": "vault", "keyVaultUrl": "https://v/s/x"}],
        registries=[{"server": "r.azurecr.io", "identity": IDENTITY.upper()}],
    )
    properties["configuration"]["secrets"][1]["identity"] = IDENTITY
    properties["template"]["containers"][0]["env"] = [
        {"name": "A", "secretRef": "conn"},
        {"name": "N", "value": 5},
    ]
    properties["template"]["volumes"] = [
        {"name": "v", "storageType": "Secret", "secrets": [{"secretRef": "conn"}]}
    ]
    properties["template"]["containers"][0]["volumeMounts"] = [
        {"volumeName": "v", "mountPath": "/v"}
    ]
    check_properties(properties, AROUND)
    assert properties["template"]["containers"][0]["env"][1]["value"] == "5"
