"""Executions and replicas as Resource Manager shows them (Microsoft.App, 2024-10-02-preview on)."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.localcloud.runtime.model import (
    ContainerRecord,
    ContainerState,
    ExecutionRecord,
    Json,
    ReplicaRecord,
    ReplicaState,
)

_RUNNING_STATE = {
    ContainerState.WAITING: "Waiting",
    ContainerState.RUNNING: "Running",
    ContainerState.SUCCEEDED: "Terminated",
    ContainerState.FAILED: "Terminated",
}


def execution_json(record: ExecutionRecord) -> Json:
    """`{id, name, type, properties{status, startTime, endTime, template, detailedStatus, …}}`.

    What is not known yet (endTime of a running execution, the exit code of a running container)
    is absent, never null.
    """
    properties: Json = {
        "status": record.status.value,
        "startTime": timestamp(record.started),
        "template": {
            key: record.template[key]
            for key in ("containers", "initContainers")
            if record.template.get(key)
        },
        "detailedStatus": {"replicas": [_replica_status(replica) for replica in record.replicas]},
    }
    if record.ended is not None:
        properties["endTime"] = timestamp(record.ended)
    if record.reason:
        properties["reason"] = record.reason
    if record.message:
        properties["message"] = record.message
    return {
        "id": execution_id(record),
        "name": record.name,
        "type": "Microsoft.App/jobs/executions",
        "properties": properties,
    }


def replica_json(record: ExecutionRecord, replica: ReplicaRecord) -> Json:
    """A replica as api-version 2023-11-02-preview lists it (SDK model `Replica`)."""
    running = replica.state is ReplicaState.RUNNING
    properties: Json = {
        "createdTime": timestamp(replica.created),
        "runningState": "Running" if running else "NotRunning",
        "containers": [
            _container(container) for container in replica.containers if not container.init
        ],
        "initContainers": [
            _container(container) for container in replica.containers if container.init
        ],
    }
    if not running:
        properties["runningStateDetails"] = replica.state.value
    return {
        "id": f"{execution_id(record)}/replicas/{replica.name}",
        "name": replica.name,
        "type": "Microsoft.App/jobs/executions/replicas",
        "properties": properties,
    }


def execution_id(record: ExecutionRecord) -> str:
    """Resource id of an execution."""
    return f"{record.job_id}/executions/{record.name}"


def timestamp(when: float) -> str:
    """Epoch seconds as the service writes a time: `2026-11-23T09:30:00.125+00:00`."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")


def _replica_status(replica: ReplicaRecord) -> Json:
    return {
        "name": replica.name,
        "containers": [_container_status(container) for container in replica.containers],
    }


def _container_status(container: ContainerRecord) -> Json:
    status: Json = {"name": container.name, "status": container.state.value}
    if container.code is not None:
        status["code"] = container.code
    information = ": ".join(part for part in (container.reason, container.message) if part)
    if container.restarts:
        times = "once" if container.restarts == 1 else f"{container.restarts} times"
        information = f"{information or container.state.value} (restarted {times})"
    if information:
        status["additionalInformation"] = information
    return status


def _container(container: ContainerRecord) -> Json:
    entry: Json = {
        "name": container.name,
        "containerId": container.id,
        "ready": container.state is ContainerState.RUNNING,
        "started": container.started is not None,
        "restartCount": container.restarts,
        "runningState": _RUNNING_STATE[container.state],
    }
    if container.reason or container.message:
        entry["runningStateDetails"] = ": ".join(
            part for part in (container.reason, container.message) if part
        )
    return entry
