"""Where the container engine is: Docker's or Podman's, through the Docker Engine API.

Neutral ground, as `orchestrator.clock` is: the local cloud runs containers on the engine, and the
control plane builds and pushes images with it. The `docker` package is imported when it is used.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import docker

TIMEOUT = 60.0
"""Seconds that the engine may take for an answer."""


class EngineUnavailable(Exception):  # noqa: N818 - it is not there, which is nobody's error
    """There is no engine to speak to.

    Attributes:
        message: One sentence.
        hint: What to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def connect(timeout: float = TIMEOUT) -> docker.APIClient:
    """A client of the engine: the one that DOCKER_HOST names, or the first that answers.

    Without DOCKER_HOST, the sockets of Docker, Docker Desktop and Podman are tried at their usual
    places. Close the client after use.

    Raises:
        EngineUnavailable: The `docker` package is missing, or no engine answers.
    """
    try:
        import docker
        import docker.errors
        from docker.tls import TLSConfig
    except ImportError as error:
        raise EngineUnavailable(
            "Containers need the Python package `docker`, which is not installed.",
            "pip install 'aca-orchestrator[containers]'",
        ) from error
    named = os.environ.get("DOCKER_HOST")
    tried = []
    for address in [named] if named else addresses():
        tls: TLSConfig | None = None
        folder = os.environ.get("DOCKER_CERT_PATH")
        if named and folder and os.environ.get("DOCKER_TLS_VERIFY"):
            tls = TLSConfig(
                client_cert=(f"{folder}/cert.pem", f"{folder}/key.pem"),
                ca_cert=f"{folder}/ca.pem",
                verify=True,
            )
        try:
            _knock(address)
            return docker.APIClient(address, version="auto", timeout=int(timeout), tls=tls or False)
        except (docker.errors.DockerException, OSError, ValueError) as error:
            tried.append((address, error))
    if named:
        why = _reason(tried[0][1])
        raise EngineUnavailable(
            f"No container engine answers at DOCKER_HOST={named} ({why}).",
            "Start Docker or Podman there, or correct DOCKER_HOST.",
        )
    where = ", ".join(address for address, _ in tried) or "the usual places"
    raise EngineUnavailable(
        f"No container engine answers (tried {where}).",
        "Start Docker, or Podman with `podman system service --time=0`; DOCKER_HOST names an "
        "engine elsewhere.",
    )


def addresses() -> Iterator[str]:
    """Where an engine may listen on this machine, those that exist."""
    if sys.platform == "win32":
        yield "npipe:////./pipe/docker_engine"
        yield "npipe:////./pipe/podman-machine-default"
        return
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    home = Path.home()
    for path in (
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        *([Path(runtime, "docker.sock"), Path(runtime, "podman/podman.sock")] if runtime else []),
        Path("/run/podman/podman.sock"),
    ):
        if path.exists():
            yield f"unix://{path}"


def _knock(address: str) -> None:
    """Raise OSError where nobody listens: the SDK leaves its socket open then."""
    if address.startswith("unix://") and sys.platform != "win32":
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(5)
            door.connect(address.removeprefix("unix://"))


def said(error: Exception) -> str:
    """What the engine said about a failure, in one line and without a full stop."""
    text = str(getattr(error, "explanation", "") or _reason(error))
    return " ".join(text.split()).rstrip(".")


def _reason(error: BaseException) -> str:
    # The cause lies deepest: "connection refused" under three layers of HTTP.
    while True:
        inner = error.__cause__ or error.__context__
        if inner is None or inner is error:
            break
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
