"""Templates deployed by the library: everything made and told, nothing twice, taken down again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import errors
from orchestrator.azure.clients import Clients
from orchestrator.azure.profile import resolve
from orchestrator.client import Orchestrator
from orchestrator.results import Step
from orchestrator.settings import load
from tests.conftest import CloudInThread

ROOT = Path(__file__).resolve().parents[2]
SENDER, RECEIVER, OWNER = (
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
    "090c5cfd-751d-490a-894a-3ce6f1109419",
)


class Project:
    """The starter's files in a folder of their own, and a local cloud beside them."""

    def __init__(self, folder: Path, cloud: type[CloudInThread] = CloudInThread) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        shutil.copyfile(ROOT / "orchestrator.toml", self.folder / "orchestrator.toml")
        for name in ("jobs", "templates"):
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("*.pyc"))
        self.cloud = cloud(folder / "state", self.folder)

    def orchestrator(self, group: str, *, text: str = "", **profile: str) -> Orchestrator:
        """The library on this cloud, seen as Azure: nothing named but what is given."""
        settings = (self.folder / "orchestrator.toml").read_text()
        at = settings.index("[profiles.azure]")
        end = settings.index("# ----", at)
        given = {
            "kind": "azure",
            "subscription": self.cloud.connection["subscription"],
            "resource_group": group,
            "location": "westeurope",
            "resource_manager": self.cloud.connection["resource_manager"],
            "ca_bundle": self.cloud.connection["ca_bundle"],
            **profile,
        }
        table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())
        path = self.folder / f"{group}.toml"
        path.write_text(f"{settings[:at]}[profiles.azure]\n{table}\n{text or settings[end:]}")
        read = load(path)
        found = resolve(read, "azure", environ={})
        return Orchestrator(read, found, clients=Clients(found, credential=self.cloud.credential))

    def jobs_text(self) -> str:
        settings = (self.folder / "orchestrator.toml").read_text()
        return settings[settings.index("# ----", settings.index("[profiles.azure]")) :]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    made = Project(tmp_path_factory.mktemp("infra"))
    yield made
    made.cloud.stop()


@pytest.fixture(scope="module")
def orc(project: Project) -> Iterator[Orchestrator]:
    """What the other tests look at: deployed once."""
    with project.orchestrator("rg-one") as made:
        made.infra.deploy()
        yield made


def resource(orc: Orchestrator, resource_id: str, version: str) -> dict[str, Any]:
    found = orc._clients.resources.resources.get_by_id(resource_id, api_version=version)
    return dict(found.as_dict())


# ------------------------------------------------------------------------------- deploy


def test_everything_is_made_told_step_by_step_and_then_left_alone(project: Project) -> None:
    with project.orchestrator("rg-steps") as orc:
        steps: list[Step] = []
        made = orc.infra.deploy(progress=steps.append)
        assert made.state == "succeeded"
        assert {c.action for c in made.changes} == {"created"}
        kinds = [c.kind for c in made.changes]
        assert kinds[0] == "resource group"
        assert {k: kinds.count(k) for k in ("queue", "identity", "role", "environment")} == {
            "queue": 2,
            "identity": 5,
            "role": 6,
            "environment": 1,
        }
        done = [s for s in steps if s.change is not None]
        assert {(s.change.kind, s.change.action) for s in done if s.change} == {
            (c.kind, "created") for c in made.changes[1:]
        }
        assert [s.number for s in done] == list(range(1, len(done) + 1))
        assert {s.total for s in done} == {len(made.changes) - 1}
        stack = orc.infra.stack()
        again = orc.infra.deploy()
        assert {c.action for c in again.changes} == {"unchanged"}
        # Not even sent: the stack's deployment is the one of before.
        assert (
            orc.infra.stack()["properties"]["deploymentId"] == (stack["properties"]["deploymentId"])
        )
        assert again.outputs == made.outputs


