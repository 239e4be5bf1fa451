"""Following: every line once and in order, whatever happens to the streams."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport

from orchestrator import errors
from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("follow"))
    made.orc.up()
    yield made
    made.close()


def expected(count: int, word: str = "talker") -> list[str]:
    return [*(f"line {n} of {word}" for n in range(count)), "args"]


def test_a_running_execution_is_followed_to_its_end(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "20", "PAUSE": "0.02"})
    lines = list(run.follow())
    assert [line.text for line in lines] == expected(20)
    assert {(line.job, line.execution, line.container) for line in lines} == {
        ("talker", run.name, "talker")
    }
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert run.execution.finished


def test_errors_and_outputs_come_with_their_stream(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "1", "COMPLAINT": "oh no", "EXIT": "2"})
    # The two are two pipes: which of them is read first is nobody's promise.
    assert sorted((line.stream, line.text) for line in run.follow()) == [
        ("stderr", "oh no"),
        ("stdout", "args"),
        ("stdout", "line 0 of talker"),
    ]
    assert run.execution.exit_code == 3


def test_more_lines_than_a_stream_tells_of_the_past_are_all_told(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "1500", "SLEEP": "3"})
    world.cloud.until(lambda: len(run.logs()) >= 1501)
    assert [line.text for line in run.follow()] == expected(1500)


def test_what_ended_long_ago_is_told_too(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "700"})
    run.wait(30)
    assert [line.text for line in run.follow()] == expected(700)


def test_only_the_last_lines_are_told_when_that_is_asked(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "50"})
    run.wait(30)
    assert [line.text for line in run.follow(tail=3)] == expected(50)[-3:]
    assert list(run.follow(tail=0)) == []


def test_lines_are_filtered_while_they_are_followed(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "12"})
    assert [line.text for line in run.follow(grep=r"line \d\d ")] == [
        "line 10 of talker",
        "line 11 of talker",
    ]


def test_several_replicas_are_told_together(world: World) -> None:
    run = world.orc.start("pair", env={"LINES": "30", "PAUSE": "0.01"})
    lines = list(run.follow())
    by_replica: dict[str, list[str]] = {}
    for line in lines:
        by_replica.setdefault(line.replica, []).append(line.text)
    assert len(by_replica) == 2
    assert all(texts == expected(30, "pair") for texts in by_replica.values())


def test_an_execution_without_any_output_ends_without_a_line(world: World) -> None:
    run = world.orc.start("talker", image="not-known-here")
    assert list(run.follow()) == []
    assert run.execution.exit_code == 3


def test_a_job_is_followed_over_its_executions(world: World) -> None:
    world.orc.start("talker", env={"LINES": "1", "WORD": "past"}).wait(30)
    following = world.orc.follow("talker")
    running = world.orc.start("talker", env={"LINES": "1", "WORD": "present", "SLEEP": "60"})
    assert next(following).text == "line 0 of present"
    heard: list[str] = []

    def listen() -> None:
        for line in following:
            heard.append(line.text)
            if heard.count("args") == 3:  # that of `running`, and one of each
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    for word in ("first", "second"):
        world.orc.start("talker", env={"LINES": "2", "WORD": word}).wait(30)
    listener.join(20)
    assert not listener.is_alive()
    for word in ("first", "second"):
        mine = [text for text in heard if word in text]
        assert mine == [f"line {n} of {word}" for n in range(2)]
    assert len(heard) == 7  # with the one of `running` that came after its first line
    running.stop()


def test_following_can_be_left_at_any_line(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "1000", "PAUSE": "0.01"})
    following = run.follow()
    assert next(following).text == "line 0 of talker"
    following.close()
    assert not run.execution.finished
    world.cloud.until(lambda: not any(t.name.startswith("log ") for t in threading.enumerate()))
    run.stop()


# ------------------------------------------------------------------------------- broken streams


class BreakingStreams(RequestsTransport):
    """The real transport, but log streams break off after so many bytes, the first few times."""

    def __init__(self, breaks: int, after: int, **options: Any) -> None:
        super().__init__(**options)
        self._after = after
        self._left = itertools.count(breaks, -1)
        self.opened = 0

    def send(self, request: Any, **options: Any) -> Any:
        response = super().send(request, **options)
        if "/logstream" in request.url or "/eventstream" in request.url:
            self.opened += 1
            if next(self._left) > 0:
                self._cut(response)
        return response

    def _cut(self, response: Any) -> None:
        whole = response.iter_raw

        def broken(**options: Any) -> Iterator[bytes]:
            seen = 0
            for block in whole(**options):
                if seen + len(block) > self._after:
                    yield block[: self._after - seen]
                    raise ServiceResponseError("Connection aborted.")
                seen += len(block)
                yield block

        response.iter_raw = broken


@pytest.mark.parametrize("after", [1, 150, 2000])
def test_a_stream_that_breaks_is_opened_anew_and_no_line_is_lost_or_told_twice(
    world: World, after: int
) -> None:
    transport = BreakingStreams(3, after, connection_verify=world.cloud.connection["ca_bundle"])
    orc = world.orchestrator(transport=transport)
    run = orc.start("talker", env={"LINES": "120", "PAUSE": "0.03"})
    assert [line.text for line in run.follow()] == expected(120)
    assert transport.opened >= 4
    orc.close()


def test_streams_that_never_open_are_told_from_the_store(world: World) -> None:
    transport = BreakingStreams(10**6, 0, connection_verify=world.cloud.connection["ca_bundle"])
    orc = world.orchestrator(transport=transport)
    run = orc.start("talker", env={"LINES": "40"})
    assert [line.text for line in run.follow()] == expected(40)
    orc.close()


def test_equal_lines_are_told_as_often_as_they_were_written(world: World) -> None:
    transport = BreakingStreams(2, 100, connection_verify=world.cloud.connection["ca_bundle"])
    orc = world.orchestrator(transport=transport)
    code = "import time\nfor n in range(60):\n  print('tick', flush=True); time.sleep(0.03)"
    run = orc.start("talker", command=["python3", "-S", "-c", code])
    lines = [line.text for line in run.follow()]
    assert lines.count("tick") == 60
    orc.close()


def test_following_what_is_not_there_says_so(world: World) -> None:
    with pytest.raises(errors.ExecutionNotFound):
        list(world.orc.follow("talker", "talker-0000000"))


def test_lines_of_several_replicas_come_in_the_order_of_their_times(world: World) -> None:
    run = world.orc.start("pair", env={"LINES": "60", "PAUSE": "0.02"})
    lines = list(run.follow())
    assert len({line.replica for line in lines}) == 2
    times = [line.time for line in lines]
    assert times == sorted(times)


class SlowToOpen(RequestsTransport):
    """The real transport, but the second log stream takes its time to open."""

    opened = 0

    def send(self, request: Any, **options: Any) -> Any:
        if "/logstream" in request.url:
            self.opened += 1
            if self.opened == 2:
                time.sleep(0.6)
        return super().send(request, **options)


def test_a_replica_whose_stream_opens_late_is_waited_for(world: World) -> None:
    run = world.orc.start("pair", env={"LINES": "10", "PAUSE": "0.02"})
    run.wait(30)
    orc = world.orchestrator(
        transport=SlowToOpen(connection_verify=world.cloud.connection["ca_bundle"])
    )
    lines = list(orc.follow("pair", run.name))
    assert len({line.replica for line in lines}) == 2
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    orc.close()


def test_only_one_of_the_two_streams_is_told_when_that_is_asked(world: World) -> None:
    run = world.orc.start("talker", env={"COMPLAINT": "oh no"})
    run.wait(30)
    following = world.orc.follow("talker", run.name, stream="stderr")
    assert [line.text for line in following] == ["oh no"]
    with pytest.raises(errors.BadInput, match="not a stream"):
        world.orc.follow("talker", run.name, stream="both")


async def test_executions_are_awaited_together_and_other_tasks_go_on(world: World) -> None:
    import asyncio

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.05)
            ticks += 1

    ticking = asyncio.create_task(tick())
    runs = [world.orc.start("talker", env={"SLEEP": "0.3", "EXIT": str(n)}) for n in range(2)]
    ended = await asyncio.gather(*runs)
    ticking.cancel()
    assert [e.status for e in ended] == ["Succeeded", "Failed"]
    assert ticks >= 2


# ------------------------------------------------------------------------------- until a moment


def service_time(world: World) -> datetime:
    """The time by the cloud's own clock."""
    return datetime.fromisoformat(SteeringClient(world.cloud.connection).clock()["time"])


