"""Messages without any service: ids of copies, filters, what is shown."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from azure.servicebus import ServiceBusMessageState
from azure.servicebus.amqp import AmqpMessageBodyType
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadInput
from orchestrator.queues.message_copy import ID_LENGTH, resubmitted_id, typed
from orchestrator.queues.messages import (
    Filter,
    Message,
    Messages,
    Outcome,
    message_of,
    pattern_of,
    readable,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(st.text(max_size=200), st.integers(1, 2**63 - 1))
def test_a_copys_id_is_the_same_whenever_it_is_made_and_fits(before: str, number: int) -> None:
    made = resubmitted_id(before, number)
    assert made == resubmitted_id(before, number)
    assert made != before
    assert len(made) <= ID_LENGTH


@given(st.text(max_size=128), st.lists(st.integers(1, 2**63 - 1), min_size=2, unique=True))
def test_two_dead_letters_never_share_an_id(before: str, numbers: list[int]) -> None:
    made = {resubmitted_id(before, number) for number in numbers}
    assert len(made) == len(numbers)


def test_a_copy_of_a_copy_is_named_after_the_first() -> None:
    assert resubmitted_id(b"order-1", 7) == "order-1~resubmitted-7"
    assert resubmitted_id("order-1~resubmitted-7", 12) == "order-1~resubmitted-12"
    assert resubmitted_id(UUID(int=5), 1) == f"{UUID(int=5)}~resubmitted-1"
    assert resubmitted_id(None, 3) == "~resubmitted-3"


def test_long_ids_that_begin_alike_stay_apart() -> None:
    one, other = "x" * 127 + "a", "x" * 127 + "b"
    assert resubmitted_id(one, 1) != resubmitted_id(other, 1)
    assert resubmitted_id(one, 1).endswith("~resubmitted-1")


def test_whole_numbers_that_need_it_name_their_width() -> None:
    assert typed(True) is True
    assert typed(2**31 - 1) == 2**31 - 1
    assert typed(2**31) == {"TYPE": "LONG", "VALUE": 2**31}
    assert typed([-(2**40)]) == [{"TYPE": "LONG", "VALUE": -(2**40)}]
    assert typed({"a": 2**63})["a"]["TYPE"] == "ULONG"


def test_strings_that_came_as_bytes_are_text_again_all_the_way_down() -> None:
    seen = readable({b"k": [b"v", {b"n": 1}], b"raw": b"\xff\xfe"})
    assert seen == {"k": ["v", {"n": 1}], "raw": b"\xff\xfe"}


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (Filter(), True),
        (Filter(reasons=("expired", "BAD")), True),
        (Filter(reasons=("worse",)), False),
        (Filter(since=NOON), True),
        (Filter(since=NOON.replace(hour=13)), False),
        (Filter(grep=re.compile("needle")), True),
        (Filter(grep=re.compile("^m-1$")), True),
        (Filter(grep=re.compile("shop=12")), True),
        (Filter(grep=re.compile("too many")), True),
        (Filter(grep=re.compile("absent")), False),
        (Filter(reasons=("bad",), since=NOON, grep=re.compile("absent")), False),
    ],
)
def test_a_filter_means_what_matches_all_of_it(wanted: Filter, matches: bool) -> None:
    message = Message(
        sequence_number=1,
        id="m-1",
        body="a needle here",
        enqueued=NOON,
        reason="Bad",
        description="too many",
        properties={"shop": 12},
    )
    assert wanted.matches(message) is matches


def test_a_wrong_pattern_is_refused() -> None:
    with pytest.raises(BadInput, match="no regular expression"):
        pattern_of("a(")


def test_bodies_of_every_kind_are_readable_and_json() -> None:
    text = Message(sequence_number=1, body='{"a": 1}')
    raw = Message(sequence_number=2, body=b"\xff\x00", properties={"b": b"\xff"})
    value = Message(sequence_number=3, body={"k": [1, "x", b"\xff"]})
    assert (text.text, raw.text) == ('{"a": 1}', "/wA=")
    assert text.json() == {"a": 1}
    assert value.json() == {"k": [1, "x", b"\xff"]}
    with pytest.raises(BadInput, match="not JSON"):
        raw.json()
    for message in (text, raw, value):
        json.dumps(message.as_json())
    assert "body_encoding" not in text.as_json()
    assert raw.as_json()["body_encoding"] == "base64"
    assert raw.as_json()["properties"] == {"b": "/w=="}
    assert "base64" in [name for name, _, _ in raw.details()][-1]


def test_an_outcome_says_what_was_done_in_a_line() -> None:
    done = Outcome(queue="q", action="resubmitted", matched=3, done=2, left=1)
    assert repr(done) == "<Outcome q: 2 resubmitted, 1 left>"
    assert done.as_json()["left"] == 1
    would = Outcome(queue="q", action="purged", matched=3, done=0, dry_run=True)
    assert repr(would) == "<Outcome q: 3 would be purged>"


def test_messages_are_a_frame_for_notebooks() -> None:
    frame = Messages([Message(sequence_number=1, id="a", body="x", enqueued=NOON)]).to_pandas()
    assert str(frame["enqueued"].dtype) == "datetime64[us, UTC]"
    assert list(frame["sequence_number"]) == [1]
    assert list(frame["text"]) == ["x"]


@pytest.mark.parametrize(("ago", "state"), [(1, "active"), (0, "active"), (-1, "scheduled")])
def test_a_message_whose_time_has_come_is_active_whatever_the_service_calls_it(
    ago: int, state: str
) -> None:
    enqueued = datetime(2026, 1, 2, tzinfo=UTC)
    texts = ("message_id", "session_id", "subject", "content_type", "correlation_id", "to")
    received: Any = SimpleNamespace(
        application_properties=None,
        time_to_live=None,
        state=ServiceBusMessageState.SCHEDULED,
        scheduled_enqueue_time_utc=enqueued - timedelta(hours=ago),
        enqueued_time_utc=enqueued,
        sequence_number=1,
        delivery_count=0,
        body=None,
        body_type=AmqpMessageBodyType.VALUE,
        reply_to=None,
        partition_key=None,
        **dict.fromkeys(texts),
    )
    message = message_of(received)
    assert message.state == state
    assert (message.scheduled is None) == (state == "active")
