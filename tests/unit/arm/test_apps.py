"""Container apps, which are checked and kept, with their revisions, and do not run."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import Provider
from orchestrator.localcloud.providers.container_apps.app_revisions import APPS, Revisions
from orchestrator.localcloud.providers.container_apps.apps import Apps
from tests.unit.arm.world import GROUP, World, world

ENVIRONMENT = f"{GROUP}/providers/Microsoft.App/managedEnvironments/env"
APP = f"{GROUP}/providers/{APPS}/web"


class OnlyApps(Provider):
    namespace = "Microsoft.App"

    def types(self) -> list[Any]:
        return [Apps(), Revisions()]


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, OnlyApps()) as made:
        await made.group()
        body = {"location": "westeurope", "properties": {"defaultDomain": "x.example"}}
        await made.put(ENVIRONMENT, body)
        yield made


def app(image: str = "a:1", **configuration: Any) -> dict[str, Any]:
    """The smallest app."""
    return {
        "location": "westeurope",
        "properties": {
            "environmentId": ENVIRONMENT,
            "configuration": configuration,
            "template": {"containers": [{"name": "c", "image": image}]},
        },
    }


def suffixed(suffix: str, image: str = "a:1", **configuration: Any) -> dict[str, Any]:
    body = app(image, **configuration)
    body["properties"]["template"]["revisionSuffix"] = suffix
    return body


async def revisions(arm: World) -> dict[str, Any]:
    found = (await arm.get(f"{APP}/revisions"))["value"]
    return {revision["name"]: revision["properties"] for revision in found}


async def test_a_secret_with_an_empty_vault_is_one_with_a_value(arm: World) -> None:
    """Terraform's azurerm provider sends both, and shows no value of one that names a vault."""
    secret = {"name": "s", "value": "hush", "keyVaultUrl": "", "identity": ""}
    made = await arm.put(APP, app(secrets=[secret]))
    assert made["properties"]["configuration"]["secrets"] == [{"name": "s"}]
    told = (await arm.ask("POST", f"{APP}/listSecrets")).body
    assert told == {"value": [{"name": "s", "value": "hush"}]}


async def test_what_the_service_fills_in(arm: World) -> None:
    properties = (await arm.put(APP, app(ingress={"external": True, "targetPort": 80})))[
        "properties"
    ]
    assert properties["latestRevisionName"] == "web--0000001"
    assert properties["latestReadyRevisionName"] == "web--0000001"
    assert properties["latestRevisionFqdn"] == "web--0000001.x.example"
    assert properties["runningStatus"] == "Running"
    assert properties["managedEnvironmentId"] == properties["environmentId"] == ENVIRONMENT
    assert "revisions" not in properties
    configuration = properties["configuration"]
    assert configuration["activeRevisionsMode"] == "Single"
    assert configuration["ingress"] == {
        "external": True,
        "targetPort": 80,
        "exposedPort": 0,
        "transport": "Auto",
        "allowInsecure": False,
        "fqdn": "web.x.example",
        "traffic": [{"weight": 100, "latestRevision": True}],
    }
    assert properties["template"]["scale"] == {
        "maxReplicas": 10,
        "cooldownPeriod": 300,
        "pollingInterval": 30,
    }


async def test_an_app_inside_has_an_address_inside(arm: World) -> None:
    properties = (await arm.put(APP, app(ingress={"targetPort": 80})))["properties"]
    assert properties["configuration"]["ingress"]["fqdn"] == "web.internal.x.example"
    assert properties["latestRevisionFqdn"] == "web--0000001.internal.x.example"


async def test_only_a_changed_template_makes_a_revision(arm: World) -> None:
    await arm.put(APP, app())
    same = await arm.put(APP, app(secrets=[{"name": "s", "value": "v"}]))
    assert same["properties"]["latestRevisionName"] == "web--0000001"
    changed = await arm.put(APP, app("a:2", secrets=[{"name": "s", "value": "v"}]))
    assert changed["properties"]["latestRevisionName"] == "web--0000002"
    found = await revisions(arm)
    assert [(name, it["active"], it["runningState"]) for name, it in found.items()] == [
        ("web--0000001", False, "Stopped"),
        ("web--0000002", True, "Running"),
    ]
    assert found["web--0000001"]["template"]["containers"][0]["image"] == "a:1"
    assert found["web--0000001"]["provisioningState"] == "Deprovisioned"
    assert "lastActiveTime" in found["web--0000001"]


