"""Properties of messages in HTTP: the BrokerProperties header, custom properties, their types."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Message

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.messages_http.decimals import decimal_text
from orchestrator.localcloud.messages_http.properties import (
    BrokerProperties,
    PropertyError,
    broker_properties,
    broker_properties_header,
    custom_properties,
    header_text,
    header_value,
    property_headers,
    user_properties,
)
from orchestrator.localcloud.servicebus.front.messages import read

SUNDAY = 784111777.0


def test_broker_properties_as_the_documentation_has_them() -> None:
    header = json.dumps(
        {
            "SessionId": "{27729E1-B37B-4D29-AA0A-E367906C206E}",
            "MessageId": "{701332E1-B37B-4D29-AA0A-E367906C206E}",
            "TimeToLive": 90,
            "CorrelationId": "{701332F3-B37B-4D29-AA0A-E367906C206E}",
            "SequenceNumber": 12345,
            "DeliveryCount": 2,
            "To": "http://contoso.com",
            "ReplyTo": "http://fabrikam.com",
            "EnqueuedTimeUtc": " Sun, 06 Nov 1994 08:49:37 GMT",
            "ScheduledEnqueueTimeUtc": " Sun, 06 Nov 1994 08:49:37 GMT",
            "ForcePersistence": False,
            "Unknown": {"of": ["any", "kind"]},
        }
    )
    assert broker_properties_header(header) == BrokerProperties(
        session_id="{27729E1-B37B-4D29-AA0A-E367906C206E}",
        message_id="{701332E1-B37B-4D29-AA0A-E367906C206E}",
        ttl=90.0,
        correlation_id="{701332F3-B37B-4D29-AA0A-E367906C206E}",
        to="http://contoso.com",
        reply_to="http://fabrikam.com",
        scheduled_at=SUNDAY,
    )
    assert broker_properties_header(None) == BrokerProperties()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"TimeToLive": 0.25}, 0.25),
        ({"TimeToLive": "40"}, 40.0),  # azure-servicebus 0.21 writes all values as strings
        ({"TimeToLiveTimeSpan": "0.00:00:40"}, 40.0),
        ({"TimeToLiveTimeSpan": "2.03:04:05.5"}, 2 * 86400 + 3 * 3600 + 4 * 60 + 5.5),
        ({"TimeToLiveTimeSpan": "00:01"}, 60.0),
        ({"TimeToLive": 922337203685.47754}, None),
        ({"TimeToLive": 1e300}, None),
        ({"TimeToLive": 10**400}, None),
        ({"TimeToLive": None}, None),
    ],
)
def test_times_to_live(given: dict[str, Any], seconds: float | None) -> None:
    assert broker_properties(given).ttl == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "1994-11-06T09:49:37+01:00",
        "1994-11-06 08:49:37",
    ],
)
def test_times(text: str) -> None:
    assert broker_properties({"ScheduledEnqueueTimeUtc": text}).scheduled_at == SUNDAY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        '"text"',
        '{"Label": ["a"]}',
        '{"Label": "\\ud800"}',
        '{"TimeToLive": 0}',
        '{"TimeToLive": -5}',
        f'{{"TimeToLive": {-(10**400)}}}',
        '{"TimeToLive": true}',
        '{"TimeToLive": "soon"}',
        '{"TimeToLive": NaN}',
        '{"TimeToLiveTimeSpan": "99:00:00"}',
        '{"TimeToLiveTimeSpan": 40}',
        '{"ScheduledEnqueueTimeUtc": "tomorrow"}',
        '{"ScheduledEnqueueTimeUtc": 5}',
        '{"ScheduledEnqueueTimeUtc": "Sun, 99 Nov 1994 08:49:37 GMT"}',
        '{"SessionId": "a", "PartitionKey": "b"}',
        "[" * 5000,
        '{"a":' * 5000,
    ],
)
def test_what_is_malformed_is_told_with_the_header(text: str) -> None:
    with pytest.raises(PropertyError, match="of the HTTP header 'BrokerProperties' is invalid"):
        broker_properties_header(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"High"', "High"),
        ('"12345,ABC"', "12345,ABC"),
        ('"5"', "5"),
        ('"true"', "true"),
        ('"say \\"yes\\" \\u00e4 \\\\"', 'say "yes" ä \\'),
        ('""', ""),
        ('"Sun, 06 Nov 1994 08:49:37 GMT"', t.Timestamp(SUNDAY * 1000)),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("5", 5),
        ("-5", -5),
        ("299.98", 299.98),
        ("1e3", 1000.0),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", float(2**63)),
        # What is none of these is a string as it stands.
        ("Windows 7 Ultimate", "Windows 7 Ultimate"),
        ("Fri, 04 Mar 2011 08:49:37 GMT", "Fri, 04 Mar 2011 08:49:37 GMT"),
        ('"This "should" work fine"', '"This "should" work fine"'),
        ('"', '"'),
        ("1_000", "1_000"),
        ("nan", "nan"),
        ("٣", "٣"),
        ("", ""),
    ],
)
def test_a_header_s_text_says_of_what_type_it_is(text: str, value: Any) -> None:
    found = header_value(text)
    assert (found, type(found)) == (value, type(value))


def test_headers_of_http_are_no_properties() -> None:
    found = custom_properties(
        [
            ("Host", "127.0.0.1"),
            ("User-Agent", "curl/8"),
            ("Accept", "*/*"),
            ("CONTENT-TYPE", "text/plain"),
            ("brokerproperties", "{}"),
            ("x-ms-retrypolicy", "NoRetry"),
            ("Priority", '"High"'),
            ("x-ms-client-tracking-id", "abc"),
            ("Many", "1"),
            ("many", "2"),
            ("Latin", b"\xe4".decode("utf-8", "surrogateescape")),
        ]
    )
    assert found == {
        "Priority": "High",
        "x-ms-client-tracking-id": "abc",
        "Many": "1, 2",
        "Latin": "ä",
    }
    with pytest.raises(PropertyError, match="Half"):
        custom_properties([("Half", '"\\ud800"')])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\r\nInjected: 1", '"a\\r\\nInjected: 1"'),
        ("ä", '"\\u00e4"'),
        ('"', '"\\""'),
        (True, "true"),
        (t.UByte(7), "7"),
        (t.ULong(2**64 - 1), "18446744073709551615"),
        (-3, "-3"),
        (1.5, "1.5"),
        (t.Float(0.5), "0.5"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (t.Timestamp(SUNDAY * 1000), '"Sun, 06 Nov 1994 08:49:37 GMT"'),
        (t.Timestamp(2**62), None),
        (t.Char("x"), '"x"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (t.Described(t.Symbol("com.microsoft:timespan"), 15_000_000), "1.5"),
        (t.Described(t.Symbol("com.microsoft:uri"), "http://a"), None),
        (t.Described(t.Symbol("com.microsoft:datetime-offset"), 1), None),
        (b"binary", None),
        (None, None),
        ([1], None),
        ({}, None),
    ],
)
def test_values_as_headers(value: Any, text: str | None) -> None:
    assert header_text(value) == text


def test_names_that_no_header_may_have_are_left_out() -> None:
    properties = {
        "Good-1_x.y": 1,
        "has space": 2,
        "a:b": 3,
        "a\r\nb": 4,
        "": 5,
        "ümlaut": 6,
        "Connection": "close",
        "Transfer-Encoding": "chunked",
        "location": "x",
        "Nothing": None,
    }
    assert property_headers(properties) == {"Good-1_x.y": "1"}


@pytest.mark.parametrize("value", ["High", 'with "quotes" \\ and\nlines', "ä€", 5, 2.5, True])
def test_a_value_survives_the_way_there_and_back(value: Any) -> None:
    text = header_text(value)
    assert text is not None
    assert header_value(text) == value


@pytest.mark.parametrize(
    "text", ["1.2345", "-1.2345", "12", "0", "0.0000000000000000000000000012", "12E+3", "1E-40"]
)
def test_decimals_as_the_sdk_writes_them_and_the_broker_keeps_them(text: str) -> None:
    raw = bytearray()
    encode_payload(raw, Message(application_properties={"d": Decimal(text)}, data=[b"x"]))
    kept = s.map_of(s.split(read(bytes(raw), 0.0).payload).application_properties)["d"]
    assert Decimal(header_text(kept) or "") == Decimal(text)


def test_other_decimals() -> None:
    assert decimal_text(t.Decimal64(b"\x31\xc0" + bytes(5) + b"\x07")) == "7"
    assert decimal_text(t.Decimal32(b"\xb2\x80\x00\x07")) == "-7"
    assert decimal_text(t.Decimal32(b"\x78\x00\x00\x00")) is None


def test_user_properties_of_a_batch() -> None:
    given = {"s": "5", "i": 5, "f": 0.5, "b": True, "n": None, "big": 2**63}
    assert user_properties(given) == {"s": "5", "i": 5, "f": 0.5, "b": True, "big": float(2**63)}
    assert user_properties(None) == {}
    for wrong in ([], {"a": []}, {"a": {"b": 1}}, {"a": "\ud800"}, {"a": 10**400}):
        with pytest.raises(PropertyError):
            user_properties(wrong)
