"""Time under control: one clock for schedules, locks, time to live, time-outs and logs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.appcontainers import models as m
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import MessageLockLostError

from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.state import LocalCloudError
from orchestrator.localcloud.steering.client import AdvanceTimeout, SteeringClient
from tests.cloud.test_executions import GROUP, Bench
from tests.conftest import CloudInThread


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with (bench.project / "orchestrator.toml").open("a") as file:
        file.write('[images.tick]\nprocess = ["{python}", "-I", "-S", "-c", "print(\'tick\')"]\n')
    yield bench
    bench.client.close()
    bench.cloud.stop()


def steer(cloud: CloudInThread) -> SteeringClient:
    return SteeringClient(cloud.connection)


def cron(expression: str) -> dict[str, Any]:
    """The configuration of a scheduled job."""
    return {
        "trigger_type": "Schedule",
        "schedule_trigger_config": m.JobConfigurationScheduleTriggerConfig(
            cron_expression=expression
        ),
    }


def job_id(bench: Bench, name: str) -> str:
    return (
        f"/subscriptions/{bench.cloud.connection['subscription']}/resourceGroups/{GROUP}"
        f"/providers/Microsoft.App/jobs/{name}"
    )


def executions(bench: Bench, name: str) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        return bench.cloud.server.runtime.executions(job_id(bench, name))

    return bench.cloud.call(ask())


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_day_of_a_schedule_runs_in_order_with_288_executions(bench: Bench) -> None:
    clock = steer(bench.cloud)
    clock.freeze()
    begin = moment(clock.clock()["time"])
    bench.job(
        "often",
        image="tick",
        trigger_type="Schedule",
        schedule_trigger_config=m.JobConfigurationScheduleTriggerConfig(
            cron_expression="*/5 * * * *"
        ),
    )
    end = moment(clock.advance(86400)["time"])
    assert end - begin == timedelta(days=1)
    # Of scheduled executions the service lists the last hundred; the log has them all.
    listed = executions(bench, "often")
    assert len(listed) == 100
    assert {one["properties"]["status"] for one in listed} == {"Succeeded"}
    starts = [moment(one["properties"]["startTime"]) for one in reversed(listed)]
    fives = [moment_of_five(begin, number) for number in range(1, 289)]
    assert starts == fives[-100:]

    async def rows() -> list[tuple[datetime, str]]:
        async with bench.cloud.server.logs.cursor() as cursor:
            return cursor.execute(
                "SELECT c.time, c.text FROM console c JOIN source s ON c.source = s.id "
                "WHERE s.job = 'often' ORDER BY c.time"
            ).fetchall()

    found = bench.cloud.call(rows())
    assert [text for _, text in found] == ["tick"] * 288
    # Each line has the time of its execution: time stood still while it ran.
    assert [time.replace(tzinfo=UTC) for time, _ in found] == fives


def moment_of_five(begin: datetime, number: int) -> datetime:
    """The `number`th full five minutes after `begin`."""
    step = 300
    first = int(begin.timestamp() // step) * step
    return datetime.fromtimestamp(first + number * step, UTC)


def test_a_replica_that_runs_already_is_not_waited_for_and_times_out(bench: Bench) -> None:
    bench.job("long", env={"DO": "wait"}, replica_timeout=3600)
    name = bench.client.jobs.begin_start(GROUP, "long").result().name
    bench.cloud.until(lambda: bench.cloud.server.runtime.activity.busy)
    steer(bench.cloud).advance(3500)
    [one] = executions(bench, "long")
    assert (one["name"], one["properties"]["status"]) == (name, "Running")
    steer(bench.cloud).advance(101)
    ended = bench.cloud.until(
        lambda: [e for e in executions(bench, "long") if e["properties"]["status"] != "Running"]
    )
    assert ended[0]["properties"]["status"] == "Failed"
    length = moment(ended[0]["properties"]["endTime"]) - moment(ended[0]["properties"]["startTime"])
    assert length >= timedelta(hours=1)


def test_a_program_that_outlasts_the_patience_is_left_behind(bench: Bench) -> None:
    clock = steer(bench.cloud)
    clock.freeze()
    bench.job(
        "stays",
        env={"DO": "wait"},
        replica_timeout=86400,
        trigger_type="Schedule",
        schedule_trigger_config=m.JobConfigurationScheduleTriggerConfig(
            cron_expression="0 * * * *"
        ),
    )
    clock.advance(3 * 3600, patience=0)
    assert len(executions(bench, "stays")) == 3
    assert {e["properties"]["status"] for e in executions(bench, "stays")} == {"Running"}


def test_restarts_wait_for_the_clock_and_not_the_other_way_round(bench: Bench) -> None:
    clock = steer(bench.cloud)
    clock.freeze()
    bench.job("flaky", env={"DO": "flaky"}, replica_retry_limit=3, replica_timeout=3600)
    bench.client.jobs.begin_start(GROUP, "flaky").result()
    bench.cloud.until(lambda: list(bench.project.glob("seen-*")))
    bench.cloud.until(lambda: not bench.cloud.server.runtime.activity.busy)
    assert executions(bench, "flaky")[0]["properties"]["status"] == "Running"
    clock.advance(11)
    assert executions(bench, "flaky")[0]["properties"]["status"] == "Succeeded"


def test_locks_expire_and_messages_die_by_the_clock(bench: Bench) -> None:
    cloud = bench.cloud
    clock = steer(cloud)
    clock.freeze()
    cloud.call(cloud.server.broker.put_namespace("timely"))
    name = f"q-{uuid.uuid4().hex[:6]}"
    properties = QueueProperties(lock_duration=60, dead_letter_on_expiration=True)
    cloud.call(cloud.server.broker.put_queue("timely", name, properties))
    client = ServiceBusClient(
        cloud.connection["service_bus"]["amqp"], cloud.credential, use_tls=False
    )
    with client, client.get_queue_sender(name) as sender:
        with client.get_queue_receiver(name, max_wait_time=10) as receiver:
            sender.send_messages(ServiceBusMessage("locked"))
            [message] = receiver.receive_messages(1)
            clock.advance(61)
            # Half an hour on the machine would not do; a minute here is a minute.
            with pytest.raises(MessageLockLostError):
                receiver.complete_message(message)
            [again] = receiver.receive_messages(1)
            assert again.delivery_count == 1
            receiver.complete_message(again)
        sender.send_messages(ServiceBusMessage("mortal", time_to_live=timedelta(hours=2)))
        clock.advance(2 * 3600 + 1)
        with client.get_queue_receiver(name, sub_queue="deadletter", max_wait_time=10) as dead:
            [message] = dead.receive_messages(1)
            assert message.dead_letter_reason == "TTLExpiredException"


def test_what_becomes_due_is_there_before_time_goes_on(bench: Bench) -> None:
    """A message scheduled for a poll's own moment is seen by the next poll, not a later one."""
    cloud = bench.cloud
    clock = steer(cloud)
    clock.freeze()
    cloud.call(cloud.server.broker.put_namespace("timely"))
    cloud.call(cloud.server.broker.put_queue("timely", "scheduled", QueueProperties()))
    rule = m.JobScaleRule(
        name="rule",
        type="azure-servicebus",
        metadata={"namespace": "timely", "queueName": "scheduled", "messageCount": "1"},
        identity="system",
    )
    bench.job(
        "drain",
        image="tick",
        identity=True,
        trigger_type="Event",
        event_trigger_config=m.JobConfigurationEventTriggerConfig(
            scale=m.JobScale(polling_interval=10, max_executions=1, rules=[rule])
        ),
    )
    begin = moment(clock.clock()["time"])
    client = ServiceBusClient(
        cloud.connection["service_bus"]["amqp"], cloud.credential, use_tls=False
    )
    with client, client.get_queue_sender("scheduled") as sender:
        sender.schedule_messages(ServiceBusMessage("1"), begin + timedelta(seconds=95))
    clock.advance(105)
    starts = [moment(e["properties"]["startTime"]) for e in executions(bench, "drain")]
    # One execution at a time, at each poll from the first after the message came.
    assert len(starts) == 1
    assert timedelta(seconds=95) <= starts[0] - begin <= timedelta(seconds=105)


