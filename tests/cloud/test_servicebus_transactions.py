"""Transactions as AMQP has them (part 4): declared, used and discharged by a raw client."""

from __future__ import annotations

import gc

import pytest

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.servicebus.front.faults import Strike
from orchestrator.localcloud.servicebus.front.links import transaction as transaction_link
from orchestrator.localcloud.servicebus.model import (
    IncomingMessage,
    QueueCounts,
)
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_transacting import (
    ABANDONED,
    ACCEPTED,
    COORDINATOR,
    DEAD,
    DEFERRED,
    RECEIVER,
    SENDER,
    client,
    ready,
    within,
)
from tests.cloud.servicebus_wire import terminus


async def test_what_is_sent_and_settled_in_a_transaction_happens_when_it_is_discharged(
    bus: Bus,
) -> None:
    source, target = bus.queue(), bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, source)
        for text in (b"complete", b"abandon", b"defer", b"bury"):
            assert await one.post(text) == (p.ACCEPTED, None)
        await one.attach(RECEIVER, source, receive=True)
        await one.attach(3, target)
        numbers = await one.receive(4)
        transaction = await one.declare()
        for number, outcome in zip(numbers, (ACCEPTED, ABANDONED, DEFERRED, DEAD), strict=True):
            kind, of = await one.settle(number, transaction, outcome)
            assert of == transaction
            assert kind == outcome.descriptor
        assert await one.post(b"result", transaction, 3) == (p.ACCEPTED, transaction)
        assert await one.post(b"another", transaction, 3) == (p.ACCEPTED, transaction)
        assert bus.counts(target).active == 0
        assert (bus.counts(source).active, ready(bus, source)) == (4, 0)
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
        assert bus.counts(target).active == 2
        assert (bus.counts(source).active, ready(bus, source)) == (2, 1)
        assert bus.counts(source).dead_letter == 1
        kind, error = await one.discharge(transaction)
        assert (kind, error) == (p.REJECTED, "amqp:transaction:unknown-id")


