"""Decimals among application properties, in the service's encoding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Message

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.servicebus.front.messages import read


def carried(value: object) -> object:
    """What the Python SDK makes of what it sent, when the broker has had it."""
    raw = bytearray()
    encode_payload(raw, Message(application_properties={"d": value}, data=[b"x"]))
    received = decode_payload(memoryview(read(bytes(raw), 0.0).payload))
    return received.application_properties[b"d"]


@pytest.mark.parametrize("text", ["1.2345", "-1.2345", "12", "0.0000000000000000000000000012"])
def test_the_python_sdk_reads_the_decimals_that_it_sent(text: str) -> None:
    assert carried(Decimal(text)) == Decimal(text)


@pytest.mark.parametrize(
    "value",
    [
        t.Decimal128(bytes(range(16))),
        t.Decimal128(b"\x30\x39" + bytes(14)),  # a coefficient of more than 112 bits
        t.Decimal128(b"\x30\x42" + bytes(14)),  # an exponent above 0
        t.Decimal128(b"\x30\x38\x00\x01" + bytes(12)),  # more than 96 bits
        t.Decimal64(b"\x30\x38" + bytes(6)),
        b"\x94\x30\x38\x00\x00",
    ],
)
def test_other_values_pass_unchanged(value: object) -> None:
    raw = s.section(s.PROPERTIES, ["id"])
    raw += s.section(s.APPLICATION_PROPERTIES, {"d": value, "e": t.Decimal128(b"\x30\x38" * 8)})
    assert read(raw + s.section(s.DATA, b"x"), 0.0).payload == raw + s.section(s.DATA, b"x")
