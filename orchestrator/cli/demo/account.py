"""The demo's account: what became of each message, by its id, from what the jobs logged.

A message counts as sent, processed, received or dead-lettered only if a payload's own line says
so, naming its id; nothing is inferred from a total. What was sent and neither received nor
dead-lettered is missing: seen on a queue it waits, otherwise it is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

RESULT = "-result"
_EVENTS = {
    "Sent message": "sent",
    "Processed message": "processed",
    "Received result": "received",
    "Dead-lettered message": "dead_lettered",
}
_LINE = r"(Sent message|Processed message|Received result|Dead-lettered message) (\S+?):? "


@dataclass
class Account:
    """Sets of message ids, each an input's own id; ids of other runs are left out.

    `execution`: the sender's execution.
    """

    execution: str
    sent: set[str] = field(default_factory=set)
    processed: set[str] = field(default_factory=set)
    received: set[str] = field(default_factory=set)
    dead_lettered: set[str] = field(default_factory=set)
    queued: set[str] = field(default_factory=set)

    @property
    def waiting(self) -> set[str]:
        """Missing, but seen on a queue."""
        return self.missing & self.queued

    @property
    def lost(self) -> set[str]:
        """Missing, and on no queue."""
        return self.missing - self.queued

    @property
    def missing(self) -> set[str]:
        """Sent, and not yet received nor dead-lettered."""
        return self.sent - self.received - self.dead_lettered

    def add(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Count rows of (replica, what was written, message id), the columns of `kql`."""
        seen = list(rows)
        self.sent.update(
            id
            for replica, what, id in seen
            if _EVENTS.get(what) == "sent" and replica.startswith(self.execution)
        )
        for _, what, id in seen:
            event = _EVENTS.get(what)
            input_id = id.removesuffix(RESULT)
            if event and event != "sent" and input_id in self.sent:
                kept: set[str] = getattr(self, event)
                kept.add(input_id)

    def add_queued(self, ids: Iterable[str]) -> None:
        """These ids, inputs' or results', are on a queue."""
        self.queued.update(id.removesuffix(RESULT) for id in ids)


def kql(since: datetime) -> str:
    """The query whose rows `Account.add` counts: all such lines written since a moment."""
    moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        "ContainerAppConsoleLogs_CL\n"
        f"| where TimeGenerated >= datetime({moment})\n"
        f"| extend what = extract(@'{_LINE}', 1, Log_s), id = extract(@'{_LINE}', 2, Log_s)\n"
        "| where isnotempty(what)\n"
        "| project ContainerGroupName_s, what, id"
    )
