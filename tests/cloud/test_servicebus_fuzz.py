"""Requests to `$management` of any content: each is answered, on a connection that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_wire import Wire, request
from tests.unit.amqp.values import values

OPERATIONS = {
    "renew-lock": ["lock-tokens"],
    "peek-message": ["from-sequence-number", "message-count", "session-id"],
    "schedule-message": ["messages"],
    "cancel-scheduled-message": ["sequence-numbers"],
    "receive-by-sequence-number": ["sequence-numbers", "receiver-settle-mode", "session-id"],
    "update-disposition": [
        "disposition-status",
        "lock-tokens",
        "deadletter-reason",
        "deadletter-description",
        "properties-to-modify",
        "session-id",
    ],
    "renew-session-lock": ["session-id"],
    "get-session-state": ["session-id"],
    "set-session-state": ["session-id", "session-state"],
    "get-message-sessions": ["last-updated-time", "skip", "top"],
    "add-rule": ["rule-name", "rule-description"],
    "remove-rule": ["rule-name"],
    "enumerate-rules": ["skip", "top"],
    "nonsense": ["x"],
}
somehow = st.one_of(
    values,
    st.sampled_from(["completed", "defered", "suspended", "s", 0, 1, -1, 2**62, -(2**63), b""]),
    st.lists(st.uuids(), max_size=3),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["message", "message-id"]), values), max_size=2),
)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    running = Bus(tmp_path_factory.mktemp("bus"))
    yield running
    running.close()


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[Any, Any]]:
    name = draw(st.sampled_from(sorted(OPERATIONS)))
    body: dict[Any, Any] = {}
    for key in OPERATIONS[name]:
        if draw(st.integers(0, 5)):
            body[key] = draw(somehow)
    return name, body


async def answered(bus: Bus, queue: str, asked: list[tuple[str, dict[Any, Any]]]) -> list[Any]:
    """The status of each answer, on one connection that outlives them all."""
    wire = await Wire.opened(bus)
    try:
        node = f"{queue}/$management"
        wire.attach(0, node, receive=True)
        wire.attach(1, node, receive=False)
        wire.credit(0, 1000)
        await wire.until(p.FLOW)
        found = []
        for number, (name, body) in enumerate(asked):
            wire.transfer(1, number, request(name, body, number))
            while True:
                code, fields, payload = await frame_of(wire)
                assert code not in (p.CLOSE, p.DETACH), (fields, asked[: number + 1])
                if code == p.TRANSFER:
                    break
            status = s.map_of(s.split(payload).application_properties)["statusCode"]
            found.append(int(status))
        return found
    finally:
        await wire.drop()


async def frame_of(wire: Wire) -> tuple[int, list[Any], bytes]:
    head = await asyncio.wait_for(wire.reader.readexactly(8), 10)
    if head[:4] == b"AMQP" or head[:4] == b"\0\0\0\x08":
        return 0, [], b""
    rest = await wire.reader.readexactly(int.from_bytes(head[:4], "big") - 8)
    code, fields, end = p.decode_fields(rest, 0)
    return code, fields, rest[end:]


@pytest.mark.parametrize("sessions", [False, True])
def test_every_request_is_answered_whatever_it_holds(bus: Bus, sessions: bool) -> None:
    queue = bus.queue(requires_session=sessions)

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(requests(), min_size=5, max_size=20))
    def run(asked: list[tuple[str, dict[Any, Any]]]) -> None:
        statuses = asyncio.run(answered(bus, queue, asked))
        assert 500 not in statuses, list(zip(statuses, asked, strict=True))

    run()
