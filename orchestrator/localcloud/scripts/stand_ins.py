"""What stands for a deployment script here: `[scripts.<name>]` of orchestrator.toml.

For scripts that cannot run on this machine (no PowerShell, another system's tools), or should not.
The name is the script's; with `*` and `?` it stands for several.
"""

from __future__ import annotations

import fnmatch
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "orchestrator.toml"


class StandInError(Exception):
    """The file, or what it says of a script, cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """What is done in a script's place.

    Attributes:
        outputs: The outputs that it is taken to have; None: what the process puts out.
        process: The command that is run; empty for none.
        folder: The working folder of that.
    """

    outputs: dict[str, Any] | None
    process: tuple[str, ...]
    folder: Path


def stand_in(project: Path | None, script: str) -> StandIn | None:
    """What orchestrator.toml says of a script; None where it says nothing.

    Args:
        project: The file's folder; None for a local cloud without a project.
        script: The script's name; case does not count.

    Raises:
        StandInError: The file is no TOML, or the table is not as it must be.
    """
    if project is None or not (project / FILE).is_file():
        return None
    try:
        document = tomllib.loads((project / FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StandInError(f"{project / FILE} cannot be read: {error}.") from None
    tables = document.get("scripts", {})
    found = _of_name(tables if isinstance(tables, dict) else {}, script.lower())
    if found is None:
        return None
    name, table = found
    outputs = table.get("outputs") if isinstance(table, dict) else None
    process = table.get("process", []) if isinstance(table, dict) else []
    words = isinstance(process, list) and all(isinstance(word, str) for word in process)
    told = outputs is None or isinstance(outputs, dict)
    if not words or not told or not (process or isinstance(outputs, dict)):
        raise StandInError(
            f'[scripts."{name}"] in {project / FILE} needs outputs = {{ … }}, or process = '
            '["program", "argument", …].'
        )
    return StandIn(
        outputs,
        tuple(word.replace("{python}", sys.executable) for word in process),
        project / str(table.get("workdir") or "."),
    )


def _of_name(tables: Mapping[str, Any], script: str) -> tuple[str, Any] | None:
    """The table of that very name, else the first whose pattern it matches."""
    for name, table in tables.items():
        if name.lower() == script:
            return name, table
    for name, table in tables.items():
        if fnmatch.fnmatchcase(script, name.lower()):
            return name, table
    return None
