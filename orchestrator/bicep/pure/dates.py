"""Dates: in ISO 8601, as templates have them."""

from __future__ import annotations

import calendar
import datetime as dt
import re

from orchestrator.bicep.evaluate import EvaluationFault
from orchestrator.bicep.pure.arguments import ArgumentFault

_DURATION = re.compile(
    r"(-?)P(?=[\dT])(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


def _moment(value: str) -> dt.datetime:
    try:
        parsed = dt.datetime.fromisoformat(value)
    except ValueError:
        raise ArgumentFault("the text is no date of ISO 8601") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def _stamp(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moved(moment: dt.datetime, duration: str) -> dt.datetime:
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ArgumentFault("the text is no duration of ISO 8601, for instance P3D or -PT2H")
    sign = -1 if found.group(1) else 1
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[1:7])
    seconds = float(found.group(8) or 0)
    year, month = divmod(moment.year * 12 + moment.month - 1 + sign * (years * 12 + months), 12)
    try:
        last = calendar.monthrange(year, month + 1)[1]
        moment = moment.replace(year=year, month=month + 1, day=min(moment.day, last))
        return moment + sign * dt.timedelta(
            weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
        )
    except (ValueError, OverflowError):
        raise ArgumentFault("the result is outside of the years that a date can have") from None


def date_add(value: str, duration: str, shape: str | None = None) -> str:
    if shape:
        raise EvaluationFault("dateTimeAdd() with a format has no value here; leave it out.")
    moment = _moved(_moment(value), duration)
    if re.fullmatch(r"\d{8}T\d{6}Z", value):
        return moment.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    if "T" in value:
        return _stamp(moment)
    # a base in another form gives the machine's own form, which on Azure is the American one
    moment = moment.astimezone(dt.UTC)
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    day = f"{moment.month}/{moment.day}/{moment.year}"
    return f"{day} {hour}:{moment.minute:02}:{moment.second:02} {half}"


def from_epoch(value: int) -> str:
    try:
        return _stamp(dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=value))
    except OverflowError:
        raise ArgumentFault("the result is outside of the years that a date can have") from None


def to_epoch(value: str) -> int:
    return int(_moment(value).timestamp())
