"""Faults on demand: what goes wrong, with which operations, how often.

A fault is asked at every operation it could concern. It strikes when its pattern matches, a die of
its `rate` says so, and it has not yet struck `count` times. Faults are kept in memory: a server
that starts again has none.
"""

from __future__ import annotations

import fnmatch
import itertools
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.localcloud.servicebus.front.faults import Strike
from orchestrator.localcloud.steering.refusal import SteeringRefused

HTTP = ("status", "latency", "drop")
SERVICE_BUS = ("server-busy", "lock-lost", "disconnect")
LOGS = ("log-delay",)
KINDS = (*HTTP, *SERVICE_BUS, *LOGS)

STATUSES = (400, 401, 403, 404, 408, 409, 412, 429, 500, 502, 503, 504)

_COMMON = ("kind", "on", "rate", "count")
_KEYS = {
    "status": ("status", "retry_after"),
    "latency": ("delay",),
    "drop": ("after",),
    "server-busy": ("queue",),
    "lock-lost": ("queue",),
    "disconnect": ("queue", "after"),
    "log-delay": ("delay",),
}
OPERATIONS = (
    "attach", "token", "send", "receive", "complete", "abandon", "defer", "dead-letter", "release",
    "renew-lock", "peek-message", "schedule-message", "cancel-scheduled-message",
    "receive-by-sequence-number", "update-disposition", "renew-session-lock", "get-session-state",
    "set-session-state", "get-message-sessions", "add-rule", "remove-rule", "enumerate-rules",
)  # fmt: skip
"""Of Service Bus: what goes over a link, then what goes over `$management`."""

