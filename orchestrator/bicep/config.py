"""bicepconfig.json: the nearest one above a file decides."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> dict[str, Any]:
    from orchestrator.bicep.loading import read_json

    try:
        found = read_json(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def nearest_config(folder: Path) -> dict[str, Any]:
    """The configuration for a folder's files; empty when there is none, or it can't be read."""
    for place in (folder, *folder.parents):
        path = place / "bicepconfig.json"
        if path.is_file():
            return _read(path, path.stat().st_mtime_ns)
    return {}


def experimental(folder: Path, feature: str) -> bool:
    """Whether an experimental feature is enabled."""
    enabled = nearest_config(folder).get("experimentalFeaturesEnabled", {})
    return isinstance(enabled, dict) and enabled.get(feature) is True


def module_alias(folder: Path, kind: str, name: str) -> dict[str, str] | None:
    """A module alias (`br/NAME:`, `ts/NAME:`) of the configuration."""
    aliases = nearest_config(folder).get("moduleAliases", {})
    found = aliases.get(kind, {}).get(name) if isinstance(aliases, dict) else None
    return found if isinstance(found, dict) else None


def not_built_in(what: str, feature: str) -> str:
    """What is said of an experimental feature that the built-in compiler leaves out."""
    return (
        f'{what} the experimental feature "{feature}", which the built-in compiler does not have.'
    )
