"""The template an execution runs: the override of `start`, variables and resources."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orchestrator.localcloud.runtime.job import Job
from orchestrator.localcloud.runtime.model import (
    ContainerRecord,
    ContainerSpec,
    Json,
    ReplicaSpec,
    RuntimeFault,
    StartFailure,
)
from orchestrator.localcloud.runtime.names import wrong_label
from orchestrator.localcloud.runtime.volumes import container_mounts

_UNITS = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "ki": 1024,
    "mi": 1024**2,
    "gi": 1024**3,
}
_QUANTITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kKmMgG]i?)?\s*$")


def execution_template(job: Job, override: Json | None) -> Json:
    """The template of one execution.

    With an override its containers and init containers *replace* the job's: nothing of the job's
    own containers is merged in, so a variable that is not sent is not set (Microsoft Learn, "Jobs
    in Azure Container Apps", "Start a job execution with overrides": "include the entire job
    template"). A container must name its image (`az` fetches the job's when none is given); one
    without a name gets the job's. The job's volumes stay, for an override cannot hold any.

    Args:
        job: The job.
        override: Body of the start request, bare or inside `template`; None or empty for none.

    Raises:
        RuntimeFault: The override is not a template.
    """
    own: Json = {
        key: [{"name": job.name, **container} for container in job.template[key]]
        for key in ("containers", "initContainers")
        if job.template.get(key)
    }
    if job.template.get("volumes"):
        own["volumes"] = job.template["volumes"]
    sent = _without_nulls(override or {})
    if isinstance(sent.get("template"), dict):
        sent = sent["template"]
    if not sent.get("containers") and not sent.get("initContainers"):
        if not own.get("containers"):
            raise _refusal(f"Job '{job.name}' has no container to run.")
        return own
    if not sent.get("containers"):
        raise _refusal("The template of a start request needs at least one entry in 'containers'.")
    template: Json = {"containers": _containers(job, sent["containers"], "containers")}
    if sent.get("initContainers"):
        template["initContainers"] = _containers(job, sent["initContainers"], "initContainers")
    if own.get("volumes"):
        template["volumes"] = own["volumes"]
    return template


def container_records(template: Json) -> list[ContainerRecord]:
    """A record for each container of a template, init containers first."""
    records = []
    for key, init in (("initContainers", True), ("containers", False)):
        for container in template.get(key) or ():
            records.append(
                ContainerRecord(
                    name=str(container.get("name", "")),
                    image=str(container.get("image", "")),
                    init=init,
                )
            )
    return records


def container_definition(template: Json, record: ContainerRecord) -> Json:
    """The part of the template that a record stands for."""
    containers = template.get("initContainers" if record.init else "containers") or ()
    for container in containers:
        if container.get("name", "") == record.name:
            return dict(container)
    raise StartFailure(
        "ContainerCreateFailure",
        f"Container '{record.name}' is not in the template of its execution.",
        permanent=True,
    )


def container_spec(
    definition: Json,
    identity: str,
    job: Job,
    replica: ReplicaSpec,
    platform: Mapping[str, str],
    volumes: Any = None,
) -> ContainerSpec:
    """What an executor needs to start a container now, secrets resolved.

    Args:
        definition: The container in the template.
        identity: Identity of this run of the container.
        job: The job, with its secrets as they are now.
        replica: The replica it belongs to.
        platform: Variables that the platform gives.
        volumes: The template's volumes.

    Raises:
        StartFailure: A variable or a volume refers to a secret that the job does not have, or a
            volume is of a kind that is not here.
    """
    resources = definition.get("resources") or {}
    env = dict(platform)
    env.update(_own_environment(definition, job))
    env["CONTAINER_APP_JOB_NAME"] = replica.job
    env["CONTAINER_APP_JOB_EXECUTION_NAME"] = replica.execution
    env["CONTAINER_APP_REPLICA_NAME"] = replica.name
    return ContainerSpec(
        id=identity,
        name=str(definition.get("name", "")),
        image=str(definition.get("image", "")),
        command=tuple(str(word) for word in definition.get("command") or ()),
        args=tuple(str(word) for word in definition.get("args") or ()),
        env=env,
        cpu=_cpu(resources.get("cpu")),
        memory=memory_bytes(resources.get("memory")),
        mounts=container_mounts(definition, volumes, job),
    )


def memory_bytes(text: Any) -> int | None:
    """Bytes of a Kubernetes quantity such as `0.5Gi`; None for nothing or nonsense."""
    match = _QUANTITY.match(str(text)) if text is not None else None
    if match is None:
        return None
    return int(Decimal(match[1]) * _UNITS[(match[2] or "").lower()])


def _own_environment(definition: Json, job: Job) -> dict[str, str]:
    env: dict[str, str] = {}
    for variable in definition.get("env") or ():
        name = str(variable.get("name", ""))
        reference = variable.get("secretRef")
        if reference is None:
            env[name] = str(variable.get("value", ""))
            continue
        key = str(reference).lower()
        value = job.secrets.get(key)
        if value is None:
            why = (
                "has no value here: it lives in a Key Vault, which the local cloud does not have"
                if key in job.secrets
                else f"is not among the secrets of job '{job.name}'"
            )
            raise StartFailure(
                "ContainerCreateFailure",
                f"Container '{definition.get('name')}' was not created: its variable '{name}' "
                f"refers to secret '{reference}', which {why}.",
                permanent=True,
            )
        env[name] = value
    return env


def _cpu(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _containers(job: Job, containers: Any, key: str) -> list[Json]:
    if not isinstance(containers, list):
        raise _refusal(f"'{key}' of a start request has to be a list of containers.")
    result: list[Json] = []
    names: set[str] = set()
    for sent in containers:
        if not isinstance(sent, dict):
            raise _refusal(f"Each entry of '{key}' has to be an object with image and name.")
        container = {"name": job.name, **sent}
        name = container["name"]
        if not isinstance(name, str) or not name:
            raise _refusal(f"A container in '{key}' has a name that is not a text.")
        if why := wrong_label(name):
            raise _refusal(f"Invalid container name '{name}': {why}.")
        if name in names:
            raise _refusal(f"Two containers in '{key}' are named '{name}'.")
        names.add(name)
        if not isinstance(container.get("image"), str) or not container["image"]:
            raise RuntimeFault(
                "ContainerAppImageRequired",
                f"Container with name '{name}' must have an 'Image' property specified: "
                "a template sent with start replaces the job's whole template.",
            )
        for part in ("command", "args"):
            words = container.get(part, [])
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise _refusal(f"'{part}' of container '{name}' has to be a list of texts.")
        variables = container.get("env", [])
        if not isinstance(variables, list) or not all(
            isinstance(variable, dict) and isinstance(variable.get("name"), str)
            for variable in variables
        ):
            raise _refusal(f"'env' of container '{name}' has to be a list of {{name, value}}.")
        result.append(container)
    return result


def _without_nulls(value: Any) -> Any:
    # `az` sends null for everything it was not told; a null says nothing.
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _refusal(message: str) -> RuntimeFault:
    return RuntimeFault("InvalidParameterValueInContainerTemplate", message)


def requested(template: Json) -> tuple[float, float]:
    """(cores, bytes) that a template's containers ask for together; init containers run before."""
    cores = size = 0.0
    for container in template.get("containers") or []:
        resources = container.get("resources") or {}
        cores += _cpu(resources.get("cpu")) or 0.0
        size += memory_bytes(resources.get("memory")) or 0
    return cores, size
