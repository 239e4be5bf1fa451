"""Sessions: numbered frames in windows, and the deliveries of their links (part 2, section 2.5)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from . import performatives as p
from . import types as t
from .errors import (
    DETACH_FORCED,
    ERRANT_LINK,
    HANDLE_IN_USE,
    INVALID_FIELD,
    NOT_ALLOWED,
    STOLEN,
    UNATTACHED_HANDLE,
    WINDOW_VIOLATION,
    AmqpError,
)
from .events import Attaching, Detached, Disposed, Dropped, Event, Received, Sendable
from .fields import number
from .framing import frame
from .link import MASK, IncomingDelivery, IncomingLink, OutgoingDelivery, OutgoingLink
from .link_base import ATTACHED, LinkBase, LinkState

if TYPE_CHECKING:
    from .connection import Connection

Link = IncomingLink | OutgoingLink

# Errors of a transfer that concern the whole session, not only its link.
_SESSION_ERRORS = (WINDOW_VIOLATION, HANDLE_IN_USE, UNATTACHED_HANDLE, ERRANT_LINK)


class Session:
    """One session. Made by the connection at the peer's begin; ends with `end` or the peer's end.

    `outgoing` holds the unsettled deliveries sent to the peer, by delivery id.
    """

    __slots__ = (
        "_backlog",
        "_begin",
        "_disposition",
        "_links",
        "_next_handle",
        "_peer_window",
        "channel",
        "connection",
        "ended",
        "handle_max",
        "incoming_window",
        "next_delivery_id",
        "next_incoming_id",
        "next_outgoing_id",
        "outgoing",
        "peer_channel",
    )

    def __init__(
        self, connection: Connection, peer_channel: int, channel: int, begin: p.Begin
    ) -> None:
        self.connection = connection
        self.channel = channel
        self.peer_channel = peer_channel
        self.next_incoming_id = begin.next_outgoing_id
        self.incoming_window = connection.limits.incoming_window
        self.next_outgoing_id = 0
        self.next_delivery_id = 0
        self._peer_window = begin.incoming_window
        self.handle_max = min(begin.handle_max, connection.limits.handle_max)
        self.outgoing: dict[int, OutgoingDelivery] = {}
        self.ended = False
        # Links by the peer's handle.
        self._links: dict[int, Link] = {}
        self._next_handle = 0
        # Transfer frames that wait for the peer's window, with their links.
        self._backlog: deque[tuple[bytes, OutgoingLink]] = deque()
        # A disposition not written yet, which may still grow: (role, first, last, outcome bytes).
        self._disposition: tuple[bool, int, int, bytes] | None = None
        self.send(
            p.body(
                p.BEGIN,
                t.UShort(peer_channel),
                t.UInt(0),
                t.UInt(self.incoming_window),
                t.UInt(connection.limits.incoming_window),
                t.UInt(connection.limits.handle_max),
            )
        )

    # Writing

    @property
    def room(self) -> int:
        """How many transfer frames go out now, rather than wait for the peer's window."""
        return 0 if self._backlog else self._peer_window

    def send(self, body: bytes) -> None:
        """Write a frame body, after the dispositions that came before it."""
        if self.ended:
            return
        if self._disposition is not None:
            self.flush()
        self.connection.write(frame(self.channel, body))

    def flush(self) -> None:
        """Write the collected disposition."""
        collected = self._disposition
        if collected is None:
            return
        self._disposition = None
        self.connection.write(frame(self.channel, p.settled(*collected)))

    def send_disposition(self, receiving: bool, delivery_id: int, outcome: p.Outcome) -> None:
        """Settle one delivery with `outcome`; consecutive equal ones become one frame."""
        if self.ended:
            return
        encoded = outcome.encode()
        collected = self._disposition
        if collected is not None:
            role, first, last, same = collected
            if role == receiving and delivery_id == last + 1 and same == encoded:
                self._disposition = (role, first, delivery_id, same)
                return
            self.flush()
        self._disposition = (receiving, delivery_id, delivery_id, encoded)
        self.connection.to_flush(self)

    def send_state(self, delivery_id: int, outcome: p.Outcome) -> None:
        """Tell the state of one delivery of ours, which is not settled by that."""
        if not self.ended:
            state = outcome.encode()
            self.send(p.body(p.DISPOSITION, False, t.UInt(delivery_id), None, False, state))

    def send_flow(
        self, link: Link | None, delivery_count: int = 0, credit: int = 0, drain: bool = False
    ) -> None:
        fields: list[Any] = [
            t.UInt(self.next_incoming_id),
            t.UInt(self.incoming_window),
            t.UInt(self.next_outgoing_id),
            t.UInt(self.connection.limits.incoming_window),
        ]
        if link is not None:
            fields += [
                t.UInt(link.handle),
                t.UInt(delivery_count),
                t.UInt(max(0, credit)),
                None,
                True if drain else None,
            ]
        self.send(p.body(p.FLOW, *fields))

    def send_transfer(self, fields: bytes, payload: bytes, link: OutgoingLink) -> None:
        """One delivery in as many frames as the peer's frame size asks for.

        `fields` is the transfer as far as `settled`, as it is in one frame.
        """
        room = self.connection.peer_max_frame_size - 8 - len(fields)
        if len(payload) <= room:
            self._transfer(fields + payload, link)
            return
        room -= 1
        head = fields[:4] + bytes((len(fields) - 4, 6)) + fields[6:]
        view = memoryview(payload)
        for start in range(0, len(payload), room):
            more = b"\x41" if start + room < len(payload) else b"\x42"
            self._transfer(b"".join((head, more, view[start : start + room])), link)

    def _transfer(self, body: bytes, link: OutgoingLink) -> None:
        if self._peer_window > 0 and not self._backlog:
            self._peer_window -= 1
            self.next_outgoing_id = (self.next_outgoing_id + 1) & MASK
            self.send(body)
        elif not self.ended:
            self._backlog.append((body, link))

    # Reading

    def handle_frame(self, code: int, fields: list[Any], frame: bytes, pos: int) -> list[Event]:
        """A frame on this session. Raises `AmqpError` for what must close the connection."""
        try:
            if code == p.TRANSFER:
                return self._on_transfer(fields, frame, pos)
            if code == p.DISPOSITION:
                return self._on_disposition(p.Disposition(fields))
            if code == p.FLOW:
                return self._on_flow(p.Flow(fields))
            if code == p.ATTACH:
                return self._on_attach(p.Attach(fields))
            if code == p.DETACH:
                return self._on_detach(fields)
        except AmqpError as error:
            if error.condition in _SESSION_ERRORS:
                return self.end(error)
            raise
        raise AmqpError(NOT_ALLOWED, "A frame body that is not allowed inside a session.")

    def _on_transfer(self, fields: list[Any], frame: bytes, pos: int) -> list[Event]:
        self.next_incoming_id = (self.next_incoming_id + 1) & MASK
        self.incoming_window -= 1
        if self.incoming_window < 0:
            raise AmqpError(WINDOW_VIOLATION, "More transfers than the session window allows.")
        link = self._links.get(number(fields[0], "transfer", "handle"))
        if link is None:
            raise self._no_link()
        found: list[Event] = []
        if link.state is ATTACHED and isinstance(link, IncomingLink):
            before = link.partial_size
            failure = delivery = None
            try:
                delivery = link.on_transfer(fields, frame, pos)
            except AmqpError as error:
                if error.condition == INVALID_FIELD:
                    raise
                failure = error
            self.connection.count_partial(link.partial_size - before)
            if failure is not None:
                found = self._fail(link, failure, link.transaction_of(fields))
            elif delivery is not None and delivery.error is not None:
                found = self._throw_away(link, delivery, delivery.error)
            elif delivery is not None:
                found.append(Received(link, delivery))
        elif link.state is not LinkState.DETACHING:
            raise AmqpError(NOT_ALLOWED, "A transfer on a link that can't take one.")
        elif isinstance(link, IncomingLink):
            found = _dropped(link.transaction_of(fields))
        window = self.connection.limits.incoming_window
        if self.incoming_window <= window >> 1:
            self.incoming_window = window
            self.send_flow(None)
        return found

    def _throw_away(
        self, link: IncomingLink, delivery: IncomingDelivery, error: AmqpError
    ) -> list[Event]:
        """A message is too large. Its sender learns which one it was, or, if it settled it before,
        loses the link, as the standard has it (part 2, section 2.7.3)."""
        if delivery.settled:
            return self._fail(link, error, delivery.transaction)
        link.settle(delivery, p.reject(error))
        return []

    def _fail(self, link: IncomingLink, error: AmqpError, transaction: bytes | None) -> list[Event]:
        link.detach(error)
        return [*_dropped(transaction, error), Detached(link, error)]

    def _on_disposition(self, disposition: p.Disposition) -> list[Event]:
        if not disposition.peer_receives:
            # About deliveries to us; they are settled by our own disposition, nothing is awaited.
            return []
        outgoing = self.outgoing
        first = disposition.first
        if first == disposition.last:
            return self._on_single(disposition)
        span = ((disposition.last - first) & MASK) + 1
        if span <= 2 * len(outgoing):
            ids = ((first + offset) & MASK for offset in range(span))
            found = [outgoing[known] for known in ids if known in outgoing]
        else:
            found = [d for d in outgoing.values() if ((d.id - first) & MASK) < span]
        outcome = disposition.outcome
        lost: list[Event] = []
        if outcome is not None and len(found) < span:
            lost = _dropped(outcome.transaction)
        if not found or (outcome is None and not disposition.settled):
            return lost
        if outcome is not None and outcome.kind == p.RECEIVED:
            return lost
        by_link: dict[OutgoingLink, list[OutgoingDelivery]] = {}
        for delivery in found:
            if disposition.settled:
                delivery.settled = True
                del outgoing[delivery.id]
            by_link.setdefault(delivery.link, []).append(delivery)
        return lost + [
            Disposed(link, deliveries, outcome, disposition.settled)
            for link, deliveries in by_link.items()
        ]

    def _on_single(self, disposition: p.Disposition) -> list[Event]:
        """A disposition of one delivery."""
        delivery = self.outgoing.get(disposition.first)
        outcome = disposition.outcome
        settled = disposition.settled
        if delivery is None:
            return _dropped(None if outcome is None else outcome.transaction)
        if (outcome is None and not settled) or (
            outcome is not None and outcome.kind == p.RECEIVED
        ):
            return []
        if settled:
            delivery.settled = True
            del self.outgoing[delivery.id]
        return [Disposed(delivery.link, [delivery], outcome, settled)]

    def _on_flow(self, flow: p.Flow) -> list[Event]:
        seen = 0 if flow.next_incoming_id is None else flow.next_incoming_id
        ahead = (self.next_outgoing_id - seen) & MASK
        if ahead > MASK >> 1:
            ahead = 0
        waited = not self.room
        self._peer_window = max(0, flow.incoming_window - ahead)
        while self._backlog and self._peer_window > 0:
            body, _ = self._backlog.popleft()
            self._peer_window -= 1
            self.next_outgoing_id = (self.next_outgoing_id + 1) & MASK
            self.send(body)
        found: list[Event] = []
        target = None
        if flow.handle is not None:
            target = self._links.get(flow.handle)
            if target is None:
                raise self._no_link()
            if isinstance(target, OutgoingLink) and target.on_flow(flow):
                found.append(Sendable(target))
        if waited and self.room:
            found += [
                Sendable(link)
                for link in self._links.values()
                if isinstance(link, OutgoingLink) and link.credit and link is not target
            ]
        if flow.echo:
            if target is None:
                self.send_flow(None)
            elif target.state is ATTACHED:
                self.send_flow(target, target.delivery_count, target.credit)
        return found

    def _on_attach(self, attach: p.Attach) -> list[Event]:
        if attach.handle > self.connection.limits.handle_max:
            raise AmqpError(NOT_ALLOWED, "A handle beyond handle-max.")
        if attach.handle in self._links:
            raise AmqpError(HANDLE_IN_USE, f"The handle {attach.handle} is in use.")
        handle = self._next_handle
        self._next_handle = (handle + 1) & MASK
        kind = OutgoingLink if attach.peer_receives else IncomingLink
        link = kind(self, attach, handle)
        self.connection.count_link()
        found: list[Event] = []
        stolen = self.connection.name_link(link)
        if stolen is not None:
            error = AmqpError(STOLEN, f"The link {attach.name} was attached again.")
            stolen.detach(error)
            found.append(Detached(stolen, error))
        self._links[attach.handle] = link
        found.append(Attaching(link))
        return found

    def _on_detach(self, fields: list[Any]) -> list[Event]:
        handle = number(fields[0], "detach", "handle")
        link = self._links.pop(handle, None)
        if link is None:
            raise self._no_link()
        error = None if fields[2] is None else p.read_error(fields[2])
        self._forget(link)
        was = link.state
        link.state = LinkState.DETACHED
        if was is LinkState.DETACHING:
            return []
        if was is ATTACHED:
            link.send_detach(None)
        else:
            # It was never answered: answer now, so that the peer sees its detach answered too. That
            # is no failure: the peer wanted it so.
            link.state = LinkState.ATTACHING
            link.refuse(None)
            link.state = LinkState.DETACHED
        self.drop_deliveries(link)
        return [Detached(link, error)]

    def _no_link(self) -> AmqpError:
        return AmqpError(UNATTACHED_HANDLE, "A frame names a handle that no link is attached to.")

    # Ending

    def drop_deliveries(self, link: LinkBase) -> None:
        """Forget the unsettled deliveries and waiting frames of a link that goes."""
        if isinstance(link, IncomingLink):
            self.connection.count_partial(-link.partial_size)
            link.discard_parts()
            return
        if self.outgoing:
            for delivery in [d for d in self.outgoing.values() if d.link is link]:
                delivery.settled = True
                del self.outgoing[delivery.id]
        if self._backlog:
            self._backlog = deque(waiting for waiting in self._backlog if waiting[1] is not link)

    def _forget(self, link: Link) -> None:
        self.connection.count_link(-1)
        self.connection.unname_link(link)

    def end(self, error: AmqpError | None = None) -> list[Event]:
        """End from this side; gives the `Detached` events of its links."""
        if self.ended:
            return []
        self.send(p.body(p.END, None if error is None else p.encode_error(error)))
        self.connection.session_ended(self)
        return self.close(error)

    def close(self, error: AmqpError | None) -> list[Event]:
        """The session is over, whoever ended it: let go of its links."""
        self.flush()
        self.ended = True
        found: list[Event] = []
        for link in self._links.values():
            self._forget(link)
            if link.state is ATTACHED or link.state is LinkState.ATTACHING:
                found.append(Detached(link, error))
            link.state = LinkState.DETACHED
            if isinstance(link, IncomingLink):
                self.connection.count_partial(-link.partial_size)
                link.discard_partial()
        self._links.clear()
        self.outgoing.clear()
        self._backlog.clear()
        return found


def _dropped(transaction: bytes | None, error: AmqpError | None = None) -> list[Event]:
    """What the owner is told of something that comes to nothing without its peer being told."""
    if transaction is None:
        return []
    gone = AmqpError(DETACH_FORCED, "A part of it came on a link that is gone.")
    return [Dropped(transaction, error or gone)]
