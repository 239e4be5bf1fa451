"""What the broker and its front tell whoever measures them."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Told at once, in the event loop; returns at once and never raises.

    `namespace` is a namespace's name, `path` that of a queue, topic or subscription, or of a
    dead-letter queue.
    """

    def changed(self, namespace: str, path: str) -> None:
        """Messages of an entity have come or gone, or it was made or deleted."""
        ...

    def request(self, namespace: str, path: str, condition: str | None) -> None:
        """A client's request is answered; `condition`: the AMQP error, None for success."""
        ...

    def incoming(self, namespace: str, path: str, messages: int, size: int) -> None:
        """Messages were accepted, of so many bytes together."""
        ...

    def outgoing(self, namespace: str, path: str, messages: int, size: int) -> None:
        """Messages were handed to a receiver."""
        ...

    def settled(self, namespace: str, path: str, operation: str) -> None:
        """A received message was settled: `complete`, `abandon`, `defer`, `dead-letter`."""
        ...

    def connected(self, namespace: str) -> None:
        """A client has opened a connection to a namespace."""
        ...

    def disconnected(self, namespace: str) -> None:
        """It is closed, or broken."""
        ...


class Unmeasured:
    """Nobody measures."""

    def changed(self, namespace: str, path: str) -> None:
        pass

    def request(self, namespace: str, path: str, condition: str | None) -> None:
        pass

    def incoming(self, namespace: str, path: str, messages: int, size: int) -> None:
        pass

    def outgoing(self, namespace: str, path: str, messages: int, size: int) -> None:
        pass

    def settled(self, namespace: str, path: str, operation: str) -> None:
        pass

    def connected(self, namespace: str) -> None:
        pass

    def disconnected(self, namespace: str) -> None:
        pass
