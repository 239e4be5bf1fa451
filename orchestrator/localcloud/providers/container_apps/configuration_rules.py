"""What jobs and apps have in common: secrets, registries, identities, profiles, scale rules.

Where the service's own wording of a refusal is known it is used.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.faults import Faults

JSON = dict[str, Any]

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SECRET_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
MAX_NAME = 32


class Limits(TypedDict):
    """How large a template may be: the keyword arguments of `job_template.check_template`."""

    large: bool
    paired: bool


@dataclass(frozen=True)
class Surroundings:
    """What the rules need to know of the world around a job or an app.

    Attributes:
        workload_profiles: Names of the environment's profiles, lower case; empty for a
            consumption-only environment.
        dedicated: Those of them with machines of their own, where cpu and memory need not pair.
        identities: Resource ids (lower case) of its user-assigned identities.
        system: Whether it has a system-assigned identity.
        lent: Resource ids (lower case) of the environment's user-assigned identities, with which
            images may be pulled, too.
        what: `job` or `app`, for messages.
    """

    workload_profiles: Collection[str] = ()
    dedicated: Collection[str] = ()
    identities: Collection[str] = ()
    system: bool = False
    lent: Collection[str] = ()
    what: str = "job"


def check_name(name: str, what: str = "job") -> None:
    """The name of a job or an app: lower case, digits, single '-', a letter first, at most 32.

    Raises:
        ArmError: `ContainerAppInvalidName`.
    """
    if not _NAME.fullmatch(name) or "--" in name or len(name) > MAX_NAME:
        raise ArmError(
            "ContainerAppInvalidName",
            f"Invalid {what} name '{name}'. A name must consist of lower case alphanumeric "
            "characters or '-', start with an alphabetic character, and end with an alphanumeric "
            f"character and cannot have '--'. The length must not be more than {MAX_NAME} "
            "characters.",
            400,
            target="name",
        )


def check_secrets(configuration: JSON, around: Surroundings, faults: Faults) -> set[str]:
    """The secrets of a configuration: their names."""
    names: set[str] = set()
    without: list[str] = []
    for path, secret in faults.objects(configuration.get("secrets"), "configuration.secrets"):
        name = faults.text(secret.get("name"), f"{path}.name", required=True)
        if not name:
            continue
        if not _SECRET_NAME.fullmatch(name) or len(name) > 253:
            faults.add(
                f"{path}.name",
                f"Invalid secret name '{name}': it must consist of lower case alphanumeric "
                "characters, '-' or '.', and start and end with an alphanumeric character.",
                "ContainerAppSecretInvalid",
            )
        if name in names:
            faults.add(
                f"{path}.name", f"The secret '{name}' is given twice.", "ContainerAppSecretInvalid"
            )
        names.add(name)
        for key in ("keyVaultUrl", "identity"):
            if secret.get(key) == "":
                del secret[key]
        value = secret.get("value")
        if value is not None and not isinstance(value, str):
            faults.text(value, f"{path}.value")
        elif value is None and not secret.get("keyVaultUrl"):
            without.append(name)
        if secret.get("keyVaultUrl"):
            faults.text(secret["keyVaultUrl"], f"{path}.keyVaultUrl")
            identity = faults.text(secret.get("identity"), f"{path}.identity", required=True)
            check_identity(identity, f"{path}.identity", around, faults)
    if without:
        quoted = ", ".join(without)
        faults.add(
            "configuration.secrets",
            f"Container app secret(s) with name(s) '{quoted}' are invalid: value or keyVaultUrl "
            "and identity should be provided.",
            "ContainerAppSecretInvalid",
        )
    return names


def check_registries(
    configuration: JSON, secrets: Collection[str], around: Surroundings, faults: Faults
) -> None:
    """The registries of a configuration: their passwords are secrets, their identities there."""
    for path, registry in faults.objects(
        configuration.get("registries"), "configuration.registries"
    ):
        server = faults.text(registry.get("server"), f"{path}.server", required=True)
        password = faults.text(registry.get("passwordSecretRef"), f"{path}.passwordSecretRef")
        if password and password not in secrets:
            faults.add(
                f"{path}.passwordSecretRef",
                f"PasswordSecretRef '{password}' defined for registry server '{server}' not found.",
                "ContainerAppRegistryPasswordSecretRefNotFound",
            )
        identity = faults.text(registry.get("identity"), f"{path}.identity")
        if identity.lower() not in around.lent:
            check_identity(identity, f"{path}.identity", around, faults)
    configuration.setdefault("identitySettings", [])


def check_identity(identity: str, path: str, around: Surroundings, faults: Faults) -> None:
    """An identity that a job or an app uses must be one that it has."""
    if not identity:
        return
    if identity.lower() in ("system", "system-environment"):
        if identity.lower() == "system" and not around.system:
            faults.add(
                path,
                f"'{path}' is 'system', but the {around.what} has no system-assigned identity.",
                "ManagedIdentityNotAssigned",
            )
    elif identity.lower() not in around.identities:
        faults.add(
            path,
            f"The managed identity '{identity}' of '{path}' is not assigned to the {around.what}; "
            "add it to 'identity.userAssignedIdentities'.",
            "ManagedIdentityNotAssigned",
        )


def check_profile(properties: JSON, around: Surroundings, faults: Faults) -> None:
    """The workload profile is one of the environment's; its consumption profile by default."""
    profile = faults.text(properties.get("workloadProfileName"), "workloadProfileName")
    if profile and profile.lower() not in around.workload_profiles:
        known = ", ".join(sorted(around.workload_profiles)) or "none"
        faults.add(
            "workloadProfileName",
            f"The workload profile '{profile}' is not one of the environment's ({known}).",
            "WorkloadProfileNotFound",
        )
    elif not profile and "consumption" in around.workload_profiles:
        properties["workloadProfileName"] = "Consumption"


def template_limits(properties: JSON, around: Surroundings) -> Limits:
    """How large the template of a job or an app may be, whose profile is known."""
    profile = str(properties.get("workloadProfileName", "")).lower()
    return {"large": bool(around.workload_profiles), "paired": profile not in around.dedicated}


def check_scale_auth(rule: JSON, at: str, around: Surroundings, faults: Faults) -> None:
    """By which secrets or identity a scale rule looks at what it scales by."""
    for path, auth in faults.objects(rule.get("auth"), f"{at}.auth"):
        # Also one that there is not, or no longer: the service lets a secret go while a rule names
        # it (microsoft/vscode-azurecontainerapps, issue 1098).
        faults.text(auth.get("secretRef"), f"{path}.secretRef", required=True)
        faults.text(auth.get("triggerParameter"), f"{path}.triggerParameter", required=True)
    identity = faults.text(rule.get("identity"), f"{at}.identity")
    check_identity(identity, f"{at}.identity", around, faults)


def check_scale_metadata(metadata: JSON, path: str, faults: Faults) -> None:
    """What a scale rule tells KEDA: plain values by name."""
    for key, value in metadata.items():
        # KEDA's metadata are texts; the API takes plain values for them.
        if isinstance(value, dict | list):
            faults.add(f"{path}.{key}", f"'{path}.{key}' must be a text or a number.")
