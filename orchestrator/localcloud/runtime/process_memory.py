"""Keeping containers that are processes within their memory.

The memory of all processes of a container is looked at twice a second, and a container over its
limit is ended, as a kernel ends one of a cgroup. RLIMIT_AS would not do: it counts address space,
of which a program with threads reserves many times what it uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
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
    used: Callable[[int, float | None], None]


@dataclass(frozen=True, slots=True)
class _Look:
    """What a family of processes used: bytes, seconds of cpu so far, when (monotonic seconds)."""

    size: int
    cpu: float
    at: float
    over: int | None = None


def _nowhere(size: int, nano_cores: float | None) -> None:
    pass


class MemoryWatch:
    """Watches processes and all they have started; works only while there are any.

    Args:
        interval: Seconds of machine time between two looks.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._watched: dict[int, _Watched] = {}
        self._looks: dict[int, _Look] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(
        self,
        pid: int,
        limit: int,
        over: Callable[[int], None],
        used: Callable[[int, float | None], None] = _nowhere,
    ) -> None:
        """Call `over(bytes used)` once when a process and its descendants use more than `limit`.

        At each look also `used(bytes, nano cores since the look before)`.
        """
        self._watched[pid] = _Watched(limit, over, used)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="memory of processes")

    def forget(self, pid: int) -> None:
        """The process is over."""
        self._watched.pop(pid, None)
        self._looks.pop(pid, None)
        if not self._watched and self._task is not None:
            self._task.cancel()  # a loop may end with the last process
            self._task = None

    async def _run(self) -> None:
        while self._watched:
            await asyncio.sleep(self._interval)
            limits = {pid: watched.limit for pid, watched in self._watched.items()}
            try:
                looks = await asyncio.to_thread(_look, limits)
            except Exception:  # noqa: BLE001 - a look that failed is followed by another
                _log.exception("the memory of processes could not be looked at")
                continue
            for pid, look in looks.items():
                # By now it may be over, and its pid another's.
                watched = self._watched.get(pid)
                if watched is None:
                    continue
                before = self._looks.get(pid)
                self._looks[pid] = look
                cores = None
                if before is not None and look.at > before.at:
                    cores = max(0.0, look.cpu - before.cpu) / (look.at - before.at) * 1e9
                watched.used(look.size, cores)
                if look.over is not None:
                    self.forget(pid)
                    watched.over(look.over)


def _look(limits: dict[int, int]) -> dict[int, _Look]:
    """What each family uses; `over` is set for those that use more than their limit."""
    families = _families(set(limits))
    found = {}
    for pid, limit in limits.items():
        processes = families[pid]
        if not processes:
            continue
        over = None
        # The quick sum counts what processes share more than once; it is an upper bound.
        size = sum(map(_resident, processes))
        if size > limit:
            size = sum(map(_own_share, processes))
            over = size if size > limit else None
        found[pid] = _Look(size, sum(map(_cpu, processes)), time.monotonic(), over)
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


def _cpu(process: psutil.Process) -> float:
    """Seconds of cpu, those of its children that are over among them."""
    with contextlib.suppress(*_GONE):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _own_share(process: psutil.Process) -> int:
    """Resident bytes, what is shared counted in part (Linux) or not at all (elsewhere)."""
    with contextlib.suppress(*_GONE):
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.uss)
    return 0
