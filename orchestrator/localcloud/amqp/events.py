"""What a `Connection` tells its owner. Plain records; the owner dispatches on their class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import AmqpError
    from .link import IncomingDelivery, IncomingLink, OutgoingDelivery, OutgoingLink
    from .performatives import Outcome


class Opened:
    """The peer opened the connection (and was answered)."""

    __slots__ = ("container_id", "hostname", "properties")

    def __init__(
        self, hostname: str | None, container_id: str, properties: Mapping[Any, Any]
    ) -> None:
        self.hostname = hostname
        self.container_id = container_id
        self.properties = properties


class Attaching:
    """The peer wants a link. Answer with `link.accept()` or `link.refuse()`, now or later."""

    __slots__ = ("link",)

    def __init__(self, link: IncomingLink | OutgoingLink) -> None:
        self.link = link


class Received:
    """A whole message came in. Settle it with `link.settle()` unless it came settled."""

    __slots__ = ("delivery", "link")

    def __init__(self, link: IncomingLink, delivery: IncomingDelivery) -> None:
        self.link = link
        self.delivery = delivery


class Dropped:
    """A part of a transaction was thrown away, and the peer is not told of that part: a message
    that came settled and was too large, or anything on a link that is gone."""

    __slots__ = ("error", "transaction")

    def __init__(self, transaction: bytes, error: AmqpError) -> None:
        self.transaction = transaction
        self.error = error


class Sendable:
    """A link may send (again): it has credit, or the peer asks to drain it."""

    __slots__ = ("link",)

    def __init__(self, link: OutgoingLink) -> None:
        self.link = link


class Disposed:
    """The peer gave the state of messages sent to it.

    settled: the peer has forgotten them, no answer is possible; otherwise answer with
    `link.settle()`. outcome: None when the peer only settled.
    """

    __slots__ = ("deliveries", "link", "outcome", "settled")

    def __init__(
        self,
        link: OutgoingLink,
        deliveries: list[OutgoingDelivery],
        outcome: Outcome | None,
        settled: bool,
    ) -> None:
        self.link = link
        self.deliveries = deliveries
        self.outcome = outcome
        self.settled = settled


class Detached:
    """A link is gone: the peer detached it, its session ended or the connection closed.

    Not sent for links that the owner detached or refused itself.
    """

    __slots__ = ("error", "link")

    def __init__(self, link: IncomingLink | OutgoingLink, error: AmqpError | None) -> None:
        self.link = link
        self.error = error


class Closed:
    """The connection is over. error: why, None for an ordinary close by the peer."""

    __slots__ = ("by_peer", "error")

    def __init__(self, error: AmqpError | None, by_peer: bool) -> None:
        self.error = error
        self.by_peer = by_peer


Event = Opened | Attaching | Received | Dropped | Sendable | Disposed | Detached | Closed