async def test_of_a_failed_transaction_nothing_is_left(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.post(b"first")
        await one.attach(RECEIVER, queue, receive=True)
        (number,) = await one.receive()
        transaction = await one.declare()
        await one.settle(number, transaction, ACCEPTED)
        await one.post(b"never", transaction)
        assert await one.discharge(transaction, fail=True) == (p.ACCEPTED, None)
    assert (bus.counts(queue).active, ready(bus, queue)) == (1, 0)
    bus.advance(61)
    assert ready(bus, queue) == 1


@pytest.mark.parametrize("fail", [False, True])
async def test_a_discharge_amid_a_message_costs_the_coordinator_and_the_transaction(
    bus: Bus, fail: bool
) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        transaction = await one.declare()
        await one.post(b"whole", transaction)
        one.wire.send(
            1, p.TRANSFER, t.UInt(SENDER), t.UInt(900), encode(b"tag"), t.UInt(0), True, True,
            None, within(transaction), payload=s.section(s.DATA, b"half"),
        )  # fmt: skip
        one.throw_discharge(transaction)
        gone = p.read_error((await one.wire.until(p.DETACH))[2])
        assert gone.condition == "amqp:transaction:rollback"
        one.wire.send(1, p.DETACH, t.UInt(COORDINATOR), True)
        one.wire.send(1, p.TRANSFER, t.UInt(SENDER), None, None, None, True, False)
        await one.coordinate("another")
        unknown = (p.REJECTED, "amqp:transaction:unknown-id")
        assert await one.discharge(transaction, fail=fail) == unknown
    assert bus.counts(queue).total == 0


@pytest.mark.parametrize("how", ["alone", "in another transaction"])
async def test_after_a_rollback_its_holder_settles_a_message_again(bus: Bus, how: str) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.post(b"first")
        await one.attach(RECEIVER, queue, receive=True)
        (number,) = await one.receive()
        for outcome in (ACCEPTED, DEAD):
            transaction = await one.declare()
            assert (await one.settle(number, transaction, outcome))[1] == transaction
            await one.discharge(transaction, fail=True)
        if how == "alone":
            assert await one.settle(number, None, ACCEPTED) == (p.ACCEPTED, None)
        else:
            transaction = await one.declare()
            assert (await one.settle(number, transaction, ACCEPTED))[1] == transaction
            one.throw_discharge(transaction)
            assert await one.settled() == (p.ACCEPTED, None)
    assert bus.counts(queue).total == 0


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("outcome", [ACCEPTED, ABANDONED, DEAD])
async def test_what_is_settled_once_more_in_a_transaction_happens_once(
    bus: Bus, outcome: t.Described, told: bool
) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.post(b"first")
        await one.attach(RECEIVER, queue, receive=True)
        (number,) = await one.receive()
        transaction = await one.declare()
        await one.settle(number, transaction, outcome)
        for settled in (False, True):
            one.wire.send(
                1, p.DISPOSITION, True, t.UInt(number), t.UInt(number), settled,
                within(transaction, outcome) if told else None,
            )  # fmt: skip
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    counts = bus.counts(queue)
    assert (counts.active, counts.dead_letter) == (outcome is ABANDONED, outcome is DEAD)


async def test_one_lost_lock_takes_the_whole_transaction_with_it(bus: Bus) -> None:
    queue, target = bus.queue(), bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.attach(3, target)
        await one.post(b"a")
        await one.post(b"b")
        await one.attach(RECEIVER, queue, receive=True)
        first, second = await one.receive(2)
        transaction = await one.declare()
        await one.post(b"c", transaction, 3)
        for number in (first, second):
            await one.settle(number, transaction, ACCEPTED)
        found = bus.read(lambda: bus.broker.find("contoso", queue, set()))
        assert found is not None
        token = bus.read(lambda: found.peek(0, 5)[1].lock.token)  # type: ignore[union-attr]
        bus.read(lambda: found.lose(token))
        kind, error = await one.discharge(transaction)
        assert (kind, error) == (p.REJECTED, "amqp:transaction:rollback")
    assert bus.counts(target) == QueueCounts()
    assert bus.counts(queue).active == 2
    bus.advance(61)
    assert ready(bus, queue) == 2


async def test_a_transaction_ends_with_its_time_and_its_connection(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        transaction = await one.declare()
        await one.post(b"a", transaction)
        bus.advance(120)
        assert await one.post(b"b", transaction) == (p.REJECTED, "amqp:transaction:timeout")
        assert await one.discharge(transaction) == (p.REJECTED, "amqp:transaction:unknown-id")
        transaction = await one.declare()
        await one.post(b"c", transaction)
    async with client(bus) as other:
        assert await other.discharge(transaction) == (p.REJECTED, "amqp:transaction:unknown-id")
    assert bus.counts(queue).total == 0


async def test_a_transaction_whose_time_is_over_holds_nothing_of_a_silent_client(
    bus: Bus,
) -> None:
    queue = bus.queue()
    text = b"sent in a transaction that nobody ends"

    def held() -> int:
        objects = gc.get_objects()
        return sum(isinstance(o, IncomingMessage) and text in o.payload for o in objects)

    async with client(bus) as one:
        await one.attach(SENDER, queue)
        first = await one.declare()
        await one.post(text, first)
        bus.advance(60)
        await one.post(text, await one.declare())
        await one.post(text, first)
        for passed, left in ((59, 3), (1, 1), (59, 1), (1, 0)):
            bus.advance(passed)
            assert bus.read(held) == left


async def test_a_transaction_ends_with_the_link_on_which_it_was_declared(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        transaction = await one.declare()
        await one.post(b"a", transaction)
        one.wire.send(1, p.DETACH, t.UInt(COORDINATOR), True)
        await one.wire.until(p.DETACH)
        await one.coordinate("another")
        unknown = (p.REJECTED, "amqp:transaction:unknown-id")
        assert await one.discharge(transaction) == unknown
        assert await one.post(b"b", transaction) == unknown
        transaction = await one.declare()
        await one.post(b"c", transaction)
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    assert bus.counts(queue).active == 1


@pytest.mark.parametrize("what", ["nothing", "message", "large", "gone", "settlement", "busy"])
async def test_what_fails_untold_takes_the_whole_transaction_with_it(
    bus: Bus, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, sessions = bus.queue(), bus.queue(requires_session=True)
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.post(b"first")
        await one.attach(RECEIVER, queue, receive=True)
        (number,) = await one.receive()
        await one.attach(3, sessions)
        for fail in (False, True):
            transaction = await one.declare()
            one.throw(SENDER, s.section(s.DATA, b"sent"), within(transaction))
            if what == "message":
                one.throw(3, s.section(s.DATA, b"no session"), within(transaction))
            elif what == "large" and not fail:
                one.throw(3, bytes(300_000), within(transaction))
            elif what == "gone" and not fail:
                bus.call(bus.broker.delete_queue("contoso", sessions))
                one.throw(3, s.section(s.DATA, b"never"), within(transaction))
            elif what == "settlement" and not fail:
                one.throw_settlement(number, transaction, t.Described(t.ULong(p.RELEASED), []))
            elif what == "busy" and not fail:
                monkeypatch.setattr(
                    bus.front,
                    "strikes",
                    lambda operation, *_: Strike.BUSY if operation == "complete" else None,
                )
                one.throw_settlement(number, transaction, ACCEPTED)
            done = await one.discharge(transaction, fail=fail)
            good = fail or what == "nothing"
            rolled_back = (p.REJECTED, "amqp:transaction:rollback")
            assert done == ((p.ACCEPTED, None) if good else rolled_back)
    assert bus.counts(queue).active == (2 if what == "nothing" else 1)


async def test_a_session_that_was_lost_takes_the_whole_transaction_with_it(bus: Bus) -> None:
    sessions, target = bus.queue(requires_session=True), bus.queue()
    in_session = s.section(s.PROPERTIES, [*[None] * 10, "mine"]) + s.section(s.DATA, b"x")
    name = t.Symbol("com.microsoft:session-filter")
    source = t.Described(t.ULong(p.SOURCE), [sessions, *[None] * 6, {name: "mine"}])
    async with client(bus) as one:
        await one.attach(SENDER, sessions)
        await one.transfer(SENDER, in_session)
        one.wire.send(
            1, p.ATTACH, "session", t.UInt(RECEIVER), True, t.UByte(0), t.UByte(0),
            encode(source), terminus(p.TARGET, "me"), None, None, t.UInt(0),
        )  # fmt: skip
        await one.wire.until(p.ATTACH)
        (number,) = await one.receive()
        await one.attach(3, target)
        transaction = await one.declare()
        await one.post(b"result", transaction, 3)
        bus.advance(61)
        one.throw_settlement(number, transaction, ACCEPTED)
        assert await one.discharge(transaction) == (p.REJECTED, "amqp:transaction:rollback")
    assert bus.counts(target).active == 0


async def test_what_open_transactions_hold_has_a_bound(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_link, "HELD_BYTES", 5000)
    queue = bus.queue()
    full = (p.REJECTED, "amqp:resource-limit-exceeded")
    large = {t.Symbol("large"): "x" * 3000}
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        for _ in range(3):
            await one.post(b"a")
        await one.attach(RECEIVER, queue, receive=True)
        numbers = await one.receive(3)
        transaction = await one.declare()
        deferred = t.Described(t.ULong(p.MODIFIED), [False, True, large])
        because = t.Described(
            t.ULong(p.ERROR), [t.Symbol("com.microsoft:dead-letter"), None, large]
        )
        buried = t.Described(t.ULong(p.REJECTED), [because])
        assert (await one.settle(numbers[0], transaction, deferred))[1] == transaction
        assert await one.settle(numbers[1], transaction, buried, fails=True) == full
        assert await one.post(b"x" * 3000, transaction) == full
        bus.advance(100)
        other = await one.declare()
        assert await one.post(b"x" * 3000, other) == full
        bus.advance(20)
        # The first one's time is over, and it holds nothing.
        assert await one.post(b"x" * 3000, other) == (p.ACCEPTED, other)


async def test_what_cannot_be_in_a_transaction_is_told_at_once(bus: Bus) -> None:
    queue, sessions = bus.queue(), bus.queue(requires_session=True)
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        await one.attach(3, sessions)
        assert await one.post(b"a", b"nonsense") == (p.REJECTED, "amqp:transaction:unknown-id")
        transaction = await one.declare()
        assert await one.post(b"a", transaction, 3) == (p.REJECTED, "amqp:not-allowed")
        for _ in range(100):
            assert (await one.post(b"a", transaction))[0] == p.ACCEPTED
        full = (p.REJECTED, "amqp:resource-limit-exceeded")
        assert await one.post(b"a", transaction) == full
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
        assert bus.counts(queue).active == 100
        for _ in range(50):
            await one.declare()
        asked = s.section(s.VALUE, t.Described(t.ULong(p.DECLARE), [None]))
        assert await one.transfer(COORDINATOR, asked) == full
        for wrong in (7, t.Described(t.ULong(99), []), None):
            kind, _ = await one.transfer(COORDINATOR, s.section(s.VALUE, wrong))
            assert kind == p.REJECTED
        assert await one.discharge(None) == (p.REJECTED, "amqp:invalid-field")


async def test_more_messages_are_settled_in_a_transaction_than_may_be_sent(bus: Bus) -> None:
    queue = bus.queue()
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        for _ in range(120):
            await one.post(b"a")
        await one.attach(RECEIVER, queue, receive=True)
        numbers = await one.receive(120)
        transaction = await one.declare()
        for number in numbers:
            assert (await one.settle(number, transaction, ACCEPTED))[1] == transaction
        assert await one.post(b"result", transaction) == (p.ACCEPTED, transaction)
        assert await one.discharge(transaction) == (p.ACCEPTED, None)
    assert bus.counts(queue).active == 1


async def test_a_transaction_in_a_queue_that_detects_duplicates(bus: Bus) -> None:
    queue = bus.queue(requires_duplicate_detection=True)
    same = s.section(s.PROPERTIES, ["id"]) + s.section(s.DATA, b"x")
    async with client(bus) as one:
        await one.attach(SENDER, queue)
        for fail, count in ((True, 0), (False, 1), (False, 1)):
            transaction = await one.declare()
            for _ in range(2):
                state = within(transaction)
                assert (await one.transfer(SENDER, same, state))[0] == p.ACCEPTED
            assert (await one.discharge(transaction, fail=fail))[0] == p.ACCEPTED
            assert bus.counts(queue).active == count
