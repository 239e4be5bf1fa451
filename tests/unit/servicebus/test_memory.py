"""When the memory of messages that have gone is given back to the operating system."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

import psutil
import pytest

from orchestrator.localcloud.servicebus import memory
from orchestrator.localcloud.servicebus.memory import ENOUGH, PATIENCE, QUIET, FreedMemory


class Later:
    """Remembers what is to be run, and runs it when told."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, action: Callable[[], None]) -> None:
        self.due.append((seconds, action))

    def pass_on(self) -> None:
        due, self.due = self.due, []
        for _, action in due:
            action()


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    done: list[bool] = []
    monkeypatch.setattr(memory, "trim", lambda: done.append(True))
    return done


async def ran() -> None:
    """What was given to a thread is done."""
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_little_is_not_worth_it() -> None:
    later = Later()
    FreedMemory(later).gone(ENOUGH)
    assert later.due == []


async def test_much_is_given_back_once_nothing_more_goes(trims: list[bool]) -> None:
    later = Later()
    freed = FreedMemory(later)
    for _ in range(3):
        freed.gone(ENOUGH)
    assert [seconds for seconds, _ in later.due] == [QUIET]
    freed.gone(ENOUGH)  # while it waits
    later.pass_on()
    assert trims == []
    later.pass_on()
    await ran()
    assert trims == [True]
    assert later.due == []


async def test_a_queue_that_never_rests_is_not_waited_for_for_ever(trims: list[bool]) -> None:
    later = Later()
    freed = FreedMemory(later)
    freed.gone(ENOUGH + 1)
    for _ in range(PATIENCE):
        freed.gone(1)
        later.pass_on()
    await ran()
    assert trims == [True]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="as the C library of Linux does")
def test_the_process_shrinks() -> None:
    if memory._malloc_trim() is None:
        pytest.skip("the C library is not glibc")
    pieces = [os.urandom(4000) for _ in range(20_000)]
    kept = pieces[::100]  # spread over the heap, so that it cannot shrink by itself
    del pieces
    before = psutil.Process().memory_info().rss
    memory.trim()
    after = psutil.Process().memory_info().rss
    assert before - after > 40_000_000
    assert len(kept) == 200
