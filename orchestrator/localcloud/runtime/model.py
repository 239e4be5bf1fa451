"""What the job runtime is made of, and the seams to the rooms around it.

The runtime knows jobs as Resource Manager JSON (`JobSource`), writes to Log Analytics through a
`LogSink`, asks for queue lengths by a function, and starts containers through an `Executor`. It
knows nothing of HTTP, AMQP, processes or Docker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

Json = dict[str, Any]
Stream = Literal["stdout", "stderr"]
Trigger = Literal["Manual", "Schedule", "Event"]

ReplicaEnvironment = Callable[[Json], AbstractAsyncContextManager[Mapping[str, str]]]
"""(job resource) -> variables that the platform gives each replica, open while the replica lives.

Entered once per replica before its first container starts, closed after its last one ended:
IDENTITY_ENDPOINT, IDENTITY_HEADER, SERVICE_BUS_CUSTOM_ENDPOINT, SSL_CERT_FILE and the like. The
job's own `env` wins over a variable of the same name; the runtime itself adds the
CONTAINER_APP_* ones.
"""


class JobSource(Protocol):
    """Where the runtime reads jobs: the Resource Manager's store.

    A job is its whole ARM resource, `{"id", "name", "location", "identity"?, "properties": {...}}`,
    with the values of its secrets in `properties.configuration.secrets[].value`. A suspended job
    has `properties.runningState == "Suspended"`. What is returned must not be changed later.
    """

    def jobs(self) -> Iterable[Json]:
        """Every job there is."""
        ...

    def job(self, job_id: str) -> Json | None:
        """The job with this resource id (case-insensitive); None when there is none."""
        ...


class Queues(Protocol):
    """Where the scaler reads how many messages wait.

    A namespace is "" when a connection string names only an address (localhost, 127.0.0.1): then
    the one namespace that has the queue is meant. A subscription is asked for as
    `<topic>/subscriptions/<subscription>`.
    """

    def refuses(self, job_id: str, identity: str, namespace: str, entity: str) -> str | None:
        """Why the identity of a job's rule may not read the count; None: it may."""
        ...

    def refuses_key(self, namespace: str, entity: str, name: str, key: str) -> str | None:
        """Why a connection string's key may not read the count; None: it may."""
        ...

    def namespace_of_key(self, entity: str, name: str, key: str) -> str:
        """The namespace whose key it is, where a connection string names only an address; ""."""
        ...

    def length(self, namespace: str, entity: str) -> int | None:
        """Active messages; None when there is no such queue or subscription."""
        ...

    def names(self, namespace: str, topic: str) -> list[str] | None:
        """Names of the namespace's queues, or with `topic` of that topic's subscriptions; None
        when there is no such namespace or topic."""
        ...


class Meter(Protocol):
    """Measures executions; told at once, returns at once, never raises."""

    def execution(self, job_id: str, execution: str, state: str) -> None:
        """An execution has come to be in a state (a `Status`)."""
        ...

    def begin(self, job_id: str, execution: str, replica: str, cores: float, size: float) -> None:
        """A replica runs; its containers have asked for so many cores and bytes together."""
        ...

    def end(self, replica: str) -> None:
        """It is over."""
        ...

    def restarted(self, job_id: str, execution: str, times: int) -> None:
        """Containers of a replica were started again, so many times by now."""
        ...

    def used(self, job_id: str, execution: str, size: int, nano_cores: float | None) -> None:
        """What a container uses now: bytes, and cpu since the look before; None: the first."""
        ...


class Unmeasured:
    """Nobody measures (a `Meter`)."""

    def execution(self, job_id: str, execution: str, state: str) -> None:
        pass

    def begin(self, job_id: str, execution: str, replica: str, cores: float, size: float) -> None:
        pass

    def end(self, replica: str) -> None:
        pass

    def restarted(self, job_id: str, execution: str, times: int) -> None:
        pass

    def used(self, job_id: str, execution: str, size: int, nano_cores: float | None) -> None:
        pass


