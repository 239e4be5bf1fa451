"""The engine that these tests run on, and the images that they need there."""

from __future__ import annotations

import functools
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from orchestrator.container_engine import EngineUnavailable, connect

BASE = "localhost/orchestrator-stand-in:1"
PYTHON = "localhost/orchestrator-test-python:1"
SCRATCH = "localhost/orchestrator-test-scratch:1"
OTHERS = 10001
"""Who runs in the test image: not root, as in the payloads' images."""


@functools.cache
def missing() -> str:
    """Why there is no engine to test on; "" when there is one."""
    try:
        client = connect()
    except EngineUnavailable as error:
        return f"{error.message} tests/containers/engine.sh makes one"
    try:
        if not client.images(BASE):
            return f"the engine has no {BASE}; tests/containers/engine.sh makes it"
    finally:
        client.close()
    return ""


def required() -> None:
    """Skip, with a word, where no engine answers."""
    if missing():
        pytest.skip(missing())


def build(dockerfile: str, tag: str) -> None:
    """Build an image without context, unless it is there."""
    client = connect()
    try:
        if client.images(tag):
            return
        for step in client.build(
            fileobj=_context(dockerfile), custom_context=True, tag=tag, decode=True, rm=True
        ):
            assert "error" not in step, step["error"]
    finally:
        client.close()


def prepare(folder: Path) -> None:
    """The images of the contract; several test processes may ask at once."""
    with FileLock(folder / "images.lock"):
        build(
            f"FROM {BASE}\nUSER {OTHERS}\nENV FROM_IMAGE=1 PYTHONPATH=/opt/of-image\n"
            'WORKDIR /tmp\nENTRYPOINT ["python3"]\nCMD ["-c", "print(\'default\')"]\n',
            PYTHON,
        )
        build('FROM scratch\nLABEL stands=for-nothing\nENTRYPOINT ["/nothing"]\n', SCRATCH)


def on_engine(state: Path) -> list[dict[str, Any]]:
    """What of a state folder is on the engine: containers and volumes."""
    client = connect()
    try:
        wanted = {"label": f"io.orchestrator.state={state}"}
        found = client.containers(all=True, filters=wanted)
        found += client.volumes(filters=wanted).get("Volumes") or []
        return found
    finally:
        client.close()


def _context(dockerfile: str) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        packed.addfile(entry, io.BytesIO(dockerfile.encode()))
    buffer.seek(0)
    return buffer