def test_names_come_from_the_outputs(orc: Orchestrator) -> None:
    outputs = orc.infra.show().outputs
    names = orc._clients.names
    assert names.environment == "cae-jobs" == outputs["environmentName"]
    assert (names.namespace or "").startswith("sb-jobs-")
    assert names.registry == outputs["registryLoginServer"]
    assert outputs["serviceBusHostName"] == f"{names.namespace}.servicebus.windows.net"
    assert [q.name for q in orc.queues()] == ["parameters", "results"]


def test_each_job_may_do_what_it_says_and_nothing_else(orc: Orchestrator) -> None:
    outputs = orc.infra.show().outputs
    roles: dict[str, set[tuple[str, str]]] = {}
    for found in orc.infra.show():
        if found.kind != "role":
            continue
        properties = resource(orc, found.id, "2022-04-01")["properties"]
        role = properties["roleDefinitionId"].rpartition("/")[2]
        on = found.id.partition("/providers/Microsoft.Authorization")[0].rpartition("/")[2]
        roles.setdefault(properties["principalId"], set()).add((role, on))
    by_job = {i["job"]: roles[i["principalId"]] for i in outputs["identities"]}
    assert by_job == {
        "sender": {(SENDER, "parameters")},
        "processor": {(RECEIVER, "parameters"), (SENDER, "results")},
        "receiver": {(RECEIVER, "results")},
    }
    owners = {who for who, what in roles.items() if OWNER in {role for role, _ in what}}
    assert len(owners) == 1  # the scaler's
    assert not owners & {i["principalId"] for i in outputs["identities"]}


def test_jobs_of_the_settings_and_of_the_template_are_the_same(orc: Orchestrator) -> None:
    folder = orc.settings.folder
    made = orc.infra.deploy(folder / "templates" / "jobs" / "main.bicep")
    assert made.name == "jobs"
    assert [r.name for r in made if r.kind == "job"] == ["processor", "receiver", "sender"]
    assert {c.action for c in orc.deploy()} == {"unchanged"}
    receiver = orc.job("receiver").raw
    outputs = orc.infra.show().outputs
    assert len(receiver["identity"]["userAssignedIdentities"]) == 3
    (rule,) = receiver["properties"]["configuration"]["eventTriggerConfig"]["scale"]["rules"]
    assert rule["identity"] == outputs["scalerIdentityId"]
    withheld = receiver["properties"]["configuration"]["identitySettings"]
    assert {s["identity"] for s in withheld} == {
        outputs["scalerIdentityId"],
        outputs["pullIdentityId"],
    }


def test_an_exported_job_deploys_to_the_same_job(orc: Orchestrator, tmp_path: Path) -> None:
    orc.deploy()
    for form in ("bicep", "json"):
        before = orc.job("receiver")
        file = tmp_path / f"receiver.{form}"
        file.write_text(orc.export_job("receiver", "bicep" if form == "bicep" else "json"))
        orc.delete_job("receiver")
        orc.infra.deploy(file, name=f"exported-{form}")
        after = orc.job("receiver")
        assert after.env == before.env
        assert {c.action for c in orc.deploy()} == {"unchanged"}


class Enforcing(CloudInThread):
    """A cloud that refuses what nobody was given a role for."""

    rbac = "enforce"


def test_the_roles_of_the_template_are_enough_where_roles_are_enforced(tmp_path: Path) -> None:
    project = Project(tmp_path, Enforcing)
    try:
        with project.orchestrator("rg-roles") as orc:
            orc.up()
            assert orc.start("sender", env={"MESSAGE_COUNT": "3"}).wait("60s").succeeded
            assert orc.start("processor", env={"MAX_WAIT_TIME": "1"}).wait("60s").succeeded
            end = time.monotonic() + 60
            while not any(e.succeeded for e in orc.executions("receiver")):
                assert time.monotonic() < end, orc.logs("receiver").text()
                time.sleep(0.2)
            assert {q.name: (q.active, q.dead_letter) for q in orc.queues()} == {
                "parameters": (0, 0),
                "results": (0, 0),
            }
            # And no more than enough: the sender may send to its own queue alone.
            wrong = {"INPUT_QUEUE_NAME": "results"}
            assert not orc.start("sender", env=wrong).wait("60s").succeeded
    finally:
        project.cloud.stop()


