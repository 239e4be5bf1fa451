"""From a job of the settings to the resource that Container Apps wants, and back to a `Job`.

The resource is what the SDK takes and gives as JSON (its wire names); shapes of Microsoft.App/jobs,
api-version 2026-07-01.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from orchestrator.errors import Problem, ProfileError, SettingsError
from orchestrator.quantities import parse_memory, show_memory
from orchestrator.results import Job
from orchestrator.settings import JobSpec, ScaleRule, SecretRef, Settings
from orchestrator.settings.rules import PLACEHOLDER

SYSTEM = "system"  # a job's own identity, where an identity is named
SERVICE_BUS_MESSAGES = 5  # KEDA's default of messageCount


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a job's resource needs to know of the place it is put in.

    `identity_id`: the identity that jobs share; `own`: job -> (id, client id) of those that have
    one of their own. `pull_identity_id`, `scaler_identity_id`: what images are pulled and queues'
    lengths are read with; None: the job's own identity.
    `values`: placeholder -> its value, or a function that finds it when first wanted.
    `outputs`: of the deployment, for `${outputs.…}`; a function that reads them.
    """

    location: str
    environment_id: str
    identity_id: str | None
    registry: str | None
    namespace: str | None
    values: Mapping[str, str | Callable[[], str] | None]
    own: Mapping[str, tuple[str, str]] = {}
    pull_identity_id: str | None = None
    scaler_identity_id: str | None = None
    outputs: Callable[[], Mapping[str, Any]] = dict

    def for_job(self, name: str) -> Surroundings:
        """The same, seen by one job: its own identity in place of the shared one."""
        if name not in self.own:
            return self
        identity_id, client_id = self.own[name]
        values = {**self.values, "identity.client_id": client_id}
        return msgspec.structs.replace(self, identity_id=identity_id, values=values)

    def fill(self, text: str, where: str) -> str:
        """`text` with its placeholders filled in. Raises ProfileError for one without a value."""
        parts: list[str] = []
        end = 0
        for match in PLACEHOLDER.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            parts.append("${" if match[1] is None else self._value(match[1], where))
        return "".join([*parts, text[end:]])

    def _value(self, name: str, where: str) -> str:
        if name.startswith("outputs."):
            return self._output(name, where)
        value = self.values.get(name)
        found = value() if callable(value) else value
        if not found:
            key = {"servicebus": "namespace", "identity.client_id": "identity"}.get(name, name)
            raise ProfileError(
                f"{where} uses ${{{name}}}, and the profile has no {key}.",
                f"Add {key} to the profile, or write the value itself.",
                problems=[Problem(where, f"${{{name}}} has no value")],
            )
        return found

    def _output(self, name: str, where: str) -> str:
        """`outputs.x`, `outputs.x.y` or, of a list, `outputs.x.0`."""
        value: Any = self.outputs()
        for key in name.split(".")[1:]:
            try:
                value = value[int(key)] if isinstance(value, list) else value[key]
            except (KeyError, IndexError, TypeError, ValueError):
                value = None
        if value is None or isinstance(value, dict | list):
            known = ", ".join(sorted(self.outputs())) or "none"
            raise ProfileError(
                f"{where} uses ${{{name}}}, and the deployment has no such output that is text.",
                f"Its outputs: {known}. Show them: orchestrator infra show",
                problems=[Problem(where, f"${{{name}}} has no value")],
            )
        return str(value).lower() if isinstance(value, bool) else str(value)


# ------------------------------------------------------------------------------- secrets


def secret_values(
    settings: Settings, jobs: Mapping[str, JobSpec], environ: Mapping[str, str] | None = None
) -> dict[tuple[str, str], str]:
    """(job, secret) -> value, for the secrets that come from variables and files.

    Raises SettingsError with every one that refers to nothing.
    """
    environ = os.environ if environ is None else environ
    values: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    for job, spec in jobs.items():
        for name, source in spec.secrets.items():
            where = f"jobs.{job}.secrets.{name}"
            if source.env is not None:
                if environ.get(source.env):
                    values[job, name] = environ[source.env]
                else:
                    problems.append(Problem(where, f"the variable {source.env} is not set."))
            elif source.file is not None:
                path = settings.folder / Path(source.file).expanduser()
                try:
                    values[job, name] = path.read_text(encoding="utf-8").rstrip("\r\n")
                except (OSError, UnicodeDecodeError) as error:
                    reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
                    problems.append(Problem(where, f"the file {path} can't be read: {reason}."))
    if problems:
        raise SettingsError(
            "\n".join(str(problem) for problem in problems),
            "Nothing was deployed. Set the variable, or correct where the secret comes from.",
            path=settings.path,
            problems=problems,
        )
    return values


