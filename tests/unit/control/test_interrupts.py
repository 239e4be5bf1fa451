"""Ctrl-C waits for the end of what must not stop half-way."""

from __future__ import annotations

import signal
import threading

import pytest

from orchestrator.queues import interrupts


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def pressed_between(presses: int, done: list[int]) -> None:
    """Ctrl-C so often, with a step after each."""
    with interrupts.held():
        for step in range(presses):
            press()
            done.append(step)


def failed() -> None:
    with interrupts.held():
        press()
        raise ValueError("broken")


def test_it_waits_for_the_end_of_the_block() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        pressed_between(1, done)
    assert done == [0]


def test_a_second_one_does_not_wait() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        pressed_between(2, done)
    assert done == [0]


def test_afterwards_it_stops_at_once_again() -> None:
    with interrupts.held():
        pass
    with pytest.raises(KeyboardInterrupt):
        press()


def test_a_handler_of_the_programs_own_is_called() -> None:
    called: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: called.append(number))
    try:
        with interrupts.held():
            press()
            assert not called
        assert called == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_one_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.held():
            press()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_failure_in_the_block_is_what_is_told() -> None:
    with pytest.raises(ValueError, match="broken"):
        failed()
    with pytest.raises(KeyboardInterrupt):
        press()


def test_other_threads_hold_nothing_and_work() -> None:
    done = []

    def work() -> None:
        with interrupts.held():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
