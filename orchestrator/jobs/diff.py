"""What differs between the job that is and the job that should be, field by field.

Both are flattened to the settings' own words (`env.MESSAGE_COUNT`, `timeout`), with the service's
defaults filled in on both sides, so that a difference is always one that a user wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.jobs.body import env_words
from orchestrator.quantities import parse_memory, short_duration, show_memory
from orchestrator.results import FieldChange

HIDDEN = "(hidden)"


class Hidden:
    """A secret's value: compared, never shown."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return HIDDEN


def changes(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """The fields of two job resources that differ, in the settings' order of keys.

    Each resource's `configuration.secrets` must hold the values, or they count as changed.
    """
    old, new = fields(live), fields(wanted)
    paths = [*new, *(path for path in old if path not in new)]
    return tuple(
        FieldChange(path=path, old=_shown(old.get(path)), new=_shown(new.get(path)))
        for path in paths
        if old.get(path) != new.get(path)
    )


def _shown(value: Any) -> Any:
    if isinstance(value, Hidden):
        return HIDDEN
    return list(value) if isinstance(value, tuple) else value


def fields(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Key path -> value. An absent path means the same as None."""
    properties = resource.get("properties") or {}
    configuration = properties.get("configuration") or {}
    found: dict[str, Any] = {}
    trigger = str(configuration.get("triggerType") or "Manual").lower()
    details = configuration.get(f"{trigger}TriggerConfig") or {}
    found["trigger"] = trigger
    found["cron"] = details.get("cronExpression")
    found |= _template(properties.get("template") or {})
    found["timeout"] = _seconds(configuration.get("replicaTimeout") or 1800)
    found["retries"] = configuration.get("replicaRetryLimit") or 0
    found["parallelism"] = details.get("parallelism") or 1
    found["completions"] = details.get("replicaCompletionCount") or 1
    if trigger == "event":
        found |= _scale(details.get("scale") or {})
    for secret in configuration.get("secrets") or ():
        found[f"secrets.{secret.get('name')}"] = _secret(secret)
    for registry in configuration.get("registries") or ():
        server = registry.get("server")
        found[f"registry.{server}"] = _id(registry.get("identity") or registry.get("username"))
    profile = properties.get("workloadProfileName")
    found["workload_profile"] = profile if profile and profile.lower() != "consumption" else None
    found["environment"] = _id(properties.get("environmentId") or properties.get("environment_id"))
    identity = resource.get("identity") or {}
    ids = sorted(_id(i) for i in identity.get("userAssignedIdentities") or {})
    if "systemassigned" in str(identity.get("type") or "").lower():
        ids.append("system")
    found["identity"] = tuple(ids) or None
    for tag, value in (resource.get("tags") or {}).items():
        found[f"tags.{tag}"] = value
    return {path: value for path, value in found.items() if value is not None}


def _template(template: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i, container in enumerate(template.get("containers") or ()):
        found |= _container(container, "" if i == 0 else f"containers.{container.get('name')}.")
    for container in template.get("initContainers") or ():
        found |= _container(container, f"init_containers.{container.get('name')}.")
    for volume in template.get("volumes") or ():
        kind = [volume.get("storageType") or "EmptyDir", volume.get("storageName")]
        found[f"volumes.{volume.get('name')}"] = " ".join(str(part) for part in kind if part)
    return found


def _container(container: Mapping[str, Any], at: str) -> dict[str, Any]:
    resources = container.get("resources") or {}
    memory = resources.get("memory")
    found: dict[str, Any] = {
        f"{at}image": container.get("image"),
        f"{at}cpu": float(resources["cpu"]) if resources.get("cpu") else None,
        f"{at}memory": show_memory(parse_memory(memory)) if memory else None,
        f"{at}command": tuple(container.get("command") or ()) or None,
        f"{at}args": tuple(container.get("args") or ()) or None,
    }
    for name, value in env_words(container.get("env") or []).items():
        found[f"{at}env.{name}"] = value
    for mount in container.get("volumeMounts") or ():
        sub_path = f" ({mount['subPath']})" if mount.get("subPath") else ""
        where = f"{at}volume_mounts.{mount.get('mountPath')}"
        found[where] = f"{mount.get('volumeName')}{sub_path}"
    for probe in container.get("probes") or ():
        found[f"{at}probes.{probe.get('type')}"] = json.dumps(probe, sort_keys=True)
    return found


def _scale(scale: Mapping[str, Any]) -> dict[str, Any]:
    # Defaults of Container Apps: `az containerapp job create --help`.
    interval, most = scale.get("pollingInterval"), scale.get("maxExecutions")
    found: dict[str, Any] = {
        "scale.min_executions": scale.get("minExecutions") or 0,
        "scale.max_executions": 100 if most is None else most,
        "scale.polling_interval": _seconds(30 if interval is None else interval),
    }
    for rule in scale.get("rules") or ():
        at = f"scale.rules.{rule.get('name')}"
        found[f"{at}.type"] = rule.get("type")
        for key, value in (rule.get("metadata") or {}).items():
            found[f"{at}.{key}"] = str(value)
        for auth in rule.get("auth") or ():
            found[f"{at}.auth.{auth.get('triggerParameter')}"] = f"secret:{auth.get('secretRef')}"
        found[f"{at}.identity"] = _id(rule.get("identity")) or None
    return found


def _secret(secret: Mapping[str, Any]) -> Any:
    if url := secret.get("keyVaultUrl"):
        return f"{url} ({_id(secret.get('identity')) or 'system'})"
    return Hidden(secret.get("value"))


def _seconds(value: int | float) -> str:
    from datetime import timedelta

    return short_duration(timedelta(seconds=value))


def _id(resource_id: str | None) -> str:
    """Ids are the same in any case of letters."""
    return (resource_id or "").lower()
