"""The server's end of one AMQP 1.0 connection, without sockets and without a clock.

Bytes go in with `receive`, which gives events; calls on links and sessions make bytes, which the
owner fetches with `take_output`. Whatever the peer does wrong ends in a close with the AMQP error
that names it, never in an exception out of `receive`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import performatives as p
from . import sasl
from . import types as t
from .errors import (
    CONNECTION_FORCED,
    FRAMING_ERROR,
    ILLEGAL_STATE,
    NOT_ALLOWED,
    RESOURCE_LIMIT_EXCEEDED,
    AmqpError,
)
from .events import Closed, Event, Opened
from .framing import (
    AMQP_FRAME,
    AMQP_HEADER,
    EMPTY_FRAME,
    SASL_FRAME,
    SASL_HEADER,
    FrameBuffer,
    frame,
)
from .link import IncomingLink, OutgoingLink
from .session import Session

Link = IncomingLink | OutgoingLink


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may ask of this side. Sizes in bytes, times in seconds.

    partial_bytes: of messages not yet whole, over all links. idle_timeout: silence after which
    the peer counts as gone (half of it is advertised, part 2 section 2.4.5); None: for ever.
    handshake_timeout: until the connection must be open. shortest_beat: the least idle time-out
    that a peer may ask for; a shorter one would have this side do little but send heartbeats.
    """

    max_frame_size: int = 65536
    channel_max: int = 4999
    handle_max: int = 4999
    links: int = 5000
    sessions: int = 5000
    incoming_window: int = 5000
    partial_bytes: int = 64 * 1024 * 1024
    idle_timeout: float | None = 480.0
    handshake_timeout: float = 60.0
    shortest_beat: float = 0.1


class State(Enum):
    HEADER = 1  # nothing but perhaps SASL has happened
    SASL = 2
    OPENING = 3  # protocol headers exchanged
    OPEN = 4
    CLOSING = 5  # this side sent close
    CLOSED = 6


# Looked at for every frame; a member found through its class costs forty times as much (3.11).
_HEADER, _SASL, _OPENING, _OPEN, _CLOSING, _CLOSED = State


