"""Faults that are asked for, and how those who meet them fare."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessageLockLostError

from orchestrator.errors import NotReachable, OrchestratorError, TableNotFound, Throttled
from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import World
from tests.cloud.payloads import Place, sent
from tests.conftest import CloudInThread


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    world.orc.up()
    yield world
    world.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The world, in which everything works again afterwards."""
    yield running
    faults(running.cloud).clear_faults()


@pytest.fixture
def place(cloud: CloudInThread) -> Iterator[Place]:
    """Two queues; their broker works again afterwards, and in the machine's time."""
    made = Place(cloud, lock=5, unique_parameters=True)
    yield made
    made.close()
    faults(cloud).clear_faults()
    faults(cloud).reset()


def faults(cloud: CloudInThread) -> SteeringClient:
    return SteeringClient(cloud.connection)


# ------------------------------------------------------------------ the control plane


@pytest.mark.parametrize("status", [429, 503])
def test_the_library_waits_as_long_as_it_is_asked_to_and_tries_again(
    world: World, status: int
) -> None:
    faults(world.cloud).add_fault(
        "status", status=status, retry_after=1, count=2, on="Microsoft.App/jobs/read"
    )
    before = time.monotonic()
    assert "talker" in [job.name for job in world.orc.jobs()]
    # Two refusals, a second each: no less can have passed.
    assert time.monotonic() - before >= 2
    [fault] = faults(world.cloud).faults()
    assert (fault["hits"], fault["spent"]) == (2, True)


def test_a_start_is_repeated_when_it_was_not_taken_and_never_when_it_may_have_been(
    world: World,
) -> None:
    start = "Microsoft.App/jobs/start/action"
    before = len(world.orc.executions("talker"))
    faults(world.cloud).add_fault("status", status=429, retry_after=0.1, count=1, on=start)
    world.orc.start("talker").wait(60)
    assert len(world.orc.executions("talker")) == before + 1
    faults(world.cloud).add_fault("status", status=500, on=start)
    with pytest.raises(OrchestratorError):
        world.orc.start("talker")
    assert [fault["hits"] for fault in faults(world.cloud).faults()] == [1, 1]


def test_a_wait_beyond_all_patience_is_told_and_not_waited_for(world: World) -> None:
    faults(world.cloud).add_fault("status", status=429, retry_after=3600, on="arm")
    with pytest.raises(Throttled) as told:
        world.orc.jobs()
    assert told.value.retry_after == 3600


def test_a_broken_connection_is_made_anew(world: World) -> None:
    for after in (False, True):
        faults(world.cloud).add_fault("drop", count=1, after=after, on="GET */jobs/talker*")
        assert world.orc.job("talker").name == "talker"
    assert [fault["hits"] for fault in faults(world.cloud).faults()] == [1, 1]


def test_a_start_whose_answer_was_lost_says_that_the_job_may_run(world: World) -> None:
    before = len(world.orc.executions("talker"))
    faults(world.cloud).add_fault("drop", count=1, after=True, on="Microsoft.App/jobs/start/action")
    with pytest.raises(NotReachable, match="the connection broke") as told:
        world.orc.start("talker")
    assert "executions list --job talker" in told.value.hint
    assert len(world.orc.executions("talker")) == before + 1


def test_a_token_endpoint_that_is_down_is_reported_in_a_sentence(world: World) -> None:
    faults(world.cloud).add_fault("status", status=500, on="identity")
    fresh = world.orchestrator()
    with pytest.raises(OrchestratorError) as told:
        fresh.jobs()
    fresh.close()
    assert told.value.message.endswith(".")
    assert told.value.hint


def test_a_busy_token_endpoint_is_asked_again(world: World) -> None:
    faults(world.cloud).add_fault("status", status=429, retry_after=0.1, count=2, on="identity")
    fresh = world.orchestrator()
    assert fresh.jobs()
    fresh.close()
    assert {(f["kind"], f["hits"]) for f in faults(world.cloud).faults()} == {("status", 2)}


def test_latency_delays_an_answer_and_changes_nothing_else(world: World) -> None:
    faults(world.cloud).add_fault("latency", delay=0.2, on="GET */jobs*")
    before = time.monotonic()
    assert "talker" in [job.name for job in world.orc.jobs()]
    assert time.monotonic() - before >= 0.2


def test_late_logs_come_late_and_complete_and_the_stream_has_them_at_once(world: World) -> None:
    faults(world.cloud).add_fault("log-delay", delay=600)
    run = world.orc.start("talker", env={"WORD": "later"})
    streamed = [line.text for line in run.follow()]
    assert "line 0 of later" in streamed
    run.wait(60)
    question = f'ContainerAppConsoleLogs_CL | where ExecutionName_s == "{run.name}" | project Log_s'
    try:
        assert not list(world.orc.query(question))
    except TableNotFound:
        pass  # as long as nobody's rows are there yet
    faults(world.cloud).advance(600)
    assert len(list(world.orc.query(question))) == len(streamed)
    faults(world.cloud).reset()


