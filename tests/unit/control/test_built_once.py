"""What an Orchestrator is made of is built once, whichever of its threads asks first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from orchestrator.azure.clients import Clients
from orchestrator.built_once import built_once
from orchestrator.nouns import Nouns


class Thing:
    def __init__(self) -> None:
        self.built = 0
        self.asked = threading.Semaphore(0)
        self.together: threading.Barrier | None = None

    @built_once
    def part(self) -> object:
        """A part."""
        self.built += 1
        # Long enough that every thread has asked: each says so just before it does.
        for _ in range(4):
            assert self.asked.acquire(timeout=20)
        return object()

    @built_once
    def whole(self) -> tuple[object, object]:
        return self.single, self.single

    @built_once
    def single(self) -> object:
        self.built += 1
        if self.together is not None:
            self.together.wait(20)
        return object()


def test_threads_that_ask_at_once_are_given_the_same() -> None:
    thing = Thing()

    def ask(_: int) -> object:
        thing.asked.release()
        return thing.part

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(ask, range(4)))
    assert len({id(part) for part in parts}) == 1
    assert thing.built == 1


def test_two_instances_do_not_wait_for_each_other() -> None:
    one, other = Thing(), Thing()
    one.together = other.together = threading.Barrier(2)  # each is built while the other is
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda thing: thing.single, (one, other)))
    assert parts[0] is not parts[1]


def test_one_may_be_made_of_another_and_is_built_anew_once_it_was_dropped() -> None:
    thing = Thing()
    first = thing.whole
    assert first[0] is first[1] is thing.single
    del thing.__dict__["single"]
    assert thing.single is not first[0]
    assert thing.whole is first


def test_it_is_described_like_a_property() -> None:
    assert isinstance(Thing.part, built_once)
    assert Thing.part.__doc__ == "A part."


def test_what_threads_share_keeps_nothing_that_two_of_them_could_build() -> None:
    for shared in (Clients, Nouns):
        plain = [name for name, made in vars(shared).items() if type(made) is cached_property]
        assert plain == []