class RuntimeFault(Exception):  # noqa: N818 - a refusal of a request, not a programming error
    """A request that the runtime refuses; becomes an ARM error.

    Attributes:
        code: ARM error code, such as `JobExecutionNotFound`.
        message: One sentence for the user.
        status: HTTP status that fits.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class Status(StrEnum):
    """`properties.status` of an execution (SDK: JobExecutionRunningState)."""

    RUNNING = "Running"
    PROCESSING = "Processing"
    STOPPED = "Stopped"
    DEGRADED = "Degraded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"
    SUCCEEDED = "Succeeded"

    @property
    def final(self) -> bool:
        """Whether an execution in this status is over."""
        return self in (Status.STOPPED, Status.FAILED, Status.SUCCEEDED)


class ContainerState(StrEnum):
    """`detailedStatus.replicas[].containers[].status` (REST examples: `Succeeded`)."""

    WAITING = "Waiting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def ended(self) -> bool:
        """Whether the container ran and is over."""
        return self in (ContainerState.SUCCEEDED, ContainerState.FAILED)


@dataclass(slots=True)
class ContainerRecord:
    """One container of a replica; when it was restarted, its newest run.

    Attributes:
        name: Its name in the template.
        image: Its image in the template.
        init: True for an init container.
        state: Where it stands.
        code: Exit code; None before it ended, and when it never started.
        reason: One word: `Completed`, `ProcessExited`, `OOMKilled`, `ImagePullFailure` ...
        message: The sentence to go with the reason; empty when there is nothing to add.
        id: Identity of this run of the container, 64 hexadecimal digits; a restart has another.
        mark: The executor's durable handle (see `ContainerHandle.mark`).
        restarts: How often it was started again.
        started: Epoch seconds.
        finished: Epoch seconds.
    """

    name: str
    image: str
    init: bool = False
    state: ContainerState = ContainerState.WAITING
    code: int | None = None
    reason: str = ""
    message: str = ""
    id: str = ""
    mark: str = ""
    restarts: int = 0
    started: float | None = None
    finished: float | None = None


class ReplicaState(StrEnum):
    """How a replica ended, or that it has not."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"
    LOST = "Lost"
    """The local cloud went away while it ran; a new replica takes its place, which is no retry."""


@dataclass(slots=True)
class ReplicaRecord:
    """One replica of an execution: what Kubernetes calls a pod.

    A container that fails is restarted inside its replica (Container Apps jobs run with the
    restart policy `OnFailure`: github.com/microsoft/azure-container-apps/issues/1626).

    Attributes:
        name: `{execution}-{5 of a-z0-9}`.
        slot: Which of the wanted completions it works on (0 <= slot < replicaCompletionCount).
        state: How it stands.
        created: Epoch seconds.
        finished: Epoch seconds; None while it runs.
        restarts: Restarts of its containers so far, those of a lost predecessor included;
            `replicaRetryLimit` bounds it.
        containers: Init containers first, in the template's order.
    """

    name: str
    slot: int
    state: ReplicaState
    created: float
    finished: float | None = None
    restarts: int = 0
    containers: list[ContainerRecord] = field(default_factory=list)


