"""The local cloud as a background process: start it, stop it, ask how it is, remove its state.

Imports little, so that a command which only looks is quick. Who lives is told by the lock in the
state folder, which the system frees when its holder dies; `cloud.json` may be stale, a lock is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal

from filelock import FileLock, Timeout

from orchestrator.localcloud.config import CloudConfig
from orchestrator.localcloud.server_process import (
    children_of,
    lives,
    process_of,
    resumption,
    suspended,
)
from orchestrator.localcloud.state import (
    CONNECTION,
    LOCK,
    RECORD,
    SERVER_LOG,
    SETTINGS,
    LocalCloudError,
    StateFolder,
    make_folder,
    unusable,
)

__all__ = ["CloudConfig", "CloudStatus", "LocalCloudError", "down", "reset", "status", "up"]

STARTING = "starting"
CLOCK = "clock.json"  # TimeControl's; its module costs too much to import for one name
MAX_LOG = 5 * 1024 * 1024
_POLL = 0.02

# Who collects the servers that this process has started, by their ids: until then a dead one is
# still in the system's list of processes.
_collectors: dict[int, threading.Thread] = {}


@dataclass(frozen=True)
class CloudStatus:
    """How a local cloud is.

    Attributes:
        state: "running", "starting" (alive, not ready), "stopped", "suspended" (its process was
            halted, by Ctrl-Z or SIGSTOP, and answers nobody until it goes on), or "stale" (a server
            died and left its connection file).
        folder: Its state folder.
        pid: Of the server, while there is one.
        uptime: Seconds since it was ready.
        memory: Resident bytes of the server.
        ports: Listener -> port, while it runs.
        size: Bytes of the state folder.
        connection: The content of `cloud.json`; holds secrets.
    """

    state: Literal["running", "starting", "stopped", "stale", "suspended"]
    folder: Path
    pid: int | None = None
    uptime: float | None = None
    memory: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    size: int = 0
    connection: dict[str, Any] | None = field(default=None, repr=False)


# ------------------------------------------------------------------------- up ----


def up(config: CloudConfig, *, timeout: float = 15.0) -> dict[str, Any]:
    """Start a local cloud in the background, unless one runs on that state folder already.

    Two of these at once start one server; both return its connection.

    Args:
        config: Its folder, project and ports. Ports of a running one are not changed.
        timeout: Seconds until it has to be ready.

    Returns:
        The content of `cloud.json`.

    Raises:
        LocalCloudError: It does not start; says why.
    """
    folder = StateFolder(config.state)
    make_folder(folder.path)
    deadline = time.monotonic() + timeout
    turn = FileLock(folder.file(STARTING), mode=0o600, thread_local=False)
    try:
        turn.acquire(timeout=timeout, poll_interval=_POLL)
    except Timeout:
        raise LocalCloudError(
            f"Another `up` has been starting a local cloud on {folder.path} for {timeout:g} s.",
            "Wait for it, or look at `orchestrator local logs`.",
        ) from None
    except OSError as error:
        raise unusable(folder.path, error) from error
    try:
        connection = _running(folder, deadline)
        return connection if connection is not None else _start(folder, config, deadline, timeout)
    finally:
        turn.release()


def _running(folder: StateFolder, deadline: float) -> dict[str, Any] | None:
    """The connection of the server that lives on the folder; None when none does."""
    while folder.in_use():
        connection = folder.connection()
        process = process_of(connection) if connection is not None else None
        if connection is not None and process is not None:
            if suspended(process):
                raise LocalCloudError(
                    f"The local cloud (process {process.pid}) is suspended, so it answers nobody.",
                    resumption(process.pid),
                )
            return connection
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"A local cloud lives on {folder.path} but does not become ready.",
                "Stop it with `orchestrator local down`, and look at `orchestrator local logs`.",
            )
        time.sleep(_POLL)
    return None


def _start(
    folder: StateFolder, config: CloudConfig, deadline: float, timeout: float
) -> dict[str, Any]:
    log = folder.file(SERVER_LOG)
    try:
        output = _open_log(log)
    except OSError as error:
        raise unusable(folder.path, error) from error
    with output:
        try:
            process = subprocess.Popen(
                _command(folder, config),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=folder.path,
                env=_environment(),
                **_detached(),
            )
        except OSError as error:
            raise LocalCloudError(
                f"The local cloud's process cannot be started ({error.strerror or error})."
            ) from error
    assert process.stdout is not None
    report = _first_line(process.stdout, deadline)
    if report is None and process.poll() is None:
        process.kill()
        process.wait()
        raise LocalCloudError(
            f"The local cloud was not ready within {timeout:g} s and was stopped again.",
            _tail(log),
        )
    try:
        answer = json.loads(report or b"")
    except ValueError:
        process.wait()
        raise LocalCloudError(
            f"The local cloud ended while it started (exit status {process.returncode}).",
            _tail(log),
        ) from None
    if "error" in answer:
        process.wait()
        raise LocalCloudError(answer["error"], answer.get("hint", ""))
    # The server outlives us. Should it end before we do, somebody has to collect it.
    collector = threading.Thread(target=process.wait, name="local cloud", daemon=True)
    _collectors[process.pid] = collector
    collector.start()
    connection: dict[str, Any] = answer["ready"]
    return connection


def _command(folder: StateFolder, config: CloudConfig) -> list[str]:
    command = [sys.executable, "-m", "orchestrator.localcloud", "--detached"]
    command += ["--state", str(folder.path)]
    if config.project is not None:
        command += ["--project", str(config.project.expanduser().absolute())]
    for option, port in (
        ("--port", config.port),
        ("--identity-port", config.identity_port),
        ("--amqp-port", config.amqp_port),
        ("--amqps-port", config.amqps_port),
    ):
        if port is not None:
            command += [option, str(port)]
    if config.executor != "process":
        command += ["--executor", config.executor]
    if config.rbac != "off":
        command += ["--rbac", config.rbac]
    if config.limits != "strict":
        command += ["--limits", config.limits]
    if config.throttling != "off":
        command += ["--throttling", config.throttling]
    return command


def _environment() -> dict[str, str]:
    """Ours, and where this package is found when it is not installed but lies in a folder."""
    root = str(Path(__file__).resolve().parents[2])
    if Path(root).name in ("site-packages", "dist-packages"):
        return dict(os.environ)
    rest = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, rest] if rest else [root])}


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        return {
            "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP
            | subprocess.CREATE_NO_WINDOW
            | subprocess.DETACHED_PROCESS
        }
    return {"start_new_session": True}


def _open_log(path: Path) -> IO[bytes]:
    """Open server.log for appending; a long one makes place first."""
    with contextlib.suppress(OSError):
        if path.stat().st_size > MAX_LOG:
            path.replace(path.with_name(f"{path.name}.1"))
    return open(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab")  # noqa: PTH123


def _first_line(stream: IO[bytes], deadline: float) -> bytes | None:
    """The one line the server reports with; None at the deadline. Closes the stream if it can."""
    lines: list[bytes] = []

    def read() -> None:
        with stream:
            lines.append(stream.readline())

    # A pipe cannot be read with a time-out on every system; a thread can.
    reader = threading.Thread(target=read, name="local cloud report", daemon=True)
    reader.start()
    reader.join(max(0.0, deadline - time.monotonic()))
    return lines[0] if lines else None


def _tail(log: Path, lines: int = 15) -> str:
    try:
        text = log.read_text("utf-8", errors="replace")
    except OSError:
        return f"Its log would be {log}."
    last = "\n".join(text.splitlines()[-lines:])
    return f"The end of {log}:\n{last}" if last else f"Its log {log} is empty."


# ----------------------------------------------------------------------- down ----


def down(state: Path, *, timeout: float = 15.0) -> bool:
    """Stop the local cloud on a state folder, and the replicas it runs.

    It is asked first; after `timeout` seconds it and all its children are killed.

    Returns:
        True if one was stopped, False if none was running.

    Raises:
        LocalCloudError: It belongs to somebody else, or does not end.
    """
    folder = StateFolder(state)
    deadline = time.monotonic() + timeout
    connection = None
    while folder.in_use():
        connection = _server(folder)
        if connection is not None:
            break
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"A local cloud lives on {folder.path}, but has not said which process it is.",
                f"Its log is {folder.file(SERVER_LOG)}.",
            )
        time.sleep(_POLL)
    else:
        folder.withdraw()
        return False
    process = process_of(connection)
    if process is not None:
        children = children_of(process)
        _ask(connection)
        while folder.in_use() and time.monotonic() < deadline:
            time.sleep(_POLL)
        if folder.in_use():
            children += children_of(process)
            for victim in (process, *children):
                with contextlib.suppress(Exception):
                    victim.kill()
        _wait_free(folder)
        # The lock goes shortly before the process: who asks for its end means the process.
        end = max(deadline, time.monotonic() + 1.0)
        while lives(process) and time.monotonic() < end:
            time.sleep(_POLL)
        collector = _collectors.pop(process.pid, None)
        if collector is not None:
            collector.join(max(0.0, end - time.monotonic()))
    folder.withdraw()
    return True


def _server(folder: StateFolder) -> dict[str, Any] | None:
    """Who lives on a folder in use: `cloud.json`, else `server.json`; None if neither can say."""
    for told in (folder.connection(), folder.holder()):
        if told is not None and process_of(told) is not None:
            return told
    return None


def _ask(connection: dict[str, Any]) -> None:
    """Ask a server to stop: by signal, or where there are none, over its identity listener.

    One without `cloud.json` cannot be asked over a listener; it is killed when the time is over.
    """
    if os.name != "posix":
        if "identity" in connection:
            _ask_by_request(connection)
        return
    try:
        os.kill(connection["pid"], signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise LocalCloudError(
            f"The local cloud (process {connection['pid']}) belongs to another user.",
            "Stop it as that user.",
        ) from None


def _ask_by_request(connection: dict[str, Any]) -> None:
    import http.client
    import urllib.parse

    identity = connection["identity"]
    address = urllib.parse.urlsplit(identity["endpoint"])
    with contextlib.suppress(OSError, http.client.HTTPException):
        link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
        try:
            link.request("POST", "/local/stop", headers={"X-IDENTITY-HEADER": identity["header"]})
            link.getresponse().read()
        finally:
            link.close()


def _wait_free(folder: StateFolder, timeout: float = 5.0) -> None:
    end = time.monotonic() + timeout
    while folder.in_use():
        if time.monotonic() > end:
            raise LocalCloudError(
                f"The local cloud on {folder.path} does not end.", "Restart the machine if it must."
            )
        time.sleep(_POLL)


# --------------------------------------------------------------------- status ----


def status(state: Path) -> CloudStatus:
    """How the local cloud on a state folder is. Changes nothing."""
    folder = StateFolder(state)
    size = _size(folder.path)
    connection = folder.connection()
    if not folder.in_use():
        found: Literal["stale", "stopped"]
        found = "stale" if folder.file(CONNECTION).exists() else "stopped"
        return CloudStatus(found, folder.path, size=size)
    process = process_of(connection) if connection is not None else None
    if connection is None or process is None:
        pid = (_server(folder) or {}).get("pid")
        return CloudStatus("starting", folder.path, pid=pid, size=size)
    memory = None
    with contextlib.suppress(Exception):
        memory = int(process.memory_info().rss)
    started = datetime.fromisoformat(connection["started"]).timestamp()
    return CloudStatus(
        "suspended" if suspended(process) else "running",
        folder.path,
        pid=connection["pid"],
        uptime=max(0.0, time.time() - started),
        memory=memory,
        ports=_ports(connection),
        size=size,
        connection=connection,
    )


def _ports(connection: dict[str, Any]) -> dict[str, int]:
    try:
        addresses = {
            "https": connection["resource_manager"],
            "identity": connection["identity"]["endpoint"].rpartition("/msi")[0],
            "amqp": connection["service_bus"]["amqp"],
            "amqps": connection["service_bus"]["amqps"],
        }
        return {name: int(address.rpartition(":")[2]) for name, address in addresses.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _size(path: Path) -> int:
    total = 0
    for entry in path.rglob("*"):
        with contextlib.suppress(OSError):
            if entry.is_file():
                total += entry.stat().st_size
    return total


# ---------------------------------------------------------------------- reset ----

_OURS = (
    *(SETTINGS, CONNECTION, LOCK, RECORD, CLOCK, STARTING, f"{SERVER_LOG}*"),
    *("*.sqlite", "*.sqlite-wal", "*.sqlite-shm", "*.sqlite-journal", "*.sqlite.damaged"),
    *("*.sqlite-departed", "*.duckdb", "*.duckdb.wal", "*.pem", ".*.tmp"),
)
_OUR_FOLDERS = ("az", "logs.duckdb.tmp", "replicas", "volumes")
_MARKS = (SETTINGS, "arm.sqlite", LOCK)


def reset(state: Path) -> None:
    """Stop the local cloud on a state folder and remove all its state.

    Only what a local cloud has made is removed; the folder goes when nothing else is in it.

    Raises:
        LocalCloudError: The folder is not a local cloud's, or something cannot be removed.
    """
    folder = StateFolder(state)
    path = folder.path
    if not path.exists():
        return
    if not path.is_dir():
        raise LocalCloudError(f"{path} is not a folder, so it is not a local cloud's state.")
    if not any(path.iterdir()):
        return
    if not any((path / mark).exists() for mark in _MARKS):
        raise LocalCloudError(
            f"{path} is not a local cloud's state folder; nothing was removed.",
            "Check ORCHESTRATOR_STATE and --state.",
        )
    down(path)
    import shutil

    try:
        for pattern in _OURS:
            for entry in path.glob(pattern):
                if entry.is_file() or entry.is_symlink():
                    entry.unlink(missing_ok=True)
        for name in _OUR_FOLDERS:
            shutil.rmtree(path / name, ignore_errors=True)
        if not any(path.iterdir()):
            path.rmdir()
    except OSError as error:
        raise LocalCloudError(
            f"{error.filename or path} cannot be removed ({error.strerror or error}).",
            "Close the program that uses it, then try again.",
        ) from error
