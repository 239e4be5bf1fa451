"""Volumes of containers that are processes.

A process has no file system of its own in which a volume could be mounted. Its volumes are folders
below the state folder, and it is told where: wherever a variable, the command or an argument of the
template names a mount path, alone or as the beginning of a path, it gets the folder instead; and
ORCHESTRATOR_VOLUMES lists all of them as JSON, by mount path.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orchestrator.localcloud.runtime.model import ContainerSpec, Mount

FOLDER = "replicas"
VARIABLE = "ORCHESTRATOR_VOLUMES"


@dataclass(frozen=True, slots=True)
class Volumes:
    """A container's volumes, laid out.

    Attributes:
        folders: Folder (or file, of a sub path) by mount path.
    """

    folders: Mapping[str, str]

    def env(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The variables, with folders in the place of mount paths."""
        if not self.folders:
            return dict(variables)
        led = {name: self._lead(value) for name, value in variables.items()}
        return led | {VARIABLE: json.dumps(dict(self.folders))}

    def words(self, words: Sequence[str]) -> list[str]:
        """The same for the words of a command line."""
        return [self._lead(word) for word in words]

    def _lead(self, text: str) -> str:
        if not self.folders:
            return text
        # A path begins a text, or follows what separates it from others: --data=/data, a:/data.
        # In one pass: a folder may itself lie below a path that is mounted.
        paths = "|".join(re.escape(path) for path in sorted(self.folders, key=len, reverse=True))
        pattern = rf"(?:(?<=[=:,;\s\"'])|^)(?:{paths})(?=$|[/:,;\s\"'])"
        return re.sub(pattern, lambda found: self.folders[found[0]], text)


def lay_out(state: Path, replica: str, container: ContainerSpec) -> Volumes:
    """Make the folders of a container's volumes. An EmptyDir that is there already is kept.

    Raises:
        OSError: They cannot be made.
    """
    base = _folder(state, replica)
    return Volumes(
        {
            mount.path.rstrip("/") or "/": str(_lay_out(base, container.name, mount))
            for mount in container.mounts
        }
    )


def clear(state: Path, replica: str) -> None:
    """Remove what a replica's volumes hold."""
    shutil.rmtree(_folder(state, replica), ignore_errors=True)


def _lay_out(base: Path, container: str, mount: Mount) -> Path:
    sub_path = PurePosixPath(mount.sub_path)
    if mount.secrets is None:
        folder = base.joinpath("volumes", mount.volume, *sub_path.parts)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder
    # Each container has its own: it sees the secrets as they were when it started.
    root = base.joinpath("secrets", container, mount.volume)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, mode=0o700)
    for path, value in mount.secrets.items():
        file = root.joinpath(*PurePosixPath(path).parts)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as opened:
            opened.write(value)
    return root.joinpath(*sub_path.parts)


def _folder(state: Path, replica: str) -> Path:
    return state / FOLDER / replica
