"""Links: one-way routes for messages inside a session (AMQP 1.0 part 2, section 2.6).

Named as this side sees them: an `IncomingLink` receives what the peer sends, an `OutgoingLink`
sends to the peer. The owner answers an `Attaching` event with `accept` or `refuse`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import performatives as p
from . import types as t
from .encode import encode
from .errors import (
    MESSAGE_SIZE_EXCEEDED,
    NOT_ALLOWED,
    TRANSFER_LIMIT_EXCEEDED,
    AmqpError,
)
from .fields import flag, number, optional_number
from .link_base import ATTACHED, LinkBase

if TYPE_CHECKING:
    from .session import Session

MASK = 0xFFFFFFFF

# How much of a message that is too large is thrown away before its link is, too.
DISCARD = 64 * 1024 * 1024

# A peer that sends beyond its credit is let be up to here: the Python Service Bus client resets
# its own credit when it is used up.
OVERDRAFT = 10_000


class IncomingDelivery:
    """A message from the peer. `payload` is its bytes, all sections.

    settled: the peer does not wait for an outcome. transaction: the id of the one it is part of.
    error: why it was thrown away; None: it was not.
    """

    __slots__ = ("error", "format", "id", "link", "payload", "settled", "tag", "transaction")

    def __init__(
        self, link: IncomingLink, id: int, tag: bytes, message_format: int, settled: bool
    ) -> None:
        self.link = link
        self.id = id
        self.tag = tag
        self.format = message_format
        self.settled = settled
        self.payload = b""
        self.error: AmqpError | None = None
        self.transaction: bytes | None = None


class IncomingLink(LinkBase):
    """The peer sends, this side receives.

    Credit is kept at `window` minus what is not settled yet, so a slow owner slows the peer down.
    """

    peer_receives = False

    __slots__ = (
        "_discarded",
        "_excess",
        "_partial",
        "_parts",
        "credit",
        "delivery_count",
        "limit",
        "unsettled",
        "window",
    )

    def __init__(self, session: Session, attach: p.Attach, handle: int) -> None:
        super().__init__(session, attach, handle)
        self.delivery_count = attach.initial_delivery_count
        self.credit = 0
        self.window = 0
        self.unsettled = 0
        self.limit = 0
        self._excess = 0
        self._partial: IncomingDelivery | None = None
        self._parts = bytearray()
        # Bytes seen of a message that is too large, 0 for one that is not (yet).
        self._discarded = 0

    def _accepted(self, max_message_size: int) -> None:
        self.limit = max_message_size

    def tolerate(self, excess: int) -> None:
        """Take messages that are up to `excess` bytes larger than was announced."""
        if self.limit:
            self.limit += excess
            self._excess = excess

    def open_window(self, window: int) -> None:
        """Let up to `window` messages be on their way or unsettled at once."""
        self.window = window
        self._grant(window - self.unsettled)

    def _grant(self, credit: int) -> None:
        self.credit = credit
        self.session.send_flow(self, self.delivery_count, credit)

    def _top_up(self) -> None:
        room = self.window - self.unsettled
        if self.credit <= self.window >> 1 and room - self.credit > self.window >> 2:
            self._grant(room)

    @property
    def partial_size(self) -> int:
        """Bytes held of a message that has not arrived whole."""
        return len(self._parts)

    @property
    def partial_transaction(self) -> bytes | None:
        """The transaction of a message that has not arrived whole."""
        return None if self._partial is None else self._partial.transaction

    def discard_partial(self) -> None:
        self._partial = None
        self.discard_parts()

    def discard_parts(self) -> None:
        """What has come of a message goes; that it was begun is known on."""
        self._parts = bytearray()
        self._discarded = 0

    def transaction_of(self, fields: list[Any]) -> bytes | None:
        """Which transaction a transfer frame is a part of that comes to nothing."""
        if fields[7] is not None:
            return p.Outcome.read(fields[7]).transaction
        return self.partial_transaction

    def on_transfer(self, fields: list[Any], frame: bytes, pos: int) -> IncomingDelivery | None:
        """One transfer frame; the delivery once it is whole. Raises `AmqpError` (link error).

        A message that is larger than the link allows is thrown away as it arrives; without end, it
        costs the link.
        """
        delivery = self._partial
        if delivery is None:
            delivery = self._first(fields)
            if not fields[5] and not fields[9]:
                # The common case: a message in one frame.
                delivery.payload = frame[pos:]
                if self.limit and len(delivery.payload) > self.limit:
                    return self._too_large(delivery)
                return self._whole(delivery)
            self._partial = delivery
        elif fields[1] is not None and fields[1] != delivery.id:
            raise AmqpError(NOT_ALLOWED, "A delivery began before the one before it was whole.")
        if flag(fields[9], "transfer", "aborted"):
            self.discard_partial()
            return None
        if flag(fields[4], "transfer", "settled"):
            delivery.settled = True
        size = len(self._parts) + self._discarded + len(frame) - pos
        if self.limit and size > self.limit:
            self._parts = bytearray()
            self._discarded = size
            if size > self.limit + DISCARD:
                raise self._size_error()
        else:
            self._parts += frame[pos:]
        if flag(fields[5], "transfer", "more"):
            return None
        if self._discarded:
            self.discard_partial()
            return self._too_large(delivery)
        delivery.payload = bytes(self._parts)
        self.discard_partial()
        return self._whole(delivery)

    def _size_error(self) -> AmqpError:
        return AmqpError(
            MESSAGE_SIZE_EXCEEDED,
            f"The message is larger than the {self.limit - self._excess} bytes that this link "
            "allows.",
        )

    def _too_large(self, delivery: IncomingDelivery) -> IncomingDelivery:
        delivery.payload = b""
        delivery.error = self._size_error()
        return self._whole(delivery)

    def _first(self, fields: list[Any]) -> IncomingDelivery:
        tag = fields[2]
        if not isinstance(tag, bytes) or len(tag) > 32:
            raise AmqpError(NOT_ALLOWED, "A delivery needs a tag of at most 32 bytes.")
        delivery = IncomingDelivery(
            self,
            number(fields[1], "transfer", "delivery-id"),
            tag,
            optional_number(fields[3], "transfer", "message-format", 0),
            flag(fields[4], "transfer", "settled"),
        )
        if fields[7] is not None:
            delivery.transaction = p.Outcome.read(fields[7]).transaction
        self.delivery_count = (self.delivery_count + 1) & MASK
        self.credit -= 1
        if self.credit < -OVERDRAFT:
            raise AmqpError(TRANSFER_LIMIT_EXCEEDED, "The peer sent far more than its link credit.")
        return delivery

    def _whole(self, delivery: IncomingDelivery) -> IncomingDelivery:
        if not delivery.settled:
            self.unsettled += 1
        elif self.credit <= self.window >> 1:
            self._top_up()
        return delivery

    def settle(self, delivery: IncomingDelivery, outcome: p.Outcome = p.ACCEPT) -> None:
        """Tell the peer what became of its message. A second call does nothing."""
        if delivery.settled:
            return
        delivery.settled = True
        self.unsettled -= 1
        if self.state is not ATTACHED:
            return
        self.session.send_disposition(True, delivery.id, outcome)
        if self.credit <= self.window >> 1:
            self._top_up()


class OutgoingDelivery:
    """A message sent to the peer and not settled yet. `context` is the owner's."""

    __slots__ = ("context", "id", "link", "settled", "tag")

    def __init__(self, link: OutgoingLink, id: int, tag: bytes, context: Any) -> None:
        self.link = link
        self.id = id
        self.tag = tag
        self.context = context
        self.settled = False


