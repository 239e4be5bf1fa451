"""What a Container Apps job must be: checks and defaults of `Microsoft.App/jobs`.

Rules come from the REST reference (2026-07-01), "Jobs in Azure Container Apps", "Containers in
Azure Container Apps" (cpu/memory pairs, ephemeral storage), KEDA's ScaledJob (at least one rule),
and from error messages that users of the service have published. Where the service's own wording is
known it is used.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.faults import Faults
from orchestrator.localcloud.providers.job_template import check_template

JSON = dict[str, Any]

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SECRET_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
MAX_NAME = 32

TRIGGERS = {
    "Manual": "manualTriggerConfig",
    "Schedule": "scheduleTriggerConfig",
    "Event": "eventTriggerConfig",
}

READ_ONLY = (
    "provisioningState",
    "runningState",
    "runningStatus",
    "outboundIpAddresses",
    "eventStreamEndpoint",
)
"""Properties that the service fills; what a caller sends for them is ignored."""


@dataclass(frozen=True)
class Surroundings:
    """What a job's rules need to know of the world around it.

    Attributes:
        workload_profiles: Names of the environment's profiles, lower case; empty for a
            consumption-only environment.
        dedicated: Those of them with machines of their own, where cpu and memory need not pair.
        identities: Resource ids (lower case) of the job's user-assigned identities.
        system: Whether the job has a system-assigned identity.
        lent: Resource ids (lower case) of the environment's user-assigned identities, with which
            images may be pulled, too.
    """

    workload_profiles: Collection[str] = ()
    dedicated: Collection[str] = ()
    identities: Collection[str] = ()
    system: bool = False
    lent: Collection[str] = ()


def check_name(name: str) -> None:
    """A job's name: lower case letters, digits and single '-', a letter first, at most 32.

    Raises:
        ArmError: `ContainerAppInvalidName`.
    """
    if not _NAME.fullmatch(name) or "--" in name or len(name) > MAX_NAME:
        raise ArmError(
            "ContainerAppInvalidName",
            f"Invalid job name '{name}'. A name must consist of lower case alphanumeric characters "
            "or '-', start with an alphabetic character, and end with an alphanumeric character "
            f"and cannot have '--'. The length must not be more than {MAX_NAME} characters.",
            400,
            target="name",
        )


def check_properties(properties: JSON, around: Surroundings) -> None:
    """Check a job's `properties` and fill in the service's defaults, in place.

    Raises:
        ArmError: 400, naming every fault.
    """
    faults = Faults()
    for name in READ_ONLY:
        properties.pop(name, None)
    configuration = faults.object(properties.get("configuration"), "configuration")
    if not configuration:
        faults.add("configuration", "'configuration' is missing.")
    secrets = _secrets(configuration, around, faults)
    _registries(configuration, secrets, around, faults)
    _trigger(configuration, around, faults)
    faults.whole(configuration, "replicaTimeout", "configuration", least=1)
    faults.whole(configuration, "replicaRetryLimit", "configuration", least=0, default=0)
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
    template = faults.object(properties.get("template"), "template")
    check_template(
        template,
        secrets,
        faults,
        large=bool(around.workload_profiles),
        paired=str(properties.get("workloadProfileName", "")).lower() not in around.dedicated,
    )
    faults.raise_any()


def _secrets(configuration: JSON, around: Surroundings, faults: Faults) -> set[str]:
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
            _identity(identity, f"{path}.identity", around, faults)
    if without:
        quoted = ", ".join(without)
        faults.add(
            "configuration.secrets",
            f"Container app secret(s) with name(s) '{quoted}' are invalid: value or keyVaultUrl "
            "and identity should be provided.",
            "ContainerAppSecretInvalid",
        )
    return names


def _registries(
    configuration: JSON, secrets: Collection[str], around: Surroundings, faults: Faults
) -> None:
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
            _identity(identity, f"{path}.identity", around, faults)
    configuration.setdefault("identitySettings", [])


def _identity(identity: str, path: str, around: Surroundings, faults: Faults) -> None:
    """An identity that the job uses must be one that it has."""
    if not identity:
        return
    if identity.lower() in ("system", "system-environment"):
        if identity.lower() == "system" and not around.system:
            faults.add(
                path,
                f"'{path}' is 'system', but the job has no system-assigned identity.",
                "ManagedIdentityNotAssigned",
            )
    elif identity.lower() not in around.identities:
        faults.add(
            path,
            f"The managed identity '{identity}' of '{path}' is not assigned to the job; add it to "
            "'identity.userAssignedIdentities'.",
            "ManagedIdentityNotAssigned",
        )


# -------------------------------------------------------------------- triggers ----


def _trigger(configuration: JSON, around: Surroundings, faults: Faults) -> None:
    given = faults.text(configuration.get("triggerType"), "configuration.triggerType")
    if not given:
        faults.add(
            "configuration.triggerType",
            "'configuration.triggerType' is missing: Manual, Schedule or Event.",
        )
        return
    trigger = next((name for name in TRIGGERS if name.lower() == given.lower()), None)
    if trigger is None:
        faults.add(
            "configuration.triggerType",
            f"'{given}' is no trigger type: Manual, Schedule and Event are.",
            "InvalidTriggerType",
        )
        return
    configuration["triggerType"] = trigger
    for name, key in TRIGGERS.items():
        # A job that changed its trigger keeps nothing of the old one.
        if name != trigger:
            configuration.pop(key, None)
    key = TRIGGERS[trigger]
    path = f"configuration.{key}"
    config = faults.object(configuration.get(key), path)
    configuration[key] = config
    faults.whole(config, "parallelism", path, least=1, default=1)
    faults.whole(config, "replicaCompletionCount", path, least=1, default=1)
    if trigger == "Schedule":
        check_cron(config.get("cronExpression"), f"{path}.cronExpression", faults)
    elif trigger == "Event":
        _scale(config, f"{path}.scale", around, faults)


def check_cron(expression: Any, path: str, faults: Faults) -> None:
    """Five fields, UTC, as cronsim reads them; anything else is a fault."""
    text = faults.text(expression, path, required=True)
    if not text:
        return
    from cronsim import CronSim, CronSimError

    fields = text.split()
    reason = ""
    if len(fields) != 5:
        reason = (
            f"it has {len(fields)} fields instead of five "
            "(minute, hour, day of month, month, day of week)"
        )
    elif text.startswith("@"):
        reason = "nicknames such as @daily are not understood"
    else:
        from datetime import UTC, datetime

        try:
            next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
        except CronSimError as error:
            reason = f"{error}".lower() or "it cannot be read"
        except StopIteration:
            reason = "it never fires"
    if reason:
        faults.add(
            path,
            f"Given CRON expression - '{text}' is not valid: {reason}. "
            "Five fields in UTC are expected, for instance '*/5 * * * *'.",
            "InvalidCronExpression",
        )


def _scale(
    config: JSON,
    path: str,
    around: Surroundings,
    faults: Faults,
) -> None:
    scale = faults.object(config.get("scale"), path)
    config["scale"] = scale
    least = faults.whole(scale, "minExecutions", path, least=0, default=0)
    # The service takes 0: `az containerapp job update --max-executions 0` pauses the job.
    most = faults.whole(scale, "maxExecutions", path, least=0, default=100)
    if least > most:
        faults.add(
            f"{path}.minExecutions",
            f"'{path}.minExecutions' ({least}) is greater than maxExecutions ({most}).",
        )
    faults.whole(scale, "pollingInterval", path, least=1, default=30)
    names: set[str] = set()
    if not scale.get("rules"):
        faults.add(
            f"{path}.rules", f"'{path}.rules' is empty: an Event job needs at least one scale rule."
        )
    for at, rule in faults.objects(scale.get("rules"), f"{path}.rules"):
        name = faults.text(rule.get("name"), f"{at}.name", required=True)
        if name.lower() in names:
            faults.add(f"{at}.name", f"The scale rule '{name}' is given twice.")
        names.add(name.lower())
        # The API keeps any type and any metadata: what they mean is KEDA's to say, which tells what
        # is wrong with them in the system log and goes on with the other rules.
        faults.text(rule.get("type"), f"{at}.type", required=True)
        metadata = faults.object(rule.get("metadata"), f"{at}.metadata")
        _metadata(metadata, f"{at}.metadata", faults)
        for auth_path, auth in faults.objects(rule.get("auth"), f"{at}.auth"):
            # Also one that the job has not, or no longer: the service lets a secret go while a rule
            # names it (microsoft/vscode-azurecontainerapps, issue 1098).
            faults.text(auth.get("secretRef"), f"{auth_path}.secretRef", required=True)
            faults.text(
                auth.get("triggerParameter"), f"{auth_path}.triggerParameter", required=True
            )
        identity = faults.text(rule.get("identity"), f"{at}.identity")
        _identity(identity, f"{at}.identity", around, faults)


def _metadata(metadata: JSON, path: str, faults: Faults) -> None:
    for key, value in metadata.items():
        # KEDA's metadata are texts; the API takes plain values for them.
        if isinstance(value, dict | list):
            faults.add(f"{path}.{key}", f"'{path}.{key}' must be a text or a number.")
