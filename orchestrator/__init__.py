"""Azure Container Apps jobs: create, start, follow and query them, on Azure or on a local cloud.

    import orchestrator

    orc = orchestrator.connect()
    run = orc.start("sender", env={"MESSAGE_COUNT": "500"})
    run.wait()
    orc.executions("sender")
    orc.logs("receiver")

The public names are listed in `__all__`; each is imported when it is first used (PEP 562), so
that importing the package costs nothing: not even `typing`, which would be most of it. Until the
command's own module runs, nothing can keep a Ctrl-C from ending in a traceback.
"""

from __future__ import annotations

TYPE_CHECKING = False  # by this name every type checker takes it for True
if TYPE_CHECKING:
    from typing import Any

    from orchestrator.alerts.verbs import Alert, AlertHistory, AlertRule, AlertRules
    from orchestrator.client import Orchestrator, connect, local_cloud
    from orchestrator.doctor.findings import Finding, Findings
    from orchestrator.errors import (
        AuthenticationFailed,
        BadInput,
        BicepError,
        Conflict,
        DeploymentFailed,
        ExecutionNotFound,
        InvalidRequest,
        JobNotFound,
        JobSuspended,
        NotFound,
        NotReachable,
        OrchestratorError,
        PermissionDenied,
        ProfileError,
        QueryError,
        QueueNotFound,
        ServiceFailed,
        SettingsError,
        SettingsNotFound,
        StorageFull,
        TableNotFound,
        Throttled,
        WaitTimeout,
    )
    from orchestrator.executions.run import Run
    from orchestrator.metrics.series import MetricPoint, MetricPoints, MetricSeries, MetricTable
    from orchestrator.notebook import ProgressBar, progress
    from orchestrator.planning.verbs import Drift, Drifted, Plan, PlannedJob
    from orchestrator.queries.result import QueryResult, QueryTable
    from orchestrator.queues.handle import QueueHandle
    from orchestrator.queues.messages import DeadLetterMessages, Message, Messages, Outcome, Sent
    from orchestrator.queues.records import Queue, Queues, QueueSession, QueueSessions
    from orchestrator.results import (
        Change,
        Changes,
        Execution,
        Executions,
        FieldChange,
        Job,
        Jobs,
        LogLine,
        Logs,
        Replica,
        Step,
    )
    from orchestrator.settings import Settings
    from orchestrator.settings import load as load_settings
    from orchestrator.status import JobStatus, Status

__version__ = "0.1.0"

# Public name -> the module it lives in.
_HOMES = {
    **dict.fromkeys(("Alert", "AlertHistory", "AlertRule", "AlertRules"), "alerts.verbs"),
    **dict.fromkeys(("Orchestrator", "connect", "local_cloud"), "client"),
    **dict.fromkeys(
        (
            "AuthenticationFailed",
            "BadInput",
            "Conflict",
            "ExecutionNotFound",
            "BicepError",
            "DeploymentFailed",
            "InvalidRequest",
            "JobNotFound",
            "JobSuspended",
            "NotFound",
            "NotReachable",
            "OrchestratorError",
            "PermissionDenied",
            "ProfileError",
            "QueryError",
            "QueueNotFound",
            "ServiceFailed",
            "SettingsError",
            "SettingsNotFound",
            "StorageFull",
            "TableNotFound",
            "Throttled",
            "WaitTimeout",
        ),
        "errors",
    ),
    "Run": "executions.run",
    **dict.fromkeys(
        ("DeadLetterMessages", "Message", "Messages", "Outcome", "Sent"),
        "queues.messages",
    ),
    **dict.fromkeys(("Drift", "Drifted", "Plan", "PlannedJob"), "planning.verbs"),
    **dict.fromkeys(("Finding", "Findings"), "doctor.findings"),
    **dict.fromkeys(("ProgressBar", "progress"), "notebook"),
    "QueueHandle": "queues.handle",
    **dict.fromkeys(
        ("MetricPoint", "MetricPoints", "MetricSeries", "MetricTable"), "metrics.series"
    ),
    **dict.fromkeys(("QueryResult", "QueryTable"), "queries.result"),
    **dict.fromkeys(
        (
            "Change",
            "Changes",
            "Execution",
            "Executions",
            "FieldChange",
            "Job",
            "Jobs",
            "LogLine",
            "Logs",
            "Replica",
            "Step",
        ),
        "results",
    ),
    "Settings": "settings",
    "load_settings": "settings",
    **dict.fromkeys(("Queue", "QueueSession", "QueueSessions", "Queues"), "queues.records"),
    **dict.fromkeys(("JobStatus", "Status"), "status"),
}
# … and its name there, where that is another.
_OTHER_NAMES = {"load_settings": "load"}

__all__ = [
    "Alert",
    "AlertHistory",
    "AlertRule",
    "AlertRules",
    "AuthenticationFailed",
    "BadInput",
    "BicepError",
    "Change",
    "Changes",
    "Conflict",
    "DeadLetterMessages",
    "DeploymentFailed",
    "Drift",
    "Drifted",
    "Execution",
    "ExecutionNotFound",
    "Executions",
    "FieldChange",
    "Finding",
    "Findings",
    "InvalidRequest",
    "Job",
    "JobNotFound",
    "JobStatus",
    "JobSuspended",
    "Jobs",
    "LogLine",
    "Logs",
    "Message",
    "Messages",
    "MetricPoint",
    "MetricPoints",
    "MetricSeries",
    "MetricTable",
    "NotFound",
    "NotReachable",
    "Orchestrator",
    "OrchestratorError",
    "Outcome",
    "PermissionDenied",
    "Plan",
    "PlannedJob",
    "ProfileError",
    "ProgressBar",
    "QueryError",
    "QueryResult",
    "QueryTable",
    "Queue",
    "QueueHandle",
    "QueueNotFound",
    "QueueSession",
    "QueueSessions",
    "Queues",
    "Replica",
    "Run",
    "Sent",
    "ServiceFailed",
    "Settings",
    "SettingsError",
    "SettingsNotFound",
    "Status",
    "Step",
    "StorageFull",
    "TableNotFound",
    "Throttled",
    "WaitTimeout",
    "__version__",
    "connect",
    "load_settings",
    "local_cloud",
    "progress",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"orchestrator.{home}"), _OTHER_NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