# ------------------------------------------------------------------------------- the resource


def job_resource(
    name: str, spec: JobSpec, place: Surroundings, secrets: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """The body of the PUT that makes this job."""
    at = f"jobs.{name}"
    place = place.for_job(name)
    image = full_image(place.fill(spec.image, f"{at}.image"), place.registry)
    configuration: dict[str, Any] = {
        "triggerType": spec.trigger.capitalize(),
        "replicaTimeout": int(spec.timeout.total_seconds()),
        "replicaRetryLimit": spec.retries,
        f"{spec.trigger}TriggerConfig": _trigger(name, spec, place),
    }
    if spec.secrets:
        configuration["secrets"] = [_secret(name, s, spec, place, secrets) for s in spec.secrets]
    private = place.registry and ".azurecr." in place.registry  # others are pulled from as anyone
    pull = place.pull_identity_id or place.identity_id
    if private and image.startswith(f"{place.registry}/") and pull:
        configuration["registries"] = [{"server": place.registry, "identity": pull}]
    properties: dict[str, Any] = {
        "environmentId": place.environment_id,
        "configuration": configuration,
        "template": {"containers": [_container(name, spec, place, image)]},
    }
    if spec.workload_profile:
        properties["workloadProfileName"] = spec.workload_profile
    resource: dict[str, Any] = {"location": place.location, "properties": properties}
    identities = _identities(configuration, place)
    kinds = ["UserAssigned"] if identities else []
    if any(secret.get("identity") == SYSTEM for secret in configuration.get("secrets") or ()):
        kinds.insert(0, "SystemAssigned")
    if kinds:
        resource["identity"] = {"type": ", ".join(kinds)}
    if identities:
        resource["identity"]["userAssignedIdentities"] = {i: {} for i in identities}
    # What the platform does with an identity is nothing that the program may do with it.
    if theirs := [i for i in identities if i != place.identity_id]:
        configuration["identitySettings"] = [{"identity": i, "lifecycle": "None"} for i in theirs]
    return resource


def _identities(configuration: Mapping[str, Any], place: Surroundings) -> list[str]:
    """The identities that a job is given: its own, and those that its configuration names."""
    scale = (configuration.get("eventTriggerConfig") or {}).get("scale") or {}
    named = [place.identity_id]
    named += [registry["identity"] for registry in configuration.get("registries") or ()]
    named += [rule.get("identity") for rule in scale.get("rules") or ()]
    named += [secret.get("identity") for secret in configuration.get("secrets") or ()]
    return [i for i in dict.fromkeys(named) if i and i != SYSTEM]


def full_image(image: str, registry: str | None) -> str:
    """The image with the registry's server in front, unless it names a server itself.

    As Docker tells them apart: the first part is a server if it has a dot or a colon, or is
    `localhost`.
    """
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"{registry}/{image}" if registry else image


def _container(name: str, spec: JobSpec, place: Surroundings, image: str) -> dict[str, Any]:
    at = f"jobs.{name}"
    memory = parse_memory(spec.memory) if spec.memory else spec.cpu * 2
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "resources": {"cpu": spec.cpu, "memory": show_memory(memory)},
    }
    if spec.command:
        container["command"] = [place.fill(c, f"{at}.command") for c in spec.command]
    if spec.args:
        container["args"] = [place.fill(a, f"{at}.args") for a in spec.args]
    if spec.env:
        container["env"] = [
            {"name": key, "secretRef": value.secret}
            if isinstance(value, SecretRef)
            else {"name": key, "value": place.fill(value, f"{at}.env.{key}")}
            for key, value in spec.env.items()
        ]
    return container


def _trigger(name: str, spec: JobSpec, place: Surroundings) -> dict[str, Any]:
    trigger: dict[str, Any] = {
        "parallelism": spec.parallelism,
        "replicaCompletionCount": spec.completions,
    }
    if spec.cron is not None:
        trigger["cronExpression"] = spec.cron
    if spec.scale is not None:
        trigger["scale"] = {
            "minExecutions": spec.scale.min_executions,
            "maxExecutions": spec.scale.max_executions,
            "pollingInterval": int(spec.scale.polling_interval.total_seconds()),
            "rules": [_rule(name, rule, place) for rule in spec.scale.rules],
        }
    return trigger


