"""Whether the state folder is still ours: it may be removed, moved or replaced under a server.

The lock tells who owns the folder. While the file at its place is the one this server holds, a
`cloud.json` that is missing or says something else is written again. When it is not, somebody has
taken the folder away, and the server has to end: what it would go on acknowledging is in files
that nobody will find again.
"""

from __future__ import annotations

import logging
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.state import StateFolder

_log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds between two looks


class StateWatch:
    """Looks after one server's state folder.

    Args:
        folder: The folder, which this server has acquired.
        connection: What `cloud.json` has to say.
        clock: The machine's time; a local cloud whose own time stands still is watched, too.
    """

    def __init__(self, folder: StateFolder, connection: dict[str, Any], clock: Clock) -> None:
        self._folder = folder
        self._connection = connection
        self._clock = clock
        self._failing = False

    async def until_lost(self) -> str:
        """Keep `cloud.json` in place until the folder is lost; why it is, in one sentence."""
        while True:
            await self._clock.sleep(INTERVAL)
            lost = self._folder.lost()
            if lost:
                return lost
            self._keep_published()

    def _keep_published(self) -> None:
        try:
            if not self._folder.has_record():
                self._folder.record()
            if self._folder.connection() == self._connection:
                return
            self._folder.publish(self._connection)
        except OSError as error:
            if not self._failing:
                _log.warning("cloud.json is missing and cannot be written again: %s", error)
            self._failing = True
            return
        self._failing = False
        _log.warning("cloud.json was missing or not ours; written again")
