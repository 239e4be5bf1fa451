"""A deployment script as its resource has it, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.localcloud.durations import read_duration

Json = dict[str, Any]

CLI, POWERSHELL = "AzureCLI", "AzurePowerShell"
KINDS = {kind.lower(): kind for kind in (CLI, POWERSHELL)}

TIMEOUT = "P1D"
"""How long a script may run that says nothing of it."""

ALWAYS, ON_SUCCESS, ON_EXPIRATION = "Always", "OnSuccess", "OnExpiration"
CLEANUPS = {name.lower(): name for name in (ALWAYS, ON_SUCCESS, ON_EXPIRATION)}

HELP = (
    "Please refer to https://aka.ms/DeploymentScriptsTroubleshoot for more deployment script "
    "information."
)


@dataclass(frozen=True, slots=True)
class Script:
    """What is to be run.

    Attributes:
        name: The resource's.
        kind: `CLI` or `POWERSHELL`.
        content: The script itself; "" where it is at `primary`.
        primary: Its address; "" where it is in the resource.
        supporting: Addresses of the files beside it.
        arguments: As on a command line.
        variables: What it is told in its environment. Holds secrets.
        time_out: Seconds that it may run.
        cleanup: When its files go, one of `CLEANUPS`.
        identities: Resource ids and client ids of its user-assigned identities.
        resource: The whole resource.
    """

    name: str
    kind: str
    content: str
    primary: str
    supporting: tuple[str, ...]
    arguments: str
    variables: Mapping[str, str] = field(repr=False)
    time_out: float
    cleanup: str
    identities: tuple[tuple[str, str], ...]
    resource: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a script failed: a code of Azure's ("Deployment script error codes") and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a script ended.

    Attributes:
        outputs: What it has put out; None where it has put out nothing.
        failure: Why it failed; None where it has not.
    """

    outputs: Json | None = None
    failure: Failure | None = None


def read_script(resource: Json) -> Script:
    """A script out of its resource, which has been checked."""
    properties = resource["properties"]
    assigned = (resource.get("identity") or {}).get("userAssignedIdentities") or {}
    return Script(
        name=str(resource["name"]),
        kind=str(resource["kind"]),
        content=str(properties.get("scriptContent") or ""),
        primary=str(properties.get("primaryScriptUri") or ""),
        supporting=tuple(properties.get("supportingScriptUris") or ()),
        arguments=str(properties.get("arguments") or ""),
        variables={
            str(item["name"]): str(item.get("secureValue", item.get("value", "")))
            for item in properties.get("environmentVariables") or ()
        },
        time_out=read_duration(properties["timeout"], "timeout"),
        cleanup=str(properties["cleanupPreference"]),
        identities=tuple((id, str(ids["clientId"])) for id, ids in assigned.items()),
        resource=resource,
    )
