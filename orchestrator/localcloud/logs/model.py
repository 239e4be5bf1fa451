"""What the runtime tells Log Analytics, and the door through which it does.

A `ConsoleLine` is one line that a container wrote; a `SystemEvent` is one thing the platform did.
Both name the job, the execution and the replica they belong to; the store turns them into rows of
the tables `ContainerAppConsoleLogs_CL` and `ContainerAppSystemLogs_CL`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Stream = Literal["stdout", "stderr"]
EventType = Literal["Normal", "Warning"]

MAX_LINE_BYTES = 1024 * 1024
"""A longer line is to be cut by its writer into pieces of at most this size, each a line."""


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One line of a container's output.

    Attributes:
        time: Moment the line was read, epoch seconds (UTC). The store keeps microseconds and makes
            the times of one replica strictly increasing, in the order in which lines are given.
        stream: The file the container wrote to.
        text: The line without its line end. Any text: undecodable bytes may come as lone
            surrogates (`errors="surrogateescape"`), NUL and other control characters are kept.
        job: Name of the Container Apps job.
        execution: Name of the execution, such as `sender-66v9xh0`.
        replica: Name of the replica; starts with the execution's name.
        container: Name of the container in the job's template.
        image: Image of that container, as the template names it.
        environment: Name (not id) of the managed environment.
        resource_id: Resource id of the job, in its original case.
        container_id: Id that the executor gave the container; empty when it has none.
    """

    time: float
    stream: Stream
    text: str
    job: str
    execution: str
    replica: str
    container: str
    image: str
    environment: str
    resource_id: str
    container_id: str = ""


@dataclass(frozen=True, slots=True)
class SystemEvent:
    """One event in the life of a job, an execution or a replica.

    Attributes:
        time: Moment of the event, epoch seconds (UTC).
        job: Name of the job.
        execution: Name of the execution; empty for an event of the job itself.
        replica: Name of the replica; empty for an event of the execution or the job.
        reason: One word as Container Apps writes it: `ContainerTerminated`, `BackoffLimitExceeded`.
        text: The sentence a person reads.
        type: `Warning` for what went wrong, else `Normal`.
        environment: Name of the managed environment.
        resource_id: Resource id of the job.
        source: Who says so: `ContainerAppController`, or `KEDA` for the scaler.
        container: Name of the container, where the event is about one.
        count: How often the event has happened.
    """

    time: float
    job: str
    execution: str
    replica: str
    reason: str
    text: str
    type: EventType
    environment: str
    resource_id: str
    source: str = "ContainerAppController"
    container: str = ""
    count: int = 1


class LogSink(Protocol):
    """What the runtime writes to. Every method returns at once and never raises.

    Call them from the event loop that the log store was opened on. Lines of one replica appear in
    queries and in the live stream in the order of the calls.
    """

    def console(self, line: ConsoleLine) -> None:
        """Accept one line of output."""
        ...

    def system(self, event: SystemEvent) -> None:
        """Accept one event."""
        ...

    def replica_started(self, execution: str, replica: str) -> None:
        """The replica exists from now on: its live stream may be opened, though still empty."""
        ...

    def replica_ended(self, replica: str) -> None:
        """The replica has written its last line: its live streams end after delivering it."""
        ...
