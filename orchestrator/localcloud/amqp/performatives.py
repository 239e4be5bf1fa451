"""The frame bodies of AMQP 1.0 (part 2, section 2.7) and what they carry: sources, outcomes.

Incoming: `decode_fields` gives the raw list of a frame body's fields; the classes below read such
a list into named, checked attributes. Outgoing: `encode_*` functions. The transfer, which is most
of all traffic, has its own path in `link`.
"""

from __future__ import annotations

import struct
from typing import Any

from . import types as t
from .decode import BROKEN, DECODERS, decode_whole, skip
from .encode import encode, raw_compound
from .errors import AmqpError, DecodeError
from .fields import flag, mapping, number, optional_number, text, wrong

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_CHALLENGE, SASL_RESPONSE, SASL_OUTCOME = range(0x40, 0x45)
SOURCE, TARGET = 0x28, 0x29
RECEIVED, ACCEPTED, REJECTED, RELEASED, MODIFIED = range(0x23, 0x28)
# Transactions (part 4): a target, what is asked of it, and delivery states.
COORDINATOR, DECLARE, DISCHARGE, DECLARED, TRANSACTIONAL = range(0x30, 0x35)
ERROR = 0x1D

# How many fields each has; a peer may leave out trailing ones.
FIELD_COUNTS = {
    OPEN: 10,
    BEGIN: 8,
    ATTACH: 14,
    FLOW: 11,
    TRANSFER: 11,
    DISPOSITION: 6,
    DETACH: 3,
    END: 1,
    CLOSE: 1,
    SASL_MECHANISMS: 1,
    SASL_INIT: 3,
    SASL_CHALLENGE: 1,
    SASL_RESPONSE: 1,
    SASL_OUTCOME: 2,
}

_NAMES = {
    "amqp:open:list": OPEN,
    "amqp:begin:list": BEGIN,
    "amqp:attach:list": ATTACH,
    "amqp:flow:list": FLOW,
    "amqp:transfer:list": TRANSFER,
    "amqp:disposition:list": DISPOSITION,
    "amqp:detach:list": DETACH,
    "amqp:end:list": END,
    "amqp:close:list": CLOSE,
    "amqp:sasl-init:list": SASL_INIT,
    "amqp:sasl-response:list": SASL_RESPONSE,
    "amqp:error:list": ERROR,
    "amqp:source:list": SOURCE,
    "amqp:target:list": TARGET,
    "amqp:received:list": RECEIVED,
    "amqp:accepted:list": ACCEPTED,
    "amqp:rejected:list": REJECTED,
    "amqp:released:list": RELEASED,
    "amqp:modified:list": MODIFIED,
    "amqp:coordinator:list": COORDINATOR,
    "amqp:declare:list": DECLARE,
    "amqp:discharge:list": DISCHARGE,
    "amqp:transactional-state:list": TRANSACTIONAL,
}

_from_big = int.from_bytes


def kind_of(descriptor: Any) -> int:
    """The numeric code of a descriptor, 0 for one that AMQP does not define."""
    if isinstance(descriptor, str):
        return _NAMES.get(descriptor, 0)
    return int(descriptor) if isinstance(descriptor, int) else 0


def decode_fields(frame: bytes, pos: int) -> tuple[int, list[Any], int]:  # noqa: C901
    """`(code, fields, position behind)` of the frame body that starts at `pos`.

    Unsigned integers come as plain `int` here; attach's source and target (fields 5 and 6) come as
    raw bytes, so that they can be echoed as they were; the outcome accepted, which is most of what
    dispositions say, as `ACCEPT`. Raises `DecodeError`.

    In one piece: every frame but transfers comes through here, and a call costs as much as a field.
    """
    if len(frame) - pos in _ACCEPTING_SIZES:
        found = _accepting(frame, pos)
        if found is not None:
            return DISPOSITION, found, len(frame)
    try:
        if frame[pos] != 0:
            raise DecodeError("A frame body is not a described list.")
        if frame[pos + 1] == 0x53:
            code = frame[pos + 2]
            pos += 3
        else:
            descriptor, pos = DECODERS[frame[pos + 1]](frame, pos + 2, 0)
            code = kind_of(descriptor)
        kind = frame[pos]
        if kind == 0xC0:
            end = pos + 2 + frame[pos + 1]
            count = frame[pos + 2]
            pos += 3
        elif kind == 0xD0:
            end = pos + 5 + _from_big(frame[pos + 1 : pos + 5], "big")
            count = _from_big(frame[pos + 5 : pos + 9], "big")
            pos += 9
        elif kind == 0x45:
            end = pos = pos + 1
            count = 0
        else:
            raise DecodeError("A frame body is not a described list.")
        size = FIELD_COUNTS.get(code)
        if size is None:
            raise DecodeError(f"0x{code:02x} is not the descriptor of a frame body.")
        if count > size or end > len(frame):
            raise DecodeError("A frame body has more fields, or bytes, than it can have.")
        fields: list[Any] = [None] * size
        for index in range(count):
            kind = frame[pos]
            if kind == 0x40:
                pos += 1
            elif kind == 0x43:
                fields[index] = 0
                pos += 1
            elif kind == 0x52:
                fields[index] = frame[pos + 1]
                pos += 2
            elif kind == 0x41 or kind == 0x42:
                fields[index] = kind == 0x41
                pos += 1
            elif kind == 0x56 and frame[pos + 1] < 2:
                fields[index] = frame[pos + 1] == 1
                pos += 2
            elif kind == 0x70:
                fields[index] = _from_big(frame[pos + 1 : pos + 5], "big")
                pos += 5
            elif kind == 0 and code == DISPOSITION and frame[pos : pos + 4] == _ACCEPTED:
                fields[index] = ACCEPT
                pos += 4
            elif code == ATTACH and (index == 5 or index == 6):
                start = pos
                pos = skip(frame, pos)
                fields[index] = frame[start:pos]
            else:
                fields[index], pos = DECODERS[kind](frame, pos + 1, 1)
        if pos != end:
            raise DecodeError("The size of a frame body is not that of its fields.")
    except BROKEN as error:
        raise DecodeError(f"A frame body can't be decoded: {error}.") from error
    return code, fields, pos


