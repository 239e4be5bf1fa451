"""The process of a local cloud, as the system knows it: which it is, whether it lives."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from typing import Any


def process_of(connection: dict[str, Any]) -> Any:
    """The psutil.Process that wrote a connection file; None when it is gone (or reused its id)."""
    import psutil

    try:
        process = psutil.Process(connection["pid"])
        started = datetime.fromisoformat(connection["started"]).timestamp()
        # A process that is younger than the file did not write it. Clocks are read in coarse steps.
        return process if process.create_time() < started + 2 else None
    except (psutil.Error, KeyError, TypeError, ValueError):
        return None


def lives(process: Any) -> bool:
    """Whether it still runs. A process that nobody has collected yet runs no more."""
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def suspended(process: Any) -> bool:
    """Whether it was halted from outside (SIGSTOP, Ctrl-Z): alive, and doing nothing."""
    import psutil

    try:
        return bool(process.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def resumption(pid: int) -> str:
    """How a suspended server goes on."""
    if os.name == "posix":
        return f"Let it go on: kill -CONT {pid}"
    return f"Resume its process {pid}, or start it anew: orchestrator local down"


def children_of(process: Any) -> list[Any]:
    with contextlib.suppress(Exception):
        found: list[Any] = process.children(recursive=True)
        return found
    return []
