"""An execution from its start to its end, in a time that stands still until told."""

from __future__ import annotations

import asyncio
import re

import pytest

from orchestrator.localcloud.runtime.model import RuntimeFault, StartFailure
from tests.unit.runtime.doubles import PREFIX, START, Act, House, job_resource


async def test_an_execution_whose_container_exits_0_succeeds(house: House) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=5, lines=("hello",))
    started = await house.runtime.start_execution(job)
    assert re.fullmatch(r"sender-[a-z0-9]{7}", started["name"])
    assert started["id"] == f"{PREFIX}sender/executions/{started['name']}"
    assert started["type"] == "Microsoft.App/jobs/executions"
    assert started["properties"]["status"] == "Running"
    await house.advance(5)
    execution = house.runtime.execution(job, started["name"].upper())
    assert execution is not None
    properties = execution["properties"]
    assert properties["status"] == "Succeeded"
    assert properties["startTime"] == "2026-01-01T00:00:00.000+00:00"
    assert properties["endTime"] == "2026-01-01T00:00:05.000+00:00"
    [replica] = properties["detailedStatus"]["replicas"]
    assert re.fullmatch(rf"{started['name']}-[a-z0-9]{{5}}", replica["name"])
    assert replica["containers"] == [
        {"name": "main", "status": "Succeeded", "code": 0, "additionalInformation": "Completed"}
    ]
    assert house.sink.reasons() == [
        "SuccessfulCreate",
        "ContainerStarted",
        "ContainerTerminated",
        "Completed",
    ]
    assert house.sink.texts("ContainerTerminated") == [
        "Container 'main' was terminated with exit code '0' and reason 'Completed'"
    ]
    [line] = house.sink.lines
    assert (line.text, line.job, line.execution, line.replica, line.environment) == (
        "hello",
        "sender",
        started["name"],
        replica["name"],
        "local",
    )
    assert house.sink.open == house.sink.ended == house.executor.released == [replica["name"]]


async def test_a_failure_without_retries_fails_the_execution(house: House) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(code=3)
    started = await house.runtime.start_execution(job)
    await house.settle()
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    properties = execution["properties"]
    assert (properties["status"], properties["reason"], properties["message"]) == (
        "Failed",
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    )
    [container] = properties["detailedStatus"]["replicas"][0]["containers"]
    assert (container["status"], container["code"]) == ("Failed", 3)
    assert house.sink.texts("ContainerTerminated") == [
        "Container 'main' was terminated with exit code '3' and reason 'ProcessExited'"
    ]
    assert [e.type for e in house.sink.events if e.reason == "BackoffLimitExceeded"] == ["Warning"]


async def test_a_failed_container_is_restarted_in_its_replica_after_a_doubling_wait(
    house: House,
) -> None:
    job = house.add(retries=3)
    house.executor.script = lambda replica, container, run: Act(code=0 if run == 3 else 1)
    started = await house.runtime.start_execution(job)
    await house.advance(100)
    assert [at - START for _, _, at in house.executor.starts] == [0, 10, 30, 70]
    assert len({replica.name for replica, _, _ in house.executor.starts}) == 1
    assert len({container.id for _, container, _ in house.executor.starts}) == 4
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert execution["properties"]["status"] == "Succeeded"
    [container] = execution["properties"]["detailedStatus"]["replicas"][0]["containers"]
    assert container["additionalInformation"] == "Completed (restarted 3 times)"
    assert len(house.sink.texts("ContainerBackOff")) == 3


async def test_retries_end_at_the_limit(house: House) -> None:
    job = house.add(retries=2)
    house.executor.script = lambda replica, container, run: Act(code=1)
    await house.runtime.start_execution(job)
    await house.advance(29)
    assert house.statuses(job) == ["Running"]
    await house.advance(1)
    assert house.statuses(job) == ["Failed"]
    assert len(house.executor.starts) == 3


async def test_each_replica_has_its_own_retries(house: House) -> None:
    job = house.add(retries=1, trigger_config={"parallelism": 3, "replicaCompletionCount": 3})
    house.executor.script = lambda replica, container, run: Act(code=0 if run else 1)
    await house.runtime.start_execution(job)
    await house.advance(10)
    assert house.statuses(job) == ["Succeeded"]
    assert len(house.executor.starts) == 6


async def test_the_wait_starts_over_after_a_long_good_run(house: House) -> None:
    job = house.add(retries=3)
    house.executor.script = lambda replica, container, run: Act(
        after=700 if run == 1 else 0, code=1
    )
    await house.runtime.start_execution(job)
    await house.advance(1000)
    # 0, 10 (first wait), runs to 710, 720 (first wait again), 740 (second).
    assert [at - START for _, _, at in house.executor.starts] == [0, 10, 720, 740]


