"""Notifications to webhooks: sent, and sent again when nobody answers, as action groups do.

In the machine's time, whatever the local cloud's clock shows: the receiver lives in it.
https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#webhook
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.localcloud.alerts.store import AlertStore, Notification

if TYPE_CHECKING:
    from aiohttp import ClientSession

_log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds that a webhook may take to answer."""

PAUSES = (5.0, 20.0, 5.0, 40.0, 5.0)
"""Seconds between the tries; after the last one it is given up."""

LONGEST_PAUSE = 60.0
AT_ONCE = 10
AGAIN = frozenset({408, 429, 503, 504})


class Webhooks:
    """Sends what the store holds.

    Args:
        store: Keeps what was not delivered.
        told: Called with the notification, whether it was delivered, and what became of it.
        pauses: Between the tries.
    """

    def __init__(
        self,
        store: AlertStore,
        told: Callable[[Notification, bool, str], None],
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._store = store
        self._told = told
        self._pauses = tuple(pauses)
        self._last = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: ClientSession | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)

    def send(self) -> None:
        """Begin to send what is new in the store."""
        for notification in self._store.waiting(self._last):
            self._last = notification.id
            task = asyncio.create_task(self._deliver(notification), name="webhook")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop; the next server goes on."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _deliver(self, notification: Notification) -> None:
        outcome = ""
        for pause in (*self._pauses, None):
            delivered, outcome, wait = await self._once(notification)
            if delivered or wait is None:
                self._end(notification, delivered, outcome)
                return
            if pause is None:
                break
            await asyncio.sleep(max(pause, min(wait, LONGEST_PAUSE)))
        self._end(notification, False, f"{outcome}, after {len(self._pauses) + 1} tries")

    def _end(self, notification: Notification, delivered: bool, outcome: str) -> None:
        self._store.sent(notification)
        if not delivered:
            _log.warning("the webhook %s was not told: %s", notification.receiver, outcome)
        self._told(notification, delivered, outcome)

    async def _once(self, notification: Notification) -> tuple[bool, str, float | None]:
        """(delivered, what became of it, seconds to wait at least before another try or None)."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False
            )
        async with self._slots:
            try:
                async with self._session.post(
                    notification.address,
                    data=notification.payload.encode(),
                    headers={"Content-Type": "application/json; charset=utf-8"},
                    allow_redirects=False,
                ) as answer:
                    status = answer.status
                    asked = answer.headers.get("Retry-After", "")
            except TimeoutError:
                return False, f"no answer within {TIMEOUT:g} s", 0.0
            except (aiohttp.ClientError, OSError, ValueError) as error:
                # Its own words may hold the address, and that a secret.
                return False, f"{_host(notification.address)}: {type(error).__name__}", 0.0
        if 200 <= status < 300:
            return True, f"it answered {status}", None
        again = float(asked) if asked.isdigit() else 0.0
        return False, f"it answered {status}", again if status in AGAIN else None


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "the webhook"
    except ValueError:
        return "the webhook"


def allowed(address: str) -> bool:
    """Whether a webhook may have this address: http or https, with a host."""
    try:
        parts = urlsplit(address)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
