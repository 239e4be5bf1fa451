"""ISO 8601 durations as Azure's REST APIs read and write them.

As .NET's XmlConvert has a TimeSpan: days to seconds; no years, months or weeks, whose lengths
differ. The log query API reads more than this (`logs.timespan`).
"""

from __future__ import annotations

import re

LONGEST = 922337203685.4775807
"""Seconds of `TimeSpan.MaxValue`: how the services say "for ever"."""

LONGEST_TEXT = "P10675199DT2H48M5.4775807S"

_DURATION = re.compile(
    r"(?P<minus>-)?P(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_TICKS = 10_000_000  # of a second: the finest that a TimeSpan has


def read_duration(text: object, name: str) -> float:
    """Seconds of a duration; at most `LONGEST`.

    name: of the property that has it, for the refusal.

    Raises:
        ValueError: It is none; the message is for the caller of the API.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) and len(text) < 64 else None
    if match is None or match[0].endswith(("P", "T")):
        raise ValueError(
            f"The value {text!r} of the property '{name}' is no ISO 8601 duration such as PT5M, "
            "PT1M30S or P14D."
        )
    if text == LONGEST_TEXT:
        return LONGEST
    part = {key: float(value) for key, value in match.groupdict("0").items() if key != "minus"}
    seconds = part["days"] * 86400 + part["hours"] * 3600 + part["minutes"] * 60 + part["seconds"]
    return min(-seconds if match["minus"] else seconds, LONGEST)


def write_duration(seconds: float) -> str:
    """`PT5M`, `P14D`, `PT1.5S`; what is below zero is written as nothing."""
    if seconds >= LONGEST:
        return LONGEST_TEXT
    whole, fraction = divmod(round(max(0.0, seconds) * _TICKS), _TICKS)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    tail = f".{fraction:07d}".rstrip("0") if fraction else ""
    date = f"{days}D" if days else ""
    time = (f"{hour}H" if hour else "") + (f"{minute}M" if minute else "")
    if second or tail:
        time += f"{second}{tail}S"
    if not date and not time:
        return "PT0S"
    return f"P{date}{'T' + time if time else ''}"
