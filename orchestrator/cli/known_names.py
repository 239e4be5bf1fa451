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
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.client import Orchestrator

FRESH = 5.0  # seconds for which a look is believed without another one
MOST = 200  # executions kept, the newest
LETTERS = 250  # dead letters whose reasons are looked at
USUAL = ("jobs", "executions", "queues")  # looked up together; the others when they are wanted
SLOW = ("alerts", "reasons")  # for these not even the first TAB waits


def names(kind: str, settings: str | None, profile: str | None, queue: str = "") -> list[list[str]]:
    """The names of a kind as last seen: for executions [name, job], else [name]. Never raises.

    `kind`: jobs, executions, queues, alerts, faults (their ids), or reasons: of the dead letters of
    `queue`.
    """
    place = _place(settings, profile, kind, queue)
    found = _read(place)
    if found is None and kind not in SLOW:
        look(settings, profile, kind, queue)
        found = _read(place)
    elif found is None or time.time() - float(found.get("at") or 0) > FRESH:
        _look_behind(settings, profile, kind, queue, place)
    rows = (found or {}).get(kind)
    return [row for row in rows if isinstance(row, list)] if isinstance(rows, list) else []


def look(settings: str | None, profile: str | None, kind: str = USUAL[0], queue: str = "") -> None:
    """Ask the service, and keep what it says. Never raises: a prompt is no place for an error."""
    found: dict[str, Any] = {"at": time.time()}
    try:
        import orchestrator

        with orchestrator.connect(profile, settings=settings) as orc:
            if kind in USUAL:
                _ask(orc, found)
            else:
                found[kind] = [[name] for name in _ASKED[kind](orc, queue)]
    except Exception:  # noqa: BLE001, S110
        pass
    _write(_place(settings, profile, kind, queue), found)


def _ask(orc: Orchestrator, found: dict[str, Any]) -> None:
    from orchestrator.errors import OrchestratorError

    found["jobs"] = [[job.name] for job in orc.jobs()]
    executions = orc.executions(limit=MOST, history=False)
    found["executions"] = [[execution.name, execution.job] for execution in executions]
    try:
        found["queues"] = [[queue.name] for queue in orc.queues()]
    except OrchestratorError:
        found["queues"] = []


def _alerts(orc: Orchestrator, queue: str) -> list[str]:
    return [rule.name for rule in orc.alerts()]


def _faults(orc: Orchestrator, queue: str) -> list[str]:
    from orchestrator.azure.profile import CONNECTION_FILE
    from orchestrator.localcloud.steering.client import SteeringClient

    if orc.profile.state is None:
        return []
    connection = json.loads((orc.profile.state / CONNECTION_FILE).read_text(encoding="utf-8"))
    return [str(fault["id"]) for fault in SteeringClient(connection).faults()]


def _reasons(orc: Orchestrator, queue: str) -> list[str]:
    """The reasons there are, the most frequent first."""
    letters = orc.queues[queue].dead_letters.list(limit=LETTERS)
    return [reason for reason, _ in Counter(m.reason for m in letters).most_common() if reason]


_ASKED: dict[str, Callable[[Orchestrator, str], list[str]]] = {
    "alerts": _alerts,
    "faults": _faults,
    "reasons": _reasons,
}


def _look_behind(
    settings: str | None, profile: str | None, kind: str, queue: str, place: Path
) -> None:
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
            [sys.executable, "-m", __name__, settings or "", profile or "", kind, queue],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if k != "_ORCHESTRATOR_COMPLETE"},
        )
        child.returncode = 0  # nobody waits for it, and Popen need not warn of that
    except OSError:
        pass


def _place(settings: str | None, profile: str | None, kind: str, queue: str) -> Path:
    """The file for what completes here: of these settings, this profile, this environment."""
    told = sorted((k, v) for k, v in os.environ.items() if k.startswith("ORCHESTRATOR_"))
    what = "" if kind in USUAL else f"{kind} {queue}"
    key = json.dumps([settings or str(Path.cwd()), profile, told, what])
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
    look(sys.argv[1] or None, sys.argv[2] or None, sys.argv[3], sys.argv[4])
