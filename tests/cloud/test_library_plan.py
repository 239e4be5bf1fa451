"""Plan, drift, guarded deploys and prune, against the local cloud."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.mgmt.appcontainers.models import JobPatchProperties

from orchestrator.errors import BadInput, Conflict, JobNotFound
from orchestrator.planning.verbs import PROJECT_TAG
from tests.cloud.library_world import SETTINGS, World

MORE = SETTINGS + '[jobs.extra]\ntrigger = "manual"\nimage = "talker"\n'
CHANGED = SETTINGS.replace('timeout = "60s"', 'timeout = "90s"')


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("plan"))
    made.orc.up()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def as_in_the_settings(world: World) -> Iterator[None]:
    yield
    world.orc.deploy(prune=True)


def by_hand(world: World, job: str, patch: dict[str, object]) -> None:
    jobs = world.orc._clients.containers.jobs
    jobs.begin_update("local", job, JobPatchProperties(patch)).result()


def test_a_plan_of_what_is_there_changes_nothing(world: World) -> None:
    plan = world.orc.plan()
    assert {job.action for job in plan} == {"unchanged"}
    assert plan.changes == []
    assert world.orc.plan().version == plan.version


def test_a_plan_says_field_by_field_what_deploy_then_does(world: World) -> None:
    changed = world.orchestrator(MORE.replace('timeout = "60s"', 'timeout = "90s"'))
    plan = changed.plan()
    assert [(j.name, j.action, [str(f) for f in j.fields]) for j in plan.changes] == [
        ("talker", "updated", ["timeout: 1m → 1m30s"]),
        ("extra", "created", []),
    ]
    assert world.orc.job("talker").timeout == changed.job("talker").timeout  # nothing was sent
    done = changed.deploy(plan_version=plan.version)
    assert [(c.name, c.action) for c in done if c.action != "unchanged"] == [
        ("talker", "updated"),
        ("extra", "created"),
    ]
    assert changed.plan().changes == []
    changed.close()


def test_a_plan_that_is_overtaken_by_somebody_is_refused_and_nothing_is_sent(world: World) -> None:
    changed = world.orchestrator(CHANGED)
    plan = changed.plan()
    by_hand(world, "pair", {"tags": {PROJECT_TAG: "default", "team": "blue"}})
    with pytest.raises(Conflict, match=r"have changed since that plan\. The latest change is of"):
        changed.deploy(plan_version=plan.version)
    assert changed.plan("talker")[0].action == "updated"
    changed.close()


def test_an_identity_that_is_not_there_and_a_role_that_it_lacks_are_foreseen(world: World) -> None:
    orc = world.orchestrator()
    assert [note for job in orc.plan() for note in job.notes] == []
    clients = orc._clients
    registry = next(
        one.name for one in clients.resources.resources.list() if "ContainerRegistry" in one.type
    )
    server = f'state = "state"\nregistry = "{registry}.azurecr.io"'
    pulled = world.orchestrator(SETTINGS.replace('state = "state"', server))
    assert [note for job in pulled.plan("talker") for note in job.notes] == []
    assignments = clients.authorization.role_assignments
    for assignment in list(assignments.list_for_subscription()):
        assignments.delete_by_id(assignment.id)
    (talker,) = pulled.plan("talker")
    (note,) = talker.notes
    assert f"which images are pulled with, may not pull from {registry}.azurecr.io" in note
    (drain,) = orc.plan("drain")
    (note,) = drain.notes
    assert note.startswith("The identity of the scale rule out may not read how many messages")
    assert note.endswith("Give it that role: orchestrator up")
    clients.resources.resources.begin_delete_by_id(
        orc._jobs.identity_id(), api_version="2023-01-31"
    ).result()
    (drain,) = orc.plan("drain")
    assert [note for note in drain.notes if "does not exist" in note] == [
        "The job's identity jobs does not exist. Make it, and the job's link to it: orchestrator up"
    ]
    orc.up()
    assert [note for job in orc.plan() for note in job.notes] == []
    pulled.close()
    orc.close()


def test_a_queue_that_is_watched_and_does_not_exist_is_foreseen(world: World) -> None:
    settings = SETTINGS.replace('queue = "out"', 'queue = "new"') + "[queues.new]\n"
    with world.orchestrator(settings) as orc:
        (drain,) = orc.plan("drain")
    watches = "The scale rule out watches the queue new, which does not exist."
    assert [note for note in drain.notes if note.startswith(watches)]


def test_a_plan_of_other_settings_is_refused(world: World) -> None:
    version = world.orc.plan().version
    changed = world.orchestrator(CHANGED)
    with pytest.raises(Conflict, match="The settings have changed since that plan"):
        changed.deploy(plan_version=version)
    with pytest.raises(BadInput, match="is not the version of a plan"):
        changed.deploy(plan_version="17")
    changed.close()


def test_a_secret_is_compared_and_shown_neither_in_the_plan_nor_by_its_version(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SETTINGS + (
        '[jobs.keeper]\ntrigger = "manual"\nimage = "talker"\n'
        'secrets = { word = { env = "PLAN_SECRET" } }\n'
        'env = { WORD = { secret = "word" } }\n'
    )
    monkeypatch.setenv("PLAN_SECRET", "sesame")
    keeper = world.orchestrator(text)
    assert keeper.deploy("keeper")[0].action == "created"
    assert keeper.plan("keeper").changes == []
    monkeypatch.setenv("PLAN_SECRET", "barley")
    plan = keeper.plan("keeper")
    assert [str(f) for f in plan[0].fields] == ["secrets.word: (hidden) → (hidden)"]
    assert "barley" not in f"{plan!r} {plan.as_json()} {plan.version}"
    keeper.close()


def test_a_plan_does_not_hold_for_a_secret_that_changes_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SETTINGS.replace(
        "[jobs.talker.env]", '[jobs.talker.secrets]\ntok = { env = "H" }\n[jobs.talker.env]'
    )
    monkeypatch.setenv("H", "first")
    changed = world.orchestrator(text)
    changed.deploy()
    version = changed.plan().version
    monkeypatch.setenv("H", "second")
    with pytest.raises(Conflict, match="The settings have changed since that plan"):
        changed.deploy(plan_version=version)
    changed.close()


def test_what_a_deploy_would_take_away_is_told(world: World) -> None:
    """Volumes, mounts, init containers and a system identity that somebody gave a live job."""
    live = world.orc._jobs.resource("talker")
    live.pop("systemData", None)
    template = live["properties"]["template"]
    template["volumes"] = [{"name": "v", "storageType": "EmptyDir"}]
    template["containers"][0]["volumeMounts"] = [{"volumeName": "v", "mountPath": "/v"}]
    template["initContainers"] = [{"name": "i", "image": "talker", "command": ["x"]}]
    live["identity"]["type"] = "SystemAssigned,UserAssigned"
    world.orc._jobs.put("talker", live).result()
    (drifted,) = world.orc.drift("talker")
    fields = {field.path: (field.old, field.new) for field in drifted.fields}
    assert fields["volumes.v"] == (None, "EmptyDir")
    assert fields["volume_mounts./v"] == (None, "v")
    assert fields["init_containers.i.command"] == (None, ["x"])
    assert fields["identity"][1][-1] == "system"
    assert {"volumes.v", "identity"} <= {field.path for field in world.orc.plan()[0].fields}


def test_drift_names_what_was_changed_by_hand_and_by_whom(world: World) -> None:
    assert world.orc.drift().drifted == []
    by_hand(world, "talker", {"properties": {"configuration": {"replicaTimeout": 240}}})
    world.orc.delete_job("pair")
    more = world.orchestrator(MORE)
    more.deploy("extra")
    found = {job.name: job for job in world.orc.drift().drifted}
    assert {name: job.state for name, job in found.items()} == {
        "talker": "drifted",
        "pair": "missing",
        "extra": "not in the settings",
    }
    assert [str(f) for f in found["talker"].fields] == ["timeout: 1m → 4m"]
    assert found["talker"].changed_by
    assert found["talker"].changed_at is not None
    more.close()


def test_prune_deletes_what_the_settings_name_no_more_and_nobody_elses(world: World) -> None:
    other = world.orchestrator('project = "theirs"\n' + MORE.replace("jobs.extra", "jobs.theirs"))
    other.deploy("theirs")
    more = world.orchestrator(MORE)
    more.deploy("extra")
    by_hand(world, "nightly", {"tags": {"team": "blue"}})
    assert [job.name for job in world.orc.plan(prune=True) if job.action == "deleted"] == ["extra"]
    assert "extra" in [job.name for job in world.orc.jobs()]
    done = world.orc.deploy(prune=True)
    assert [c.name for c in done if c.action == "deleted"] == ["extra"]
    assert {"theirs", "nightly"} <= {job.name for job in world.orc.jobs()}
    world.orc.delete_job("theirs")
    for made in (other, more):
        made.close()


def test_a_job_in_another_environment_is_replaced_only_when_that_is_said(world: World) -> None:
    from azure.mgmt.appcontainers.models import ManagedEnvironment

    environments = world.orc._clients.containers.managed_environments
    here = environments.get("local", "local")
    environments.begin_create_or_update(
        "local", "elsewhere", ManagedEnvironment({"location": here.location, "properties": {}})
    ).result()
    moved = world.orchestrator(
        SETTINGS.replace('kind = "local"', 'kind = "local"\nenvironment = "elsewhere"')
    )
    run = world.orc.start("talker")
    run.wait(30)
    assert moved.plan("talker")[0].action == "replaced"
    with pytest.raises(Conflict, match="lets nobody change the environment of a job"):
        moved.deploy("talker")
    assert [e.name for e in world.orc.executions("talker")] == [run.name]
    assert moved.deploy("talker", replace=True)[0].action == "replaced"
    assert moved.plan("talker").changes == []
    moved.close()
    world.orc.deploy(replace=True)


def test_a_typo_is_answered_with_the_near_miss(world: World) -> None:
    with pytest.raises(JobNotFound, match="talkr"):
        world.orc.plan("talkr")
