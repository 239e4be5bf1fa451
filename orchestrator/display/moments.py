"""Times and durations as people read them on a terminal, and as programs read them in a file."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def ago(when: datetime, now: datetime) -> str:
    """`just now`, `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`; `in 40 s` for what is to come."""
    seconds = (now - when).total_seconds()
    size = abs(seconds)
    if size < 1:
        return "just now"
    for unit, name in _UNITS:
        if size >= unit:
            text = f"{int(size // unit)} {name}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now"


def clock_time(when: datetime, now: datetime) -> str:
    """The local time of day (`14:03:12`), with the date when it isn't today's (`Nov 23 14:03`)."""
    local, today = when.astimezone(), now.astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    if abs(today - local) < timedelta(days=300):
        return f"{local:%b} {local.day:2} {local:%H:%M}"
    return f"{local:%Y-%m-%d}"


def exact(when: datetime) -> str:
    """`2026-11-23T21:03:12.345Z`: the moment in UTC, to the millisecond."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def machine(value: Any) -> Any:
    """A cell for CSV and TSV: times RFC 3339 in UTC, durations in seconds, truths in lower case.

    What is no number is written as Log Analytics writes it: NaN, Infinity, -Infinity.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict | list | tuple):
        import json

        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    return value