async def test_parallelism_bounds_what_runs_and_every_completion_is_reached(house: House) -> None:
    job = house.add(trigger_config={"parallelism": 2, "replicaCompletionCount": 5})
    house.executor.script = lambda replica, container, run: Act(after=10)
    await house.runtime.start_execution(job)
    await house.settle()
    assert len(house.executor.alive) == 2
    await house.advance(30)
    assert house.statuses(job) == ["Succeeded"]
    assert house.executor.peak == 2
    assert [at - START for _, _, at in house.executor.starts] == [0, 0, 10, 10, 20]


async def test_no_more_replicas_run_than_completions_are_wanted(house: House) -> None:
    job = house.add(trigger_config={"parallelism": 5, "replicaCompletionCount": 1})
    house.executor.script = lambda replica, container, run: Act(after=1)
    await house.runtime.start_execution(job)
    await house.advance(1)
    assert house.statuses(job) == ["Succeeded"]
    assert len(house.executor.starts) == 1


async def test_the_time_out_ends_everything_and_comes_before_the_retries(house: House) -> None:
    job = house.add(
        timeout=60, retries=10, trigger_config={"parallelism": 2, "replicaCompletionCount": 2}
    )
    house.executor.script = lambda replica, container, run: Act(after=50, code=1)
    started = await house.runtime.start_execution(job)
    await house.advance(60)
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert execution["properties"]["status"] == "Failed"
    assert execution["properties"]["reason"] == "DeadlineExceeded"
    assert execution["properties"]["endTime"] == "2026-01-01T00:01:00.000+00:00"
    assert house.sink.texts("DeadlineExceeded") == ["Job was active longer than specified deadline"]
    assert not house.executor.alive
    await house.advance(600)
    assert len(house.executor.starts) == 2


async def test_stop_tells_every_replica_with_the_grace_period(house: House) -> None:
    job = house.add(trigger_config={"parallelism": 2, "replicaCompletionCount": 2})
    house.executor.script = lambda replica, container, run: Act(after=1000, deaf=True)
    started = await house.runtime.start_execution(job)
    await house.advance(3)
    stopped = await house.runtime.stop_execution(job, started["name"])
    assert stopped["properties"]["status"] == "Stopped"
    assert stopped["properties"]["endTime"] == "2026-01-01T00:00:03.000+00:00"
    assert [grace for _, grace in house.executor.stops] == [30.0, 30.0]
    codes = [
        replica["containers"][0]["code"]
        for replica in stopped["properties"]["detailedStatus"]["replicas"]
    ]
    assert codes == [137, 137]
    assert house.sink.reasons()[-1] == "Stopped"


async def test_a_container_that_ends_well_when_told_to_stop_is_stopped_all_the_same(
    house: House,
) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=1000)
    started = await house.runtime.start_execution(job)
    await house.settle()
    again = await asyncio.gather(
        house.runtime.stop_execution(job, started["name"]),
        house.runtime.stop_execution(job, started["name"]),
    )
    assert {one["properties"]["status"] for one in again} == {"Stopped"}
    once_more = await house.runtime.stop_execution(job, started["name"])
    assert once_more == house.runtime.execution(job, started["name"])


async def test_stop_does_not_wait_for_a_retry(house: House) -> None:
    job = house.add(retries=5)
    house.executor.script = lambda replica, container, run: Act(code=1)
    started = await house.runtime.start_execution(job)
    await house.settle()
    stopped = await house.runtime.stop_execution(job, started["name"])
    assert stopped["properties"]["status"] == "Stopped"
    assert len(house.executor.starts) == 1


async def test_stop_all_stops_what_runs_and_nothing_else(house: House) -> None:
    job = house.add()
    other = house.add("other")
    house.executor.script = lambda replica, container, run: Act(after=5)
    await house.runtime.start_execution(job)
    await house.advance(5)
    running = [(await house.runtime.start_execution(job))["name"] for _ in range(2)]
    await house.runtime.start_execution(other)
    await house.settle()
    stopped = await house.runtime.stop_all(job)
    assert {one["name"] for one in stopped} == set(running)
    assert house.statuses(job) == ["Stopped", "Stopped", "Succeeded"]
    assert house.statuses(other) == ["Running"]


