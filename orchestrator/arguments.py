"""What calls are given, read: moments, time-outs, limits, statuses; each refused in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orchestrator.errors import BadInput
from orchestrator.quantities import as_moment, as_seconds, moment_or_distance
from orchestrator.results import STATUSES
from orchestrator.waiting import Time, now

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients
    from orchestrator.quantities import Since


def statuses(status: str | Sequence[str] | None) -> frozenset[str]:
    """The service's words for these statuses, in any case of letters. Raises BadInput."""
    given = [status] if isinstance(status, str) else list(status or ())
    found = set()
    for word in (part.strip() for text in given for part in text.split(",")):
        match = next((s for s in STATUSES if s.lower() == word.lower()), None)
        if match is None:
            from difflib import get_close_matches

            near = get_close_matches(word.capitalize(), STATUSES, 1)
            known = f"The statuses are {', '.join(STATUSES)}."
            raise BadInput(
                f'"{word}" is not a status.', f'Did you mean "{near[0]}"?' if near else known
            )
        found.add(match)
    return frozenset(found)


def moment_of(since: Since, time: Time, clients: Clients | None = None) -> datetime | None:
    """A `since` as a moment. Raises BadInput.

    `clients`: what is meant from now on ("2h" ago, "+10m") is so by the service's clock, which is
    asked for when it told its time not just now; else by `time`. Raises NotReachable.
    """
    if since is None:
        return None
    try:
        found = moment_or_distance(since)
        if isinstance(found, datetime):
            return found
        if clients is not None:
            from orchestrator.azure.service_time import service_now

            return as_moment(since, service_now(time, clients))
        return as_moment(since, now(time))
    except ValueError as error:
        raise BadInput(
            f"{error}.".replace("..", "."), "Such as 2h, or 2026-11-23T20:00Z."
        ) from None


def since_of(since: Since, time: Time, clients: Clients) -> datetime | None:
    """A `since` as a moment that has been, by the service's clock. Raises BadInput, NotReachable.

    Nothing began or was written since a moment that is to come: an empty answer would be true, and
    would hide what is nearly always a slip (a local time taken for UTC, another year).
    """
    found = moment_of(since, time, clients)
    if found is None or found <= now(time):  # this machine's clock alone seldom errs by so much
        return found
    from orchestrator.azure.service_time import service_now

    there = service_now(time, clients)
    if found > there:
        raise BadInput(
            f"{_minute(found)} is still to come: it is {_minute(there)} by the service's clock.",
            "Say how long ago, as in 2h; or a time with its zone, as in "
            f"{(there - timedelta(hours=2)).strftime('%Y-%m-%dT%H:%MZ')}.",
        )
    return found


def _minute(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def seconds_of(timeout: float | str | timedelta) -> float:
    """A time-out in seconds. Raises BadInput."""
    try:
        seconds = as_seconds(timeout)
    except ValueError as error:
        raise BadInput(f"{error}.", "Such as 90s or 10m.") from None
    if seconds < 0 or seconds != seconds:
        raise BadInput(f"A time-out of {timeout} is not possible.", "Give 0 or more.")
    return seconds


def check_limit(limit: int | None) -> None:
    """At most so many; None: all. Raises BadInput for what would leave nothing."""
    if limit is not None and limit < 1:
        raise BadInput(f"A limit of {limit} leaves nothing.", "Give 1 or more.")