def test_following_an_execution_ends_when_the_moment_has_come(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "600", "PAUSE": "0.05", "SLEEP": "60"})
    moment = service_time(world) + timedelta(seconds=3)
    lines = list(world.orc.follow("talker", run.name, until=moment))
    assert not run.execution.finished
    run.stop()
    stored = world.orc.logs("talker", execution=run.name, until=moment)
    assert 1 <= len(stored) < 600
    assert [line.text for line in lines] == [line.text for line in stored]


def test_following_a_job_ends_when_the_moment_has_come_and_tells_short_executions_too(
    world: World,
) -> None:
    following = world.orc.follow("talker", until="+4s")
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.extend(line.text for line in following))
    listener.start()
    long = world.orc.start("talker", env={"LINES": "1", "WORD": "long", "SLEEP": "60"})
    for word in ("one", "two"):
        world.orc.start("talker", env={"LINES": "1", "WORD": word}).wait(30)
    listener.join(30)
    assert not listener.is_alive()
    for word in ("long", "one", "two"):
        assert heard.count(f"line 0 of {word}") == 1
    long.stop()


def test_a_moment_that_is_past_ends_it_at_once_with_what_was_written_before(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "400", "PAUSE": "0.01", "SLEEP": "60"})
    world.cloud.until(lambda: len(run.logs()) >= 350)
    moment = run.logs()[340].time
    lines = list(world.orc.follow("talker", run.name, until=moment))
    run.stop()
    assert [line.text for line in lines] == expected(400)[:340]


