"""A live job as something to keep: Bicep, an ARM template, or a table of orchestrator.toml.

What the service adds by itself is left out. A secret's value is nowhere: it becomes a secure
parameter without a default, or in the settings the name of a variable that holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from orchestrator.jobs.bicep_text import (
    Parameter,
    arm,
    arm_parameter,
    bicep,
    bicep_parameter,
    identifier,
)
from orchestrator.jobs.body import Surroundings
from orchestrator.quantities import parse_memory, short_duration
from orchestrator.settings import JobSpec, toml_text

API_VERSION = "2026-01-01"
TYPE = f"Microsoft.App/jobs@{API_VERSION}"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"

# What the service tells and does not take (Microsoft.App/jobs, properties that are read-only).
_READ_ONLY = (
    *("provisioningState", "runningState", "runningStatus"),
    *("outboundIpAddresses", "eventStreamEndpoint"),
)


# ------------------------------------------------------------------------------- templates


def as_bicep(resource: Mapping[str, Any]) -> str:
    """The job as a Bicep file that deploys the same job again."""
    parameters, body = template_tree(resource)
    name = str(resource.get("name"))
    parts = [
        f"// The job {name}.",
        *(bicep_parameter(p) for p in parameters),
        f"resource job '{TYPE}' = {bicep(body)}",
        "@description('Resource id.')\noutput id string = job.id",
        "@description('Name.')\noutput name string = job.name",
    ]
    return "\n\n".join(parts) + "\n"


def as_json(resource: Mapping[str, Any]) -> str:
    """The job as an ARM template that deploys the same job again."""
    parameters, body = template_tree(resource)
    made = {"type": "Microsoft.App/jobs", "apiVersion": API_VERSION, **arm(body)}
    template = {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": {p.name: arm_parameter(p) for p in parameters},
        "resources": [made],
        "outputs": {
            "id": {
                "type": "string",
                "value": "[resourceId('Microsoft.App/jobs', parameters('name'))]",
            },
            "name": {"type": "string", "value": "[parameters('name')]"},
        },
    }
    return json.dumps(template, indent=2, ensure_ascii=False) + "\n"


def template_tree(resource: Mapping[str, Any]) -> tuple[list[Parameter], dict[str, Any]]:
    """(parameters, body with them in their places) of a job as the service sends it."""
    properties = dict(resource.get("properties") or {})
    for key in _READ_ONLY:
        properties.pop(key, None)
    containers = (properties.get("template") or {}).get("containers") or []
    name = Parameter(name="name", description="Name of the job.", default=_text(resource, "name"))
    location = Parameter(
        name="location",
        description="Region: the environment's.",
        default=_text(resource, "location"),
    )
    environment = Parameter(
        name="environmentId",
        description="Resource id of the environment.",
        default=str(properties.get("environmentId") or properties.pop("managedEnvironmentId", "")),
    )
    parameters = [name, location, environment]
    properties = _clean(properties)
    properties["environmentId"] = environment
    if len(containers) == 1 and containers[0].get("image"):
        image = Parameter(name="image", description="The image.", default=containers[0]["image"])
        parameters.append(image)
        properties["template"]["containers"][0]["image"] = image
    parameters += _hide_secrets(properties["configuration"], {p.name for p in parameters})
    body: dict[str, Any] = {"name": name, "location": location}
    if tags := _clean(resource.get("tags") or {}):
        body["tags"] = tags
    if identity := _identity(resource.get("identity") or {}):
        body["identity"] = identity
    return parameters, {**body, "properties": properties}


def _text(resource: Mapping[str, Any], key: str) -> str:
    value = str(resource.get(key) or "")
    return value.replace(" ", "").lower() if key == "location" else value


def _clean(value: Any) -> Any:
    """Without what is null, and without the configuration of triggers that the job has not."""
    if isinstance(value, Mapping):
        trigger = str(value.get("triggerType") or "").lower()
        return {
            key: _clean(item)
            for key, item in value.items()
            if item is not None
            and not (trigger and key.endswith("TriggerConfig") and not key.startswith(trigger))
        }
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _hide_secrets(configuration: dict[str, Any], taken: set[str]) -> list[Parameter]:
    """Puts a secure parameter in the place of each secret's value."""
    parameters = []
    for secret in configuration.get("secrets") or ():
        if secret.get("keyVaultUrl"):
            secret.pop("value", None)
            continue
        name = identifier(str(secret.get("name")))
        while name in taken:
            name = f"{name}Secret"
        taken.add(name)
        parameter = Parameter(
            name=name, description=f"The job's secret {secret.get('name')}.", secure=True
        )
        secret["value"] = parameter
        parameters.append(parameter)
    if not configuration.get("secrets"):
        configuration.pop("secrets", None)
    return parameters


