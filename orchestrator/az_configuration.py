"""A configuration folder with which the `az` command reaches the local cloud.

For the person at the machine (`orchestrator local env --az`) and, in the local cloud itself, for
deployment scripts, which are logged in with their identity. It holds what `az cloud register`,
`az cloud set` and `az login --identity` would write, so that nothing has to be run, and a `bicep`
for `az deployment`, which it downloads otherwise. The user's own `~/.azure` is not touched.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "az"
CLOUD = "OrchestratorLocal"

# Keys of the file `config` that have to be so; what else is in it is the user's.
_SETTINGS = {
    "cloud": {"name": CLOUD},
    "core": {"instance_discovery": "false", "collect_telemetry": "no"},
    "bicep": {"use_binary_from_path": "false", "check_version": "false"},
}


PERSON = "MSI"
"""Logged in as the person at the machine, whose IDENTITY_HEADER is `cloud.json`'s."""


def of_identity(client_id: str) -> str:
    """Logged in as a user-assigned identity, as `az login --identity --client-id` notes it."""
    return f"MSIClient-{client_id}"


def write(state: Path, connection: Mapping[str, Any], who: str | None = PERSON) -> Path:
    """Make the folder in the state folder, or bring it up to date; returns it.

    Args:
        state: The local cloud's state folder, or another one to make it in.
        connection: The content of its `cloud.json`.
        who: Who is logged in: `PERSON`, `of_identity(…)`, or None for nobody.

    Raises:
        OSError: It cannot be written.
    """
    folder = state / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    config = _read(folder / "config")
    for section, values in _SETTINGS.items():
        for key, value in values.items():
            _set(config, section, key, value)
    _save(folder / "config", config)
    clouds = _read(folder / "clouds.config")
    for key, value in _endpoints(connection).items():
        _set(clouds, CLOUD, key, value)
    _save(folder / "clouds.config", clouds)
    if who is not None:
        _log_in(folder / "azureProfile.json", connection, who)
    if os.name == "posix":
        _write_bicep(folder / "bin")
    return folder


def _endpoints(connection: Mapping[str, Any]) -> dict[str, str]:
    """The cloud as `az cloud register` writes it."""
    # With the slash that Azure's own has: some commands put a path right behind it.
    base = str(connection["resource_manager"]).rstrip("/") + "/"
    graph = f"{connection['login']}/"
    return {
        "endpoint_active_directory": str(connection["login"]),
        "endpoint_active_directory_resource_id": "https://management.azure.com/",
        "endpoint_active_directory_graph_resource_id": graph,
        "endpoint_microsoft_graph_resource_id": graph,
        "endpoint_management": "https://management.azure.com/",
        "endpoint_resource_manager": base,
        "endpoint_log_analytics_resource_id": str(connection["logs"]),
        "endpoint_gallery": base,
        "endpoint_portal": base,
        "suffix_acr_login_server_endpoint": ".azurecr.io",
        "suffix_keyvault_dns": ".vault.azure.net",
        "suffix_storage_endpoint": "core.windows.net",
        "subscription": str(connection["subscription"]),
    }


def _log_in(path: Path, connection: Mapping[str, Any], who: str) -> None:
    """Put somebody into the profile, unless somebody is logged in there."""
    try:
        known = json.loads(path.read_text(encoding="utf-8-sig"))
        accounts = known.get("subscriptions", [])
    except (OSError, ValueError, AttributeError):
        known, accounts = {}, []
    subscription = str(connection["subscription"])
    if any(account.get("id") == subscription for account in accounts):
        return
    tenant = str(connection["tenant"])
    account = {
        "id": subscription,
        "name": "Local cloud",
        "state": "Enabled",
        "user": {
            "name": "systemAssignedIdentity" if who == PERSON else "userAssignedIdentity",
            "type": "servicePrincipal",
            "assignedIdentityInfo": who,
        },
        "isDefault": True,
        "tenantId": tenant,
        "environmentName": CLOUD,
        "homeTenantId": tenant,
        "managedByTenants": [],
    }
    known = {"installationId": known.get("installationId") or str(uuid.uuid4())}
    # Accounts of a local cloud that was reset lead nowhere.
    _write(path, json.dumps(known | {"subscriptions": [account]}))


def _write_bicep(folder: Path) -> None:
    """`az` runs `bin/bicep` of its configuration folder; this one is orchestrator's compiler."""
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / "bicep"
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m orchestrator.bicep "$@"\n'
    if program.exists() and "orchestrator.bicep" not in program.read_text(errors="replace")[:2000]:
        # The real one, put there with `az bicep install`.
        return
    _write(program, text)
    program.chmod(0o700)


def _read(path: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read(path, encoding="utf-8")
    except configparser.Error:
        # `az` removes a file that it cannot read, too.
        return configparser.ConfigParser(interpolation=None)
    return config


def _set(config: configparser.ConfigParser, section: str, key: str, value: str) -> None:
    if not config.has_section(section):
        config.add_section(section)
    config.set(section, key, value)


def _save(path: Path, config: configparser.ConfigParser) -> None:
    import io

    text = io.StringIO()
    config.write(text)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    """Whole or not at all: another `az` may be reading."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o600)
    part.replace(path)
