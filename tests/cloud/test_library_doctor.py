"""The doctor at a local cloud in which things are really wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.doctor.findings import Finding
from orchestrator.errors import JobNotFound, NotReachable, OrchestratorError
from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import SETTINGS, World

MORE = """
[jobs.ghost]
trigger = "manual"
image = "nobody-has-it"
retries = 0

[jobs.user]
trigger = "manual"
image = "talker"
[jobs.user.env]
FULLY_QUALIFIED_NAMESPACE = "${servicebus}"
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("doctor"))
    made.path.write_text(SETTINGS + MORE)
    made.orc = made.orchestrator()
    made.orc.up()
    yield made
    made.close()


def about(world: World, job: str, check: str) -> list[Finding]:
    return [f for f in world.orc.doctor(job) if f.check == check and f.job == job]


def test_a_new_project_has_no_problem(world: World) -> None:
    found = world.orc.doctor()
    assert [str(f) for f in found.problems] == []
    looked_at = {f.check for f in found}
    assert {"clock", "environment", "state", "identity", "permissions", "image"} <= looked_at
    assert {"scale rule", "schedule", "queue depth"} <= looked_at


def test_jobs_that_never_ran_are_one_note_unless_asked_about(world: World) -> None:
    never = [f for f in world.orc.doctor() if "never run" in f.what]
    (note,) = never
    assert (note.level, note.job) == ("note", "")
    assert note.what.endswith("jobs have never run to an end.")
    assert "nightly" in note.evidence
    (own,) = about(world, "nightly", "executions")
    assert own.what == "The job has never run to an end."


def test_a_suspended_job_and_how_it_is_resumed(world: World) -> None:
    world.orc.suspend("talker")
    (finding,) = about(world, "talker", "state")
    assert (finding.level, finding.next) == (
        "problem",
        "Let it start again: orchestrator jobs resume talker",
    )
    world.orc.resume("talker")
    assert [f.level for f in about(world, "talker", "state")] == ["fine"]


def test_an_image_that_nobody_has(world: World) -> None:
    world.orc.start("ghost").wait(30)
    (finding,) = about(world, "ghost", "image")
    assert finding.level == "problem"
    assert "nobody-has-it" in finding.evidence


def test_executions_that_fail_are_told_with_their_exit_code(world: World) -> None:
    run = world.orc.start("pair", env={"EXIT": "7"})
    run.wait(30)
    (finding,) = about(world, "pair", "executions")
    assert (finding.level, finding.what) == ("problem", "The last execution failed.")
    assert run.name in finding.evidence
    assert finding.next.endswith(run.name)


def test_an_execution_that_writes_nothing_is_told_apart_from_late_logs(world: World) -> None:
    world.orc.start("talker").wait(30)
    assert [f.what for f in about(world, "talker", "ingestion")] in (
        ["The newest execution's lines have arrived."],
        ["The newest execution is still on its way into the log workspace."],
    )


def test_a_role_that_was_taken_away(world: World) -> None:
    orc = world.orc
    assert [f.level for f in about(world, "user", "permissions")] == ["fine"]
    assignments = orc._clients.authorization.role_assignments
    for assignment in list(assignments.list_for_subscription()):
        if "Microsoft.ServiceBus" in assignment.scope:
            assignments.delete_by_id(assignment.id)
    (finding,) = about(world, "user", "permissions")
    assert finding.level == "problem"
    assert "has no Service Bus data role" in finding.what
    assert "FULLY_QUALIFIED_NAMESPACE" in finding.evidence
    (finding,) = about(world, "drain", "permissions")
    assert finding.what.startswith("The identity of the scale rule out may not read")
    orc.up()
    assert [f.level for f in about(world, "drain", "permissions")] == ["fine"]


def change(world: World, job: str, patch: dict[str, Any]) -> None:
    from azure.mgmt.appcontainers.models import JobPatchProperties

    jobs = world.orc._clients.containers.jobs
    jobs.begin_update("local", job, JobPatchProperties({"properties": patch})).result()


def test_a_rule_on_a_queue_that_is_not_there_and_one_without_any_rule(world: World) -> None:
    rule = {
        "name": "out",
        "type": "azure-servicebus",
        "metadata": {"queueName": "nowhere", "namespace": "sb-local"},
        "identity": world.orc._jobs.identity_id(),
    }
    scale = {"minExecutions": 0, "maxExecutions": 2, "pollingInterval": 3600, "rules": [rule]}
    change(world, "drain", {"configuration": {"eventTriggerConfig": {"scale": scale}}})
    found = about(world, "drain", "scale rule")
    assert "watches the queue nowhere, which does not exist." in " ".join(f.what for f in found)
    assert {f.level for f in found} == {"problem"}
    (drifted,) = [f for f in world.orc.doctor("drain") if f.check == "settings"]
    assert "scale.rules.out.queueName: nowhere → out" not in drifted.evidence
    assert "out → nowhere" in drifted.evidence
    world.orc.deploy("drain")