# A receiver's disposition that accepts deliveries, as Microsoft's Python SDK writes it: the list's
# head, its size and count, role, first, last, settled, accepted; behind it batchable or null.
_disposition = struct.Struct(">IBBHBIBIHI").unpack_from
_BATCHABLE = {b"\x40": None, b"\x56\x00": False, b"\x56\x01": True}
_ACCEPTING_SIZES = (25, 26)


def _accepting(frame: bytes, pos: int) -> list[Any] | None:
    """The fields of such a frame body, which is one of two of all that come; None: another."""
    head, size, count, role, one, first, other, last, settled, outcome = _disposition(frame, pos)
    if (
        head != 0x005315C0
        or size != len(frame) - pos - 5
        or count != 6
        or role != 0x5601
        or one != 0x70
        or other != 0x70
        or settled >> 1 != 0x5600 >> 1
        or outcome != 0x00532445
    ):
        return None
    behind = frame[pos + 24 :]
    if behind not in _BATCHABLE:
        return None
    return [True, first, last, settled == 0x5601, ACCEPT, _BATCHABLE[behind]]


class Open:
    """open: what the peer says of itself and its limits (idle_timeout in seconds, or None)."""

    __slots__ = (
        "channel_max",
        "container_id",
        "hostname",
        "idle_timeout",
        "max_frame_size",
        "properties",
    )

    def __init__(self, fields: list[Any]) -> None:
        container_id = text(fields[0], "open", "container-id")
        if container_id is None:
            raise wrong("open", "container-id")
        self.container_id = container_id
        self.hostname = text(fields[1], "open", "hostname")
        self.max_frame_size = optional_number(fields[2], "open", "max-frame-size", 0xFFFFFFFF)
        if self.max_frame_size < 512:
            raise wrong("open", "max-frame-size")
        self.channel_max = optional_number(fields[3], "open", "channel-max", 0xFFFF, 0xFFFF)
        idle = optional_number(fields[4], "open", "idle-time-out", 0)
        self.idle_timeout = idle / 1000 if idle else None
        self.properties = mapping(fields[9], "open", "properties")


class Begin:
    """begin: the windows a session starts with."""

    __slots__ = ("handle_max", "incoming_window", "next_outgoing_id", "outgoing_window")

    def __init__(self, fields: list[Any]) -> None:
        if fields[0] is not None:
            # A remote-channel answers a begin of ours, and this side never begins a session.
            raise wrong("begin", "remote-channel")
        self.next_outgoing_id = number(fields[1], "begin", "next-outgoing-id")
        self.incoming_window = number(fields[2], "begin", "incoming-window")
        self.outgoing_window = number(fields[3], "begin", "outgoing-window")
        self.handle_max = optional_number(fields[4], "begin", "handle-max", 0xFFFFFFFF)


