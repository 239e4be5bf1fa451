"""Ports: loopback only, remembered, and a clear word when one is taken."""

from __future__ import annotations

import errno
import os
import socket

from orchestrator.localcloud.state import PORTS, PREFERRED, LocalCloudError, Settings

HOST = "127.0.0.1"

OPTIONS = {
    "https": "--port",
    "identity": "--identity-port",
    "amqp": "--amqp-port",
    "amqps": "--amqps-port",
}
_PURPOSE = {
    "https": "Resource Manager and Log Analytics (HTTPS)",
    "identity": "the managed-identity endpoint (HTTP)",
    "amqp": "Service Bus (AMQP)",
    "amqps": "Service Bus (AMQP over TLS)",
}
_TAKEN = {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, getattr(errno, "WSAEACCES", errno.EACCES)}


def bind(settings: Settings, pinned: dict[str, int | None]) -> dict[str, socket.socket]:
    """A bound socket for each listener; the ports are written into `settings.ports`.

    A pinned port wins over a remembered one, that over the preferred one. When one is taken, only
    a preferred port is replaced, since jobs hold the remembered ones; and a remembered one where
    any free one was asked for (0).

    Raises:
        LocalCloudError: A pinned or remembered port is taken; nothing stays bound.
    """
    sockets: dict[str, socket.socket] = {}
    ports: dict[str, int] = {}
    try:
        for name in PORTS:
            wanted = pinned.get(name)
            firm = wanted is not None or name in settings.ports
            port = wanted if wanted is not None else settings.ports.get(name, PREFERRED[name])
            if wanted == 0 and settings.ports.get(name):
                # "Any free one" was answered at an earlier start; clients hold that answer.
                port, firm = settings.ports[name], False
            sockets[name] = _bind(name, port, firm)
            ports[name] = sockets[name].getsockname()[1]
    except BaseException:
        for opened in sockets.values():
            opened.close()
        raise
    settings.ports = ports
    return sockets


def _bind(name: str, port: int, firm: bool) -> socket.socket:
    try:
        return _listen(port)
    except OverflowError:
        raise LocalCloudError(
            f"{port} is no port for {_PURPOSE[name]}.", "Ports are numbers from 0 to 65535."
        ) from None
    except OSError as error:
        if error.errno in _TAKEN | _FORBIDDEN and not firm:
            return _listen(0)
        reason = "is taken by another program"
        if error.errno in _FORBIDDEN:
            reason = "may not be used by you"
        elif error.errno not in _TAKEN:
            reason = f"cannot be used ({error.strerror or error})"
        raise LocalCloudError(
            f"Port {port} for {_PURPOSE[name]} {reason}.",
            f"Free it, or choose another with `orchestrator local up {OPTIONS[name]} N` "
            "(0: any free one).",
        ) from None


def _listen(port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Take over a port whose last connections still linger.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        opened.bind((HOST, port))
        opened.listen(512)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened
