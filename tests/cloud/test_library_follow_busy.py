"""Following what writes much, at once, or in odd ways: every line once and in order."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from azure.mgmt.appcontainers.models import JobExecutionContainer, JobExecutionTemplate

from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import World

MORE = """
[jobs.crowd]
trigger = "manual"
image = "talker"
parallelism = 3
completions = 3
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("busy"))
    made.path.write_text(made.path.read_text() + MORE)
    made.orc.close()
    made.orc = made.orchestrator()
    made.orc.up()
    yield made
    made.close()


def program(code: str) -> dict[str, list[str]]:
    return {"command": [sys.executable, "-S", "-c", code]}


def numbers(lines: list[str]) -> list[int]:
    return [int(line) for line in lines]


@pytest.mark.parametrize("count", [290, 310, 8000])
def test_what_is_written_while_the_stream_opens_is_not_lost(world: World, count: int) -> None:
    """A stream begins 300 lines back, and those may be younger than the wish to open it."""
    run = world.orc.start("talker", **program(f"for i in range({count}): print(i)"))
    assert numbers([line.text for line in run.follow()]) == list(range(count))


@pytest.mark.parametrize("wait", [0.2, 0.6, 1.5])
def test_who_comes_to_a_job_that_writes_all_the_time_hears_it_all(
    world: World, wait: float
) -> None:
    code = "import time\nfor i in range(1500): print(i, flush=True); time.sleep(0.002)"
    run = world.orc.start("talker", **program(code))
    time.sleep(wait)
    assert numbers([line.text for line in run.follow()]) == list(range(1500))


@pytest.mark.parametrize("delay", [0, 8])
def test_a_replica_that_has_ended_while_others_run_is_told_once(world: World, delay: int) -> None:
    steering = SteeringClient(world.cloud.connection)
    if delay:
        steering.add_fault("log-delay", delay=delay)
    code = (
        "import os, time\n"
        "me = os.environ['CONTAINER_APP_REPLICA_NAME']\n"
        "for i in range(800): print(me, i)\n"
        "import sys; sys.stdout.flush()\n"
        "time.sleep(1 if me[-1] < 'h' else 5)\n"
        "print(me, 800)"
    )
    try:
        run = world.orc.start("crowd", **program(code))
        time.sleep(1)
        told = Counter(line.text for line in run.follow())
    finally:
        steering.clear_faults()
    assert set(told.values()) == {1}
    assert len(told) == 3 * 801


def test_a_carriage_return_is_part_of_a_line_live_and_stored(world: World) -> None:
    code = "import time\nfor i in range(400): print(f'{i}\\r{i} done', flush=True)\ntime.sleep(2)"
    run = world.orc.start("talker", **program(code))
    time.sleep(1)
    expected = [f"{i}\r{i} done" for i in range(400)]
    assert [line.text for line in run.follow()] == expected
    assert [line.text for line in run.logs()] == expected


def test_init_containers_are_followed_too(world: World) -> None:
    live = world.orc._jobs.resource("talker")
    live.pop("systemData", None)
    live["properties"]["template"]["initContainers"] = [
        {
            "name": "prep",
            "image": live["properties"]["template"]["containers"][0]["image"],
            "resources": {"cpu": 0.25, "memory": "0.5Gi"},
            **program("print('first'); import time; time.sleep(1)"),
        }
    ]
    world.orc._jobs.put("talker", live).result()
    try:
        run = world.orc.start("talker", **program("print('second')"))
        told = [(line.container, line.text) for line in run.follow()]
        assert told == [("prep", "first"), ("talker", "second")]
    finally:
        world.orc.deploy("talker")


def test_an_execution_is_followed_by_the_containers_that_it_has(world: World) -> None:
    """A start may bring a container of another name than the job's."""
    image = world.orc._jobs.resource("talker")["properties"]["template"]["containers"][0]["image"]
    code = "import time\nfor i in range(3): print(i, flush=True); time.sleep(0.5)"
    template = JobExecutionTemplate(
        containers=[JobExecutionContainer(name="other", image=image, **program(code))]
    )
    jobs = world.orc._clients.containers.jobs
    name = str(jobs.begin_start("local", "talker", template).result().name)
    told = [(line.container, line.text) for line in world.orc.run(name).follow()]
    assert told == [("other", "0"), ("other", "1"), ("other", "2")]
