"""System log events in Container Apps' reasons and wording.

Reasons and sentences are those of the service's `ContainerAppSystemLogs_CL` where they are known
(job controller and kubelet events of Kubernetes, KEDA's `eventreason`), and in their manner where
the local cloud has something of its own to say.
"""

from __future__ import annotations

from orchestrator.clock import Clock
from orchestrator.localcloud.logs.model import LogSink, SystemEvent
from orchestrator.localcloud.runtime.job import Job

BACKOFF_LIMIT = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
COMPLETED = ("Completed", "Job completed")
STOPPED = ("Stopped", "Job execution was stopped by a request")
INTERNAL = (
    "InternalError",
    "The local cloud failed while it ran this execution; its server.log says why.",
)

KEDA = "KEDA"


def lost(replica: str) -> tuple[str, str]:
    """Reason and sentence for a replica that ended because the local cloud did."""
    return (
        "ReplicaLost",
        f"Replica {replica} was lost because the local cloud stopped while it ran; "
        "it is replaced, which does not count as a retry",
    )


class Events:
    """Writes system events for one local cloud.

    Args:
        logs: Where they go.
        clock: Gives their time.
    """

    def __init__(self, logs: LogSink, clock: Clock) -> None:
        self._logs = logs
        self._clock = clock

    def write(
        self,
        job: Job,
        reason: str,
        text: str,
        *,
        execution: str = "",
        replica: str = "",
        container: str = "",
        warning: bool = False,
        source: str = "ContainerAppController",
        count: int = 1,
    ) -> None:
        """Write one event; of the execution, the replica or the container it is about."""
        self._logs.system(
            SystemEvent(
                time=self._clock.time(),
                job=job.name,
                execution=execution,
                replica=replica,
                reason=reason,
                text=text,
                type="Warning" if warning else "Normal",
                environment=job.environment,
                resource_id=job.id,
                source=source,
                container=container,
                count=count,
            )
        )