# ------------------------------------------------------------------------------- what-if, drift


def test_what_somebody_deleted_is_foreseen_and_made_again(project: Project) -> None:
    with project.orchestrator("rg-drift") as orc:
        orc.infra.deploy()
        orc.queues.delete("results")
        foreseen = orc.infra.what_if()
        assert next((c.noun, c.name) for c in foreseen if c.effect == "create") == (
            "queue",
            "results",
        )
        assert "results" not in [q.name for q in orc.queues()]  # only foreseen
        made = orc.infra.deploy()
        changed = {c.name for c in made.changes if c.action != "unchanged"}
        assert "results" in changed
        assert "parameters" not in changed
        assert not orc.infra.what_if().changed


def test_a_changed_queue_is_told_in_the_settings_words(project: Project) -> None:
    with project.orchestrator("rg-queue") as orc:
        orc.infra.deploy()
    text = project.jobs_text().replace('lock_duration = "5m"', 'lock_duration = "45s"', 1)
    with project.orchestrator("rg-queue", text=text) as orc:
        made = orc.infra.deploy()
        (change,) = [c for c in made.changes if c.action != "unchanged"]
        assert [str(f) for f in change.fields] == ["lock_duration: PT5M → PT45S"]
    text = text.replace("duplicate_detection = ", "# ", 1)
    with (
        project.orchestrator("rg-queue", text=text) as orc,
        pytest.raises(errors.Conflict, match="duplicate_detection on"),
    ):
        orc.infra.deploy()


def test_the_closed_variant_deploys_too(project: Project) -> None:
    with project.orchestrator("rg-private", infra="templates/infra/private.bicepparam") as orc:
        made = orc.infra.deploy()
        kinds = [r.kind for r in made]
        assert {k: kinds.count(k) for k in ("private endpoint", "DNS zone", "network")} == {
            "private endpoint": 2,
            "DNS zone": 2,
            "network": 1,
        }
        assert not orc.infra.what_if().changed


# ------------------------------------------------------------------------------- what fails


def test_a_failure_names_the_resource_and_the_innermost_reason(
    project: Project, tmp_path: Path
) -> None:
    module = tmp_path / "bad.bicep"
    module.write_text(
        "param bus string\n"
        "resource queue 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = {\n"
        "  name: '${bus}/slow'\n"
        "  properties: {\n    lockDuration: 'PT10M'\n  }\n}\n"
    )
    main = tmp_path / "main.bicep"
    main.write_text(
        "param serviceBusNamespaceName string\n"
        "module bad 'bad.bicep' = {\n  name: 'bad'\n"
        "  params: {\n    bus: serviceBusNamespaceName\n  }\n}\n"
    )
    with project.orchestrator("rg-one") as orc:
        orc.infra.deploy()
        with pytest.raises(errors.DeploymentFailed) as caught:
            orc.infra.deploy(main, name="bad")
        (failure,) = caught.value.failures
        assert (failure.noun, failure.name) == ("queue", "slow")
        assert "LockDuration" in failure.message or "lockDuration" in failure.message
        assert "queue slow" in caught.value.message
        # What was made before is still known by its names.
        with pytest.raises(errors.DeploymentFailed):
            orc.infra.deploy(values={"environmentSubnetPrefix": "10.99.0.0/24"})
        orc._clients.names.forget()
        assert orc._clients.names.environment == "cae-jobs"
        orc.infra.deploy()
        # A later run that is right goes through.
        module.write_text(module.read_text().replace("PT10M", "PT1M"))
        assert orc.infra.deploy(main, name="bad").state == "succeeded"
        orc.infra.destroy("bad")
        assert [q.name for q in orc.queues()] == ["parameters", "results"]


