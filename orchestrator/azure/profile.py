"""A profile: one place where the jobs live. Endpoints, a credential, a CA bundle, names; no more.

A profile of kind `azure` has its endpoints from the settings (public Azure by default); one of
kind `local` has them from the connection file that a running local cloud keeps in its state
folder. Behind that difference everything goes one way.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from orchestrator.errors import NotReachable, Problem, ProfileError, SettingsError
from orchestrator.settings.reader import FAILED, Reader
from orchestrator.settings.tables import (
    AZURE_NEEDS,
    AZURE_ONLY,
    LOCAL_ONLY,
    ProfileSpec,
    Settings,
)

CONNECTION_FILE = "cloud.json"
START_HINT = "Start it: orchestrator local up"
_PLACEHOLDER_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_OTHER_VARIABLES = ("PROFILE", "SETTINGS", "STATE")

# The names in a local cloud, where the settings give none.
_LOCAL_NAMES = {
    "resource_group": "local",
    "location": "westeurope",
    "environment": "local",
    "namespace": "sb-local",
    "identity": "jobs",
    "workspace": "local",
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen profile, with the names that its settings give; `azure.names` has the rest.

    `state`: a local profile's state folder; None for azure.
    `spec`: the table it comes from, with the ORCHESTRATOR_* variables applied.
    """

    name: str
    kind: Literal["local", "azure"]
    resource_group: str
    environment: str | None = None
    location: str | None = None
    namespace: str | None = None
    identity: str | None = None
    workspace: str | None = None
    registry: str | None = None
    state: Path | None = None
    spec: ProfileSpec


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Where a profile's services answer, and how they are trusted.

    `service_bus`: "host:port" of a broker that is not at the namespace's own host (AMQP over TLS);
    None on Azure. `ca_bundle`: a PEM file; None: the usual authorities.
    `identity`: (url, header) of a managed-identity endpoint; None: DefaultAzureCredential.
    """

    subscription: str
    tenant: str | None = None
    resource_manager: str = "https://management.azure.com"
    resource_manager_audience: str = "https://management.azure.com"
    logs: str = "https://api.loganalytics.io"
    logs_audience: str = "https://api.loganalytics.io"
    service_bus_suffix: str = "servicebus.windows.net"
    service_bus: str | None = None
    ca_bundle: str | None = None
    identity: tuple[str, str] | None = None

    def __repr__(self) -> str:  # the identity's header is a secret
        return f"<Endpoints {self.resource_manager}>"


def resolve(
    settings: Settings, name: str | None = None, *, environ: Mapping[str, str] | None = None
) -> Profile:
    """The profile `name` (None: ORCHESTRATOR_PROFILE, else the default), variables applied.

    ORCHESTRATOR_<KEY> overrides a key of the chosen profile (ORCHESTRATOR_RESOURCE_GROUP, …).
    Raises ProfileError, SettingsError.
    """
    environ = os.environ if environ is None else environ
    chosen = name or environ.get("ORCHESTRATOR_PROFILE") or settings.default_profile
    spec = settings.profiles.get(chosen)
    if spec is None:
        known = ", ".join(settings.profiles) or "none"
        from difflib import get_close_matches

        near = get_close_matches(chosen, settings.profiles, 1)
        raise ProfileError(
            f'There is no profile "{chosen}".',
            f'Did you mean "{near[0]}"?' if near else f"The profiles there are: {known}.",
        )
    spec = _with_variables(spec, environ)
    if spec.kind == "local":
        names: dict[str, Any] = {
            key: getattr(spec, key) or default for key, default in _LOCAL_NAMES.items()
        }
        state = Path(spec.state).expanduser() if spec.state else Path(".orchestrator") / "local"
        return Profile(
            name=chosen,
            kind="local",
            registry=spec.registry,
            state=settings.folder / state,
            spec=spec,
            **names,
        )
    _check_azure(chosen, spec)
    names = {k: getattr(spec, k) for k in (*_LOCAL_NAMES, "registry")}
    return Profile(name=chosen, kind="azure", spec=spec, **names)


def _check_azure(name: str, spec: ProfileSpec) -> None:
    missing = [key for key in AZURE_NEEDS if not getattr(spec, key)]
    if missing:
        raise ProfileError(
            f'The profile "{name}" lacks {", ".join(missing)}.',
            f"Add it to [profiles.{name}], or set ORCHESTRATOR_{missing[0].upper()}.",
            problems=[Problem(f"profiles.{name}.{key}", "it is missing") for key in missing],
        )
    if spec.subscription == _PLACEHOLDER_SUBSCRIPTION:
        raise ProfileError(
            f'The profile "{name}" still has the starter file\'s subscription of zeros.',
            "Put your own there; `az account show --query id` prints it.",
            problems=[Problem(f"profiles.{name}.subscription", "it is all zeros")],
        )


def _with_variables(spec: ProfileSpec, environ: Mapping[str, str]) -> ProfileSpec:
    hints = typing.get_type_hints(ProfileSpec, include_extras=True)
    foreign = AZURE_ONLY if spec.kind == "local" else LOCAL_ONLY
    reader = Reader({}, {})
    changed: dict[str, Any] = {}
    known = {f"ORCHESTRATOR_{key.upper()}": key for key in hints if key != "kind"}
    for variable, text in environ.items():
        if not variable.startswith("ORCHESTRATOR_"):
            continue
        key = known.get(variable)
        if key is None:
            _refuse_near_miss(reader, variable, known)
        elif text and key not in foreign:
            value: Any = int(text) if key.endswith("port") and text.isdecimal() else text
            read = reader.value(hints[key], value, variable)
            if read is not FAILED:
                changed[key] = read
    if reader.problems:
        raise SettingsError(
            "\n".join(str(problem) for problem in reader.problems),
            "Correct the variable, or unset it.",
            problems=reader.problems,
        )
    return msgspec.structs.replace(spec, **changed)


def _refuse_near_miss(reader: Reader, variable: str, known: Mapping[str, str]) -> None:
    """A variable that looks like a slip of the pen would be ignored without a word otherwise."""
    word = variable.removeprefix("ORCHESTRATOR_")
    words = [*(name.removeprefix("ORCHESTRATOR_") for name in known), *_OTHER_VARIABLES]
    if word in _OTHER_VARIABLES or len(word) < 5:
        return
    from difflib import get_close_matches

    if near := get_close_matches(word, words, 1, 0.85):
        reader.problem(variable, "there is no such variable", f"ORCHESTRATOR_{near[0]}")


# ------------------------------------------------------------------------------- endpoints


def reach(profile: Profile) -> Endpoints:
    """The profile's endpoints. Raises NotReachable when they are a local cloud's that is not up."""
    if profile.kind == "azure":
        return _azure_endpoints(profile.spec)
    assert profile.state is not None
    return _local_endpoints(profile.state)


def _azure_endpoints(spec: ProfileSpec) -> Endpoints:
    assert spec.subscription is not None
    given: dict[str, Any] = {}
    if spec.resource_manager:
        given["resource_manager"] = spec.resource_manager.rstrip("/")
        given["resource_manager_audience"] = given["resource_manager"]
    if spec.logs:
        given["logs"] = given["logs_audience"] = spec.logs.rstrip("/")
    if spec.service_bus_suffix:
        given["service_bus_suffix"] = spec.service_bus_suffix
    return Endpoints(
        subscription=spec.subscription, tenant=spec.tenant, ca_bundle=spec.ca_bundle, **given
    )


class _Identity(msgspec.Struct):
    endpoint: str
    header: str

    def __repr__(self) -> str:
        return f"<identity endpoint {self.endpoint}>"


class _ServiceBus(msgspec.Struct):
    amqp: str
    amqps: str


class Connection(msgspec.Struct):
    """What a running local cloud says of itself in its connection file."""

    pid: int
    subscription: str
    tenant: str
    resource_manager: str
    logs: str
    identity: _Identity
    service_bus: _ServiceBus
    ca: str
    version: int = 1


def connection(state: Path) -> Connection:
    """The connection file of the local cloud in this state folder.

    Raises NotReachable when there is none, it is of a process that is gone, or it can't be read.
    """
    path = state / CONNECTION_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotReachable("No local cloud is running.", START_HINT) from None
    except OSError as error:
        raise NotReachable(
            f"The local cloud's connection file {path} can't be read: {error.strerror}.",
            "It belongs to the user who started the local cloud.",
        ) from None
    try:
        read = msgspec.json.decode(content, type=Connection)
    except msgspec.DecodeError as error:
        raise NotReachable(
            f"The local cloud's connection file {path} is damaged: {error}.",
            "Start it anew: orchestrator local down, then orchestrator local up",
        ) from None
    if read.version != 1:
        raise NotReachable(
            f"The running local cloud is of another version (connection file {read.version}).",
            "Start it anew: orchestrator local down, then orchestrator local up",
        )
    if not _alive(read.pid):
        raise NotReachable(
            f"No local cloud is running: its process {read.pid} has ended without a goodbye.",
            START_HINT,
        )
    return read


def _local_endpoints(state: Path) -> Endpoints:
    found = connection(state)
    return Endpoints(
        subscription=found.subscription,
        tenant=found.tenant,
        resource_manager=found.resource_manager,
        logs=found.logs,
        service_bus=found.service_bus.amqps,
        # Its own authority alone: the whole bundle is read again for each connection, 20 ms a time.
        ca_bundle=found.ca,
        identity=(found.identity.endpoint, found.identity.header),
    )


def _alive(pid: int) -> bool:
    if os.name == "posix":
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            return True
        return True
    import psutil  # on Windows signal 0 is Ctrl-C, and would be delivered

    return psutil.pid_exists(pid)
