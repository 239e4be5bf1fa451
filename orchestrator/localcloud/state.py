"""The state folder: who may read it, who may use it, what is remembered between starts.

    local.json     what stays the same for ever: tenant, subscription, ports, secrets (0600)
    cloud.json     how to reach the running server (0600); there only while it runs
    lock           held by the server for as long as it lives; the system frees it when it dies
    server.json    which process holds the lock, from its first moment on
    server.log     what the server says, rotated
    *.sqlite, logs.duckdb, *.pem   the rooms' own

The folder is 0700 and every file in it 0600: it holds keys and messages.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from orchestrator.clock import SystemClock

SETTINGS = "local.json"
CONNECTION = "cloud.json"
LOCK = "lock"
RECORD = "server.json"
SERVER_LOG = "server.log"
PORTS = ("https", "identity", "amqp", "amqps")
PREFERRED = {"https": 14443, "identity": 14480, "amqp": 14672, "amqps": 14671}


class LocalCloudError(Exception):
    """The local cloud cannot do what was asked.

    Attributes:
        message: One sentence for the user.
        hint: What to do next.
        exit_code: What a command ends with: 1, or 2 where what it was asked for is wrong.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class StateUnreadable(LocalCloudError):  # noqa: N818 - says what is, not that it is an error
    """A file of the state folder cannot be used; it was left as it is."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The local cloud's state file {path} {reason}.",
            "Put back a good copy, or start afresh with `orchestrator local reset`, which removes "
            "all resources, messages and logs.",
        )
        self.path = path


class AlreadyRunning(LocalCloudError):  # noqa: N818
    """Another server lives on the same state folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"A local cloud is already running on {folder}.",
            "Use it, or stop it with `orchestrator local down`.",
        )


@dataclass
class Settings:
    """What `local.json` remembers.

    Attributes:
        tenant, subscription: Guids of this local cloud.
        owner: Object id of the person at the machine.
        ports: Listener name -> port.
        header: The IDENTITY_HEADER of the person at the machine.
        application: Client id and secret of an app registration, for clients that log in with one.
        application_object: Object id of that app registration's service principal.
    """

    tenant: str = field(default_factory=lambda: str(uuid.uuid4()))
    subscription: str = field(default_factory=lambda: str(uuid.uuid4()))
    owner: str = field(default_factory=lambda: str(uuid.uuid4()))
    ports: dict[str, int] = field(default_factory=dict)
    header: str = field(default_factory=lambda: secrets.token_hex(24))
    application: dict[str, str] = field(
        default_factory=lambda: {
            "client_id": str(uuid.uuid4()),
            # Hexadecimal: a secret that begins with '-' is an option to a command line.
            "client_secret": secrets.token_hex(24),
        }
    )
    application_object: str = field(default_factory=lambda: str(uuid.uuid4()))