class Attach:
    """attach: a link as the peer wants it. `source` and `target` are raw bytes, b"" for null."""

    __slots__ = (
        "handle",
        "initial_delivery_count",
        "max_message_size",
        "name",
        "peer_receives",
        "properties",
        "rcv_settle_mode",
        "snd_settle_mode",
        "source",
        "target",
    )

    def __init__(self, fields: list[Any]) -> None:
        name = text(fields[0], "attach", "name")
        if name is None:
            raise wrong("attach", "name")
        self.name = name
        self.handle = number(fields[1], "attach", "handle")
        if not isinstance(fields[2], bool):
            raise wrong("attach", "role")
        self.peer_receives = fields[2]
        self.snd_settle_mode = optional_number(fields[3], "attach", "snd-settle-mode", 2, 2)
        self.rcv_settle_mode = optional_number(fields[4], "attach", "rcv-settle-mode", 0, 1)
        self.source: bytes = fields[5] or b""
        self.target: bytes = fields[6] or b""
        self.initial_delivery_count = (
            0 if self.peer_receives else number(fields[9], "attach", "initial-delivery-count")
        )
        self.max_message_size = optional_number(
            fields[10], "attach", "max-message-size", 0, 0xFFFFFFFFFFFFFFFF
        )
        self.properties = mapping(fields[13], "attach", "properties")


class Terminus:
    """A source or target, read: its address, and for a source its filters.

    `kind` is the descriptor (SOURCE, TARGET, or another, such as a coordinator's 0x30).
    """

    __slots__ = ("address", "dynamic", "fields", "filters", "kind")

    def __init__(self, raw: bytes) -> None:
        described = _decode_terminus(raw) if raw else None
        self.kind = 0
        self.fields: list[Any] = []
        self.address: str | None = None
        self.dynamic = False
        self.filters: dict[Any, Any] = {}
        if described is None:
            return
        self.kind = kind_of(described.descriptor)
        if not isinstance(described.value, list):
            raise wrong("attach", "source or target")
        self.fields = described.value
        if self.kind in (SOURCE, TARGET):
            fields = [*self.fields, *[None] * 11]
            self.address = text(fields[0], "attach", "address")
            self.dynamic = flag(fields[4], "attach", "dynamic")
            if self.kind == SOURCE:
                self.filters = mapping(fields[7], "attach", "filter")


def _decode_terminus(raw: bytes) -> t.Described:
    value = decode_whole(raw)
    if not isinstance(value, t.Described):
        raise wrong("attach", "source or target")
    return value


class Flow:
    """flow: session windows, and with a `handle` a link's credit."""

    __slots__ = (
        "available",
        "delivery_count",
        "drain",
        "echo",
        "handle",
        "incoming_window",
        "link_credit",
        "next_incoming_id",
        "next_outgoing_id",
        "outgoing_window",
    )

    def __init__(self, fields: list[Any]) -> None:
        next_incoming = fields[0]
        self.next_incoming_id = (
            None if next_incoming is None else number(next_incoming, "flow", "next-incoming-id")
        )
        self.incoming_window = number(fields[1], "flow", "incoming-window")
        self.next_outgoing_id = number(fields[2], "flow", "next-outgoing-id")
        self.outgoing_window = number(fields[3], "flow", "outgoing-window")
        self.handle = None if fields[4] is None else number(fields[4], "flow", "handle")
        self.delivery_count = (
            None if fields[5] is None else number(fields[5], "flow", "delivery-count")
        )
        self.link_credit = None if fields[6] is None else number(fields[6], "flow", "link-credit")
        self.available = optional_number(fields[7], "flow", "available", 0)
        self.drain = flag(fields[8], "flow", "drain")
        self.echo = flag(fields[9], "flow", "echo")


class Disposition:
    """disposition: the state of the deliveries `first` to `last`, as the peer sees it."""

    __slots__ = ("first", "last", "outcome", "peer_receives", "settled")

    def __init__(self, fields: list[Any]) -> None:
        if not isinstance(fields[0], bool):
            raise wrong("disposition", "role")
        self.peer_receives = fields[0]
        self.first = number(fields[1], "disposition", "first")
        self.last = optional_number(fields[2], "disposition", "last", self.first)
        outcome = fields[4]
        self.outcome = outcome if outcome is None or outcome is ACCEPT else Outcome.read(outcome)
        self.settled = flag(fields[3], "disposition", "settled")


