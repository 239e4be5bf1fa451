"""Which metrics a resource type has, as Azure Monitor names them.

Names, units, aggregations and dimensions are those of "Supported metrics for Microsoft.App/jobs"
and "… for Microsoft.ServiceBus/namespaces"
(https://learn.microsoft.com/azure/azure-monitor/reference/metrics-index).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

JOBS = "Microsoft.App/jobs"
NAMESPACES = "Microsoft.ServiceBus/namespaces"

Kind = Literal["count", "level", "sample"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a resource type.

    Attributes:
        name: In the API, such as `ActiveMessages`.
        title: As people read it.
        text: What it tells.
        unit: `Count`, `Bytes`, `Cores`, `NanoCores`.
        primary: The aggregation that says most.
        kind: `count` of what happens (0 in a quiet minute), `level` (stays until it changes), or
            `sample` (no data where nothing was measured).
        dimensions: By which it can be split.
    """

    name: str
    title: str
    text: str
    unit: str
    primary: str
    kind: Kind
    dimensions: tuple[str, ...]


_JOB = ("state", "jobName", "executionName")
_ENTITY = ("EntityName",)
_RESULT = ("EntityName", "OperationResult")


def _of(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


CATALOGUE: dict[str, dict[str, Metric]] = {
    JOBS: _of(
        Metric(
            "Executions",
            "Job Executions",
            "Executions run by the Container Apps Job",
            "Count",
            "Total",
            "count",
            _JOB,
        ),
        Metric(
            "RequestedBytes",
            "Requested Bytes",
            "Container App Job memory requests of customer containers in bytes.",
            "Bytes",
            "Average",
            "sample",
            _JOB,
        ),
        Metric(
            "RequestedCores",
            "Requested Cores",
            "Container App Job cpu requests in cores.",
            "Cores",
            "Average",
            "sample",
            _JOB,
        ),
        Metric(
            "RestartCount",
            "Total Job Execution Restart Count",
            "The cumulative number of times a job execution has restarted since it was created.",
            "Count",
            "Maximum",
            "sample",
            _JOB,
        ),
        Metric(
            "RxBytes",
            "Network In Bytes",
            "Network received bytes",
            "Bytes",
            "Total",
            "sample",
            _JOB,
        ),
        Metric(
            "TxBytes",
            "Network Out Bytes",
            "Network transmitted bytes",
            "Bytes",
            "Total",
            "sample",
            _JOB,
        ),
        Metric(
            "UsageBytes",
            "Usage Bytes",
            "Container App Job memory used in bytes.",
            "Bytes",
            "Average",
            "sample",
            _JOB,
        ),
        Metric(
            "UsageNanoCores",
            "CPU Usage",
            "CPU consumed by the container app job, in nano cores. 1,000,000,000 nano cores = 1 "
            "core",
            "NanoCores",
            "Average",
            "sample",
            _JOB,
        ),
    ),
    NAMESPACES: _of(
        *(
            Metric(name, title, text, unit, "Average", "level", _ENTITY)
            for name, title, text, unit in (
                (
                    "ActiveMessages",
                    "Count of active messages in a Queue/Topic.",
                    "Count of active messages in a Queue/Topic.",
                    "Count",
                ),
                (
                    "DeadletteredMessages",
                    "Count of dead-lettered messages in a Queue/Topic.",
                    "Count of dead-lettered messages in a Queue/Topic.",
                    "Count",
                ),
                (
                    "ScheduledMessages",
                    "Count of scheduled messages in a Queue/Topic.",
                    "Count of scheduled messages in a Queue/Topic.",
                    "Count",
                ),
                (
                    "Messages",
                    "Count of messages in a Queue/Topic.",
                    "Count of messages in a Queue/Topic.",
                    "Count",
                ),
                ("Size", "Size", "Size of a Queue/Topic in Bytes.", "Bytes"),
            )
        ),
        Metric(
            "ActiveConnections",
            "ActiveConnections",
            "Total Active Connections for Microsoft.ServiceBus.",
            "Count",
            "Total",
            "level",
            (),
        ),
        *(
            Metric(name, title, text, unit, "Total", "count", dimensions)
            for name, title, text, unit, dimensions in (
                (
                    "IncomingMessages",
                    "Incoming Messages",
                    "Incoming Messages for Microsoft.ServiceBus.",
                    "Count",
                    _ENTITY,
                ),
                (
                    "OutgoingMessages",
                    "Outgoing Messages",
                    "Outgoing Messages for Microsoft.ServiceBus.",
                    "Count",
                    _ENTITY,
                ),
                (
                    "IncomingBytes",
                    "Incoming Bytes.",
                    "Incoming Bytes for Microsoft.ServiceBus.",
                    "Bytes",
                    _ENTITY,
                ),
                (
                    "OutgoingBytes",
                    "Outgoing Bytes.",
                    "Outgoing Bytes for Microsoft.ServiceBus.",
                    "Bytes",
                    _ENTITY,
                ),
                (
                    "CompleteMessage",
                    "Completed Messages",
                    "Count of messages completed on a Queue/Topic.",
                    "Count",
                    _ENTITY,
                ),
                (
                    "AbandonMessage",
                    "Abandoned Messages",
                    "Count of messages abandoned on a Queue/Topic.",
                    "Count",
                    _ENTITY,
                ),
                (
                    "IncomingRequests",
                    "Incoming Requests",
                    "Incoming Requests for Microsoft.ServiceBus.",
                    "Count",
                    _ENTITY,
                ),
                (
                    "SuccessfulRequests",
                    "Successful Requests",
                    "Total successful requests for a namespace",
                    "Count",
                    _RESULT,
                ),
                (
                    "ServerErrors",
                    "Server Errors.",
                    "Server Errors for Microsoft.ServiceBus.",
                    "Count",
                    _RESULT,
                ),
                (
                    "UserErrors",
                    "User Errors.",
                    "User Errors for Microsoft.ServiceBus.",
                    "Count",
                    _RESULT,
                ),
                (
                    "ThrottledRequests",
                    "Throttled Requests.",
                    "Throttled Requests for Microsoft.ServiceBus.",
                    "Count",
                    _RESULT,
                ),
                (
                    "ConnectionsOpened",
                    "Connections Opened.",
                    "Connections Opened for Microsoft.ServiceBus.",
                    "Count",
                    (),
                ),
                (
                    "ConnectionsClosed",
                    "Connections Closed.",
                    "Connections Closed for Microsoft.ServiceBus.",
                    "Count",
                    (),
                ),
            )
        ),
    ),
}
"""Resource type -> name -> metric."""

_BY_LOWER = {
    kind.lower(): {name.lower(): metric for name, metric in metrics.items()}
    for kind, metrics in CATALOGUE.items()
}


def metrics_of(resource_type: str) -> dict[str, Metric]:
    """The metrics of a resource type (any case) by their names in lower case; {} for none."""
    return _BY_LOWER.get(resource_type.lower(), {})


def type_name(resource_type: str) -> str:
    """The resource type as Azure spells it."""
    return next((kind for kind in CATALOGUE if kind.lower() == resource_type.lower()), "")
