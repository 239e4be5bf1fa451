"""Durations, sizes and moments, as people write them in settings, options and calls.

Every function that reads text raises ValueError with one sentence that says what is allowed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

# A moment or how far back: a datetime, a timedelta, seconds, or text such as "2h".
Since: TypeAlias = datetime | timedelta | float | str | None

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w)\s*)+")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Gi|Mi)")
_SIZE = re.compile(r"(\d+)\s*(MiB|GiB|MB|GB|M|G)")
_ISO = re.compile(
    r"P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


def parse_duration(text: str) -> timedelta:
    """`90s`, `10m`, `2h`, `1d`, `1h30m`: a duration. A number alone has no unit and is refused."""
    written = text.strip()
    if not _DURATION.fullmatch(written):
        raise ValueError(
            f'"{text}" is not a duration: write a number and s, m, h, d or w, as in 90s, 10m, 1h30m'
        )
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(written))
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f'"{text}" is longer than a duration can be') from None


def as_seconds(value: float | str | timedelta) -> float:
    """Seconds of what the library is given: a number, a timedelta, or text (`10m`; `90`)."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return parse_duration(value).total_seconds()
    return float(value)


def as_moment(value: datetime | timedelta | float | str, now: datetime) -> datetime:
    """A moment: an aware datetime, how long before `now` (after it: `+10m`, or a negative number),
    or ISO text (`2026-11-23T20:00`, UTC).

    A naive datetime is taken as UTC. Raises ValueError.
    """
    found = moment_or_distance(value)
    if isinstance(found, datetime):
        return found
    try:
        return now + found
    except OverflowError:
        raise ValueError(f'"{value}" is beyond all calendars') from None


def moment_or_distance(value: datetime | timedelta | float | str) -> datetime | timedelta:
    """The same, where it depends on the time that it is: how far from now, below 0 for the past."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f'"{value}" is not a time: write it as 2026-11-23 or 2026-11-23T20:00:00Z'
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        if isinstance(value, str) and value.strip().startswith("+"):
            return timedelta(seconds=as_seconds(value.strip()[1:]))
        return timedelta(seconds=-as_seconds(value))
    except OverflowError:
        raise ValueError(f'"{value}" is beyond all calendars') from None


def parse_memory(text: str) -> float:
    """`0.5Gi` or `512Mi`: memory in GiB."""
    match = _MEMORY.fullmatch(text.strip())
    if not match:
        raise ValueError(f'"{text}" is not an amount of memory: write it in Gi, as in 0.5Gi')
    amount = float(match[1])
    return amount if match[2] == "Gi" else amount / 1024


def show_memory(gib: float) -> str:
    """`0.5Gi`: the way the service writes it."""
    return f"{gib:g}Gi"


def parse_queue_size(text: str) -> int:
    """`1GiB` or `1024MiB`: a queue's size in MiB."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f'"{text}" is not a size: write it in GiB, as in 1GiB')
    return int(match[1]) * (1024 if match[2].startswith("G") else 1)


def parse_iso_duration(text: str) -> timedelta:
    """`PT1H30M`, as the services write durations (ISO 8601 without years and months)."""
    match = _ISO.fullmatch(text)
    if not match or text in ("P", "PT"):
        raise ValueError(f'"{text}" is not an ISO 8601 duration')
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def sdk_duration(value: object) -> timedelta | None:
    """A duration as an SDK's model has it: read already, or ISO text; None where it is neither."""
    if isinstance(value, timedelta):
        return value
    try:
        return parse_iso_duration(str(value))
    except ValueError:
        return None


def iso_duration(value: timedelta) -> str:
    """`PT5M`, `P7D`: a duration as the services write it."""
    seconds = value.total_seconds()
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    date = f"{days:.0f}D" if days else ""
    time = (f"{hours:.0f}H" if hours else "") + (f"{minutes:.0f}M" if minutes else "")
    time += f"{rest:g}S" if rest else ""
    return f"P{date}" + (f"T{time}" if time else "") if date or time else "PT0S"


def short_duration(value: timedelta) -> str:
    """`90s`, `10m`, `1h30m`: a duration as the settings write it."""
    rest = value.total_seconds()
    text = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        whole, rest = divmod(rest, size)
        text += f"{whole:.0f}{unit}" if whole else ""
    return text + (f"{rest:g}s" if rest or not text else "")