def test_a_reset_leaves_no_lock_from_the_time_to_come(bench: Bench) -> None:
    cloud = bench.cloud
    clock = steer(cloud)
    clock.advance(30 * 86400)
    cloud.call(cloud.server.broker.put_namespace("timely"))
    cloud.call(cloud.server.broker.put_queue("timely", "held", QueueProperties(lock_duration=60)))
    client = ServiceBusClient(
        cloud.connection["service_bus"]["amqp"], cloud.credential, use_tls=False
    )
    with client, client.get_queue_receiver("held", max_wait_time=10) as receiver:
        with client.get_queue_sender("held") as sender:
            sender.send_messages(ServiceBusMessage("1"))
        receiver.receive_messages(1)
        assert clock.reset()["steered"] is False
        clock.advance(61)
        [again] = receiver.receive_messages(1)
        assert again.delivery_count == 1
        receiver.complete_message(again)


def test_the_clock_survives_a_restart(bench: Bench) -> None:
    clock = steer(bench.cloud)
    clock.freeze()
    there = clock.advance(86400)["time"]
    bench.cloud.stop()
    bench.cloud.start()
    state = steer(bench.cloud).clock()
    assert (state["time"], state["frozen"]) == (there, True)
    assert steer(bench.cloud).reset()["steered"] is False
    bench.cloud.stop()
    bench.cloud.start()
    assert steer(bench.cloud).clock()["steered"] is False


