"""The settings of an isolated cloud: those of an orchestrator.toml, if any, and the test's.

They are written to a folder of the test's own, with one local profile. What they refer to (working
folders, secret files) stays where it is.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import SettingsNotFound
from orchestrator.settings import toml_text

if TYPE_CHECKING:
    from orchestrator.settings import Settings

FILE = "orchestrator.toml"
_PROFILE = "local"
# What a job's variables may be made of; state and ports are the test's.
_KEPT = (
    "resource_group",
    "location",
    "environment",
    "namespace",
    "identity",
    "workspace",
    "registry",
)


class Project:
    """Settings that grow with a test.

    Args:
        folder: Where they are written.
        source: The orchestrator.toml to begin with, or its folder; None: with nothing.

    Raises:
        SettingsError: `source` is not what a settings file has to be.
        SettingsNotFound: It is not there.
    """

    def __init__(self, folder: Path, source: str | os.PathLike[str] | None = None) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._tables: dict[str, Any] = {}
        if source is not None:
            self._take(Path(source))
        profile = self._tables.pop("profiles", {}).get(_PROFILE, {})
        kept = {key: profile[key] for key in _KEPT if key in profile}
        self._tables["default_profile"] = _PROFILE
        self._tables["profiles"] = {_PROFILE: {"kind": "local", "state": "state", **kept}}
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, table: str, name: str, values: Mapping[str, Any]) -> None:
        """Set `[table.name]`.

        Raises:
            SettingsError: It is not valid; nothing is changed.
        """
        before = self._tables.get(table, {})
        self._tables[table] = before | {name: dict(values)}
        try:
            self._check()
        except BaseException:
            self._tables[table] = before
            raise
        self._write()

    def load(self) -> Settings:
        """The settings as they are now."""
        from orchestrator.settings import load

        return load(self.path, environ={})

    def _take(self, source: Path) -> None:
        from orchestrator.settings import load

        path = (source / FILE if source.is_dir() else source).absolute()
        if not path.is_file():
            raise SettingsNotFound(
                f"There is no settings file {path}.", "Make one: orchestrator init", path=path
            )
        load(path, environ={})  # tells what is wrong by the file's own name
        self._tables = tomllib.loads(path.read_text(encoding="utf-8"))
        for image in self._tables.get("images", {}).values():
            image["workdir"] = str(path.parent / image.get("workdir", "."))
        for job in self._tables.get("jobs", {}).values():
            for secret in job.get("secrets", {}).values():
                if "file" in secret:
                    secret["file"] = str(path.parent / secret["file"])

    def _check(self) -> None:
        from orchestrator.settings import check

        check(self._tables, self.path)

    def _write(self) -> None:
        lines = [
            f"{toml_text.key(name)} = {toml_text.inline(value)}\n"
            for name, value in self._tables.items()
        ]
        # Never half a file: the server reads it whenever a replica starts.
        temporary = self.path.with_suffix(".new")
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(self.path)