class Outcome:
    """A delivery state (part 3, section 3.4).

    kind: RECEIVED, ACCEPTED, REJECTED, RELEASED, MODIFIED; DECLARED; TRANSACTIONAL for a state
    without an outcome; or another descriptor.
    error: of rejected, may be None. failed, elsewhere, annotations: of modified
    (delivery-failed, undeliverable-here, message-annotations).
    transaction: the id of the transaction that it is part of, or that was declared.
    """

    __slots__ = ("annotations", "elsewhere", "error", "failed", "kind", "transaction")

    def __init__(
        self,
        kind: int,
        error: AmqpError | None = None,
        failed: bool = False,
        elsewhere: bool = False,
        annotations: dict[Any, Any] | None = None,
        transaction: bytes | None = None,
    ) -> None:
        self.kind = kind
        self.transaction = transaction
        self.error = error
        self.failed = failed
        self.elsewhere = elsewhere
        self.annotations = annotations or {}

    @classmethod
    def read(cls, value: Any) -> Outcome:
        """From a decoded described list. Raises `AmqpError`."""
        if isinstance(value, Outcome):
            return value
        if not isinstance(value, t.Described) or not isinstance(value.value, list):
            raise wrong("disposition", "state")
        kind = kind_of(value.descriptor)
        if kind in (ACCEPTED, RELEASED):
            return cls(kind)
        fields = [*value.value, None, None, None]
        if kind == TRANSACTIONAL:
            return cls._transactional(fields[0], fields[1])
        if kind == REJECTED:
            return cls(kind, error=None if fields[0] is None else read_error(fields[0]))
        if kind == MODIFIED:
            return cls(
                kind,
                failed=flag(fields[0], "modified", "delivery-failed"),
                elsewhere=flag(fields[1], "modified", "undeliverable-here"),
                annotations=mapping(fields[2], "modified", "message-annotations"),
            )
        return cls(kind)

    @classmethod
    def _transactional(cls, transaction: Any, outcome: Any) -> Outcome:
        if not isinstance(transaction, bytes):
            raise wrong("transactional-state", "txn-id")
        inner = cls(TRANSACTIONAL) if outcome is None else cls.read(outcome)
        if inner.transaction is not None:
            raise wrong("transactional-state", "outcome")
        return cls(
            inner.kind,
            inner.error,
            inner.failed,
            inner.elsewhere,
            inner.annotations,
            transaction,
        )

    def encode(self) -> bytes:
        """The described list. `accepted` and `released` are constants."""
        if self.transaction is None:
            return _ACCEPTED if self.kind == ACCEPTED else self._bare()
        transaction = encode(self.transaction)
        if self.kind == DECLARED:
            return b"\x00\x53\x33" + raw_compound(0xC0, 1, transaction)
        return b"\x00\x53\x34" + raw_compound(0xC0, 2, transaction + self._bare())

    def _bare(self) -> bytes:
        if self.kind == ACCEPTED:
            return _ACCEPTED
        if self.kind == RELEASED:
            return _RELEASED
        if self.kind == REJECTED:
            if self.error is None:
                return b"\x00\x53\x25\x45"
            return b"\x00\x53\x25" + raw_compound(0xC0, 1, encode_error(self.error))
        if self.kind == MODIFIED:
            return b"\x00\x53\x27" + encode([self.failed, self.elsewhere, self.annotations or None])
        raise ValueError(f"outcome 0x{self.kind:02x} can't be sent")


_ACCEPTED = b"\x00\x53\x24\x45"
_RELEASED = b"\x00\x53\x26\x45"
ACCEPT = Outcome(ACCEPTED)
RELEASE = Outcome(RELEASED)


def reject(error: AmqpError) -> Outcome:
    """The outcome rejected, with its reason."""
    return Outcome(REJECTED, error=error)


def read_error(value: Any) -> AmqpError:
    """An error from its decoded described list. Raises `AmqpError` (invalid-field)."""
    if not isinstance(value, t.Described) or not isinstance(value.value, list):
        raise wrong("error", "error")
    fields = [*value.value, None, None, None]
    condition = text(fields[0], "error", "condition")
    return AmqpError(
        condition or "",
        text(fields[1], "error", "description") or "",
        mapping(fields[2], "error", "info"),
    )


def encode_error(error: AmqpError) -> bytes:
    """The described list of an error. `info` is always a map."""
    info = {t.Symbol(key): value for key, value in error.info.items()}
    return b"\x00\x53\x1d" + encode(
        [t.Symbol(error.condition), error.description or error.condition, info]
    )


def body(code: int, *fields: Any) -> bytes:
    """A frame body; `bytes` fields are taken as encoded already, trailing None are left out."""
    last = len(fields)
    while last and fields[last - 1] is None:
        last -= 1
    parts = [field if type(field) is bytes else encode(field) for field in fields[:last]]
    if not parts:
        return bytes((0x00, 0x53, code, 0x45))
    return bytes((0x00, 0x53, code)) + raw_compound(0xC0, len(parts), b"".join(parts))


_first_to_last = struct.Struct(">B BI BI B").pack


def settled(peer_sent: bool, first: int, last: int, outcome: bytes) -> bytes:
    """The body of a disposition that settles the deliveries `first` to `last` with an encoded
    outcome; peer_sent: whether the peer is their sender."""
    fields = _first_to_last(0x41 if peer_sent else 0x42, 0x70, first, 0x70, last, 0x41)
    return b"\x00\x53\x15" + raw_compound(0xC0, 5, fields + outcome)