class Connection:
    """One connection. `container_id` names this server to the peer.

    check: decides on SASL credentials; all are let in without it.
    properties: connection properties sent in open.
    """

    def __init__(
        self,
        container_id: str,
        *,
        limits: Limits | None = None,
        mechanisms: tuple[str, ...] = sasl.MECHANISMS,
        check: sasl.Check | None = None,
        properties: dict[str, Any] | None = None,
        now: float = 0.0,
    ) -> None:
        self.limits = limits or Limits()
        self.container_id = container_id
        self.state = _HEADER
        self.credentials: sasl.Credentials | None = None
        self.hostname: str | None = None
        self.peer_max_frame_size = 512
        self._mechanisms = mechanisms
        self._check = check
        self._properties = properties or {}
        self._in = FrameBuffer(self.limits.max_frame_size)
        self._out: list[bytes] = []
        self._sessions: dict[int, Session] = {}
        self._ended_channels: set[int] = set()
        self._channels: set[int] = set()
        self._dirty: list[Session] = []
        self._names: dict[tuple[str, bool], Link] = {}
        self._links = 0
        self._partial = 0
        self._open_sent = False
        self._peer_idle: float | None = None
        self._started = now
        self._last_in = now
        self._last_out = now
        self._wrote = False

    # Bytes

    @property
    def finished(self) -> bool:
        """Nothing more will be said: close the transport once the output is written."""
        return self.state is _CLOSED

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the peer. Never raises for what they are."""
        self._last_in = now
        found: list[Event] = []
        if self.state is _CLOSED:
            return found
        self._in.feed(data)
        try:
            while self.state is not _CLOSED:
                if self.state is _HEADER:
                    header = self._in.header()
                    if header is None:
                        break
                    self._on_header(header)
                    continue
                item = self._in.next()
                if item is None:
                    break
                kind, channel, whole, pos = item
                if len(whole) == pos:
                    continue  # an empty frame: the peer is alive
                if self.state is _CLOSING:
                    self._on_closing(whole, pos)
                    continue
                code, fields, pos = p.decode_fields(whole, pos)
                if self.state is _SASL:
                    self._on_sasl(kind, code, fields)
                elif kind != AMQP_FRAME:
                    raise AmqpError(FRAMING_ERROR, "A frame of a type that is not expected here.")
                else:
                    self._on_frame(channel, code, fields, whole, pos, found)
        except AmqpError as error:
            found += self._fail(error)
        return found

    def take_output(self) -> bytes:
        """Everything to be written to the peer now."""
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for session in dirty:
                session.flush()
        if not self._out:
            return b""
        self._wrote = True
        out = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return out

    def write(self, data: bytes) -> None:
        """For sessions: queue bytes behind those queued before."""
        if self.state is not _CLOSED:
            self._out.append(data)

    def to_flush(self, session: Session) -> None:
        """For sessions: there is a disposition to flush before output is taken."""
        self._dirty.append(session)

    # Time

    def tick(self, now: float) -> tuple[list[Event], float | None]:
        """Send a heartbeat or give up on a silent peer. Also gives when to call again (or None)."""
        if self.state is _CLOSED:
            return [], None
        if self._wrote:
            self._wrote = False
            self._last_out = now
        due: list[float] = []
        if self.state is _OPEN:
            if self._peer_idle is not None:
                beat = self._last_out + self._peer_idle / 2
                if now >= beat:
                    self._out.append(EMPTY_FRAME)
                    self._last_out = now
                    beat = now + self._peer_idle / 2
                due.append(beat)
            idle = self.limits.idle_timeout
            if idle is not None:
                end = self._last_in + idle
                if now >= end:
                    return self._fail(
                        AmqpError(
                            CONNECTION_FORCED,
                            f"Nothing was received for {idle:g} seconds; the connection is closed.",
                        )
                    ), now
                due.append(end)
        else:
            since = self._started if self.state is not _CLOSING else self._last_out
            end = since + self.limits.handshake_timeout
            if now >= end:
                self.state = _CLOSED
                return [Closed(None, by_peer=False)], None
            due.append(end)
        return [], min(due, default=None)

    # Headers and SASL

    def _on_header(self, header: bytes) -> None:
        if header == SASL_HEADER and self.credentials is None:
            self._out.append(SASL_HEADER + sasl.mechanisms_frame(self._mechanisms))
            self.state = _SASL
        elif header == AMQP_HEADER and self._let_in():
            self._out.append(AMQP_HEADER)
            self.state = _OPENING
        else:
            # Part 2, section 2.2: answer with a header that is supported, and close.
            self._out.append(AMQP_HEADER if self.credentials is not None else SASL_HEADER)
            self.state = _CLOSED

    def _let_in(self) -> bool:
        """Whether the peer may open now: who leaves out SASL is treated as if it had said
        ANONYMOUS. Microsoft's JavaScript client does so with a shared access signature."""
        if self.credentials is None:
            nobody = sasl.Credentials(sasl.ANONYMOUS)
            if nobody.mechanism in self._mechanisms and (
                self._check is None or self._check(nobody)
            ):
                self.credentials = nobody
        return self.credentials is not None

    def _on_sasl(self, kind: int, code: int, fields: list[Any]) -> None:
        if kind != SASL_FRAME:
            raise AmqpError(FRAMING_ERROR, "A frame of a type that is not expected here.")
        credentials = sasl.read_init(code, fields, self._mechanisms)
        if credentials is None or (self._check is not None and not self._check(credentials)):
            self._out.append(sasl.outcome_frame(sasl.AUTHENTICATION_FAILED))
            self.state = _CLOSED
            return
        self.credentials = credentials
        self._out.append(sasl.outcome_frame(sasl.OK))
        self.state = _HEADER

    # Frames

    def _on_frame(
        self,
        channel: int,
        code: int,
        fields: list[Any],
        whole: bytes,
        pos: int,
        found: list[Event],
    ) -> None:
        session = self._sessions.get(channel)
        if session is not None:
            if p.ATTACH <= code <= p.DETACH:
                found += session.handle_frame(code, fields, whole, pos)
                return
            if code == p.END:
                error = None if fields[0] is None else p.read_error(fields[0])
                found += session.close(error)
                self.write(frame(session.channel, p.body(p.END)))
                self.session_ended(session)
                return
        if code == p.CLOSE:
            error = None if fields[0] is None else p.read_error(fields[0])
            self._end_sessions(found, error)
            self._send_open()
            self.write(frame(0, p.body(p.CLOSE)))
            self.state = _CLOSED
            found.append(Closed(error, by_peer=True))
        elif self.state is _OPENING:
            if code != p.OPEN:
                raise AmqpError(ILLEGAL_STATE, "A connection begins with open.")
            self._on_open(p.Open(fields), found)
        elif code == p.BEGIN and session is None:
            self._on_begin(channel, p.Begin(fields))
        elif channel in self._ended_channels and code not in (p.OPEN, p.BEGIN):
            # Written before the peer saw the end; some clients detach after it as well.
            pass
        else:
            raise AmqpError(NOT_ALLOWED, "A frame that is not allowed on this channel now.")

    def _on_open(self, opened: p.Open, found: list[Event]) -> None:
        if opened.idle_timeout is not None and opened.idle_timeout < self.limits.shortest_beat:
            # Part 2, section 2.4.5: what cannot be supported closes the connection, and says why.
            raise AmqpError(
                NOT_ALLOWED,
                f"An idle time-out of {opened.idle_timeout * 1000:g} ms cannot be kept: ask for "
                f"{self.limits.shortest_beat * 1000:g} ms or more.",
            )
        self.peer_max_frame_size = min(opened.max_frame_size, 1024 * 1024)
        self._peer_idle = opened.idle_timeout
        self.hostname = opened.hostname
        self._send_open()
        self.state = _OPEN
        found.append(Opened(opened.hostname, opened.container_id, opened.properties))

    def _send_open(self) -> None:
        if self._open_sent:
            return
        self._open_sent = True
        idle = self.limits.idle_timeout
        self.write(
            frame(
                0,
                p.body(
                    p.OPEN,
                    self.container_id,
                    self.hostname,
                    t.UInt(self.limits.max_frame_size),
                    t.UShort(self.limits.channel_max),
                    None if idle is None else t.UInt(int(idle * 500)),
                    None,
                    None,
                    None,
                    None,
                    {t.Symbol(key): value for key, value in self._properties.items()} or None,
                ),
            )
        )

    def _on_begin(self, peer_channel: int, begin: p.Begin) -> None:
        if peer_channel > self.limits.channel_max:
            raise AmqpError(NOT_ALLOWED, "A channel beyond channel-max.")
        if len(self._sessions) >= self.limits.sessions:
            raise AmqpError(RESOURCE_LIMIT_EXCEEDED, "Too many sessions on one connection.")
        channel = peer_channel
        if channel in self._channels:
            channel = next(c for c in range(len(self._channels) + 1) if c not in self._channels)
        self._channels.add(channel)
        self._ended_channels.discard(peer_channel)
        self._sessions[peer_channel] = Session(self, peer_channel, channel, begin)

    def _on_closing(self, whole: bytes, pos: int) -> None:
        """Everything but the peer's close is thrown away, undecoded."""
        if whole[pos : pos + 3] == b"\x00\x53\x18":
            self.state = _CLOSED

    # What sessions report

    def session_ended(self, session: Session) -> None:
        """The session is over; what the peer still sends on its channel is passed over."""
        self._sessions.pop(session.peer_channel, None)
        self._channels.discard(session.channel)
        self._ended_channels.add(session.peer_channel)

    def count_link(self, change: int = 1) -> None:
        """Raises `AmqpError` when there are too many."""
        if change > 0 and self._links >= self.limits.links:
            raise AmqpError(RESOURCE_LIMIT_EXCEEDED, "Too many links on one connection.")
        self._links += change

    def count_partial(self, change: int) -> None:
        """Raises `AmqpError` when too much is held of messages that are not whole."""
        self._partial += change
        if change > 0 and self._partial > self.limits.partial_bytes:
            raise AmqpError(RESOURCE_LIMIT_EXCEEDED, "Too many unfinished messages.")

    def name_link(self, link: Link) -> Link | None:
        """Note a link's name; gives the link that had it, which is thereby stolen."""
        key = (link.name, link.peer_receives)
        before = self._names.get(key)
        self._names[key] = link
        return before

    def unname_link(self, link: Link) -> None:
        key = (link.name, link.peer_receives)
        if self._names.get(key) is link:
            del self._names[key]

    # Closing

    def close(self, error: AmqpError | None = None) -> list[Event]:
        """Close from this side; gives the last events. The transport goes when `finished`."""
        if self.state in (_CLOSING, _CLOSED):
            return []
        return self._fail(error)

    def lost(self) -> list[Event]:
        """The transport is gone."""
        if self.state is _CLOSED:
            return []
        found: list[Event] = []
        self._end_sessions(found, None)
        was_closing = self.state is _CLOSING
        self.state = _CLOSED
        if not was_closing:
            found.append(Closed(None, by_peer=True))
        return found

    def _fail(self, error: AmqpError | None) -> list[Event]:
        found: list[Event] = []
        if self.state in (_CLOSING, _CLOSED):
            self.state = _CLOSED
            return found
        self._end_sessions(found, error)
        if self.state in (_HEADER, _SASL):
            self.state = _CLOSED
        else:
            self._send_open()
            self.write(frame(0, p.body(p.CLOSE, None if error is None else p.encode_error(error))))
            self.state = _CLOSING
        found.append(Closed(error, by_peer=False))
        return found

    def _end_sessions(self, found: list[Event], error: AmqpError | None) -> None:
        for session in list(self._sessions.values()):
            found += session.close(error)
        self._sessions.clear()
