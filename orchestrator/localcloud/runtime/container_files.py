"""What is copied into a container before it starts, as the tar archives that an engine takes."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from orchestrator.localcloud.runtime.model import ContainerSpec
from orchestrator.localcloud.runtime.python_site import ROUTES, SITE

FOLDER = "/.orchestrator"
"""Where a container finds what the local cloud gives it."""


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar of files by absolute path, to be unpacked at `/`; readable for everybody.

    Without entries for folders: one would replace a symbolic link of the image.
    """
    return _tar(
        (_entry(path.lstrip("/"), len(content)), content) for path, content in files.items()
    )


def open_folder(name: str) -> bytes:
    """A tar with one folder that everybody may write to."""
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o777
    return _tar([(entry, b"")])


def secret_files(container: ContainerSpec) -> dict[str, bytes]:
    """The files of a container's Secret volumes, by absolute path."""
    found: dict[str, bytes] = {}
    for mount in container.mounts:
        for path, value in (mount.secrets or {}).items():
            if not mount.sub_path:
                found[posixpath.join(mount.path, path)] = value.encode()
            elif PurePosixPath(path) == PurePosixPath(mount.sub_path):
                found[mount.path] = value.encode()
    return found


def platform_files(
    env: dict[str, str], shared: Iterable[Path], image_path: str
) -> dict[str, bytes]:
    """Make the platform's variables right for a container, and return the files they name.

    Args:
        env: The container's variables; changed: a path of this machine becomes the container's.
        shared: Files of this machine that variables name.
        image_path: PYTHONPATH of the image, which goes on to count; "" for none.
    """
    files: dict[str, bytes] = {}
    for path in shared:
        inside = f"{FOLDER}/{path.name}"
        names = [name for name, value in env.items() if value == str(path)]
        if names:
            files[inside] = path.read_bytes()
            env.update(dict.fromkeys(names, inside))
    if env.get(ROUTES):
        for module in SITE.glob("*.py"):
            files[f"{FOLDER}/python/{module.name}"] = module.read_bytes()
        rest = env.get("PYTHONPATH", image_path)
        env["PYTHONPATH"] = ":".join(filter(None, (f"{FOLDER}/python", rest)))
    return files


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    entry.mode = 0o644
    return entry


def _tar(entries: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for entry, content in entries:
            packed.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
