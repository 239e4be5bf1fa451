"""A queue as it is now, and several of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.records import Column, Kind, Records
from orchestrator.results import Record


class Queue(Record, frozen=True, kw_only=True):
    """A queue's depths, now. `transfer`: on their way to the queue that it forwards to;
    `transfer_dead_letter`: could not be forwarded. `size`: bytes held; `max_size`: bytes it may
    hold."""

    name: str
    active: int = 0
    dead_letter: int = 0
    scheduled: int = 0
    transfer: int = 0
    transfer_dead_letter: int = 0
    size: int = 0
    max_size: int = 0
    status: str = "Active"
    raw: dict[str, Any] = {}  # noqa: RUF012 -- a struct's default, copied

    def details(self) -> list[tuple[str, Any, Kind]]:
        made = self.raw.get("properties") or {}
        detection = made.get("requiresDuplicateDetection")
        shown: list[tuple[str, Any, Kind]] = [
            ("queue", self.name, "text"),
            ("status", self.status, "status"),
            ("active", self.active, "number"),
            ("dead-lettered", self.dead_letter, "number"),
            ("scheduled", self.scheduled, "number"),
            ("being forwarded", self.transfer or None, "number"),
            ("not forwarded", self.transfer_dead_letter or None, "number"),
            ("size", self.size, "bytes"),
            ("size at most", self.max_size, "bytes"),
            ("lock duration", _span(made.get("lockDuration")), "duration"),
            ("deliveries at most", made.get("maxDeliveryCount"), "number"),
            ("time to live", _span(made.get("defaultMessageTimeToLive")), "duration"),
            (
                "expired are dead-lettered",
                _yes(made.get("deadLetteringOnMessageExpiration")),
                "text",
            ),
            (
                "duplicate detection",
                _span(made.get("duplicateDetectionHistoryTimeWindow"))
                if detection
                else _yes(detection),
                "duration",
            ),
            ("sessions", _yes(made.get("requiresSession")), "text"),
            ("forwards to", made.get("forwardTo"), "text"),
            ("forwards dead letters to", made.get("forwardDeadLetteredMessagesTo"), "text"),
        ]
        return [row for row in shown if row[1] not in (None, "")]

    def as_json(self) -> dict[str, Any]:
        """Its fields, and as `properties` the queue's own, as Azure names them."""
        return {**super().as_json(), "properties": self.raw.get("properties") or {}}

    def __repr__(self) -> str:
        stuck = f", {self.transfer_dead_letter} not forwarded" if self.transfer_dead_letter else ""
        return (
            f"<Queue {self.name}: {self.active} active, {self.dead_letter} dead-lettered, "
            f"{self.scheduled} scheduled{stuck}>"
        )


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _span(text: Any) -> timedelta | None:
    """A duration of a queue's properties; None for what is for ever."""
    from orchestrator.quantities import parse_iso_duration

    try:
        span = parse_iso_duration(str(text or ""))
    except ValueError:
        return None
    return span if span < timedelta(days=10_000) else None


class QueueSession(Record, frozen=True, kw_only=True):
    """A session of a queue, by its id: messages wait in it, or it has a state."""

    id: str


class QueueSessions(Records[QueueSession]):
    """The sessions of one queue."""

    noun = "sessions"
    columns = (Column("id", "session"),)


class Queues(Records[Queue]):
    """Queues, by name."""

    noun = "queues"
    columns = (
        Column("name", "queue"),
        Column("active", "active", "number"),
        Column("dead_letter", "dead-lettered", "number"),
        Column("scheduled", "scheduled", "number"),
        Column("transfer_dead_letter", "not forwarded", "number"),
        Column("size", "size", "bytes"),
        Column("status", "status", "status"),
    )
