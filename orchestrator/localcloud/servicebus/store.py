"""What the broker asks of a durable store."""

from __future__ import annotations

from typing import Protocol


class Store(Protocol):
    """See the stores; the engine alone talks to it."""
