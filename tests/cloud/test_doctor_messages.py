"""The doctor at an event-driven job that is started, succeeds, and takes none of the messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.servicebus import ServiceBusReceiver

from orchestrator.client import Orchestrator
from orchestrator.doctor.findings import Finding
from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import SETTINGS, World

ELSEWHERE = SETTINGS + '[jobs.drain.env]\nQUEUE = "in"\n'
RIGHT = SETTINGS + '[jobs.drain.env]\nQUEUE = "out"\n'


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("messages"))
    made.orc.up()
    yield made
    made.close()


def messages(orc: Orchestrator) -> list[Finding]:
    return [f for f in orc.doctor("drain") if f.check == "messages"]


def run(orc: Orchestrator, times: int) -> list[str]:
    runs = [orc.start("drain") for _ in range(times)]
    for one in runs:
        assert one.wait("60s").succeeded
    return [one.name for one in runs]


def receive(world: World, how: str) -> None:
    """Receive the first message of `out`, and do this with it."""
    with world.orc.queues["out"].opened("receive from") as links, links.receiver() as receiver:
        assert isinstance(receiver, ServiceBusReceiver)
        (message,) = receiver.receive_messages(1, max_wait_time=10)
        getattr(receiver, how)(message)


def test_a_program_that_is_given_another_queue_than_its_rule_watches(world: World) -> None:
    with world.orchestrator(ELSEWHERE) as orc:
        orc.deploy("drain")
        orc.queues["out"].send("one")
        run(orc, 2)
        assert messages(orc) == []  # twice is not again and again
        first = run(orc, 1)
        (finding,) = messages(orc)
        assert (finding.level, finding.what) == (
            "problem",
            "Executions succeed again and again, and receive nothing from out: nothing that the "
            "job is given names that queue.",
        )
        assert finding.evidence.startswith("1 message waits there, and none was received since")
        assert finding.evidence.endswith("The variable QUEUE names in.")
        assert finding.next == (
            "Let the program read out, or the rule watch in, then: orchestrator deploy drain"
        )
        assert first[0] not in finding.next
        receive(world, "complete_message")
        orc.queues["out"].send("two")
        assert messages(orc) == []  # somebody takes them


def test_messages_that_are_deferred_start_executions_and_nobody_receives_them(
    world: World,
) -> None:
    clock = SteeringClient(world.cloud.connection)
    with world.orchestrator(RIGHT) as orc:
        orc.deploy("drain")
        orc.queues["out"].send("later")
        receive(world, "defer_message")
        clock.advance(180)  # metrics come by the minute: that was in an earlier one
        run(orc, 3)
        (finding,) = messages(orc)
        assert (finding.level, finding.what) == (
            "problem",
            "What waits in out is deferred: it starts executions, and none receives it.",
        )
        assert "That one is deferred" in finding.evidence

        # One that can be received besides, and another receiver or none: it is not certain which,
        # and on Azure metrics may be late.
        orc.queues["out"].send("now")
        (finding,) = messages(orc)
        assert (finding.level, finding.what) == (
            "warning",
            "Executions succeed again and again, and receive nothing from out.",
        )
        assert "metrics are some minutes late" in finding.evidence
        clock.advance(600)
        assert [f.level for f in messages(orc)] == ["problem"]


def test_messages_that_are_received_and_given_back(world: World) -> None:
    with world.orchestrator(RIGHT) as orc:
        orc.deploy("drain")
        orc.queues["out"].send("again")
        run(orc, 3)
        receive(world, "abandon_message")
        (finding,) = messages(orc)
        assert (finding.level, finding.what) == (
            "warning",
            "Messages of out are received and come back: none is completed.",
        )
        assert "1 received since" in finding.evidence
        assert "was received once before, and is dead-lettered after 10." in finding.evidence


def test_what_is_scheduled_starts_nothing_yet(world: World) -> None:
    world.orc.queues["out"].send("tomorrow", at="+1d")
    found = {f.check: f for f in world.orc.doctor("drain")}
    assert found["queue depth"].what == "Nothing waits in out now, so that nothing is started."
    assert found["queue depth"].evidence.startswith("1 scheduled for later")