async def test_init_containers_run_one_after_the_other_before_the_containers(house: House) -> None:
    job = house.add(
        init=[{"name": "first", "image": "a"}, {"name": "second", "image": "b"}],
        containers=[{"name": "main", "image": "c"}, {"name": "side", "image": "d"}],
    )
    house.executor.script = lambda replica, container, run: Act(after=10)
    started = await house.runtime.start_execution(job)
    await house.advance(60)
    order = [(container.name, at - START) for _, container, at in house.executor.starts]
    assert order == [("first", 0), ("second", 10), ("main", 20), ("side", 20)]
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    names = [
        c["name"] for c in execution["properties"]["detailedStatus"]["replicas"][0]["containers"]
    ]
    assert names == ["first", "second", "main", "side"]
    assert execution["properties"]["status"] == "Succeeded"


async def test_a_failed_init_container_keeps_the_containers_from_starting(house: House) -> None:
    job = house.add(init=[{"name": "first", "image": "a"}])
    house.executor.script = lambda replica, container, run: Act(code=1)
    await house.runtime.start_execution(job)
    await house.settle()
    assert house.statuses(job) == ["Failed"]
    assert [container.name for _, container, _ in house.executor.starts] == ["first"]


async def test_only_the_container_that_failed_is_restarted(house: House) -> None:
    job = house.add(
        retries=1, containers=[{"name": "main", "image": "c"}, {"name": "side", "image": "d"}]
    )
    house.executor.script = lambda replica, container, run: Act(
        after=1, code=1 if container.name == "side" and run == 0 else 0
    )
    await house.runtime.start_execution(job)
    await house.advance(30)
    assert house.statuses(job) == ["Succeeded"]
    assert [container.name for _, container, _ in house.executor.starts] == ["main", "side", "side"]


async def test_what_can_never_start_fails_at_once_and_says_why(house: House) -> None:
    job = house.add(retries=5)
    refusal = StartFailure("ImagePullFailure", "no such image", permanent=True)
    house.executor.script = lambda replica, container, run: Act(refuse=refusal)
    started = await house.runtime.start_execution(job)
    await house.settle()
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert (execution["properties"]["status"], execution["properties"]["reason"]) == (
        "Failed",
        "ImagePullFailure",
    )
    assert execution["properties"]["message"] == "no such image"
    [container] = execution["properties"]["detailedStatus"]["replicas"][0]["containers"]
    assert container == {
        "name": "main",
        "status": "Waiting",
        "additionalInformation": "ImagePullFailure: no such image",
    }
    assert len(house.executor.starts) == 1
    assert house.sink.texts("ImagePullFailure") == ["no such image"]
    assert house.sink.texts("Failed") == ["Job execution failed: no such image"]


async def test_a_start_that_may_work_later_counts_as_a_retry(house: House) -> None:
    job = house.add(retries=1)
    refusal = StartFailure("ContainerStartFailure", "no memory", permanent=False)
    house.executor.script = lambda replica, container, run: Act(refuse=None if run else refusal)
    await house.runtime.start_execution(job)
    await house.advance(10)
    assert house.statuses(job) == ["Succeeded"]


async def test_a_missing_secret_fails_the_execution_and_names_the_variable(house: House) -> None:
    job = house.add(
        containers=[
            {"name": "main", "image": "c", "env": [{"name": "KEY", "secretRef": "connection"}]}
        ]
    )
    started = await house.runtime.start_execution(job)
    await house.settle()
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert execution["properties"]["reason"] == "ContainerCreateFailure"
    assert "'KEY' refers to secret 'connection'" in execution["properties"]["message"]
    assert not house.executor.starts


async def test_the_environment_is_the_platforms_then_the_jobs_then_the_names(house: House) -> None:
    job = house.add(
        secrets=[{"name": "connection", "value": "sb://secret"}],
        containers=[
            {
                "name": "main",
                "image": "c",
                "env": [
                    {"name": "KEY", "secretRef": "connection"},
                    {"name": "SHARED", "value": "job"},
                    {"name": "EMPTY"},
                    {"name": "CONTAINER_APP_JOB_NAME", "value": "no"},
                ],
            }
        ],
    )
    started = await house.runtime.start_execution(job)
    await house.settle()
    [(replica, container, _)] = house.executor.starts
    assert dict(container.env) == {
        "IDENTITY_ENDPOINT": "http://127.0.0.1/msi/token",
        "SHARED": "job",
        "KEY": "sb://secret",
        "EMPTY": "",
        "CONTAINER_APP_JOB_NAME": "sender",
        "CONTAINER_APP_JOB_EXECUTION_NAME": started["name"],
        "CONTAINER_APP_REPLICA_NAME": replica.name,
    }
    assert "sb://secret" not in repr(container)
    assert "sb://secret" not in repr(house.runtime.executions(job))
    assert house.environments == ["open sender", "close sender"]


