"""Queues and their messages through the library, against the local cloud."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import exceptions as sdk
from azure.servicebus._pyamqp.error import TokenAuthFailure

from orchestrator import errors
from orchestrator.azure.profile import resolve
from orchestrator.client import Orchestrator
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.queues import handle as queue_handle
from orchestrator.queues.bus import SessionNeeded, bus_told
from orchestrator.queues.handle import QueueHandle
from orchestrator.queues.messages import Message
from orchestrator.queues.records import Queue
from orchestrator.settings import QueueSpec, load
from tests.cloud.library_queues import dead_letter, queue_of, queues_world
from tests.cloud.library_world import World, make_project


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with queues_world(tmp_path_factory.mktemp("queues")) as made:
        yield made


# ------------------------------------------------------------------------------- the queues


def test_queues_are_listed_by_a_call_and_reached_by_name(world: World) -> None:
    orc = world.orc
    listed = orc.queues()
    assert {"in", "out"} <= {queue.name for queue in listed}
    assert [queue.name for queue in orc.queues] == [queue.name for queue in listed]
    shown = orc.queues["out"].show()
    assert isinstance(shown, Queue)
    assert shown == orc.queue("out")
    assert shown.as_json()["properties"]["requiresDuplicateDetection"] is True
    assert ("duplicate detection", timedelta(minutes=10), "duration") in shown.details()
    assert "out" in repr(orc.queues["out"])
    with pytest.raises(TypeError, match="named by text"):
        orc.queues[0]  # type: ignore[index]


def test_a_queue_may_have_a_slash_in_its_name(world: World) -> None:
    """Resource Manager, which takes none, says ~."""
    queues = world.orc.queues
    assert queues.create("orders/eu").name == "orders/eu"
    assert queues.create("orders/eu").action == "unchanged"
    queues["orders/eu"].send("one")
    assert queues["orders/eu"].show().active == 1
    assert [message.text for message in queues["orders/eu"].peek()] == ["one"]
    assert "orders/eu" in [queue.name for queue in queues()]
    assert queues.delete("Orders/EU").name == "orders/eu"
    assert "orders/eu" not in [queue.name for queue in queues()]


def test_a_queue_is_made_once_never_changed_unasked_and_deleted(world: World) -> None:
    queues = world.orc.queues
    spec = QueueSpec(lock_duration=timedelta(seconds=30))
    assert queues.create("fresh", spec).action == "created"
    assert queues.create("fresh", spec).action == "unchanged"
    with pytest.raises(errors.Conflict, match=r"differs: lock_duration: PT30S → PT1M"):
        queues.create("fresh")
    with pytest.raises(errors.Conflict, match="duplicate_detection off"):
        queues.create("fresh", QueueSpec(duplicate_detection=timedelta(minutes=1)))
    assert queues.delete("FRESH").name == "fresh"
    with pytest.raises(errors.QueueNotFound):
        queues.delete("fresh")


@pytest.mark.parametrize(
    "verb",
    [
        lambda q: q.peek(),
        lambda q: q.send("x"),
        lambda q: q.receive(wait=1),
        lambda q: q.purge(),
        lambda q: q.dead_letters.list(),
        lambda q: q.dead_letters.resubmit(),
    ],
    ids=["peek", "send", "receive", "purge", "list", "resubmit"],
)
def test_a_queue_that_is_not_there_is_told_with_the_name_that_was_meant(
    world: World, verb: Any
) -> None:
    with pytest.raises(errors.QueueNotFound) as caught:
        verb(world.orc.queues["ouut"])
    assert caught.value.hint == 'Did you mean "out"?'


# ------------------------------------------------------------------------------- look


def test_peeking_shows_all_and_takes_nothing(world: World) -> None:
    queue = queue_of(world)
    queue.send(
        "7",
        id="m-1",
        subject="number",
        correlation_id="c-1",
        content_type="text/plain",
        reply_to="answers",
        properties={"shop": 12, "big": 2**40, "ok": True, "part": 1.5, "name": "é", "raw": b"\xff"},
        time_to_live="10m",
    )
    queue.send(b"\xff\x00", {"n": [1, 2]})
    queue.send("later", at="10m")
    for _ in range(2):
        first, raw, value, later = queue.peek()
        assert first.properties == {
            "shop": 12,
            "big": 2**40,
            "ok": True,
            "part": 1.5,
            "name": "é",
            "raw": b"\xff",
        }
    assert (first.id, first.body, first.subject, first.correlation_id) == (
        "m-1",
        "7",
        "number",
        "c-1",
    )
    assert (first.content_type, first.reply_to, first.state) == ("text/plain", "answers", "active")
    assert first.time_to_live == timedelta(minutes=10)
    assert first.enqueued is not None
    assert first.expires == first.enqueued + timedelta(minutes=10)
    assert raw.body == b"\xff\x00"
    assert (value.json(), value.content_type) == ({"n": [1, 2]}, "application/json")
    assert later.state == "scheduled"
    assert later.scheduled is not None
    assert later.scheduled > datetime.now(UTC) + timedelta(minutes=9)
    assert (queue.show().active, queue.show().scheduled) == (3, 1)


def test_peeking_pages_filters_and_tells_that_there_is_more(world: World) -> None:
    queue = queue_of(world)
    queue.send(*[f"n-{i}" for i in range(600)])
    everything = queue.peek(None)
    assert [m.body for m in everything] == [f"n-{i}" for i in range(600)]
    assert not everything.more
    some = queue.peek(3)
    assert (len(some), some.more) == (3, True)
    from_there = queue.peek(2, start=everything[597].sequence_number)
    assert ([m.body for m in from_there], from_there.more) == (["n-597", "n-598"], True)
    found = queue.peek(None, grep=r"^n-59\d$")
    assert (len(found), found.more) == (10, False)
    assert queue.peek(4, grep=r"^n-59\d$").more
    assert len(queue.peek(None, since="1h")) == 600
    assert len(queue.peek(None, since=datetime.now(UTC))) == 0
    assert queue.purge().done == 600


# ------------------------------------------------------------------------------- send, receive


def test_what_cannot_be_sent_is_refused_in_a_sentence(world: World) -> None:
    queue = queue_of(world)
    with pytest.raises(errors.BadInput, match="nothing to send"):
        queue.send()
    with pytest.raises(errors.BadInput, match="cannot all have the id"):
        queue.send("a", "b", id="x")
    with pytest.raises(errors.BadInput, match="cannot be"):
        queue.send("a", id="x" * 129)
    with pytest.raises(errors.BadInput, match="what JSON can say"):
        queue.send({1, 2})
    with pytest.raises(errors.BadInput, match="time to send at"):
        queue.send("a", at="next week")
    for never in (0, timedelta(seconds=-5)):
        with pytest.raises(errors.BadInput, match="time to live"):
            queue.send("a", time_to_live=never)
    for value in (object(), 2**64, -(2**63) - 1, {"of": [{1}]}):
        with pytest.raises(errors.BadInput, match="The property it cannot be sent"):
            queue.send("a", properties={"it": value})
    with pytest.raises(errors.InvalidRequest, match="larger than the") as caught:
        queue.send("a", "x" * 300_000, "b")
    assert caught.value.__notes__ == ["1 of 3 messages were sent before."]
    assert [m.body for m in queue.peek()] == ["a"]


def test_more_than_one_batch_holds_is_sent_in_order(world: World) -> None:
    queue = queue_of(world)
    seen: list[tuple[int, int]] = []
    bodies = [f"{i}:" + "x" * 20_000 for i in range(40)]  # about 800 KB
    sent = queue.send(*bodies, on_progress=lambda done, total: seen.append((done, total)))
    assert (sent.sent, len(set(sent.ids))) == (40, 40)
    assert seen[-1] == (40, 40)
    assert len(seen) > 3
    assert [m.body for m in queue.peek(None)] == bodies


def test_a_queue_that_takes_no_batches_gets_its_messages_one_by_one(world: World) -> None:
    broker = world.cloud.server.broker
    assert world.orc.profile.namespace is not None
    properties = QueueProperties(enable_partitioning=True, requires_duplicate_detection=True)
    world.cloud.call(broker.put_queue(world.orc.profile.namespace, "parts", properties))
    queue = world.orc.queues["parts"]
    seen: list[int] = []
    queue.send(*"abcde", on_progress=lambda done, _: seen.append(done))
    assert [m.body for m in queue.peek()] == [*"abcde"]
    assert seen == [1, 2, 3, 4, 5]


def test_a_loop_that_breaks_off_leaves_the_message_it_was_at(world: World) -> None:
    queue = queue_of(world)
    queue.send("1", "2", "3")

    def fragile() -> None:
        for message in queue.consume(wait=2):
            1 / (message.body != "2")

    with pytest.raises(ZeroDivisionError):
        fragile()
    assert [m.body for m in queue.consume(wait=0.5)] == ["2", "3"]
    assert queue.show().active == 0


def test_receiving_takes_the_first_and_waits_no_longer_than_told(world: World) -> None:
    queue = queue_of(world)
    queue.send(*"abcd")
    assert [m.body for m in queue.receive(3)] == ["a", "b", "c"]
    assert [m.body for m in queue.receive(10, wait=0.5)] == ["d"]
    assert len(queue.receive(wait=0.1)) == 0
    with pytest.raises(errors.BadInput, match="A limit of 0"):
        queue.receive(0)


def test_a_purge_leaves_what_is_scheduled_and_dead(world: World) -> None:
    queue = queue_of(world)
    queue.send(*"abc")
    dead_letter(world, queue, "Bad")
    queue.send("later", at="1h")
    assert queue.purge(dry_run=True).matched == 2
    assert queue.show().active == 2
    outcome = queue.purge()
    assert (outcome.matched, outcome.done, outcome.left) == (2, 2, 0)
    shown = queue.show()
    assert (shown.active, shown.dead_letter, shown.scheduled) == (0, 1, 1)
    assert queue.purge().matched == 0


def test_a_purge_does_not_take_a_silent_queue_for_an_empty_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_handle, "LAST_WAIT", 1.0)
    queue = queue_of(world)
    queue.send(*"abc")
    with world.orc._clients.bus() as bus, bus.get_queue_receiver(queue.name) as other:
        held: list[Any] = []
        while len(held) < 3:
            held += other.receive_messages(3 - len(held), max_wait_time=5)

        def give_back() -> None:
            for message in held:
                other.abandon_message(message)

        later = threading.Timer(1.5, give_back)
        later.start()
        outcome = queue.purge()
        later.join()
    assert (outcome.matched, outcome.done, outcome.left) == (3, 3, 0)


def test_a_queue_with_sessions_says_what_it_wants(world: World) -> None:
    queue = queue_of(world, sessions=True)
    assert queue.send("a", session_id="s").sent == 1
    with pytest.raises(errors.InvalidRequest, match="SessionId") as caught:
        queue.send("b")
    assert "--session ID" in caught.value.hint
    assert "queues sessions" in caught.value.hint
    with pytest.raises(errors.InvalidRequest) as caught:
        queue_of(world).receive(wait=1, session="s")
    assert "name none" in caught.value.hint


@contextmanager
def somebody_holds(world: World, queue: QueueHandle, session: str) -> Iterator[None]:
    with (
        world.orc._clients.bus() as bus,
        bus.get_queue_receiver(queue.name, session_id=session),
    ):
        yield


def test_a_queue_with_sessions_is_peeked_session_by_session(world: World) -> None:
    queue = queue_of(world, sessions=True)
    for number in range(40):
        queue.send(f"{number}", session_id=f"s-{number % 10}")
    with somebody_holds(world, queue, "s-7"):
        found = queue.peek(limit=None)
    assert found.held == ("s-7",)
    of_session = [(m.session_id, m.body) for m in found]
    assert of_session == [
        (f"s-{session}", f"{number}")
        for session in range(10)
        if session != 7
        for number in range(session, 40, 10)
    ]
    few = queue.peek(limit=6)
    assert [m.session_id for m in few] == ["s-0"] * 4 + ["s-1"] * 2
    assert few.more
    assert [m.body for m in queue.peek(grep="^3.$", limit=10)] == [f"{n}" for n in range(30, 40)]
    exactly = queue.peek(limit=40)
    assert len(exactly) == 40
    assert not exactly.more


def test_a_queue_with_sessions_is_purged_but_for_sessions_that_are_held(world: World) -> None:
    queue = queue_of(world, sessions=True)
    for number in range(30):
        queue.send(f"{number}", session_id=f"s-{number % 10}")
    queue.send("later", session_id="s-1", at="1h")
    assert queue.purge(dry_run=True).matched == 30
    reached: list[int] = []
    with somebody_holds(world, queue, "s-7"):
        outcome = queue.purge(on_progress=lambda done, of: reached.append(done))
    assert (outcome.matched, outcome.done, outcome.left) == (30, 27, 3)
    assert reached[-1] == 27
    assert sorted(m.body for m in queue.peek(limit=None)) == ["17", "27", "7", "later"]
    assert queue.purge().done == 3


def test_sessions_are_received_one_after_the_other(world: World) -> None:
    queue = queue_of(world, sessions=True)
    for number in range(6):
        queue.send(f"{number}", session_id=f"s-{number % 3}")
    with somebody_holds(world, queue, "s-1"):
        taken = queue.receive(4, wait=1)
    assert [m.body for m in taken] == ["0", "3", "2", "5"]
    for message in queue.consume(wait=0.5):
        assert message.body == "1"
        break  # it is not taken off
    assert [m.body for m in queue.receive(5, wait=0.5)] == ["1", "4"]
    assert len(queue.receive(wait=0.2)) == 0


def test_the_sessions_of_a_queue_are_listed(world: World) -> None:
    queue = queue_of(world, sessions=True)
    assert [s.id for s in queue.sessions()] == []
    for number in range(120):  # more than the service gives at once
        queue.send("a", session_id=f"s-{number:03}")
    queue.send("b", session_id="s-007")
    assert [s.id for s in queue.sessions()] == [f"s-{number:03}" for number in range(120)]
    assert len(queue.sessions(limit=3)) == 3
    assert list(queue.sessions().to_pandas()["id"])[:2] == ["s-000", "s-001"]
    with pytest.raises(errors.InvalidRequest) as caught:
        queue_of(world).sessions()
    assert "session" in str(caught.value)


# ------------------------------------------------------------------------------- no service


def test_a_cloud_that_does_not_run_is_told_at_once(world: World, tmp_path: Path) -> None:
    path = make_project(tmp_path)
    settings = load(path)
    with Orchestrator(settings, resolve(settings, environ={})) as orc:
        queue = orc.queues["in"]
        for verb in (queue.peek, lambda: queue.send("x"), queue.dead_letters.resubmit):
            with pytest.raises(errors.NotReachable, match="local cloud") as caught:
                verb()
            assert "orchestrator local up" in caught.value.hint


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            sdk.ServiceBusConnectionError(message="[Errno 111] Connection refused"),
            "reach",
            "answer",
        ),
        (sdk.ServiceBusConnectionError(message="getaddrinfo failed"), "reach", "no address"),
        (sdk.OperationTimeoutError(message="timed out"), "reach", "in time"),
        (sdk.ServiceBusQuotaExceededError(message="full"), "full", "full"),
        (sdk.ServiceBusServerBusyError(message="busy"), "busy", "busy"),
        (sdk.ServiceBusAuthorizationError(message="no"), "rights", "no"),
        (sdk.MessagingEntityDisabledError(message="off"), "conflict", "off"),
        (sdk.MessageLockLostError(message="gone"), "conflict", "gone"),
        (sdk.ServiceBusError("It is an entity that requires sessions."), "session", "sessions"),
        (sdk.ServiceBusError("ns/my-sessions failed."), "failed", "my-sessions"),
        (sdk.ServiceBusError("an entity with auto-forwarding enabled"), "invalid", "enabled"),
        (sdk.ServiceBusError("a topic", condition="amqp:not-allowed"), "invalid", "topic"),
        (sdk.ServiceBusError("odd", condition="amqp:odd"), "failed", "odd"),
    ],
)
def test_what_the_sdk_raises_is_told_in_a_sentence_with_a_next_step(
    world: World, error: sdk.ServiceBusError, kind: str, words: str
) -> None:
    kinds: dict[str, type[errors.OrchestratorError]] = {
        "reach": errors.NotReachable,
        "full": errors.StorageFull,
        "busy": errors.Throttled,
        "rights": errors.PermissionDenied,
        "conflict": errors.Conflict,
        "invalid": errors.InvalidRequest,
        "session": SessionNeeded,
        "failed": errors.ServiceFailed,
    }
    with (
        pytest.raises(errors.OrchestratorError, match=words) as caught,
        bus_told(world.orc.profile, "peek into the queue q", lambda: errors.QueueNotFound("")),
    ):
        raise error
    assert type(caught.value) is kinds[kind]
    assert caught.value.message.startswith("Could not peek into the queue q")
    assert "Error condition" not in caught.value.message
    assert caught.value.hint


def test_a_token_refused_for_want_of_a_queue_means_that_there_is_none(world: World) -> None:
    # What azure-servicebus makes of Azure's answer to the token for a queue that is not there.
    refused = TokenAuthFailure(404, "The messaging entity could not be found.")
    with (
        pytest.raises(errors.QueueNotFound, match="no such queue"),
        bus_told(world.orc.profile, "peek", lambda: errors.QueueNotFound("no such queue")),
    ):
        raise sdk.ServiceBusAuthenticationError(message=None, error=refused)


def test_a_message_shows_itself_in_a_line() -> None:
    assert repr(Message(sequence_number=3, id="m", body="x" * 100)) == f"<Message 3 m: {'x' * 59}…>"


@pytest.mark.parametrize(
    ("count", "properties", "subject", "said"),
    [
        (1, {"long": "x" * 40_000}, None, "its property long alone 40,000"),
        (2, {f"part-{n}": b"x" * 20_000 for n in range(4)}, None, "80,"),
        (1, {}, "x" * 70_000, "its property subject alone 70,000"),
    ],
)
def test_too_much_in_the_properties_of_a_message_is_told(
    world: World, count: int, properties: dict[str, Any], subject: str | None, said: str
) -> None:
    queue = queue_of(world)
    with pytest.raises(errors.InvalidRequest, match=said) as caught:
        queue.send(*["body"] * count, properties=properties, subject=subject)
    assert caught.value.hint == "Put what is long into the body."
    assert queue.show().active == 0
