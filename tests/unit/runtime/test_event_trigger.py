"""The event trigger: what it starts, when it looks, and what it says when a rule is wrong."""

from __future__ import annotations

from typing import Any

from tests.unit.runtime.doubles import START, Act, House

KEY = "Endpoint=sb://space.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=c2Vj="


def rule(queue: str = "results", **metadata: Any) -> dict[str, Any]:
    return {
        "name": queue,
        "type": "azure-servicebus",
        "metadata": {"queueName": queue, "messageCount": 5, **metadata},
        "auth": [{"secretRef": "key", "triggerParameter": "connection"}],
    }


def add(
    house: House, name: str = "receiver", rules: list[dict[str, Any]] | None = None, **scale: Any
) -> str:
    suspended = scale.pop("suspended", False)
    secrets = scale.pop("secrets", [{"name": "key", "value": KEY}])
    config = {"scale": {"rules": rules or [rule()], **scale}}
    return house.add(
        name, trigger="Event", trigger_config=config, secrets=secrets, suspended=suspended
    )


async def test_messages_start_executions_at_the_first_look_and_then_every_interval(
    house: House,
) -> None:
    house.queues["space", "results"] = 100
    job = add(house, minExecutions=1, maxExecutions=10, pollingInterval=20)
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.settle()
    assert len(house.runtime.executions(job)) == 1
    await house.advance(19)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(1)
    assert len(house.runtime.executions(job)) == 10
    await house.advance(200)
    assert len(house.runtime.executions(job)) == 10
    assert house.sink.texts("KEDAJobsCreated") == ["Created 1 jobs", "Created 9 jobs"]
    assert house.sink.texts("KEDAScalersStarted") == ["Started scalers watch"]
    assert {e.source for e in house.sink.events if e.reason.startswith("KEDA")} == {"KEDA"}


async def test_the_interval_is_30_seconds_unless_given(house: House) -> None:
    house.queues["space", "results"] = 0
    add(house)
    await house.advance(90)
    assert [at - START for _, _, at in house.polls] == [0, 30, 60, 90]


async def test_an_empty_queue_starts_nothing(house: House) -> None:
    house.queues["space", "results"] = 0
    job = add(house)
    await house.advance(300)
    assert house.runtime.executions(job) == []
    assert house.sink.reasons() == ["KEDAScalersStarted"]


async def test_executions_that_are_over_make_room(house: House) -> None:
    house.queues["space", "results"] = 50
    job = add(house, maxExecutions=2, pollingInterval=10)
    house.executor.script = lambda replica, container, run: Act(after=25)
    await house.advance(60)
    starts = [at - START for _, _, at in house.executor.starts]
    assert starts == [0, 0, 30, 30, 60, 60]
    assert house.executor.peak == 2
    assert len(house.runtime.executions(job)) == 6


async def test_a_missing_queue_is_told_once_and_does_not_stop_the_other_rule(house: House) -> None:
    house.queues["space", "results"] = 5
    job = add(house, rules=[rule("nowhere"), rule()], pollingInterval=10)
    await house.advance(100)
    assert house.sink.texts("KEDAScalerFailed") == [
        "rule nowhere: queue nowhere doesn't exist in namespace space"
    ]
    assert len(house.runtime.executions(job)) == 11
    house.queues["space", "nowhere"] = 0
    await house.advance(10)
    assert "rule nowhere: queue nowhere is watched" in house.sink.texts("KEDAScalersStarted")
    del house.queues["space", "nowhere"]
    await house.advance(50)
    assert len(house.sink.texts("KEDAScalerFailed")) == 2


async def test_a_missing_secret_is_told_once_and_does_not_stop_other_jobs(house: House) -> None:
    house.queues["space", "results"] = 5
    bad = add(house, "bad", secrets=[], pollingInterval=10)
    good = add(house, "good", pollingInterval=10)
    await house.advance(50)
    assert house.runtime.executions(bad) == []
    assert house.runtime.executions(good)
    failed = [e for e in house.sink.events if e.reason == "KEDAScalerFailed"]
    assert [(e.job, e.type, e.text) for e in failed] == [
        ("bad", "Warning", "rule results: secret key is not among the secrets of job bad")
    ]


async def test_another_rule_type_is_refused_and_the_minimum_runs_all_the_same(house: House) -> None:
    other = {"name": "cache", "type": "redis", "metadata": {"listName": "x"}}
    job = add(house, rules=[other], minExecutions=1, pollingInterval=10)
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.advance(50)
    assert len(house.runtime.executions(job)) == 1
    assert house.sink.texts("KEDAScalerFailed") == [
        "rule cache: no scaler found for type: redis; "
        "the local cloud has the scaler azure-servicebus"
    ]


async def test_a_corrected_job_is_looked_at_at_once(house: House) -> None:
    house.queues["space", "results"] = 5
    job = add(house, rules=[rule("nowhere")])
    await house.advance(3)
    assert house.runtime.executions(job) == []
    add(house)
    await house.settle()
    assert len(house.runtime.executions(job)) == 1


async def test_a_suspended_job_looks_at_nothing_until_it_is_resumed(house: House) -> None:
    house.queues["space", "results"] = 5
    job = add(house, suspended=True)
    await house.advance(300)
    assert not house.polls
    add(house)
    await house.settle()
    assert len(house.runtime.executions(job)) == 1


async def test_a_deleted_job_looks_at_nothing(house: House) -> None:
    house.queues["space", "results"] = 0
    job = add(house)
    await house.settle()
    looked = len(house.polls)
    del house.jobs.resources[job.lower()]
    house.runtime.job_deleted(job)
    await house.advance(300)
    assert len(house.polls) == looked


async def test_a_fault_in_one_trigger_leaves_the_others_and_is_tried_again(house: House) -> None:
    house.queues["space", "results"] = 5
    lengths = house.queues

    class Broken(dict[tuple[str, str], int]):
        def get(self, key: tuple[str, str], default: Any = None) -> Any:
            if key[1] == "broken":
                raise OSError("the broker is closed")
            return lengths.get(key, default)

    house.queues = Broken()
    add(house, "one", rules=[rule("broken")], pollingInterval=10)
    two = add(house, "two", pollingInterval=10)
    await house.advance(5)
    assert len(house.runtime.executions(two)) == 1
    lengths["space", "broken"] = 0
    await house.advance(50)
    assert len(house.runtime.executions(two)) == 6


async def test_after_a_restart_running_executions_still_count(house: House) -> None:
    house.queues["space", "results"] = 100
    job = add(house, maxExecutions=3, pollingInterval=10)
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.advance(10)
    assert len(house.runtime.executions(job)) == 3
    await house.die()
    await house.restart()
    await house.advance(50)
    assert len(house.runtime.executions(job)) == 3


async def test_an_address_without_a_name_asks_for_the_only_namespace(house: House) -> None:
    local = "Endpoint=sb://127.0.0.1:14671;SharedAccessKeyName=a;SharedAccessKey=b"
    house.queues["", "results"] = 5
    job = add(house, secrets=[{"name": "key", "value": local}])
    await house.settle()
    assert len(house.runtime.executions(job)) == 1


async def test_a_pattern_counts_the_queues_that_there_are_at_each_look(house: House) -> None:
    house.queues["space", "orders-eu"] = 10
    job = add(house, rules=[rule("orders-.*", useRegex=True)], pollingInterval=10)
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.settle()
    assert len(house.runtime.executions(job)) == 2
    house.queues["space", "orders-us"] = 10
    house.queues["space", "others"] = 100
    await house.advance(10)
    assert len(house.runtime.executions(job)) == 4
