"""From an image to the process that stands for it: `[images.<name>]` of orchestrator.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.image_names import repository_names
from orchestrator.localcloud.runtime.model import StartFailure

FILE = "orchestrator.toml"


@dataclass(frozen=True, slots=True)
class ProcessImage:
    """How an image runs as a process.

    Attributes:
        process: The command line.
        folder: The working folder.
    """

    process: tuple[str, ...]
    folder: Path


class Images:
    """The images of a project; the file is read again whenever it has changed.

    Args:
        project: Folder of orchestrator.toml; None for a local cloud without a project.
    """

    def __init__(self, project: Path | None) -> None:
        self._project = project
        self._stamp: tuple[int, int] | None = None
        self._tables: Mapping[str, Any] = {}

    def resolve(self, image: str) -> ProcessImage:
        """How `image` runs.

        The registry's host, the tag and the digest do not count: `acr.azurecr.io/team/sender:1.0`
        is looked up as `acr.azurecr.io/team/sender`, `team/sender` and `sender`, in this order.

        Raises:
            StartFailure: Nothing is known of the image, or the file cannot be read.
        """
        tables = self._read(image)
        for name in repository_names(image):
            table = tables.get(name)
            if table is not None:
                return self._process(image, name, table)
        known = ", ".join(sorted(tables)) or "none"
        name = repository_names(image)[-1] if image else "name"
        raise StartFailure(
            "ImagePullFailure",
            f'Failed to pull image "{image}": {FILE} in {self._project} has no such image '
            f"(it has: {known}). Add [images.{_key(name)}] with process = [...], or correct the "
            "job's image.",
            permanent=True,
        )

    def _read(self, image: str) -> Mapping[str, Any]:
        if self._project is None:
            raise StartFailure(
                "ImagePullFailure",
                f'Failed to pull image "{image}": the local cloud was started without a project, '
                f"so there is no {FILE} to say how the image runs. Start it with --project FOLDER.",
                permanent=True,
            )
        path = self._project / FILE
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                document = tomllib.loads(path.read_text(encoding="utf-8"))
                images = document.get("images", {})
                self._tables = images if isinstance(images, dict) else {}
                self._stamp = stamp
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self._stamp = None
            raise StartFailure(
                "ImagePullFailure",
                f'Failed to pull image "{image}": {path} cannot be read: {error}.',
                permanent=True,
            ) from error
        return self._tables

    def _process(self, image: str, name: str, table: Any) -> ProcessImage:
        project = self._project or Path()
        process = table.get("process") if isinstance(table, dict) else None
        if (
            not isinstance(process, list)
            or not process
            or not all(isinstance(word, str) for word in process)
        ):
            raise StartFailure(
                "ImagePullFailure",
                f'Failed to pull image "{image}": [images.{_key(name)}] in {project / FILE} needs '
                'process = ["program", "argument", ...].',
                permanent=True,
            )
        return ProcessImage(
            process=tuple(word.replace("{python}", sys.executable) for word in process),
            folder=project / str(table.get("workdir") or "."),
        )


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
