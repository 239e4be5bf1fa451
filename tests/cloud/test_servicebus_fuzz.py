"""Requests to `$management` of any content: each is answered, on a connection that goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cloud.servicebus_bus import Bus
from tests.cloud.servicebus_wire import Wire
from tests.unit.amqp.values import values

OPERATIONS = {
    "renew-lock": ["lock-tokens"],
    "peek-message": ["from-sequence-number", "message-count", "session-id", "omit-message-body"],
    "batch-delete-messages": ["message-count", "enqueued-time-utc", "session-id"],
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
        return [status for status, _ in await wire.ask(f"{queue}/$management", *asked)]
    finally:
        await wire.drop()


@pytest.mark.parametrize("sessions", [False, True])
def test_every_request_is_answered_whatever_it_holds(bus: Bus, sessions: bool) -> None:
    queue = bus.queue(requires_session=sessions)

    @settings(
        max_examples=12,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(requests(), min_size=5, max_size=20))
    def run(asked: list[tuple[str, dict[Any, Any]]]) -> None:
        statuses = asyncio.run(answered(bus, queue, asked))
        assert 500 not in statuses, list(zip(statuses, asked, strict=True))

    run()
