"""A message as its sections (AMQP 1.0 part 3, section 3.2), sliced without decoding them.

A broker looks at a few sections and passes the others on bit by bit: `split` finds where each one
lies, its bytes are decoded only on demand.
"""

from __future__ import annotations

import contextlib
import struct
from typing import Any

from . import types as t
from .decode import decode, decode_whole, skip
from .encode import encode, raw_compound
from .errors import DecodeError

HEADER = 0x70
DELIVERY_ANNOTATIONS = 0x71
MESSAGE_ANNOTATIONS = 0x72
PROPERTIES = 0x73
APPLICATION_PROPERTIES = 0x74
DATA = 0x75
SEQUENCE = 0x76
VALUE = 0x77
FOOTER = 0x78

_NAMES = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE,
    "amqp:footer:map": FOOTER,
}

_BODY = 5
# Where each section stands; body sections share one place.
_PLACE = {
    HEADER: 0,
    DELIVERY_ANNOTATIONS: 1,
    MESSAGE_ANNOTATIONS: 2,
    PROPERTIES: 3,
    APPLICATION_PROPERTIES: 4,
    DATA: _BODY,
    SEQUENCE: _BODY,
    VALUE: _BODY,
    FOOTER: 6,
}

_PRELUDE = (HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS)


_binary_head = struct.Struct(">II").unpack_from
_LARGE_DATA = 0x005375B0
_SMALL_DATA = 0x005375A0


class Sections:
    """The raw sections of one message, each with its descriptor, or empty bytes where absent.

    `body` holds all body sections, `body_kind` is DATA, SEQUENCE, VALUE, or 0 for no body.
    in_order: they stood where the standard has them.
    """

    __slots__ = (
        "application_properties",
        "body",
        "body_kind",
        "delivery_annotations",
        "footer",
        "header",
        "in_order",
        "message_annotations",
        "properties",
    )

    def __init__(self) -> None:
        self.header = b""
        self.delivery_annotations = b""
        self.message_annotations = b""
        self.properties = b""
        self.application_properties = b""
        self.body = b""
        self.body_kind = 0
        self.footer = b""
        self.in_order = True


def _descriptor(data: bytes, pos: int) -> tuple[int, int]:
    """`(section code, position of the section's value)`."""
    try:
        if data[pos] == 0 and data[pos + 1] == 0x53:
            return data[pos + 2], pos + 3
        if data[pos] != 0:
            raise DecodeError("A message section is not a described value.")
    except IndexError:
        raise DecodeError("A message section is cut short.") from None
    end = skip(data, pos + 1)
    descriptor = decode_whole(data[pos + 1 : end])
    if isinstance(descriptor, t.Symbol):
        return _NAMES.get(descriptor, 0), end
    if isinstance(descriptor, t.ULong):
        return int(descriptor), end
    return 0, end


def split(data: bytes) -> Sections:
    """Slice a message. Raises `DecodeError` for unknown or repeated sections and cut values.

    The order is not insisted on: Microsoft's Python SDK writes the delivery annotations last.
    """
    sections = Sections()
    pos = 0
    place = -1
    seen = 0
    end_of_all = len(data)
    body_start = body_end = -1
    while pos < end_of_all:
        # As nearly all are written: a small descriptor, and a value that tells its size.
        if data[pos : pos + 2] == b"\x00\x53" and pos + 4 < end_of_all:
            code, value = data[pos + 2], pos + 3
            small = data[value] in (0xA0, 0xC0, 0xC1)
            end = value + 2 + data[value + 1] if small else skip(data, value)
            if end > end_of_all:
                raise DecodeError("A value is cut short.")
        else:
            code, value = _descriptor(data, pos)
            end = skip(data, value)
        here = _PLACE.get(code)
        if here is None:
            raise DecodeError("A message has an unknown section.")
        # Only data and sequence sections may be repeated, one right behind the other.
        bit = 1 << here
        if seen & bit and (here != place or code == VALUE or sections.body_kind != code):
            raise DecodeError("The sections of a message are repeated.")
        seen |= bit
        if here < place:
            sections.in_order = False
        place = here
        if code == PROPERTIES:
            sections.properties = data[pos:end]
        elif here == _BODY:
            if body_start < 0:
                body_start = pos
                sections.body_kind = code
            body_end = end
        elif code == APPLICATION_PROPERTIES:
            sections.application_properties = data[pos:end]
        elif code == MESSAGE_ANNOTATIONS:
            sections.message_annotations = data[pos:end]
        elif code == HEADER:
            sections.header = data[pos:end]
        elif code == DELIVERY_ANNOTATIONS:
            sections.delivery_annotations = data[pos:end]
        else:
            sections.footer = data[pos:end]
        pos = end
    if body_start >= 0:
        sections.body = data[body_start:body_end]
    return sections