@dataclass(slots=True)
class ExecutionRecord:
    """One execution of a job.

    Attributes:
        job_id: Resource id of the job, in its original case.
        name: `{job}-{7 of a-z0-9}`.
        trigger: What started it.
        status: Where it stands.
        started: Epoch seconds.
        ended: Epoch seconds; None while it runs.
        template: The template it runs, with the override of `start` applied (secret references,
            never secret values).
        parallelism: Replicas that may run at a time.
        completions: Replicas that have to succeed.
        retry_limit: Failures of one replica that are tried again (replicaRetryLimit).
        timeout: Seconds from `started` until everything is stopped; None for no limit.
        reason: One word; empty while there is nothing to say.
        message: The sentence to go with it.
        stopping: Somebody asked to stop it; durable before any replica is told.
        deleted: Its job was deleted: it is being stopped, and no longer listed.
        replicas: In the order of their creation.
    """

    job_id: str
    name: str
    trigger: Trigger
    status: Status
    started: float
    template: Json
    parallelism: int = 1
    completions: int = 1
    retry_limit: int = 0
    timeout: float | None = None
    ended: float | None = None
    reason: str = ""
    message: str = ""
    stopping: bool = False
    deleted: bool = False
    replicas: list[ReplicaRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume in a container.

    Attributes:
        volume: Its name in the template; an EmptyDir of that name is one for the whole replica.
        path: Where the container sees it (`mountPath`), absolute.
        sub_path: What of it is mounted: a folder of an EmptyDir, a file of a Secret volume; "" for
            all.
        secrets: Of a Secret volume: values by relative path. None: it is an EmptyDir.
    """

    volume: str
    path: str
    sub_path: str = ""
    secrets: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What an executor needs to run one container.

    Attributes:
        id: Identity of this run of the container, 64 hexadecimal digits.
        name: Container name.
        image: Image reference as the template has it.
        command: Replaces the image's entry point when not empty.
        args: Replaces the image's arguments (a process: appended to its command line).
        env: All variables of the container, the platform's included. Holds secrets.
        cpu: Cores; None when the template says nothing.
        memory: Bytes; None when the template says nothing.
        mounts: Its volumes.
    """

    id: str
    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cpu: float | None = None
    memory: int | None = None
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """A replica that an executor is asked to run containers for."""

    job: str
    execution: str
    name: str


class StartFailure(Exception):  # noqa: N818 - Kubernetes' own word, and not a fault of the program
    """A container could not be started.

    Attributes:
        reason: One word for the system log, such as `ImagePullFailure`.
        message: One sentence for the system log.
        permanent: Trying again cannot help (no such image); the execution fails at once.
    """

    def __init__(self, reason: str, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class ContainerExit:
    """How a container ended: exit code (128 + n when killed by signal n), reason and message."""

    code: int
    reason: str = ""
    message: str = ""


class Output(Protocol):
    """Where an executor delivers what a container writes."""

    def line(self, stream: Stream, text: str) -> None:
        """Take one line, without its line end, in the order of arrival."""
        ...

    def behind(self) -> bool:
        """Whether the reader cannot keep up: stop reading the pipe until `ready` returns."""
        ...

    async def ready(self) -> None:
        """Until the reader keeps up again."""
        ...

    def used(self, size: int, nano_cores: float | None) -> None:
        """Told now and then, where the executor can tell: see `Meter.used`."""
        ...


class ContainerHandle(Protocol):
    """A container that was started."""

    @property
    def mark(self) -> str:
        """Text by which `Executor.reap` finds it again after the server was killed."""
        ...

    async def wait(self) -> ContainerExit:
        """Until it has ended *and* all its output was delivered. May be awaited more than once."""
        ...

    async def stop(self, grace: float) -> None:
        """Ask it to end (SIGTERM); after `grace` seconds of machine time end it and all it started.

        Returns when it has ended. The grace period is the machine's time, not the injected
        clock's: what a program needs to clean up does not get less when a test speeds time up.
        """
        ...


class Executor(Protocol):
    """Runs containers: as processes, or on a container engine.

    Attributes:
        name: `process` or `container`.
        unenforced: The keys of a container's `resources` that it does not enforce.
    """

    name: str
    unenforced: tuple[str, ...]

    async def start(
        self, replica: ReplicaSpec, container: ContainerSpec, output: Output
    ) -> ContainerHandle:
        """Start one container.

        Raises:
            StartFailure: It cannot be started; nothing is left behind.
        """
        ...

    async def release(self, replica: ReplicaSpec) -> None:
        """The replica is over: free what its containers shared (scratch folders, networks)."""
        ...

    async def reap(self, marks: Mapping[str, Iterable[str]]) -> int:
        """End what an earlier server left running, and return how many were ended.

        Args:
            marks: For each replica name the marks of its containers; a container killed between
                its start and the writing of its mark has none, and is found by its replica's name.
        """
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What Container Apps fixes for its users, and a test may want otherwise. All in seconds.

    Attributes:
        grace: From SIGTERM to SIGKILL (Container Apps' default terminationGracePeriodSeconds).
        shutdown_grace: The same when the local cloud itself is stopped.
        backoff: Wait before the first restart of a container; doubles with each one
            (Kubernetes, "Container restart policy": 10 s, 20 s, 40 s ... capped at 300 s).
        backoff_cap: The longest such wait.
        backoff_reset: A container that ran so long before it failed starts over with `backoff`.
        history: Finished executions kept for a scheduled or event-driven job.
    """

    grace: float = 30.0
    shutdown_grace: float = 5.0
    backoff: float = 10.0
    backoff_cap: float = 300.0
    backoff_reset: float = 600.0
    history: int = 100