async def test_what_is_read_can_be_sent_again(arm: World) -> None:
    shown = await arm.put(APP, app(ingress={"external": True, "targetPort": 80}))
    again = await arm.put(APP, copy.deepcopy(shown))
    for body in (shown, again):
        body.pop("systemData")
    assert again == shown
    assert len(await revisions(arm)) == 1


async def test_a_suffix_names_a_revision_once(arm: World) -> None:
    made = await arm.put(APP, suffixed("blue"))
    assert made["properties"]["latestRevisionName"] == "web--blue"
    # The same again makes none: templates are deployed more than once.
    assert (await arm.put(APP, suffixed("blue")))["properties"]["latestRevisionName"] == "web--blue"
    with pytest.raises(ArmError, match="revision with suffix blue already exists"):
        await arm.put(APP, suffixed("blue", "a:2"))
    made = await arm.put(APP, suffixed("green", "a:2"))
    assert made["properties"]["latestRevisionName"] == "web--green"


@pytest.mark.parametrize("suffix", ["Blue", "1a", "a--b", "a-", "x" * 50])
async def test_a_suffix_that_is_none(arm: World, suffix: str) -> None:
    with pytest.raises(ArmError, match="Revision name has an invalid value") as refused:
        await arm.put(APP, suffixed(suffix))
    assert refused.value.code == "ContainerAppInvalidRevisionName"


async def test_several_active_revisions_share_the_traffic(arm: World) -> None:
    ingress = {"external": True, "targetPort": 80}
    await arm.put(APP, suffixed("blue", activeRevisionsMode="multiple", ingress=ingress))
    shares = [
        {"revisionName": "web--blue", "weight": 80, "label": "old"},
        {"latestRevision": True, "weight": 20},
    ]
    body = suffixed("green", activeRevisionsMode="Multiple", ingress=ingress | {"traffic": shares})
    await arm.put(APP, body)
    found = await revisions(arm)
    assert {name: (it["active"], it["trafficWeight"]) for name, it in found.items()} == {
        "web--blue": (True, 80),
        "web--green": (True, 20),
    }
    assert found["web--blue"]["labels"] == ["old"]
    # Back in single mode the latest gets everything.
    alone = await arm.put(APP, app(activeRevisionsMode="Single", ingress=ingress))
    traffic = alone["properties"]["configuration"]["ingress"]["traffic"]
    assert traffic == [{"weight": 100, "latestRevision": True}]
    assert not (await revisions(arm))["web--blue"]["active"]


@pytest.mark.parametrize(
    ("traffic", "words"),
    [
        ([{"latestRevision": True, "weight": 90}], "must add up to 100, not 90"),
        ([{"revisionName": "web--no", "weight": 100}], "'web--no' was not found"),
        ([{"weight": 100}], "needs a revisionName, or latestRevision: true"),
    ],
)
async def test_traffic_that_goes_nowhere(arm: World, traffic: Any, words: str) -> None:
    ingress = {"targetPort": 80, "traffic": traffic}
    with pytest.raises(ArmError, match=words):
        await arm.put(APP, app(activeRevisionsMode="Multiple", ingress=ingress))


async def test_revisions_are_activated_and_deactivated(arm: World) -> None:
    await arm.put(APP, app(activeRevisionsMode="Multiple"))
    await arm.put(APP, app("a:2", activeRevisionsMode="Multiple"))
    first = f"{APP}/revisions/web--0000001"
    # What `az` reads of it.
    assert (await arm.ask("POST", f"{first}/deactivate")).body == "Deactivate succeeded"
    assert not (await arm.get(first))["properties"]["active"]
    with pytest.raises(ArmError, match="not active; activate it first"):
        await arm.ask("POST", f"{first}/restart")
    await arm.ask("POST", f"{first}/activate")
    assert (await arm.get(first))["properties"]["active"]
    await arm.ask("POST", f"{first}/restart")
    assert (await arm.get(f"{first}/replicas"))["value"] == []
    for method, path in (("POST", "restart"), ("POST", "activate"), ("GET", "replicas")):
        with pytest.raises(ArmError) as refused:
            await arm.ask(method, f"{APP}/revisions/web--none/{path}")
        assert refused.value.status == 404


