"""Messages that are sent to one entity by way of another, also in a transaction."""

from __future__ import annotations

import time
from typing import Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.servicebus.model import (
    EntityStatus,
    Right,
)
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_signature import signature
from tests.cloud.servicebus_transacting import (
    ACCEPTED,
    RECEIVER,
    SENDER,
    Client,
    client,
)
from tests.cloud.servicebus_wire import Wire, terminus


async def attach_via(one: Client, handle: int, via: str, destination: str) -> Any:
    """A link on which messages for `destination` go by way of `via`; its properties, or the
    condition with which it is refused."""
    name = t.Symbol("com.microsoft:transfer-destination-address")
    one.wire.send(
        1, p.ATTACH, f"via-{handle}", t.UInt(handle), False, t.UByte(0), t.UByte(0),
        terminus(p.SOURCE, "me"), terminus(p.TARGET, via), None, None, t.UInt(0), None, None, None,
        {name: destination},
    )  # fmt: skip
    fields = await one.wire.until(p.ATTACH)
    if fields[6] is None:
        return p.read_error((await one.wire.until(p.DETACH))[2]).condition
    return fields[13]


async def test_messages_go_to_their_destination_by_way_of_another_queue(bus: Bus) -> None:
    source, target = bus.queue(), bus.queue()
    async with client(bus) as one:
        properties = await attach_via(one, 3, source, target)
        assert properties["com.microsoft:transfer-destination-address"] == target
        await one.attach(SENDER, source)
        await one.post(b"task")
        await one.attach(RECEIVER, source, receive=True)
        (number,) = await one.receive()
        for fail in (True, False):
            transaction = await one.declare()
            assert await one.post(b"result", transaction, 3) == (p.ACCEPTED, transaction)
            await one.settle(number, transaction, ACCEPTED)
            assert await one.discharge(transaction, fail=fail) == (p.ACCEPTED, None)
            assert bus.counts(source).active == (1 if fail else 0)
            assert bus.counts(target).active == (0 if fail else 1)
        assert await one.post(b"alone", None, 3) == (p.ACCEPTED, None)
        assert bus.counts(target).active == 2
        assert bus.counts(source).total == 0


async def test_what_its_destination_does_not_take_is_a_transfer_dead_letter_on_the_way(
    bus: Bus,
) -> None:
    source, target, sessions = bus.queue(), bus.queue(), bus.queue(requires_session=True)
    async with client(bus) as one:
        await attach_via(one, 3, source, f"amqps://contoso.servicebus.windows.net/{target}")
        await attach_via(one, 4, source, sessions)
        bus.update(target, status=EntityStatus.SEND_DISABLED)
        assert await one.post(b"disabled", None, 3) == (p.ACCEPTED, None)
        assert await one.post(b"no session", None, 4) == (p.ACCEPTED, None)
        assert (bus.counts(target).total, bus.counts(sessions).total) == (0, 0)
        assert bus.counts(source).transfer_dead_letter == 2
        found = bus.broker.find("contoso", source, set())
        assert found is not None
        graves = bus.read(lambda: found.transfer_dead_letter.peek(0, 5))
        reasons = [grave.details.dead_letter_reason for grave in graves]
        assert reasons == ["MessagingEntityDisabled", "SessionIDIsNull"]
        bus.call(bus.broker.delete_queue("contoso", target))
        await one.wire.until(p.DETACH)


async def put_tokens(wire: Wire, *tokens: tuple[str, str, float]) -> None:
    """Signed by the rule "mouth" of each entity: the entity, the key, until when."""
    wire.attach(SENDER, "$cbs", receive=False)
    await wire.until(p.FLOW)
    for number, (entity, key, until) in enumerate(tokens, 1):
        name = f"sb://contoso.servicebus.windows.net/{entity}"
        put = {"operation": "put-token", "name": name, "type": "servicebus.windows.net:sastoken"}
        token = signature(name, "mouth", key, until)
        wire.transfer(
            SENDER, number, s.section(s.APPLICATION_PROPERTIES, put) + s.section(s.VALUE, token)
        )
        await wire.until(p.DISPOSITION)


async def test_the_destination_must_be_there_and_open_to_the_sender(bus: Bus) -> None:
    source, target = bus.queue(), bus.queue()
    for name, entity, right in (("ear", None, Right.LISTEN), ("mouth", source, Right.SEND)):
        bus.call(bus.broker.put_rule("contoso", name, frozenset({right}), entity))
    ear, mouth = bus.broker.rule("contoso", "ear"), bus.broker.rule("contoso", "mouth", source)
    assert ear is not None
    assert mouth is not None
    async with client(bus) as one:
        assert await attach_via(one, 3, source, "nowhere") == "amqp:not-found"
    wire = await Wire.opened(bus, key=ear.primary_key, rule="ear")
    try:
        await put_tokens(wire, (source, mouth.primary_key, time.time() + 600))
        one = Client(wire)
        assert "com.microsoft:max-message-batch-size" in await attach_via(one, 3, source, source)
        assert await attach_via(one, 4, source, target) == "amqp:unauthorized-access"
    finally:
        await wire.drop()


async def test_the_link_ends_with_the_token_for_its_destination(bus: Bus) -> None:
    source, target = bus.queue(), bus.queue()
    bus.call(bus.broker.put_rule("contoso", "ear", frozenset({Right.LISTEN}), None))
    keys = {}
    for entity in (source, target):
        bus.call(bus.broker.put_rule("contoso", "mouth", frozenset({Right.SEND}), entity))
        rule = bus.broker.rule("contoso", "mouth", entity)
        assert rule is not None
        keys[entity] = rule.primary_key
    ear = bus.broker.rule("contoso", "ear")
    assert ear is not None
    wire = await Wire.opened(bus, key=ear.primary_key, rule="ear")
    try:
        now = time.time()
        tokens = (source, keys[source], now + 600), (target, keys[target], now + 2)
        await put_tokens(wire, *tokens)
        one = Client(wire)
        assert "com.microsoft:max-message-batch-size" in await attach_via(one, 3, source, target)
        error = p.read_error((await wire.until(p.DETACH))[2])
        assert error.condition == "amqp:unauthorized-access"
        assert target in error.description
    finally:
        await wire.drop()
