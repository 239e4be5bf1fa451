"""Keeping containers that are processes within their memory.

The memory of all processes of a container is looked at twice a second, and a container over its
limit is ended, as a kernel ends one of a cgroup. RLIMIT_AS would not do: it counts address space,
of which a program with threads reserves many times what it uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import psutil

_log = logging.getLogger(__name__)
INTERVAL = 0.5
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, OSError)


@dataclass(frozen=True, slots=True)
class _Watched:
    limit: int
    over: Callable[[int], None]


class MemoryWatch:
    """Watches processes and all they have started; works only while there are any.

    Args:
        interval: Seconds of machine time between two looks.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._watched: dict[int, _Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, pid: int, limit: int, over: Callable[[int], None]) -> None:
        """Call `over(bytes used)` once when a process and its descendants use more than `limit`."""
        self._watched[pid] = _Watched(limit, over)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="memory of processes")

    def forget(self, pid: int) -> None:
        """The process is over."""
        self._watched.pop(pid, None)

    async def _run(self) -> None:
        while self._watched:
            await asyncio.sleep(self._interval)
            limits = {pid: watched.limit for pid, watched in self._watched.items()}
            try:
                used = await asyncio.to_thread(_over_limit, limits)
            except Exception:  # noqa: BLE001 - a look that failed is followed by another
                _log.exception("the memory of processes could not be looked at")
                continue
            for pid, size in used.items():
                # By now it may be over, and its pid another's.
                watched = self._watched.pop(pid, None)
                if watched is not None:
                    watched.over(size)


def _over_limit(limits: dict[int, int]) -> dict[int, int]:
    """Bytes used, of those that use more than their limit."""
    families = _families(set(limits))
    found = {}
    for pid, limit in limits.items():
        processes = families[pid]
        # The quick sum counts what processes share more than once; it is an upper bound.
        if sum(map(_resident, processes)) > limit:
            size = sum(map(_own_share, processes))
            if size > limit:
                found[pid] = size
    return found


def _families(roots: set[int]) -> dict[int, list[psutil.Process]]:
    """Each root with all its descendants, from one look at the processes of this machine."""
    processes: dict[int, psutil.Process] = {}
    children: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(*_GONE):
            children.setdefault(process.ppid(), []).append(process.pid)
            processes[process.pid] = process
    families = {}
    for root in roots:
        line = [root]
        for pid in line:
            line.extend(child for child in children.get(pid, ()) if child not in line)
        families[root] = [processes[pid] for pid in line if pid in processes]
    return families


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(*_GONE):
        return int(process.memory_info().rss)
    return 0


def _own_share(process: psutil.Process) -> int:
    """Resident bytes, what is shared counted in part (Linux) or not at all (elsewhere)."""
    with contextlib.suppress(*_GONE):
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.uss)
    return 0