def test_a_rule_whose_number_is_none_is_a_finding_and_no_crash(world: World) -> None:
    rule = {
        "name": "out",
        "type": "azure-servicebus",
        "metadata": {"queueName": "out", "namespace": "sb-local", "messageCount": "abc"},
        "identity": world.orc._jobs.identity_id(),
    }
    scale = {"minExecutions": 0, "maxExecutions": 2, "pollingInterval": 3600, "rules": [rule]}
    change(world, "drain", {"configuration": {"eventTriggerConfig": {"scale": scale}}})
    found = world.orc.doctor()
    wrong = [f for f in found if f.level == "problem" and f.check == "scale rule"]
    assert {f.job for f in wrong} == {"drain"}
    assert any('messageCount is "abc"' in f.evidence for f in wrong)
    assert {f.job for f in found} >= {"talker", "pair"}
    world.orc.deploy("drain")


def test_one_job_without_its_secret_does_not_hide_how_the_others_stand(world: World) -> None:
    change(world, "talker", {"configuration": {"replicaTimeout": 77}})
    text = world.path.read_text() + '[jobs.user.secrets]\ns = { env = "NOT_SET_ANYWHERE" }\n'
    with world.orchestrator(text) as other:
        found = {f.job: f for f in other.doctor() if f.check == "settings"}
    assert "timeout" in found["talker"].evidence
    assert "NOT_SET_ANYWHERE is not set" in found["user"].what
    world.orc.deploy("talker")


def test_wrong_rules_are_told_in_the_system_log_and_never_stop_the_others(world: World) -> None:
    identity = world.orc._jobs.identity_id()
    bus: dict[str, Any] = {"type": "azure-servicebus", "identity": identity}
    right = {"namespace": "sb-local", "queueName": "out"}
    rules = [
        bus | {"name": "no-queue", "metadata": {"namespace": "sb-local", "messageCount": "5"}},
        bus | {"name": "no-number", "metadata": right | {"messageCount": "many"}},
        bus | {"name": "none-at-all"},
        {"name": "no-secret", "type": "azure-servicebus", "metadata": right},
        {
            "name": "unknown-secret",
            "type": "azure-servicebus",
            "metadata": right,
            "auth": [{"secretRef": "nope", "triggerParameter": "connection"}],
        },
        {"name": "generic", "type": "redis", "metadata": {"listName": "work"}},
        *(
            {
                "name": name,
                "type": "azure-servicebus",
                "metadata": right,
                "auth": [{"secretRef": name, "triggerParameter": "connection"}],
            }
            for name in ("wrong-key", "listen-only")
        ),
        bus | {"name": "right", "metadata": right},
    ]
    scale = {"minExecutions": 0, "maxExecutions": 2, "pollingInterval": 1, "rules": rules}
    before = len(world.orc.executions("drain"))
    bus_verbs = world.orc._clients.service_bus.queues
    place = ("local", "sb-local", "out")
    bus_verbs.create_or_update_authorization_rule(
        *place, "hear", {"properties": {"rights": ["Listen"]}}
    )
    listen = bus_verbs.list_keys(*place, "hear").primary_connection_string
    wrong = "Endpoint=sb://sb-local.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=AA="
    secrets = [{"name": "wrong-key", "value": wrong}, {"name": "listen-only", "value": listen}]
    changed = {"secrets": secrets, "eventTriggerConfig": {"scale": scale}}
    change(world, "drain", {"configuration": changed})
    world.orc.queues["out"].send("one")
    world.cloud.until(lambda: len(world.orc.executions("drain")) > before)

    def failures() -> dict[str, str]:
        told = [e.text for e in world.orc.events("drain") if e.reason == "KEDAScalerFailed"]
        return dict(text.removeprefix("rule ").split(": ", 1) for text in told)

    world.cloud.until(lambda: {"no-queue", "generic", "listen-only"} <= set(failures()))
    said = failures()
    assert "no service bus entity type set" in said["no-queue"]
    assert "messageCount value 'many'" in said["no-number"]
    assert "entity type" in said["none-at-all"]
    assert "no connection setting given" in said["no-secret"]
    assert said["unknown-secret"] == "secret nope is not among the secrets of job drain"
    assert "no scaler found for type: redis" in said["generic"]
    assert "there is no key Root of that value" in said["wrong-key"]
    assert "the key hear lacks the claim 'Manage'" in said["listen-only"]
    assert "right" not in said
    world.orc.suspend("drain")
    world.orc.queues["out"].purge()
    world.orc.deploy("drain")
    world.orc.resume("drain")


