"""Live lines, then stored ones, with minutes between: none is missed, none is told twice."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.azure.clients import Clients
from orchestrator.client import Orchestrator
from orchestrator.executions.run import Run
from orchestrator.localcloud.steering.client import SteeringClient
from orchestrator.waiting import SystemTime
from tests.cloud.library_world import World
from tests.cloud.test_library_follow import BreakingStreams, expected

DELAY = 180


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("late"))
    world.orc.up()
    yield world
    world.close()


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The world, in which what is written can be asked for three minutes later."""
    steering = SteeringClient(running.cloud.connection)
    steering.add_fault("log-delay", delay=DELAY)
    yield running
    steering.clear_faults()
    steering.reset()


class Following(threading.Thread):
    """Follows on a thread of its own, and remembers what it hears and is told."""

    def __init__(self, world: World, run: Run, **options: object) -> None:
        super().__init__(daemon=True)
        self.heard: list[str] = []
        self.notices: list[str] = []
        self._lines = world.orc.follow(
            run.job, run.name, notice=self.notices.append, **options  # type: ignore[arg-type]
        )  # fmt: skip
        self.start()

    def run(self) -> None:
        for line in self._lines:
            self.heard.append(line.text)

    def texts(self) -> list[str]:
        self.join(60)
        assert not self.is_alive(), (len(self.heard), self.notices)
        return self.heard


def time_passes(world: World, seconds: float = DELAY + 5) -> None:
    SteeringClient(world.cloud.connection).advance(seconds)


def test_a_stream_that_tells_everything_needs_no_stored_line(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "40", "PAUSE": "0.01"})
    following = Following(world, run)
    assert following.texts() == expected(40)
    assert following.notices == []


def test_lines_before_the_streams_first_are_waited_for(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "1000", "SLEEP": "20"})
    world.cloud.until(lambda: last_streamed(world, run) == "args")
    following = Following(world, run)
    world.cloud.until(lambda: following.notices)
    assert "waiting" in following.notices[0]
    assert following.heard == []  # not out of order: the beginning comes first
    time_passes(world)
    world.cloud.until(lambda: len(following.heard) == 1001)
    run.stop()
    assert following.texts() == expected(1000)


def test_what_ended_before_it_was_followed_is_waited_for(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "400"})
    run.wait(30)
    transport = BreakingStreams(10**6, 0, connection_verify=world.cloud.connection["ca_bundle"])
    orc = world.orchestrator(transport=transport)
    notices: list[str] = []
    heard: list[str] = []
    lines = orc.follow("talker", run.name, notice=notices.append)
    listener = threading.Thread(target=lambda: heard.extend(line.text for line in lines))
    listener.start()
    world.cloud.until(lambda: notices)
    assert heard == []
    time_passes(world)
    listener.join(30)
    assert not listener.is_alive()
    assert heard == expected(400)
    orc.close()


@pytest.mark.parametrize("text", ["tick", "tick {n}"])
def test_a_stream_that_breaks_for_good_goes_on_in_the_store_at_the_very_line(
    world: World, text: str
) -> None:
    # 700 bytes into its first stream it breaks, and later ones never bring a byte.
    transport = BreakingForGood(world)
    orc = world.orchestrator(transport=transport)
    code = f"import time\nfor n in range(80):\n  print(f'{text}', flush=True); time.sleep(0.01)"
    run = orc.start("talker", command=["python3", "-S", "-c", code])
    notices: list[str] = []
    heard: list[str] = []
    lines = orc.follow("talker", run.name, notice=notices.append)
    listener = threading.Thread(target=lambda: heard.extend(line.text for line in lines))
    listener.start()
    world.cloud.until(lambda: notices, timeout=40)
    before = len(heard)
    assert before < 80
    time_passes(world)
    listener.join(30)
    assert not listener.is_alive()
    assert heard == [text.format(n=n) for n in range(80)]
    orc.close()


