"""Ending a process and all that it started, on every system.

On POSIX a container is a session of its own, so that its process group is all it started, save
what has left the group itself; those are found through the tree of processes, or by the variable
that names their replica. Windows has no groups to signal: there the tree is all there is.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import psutil

from orchestrator.localcloud import umask

REPLICA_VARIABLE = "CONTAINER_APP_REPLICA_NAME"
_WINDOWS = sys.platform == "win32"
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError, PermissionError)


def spawn_options() -> dict[str, Any]:
    """Arguments for starting a process that can be ended with all it starts."""
    if _WINDOWS:
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    return {"start_new_session": True, **umask.spawn_options()}


def process_mark(pid: int) -> str:
    """Text by which the process is found again, even when its pid has been given to another."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        created = 0.0
    return json.dumps({"pid": pid, "created": created})


def ask_to_end(pid: int) -> None:
    """SIGTERM to the process group; on Windows CTRL_BREAK, or an end at once where that fails."""
    if _WINDOWS:
        try:
            os.kill(pid, getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        except OSError:
            end_tree(pid)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)


def descendants(pid: int) -> list[psutil.Process]:
    """What a living process has started and what that has started; without itself."""
    with contextlib.suppress(*_GONE):
        return psutil.Process(pid).children(recursive=True)
    return []


def end_tree(pid: int) -> None:
    """End a living process, its descendants and its process group, without asking."""
    with contextlib.suppress(*_GONE):
        process = psutil.Process(pid)
        family = descendants(pid)
        end_group(pid)
        kill([*family, process])
    end_group(pid)


def end_group(pid: int) -> None:
    """End what is left of the process group of a process that is over or about to be."""
    if not _WINDOWS:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def end_replica(names: Collection[str]) -> int:
    """End every process of this user whose environment names one of these replicas."""
    found = []
    own = os.getpid()
    for process in psutil.process_iter():
        if process.pid == own:
            continue
        with contextlib.suppress(*_GONE, OSError):
            if process.environ().get(REPLICA_VARIABLE) in names:
                found.append(process)
    kill(found)
    return len(found)


def end_orphans(marks: Mapping[str, Iterable[str]], patience: float = 5.0) -> int:
    """End the processes of replicas that an earlier server left; blocks until they are gone.

    Args:
        marks: Marks of `process_mark` by replica name.
        patience: Seconds to wait for their end.

    Returns:
        How many processes were ended.
    """
    found: list[psutil.Process] = []
    for text in (mark for texts in marks.values() for mark in texts):
        with contextlib.suppress(*_GONE, ValueError, KeyError, TypeError):
            mark = json.loads(text)
            process = psutil.Process(int(mark["pid"]))
            # Within a second: the start time is derived from the boot time, which may be adjusted.
            if abs(process.create_time() - float(mark["created"])) < 1.0:
                found += [process, *process.children(recursive=True)]
                end_group(process.pid)
    kill(found)
    ended = len(found) + end_replica(set(marks))
    _await_end(found, patience)
    return ended


def _await_end(processes: Iterable[psutil.Process], patience: float) -> None:
    end = time.monotonic() + patience
    for process in processes:
        with contextlib.suppress(*_GONE):
            # A zombie is over; whoever inherited it may take its time to say so.
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                if time.monotonic() > end:
                    return
                time.sleep(0.005)


def kill(processes: Iterable[psutil.Process]) -> None:
    """End these processes, those that are not over yet and whose pid is still theirs."""
    for process in processes:
        with contextlib.suppress(*_GONE):
            process.kill()
