"""Names that the shell completes: kept in a file, and looked up anew behind the user's back.

A prompt may not wait for a service. So completion reads what the last look found, and when that is
older than some seconds it starts another look, whose answer the next TAB has. Only where there was
never a look does it wait for one.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FRESH = 5.0  # seconds for which a look is believed without another one
MOST = 200  # executions kept, the newest
KINDS = ("jobs", "executions", "queues")


def names(kind: str, settings: str | None, profile: str | None) -> list[list[str]]:
    """The names of a kind as last seen: for executions [name, job], else [name]. Never raises."""
    place = _place(settings, profile)
    found = _read(place)
    if found is None:
        look(settings, profile)
        found = _read(place) or {}
    elif time.time() - float(found.get("at") or 0) > FRESH:
        _look_behind(settings, profile, place)
    rows = found.get(kind)
    return [row for row in rows if isinstance(row, list)] if isinstance(rows, list) else []


def look(settings: str | None, profile: str | None) -> None:
    """Ask the service, and keep what it says. Never raises: a prompt is no place for an error."""
    found: dict[str, Any] = {"at": time.time()}
    try:
        import orchestrator

        with orchestrator.connect(profile, settings=settings) as orc:
            found["jobs"] = [[job.name] for job in orc.jobs()]
            executions = orc.executions(limit=MOST, history=False)
            found["executions"] = [[execution.name, execution.job] for execution in executions]
            try:
                found["queues"] = [[queue.name] for queue in orc.queues()]
            except orchestrator.OrchestratorError:
                found["queues"] = []
    except Exception:  # noqa: BLE001, S110
        pass
    _write(_place(settings, profile), found)


def _look_behind(settings: str | None, profile: str | None, place: Path) -> None:
    """Start a look that outlives this process, unless one was started just now."""
    marker = place.with_suffix(".looking")
    try:
        if time.time() - marker.stat().st_mtime < FRESH:
            return
    except OSError:
        pass
    try:
        marker.touch(mode=0o600)
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, settings or "", profile or ""],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if k != "_ORCHESTRATOR_COMPLETE"},
        )
        child.returncode = 0  # nobody waits for it, and Popen need not warn of that
    except OSError:
        pass


def _place(settings: str | None, profile: str | None) -> Path:
    """The file for what completes here: of these settings, this profile, this environment."""
    told = sorted((k, v) for k, v in os.environ.items() if k.startswith("ORCHESTRATOR_"))
    key = json.dumps([settings or str(Path.cwd()), profile, told])
    return _folder() / f"{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"


def _folder() -> Path:
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "orchestrator" / "names"


def _read(place: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(place: Path, found: dict[str, Any]) -> None:
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = place.with_suffix(f".{os.getpid()}")
        made.touch(mode=0o600)
        made.write_text(json.dumps(found), encoding="utf-8")
        made.replace(place)
    except OSError:
        pass


if __name__ == "__main__":
    look(sys.argv[1] or None, sys.argv[2] or None)