def prelude(data: bytes) -> tuple[bytes, bytes, bytes, int]:
    """Header, delivery annotations and message annotations of a message whose sections are in
    order, raw, and the position of what comes behind them. Raises `DecodeError`."""
    header = for_delivery = annotations = b""
    pos = 0
    while pos < len(data):
        code, value = _descriptor(data, pos)
        if code not in _PRELUDE:
            break
        end = skip(data, value)
        if code == HEADER:
            header = data[pos:end]
        elif code == MESSAGE_ANNOTATIONS:
            annotations = data[pos:end]
        else:
            for_delivery = data[pos:end]
        pos = end
    return header, for_delivery, annotations, pos


def sole_id(data: bytes) -> str | None:
    """The id of a message that is no more than a properties section with a short text as id and
    one data section, as most are; None where one must look closer."""
    if len(data) < 8 or data[:4] != b"\x00\x53\x73\xc0" or data[6] != 0xA1:
        return None
    end = 8 + data[7]
    nulls = data[5] - 1
    body = end + nulls
    if body != 5 + data[4] or data.count(b"\x40", end, body) != nulls:
        return None
    head = data[body : body + 4]
    if head == b"\x00\x53\x75\xa0":
        behind = body + 5 + int.from_bytes(data[body + 4 : body + 5], "big")
    elif head == b"\x00\x53\x75\xb0":
        behind = body + 8 + int.from_bytes(data[body + 4 : body + 8], "big")
    else:
        return None
    if behind != len(data):
        return None
    try:
        return data[8:end].decode()
    except UnicodeDecodeError:
        return None


def value_of(section: bytes) -> Any:
    """What a raw section carries, decoded; None for an absent one. Raises `DecodeError`."""
    if not section:
        return None
    _, start = _descriptor(section, 0)
    value, end = decode(section, start)
    if end != len(section):
        raise DecodeError("Bytes are left over behind a section.")
    return value


def map_of(section: bytes) -> dict[Any, Any]:
    """The map of an annotations, application-properties or footer section ({} if absent)."""
    value = value_of(section)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DecodeError("A section that must be a map is not one.")
    return value


def list_of(section: bytes, fields: int) -> list[Any]:
    """The fields of a header or properties section, filled up with None to `fields` items."""
    value = value_of(section)
    if value is None:
        return [None] * fields
    if not isinstance(value, list):
        raise DecodeError("A section that must be a list is not one.")
    return value + [None] * (fields - len(value))


def data_of(body: bytes) -> list[bytes]:
    """The binaries of a body of data sections. Raises `DecodeError` if one is something else."""
    found: list[bytes] = []
    pos = 0
    size = len(body)
    while pos < size:
        # As nearly all are written: a small descriptor and a binary.
        head, length = _binary_head(body, pos) if pos + 8 <= size else (0, 0)
        if head == _LARGE_DATA:
            start = pos + 8
            pos = start + length
        elif head == _SMALL_DATA:
            start = pos + 5
            pos = start + (length >> 24)
        else:
            pos = _data_at(body, pos, found)
            continue
        if pos > size:
            raise DecodeError("A data section is cut short.")
        found.append(body[start:pos])
    return found


def batch_of(envelope: bytes) -> list[bytes]:
    """The messages in a batch's envelope, each as it was encoded. Raises `DecodeError`."""
    with contextlib.suppress(DecodeError):
        # As nearly all are: data sections up to the end. Any other is looked at more closely.
        start = 0
        while envelope[start : start + 3] != b"\x00\x53\x75":
            start = skip(envelope, _descriptor(envelope, start)[1])
        if not split(envelope[:start]).body_kind:
            return data_of(envelope[start:])
    sections = split(envelope)
    if sections.body_kind != DATA:
        raise DecodeError("A batch must have its messages in data sections.")
    return data_of(sections.body)


def _data_at(body: bytes, pos: int, found: list[bytes]) -> int:
    """One data section in any of its encodings, added to `found`; the position behind it."""
    code, value = _descriptor(body, pos)
    pos = skip(body, value)
    content = decode_whole(body[value:pos])
    if code != DATA or not isinstance(content, bytes):
        raise DecodeError("A body that must be data sections is something else.")
    found.append(content)
    return pos


def map_entries(section: bytes) -> tuple[int, bytes]:
    """`(count, raw entries)` of a map section: count items (keys and values) as they were encoded.

    Lets a caller append entries without decoding, hence without changing, those that are there.
    """
    if not section:
        return 0, b""
    _, pos = _descriptor(section, 0)
    code = section[pos]
    if code == 0xC1:
        return section[pos + 2], section[pos + 3 :]
    if code == 0xD1:
        return int.from_bytes(section[pos + 5 : pos + 9], "big"), section[pos + 9 :]
    if code == 0x40:
        return 0, b""
    raise DecodeError("A section that must be a map is not one.")


def section(code: int, value: Any) -> bytes:
    """A section with `value`, encoded."""
    return bytes((0x00, 0x53, code)) + encode(value)


def map_section(code: int, count: int, entries: bytes) -> bytes:
    """A map section of `count` raw items (as `map_entries` gives them)."""
    return bytes((0x00, 0x53, code)) + raw_compound(0xC1, count, entries)