def _rule(job: str, rule: ScaleRule, place: Surroundings) -> dict[str, Any]:
    """Metadata are KEDA's, all text. Source: keda.sh, scalers, Azure Service Bus."""
    at = f"jobs.{job}.scale.rules.{rule.name}"
    metadata: dict[str, str] = {}
    if rule.type == "azure-servicebus":
        if rule.queue:
            metadata["queueName"] = rule.queue
        if place.namespace:
            metadata["namespace"] = place.namespace
        metadata["messageCount"] = str(rule.message_count or SERVICE_BUS_MESSAGES)
        if rule.activation_message_count:
            metadata["activationMessageCount"] = str(rule.activation_message_count)
    metadata |= {k: place.fill(v, f"{at}.metadata.{k}") for k, v in rule.metadata.items()}
    resource: dict[str, Any] = {"name": rule.name, "type": rule.type, "metadata": metadata}
    if rule.auth:
        resource["auth"] = [
            {"secretRef": auth.secret, "triggerParameter": auth.parameter} for auth in rule.auth
        ]
    elif rule.type == "azure-servicebus" and place.scaler_identity_id:
        resource["identity"] = place.scaler_identity_id
    elif place.identity_id:
        resource["identity"] = place.identity_id
    return resource


def _secret(
    job: str,
    name: str,
    spec: JobSpec,
    place: Surroundings,
    values: Mapping[tuple[str, str], str],
) -> dict[str, str]:
    source = spec.secrets[name]
    if source.key_vault is None:
        return {"name": name, "value": values[job, name]}
    identity = source.identity or place.identity_id or SYSTEM
    return {"name": name, "keyVaultUrl": source.key_vault, "identity": identity}


# ------------------------------------------------------------------------------- and back


def job_record(resource: Mapping[str, Any]) -> Job:
    """A `Job` from what the service sent."""
    properties = resource.get("properties") or {}
    configuration = properties.get("configuration") or {}
    containers = (properties.get("template") or {}).get("containers") or [{}]
    first = containers[0]
    resources = first.get("resources") or {}
    trigger = str(configuration.get("triggerType") or "").lower()
    details = configuration.get(f"{trigger}TriggerConfig") or {}
    timeout = configuration.get("replicaTimeout")
    return Job(
        name=str(resource.get("name") or ""),
        trigger=trigger,
        image=first.get("image") or "",
        cpu=resources.get("cpu"),
        memory=resources.get("memory") or "",
        parallelism=details.get("parallelism") or 1,
        completions=details.get("replicaCompletionCount") or 1,
        retries=configuration.get("replicaRetryLimit") or 0,
        timeout=timedelta(seconds=timeout) if timeout else None,
        cron=details.get("cronExpression") or "",
        scale=_scale_words(details.get("scale") or {}),
        state=properties.get("runningState") or "",
        provisioning=properties.get("provisioningState") or "",
        env=env_words(first.get("env") or []),
        command=tuple(first.get("command") or ()),
        args=tuple(first.get("args") or ()),
        secrets=tuple(s.get("name") or "" for s in configuration.get("secrets") or ()),
        id=str(resource.get("id") or ""),
        resource_group=group_of(str(resource.get("id") or "")),
        raw=dict(resource),
    )


def env_words(env: list[dict[str, Any]]) -> dict[str, str]:
    """variable -> its value, or "secret:<name>"."""
    return {
        str(item.get("name")): f"secret:{item['secretRef']}"
        if item.get("secretRef")
        else str(item.get("value") or "")
        for item in env
    }


def group_of(resource_id: str) -> str:
    """The resource group in an id, "" when it has none."""
    parts = resource_id.split("/")
    for i, part in enumerate(parts[:-1]):
        if part.lower() == "resourcegroups":
            return parts[i + 1]
    return ""


def _scale_words(scale: Mapping[str, Any]) -> str:
    words = []
    for rule in scale.get("rules") or ():
        metadata = rule.get("metadata") or {}
        if queue := metadata.get("queueName"):
            count = metadata.get("messageCount") or SERVICE_BUS_MESSAGES
            words.append(f"queue {queue}, {count} a time")
        else:
            words.append(str(rule.get("type") or rule.get("name") or "a rule"))
    return "; ".join(words)