async def test_an_override_replaces_the_template_of_this_execution_only(house: House) -> None:
    job = house.add(
        init=[{"name": "first", "image": "a"}],
        containers=[{"name": "main", "image": "c", "env": [{"name": "A", "value": "1"}]}],
    )
    container = {"name": "main", "image": "d", "args": ["x"], "env": None, "volumeMounts": None}
    started = await house.runtime.start_execution(job, {"containers": [container]})
    await house.settle()
    assert started["properties"]["template"] == {
        "containers": [{"name": "main", "image": "d", "args": ["x"]}]
    }
    [(_, spec, _)] = house.executor.starts
    assert (spec.image, spec.args, "A" in spec.env) == ("d", ("x",), False)
    plain = await house.runtime.start_execution(job)
    assert plain["properties"]["template"]["containers"][0]["image"] == "c"
    assert plain["properties"]["template"]["initContainers"][0]["name"] == "first"


async def test_starting_what_is_not_there_or_suspended_is_refused(house: House) -> None:
    with pytest.raises(RuntimeFault) as fault:
        await house.runtime.start_execution(PREFIX + "nobody")
    assert fault.value.status == 404
    job = house.add(suspended=True)
    with pytest.raises(RuntimeFault, match="is suspended") as fault:
        await house.runtime.start_execution(job)
    assert fault.value.status == 409
    with pytest.raises(RuntimeFault, match="no execution 'x'") as fault:
        await house.runtime.stop_execution(job, "x")
    assert fault.value.status == 404
    assert house.runtime.execution(job, "x") is None
    assert house.runtime.executions(PREFIX + "nobody") == []


async def test_executions_are_listed_newest_first_and_ids_have_no_case(house: House) -> None:
    job = house.add()
    names = []
    for _ in range(3):
        names.append((await house.runtime.start_execution(job.upper()))["name"])
        await house.advance(1)
    assert [e["name"] for e in house.runtime.executions(job.lower())] == names[::-1]


async def test_deleting_a_job_stops_its_executions_and_forgets_them(house: House) -> None:
    job = house.add()
    house.executor.script = lambda replica, container, run: Act(after=1000)
    await house.runtime.start_execution(job)
    await house.settle()
    del house.jobs.resources[job.lower()]
    house.runtime.job_deleted(job)
    assert house.runtime.executions(job) == []
    await house.settle()
    assert not house.executor.alive
    house.jobs.put(job_resource())
    house.runtime.job_changed(job)
    assert house.runtime.executions(job) == []
    await house.runtime.start_execution(job)
    assert house.statuses(job) == ["Running"]


async def test_replicas_are_listed_with_their_containers(house: House) -> None:
    job = house.add(retries=1)
    house.executor.script = lambda replica, container, run: Act(after=5, code=0 if run else 1)
    started = await house.runtime.start_execution(job)
    await house.advance(16)
    [replica] = house.runtime.replicas(job, started["name"])
    assert replica["properties"]["runningState"] == "Running"
    [container] = replica["properties"]["containers"]
    assert container["restartCount"] == 1
    assert re.fullmatch(r"[0-9a-f]{64}", container["containerId"])
    assert container["runningState"] == "Running"
    with pytest.raises(RuntimeFault):
        house.runtime.replicas(job, "nobody")


async def test_a_full_disk_refuses_the_start_and_starts_nothing(house: House) -> None:
    job = house.add()
    connection = house.runtime._store._database
    used = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {used}")
    long = [{"name": "main", "image": "c", "args": ["x" * 50_000]}]
    with pytest.raises(RuntimeFault, match="cannot be written") as fault:
        await house.runtime.start_execution(job, {"containers": long})
    assert (fault.value.code, fault.value.status) == ("StorageFull", 507)
    connection.execute("PRAGMA max_page_count = 1000000")
    assert house.runtime.executions(job) == []
    assert not house.executor.starts


async def test_a_full_disk_does_not_end_what_runs(house: House) -> None:
    job = house.add(retries=1)
    house.executor.script = lambda replica, container, run: Act(after=5, code=0 if run else 1)
    started = await house.runtime.start_execution(job)
    await house.settle()
    store = house.runtime._store
    connection = store._database
    connection.execute("PRAGMA query_only = 1")
    await house.advance(10)
    connection.execute("PRAGMA query_only = 0")
    await house.advance(10)
    execution = house.runtime.execution(job, started["name"])
    assert execution is not None
    assert execution["properties"]["status"] == "Succeeded"
    [container] = execution["properties"]["detailedStatus"]["replicas"][0]["containers"]
    assert container["code"] == 0
