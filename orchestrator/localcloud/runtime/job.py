"""A job as the runtime needs it, read from its Resource Manager JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.localcloud.runtime.model import Json, RuntimeFault, Trigger

_TRIGGERS: dict[str, Trigger] = {"manual": "Manual", "schedule": "Schedule", "event": "Event"}
_TRIGGER_CONFIG = {
    "Manual": "manualTriggerConfig",
    "Schedule": "scheduleTriggerConfig",
    "Event": "eventTriggerConfig",
}


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """One rule of `eventTriggerConfig.scale.rules`.

    Attributes:
        name: Name of the rule.
        type: KEDA scaler type, such as `azure-servicebus`.
        metadata: Strings by key, as KEDA takes them.
        auth: Secret name by trigger parameter (`connection`).
        identity: Resource id of a user-assigned identity, `system`, or "".
    """

    name: str
    type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    auth: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What the runtime reads of a job.

    Attributes:
        id: Resource id, original case.
        key: The same in lower case: the identity of the job.
        name: Its name.
        environment: Name of its managed environment.
        trigger: How executions start by themselves.
        suspended: Nothing starts while it is.
        parallelism: Replicas at a time, at least 1.
        completions: Replicas that have to succeed, at least 1.
        retry_limit: Failures of one replica that are tried again.
        timeout: Seconds an execution may take; None for no limit.
        template: `{"containers": [...], "initContainers": [...], "volumes": [...]}`.
        secrets: Values by secret name (lower case); None for one that lives in a Key Vault.
        identities: Resource ids (lower case) of its user-assigned identities, and `system`.
        cron: Cron expression of a scheduled job.
        polling_interval: Seconds between two looks at the rules (default 30).
        min_executions: Executions that run whatever the rules say (default 0).
        max_executions: Executions that run at most (default 100).
        rules: Rules of an event-driven job.
        resource: The resource itself.
    """

    id: str
    key: str
    name: str
    environment: str
    trigger: Trigger
    suspended: bool
    parallelism: int
    completions: int
    retry_limit: int
    timeout: float | None
    template: Json
    secrets: Mapping[str, str | None] = field(repr=False)
    identities: frozenset[str]
    cron: str
    polling_interval: float
    min_executions: int
    max_executions: int
    rules: tuple[ScaleRule, ...]
    resource: Json = field(repr=False)


def read_job(resource: Json) -> Job:
    """Read a job resource.

    Raises:
        RuntimeFault: The resource is not a job that can run (code `InvalidJob`).
    """
    properties = _mapping(resource.get("properties"))
    configuration = _mapping(properties.get("configuration"))
    trigger = _TRIGGERS.get(str(configuration.get("triggerType", "Manual")).lower())
    name = str(resource.get("name", ""))
    if trigger is None:
        known = ", ".join(_TRIGGERS.values())
        raise RuntimeFault(
            "InvalidJob",
            f"Job '{name}' has the unknown trigger type "
            f"'{configuration.get('triggerType')}'; it may be one of {known}.",
        )
    trigger_config = _mapping(configuration.get(_TRIGGER_CONFIG[trigger]))
    scale = _mapping(trigger_config.get("scale"))
    environment_id = properties.get("environmentId") or properties.get("managedEnvironmentId") or ""
    job_id = str(resource.get("id", ""))
    timeout = configuration.get("replicaTimeout")
    return Job(
        id=job_id,
        key=job_id.lower(),
        name=name,
        environment=str(environment_id).rstrip("/").rpartition("/")[2],
        trigger=trigger,
        suspended=str(properties.get("runningState", "")).lower() == "suspended",
        parallelism=_whole(name, trigger_config, "parallelism", default=1, least=1),
        completions=_whole(name, trigger_config, "replicaCompletionCount", default=1, least=1),
        retry_limit=_whole(name, configuration, "replicaRetryLimit", default=0, least=0),
        timeout=None
        if timeout is None
        else float(_whole(name, configuration, "replicaTimeout", default=0, least=1)),
        template=_mapping(properties.get("template")),
        secrets=_secrets(configuration.get("secrets")),
        identities=_identities(_mapping(resource.get("identity"))),
        cron=str(trigger_config.get("cronExpression") or ""),
        polling_interval=_whole(name, scale, "pollingInterval", default=30, least=1),
        min_executions=_whole(name, scale, "minExecutions", default=0, least=0),
        max_executions=_whole(name, scale, "maxExecutions", default=100, least=0),
        rules=tuple(_rule(rule) for rule in scale.get("rules") or ()),
        resource=resource,
    )


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _whole(job: str, source: Json, key: str, *, default: int, least: int) -> int:
    value = source.get(key)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if number < least:
        raise RuntimeFault(
            "InvalidJob",
            f"Job '{job}' has {key} = {value!r}; it has to be a whole number of at least {least}.",
        )
    return number


def _secrets(value: Any) -> dict[str, str | None]:
    return {
        str(secret.get("name", "")).lower(): secret.get("value")
        for secret in value or ()
        if isinstance(secret, dict)
    }


def _identities(identity: Json) -> frozenset[str]:
    assigned = {str(key).lower() for key in _mapping(identity.get("userAssignedIdentities"))}
    if "systemassigned" in str(identity.get("type", "")).lower():
        assigned.add("system")
    return frozenset(assigned)


def _rule(value: Any) -> ScaleRule:
    rule = _mapping(value)
    return ScaleRule(
        name=str(rule.get("name", "")),
        type=str(rule.get("type", "")),
        metadata={
            str(key): _text(item)
            for key, item in _mapping(rule.get("metadata")).items()
            if item is not None
        },
        auth={
            str(auth.get("triggerParameter", "")): str(auth.get("secretRef", ""))
            for auth in rule.get("auth") or ()
            if isinstance(auth, dict)
        },
        identity=str(rule.get("identity") or ""),
    )


def _text(value: Any) -> str:
    # KEDA's metadata are strings; clients send numbers and booleans too.
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
