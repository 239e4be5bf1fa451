"""An execution as the service sends it -> an `Execution`; a job's template -> the template of one
start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import BadInput
from orchestrator.jobs.body import group_of
from orchestrator.results import Container, Execution, Replica
from orchestrator.settings import rules

# What a start may say of a container (azure.mgmt.appcontainers.models.JobExecutionContainer).
_START_KEYS = ("name", "image", "command", "args", "env", "resources")


def execution_record(resource: Mapping[str, Any], job: str) -> Execution:
    """An `Execution` from what the service sent."""
    properties = resource.get("properties") or {}
    containers = (properties.get("template") or {}).get("containers") or [{}]
    resource_id = str(resource.get("id") or "")
    detailed = properties.get("detailedStatus") or {}
    return Execution(
        name=str(resource.get("name") or ""),
        job=job_of_id(resource_id) or job,
        status=str(properties.get("status") or "Unknown"),
        start=moment(properties.get("startTime")),
        end=moment(properties.get("endTime")),
        image=str(containers[0].get("image") or ""),
        reason=str(properties.get("reason") or ""),
        message=str(properties.get("message") or ""),
        replicas=tuple(_replica(r) for r in detailed.get("replicas") or ()),
        id=resource_id,
        resource_group=group_of(resource_id),
        raw=dict(resource),
    )


def _replica(replica: Mapping[str, Any]) -> Replica:
    containers = tuple(
        Container(
            name=str(one.get("name") or ""),
            status=str(one.get("status") or ""),
            exit_code=one.get("code"),
            reason=str(one.get("additionalInformation") or ""),
        )
        for one in replica.get("containers") or ()
    )
    name = str(replica.get("name") or "")
    found = Replica(name=name, containers=containers)
    if not containers:
        return found
    told = next(iter(found.failed), containers[0])
    known = any(c.exit_code is not None for c in containers)
    return Replica(
        name=name,
        status=told.status,
        exit_code=(told.exit_code or 0) if known else None,
        reason=told.reason,
        containers=containers,
    )


def job_of_id(resource_id: str) -> str:
    """The job in an execution's id, "" when it has none."""
    match = re.search(r"/jobs/([^/]+)/executions/", resource_id, re.IGNORECASE)
    return match[1] if match else ""


def moment(text: Any) -> datetime | None:
    """A time as the services write it; seven digits of a second are cut to six."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)


def start_template(
    job: Mapping[str, Any],
    *,
    env: Mapping[str, str] | None = None,
    args: Sequence[str] | None = None,
    command: Sequence[str] | None = None,
    image: str | None = None,
) -> dict[str, Any]:
    """The job's template with these changes in its first container, as a start wants it.

    The service replaces the whole template by the one that is sent, so all of it is sent.
    Raises BadInput for variables that are no variables, an image that is none, an empty command.
    """
    template = (job.get("properties") or {}).get("template") or {}
    containers = [_startable(c) for c in template.get("containers") or [{}]]
    first = containers[0]
    if image is not None:
        first["image"] = _image(image)
    if command is not None:
        if command and not command[0].strip():
            raise BadInput(
                "The command is empty.", "Name a program; its arguments are args (--arg)."
            )
        first["command"] = list(command)
    if args is not None:
        first["args"] = list(args)
    if env:
        first["env"] = merged_env(first.get("env") or [], env)
    started: dict[str, Any] = {"containers": containers}
    if inits := template.get("initContainers"):
        started["initContainers"] = [_startable(c) for c in inits]
    return started


def _image(image: str) -> str:
    try:
        return str(rules.image.check(image))
    except ValueError as error:
        raise BadInput(f"{error}.", "Such as sender:1.2, or name.azurecr.io/sender:1.2.") from None


def _startable(container: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: container[key] for key in _START_KEYS if container.get(key) is not None}
    if "resources" in kept:  # ephemeralStorage is the service's own answer, and not taken back
        kept["resources"] = {
            k: kept["resources"][k] for k in ("cpu", "memory") if k in kept["resources"]
        }
    return kept


def merged_env(
    existing: Sequence[Mapping[str, Any]], changed: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The variables with `changed` set: in their place where they exist, at the end otherwise."""
    for name, value in changed.items():
        if not isinstance(name, str) or not rules.ENV_NAME.fullmatch(name):
            raise BadInput(
                f'"{name}" is not the name of a variable.',
                "Letters, digits and _, as in KEY=value.",
            )
        if not isinstance(value, str):
            raise BadInput(
                f"The variable {name} is {value!r}, and variables are text.",
                f'Give it as text: "{value}".',
            )
    merged = [
        {"name": item["name"], "value": changed[item["name"]]}
        if item.get("name") in changed
        else dict(item)
        for item in existing
    ]
    known = {item.get("name") for item in existing}
    return merged + [{"name": k, "value": v} for k, v in changed.items() if k not in known]