def test_stopping_the_server_ends_an_advance(bench: Bench) -> None:
    bench.job(
        "stays",
        env={"DO": "wait"},
        replica_timeout=86400,
        trigger_type="Schedule",
        schedule_trigger_config=m.JobConfigurationScheduleTriggerConfig(
            cron_expression="0 * * * *"
        ),
    )
    clock = steer(bench.cloud)
    failed: list[str] = []

    def advance() -> None:
        try:
            clock.advance(2 * 3600, patience=300)
        except LocalCloudError as error:
            failed.append(error.message)

    thread = threading.Thread(target=advance)
    thread.start()
    bench.cloud.until(lambda: bench.cloud.server.runtime.activity.busy)
    bench.cloud.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert failed
    bench.cloud.start()


def test_an_advance_says_what_it_waits_for_and_ends_when_its_time_is_up(bench: Bench) -> None:
    bench.job(
        "slow",
        env={"DO": "wait"},
        replica_timeout=86400,
        trigger_type="Schedule",
        schedule_trigger_config=m.JobConfigurationScheduleTriggerConfig(
            cron_expression="0 * * * *"
        ),
    )
    clock = steer(bench.cloud)
    clock.freeze()
    before = moment(clock.clock()["time"])
    seen: list[dict[str, Any]] = []
    with pytest.raises(AdvanceTimeout, match="It waited for slow-") as raised:
        clock.advance(2 * 3600, patience=300, timeout=1, progress=seen.append)
    [awaited] = seen[-1]["waiting_for"]
    assert raised.value.state["waiting_for"] == [awaited]
    assert seen[-1]["waiting"] > 0
    state = clock.clock()
    assert (state["advancing_to"], state["waiting_for"], state["frozen"]) == (None, [], True)
    there = moment(state["time"])
    assert (there.minute, there.second) == (0, 0)
    assert there - before <= timedelta(hours=1)
    bench.client.jobs.begin_stop_multiple_executions(GROUP, "slow").result()
    # The same over HTTP, for who waits for the answer.
    with pytest.raises(LocalCloudError, match=r"got to .* in 1 s .* It waited for slow-"):
        clock.request(
            "POST", "/local/clock/advance", {"seconds": 3600, "patience": 300, "timeout": 1}
        )
    assert moment(clock.clock()["time"]) - there == timedelta(hours=1)
    bench.client.jobs.begin_delete(GROUP, "slow").result()
    clock.reset()


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/local/clock/advance", {"seconds": 5, "timeout": -1}, "'timeout'"),
        ("POST", "/local/clock/advance", {}, "'seconds'"),
        ("POST", "/local/clock/advance", {"seconds": -5}, "at least 0"),
        ("POST", "/local/clock/advance", {"seconds": "soon"}, "'seconds'"),
        ("POST", "/local/clock/advance", {"seconds": 1e15}, "calendar"),
        ("POST", "/local/clock/rate", {"rate": 0}, "above 0"),
        ("POST", "/local/clock/rate", {"rate": True}, "'rate'"),
    ],
)
def test_what_cannot_be_done_is_said(
    cloud: CloudInThread, method: str, path: str, body: dict[str, Any], words: str
) -> None:
    with pytest.raises(LocalCloudError, match=words):
        steer(cloud).request(method, path, body)
    assert steer(cloud).clock()["steered"] is False


def test_only_the_person_at_the_machine_may_steer(cloud: CloudInThread) -> None:
    header = cloud.server.identity.replica_header([])
    endpoint = cloud.connection["identity"]["endpoint"]
    for wrong in (header, "nonsense", ""):
        client = SteeringClient({"identity": {"endpoint": endpoint, "header": wrong}})
        with pytest.raises(LocalCloudError, match="Only the person at the machine"):
            client.freeze()
    assert steer(cloud).clock()["frozen"] is False