def _identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(identity.get("type") or "None")
    if kind == "None":
        return {}
    assigned = identity.get("userAssignedIdentities")
    return {"type": kind} | (
        {"userAssignedIdentities": {key: {} for key in assigned}} if assigned else {}
    )


# ------------------------------------------------------------------------------- settings


def as_toml(resource: Mapping[str, Any], place: Surroundings, spec: JobSpec | None = None) -> str:
    """The job as a `[jobs.<name>]` of the settings, and in comments what they have no word for.

    Args:
        resource: The job as the service sends it.
        place: Where it is: what stands there as a name is written as a placeholder.
        spec: The job of these settings, if they have it: what it may do with queues, and where its
            secrets are found, cannot be read from a job.
    """
    name = str(resource.get("name"))
    place = place.for_job(name)
    values, left = _settings(resource, place, spec)
    lines = [f"# {what}" for what in left]
    if left:
        lines.insert(0, "# The live job has what settings have no word for:")
    return "\n".join([*lines, toml_text.tables(("jobs", name), values)]).rstrip() + "\n"


def _settings(
    resource: Mapping[str, Any], place: Surroundings, spec: JobSpec | None
) -> tuple[dict[str, Any], list[str]]:
    properties = resource.get("properties") or {}
    configuration = properties.get("configuration") or {}
    template = properties.get("template") or {}
    containers = template.get("containers") or [{}]
    trigger = str(configuration.get("triggerType") or "Manual").lower()
    details = configuration.get(f"{trigger}TriggerConfig") or {}
    values: dict[str, Any] = {"trigger": trigger}
    if trigger == "schedule":
        values["cron"] = details.get("cronExpression") or ""
    values |= _container(containers[0], place)
    seconds = configuration.get("replicaTimeout") or 1800
    values["timeout"] = _duration(seconds)
    if retries := configuration.get("replicaRetryLimit"):
        values["retries"] = retries
    for key, theirs in (("parallelism", "parallelism"), ("completions", "replicaCompletionCount")):
        if (number := details.get(theirs) or 1) != 1:
            values[key] = number
    profile = str(properties.get("workloadProfileName") or "")
    if profile and profile.lower() != "consumption":
        values["workload_profile"] = profile
    for key in ("sends", "receives"):
        if spec is not None and (queues := getattr(spec, key)) is not None:
            values[key] = list(queues)
    if env := containers[0].get("env"):
        values["env"] = {
            str(item.get("name")): toml_text.Inline(secret=item["secretRef"])
            if item.get("secretRef")
            else _placed(str(item.get("value") or ""), place)
            for item in env
        }
    if secrets := configuration.get("secrets"):
        values["secrets"] = {
            str(s.get("name")): toml_text.Inline(_secret(str(resource.get("name")), s, place, spec))
            for s in secrets
        }
    if trigger == "event":
        values["scale"] = _scale(details.get("scale") or {}, place)
    return values, _left_out(template, containers, resource, place)


