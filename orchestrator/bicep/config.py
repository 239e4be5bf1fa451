"""bicepconfig.json: the nearest one above a file decides, over that which it extends."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from orchestrator.bicep.paths import path_fault

_DEEPEST = 32
_NO_PATH = re.compile(r"builtin:|br[:/]")  # types that come with the real compiler, or a registry's
# Source: Azure's documentation of its clouds
_MANAGERS = {
    "AzureCloud": "https://management.azure.com",
    "AzureChinaCloud": "https://management.chinacloudapi.cn",
    "AzureUSGovernment": "https://management.usgovcloudapi.net",
}


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> tuple[dict[str, Any], str]:
    from orchestrator.bicep.loading import read_json

    try:
        found = read_json(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as fault:
        return {}, str(fault)
    return (found, "") if isinstance(found, dict) else ({}, "it is no object")


def _merged(base: Any, over: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}


@dataclass(slots=True)
class _Config:
    path: Path | None = None  # of the nearest file
    values: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    fault: str = ""  # why it can't be read, as a sentence


def _with_extended(path: Path, chain: tuple[Path, ...] = ()) -> _Config:
    """A configuration with that which it extends, and that one's."""
    if path in chain:
        steps = " → ".join(str(step) for step in (*chain, path))
        return _Config(path, {}, "BCP454", f"These configurations extend each other: {steps}.")
    try:
        found, fault = _read(path, path.stat().st_mtime_ns)
    except OSError as missing:
        found, fault = {}, str(missing.strerror)
    if fault:
        return _Config(path, {}, "BCP271", f"{path} can't be read: {fault}.")
    other = found.get("extends")
    if not isinstance(other, str) or not other.strip():
        return _Config(path, found)
    if path_fault(other, folder=True) is not None or len(chain) >= _DEEPEST:
        return _Config(
            path, {}, "BCP453", f'{path} extends "{other}", which is no path from there.'
        )
    base = _with_extended(Path(os.path.normpath(path.parent / other)), (*chain, path))
    return _Config(path, _merged(base.values, found), base.code, base.fault)


def _nearest(folder: Path) -> _Config:
    for place in (folder, *folder.parents):
        path = place / "bicepconfig.json"
        if path.is_file():
            return _with_extended(path)
    return _Config()


def nearest_config(folder: Path) -> dict[str, Any]:
    """The configuration for a folder's files; empty when there is none, or it can't be read."""
    return _nearest(folder).values


def config_fault(folder: Path) -> tuple[str, str] | None:
    """Why a folder's configuration can't be read (code, sentence); None when it can."""
    found = _nearest(folder)
    return (found.code, found.fault) if found.fault else None


def experimental(folder: Path, feature: str) -> bool:
    """Whether an experimental feature is enabled."""
    enabled = nearest_config(folder).get("experimentalFeaturesEnabled", {})
    return isinstance(enabled, dict) and enabled.get(feature) is True


def module_alias(folder: Path, kind: str, name: str) -> dict[str, str] | None:
    """A module alias (`br/NAME:`, `ts/NAME:`) of the configuration."""
    found: Any = nearest_config(folder)
    for key in ("moduleAliases", kind, name):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return None
    return {key: value for key, value in found.items() if isinstance(value, str)}


def mocked_modules(folder: Path, alias: str) -> Path | None:
    """The folder whose files stand for an alias's modules (`moduleAliasesMock`), if any."""
    nearest = _nearest(folder)
    found: Any = nearest.values
    for key in ("moduleAliasesMock", "br", alias, "mapToFilePath"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str) or nearest.path is None:
        return None
    return Path(os.path.normpath(nearest.path.parent / found))


def types_path(folder: Path) -> Path | None:
    """The library of Azure's types that `extensions.az` names by a path, if any."""
    nearest = _nearest(folder)
    found: Any = nearest.values
    for key in ("extensions", "az"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str) or nearest.path is None or _NO_PATH.match(found):
        return None
    return Path(os.path.normpath(nearest.path.parent / found))


def _rule(folder: Path, code: str) -> tuple[bool, dict[str, Any]]:
    """Whether the linter is on, and what is set for one of its rules."""
    found: Any = nearest_config(folder)
    for key in ("analyzers", "core"):
        found = found.get(key) if isinstance(found, dict) else None
    core = found if isinstance(found, dict) else {}
    rules = core.get("rules")
    rule = rules.get(code) if isinstance(rules, dict) else None
    return core.get("enabled") is not False, rule if isinstance(rule, dict) else {}


def rule_level(folder: Path, code: str) -> str | None:
    """off, info, warning or error, where the configuration says it for a rule of the linter."""
    enabled, rule = _rule(folder, code)
    if not enabled:
        return "off"
    level = str(rule.get("level", "")).lower()
    return level if level in ("off", "info", "warning", "error") else None


def rule_values(folder: Path, code: str, key: str) -> tuple[str, ...]:
    """A list that is set for a rule of the linter; its name in small letters."""
    _, rule = _rule(folder, code)
    for name, values in rule.items():
        if name.lower() == key and isinstance(values, list):
            return tuple(value for value in values if isinstance(value, str))
    return ()


def _cloud(folder: Path) -> dict[str, Any]:
    found = nearest_config(folder).get("cloud")
    return found if isinstance(found, dict) else {}


def resource_manager(folder: Path) -> str:
    """Where Resource Manager is, without a slash at its end (`cloud.currentProfile`)."""
    cloud = _cloud(folder)
    name = cloud.get("currentProfile")
    found: Any = cloud.get("profiles")
    for key in (name, "resourceManagerEndpoint"):
        found = found.get(key) if isinstance(found, dict) and isinstance(key, str) else None
    if isinstance(found, str) and found.startswith("https://"):
        return found.rstrip("/")
    return _MANAGERS.get(str(name), _MANAGERS["AzureCloud"])


def credential_names(folder: Path) -> tuple[str, ...]:
    """Which logins are tried, in which order (`cloud.credentialPrecedence`)."""
    names = _cloud(folder).get("credentialPrecedence")
    if not isinstance(names, list):
        return ("AzureCLI", "AzurePowerShell")
    return tuple(name for name in names if isinstance(name, str))


def not_built_in(what: str, feature: str) -> str:
    """What is said of an experimental feature that the built-in compiler leaves out."""
    return (
        f'{what} the experimental feature "{feature}", which the built-in compiler does not have.'
    )