def test_a_template_that_makes_no_sense_is_refused_before_anything_is_made(
    project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "broken.json"
    file.write_text(
        json.dumps(
            {
                "$schema": "https://schema.management.azure.com/schemas/2019-04-01/"
                "deploymentTemplate.json#",
                "contentVersion": "1.0.0.0",
                "resources": [
                    {
                        "type": "Microsoft.ManagedIdentity/userAssignedIdentities",
                        "apiVersion": "2024-11-30",
                        "name": "[nonsense('x')]",
                        "location": "westeurope",
                    }
                ],
            }
        )
    )
    with project.orchestrator("rg-broken") as orc:
        for look in (orc.infra.what_if, orc.infra.validate):
            with pytest.raises(errors.NotFound, match="no resource group rg-broken yet") as caught:
                look()
            assert caught.value.code == "ResourceGroupNotFound"
            assert "up; or the group alone" in caught.value.hint
            # Nothing that only looks has made it.
            assert "az group create --name rg-broken --location" in caught.value.hint
        orc.infra.ensure_group()
        for call in (orc.infra.validate, orc.infra.what_if, orc.infra.deploy):
            with pytest.raises(errors.DeploymentFailed, match="nonsense"):
                call(file)  # type: ignore[operator]


def test_what_is_not_deployed_is_told(project: Project) -> None:
    with project.orchestrator("rg-nothing") as orc:
        for call in (orc.infra.show, orc.infra.doomed, orc.infra.destroy):
            with pytest.raises(errors.NotFound, match="Nothing is deployed"):
                call()


# ------------------------------------------------------------------------------- destroy


def test_destroy_takes_down_what_was_made_and_nothing_else(project: Project) -> None:
    with project.orchestrator("rg-gone") as orc:
        orc.up()
        doomed = orc.infra.doomed()
        assert doomed.jobs == ("processor", "receiver", "sender")
        assert doomed.group
        assert doomed.kept == ()
        changes = orc.infra.destroy(doomed=doomed)
        assert {c.action for c in changes} == {"deleted"}
        assert ("resource group", "rg-gone") in [(c.kind, c.name) for c in changes]
        groups = orc._clients.resources.resource_groups
        assert not groups.check_existence("rg-gone")
        # and everything can be made again
        assert {c.action for c in orc.up()} == {"created"}
        orc.infra.destroy()


def test_what_was_there_before_stays(project: Project) -> None:
    with project.orchestrator("rg-before", namespace="sb-before") as orc:
        orc._clients.resources.resource_groups.create_or_update(
            "rg-before", {"location": "westeurope"}
        )
        from azure.mgmt.servicebus.models import SBNamespace

        body = SBNamespace({"location": "westeurope", "sku": {"name": "Standard"}})
        namespaces = orc._clients.service_bus.namespaces
        namespaces.begin_create_or_update("rg-before", "sb-before", body).result()
        orc.infra.deploy()
        doomed = orc.infra.doomed()
        assert [(r.kind, r.name) for r in doomed.kept] == [("namespace", "sb-before")]
        assert not doomed.group
        orc.infra.destroy()
        assert namespaces.get("rg-before", "sb-before").name == "sb-before"
        assert [q.name for q in orc.queues()] == []
        left = orc._clients.resources.resources.list_by_resource_group("rg-before")
        assert [r.name for r in left] == ["sb-before"]


def test_a_strangers_job_stops_a_removal(project: Project) -> None:
    with project.orchestrator("rg-stranger") as orc:
        orc.up()
        body = orc.export_job("sender", "json")
        file = project.folder / "stranger.json"
        file.write_text(body)
        orc.infra.deploy(file, values={"name": "stranger"}, name="stranger")
        with pytest.raises(errors.Conflict, match="stranger"):
            orc.infra.destroy()
        assert len(orc.jobs()) == 4
        orc.infra.destroy("stranger")
        orc.infra.destroy()
