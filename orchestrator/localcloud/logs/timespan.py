"""The `timespan` of a query: an ISO 8601 duration or interval.

https://learn.microsoft.com/azure/azure-monitor/logs/api/timespan. Accepted: `P1D`, `PT3600.0S`
(the client library sends fractions), `start/end`, `start/duration`, `duration/end`. A time without
a zone is UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestrator.localcloud.logs.errors import QueryError, invalid_property

_NUMBER = r"(\d+(?:[.,]\d+)?)"
_DURATION = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.IGNORECASE,
)
_SECONDS = (365 * 86400, 30 * 86400, 7 * 86400, 86400, 3600, 60, 1)
_FRACTION = re.compile(r"(\.\d{6})\d+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timespan:
    """From `start` (included) to `end` (not included), microseconds since the epoch; None: open."""

    start: int | None = None
    end: int | None = None

    def before(self, moment: int | None) -> Timespan:
        """The same, ended by `moment` if that is earlier; None: as it is."""
        if moment is None or (self.end is not None and self.end <= moment):
            return self
        return Timespan(self.start, moment)


def _refused(text: str) -> QueryError:
    return invalid_property(
        "timespan",
        f"'{text}' is not a timespan. Expected an ISO 8601 duration such as PT1H, or an interval "
        "such as 2026-01-01T00:00:00Z/2026-01-02T00:00:00Z.",
    )


def _duration(text: str) -> timedelta | None:
    match = _DURATION.fullmatch(text)
    if match is None or all(part is None for part in match.groups()):
        return None
    seconds = sum(
        float(part.replace(",", ".")) * unit
        for part, unit in zip(match.groups(), _SECONDS, strict=True)
        if part is not None
    )
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        # Kusto writes seven digits of a second, Python reads six.
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_timespan(text: str | None, now: datetime) -> Timespan:
    """The bounds that a request's `timespan` puts on TimeGenerated.

    A duration alone reaches from `now` back and is open towards the future: the last lines of a
    burst may be stamped some microseconds ahead.

    Raises:
        QueryError: 400; it is neither a duration nor an interval, or ends before it starts.
    """
    if text is None or not text.strip():
        return Timespan()
    parts = [part.strip() for part in text.strip().split("/")]
    try:
        if len(parts) == 1:
            length = _duration(parts[0])
            if length is not None:
                return Timespan(_micros(now - length), None)
        elif len(parts) == 2:
            start, end = _moment(parts[0]), _moment(parts[1])
            first, second = _duration(parts[0]), _duration(parts[1])
            if start is not None and second is not None:
                end = start + second
            elif end is not None and first is not None:
                start = end - first
            if start is not None and end is not None:
                if end < start:
                    raise invalid_property(
                        "timespan", f"The timespan '{text}' ends before it starts."
                    )
                return Timespan(_micros(start), _micros(end))
    except OverflowError:
        pass
    raise _refused(text)
