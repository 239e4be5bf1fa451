"""The clock under control, on a machine whose time the test moves."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.localcloud.steering.clock import LATEST, SteerableClock

START = 1_767_225_600.0  # 2026-01-01


class Machine:
    """A machine's two clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> SteerableClock:
    return SteerableClock(lambda: machine.wall, lambda: machine.monotonic)


def test_unsteered_it_is_the_machines_clock_steps_and_all(
    clock: SteerableClock, machine: Machine
) -> None:
    assert clock.time() == START
    machine.pass_by(10)
    machine.wall -= 3600
    assert clock.time() == START + 10 - 3600
    assert not clock.steering.steered


async def test_unsteered_sleepers_wake_as_the_systems_would() -> None:
    clock = SteerableClock()
    order: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        order.append(name)

    async def waiter(name: str, seconds: float) -> None:
        await clock.sleep_until(clock.time() + seconds)
        order.append(name)

    await asyncio.gather(
        sleeper("c", 0.09), waiter("b", 0.05), sleeper("a", 0.01), sleeper("now", -1)
    )
    assert order == ["now", "a", "b", "c"]


async def test_a_rate_multiplies_time(clock: SteerableClock, machine: Machine) -> None:
    clock.set_rate(60)
    machine.pass_by(10)
    assert clock.time() == START + 600
    clock.set_rate(1)
    machine.pass_by(10)
    assert clock.time() == START + 610


async def test_at_a_high_rate_sleepers_wake_early() -> None:
    clock = SteerableClock()
    clock.set_rate(100_000)
    async with asyncio.timeout(20):
        await clock.sleep(3600)
        await clock.sleep_until(clock.time() + 3600)


@pytest.mark.parametrize("rate", [0, -1, 1e9, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(clock: SteerableClock, rate: float) -> None:
    with pytest.raises(ValueError, match="A rate is above 0"):
        clock.set_rate(rate)
    assert not clock.steering.steered


async def test_frozen_it_stands_and_goes_on_from_there(
    clock: SteerableClock, machine: Machine
) -> None:
    clock.freeze()
    machine.pass_by(100)
    assert clock.time() == START
    clock.set_rate(1)
    machine.pass_by(1)
    assert clock.time() == START + 1


async def test_advance_wakes_every_sleeper_at_its_moment_in_order(clock: SteerableClock) -> None:
    seen: list[tuple[str, float]] = []

    async def every(name: str, seconds: float) -> None:
        when = clock.time()
        while True:
            when += seconds
            await clock.sleep_until(when)
            seen.append((name, clock.time() - START))

    async def span(seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append(("span", clock.time() - START))

    tasks = [asyncio.create_task(every("a", 300)), asyncio.create_task(every("b", 700))]
    tasks.append(asyncio.create_task(span(900.5)))
    assert await clock.advance(1500)
    assert seen == [
        ("a", 300),
        ("a", 600),
        ("b", 700),
        ("a", 900),
        ("span", 900.5),
        ("a", 1200),
        ("b", 1400),
        ("a", 1500),
    ]
    assert clock.time() == START + 1500
    for task in tasks:
        task.cancel()


async def test_advance_waits_at_each_stop_until_all_is_settled(clock: SteerableClock) -> None:
    stops: list[float] = []

    async def settled() -> None:
        stops.append(clock.time() - START)
        await asyncio.sleep(0.001)
        assert clock.time() - START == stops[-1]

    task = asyncio.create_task(clock.sleep(10))
    await clock.advance(60, settled)
    assert stops == [0, 10]
    assert task.done()


async def test_freezing_while_it_is_advanced_ends_the_advance(clock: SteerableClock) -> None:
    async def stop() -> None:
        await clock.sleep(10)
        clock.freeze()

    task = asyncio.create_task(stop())
    assert not await clock.advance(3600)
    assert clock.time() == START + 10
    assert clock.steering.frozen
    assert task.done()


async def test_two_advances_at_once_are_refused(clock: SteerableClock) -> None:
    gate = asyncio.Event()
    first = asyncio.create_task(clock.advance(10, gate.wait))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already"):
        await clock.advance(1)
    assert clock.steering.target == START + 10
    gate.set()
    assert await first
    assert clock.steering.target is None


async def test_it_only_moves_forward_and_within_the_calendar(clock: SteerableClock) -> None:
    for seconds, words in ((-1, "at least 0"), (float("nan"), "at least 0"), (LATEST, "calendar")):
        with pytest.raises(ValueError, match=words):
            await clock.advance(seconds)
    assert not clock.steering.steered


async def test_reset_is_the_machines_time_and_lets_nobody_oversleep(
    clock: SteerableClock, machine: Machine
) -> None:
    await clock.advance(86400)
    span = asyncio.create_task(clock.sleep(10))
    await asyncio.sleep(0)
    machine.pass_by(4)
    clock.reset()
    assert clock.time() == machine.wall
    assert not clock.steering.steered
    # Ten seconds are ten seconds, though the day has been taken back.
    machine.pass_by(5)
    clock.freeze()
    assert await clock.advance(0.5)
    assert not span.done()
    assert await clock.advance(0.5)
    assert span.done()


async def test_sleepers_that_give_up_are_not_kept(clock: SteerableClock) -> None:
    for _ in range(1000):
        task = asyncio.create_task(clock.sleep(86400))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(clock._spans.heap) < 200


async def test_moments_that_floats_cannot_hold_exactly_are_reached(clock: SteerableClock) -> None:
    woken: list[float] = []

    async def tenths() -> None:
        when = clock.time()
        for _ in range(500):
            when += 0.1
            await clock.sleep_until(when)
            await clock.sleep(0.0333333)
            woken.append(clock.time())

    task = asyncio.create_task(tenths())
    await clock.advance(100)
    assert task.done()
    assert woken == sorted(woken)