_LOCKED = ("complete", "abandon", "defer", "dead-letter", "renew-lock", "update-disposition")


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        id: Its name in lists, `f1`.
        kind: One of `KINDS`.
        on: Which operations: a pattern with `*` and `?`, in any case. HTTP: `METHOD /path`, a path,
            an operation of Azure's such as `Microsoft.App/jobs/start/action`, or a room (`arm`,
            `logs`, `logstream`, `login`, `identity`). Service Bus: see `servicebus.front.faults`.
        queue: Of a Service Bus fault: the queues it concerns, a pattern.
        rate: From 0 to 1, of the matching operations.
        count: How often it strikes before it is spent; None: always.
        status: HTTP status of `status`.
        retry_after: Seconds in its Retry-After header; None: no such header.
        delay: Seconds of `latency` (the machine's) and `log-delay` (the clock's).
        after: The operation is carried out, and only its answer is lost.
        hits: How often it has struck.
    """

    id: str
    kind: str
    on: str = "*"
    queue: str = "*"
    rate: float = 1.0
    count: int | None = None
    status: int = 503
    retry_after: float | None = None
    delay: float = 0.0
    after: bool = False
    hits: int = 0

    @property
    def spent(self) -> bool:
        """It has struck as often as it was asked to."""
        return self.count is not None and self.hits >= self.count

    def as_json(self) -> dict[str, Any]:
        """The fault as the API shows it: what its kind knows, and how often it has struck."""
        shown = {"id": self.id}
        for name in (*_COMMON, *_KEYS[self.kind]):
            shown[name] = getattr(self, name)
        return shown | {"hits": self.hits, "spent": self.spent}


class Faults:
    """The faults of one local cloud. Belongs to one event loop.

    Args:
        chance: Throws the dice; seeded by a test.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()  # noqa: S311 - nothing secret depends on it
        self._faults: dict[str, Fault] = {}
        self._numbers = itertools.count(1)

    def add(self, body: Mapping[str, Any]) -> Fault:
        """Add what a request asks for.

        Raises:
            SteeringRefused: With a sentence on what is wrong.
        """
        values = _checked(body)
        fault = Fault(id=f"f{next(self._numbers)}", **values)
        self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        """In the order in which they were added, spent ones too."""
        return list(self._faults.values())

    def remove(self, id_: str) -> Fault:
        """Raises SteeringRefused (404)."""
        found = self._faults.pop(id_, None)
        if found is None:
            known = ", ".join(self._faults) or "none"
            raise SteeringRefused(f"There is no fault '{id_}'; there are: {known}.", 404)
        return found

    def clear(self) -> int:
        """Remove all; how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def strike(
        self, kinds: Collection[str], names: Sequence[str], queue: str = "", *, every: bool = False
    ) -> list[Fault]:
        """The faults that strike an operation now: the first of the kinds, or `every`.

        Args:
            kinds: Those that can.
            names: What the operation is called.
            queue: The queue it is on.
        """
        struck = []
        for fault in self._faults.values():
            if (
                fault.kind not in kinds
                or fault.spent
                or not _matches(fault.on, names)
                or not (fault.queue == "*" or _matches(fault.queue, (queue,)))
                or (fault.rate < 1 and self._chance.random() >= fault.rate)
            ):
                continue
            fault.hits += 1
            struck.append(fault)
            if not every:
                break
        return struck

    # ------------------------------------------------------------------ what rooms ask

    def service_bus(self, operation: str, namespace: str, path: str) -> Strike | None:
        """What goes wrong with an operation of the AMQP front (`front.faults.Strikes`)."""
        if not self._faults:
            return None
        kinds = SERVICE_BUS if operation in _LOCKED else ("server-busy", "disconnect")
        for fault in self.strike(kinds, (operation,), path):
            if fault.kind == "disconnect":
                return Strike.CUT_AFTER if fault.after else Strike.CUT
            return Strike.BUSY if fault.kind == "server-busy" else Strike.LOCK_LOST
        return None

    def log_delay(self) -> float:
        """Seconds by which queries lag behind what was written: the longest of the delays."""
        return max((f.delay for f in self._faults.values() if f.kind == "log-delay"), default=0.0)


def _matches(pattern: str, names: Sequence[str]) -> bool:
    if pattern == "*":
        return True
    # Brackets are not special: only * and ? are.
    wanted = pattern.lower().replace("[", "[[]")
    return any(fnmatch.fnmatchcase(name.lower(), wanted) for name in names)


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    kind = body.get("kind")
    if kind not in KINDS:
        raise SteeringRefused(f"A fault's 'kind' is one of {', '.join(KINDS)}; not {kind!r}.")
    allowed = (*_COMMON, *_KEYS[kind])
    for name in body:
        if name not in allowed:
            raise SteeringRefused(
                f"A fault of the kind '{kind}' has no '{name}'; it has {', '.join(allowed[1:])}."
            )
    values = {name: value for name, value in body.items() if value is not None}
    for name in ("on", "queue"):
        if not isinstance(values.get(name, "*"), str) or not values.get(name, "*"):
            raise SteeringRefused(f"'{name}' is a pattern such as '*'.")
    if kind in SERVICE_BUS and not any(_matches(values.get("on", "*"), [o]) for o in OPERATIONS):
        raise SteeringRefused(
            f"'on' names no operation of Service Bus; there are {', '.join(OPERATIONS)}."
        )
    if not 0 < _number(values, "rate", 1.0) <= 1:
        raise SteeringRefused("'rate' is above 0 and at most 1.")
    count = values.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SteeringRefused("'count' is a whole number of at least 1; without it: always.")
    if values.get("status", 503) not in STATUSES:
        raise SteeringRefused(f"'status' is one of {', '.join(map(str, STATUSES))}.")
    for name in ("retry_after", "delay"):
        if not 0 <= _number(values, name, 0.0) <= 86400 * 30:
            raise SteeringRefused(f"'{name}' is a number of seconds from 0 to 30 days.")
    if "delay" in _KEYS[kind] and not values.get("delay"):
        raise SteeringRefused(f"A fault of the kind '{kind}' needs a 'delay' in seconds.")
    if not isinstance(values.get("after", False), bool):
        raise SteeringRefused("'after' is true or false.")
    return values


def _number(values: Mapping[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SteeringRefused(f"'{name}' is a number.")
    return float(value)