async def test_no_more_inactive_revisions_than_wanted(arm: World) -> None:
    for image in ("a:1", "a:2", "a:3", "a:4"):
        await arm.put(APP, app(image, maxInactiveRevisions=1))
    assert list(await revisions(arm)) == ["web--0000003", "web--0000004"]


async def test_an_app_is_stopped_and_started(arm: World) -> None:
    await arm.put(APP, app())
    stopped = (await arm.ask("POST", f"{APP}/stop")).body
    assert stopped["properties"]["runningStatus"] == "Stopped"
    assert (await revisions(arm))["web--0000001"]["runningState"] == "Stopped"
    # A change of it leaves it stopped.
    assert (await arm.put(APP, app("a:2")))["properties"]["runningStatus"] == "Stopped"
    started = (await arm.ask("POST", f"{APP}/start")).body
    assert started["properties"]["runningStatus"] == "Running"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The smallest app with one member set."""
    body = app()
    *outer, last = path.split(".")
    holder = body["properties"]
    for name in outer:
        holder = holder.setdefault(name, {})
    holder[last] = value
    return body


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("environmentId", f"{ENVIRONMENT}x", "was not found"),
        ("template.containers", [], "apps need at least one container"),
        (
            "template.containers",
            [{"name": "c", "image": "i", "resources": {"cpu": 0.5, "memory": "2Gi"}}],
            "must add up to one",
        ),
        (
            "template.containers",
            [{"name": "c", "image": "i", "env": [{"name": "A", "secretRef": "no"}]}],
            "SecretRef 'no' defined for container 'c' not found",
        ),
        ("template.scale", {"minReplicas": 3, "maxReplicas": 2}, "greater than maxReplicas"),
        ("template.scale", {"maxReplicas": 1001}, "at most 1000"),
        ("template.scale", {"rules": [{"name": "r"}]}, "must have one of azureQueue, custom"),
        ("configuration.secrets", [{"name": "s"}], "value or keyVaultUrl"),
        (
            "configuration.registries",
            [{"server": "s.io", "passwordSecretRef": "no"}],
            "PasswordSecretRef 'no'",
        ),
        ("configuration.activeRevisionsMode", "Twice", "Single, Multiple, Labels are"),
        ("configuration.ingress", {"targetPort": 70000}, "at most 65535"),
        ("configuration.ingress", {"transport": "udp"}, "Auto, Http, Http2, Tcp are"),
        ("configuration.ingress", {"transport": "tcp", "external": True}, "have a custom VNET"),
        ("configuration.ingress", {"exposedPort": 5000}, "only be given for the transport Tcp"),
        (
            "configuration.ingress",
            {"ipSecurityRestrictions": [{"name": "a", "ipAddressRange": "x", "action": "Allow"}]},
            "no range of addresses",
        ),
        ("configuration.dapr", {"enabled": True}, "appId' is missing"),
        ("workloadProfileName", "none", "not one of the environment's"),
    ],
)
async def test_what_the_service_refuses(arm: World, path: str, value: Any, words: str) -> None:
    with pytest.raises(ArmError, match=words) as refused:
        await arm.put(APP, changed(path, value))
    assert refused.value.status == 400


@pytest.mark.parametrize("name", ["Web", "1web", "web--a", "web-", "w" * 33])
async def test_a_name_that_is_none(arm: World, name: str) -> None:
    with pytest.raises(ArmError, match="Invalid ContainerApp name") as refused:
        await arm.put(f"{GROUP}/providers/{APPS}/{name}", app())
    assert refused.value.code == "ContainerAppInvalidName"


async def test_a_host_name_of_another_app_is_a_conflict(arm: World) -> None:
    domain = {"name": "www.example", "bindingType": "Disabled"}
    await arm.put(APP, app(ingress={"targetPort": 80, "customDomains": [domain]}))
    other = f"{GROUP}/providers/{APPS}/other"
    await arm.put(other, app())
    asked = "listCustomHostNameAnalysis?customHostname=www.example"
    told = (await arm.ask("POST", f"{other}/{asked.lower()}")).body
    assert told["conflictingContainerAppResourceId"] == APP
    assert (await arm.ask("POST", f"{APP}/{asked.lower()}")).body["isHostnameAlreadyVerified"]
