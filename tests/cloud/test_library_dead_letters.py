"""Dead letters through the library: listed, resubmitted without loss, purged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from orchestrator import errors
from orchestrator.queues import dead_letters
from orchestrator.queues.handle import QueueHandle
from tests.cloud.library_queues import dead_letter, queue_of, queues_world, raw_messages
from tests.cloud.library_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with queues_world(tmp_path_factory.mktemp("queues")) as made:
        yield made


def test_dead_letters_are_listed_by_reason_time_and_pattern(world: World) -> None:
    queue = queue_of(world)
    queue.send("a-1", "b-2", "a-3", "b-4")
    dead_letter(world, queue, "Bad", "Worse", "Bad", "Worst")
    letters = queue.dead_letters
    listed = letters.list()
    first = listed[0]
    assert (first.body, first.reason) == ("a-1", "Bad")
    assert first.description == "as the test says"
    assert all("DeadLetterReason" not in m.properties for m in listed)

    def bodies(**wanted: Any) -> list[Any]:
        return [m.body for m in letters.list(**wanted)]

    assert bodies(reason="bad") == ["a-1", "a-3"]
    assert bodies(reason=["worse", "worst"]) == ["b-2", "b-4"]
    assert bodies(grep="^b-", reason=["Bad", "Worse"]) == ["b-2"]
    assert bodies(since=datetime.now(UTC)) == []
    assert bodies(limit=1) == ["a-1"]
    assert letters.list(limit=1).more
    assert list(listed.to_pandas()["reason"]) == ["Bad", "Worse", "Bad", "Worst"]


def test_resubmission_takes_what_matches_and_leaves_the_others_free(world: World) -> None:
    queue = queue_of(world)
    queue.send(*[f"n-{i}" for i in range(40)])
    dead_letter(world, queue, *["Bad" if i % 4 else "Worse" for i in range(40)])
    would = queue.dead_letters.resubmit(reason="worse", dry_run=True)
    assert (would.matched, would.done, len(would.messages)) == (10, 0, 10)
    assert queue.show().active == 0
    seen: list[tuple[int, int]] = []
    outcome = queue.dead_letters.resubmit(
        reason="worse", on_progress=lambda done, total: seen.append((done, total))
    )
    assert (outcome.done, outcome.left) == (10, 0)
    assert seen[-1] == (10, 10)
    assert [m.body for m in queue.peek(None)] == [f"n-{i}" for i in range(0, 40, 4)]
    # The other thirty are not locked by what passed over them.
    purged = queue.dead_letters.purge(grep="n-(1|2|3)$")
    assert (purged.done, purged.left) == (3, 0)
    assert queue.dead_letters.purge().done == 27
    assert queue.show().dead_letter == 0


def test_a_copy_is_what_the_sender_sent(world: World) -> None:
    from azure.servicebus.amqp import AmqpAnnotatedMessage

    queue = queue_of(world)
    properties = {
        "message_id": UUID(int=7),
        "correlation_id": 17,
        "user_id": b"\x00me",
        "subject": "s",
        "to": "t",
        "reply_to": "r",
        "content_type": "application/x",
        "content_encoding": "gzip",
        "group_id": "session-1",
        "group_sequence": 3,
        "reply_to_group_id": "g",
    }
    own = {
        "text": "é",
        "raw": {"TYPE": "BINARY", "VALUE": b"\xff"},
        "yes": True,
        "int": 5,
        "long": {"TYPE": "LONG", "VALUE": 2**40},
        "double": 0.5,
        "id": UUID(int=9),
        "none": None,
    }
    common = {
        "properties": properties,
        "application_properties": own,
        "header": {"time_to_live": 600_000, "priority": 7},
        "annotations": {"x-opt-partition-key": "session-1", "mine": "x"},
        "footer": {"sum": "1"},
    }
    bodies: list[dict[str, Any]] = [
        {"data_body": [b"one", b"\xfftwo"]},
        {"value_body": {"k": ["v", 1, b"\xff"]}},
        {"sequence_body": [[1, "x"], ["y"]]},
        {"value_body": None},
    ]
    with world.orc._clients.bus() as bus, bus.get_queue_sender(queue.name) as sender:
        for body in bodies:
            sender.send_messages(AmqpAnnotatedMessage(**body, **common))
            sender.send_messages(AmqpAnnotatedMessage(**body, **common))
    first = raw_messages(world, queue, 1)
    dead_letter(world, queue, "Bad")
    originals = first
    for _ in bodies[1:]:
        originals += raw_messages(world, queue, 1)
        dead_letter(world, queue, "Bad")
    assert queue.dead_letters.resubmit().done == 4
    copies = raw_messages(world, queue, 4)
    for original, copy in zip(originals, copies, strict=True):
        assert seen_of(copy) == seen_of(original)
        assert copy.delivery_count == 0
        assert copy.dead_letter_reason is None
        assert copy.dead_letter_error_description is None
        assert copy.time_to_live == timedelta(minutes=10)


def seen_of(message: Any) -> dict[str, Any]:
    """All that the sender gave, as the SDK decodes it."""
    raw = message.raw_amqp_message
    body = message.body
    dates = ("creation_time", "absolute_expiry_time")
    return {
        "type": message.body_type,
        "body": body if isinstance(body, dict | bytes) or body is None else list(body),
        "properties": {k: v for k, v in raw.properties.items() if k not in dates},
        "application": raw.application_properties,
        "annotations": {
            k: v
            for k, v in raw.annotations.items()
            if not k.startswith(b"x-opt-") or k == b"x-opt-partition-key"
        },
        "footer": raw.footer,
        "priority": raw.header.priority,
    }


def test_a_queue_that_drops_duplicates_takes_a_copy_within_its_window(world: World) -> None:
    queue = queue_of(world, duplicate_detection=timedelta(minutes=10))
    queue.send("7", id="order-1")
    dead_letter(world, queue, "Bad")
    (letter,) = queue.dead_letters.list()
    queue.send("7", id="order-1")
    assert queue.show().active == 0  # the queue does remember the id …
    assert queue.dead_letters.resubmit().done == 1
    (copy,) = queue.peek()  # … and the copy is there all the same
    assert (copy.id, copy.body) == (f"order-1~resubmitted-{letter.sequence_number}", "7")
    assert queue.show().dead_letter == 0
    dead_letter(world, queue, "Worse")  # and once more
    assert queue.dead_letters.resubmit().done == 1
    (again,) = queue.peek()
    assert again.id.startswith("order-1~resubmitted-")
    assert again.id != copy.id


def test_an_interruption_before_completion_doubles_nothing_where_duplicates_are_detected(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(world, duplicate_detection=timedelta(minutes=10))
    queue.send(*[f"n-{i}" for i in range(25)])
    dead_letter(world, queue, *["Bad"] * 25)

    def interrupted(*_: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dead_letters, "_completed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.dead_letters.resubmit()
    shown = queue.show()
    assert (shown.active, shown.dead_letter) == (25, 25)  # in both places, none lost
    assert until_resubmitted(queue) == 25
    assert sorted(m.body for m in queue.peek(None)) == sorted(f"n-{i}" for i in range(25))
    assert queue.show().dead_letter == 0


def until_resubmitted(queue: QueueHandle) -> int:
    """Again and again, until the locks that an interruption left have ended."""
    done = 0
    for _ in range(5):
        outcome = queue.dead_letters.resubmit()
        done += outcome.done
        if not outcome.left:
            return done
    raise AssertionError(f"{outcome!r}")


def test_what_somebody_else_holds_is_left_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "WAIT", 0.5)
    queue = queue_of(world)
    queue.send("1", "2", "3")
    dead_letter(world, queue, "Bad", "Bad", "Bad")
    with (
        world.orc._clients.bus() as bus,
        bus.get_queue_receiver(queue.name, sub_queue="deadletter") as other,
    ):
        (held,) = other.receive_messages(1, max_wait_time=5)
        outcome = queue.dead_letters.resubmit()
        assert (outcome.matched, outcome.done, outcome.left) == (3, 2, 1)
        other.abandon_message(held)
    assert queue.dead_letters.resubmit().done == 1
    assert sorted(m.body for m in queue.peek()) == ["1", "2", "3"]


def test_deferred_dead_letters_are_resubmitted_too(world: World) -> None:
    queue = queue_of(world)
    queue.send("1", "2")
    dead_letter(world, queue, "Bad", "Bad")
    with (
        world.orc._clients.bus() as bus,
        bus.get_queue_receiver(queue.name, sub_queue="deadletter") as other,
    ):
        for message in other.receive_messages(1, max_wait_time=5):
            other.defer_message(message)
    assert [m.state for m in queue.dead_letters.list()] == ["deferred", "active"]
    assert queue.dead_letters.resubmit().done == 2
    assert sorted(m.body for m in queue.peek()) == ["1", "2"]
    assert queue.show().dead_letter == 0


def until(test: Callable[[], bool]) -> None:
    """Forwarding is done soon after the send is acknowledged."""
    end = time.monotonic() + 30
    while not test():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def forwarding(world: World, target: str) -> QueueHandle:
    """A new queue that forwards to that one."""
    from azure.mgmt.servicebus.models import SBQueue

    queue = queue_of(world)
    clients = world.orc._clients
    clients.service_bus.queues.create_or_update(
        clients.profile.resource_group,
        str(clients.names.namespace),
        queue.name,
        SBQueue({"properties": {"forwardTo": target, "lockDuration": "PT5S"}}),
    )
    return queue


def test_what_could_not_be_forwarded_is_counted_listed_resubmitted_and_purged(
    world: World,
) -> None:
    target = queue_of(world)
    queue = forwarding(world, target.name)
    world.orc.queues.delete(target.name)
    queue.send("a", "b", "c")
    with pytest.raises(errors.InvalidRequest, match="auto-forwarding") as refused:
        queue.peek()
    assert "--transfer" in str(refused.value.hint)
    letters = queue.transfer_dead_letters
    until(lambda: letters.count() == 3)
    shown = queue.show()
    assert (shown.active, shown.dead_letter, shown.transfer_dead_letter) == (0, 0, 3)
    assert "3 not forwarded" in repr(shown)
    listed = letters.list(reason="MessagingEntityNotFound")
    assert [m.body for m in listed] == ["a", "b", "c"]
    assert list(queue.dead_letters.list()) == []
    assert letters.purge(grep="^b$").done == 1
    world.orc.queues.create(target.name)
    outcome = letters.resubmit()
    assert (outcome.done, outcome.left, letters.count()) == (2, 0, 0)
    until(lambda: target.show().active == 2)
    assert [m.body for m in target.peek()] == ["a", "c"]
    world.orc.queues.delete(target.name)
    queue.send("d", "e")
    until(lambda: letters.count() == 2)
    assert letters.purge().done == 2
    assert letters.count() == 0
