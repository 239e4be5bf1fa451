"""Queues with short locks, and what plain SDK clients do with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from orchestrator.queues.handle import QueueHandle
from orchestrator.settings import QueueSpec
from tests.cloud.library_world import World
from tests.cloud.servicebus_pace import brisk_sdk

_numbers = iter(range(1000))


def queue_of(world: World, **spec: Any) -> QueueHandle:
    """A new queue with a lock of five seconds, so that nothing waits long."""
    name = f"q{next(_numbers)}"
    world.orc.queues.create(name, QueueSpec(lock_duration=timedelta(seconds=5), **spec))
    return world.orc.queues[name]


def dead_letter(world: World, queue: QueueHandle, *reasons: str) -> None:
    """Dead-letter the next messages, each for a reason."""
    with world.orc._clients.bus() as bus, bus.get_queue_receiver(queue.name) as receiver:
        left = list(reasons)
        while left:
            for message in receiver.receive_messages(len(left), max_wait_time=5):
                receiver.dead_letter_message(
                    message, reason=left.pop(0), error_description="as the test says"
                )


def raw_messages(world: World, queue: QueueHandle, count: int) -> list[Any]:
    """What a plain SDK receiver gets."""
    with world.orc._clients.bus() as bus, bus.get_queue_receiver(queue.name) as receiver:
        found: list[Any] = []
        while len(found) < count:
            batch = receiver.receive_messages(count - len(found), max_wait_time=5)
            assert batch
            for message in batch:
                receiver.complete_message(message)
            found += batch
        return found


@contextmanager
def queues_world(folder: Path) -> Iterator[World]:
    """A world that is up, its SDK brisk."""
    with brisk_sdk():
        made = World(folder)
        made.orc.up()
        yield made
        made.close()
