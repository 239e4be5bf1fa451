"""The service's time: the Date of Resource Manager's answers.

"2 h ago" and "until ten" are meant by the clock from which executions and lines have their times.
That is the service's; this machine's may be wrong, and a local cloud's may have been moved.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients
    from orchestrator.waiting import Time

_FRESH = 1.0  # seconds for which an answer's Date is believed to be now
_NOTABLE = 3.0  # seconds of difference that are more than a Date's rounding and its way here


class Dates:
    """What Resource Manager's answers say of its time; kept by a policy of the clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: float | None = None
        self._seen_at = 0.0

    def saw(self, response: Any) -> None:
        """Take in the Date of an answer (azure-core's `PipelineResponse`)."""
        written = response.http_response.headers.get("Date")
        try:
            date = parsedate_to_datetime(written).timestamp() if written else None
        except ValueError:
            return
        if date is not None:
            with self._lock:
                self._newest, self._seen_at = date, monotonic()

    def newest(self) -> float | None:
        """Epoch seconds, whole ones: it is then or later; None when no answer came lately."""
        with self._lock:
            fresh = monotonic() - self._seen_at <= _FRESH
            return self._newest if fresh else None


def date_policy(dates: Dates) -> Any:
    """azure-core's policy of hooks that also shows every answer to `dates`."""
    from azure.core.pipeline.policies import CustomHookPolicy

    class Watching(CustomHookPolicy[Any, Any]):
        def on_response(self, request: Any, response: Any) -> None:
            dates.saw(response)
            super().on_response(request, response)

    return Watching()


def date(clients: Clients) -> float | None:
    """The service's time, rounded down to seconds; asked for when no answer was had just now.

    None when it tells none. Raises NotReachable.
    """
    if (known := clients.dates.newest()) is not None:
        return known
    from azure.core.rest import HttpRequest

    from orchestrator.azure.failures import told

    group = clients.profile.resource_group
    url = (
        f"{clients.endpoints.resource_manager.rstrip('/')}/subscriptions/"
        f"{clients.endpoints.subscription}/resourceGroups/{group}"
    )
    request = HttpRequest("HEAD", url, params={"api-version": "2022-09-01"})
    with told(clients.profile, "ask the service for its time"):
        clients.reading.send_request(request)  # whatever it answers, it says when
    return clients.dates.newest()


def service_now(here: Time, clients: Clients) -> datetime:
    """The service's time. Where it differs by no more than some seconds this machine's is taken,
    which is finer than a Date. Raises NotReachable."""
    now, there = here.time(), date(clients)
    if there is not None and abs(there - now) > _NOTABLE:
        now = there
    return datetime.fromtimestamp(now, UTC)


class ServiceTime:
    """The service's clock, for what is counted by it: how long ago its executions ended."""

    def __init__(self, here: Time, clients: Clients) -> None:
        self._here = here
        self._clients = clients

    def time(self) -> float:
        """Seconds since the epoch. Raises NotReachable."""
        return service_now(self._here, self._clients).timestamp()


class Until:
    """A moment by the service's clock at which something that has no end of its own ends."""

    def __init__(self, moment: datetime, clients: Clients, here: Time) -> None:
        self.moment = moment
        self._clients = clients
        self._here = here
        self._over = False

    def over(self) -> bool:
        """Whether it has come there; asks for the time once a second at most. Raises NotReachable.

        A Date is rounded down, so that nothing is written before the moment once this is true.
        """
        if not self._over:
            there = date(self._clients)
            if there is None:  # a service that tells no time is taken to have this machine's
                there = self._here.time() - _NOTABLE
            self._over = there >= self.moment.timestamp()
        return self._over