class StateFolder:
    """The folder of one local cloud."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock = FileLock(self.path / LOCK, mode=0o600, thread_local=False)
        self._held: tuple[int, int] | None = None

    def file(self, name: str) -> Path:
        """The path of a file in the folder."""
        return self.path / name

    # ---------------------------------------------------------------- the lock ----

    def acquire(self, timeout: float = 2.0) -> None:
        """Make the folder and take it for this process.

        A short wait lets `local status`, which tries the lock for a moment, not get in the way.

        Raises:
            AlreadyRunning: Another server has it.
            LocalCloudError: The folder cannot be made or written.
        """
        make_folder(self.path)
        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.02)
            self._held = _identity(self.path / LOCK)
            self.record()
        except Timeout:
            raise AlreadyRunning(self.path) from None
        except OSError as error:
            self.release()
            raise unusable(self.path, error) from error

    def release(self) -> None:
        """Give the folder free."""
        if self._held is not None and not self.lost():
            with contextlib.suppress(OSError):
                self.file(RECORD).unlink(missing_ok=True)
        self._held = None
        self._lock.release()

    def lost(self) -> str | None:
        """Why the folder that was acquired is no longer this process's; None while it is.

        A lock holds a file, not a place: the folder can be removed, moved or replaced all the same.
        """
        if self._held is None:
            return None
        try:
            found = _identity(self.path / LOCK)
        except (FileNotFoundError, NotADirectoryError):
            if self.path.is_dir():
                return f"The file {self.path / LOCK} was removed."
            return f"The state folder {self.path} was removed or moved."
        except OSError:  # cannot be said at the moment
            return None
        if found == self._held:
            return None
        return f"The state folder {self.path} was replaced, and is not this server's any more."

    def in_use(self) -> bool:
        """Whether a server holds the folder at this moment."""
        if not self.path.is_dir() or not (self.path / LOCK).exists():
            return False
        probe = FileLock(self.path / LOCK, mode=0o600)
        try:
            probe.acquire(blocking=False)
        except Timeout:
            return True
        except OSError as error:
            raise unusable(self.path, error) from error
        probe.release()
        return False

    # ------------------------------------------------------------ what is kept ----

    def settings(self) -> Settings:
        """Read `local.json`; new settings (not yet saved) where there is none.

        Raises:
            StateUnreadable: It is damaged.
        """
        path = self.file(SETTINGS)
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return Settings()
        except (OSError, UnicodeDecodeError) as error:
            raise StateUnreadable(path, f"cannot be read ({error})") from error
        try:
            data = json.loads(text)
            known = {name: data[name] for name in Settings.__dataclass_fields__}
            for name, value in known.items():
                if type(value) is not type(getattr(_SAMPLE, name)):
                    raise ValueError(f"'{name}' is of the wrong type")
            if not all(isinstance(port, int) for port in known["ports"].values()):
                raise ValueError("'ports' holds something else than numbers")
            return Settings(**known)
        except (ValueError, KeyError, TypeError) as error:
            raise StateUnreadable(path, f"is damaged ({error})") from error

    def save(self, settings: Settings) -> None:
        """Write `local.json`, whole or not at all."""
        write_private(self.file(SETTINGS), _dump(dict(vars(settings))))

    def record(self) -> None:
        """Write `server.json`: this process holds the lock.

        Raises:
            OSError: It cannot be written.
        """
        started = SystemClock().now().isoformat()
        write_private(self.file(RECORD), _dump({"pid": os.getpid(), "started": started}))

    def has_record(self) -> bool:
        """Whether `server.json` names this process."""
        return (self.holder() or {}).get("pid") == os.getpid()

    def holder(self) -> dict[str, Any] | None:
        """What `server.json` says: `pid`, and `started` (ISO 8601) at which it took the lock.

        It outlives a server that was killed: true only of a process that is older than it, while
        the folder is in use.
        """
        return self._read(RECORD)

    def connection(self) -> dict[str, Any] | None:
        """What `cloud.json` says; None where there is none or it is damaged."""
        return self._read(CONNECTION)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads(self.file(name).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) and isinstance(value.get("pid"), int) else None

    def publish(self, connection: dict[str, Any]) -> None:
        """Write `cloud.json`: the server is ready."""
        write_private(self.file(CONNECTION), _dump(connection))

    def withdraw(self) -> None:
        """Remove `cloud.json`: the server is no longer there. Leaves another server's alone."""
        if self.lost():
            return
        with contextlib.suppress(FileNotFoundError):
            self.file(CONNECTION).unlink()


_SAMPLE = Settings()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _dump(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def unusable(path: Path, error: OSError) -> LocalCloudError:
    """What to say when the system refuses a folder."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return LocalCloudError(
            f"The disk that holds {path} is full.", "Free some space, then try again."
        )
    return LocalCloudError(
        f"The state folder {path} cannot be used ({error.strerror or error}).",
        "Choose another one with ORCHESTRATOR_STATE or --state.",
    )


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can read, and see to it that it is so.

    Raises:
        LocalCloudError: It cannot be made, or something else has its name.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and path.stat().st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise unusable(path, error) from error


def make_private(path: Path) -> None:
    """Create a file as 0600 before a library does it with wider rights; keep one that is there."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
            path.chmod(0o600)
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes) -> None:
    """Replace a 0600 file in one step; a reader sees the old or the new one, never a part.

    Raises:
        OSError: Nothing was changed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