def test_the_moment_comes_by_the_clock_of_the_service(world: World) -> None:
    clock = SteeringClient(world.cloud.connection)
    clock.advance(7200)
    try:
        moment = service_time(world) + timedelta(hours=1)
        run = world.orc.start("talker", env={"LINES": "1", "SLEEP": "60"})
        for given in (moment, "+1h"):
            following = world.orc.follow("talker", since="1m", until=given)
            assert next(following).text == "line 0 of talker"
            clock.advance(3600)
            assert [line.text for line in following if line.execution == run.name] == ["args"]
            clock.reset()
            clock.advance(7200)
        run.stop()
    finally:
        clock.reset()


def test_how_far_back_is_counted_by_the_clock_of_the_service(world: World) -> None:
    clock = SteeringClient(world.cloud.connection)
    before = world.orc.start("talker", env={"LINES": "1", "WORD": "before"})
    before.wait(30)
    clock.advance(10 * 3600)  # further than any other test here has been
    try:
        run = world.orc.start("talker", env={"LINES": "1", "WORD": "after"})
        run.wait(30)
        world.cloud.until(lambda: len(run.logs()) == 2)

        def words(**bounds: str) -> set[str]:
            return {line.text for line in world.orc.logs("talker", **bounds)} - {"args"}

        assert words(since="1h") == {"line 0 of after"}
        assert "line 0 of after" not in words(since="1d", until="1h")
        assert "line 0 of before" in words(since="1d", until="1h")
        assert {e.name for e in world.orc.executions("talker", since="1h")} == {run.name}
        assert {e.execution for e in world.orc.events("talker", since="1h")} == {run.name}
    finally:
        clock.reset()