_first_frame = struct.Struct(">BBB BBB BI BI BB").pack
_last_fields = struct.Struct(">BIB").pack


class OutgoingLink(LinkBase):
    """This side sends, the peer receives and gives credit."""

    peer_receives = True

    __slots__ = ("credit", "delivery_count", "drain")

    def __init__(self, session: Session, attach: p.Attach, handle: int) -> None:
        super().__init__(session, attach, handle)
        self.delivery_count = 0
        self.credit = 0
        self.drain = False

    def _accepted(self, max_message_size: int) -> None:
        pass

    @property
    def sendable(self) -> int:
        """How many messages may be sent now, by the link's credit and the session's window."""
        return min(self.credit, self.session.room) if self.state is ATTACHED else 0

    def send(
        self,
        payload: bytes,
        tag: bytes,
        *,
        settled: bool = False,
        message_format: int = 0,
        context: Any = None,
    ) -> OutgoingDelivery:
        """Send a message; takes one credit (ask `sendable` first).

        Unsettled, it stays known by its delivery until the peer or `settle` settles it.
        """
        session = self.session
        delivery_id = session.next_delivery_id
        session.next_delivery_id = (delivery_id + 1) & MASK
        self.delivery_count = (self.delivery_count + 1) & MASK
        self.credit -= 1
        delivery = OutgoingDelivery(self, delivery_id, tag, context)
        if settled:
            delivery.settled = True
        else:
            session.outgoing[delivery_id] = delivery
        fields = (
            _first_frame(
                0x00, 0x53, p.TRANSFER,
                0xC0, 19 + len(tag), 5,
                0x70, self.handle,
                0x70, delivery_id,
                0xA0, len(tag),
            )
            + tag
            + _last_fields(0x70, message_format, 0x41 if settled else 0x42)
        )  # fmt: skip
        session.send_transfer(fields, payload, self)
        return delivery

    def settle(self, delivery: OutgoingDelivery, outcome: p.Outcome) -> None:
        """Answer the peer's unsettled disposition: the outcome is applied, both sides forget."""
        if delivery.settled:
            return
        delivery.settled = True
        self.session.outgoing.pop(delivery.id, None)
        if self.state is ATTACHED:
            self.session.send_disposition(False, delivery.id, outcome)

    def answer(self, delivery: OutgoingDelivery, outcome: p.Outcome) -> None:
        """Answer the peer's unsettled disposition with what is going to be applied: the delivery
        stays, and the peer may dispose of it again."""
        if not delivery.settled and self.state is ATTACHED:
            self.session.send_state(delivery.id, outcome)

    def forget(self, over: Callable[[Any], bool]) -> None:
        """Forget the unsettled deliveries whose `context` is over; dispositions of them that
        still come are ignored."""
        outgoing = self.session.outgoing
        gone = [d for d in outgoing.values() if d.link is self and over(d.context)]
        for delivery in gone:
            delivery.settled = True
            del outgoing[delivery.id]

    def drained(self) -> None:
        """Nothing more to send: give the rest of the credit back, if the peer asked to drain."""
        if self.drain and self.state is ATTACHED:
            self.delivery_count = (self.delivery_count + self.credit) & MASK
            self.credit = 0
            self.session.send_flow(self, self.delivery_count, 0, drain=True)
            self.drain = False

    def on_flow(self, flow: p.Flow) -> bool:
        """The peer's view of the credit. True when the owner should act."""
        if flow.link_credit is not None:
            # Deliveries on their way when the peer wrote this have used up some of it.
            seen = 0 if flow.delivery_count is None else flow.delivery_count
            ahead = (self.delivery_count - seen) & MASK
            if ahead > MASK >> 1:
                ahead = 0
            self.credit = max(0, flow.link_credit - ahead)
        self.drain = flow.drain
        if self.drain and not self.credit:
            self.drained()
            return False
        return bool(self.credit)


def with_filters(source: p.Terminus, filters: Mapping[Any, Any]) -> bytes:
    """A source as it was asked for, with the filters that are in place, for `accept(source=…)`: who
    asked for others learns that they are not (part 3, section 3.5.3)."""
    fields = [*source.fields, *[None] * 11][:11]
    fields[7] = dict(filters) or None
    while fields and fields[-1] is None:
        fields.pop()
    return encode(t.Described(t.ULong(source.kind), fields))