# ------------------------------------------------------------------ payloads


def test_a_sender_whose_connection_breaks_sends_everything_once(place: Place) -> None:
    steering = faults(place.cloud)
    steering.add_fault("disconnect", on="send", queue=place.parameters, count=1, after=True)
    steering.add_fault("server-busy", on="send", queue=place.parameters, count=1)
    run = place.run("sender", MESSAGE_COUNT="300", SEND_TYPE="batch")
    assert run.returncode == 0, run.stderr
    assert len(sent(run.stdout)) == 300
    assert place.active(place.parameters) == 300
    assert [fault["spent"] for fault in steering.faults()] == [True] * 2


def test_a_processor_among_faults_of_all_kinds_loses_and_doubles_nothing(place: Place) -> None:
    place.put(*(str(n % 10 + 1) for n in range(60)))
    steering = faults(place.cloud)
    queue = place.parameters
    steering.add_fault("lock-lost", on="complete", queue=queue, rate=0.2, count=2)
    steering.add_fault("disconnect", on="complete", queue=queue, rate=0.2, count=1, after=True)
    steering.add_fault("server-busy", on="send", queue=place.results, count=2)
    steering.add_fault("disconnect", on="send", queue=place.results, count=1, after=True)
    for _ in range(8):
        place.run("processor", MAX_WAIT_TIME="1", MAX_MESSAGE_COUNT="60")
        if place.active(queue) == 0:
            break
        steering.advance(6)  # locks that nobody holds any more expire
    assert place.active(queue) == 0
    with place.client() as client, client.get_queue_receiver(place.results) as receiver:
        results = [message.message_id for message in receiver.peek_messages(100)]
    assert sorted(results) == sorted(f"put-{n}-result" for n in range(60))
    assert (place.dead(queue), place.dead(place.results)) == (0, 0)
    assert sum(fault["hits"] for fault in steering.faults()) >= 4


def test_a_lost_lock_is_told_and_the_message_comes_again(place: Place) -> None:
    place.put("1")
    faults(place.cloud).add_fault("lock-lost", on="complete", queue=place.parameters, count=1)
    with (
        place.client() as client,
        client.get_queue_receiver(place.parameters, max_wait_time=10) as receiver,
    ):
        [message] = receiver.receive_messages(1)
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(message)
        [again] = receiver.receive_messages(1)
        assert (again.message_id, again.delivery_count) == (message.message_id, 1)
        receiver.complete_message(again)
    assert place.active(place.parameters) == 0


def test_renewing_can_lose_the_lock_and_meet_a_busy_server(place: Place) -> None:
    place.put("1")
    steering = faults(place.cloud)
    steering.add_fault("server-busy", on="renew-lock", queue=place.parameters, count=1)
    with (
        place.client() as client,
        client.get_queue_receiver(place.parameters, max_wait_time=10) as receiver,
    ):
        [message] = receiver.receive_messages(1)
        receiver.renew_message_lock(message)  # tried again by the client
        steering.add_fault("lock-lost", on="renew-lock", queue=place.parameters, count=1)
        with pytest.raises(MessageLockLostError):
            receiver.renew_message_lock(message)
    assert [fault["hits"] for fault in steering.faults()] == [1, 1]


def test_other_queues_notice_nothing(place: Place) -> None:
    faults(place.cloud).add_fault("disconnect", queue="elsewhere")
    faults(place.cloud).add_fault("server-busy", queue="elsewhere")
    with place.client() as client, client.get_queue_sender(place.results) as sender:
        sender.send_messages(ServiceBusMessage("fine"))
    assert place.active(place.results) == 1
    assert {fault["hits"] for fault in faults(place.cloud).faults()} == {0}


# ------------------------------------------------------------------ the way out


def test_faults_cannot_lock_out_those_who_remove_them(world: World, tmp_path: Path) -> None:
    steering = faults(world.cloud)
    steering.add_fault("drop")
    steering.add_fault("latency", delay=3600)
    endpoint = world.cloud.connection["identity"]["endpoint"].removeprefix("http://")
    link = http.client.HTTPConnection(endpoint.partition("/")[0], timeout=5)
    steering.remove_fault("f" + steering.faults()[-1]["id"][1:])
    link.request("GET", "/msi/token")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        link.getresponse()
    link.close()
    assert steering.clear_faults() == 1
    assert world.orc.jobs()
