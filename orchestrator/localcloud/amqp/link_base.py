"""What links of both directions have in common: how they are attached, refused and detached.

AMQP 1.0 part 2, sections 2.6.1 to 2.6.6. What they carry is in `link.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from . import performatives as p
from . import types as t
from .errors import AmqpError

if TYPE_CHECKING:
    from .session import Session

NULL = b"\x40"


class LinkState(Enum):
    ATTACHING = 1  # the peer attached, the owner has not answered
    ATTACHED = 2
    DETACHING = 3  # this side detached, the peer has not answered
    DETACHED = 4


# Looked at for every message; a member found through its class costs forty times as much (3.11).
ATTACHED = LinkState.ATTACHED


class SenderSettleMode:
    UNSETTLED = 0
    SETTLED = 1
    MIXED = 2


class LinkBase(ABC):
    """What both directions have in common."""

    peer_receives = False

    __slots__ = (
        "_raw_source",
        "_raw_target",
        "context",
        "handle",
        "max_message_size",
        "name",
        "properties",
        "rcv_settle_mode",
        "session",
        "snd_settle_mode",
        "source",
        "state",
        "target",
    )

    def __init__(self, session: Session, attach: p.Attach, handle: int) -> None:
        self.session = session
        self.name = attach.name
        self.handle = handle
        self._raw_source = attach.source
        self._raw_target = attach.target
        self.source = p.Terminus(attach.source)
        self.target = p.Terminus(attach.target)
        self.properties = attach.properties
        self.snd_settle_mode = attach.snd_settle_mode
        self.rcv_settle_mode = attach.rcv_settle_mode
        self.max_message_size = attach.max_message_size
        self.state = LinkState.ATTACHING
        # The owner's own object for this link.
        self.context: Any = None

    @property
    def attached(self) -> bool:
        return self.state is ATTACHED

    def accept(
        self,
        *,
        max_message_size: int = 0,
        source: p.Terminus | bytes | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        """Attach. `source` and the target are echoed as they came unless `source` replaces it
        (encoded). Does nothing when the peer has gone meanwhile.

        max_message_size: bytes, 0 for no limit. properties: link properties, symbol keys.
        """
        if self.state is not LinkState.ATTACHING:
            return
        self.state = ATTACHED
        self._accepted(max_message_size)
        self._send_attach(
            source if isinstance(source, bytes) else self._raw_source or NULL,
            self._raw_target or NULL,
            max_message_size,
            properties,
        )

    @abstractmethod
    def _accepted(self, max_message_size: int) -> None:
        """Keep how large a message may be, before the peer is told."""

    def refuse(self, error: AmqpError | None) -> None:
        """Refuse: attach with null termini, then detach with `error` (part 2, section 2.6.3).

        error: None where the peer itself gave the link up.
        """
        if self.state is LinkState.ATTACHING:
            self.detach(error)

    def _send_attach(
        self,
        source: bytes,
        target: bytes,
        max_message_size: int,
        properties: Mapping[str, Any] | None,
    ) -> None:
        self.session.send(
            p.body(
                p.ATTACH,
                self.name,
                t.UInt(self.handle),
                not self.peer_receives,
                t.UByte(self.snd_settle_mode),
                t.UByte(self.rcv_settle_mode),
                source,
                target,
                None,
                None,
                t.UInt(0) if self.peer_receives else None,
                t.ULong(max_message_size) if max_message_size else None,
                None,
                None,
                {t.Symbol(key): value for key, value in properties.items()} if properties else None,
            )
        )

    def detach(self, error: AmqpError | None = None) -> None:
        """Close the link from this side, one that was not answered yet by refusing it. No
        `Detached` event follows."""
        if self.state is LinkState.ATTACHING or self.state is ATTACHED:
            if self.state is LinkState.ATTACHING:
                self._send_attach(NULL, NULL, 0, None)
            self.state = LinkState.DETACHING
            self.session.drop_deliveries(self)
            self.send_detach(error)

    def send_detach(self, error: AmqpError | None) -> None:
        self.session.send(
            p.body(
                p.DETACH,
                t.UInt(self.handle),
                True,
                None if error is None else p.encode_error(error),
            )
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.state.name})"