def test_what_waits_and_starts_nothing_and_what_is_dead_lettered(world: World) -> None:
    out = world.orc.queues["out"]
    out.send("one", "two", "three")
    with world.orc._clients.bus() as bus, bus.get_queue_receiver("out") as receiver:
        (message,) = receiver.receive_messages(1, max_wait_time=5)
        receiver.dead_letter_message(message, "poison")
    rule = world.orc.job("drain").raw["properties"]["configuration"]["eventTriggerConfig"]
    rule["scale"]["rules"][0]["metadata"]["activationMessageCount"] = "10"
    change(world, "drain", {"configuration": {"eventTriggerConfig": rule}})
    (waiting,) = about(world, "drain", "queue depth")
    assert (waiting.level, waiting.evidence) == ("note", "activationMessageCount is 10.")
    (dead,) = about(world, "drain", "dead letters")
    assert (dead.level, dead.next) == (
        "warning",
        "Look why: orchestrator queues dead-letters list out",
    )
    world.orc.deploy("drain")
    out.purge()


def test_an_environment_that_keeps_no_logs(world: World) -> None:
    from azure.mgmt.appcontainers.models import ManagedEnvironment

    environments = world.orc._clients.containers.managed_environments
    here = environments.get("local", "local")
    environments.begin_create_or_update(
        "local", "mute", ManagedEnvironment({"location": here.location, "properties": {}})
    ).result()
    mute = world.orchestrator(
        SETTINGS.replace('kind = "local"', 'kind = "local"\nenvironment = "mute"')
    )
    found = [f for f in mute.doctor("talker") if f.check == "logs"]
    assert [f.what for f in found] == ["The environment mute keeps no logs."]
    gone = world.orchestrator(
        SETTINGS.replace('kind = "local"', 'kind = "local"\nenvironment = "gone"')
    )
    (finding,) = [f for f in gone.doctor("talker") if f.check == "environment"]
    assert (finding.level, finding.next) == ("problem", "Make it: orchestrator up")
    mute.close()
    gone.close()


def test_a_typo_is_answered_with_the_near_miss(world: World) -> None:
    with pytest.raises(JobNotFound, match="talkr"):
        world.orc.doctor("talkr")


def test_a_clock_that_was_moved_is_told_and_is_what_starts_are_judged_by(world: World) -> None:
    clock = SteeringClient(world.cloud.connection)
    (due,) = about(world, "nightly", "schedule")
    assert [f.level for f in world.orc.doctor("nightly") if f.check == "clock"] == ["fine"]
    clock.advance(86_400 * 366)  # past the one moment of the year, so the next is a year later
    try:
        (moved,) = [f for f in world.orc.doctor("nightly") if f.check == "clock"]
        assert moved.level == "warning"
        assert moved.next.endswith("orchestrator local clock reset")
        assert "behind the service's" in moved.what
        (later,) = about(world, "nightly", "schedule")
    finally:
        clock.reset()
    years = [int(f.what.split(" at ")[1][:4]) for f in (due, later)]
    assert years[1] == years[0] + 1


def test_jobs_are_looked_at_beside_each_other_and_what_they_share_is_asked_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the others: looked at one after the other, they would never get past that."""
    together = threading.Barrier(3)
    asked: list[str] = []
    orc = world.orc
    queues = orc._queues.every
    executions = orc._executions.every

    def meeting(job: str, **given: Any) -> Any:
        together.wait(20)
        return executions(job, **given)

    def counted() -> Any:
        asked.append(threading.current_thread().name)
        return queues()

    monkeypatch.setattr(orc._executions, "every", meeting)
    monkeypatch.setattr(orc._queues, "every", counted)
    jobs = ("talker", "drain", "user")
    found = orc.doctor(*jobs)
    assert [f for f in found if f.what.startswith("This could not be looked at")] == []
    assert len(asked) == 1
    assert [f.job for f in found if f.check == "state"] == list(jobs)


def test_what_cannot_be_read_for_several_jobs_is_told_for_each_and_asked_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refused() -> Any:
        asked.append(1)
        raise OrchestratorError("The queues cannot be read.", "Ask for the role.")

    monkeypatch.setattr(world.orc._queues, "every", refused)
    found = world.orc.doctor("drain", "talker")
    told = [f for f in found if "The queues cannot be read." in f.what]
    assert {(f.job, f.level, f.next) for f in told} == {("drain", "warning", "Ask for the role.")}
    assert len(asked) == 1


def test_a_service_that_goes_away_meanwhile_ends_the_visit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(job: str, **given: Any) -> Any:
        raise NotReachable("Nothing answers.")

    monkeypatch.setattr(world.orc._executions, "every", gone)
    with pytest.raises(NotReachable, match="Nothing answers"):
        world.orc.doctor()
    assert [t.name for t in threading.enumerate() if t.name.startswith("doctor")] == []