def test_a_jobs_lines_since_a_time_come_from_the_store_and_then_live(world: World) -> None:
    past = world.orc.start("talker", env={"LINES": "2", "WORD": "past"})
    past.wait(30)
    heard: list[str] = []
    following = world.orc.follow("talker", since=past.execution.start)

    def listen() -> None:
        for line in following:
            heard.append(line.text)
            if sum("past" in t or "present" in t for t in heard) == 4:
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    world.orc.start("talker", env={"LINES": "2", "WORD": "present"}).wait(30)
    world.cloud.until(lambda: "line 1 of present" in heard)
    assert not any("past" in text for text in heard)  # not ingested yet
    time_passes(world)
    listener.join(30)
    assert not listener.is_alive()
    told = Counter(text for text in heard if "past" in text or "present" in text)
    assert told == Counter(f"line {n} of {w}" for n in range(2) for w in ("past", "present"))


def test_late_lines_are_told_from_a_table_that_is_not_there_and_from_none(world: World) -> None:
    world.orc.start("talker").wait(30)
    time_passes(world)
    late = world.orc.start("talker", env={"LINES": "2"})
    late.wait(30)
    assert (len(late.logs()), late.logs().state) == (0, "late")
    assert world.orc.events(execution=late.name).state == ""
    time_passes(world)
    assert (len(late.logs()), late.logs().state) == (3, "")
    assert late.logs(grep="never written").state == "none"
    SteeringClient(world.cloud.connection).add_fault("log-delay", delay=86400)
    assert late.logs().state == "no-table"
    assert world.orc.events(execution=late.name).state == "no-table"


def last_streamed(world: World, run: Run) -> str:
    following = world.orc.follow(run.job, run.name, tail=1)
    try:
        return next(following).text
    finally:
        following.close()


class Ahead(SystemTime):
    """This machine's clock, an hour ahead of the service's."""

    def time(self) -> float:
        return super().time() + 3600


def with_a_wrong_clock(world: World, **given: Any) -> Orchestrator:
    profile = world.profile()
    clients = Clients(profile, **given)
    return Orchestrator(world.settings(), profile, clients=clients, time=Ahead())


def test_how_long_lines_are_waited_for_is_by_the_services_clock(world: World) -> None:
    world.orc.start("talker").wait(30)
    time_passes(world)  # the tables are there
    run = world.orc.start("talker", env={"LINES": "400"})
    run.wait(30)
    transport = BreakingStreams(10**6, 0, connection_verify=world.cloud.connection["ca_bundle"])
    with with_a_wrong_clock(world, transport=transport) as orc:
        found = orc.logs(execution=run.name)
        assert (len(found), found.state) == (0, "late")
        notices: list[str] = []
        heard: list[str] = []
        lines = orc.follow("talker", run.name, notice=notices.append)
        listener = threading.Thread(target=lambda: heard.extend(line.text for line in lines))
        listener.start()
        world.cloud.until(lambda: notices)
        assert listener.is_alive()
        time_passes(world)
        listener.join(30)
        assert not listener.is_alive()
        assert heard == expected(400)


def test_lines_before_the_streams_first_are_told_whatever_this_machines_clock_says(
    world: World,
) -> None:
    time_passes(world, 3600)  # a line of the past then seems to be written from now on
    run = world.orc.start("talker", env={"LINES": "1000", "SLEEP": "20"})
    world.cloud.until(lambda: last_streamed(world, run) == "args")
    following = Following(world, run)
    world.cloud.until(lambda: following.notices)
    time_passes(world)
    world.cloud.until(lambda: len(following.heard) == 1001)
    run.stop()
    assert following.texts() == expected(1000)


class BreakingForGood(BreakingStreams):
    """The first stream breaks after some lines; no later one brings any."""

    def __init__(self, world: World) -> None:
        super().__init__(10**6, 700, connection_verify=world.cloud.connection["ca_bundle"])
        self._nothing = itertools.count()

    def _cut(self, response: object) -> None:
        if next(self._nothing):
            self._after = 0
        super()._cut(response)
