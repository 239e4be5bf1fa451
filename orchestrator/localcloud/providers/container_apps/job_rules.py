"""What a Container Apps job must be: checks and defaults of `Microsoft.App/jobs`.

Rules come from the REST reference (2026-07-01), "Jobs in Azure Container Apps", "Containers in
Azure Container Apps" (cpu/memory pairs, ephemeral storage), KEDA's ScaledJob (at least one rule),
and from error messages that users of the service have published. Where the service's own wording is
known it is used.
"""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.providers.container_apps.configuration_rules import (
    Surroundings,
    check_profile,
    check_registries,
    check_scale_auth,
    check_scale_metadata,
    check_secrets,
    template_limits,
)
from orchestrator.localcloud.providers.container_apps.job_template import check_template
from orchestrator.localcloud.providers.faults import Faults

JSON = dict[str, Any]


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
    secrets = check_secrets(configuration, around, faults)
    check_registries(configuration, secrets, around, faults)
    _trigger(configuration, around, faults)
    faults.whole(configuration, "replicaTimeout", "configuration", least=1)
    faults.whole(configuration, "replicaRetryLimit", "configuration", least=0, default=0)
    check_profile(properties, around, faults)
    template = faults.object(properties.get("template"), "template")
    check_template(template, secrets, faults, **template_limits(properties, around))
    faults.raise_any()


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
        check_scale_metadata(metadata, f"{at}.metadata", faults)
        check_scale_auth(rule, at, around, faults)