def _container(container: Mapping[str, Any], place: Surroundings) -> dict[str, Any]:
    """What runs, and with how much; memory only where it is not what goes with the cpu."""
    image = str(container.get("image") or "")
    if place.registry and image.startswith(f"{place.registry}/"):
        image = image[len(place.registry) + 1 :]
    resources = container.get("resources") or {}
    cpu = float(resources.get("cpu") or 0.25)
    memory = str(resources.get("memory") or "")
    values: dict[str, Any] = {"image": _written(image), "cpu": cpu}
    if memory and parse_memory(memory) != cpu * 2:
        values["memory"] = memory
    for key in ("command", "args"):
        if container.get(key):
            values[key] = [_placed(str(word), place) for word in container[key]]
    return values


def _secret(
    job: str, secret: Mapping[str, Any], place: Surroundings, spec: JobSpec | None
) -> dict[str, str]:
    name = str(secret.get("name"))
    if url := secret.get("keyVaultUrl"):
        identity = str(secret.get("identity") or "")
        same = identity.lower() == str(place.identity_id or "system").lower()
        return {"key_vault": str(url)} | ({} if same or not identity else {"identity": identity})
    source = spec.secrets.get(name) if spec is not None else None
    if source is not None and source.file is not None:
        return {"file": source.file}
    variable = source.env if source is not None and source.env else f"{job}_{name}"
    return {"env": re.sub(r"\W", "_", variable).upper() if source is None else variable}


def _scale(scale: Mapping[str, Any], place: Surroundings) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if least := scale.get("minExecutions"):
        values["min_executions"] = least
    if (most := scale.get("maxExecutions")) is not None:
        values["max_executions"] = most
    if interval := scale.get("pollingInterval"):
        values["polling_interval"] = _duration(interval)
    values["rules"] = [_rule(rule, place) for rule in scale.get("rules") or ()]
    return values


def _rule(rule: Mapping[str, Any], place: Surroundings) -> dict[str, Any]:
    metadata = {str(k): str(v) for k, v in (rule.get("metadata") or {}).items()}
    values: dict[str, Any] = {"name": str(rule.get("name")), "type": str(rule.get("type"))}
    if values["type"] == "azure-servicebus":
        if queue := metadata.pop("queueName", ""):
            values["queue"] = queue
        if metadata.get("namespace") == place.namespace:
            del metadata["namespace"]
        for key, theirs in (
            ("message_count", "messageCount"),
            ("activation_message_count", "activationMessageCount"),
        ):
            if metadata.get(theirs, "").isdecimal():
                values[key] = int(metadata.pop(theirs))
    if metadata:
        values["metadata"] = {key: _placed(value, place) for key, value in metadata.items()}
    if auth := rule.get("auth"):
        values["auth"] = [
            toml_text.Inline(secret=a.get("secretRef"), parameter=a.get("triggerParameter"))
            for a in auth
        ]
    return values


def _placed(value: str, place: Surroundings) -> str:
    """The text with a placeholder where it is exactly what the place has for one."""
    for name in ("servicebus", "identity.client_id"):
        known = place.values.get(name)
        if value and value == (known() if callable(known) else known):
            return f"${{{name}}}"
    return _written(value)


def _written(value: str) -> str:
    return value.replace("${", "$${")


def _duration(seconds: float) -> str:
    from datetime import timedelta

    return short_duration(timedelta(seconds=seconds))


def _left_out(
    template: Mapping[str, Any],
    containers: list[dict[str, Any]],
    resource: Mapping[str, Any],
    place: Surroundings,
) -> list[str]:
    left = []
    if names := [str(c.get("name")) for c in template.get("initContainers") or ()]:
        left.append(f"init containers: {', '.join(names)}")
    if len(containers) > 1:
        left.append(f"more containers: {', '.join(str(c.get('name')) for c in containers[1:])}")
    if containers[0].get("volumeMounts") or template.get("volumes"):
        left.append("volumes")
    if probes := containers[0].get("probes"):
        left.append(f"probes: {len(probes)}")
    ours = {
        i.lower()
        for i in (place.identity_id, place.pull_identity_id, place.scaler_identity_id)
        if i
    }
    assigned = (resource.get("identity") or {}).get("userAssignedIdentities") or {}
    left += [f"identity: {i}" for i in assigned if i.lower() not in ours]
    return left
