"""System events as they happen: live and stored ones joined, each told once."""

from __future__ import annotations

import json
import ssl
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.localcloud.steering.client import SteeringClient
from orchestrator.logs.system_log import SystemEvent
from tests.cloud.library_world import World
from tests.cloud.test_library_follow import BreakingStreams

QUICK = {"LINES": "1"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("events"))
    made.orc.up()
    yield made
    made.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    yield running
    steering = SteeringClient(running.cloud.connection)
    steering.clear_faults()
    steering.reset()


class Following(threading.Thread):
    """Follows on a thread of its own, and remembers what it hears and is told."""

    def __init__(self, orc: Any, job: str, execution: str | None = None, **options: Any) -> None:
        super().__init__(daemon=True)
        self.heard: list[SystemEvent] = []
        self.notices: list[str] = []
        self.abandoned = False
        self._events = orc.follow_events(job, execution, notice=self.notices.append, **options)
        self.start()

    def run(self) -> None:
        try:
            for event in self._events:
                self.heard.append(event)
        except Exception:
            if not self.abandoned:  # one that follows a job does so to the cloud's end
                raise

    def ended(self) -> list[SystemEvent]:
        self.join(60)
        assert not self.is_alive(), (self.heard, self.notices)
        return self.heard


def stored(world: World, execution: str) -> list[SystemEvent]:
    return list(world.orc.events(execution=execution))


def once(events: list[SystemEvent]) -> Counter[tuple[str, str, str]]:
    return Counter((e.reason, e.text, e.replica) for e in events)


def test_an_executions_events_come_while_it_runs_and_end_with_it(world: World) -> None:
    run = world.orc.start("pair", env={"LINES": "1", "SLEEP": "60"})
    following = Following(world.orc, run.job, run.name)
    world.cloud.until(lambda: len(following.heard) >= 4)  # two created, two started
    assert not run.execution.finished
    run.stop()
    heard = following.ended()
    assert heard == stored(world, run.name)
    assert [e.time for e in heard] == sorted(e.time for e in heard)
    assert heard[-1].reason == "Stopped"
    assert following.notices == []


def test_of_one_that_is_over_all_events_are_told(world: World) -> None:
    run = world.orc.start("talker", env={**QUICK, "EXIT": "3"})
    run.wait(30)
    assert list(world.orc.follow_events("talker", run.name)) == stored(world, run.name)
    only = world.orc.follow_events("talker", run.name, grep="backoff")
    assert [e.reason for e in only] == ["BackoffLimitExceeded"]
    last = list(world.orc.follow_events("talker", run.name, tail=1))
    assert [e.reason for e in last] == ["BackoffLimitExceeded"]


def test_of_a_job_what_happens_from_now_on_is_told(world: World) -> None:
    before = world.orc.start("talker", env=QUICK)
    before.wait(30)
    world.cloud.until(lambda: any(e.reason == "Completed" for e in stored(world, before.name)))
    following = Following(world.orc, "talker")
    time.sleep(1)  # (what is heard before the follower listens is the past)
    runs = [world.orc.start("talker", env=QUICK) for _ in range(2)]
    for run in runs:
        run.wait(30)
    world.cloud.until(lambda: sum(e.reason == "Completed" for e in following.heard) == 2)
    time.sleep(1.5)  # the store has told the same by now
    wanted = [e for run in runs for e in stored(world, run.name)]
    following.abandoned = True
    assert once(following.heard) == once(wanted)


def test_a_stream_that_breaks_loses_nothing_and_doubles_nothing(world: World) -> None:
    SteeringClient(world.cloud.connection).add_fault("log-delay", delay=180)
    transport = BreakingStreams(2, 700, connection_verify=world.cloud.connection["ca_bundle"])
    orc = world.orchestrator(transport=transport)
    run = orc.start("talker", env={"LINES": "1", "SLEEP": "1"})
    following = Following(orc, "talker", run.name)
    run.wait(30)
    world.cloud.until(lambda: following.notices)  # it cannot be sure of having heard everything
    SteeringClient(world.cloud.connection).advance(185)
    heard = following.ended()
    assert once(heard) == once(stored(world, run.name))
    assert transport.opened >= 3
    orc.close()


def test_with_late_ingestion_a_whole_stream_is_enough(world: World) -> None:
    SteeringClient(world.cloud.connection).add_fault("log-delay", delay=180)
    run = world.orc.start("drain", env=QUICK)
    following = Following(world.orc, "drain", run.name)
    heard = following.ended()
    assert following.notices == []
    SteeringClient(world.cloud.connection).advance(185)
    assert once(heard) == once(stored(world, run.name))


def test_without_a_stream_the_store_tells(world: World) -> None:
    steering = SteeringClient(world.cloud.connection)
    steering.add_fault("status", status=404, on="GET */eventstream")
    run = world.orc.start("talker", env={"LINES": "1", "SLEEP": "1"})
    following = Following(world.orc, "talker", run.name)
    heard = following.ended()
    assert once(heard) == once(stored(world, run.name))
    assert "no live event stream" in following.notices[0]


def test_the_stream_of_an_environment_tells_all_its_jobs_to_its_own_token_only(
    world: World,
) -> None:
    for job in ("talker", "pair"):
        world.orc.start(job, env=QUICK).wait(30)
    clients = world.orc._clients
    group, name = clients.profile.resource_group, clients.profile.environment
    environments = clients.containers.managed_environments
    environment = environments.get(group, name).as_dict()
    token = environments.get_auth_token(group, name).as_dict()["properties"]["token"]
    endpoint = environment["properties"]["eventStreamEndpoint"]

    def read(url: str, token: str) -> tuple[int, list[dict[str, Any]]]:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cafile=world.cloud.connection["ca"])
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status, [json.loads(line) for line in answer]
        except urllib.error.HTTPError as error:
            return error.code, []

    status, lines = read(f"{endpoint}?tailLines=300&follow=false", token)
    assert status == 200
    assert lines[1]["Msg"] == "Successfully connected to events server"
    assert {line["JobName"] for line in lines[2:]} >= {"talker", "pair"}
    job = world.orc.job("talker").raw["properties"]["eventStreamEndpoint"]
    assert read(job, token)[0] == 403
    assert read(f"{endpoint}?tailLines=301", token)[0] == 400
