"""The operating system, scripted: an Executor whose containers live in a ManualClock's time.

Everything else in these tests is the real runtime.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.clock import ManualClock
from orchestrator.localcloud.logs.model import ConsoleLine, SystemEvent
from orchestrator.localcloud.runtime.model import (
    ContainerExit,
    ContainerSpec,
    Json,
    Limits,
    Output,
    ReplicaSpec,
    StartFailure,
)
from orchestrator.localcloud.runtime.runtime import Runtime

PREFIX = "/subscriptions/0/resourceGroups/Local/providers/Microsoft.App/jobs/"
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class PatientClock(ManualClock):
    """A ManualClock that lets a whole execution end before time moves on."""

    @staticmethod
    async def _settle(rounds: int = 60) -> None:
        for _ in range(rounds):
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Act:
    """What one run of a container does: after `after` seconds it exits with `code`."""

    after: float = 0.0
    code: int = 0
    deaf: bool = False  # does not hear SIGTERM
    lines: tuple[str, ...] = ()
    refuse: StartFailure | None = None


Script = Callable[[ReplicaSpec, ContainerSpec, int], Act]


class ScriptedHandle:
    def __init__(self, executor: ScriptedExecutor, act: Act, mark: str) -> None:
        self.mark = mark
        self._executor = executor
        self._act = act
        self._exit: asyncio.Future[ContainerExit] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        await self._executor.clock.sleep(self._act.after)
        self._end(self._act.code)

    def _end(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(ContainerExit(code))
            self._executor.alive.discard(self.mark)

    async def wait(self) -> ContainerExit:
        return await asyncio.shield(self._exit)

    async def stop(self, grace: float) -> None:
        self._executor.stops.append((self.mark, grace))
        self._life.cancel()
        self._end(137 if self._act.deaf else 143)


class ScriptedExecutor:
    name = "scripted"
    unenforced: tuple[str, ...] = ()

    def __init__(self, clock: ManualClock, script: Script | None = None) -> None:
        self.clock = clock
        self.script: Script = script or (lambda replica, container, run: Act())
        self.starts: list[tuple[ReplicaSpec, ContainerSpec, float]] = []
        self.alive: set[str] = set()
        self.peak = 0
        self.stops: list[tuple[str, float]] = []
        self.released: list[str] = []
        self.reaped: list[dict[str, list[str]]] = []
        self._runs: dict[tuple[str, str], int] = {}

    async def start(
        self, replica: ReplicaSpec, container: ContainerSpec, output: Output
    ) -> ScriptedHandle:
        key = (replica.name, container.name)
        run = self._runs.get(key, 0)
        self._runs[key] = run + 1
        self.starts.append((replica, container, self.clock.time()))
        act = self.script(replica, container, run)
        if act.refuse is not None:
            raise act.refuse
        for line in act.lines:
            output.line("stdout", line)
        mark = f"{replica.name}/{container.name}/{run}"
        self.alive.add(mark)
        self.peak = max(self.peak, len({m.split("/")[0] for m in self.alive}))
        return ScriptedHandle(self, act, mark)

    async def release(self, replica: ReplicaSpec) -> None:
        self.released.append(replica.name)

    async def reap(self, marks: Mapping[str, Iterable[str]]) -> int:
        self.reaped.append({name: list(found) for name, found in marks.items()})
        return len(marks)


class Sink:
    """A LogSink that remembers."""

    def __init__(self) -> None:
        self.lines: list[ConsoleLine] = []
        self.events: list[SystemEvent] = []
        self.open: list[str] = []
        self.ended: list[str] = []

    def console(self, line: ConsoleLine) -> None:
        assert line.replica in self.open, "a line of a replica that was not announced"
        self.lines.append(line)

    def system(self, event: SystemEvent) -> None:
        self.events.append(event)

    def replica_started(self, execution: str, replica: str) -> None:
        assert replica.startswith(execution)
        self.open.append(replica)

    def replica_ended(self, replica: str) -> None:
        self.ended.append(replica)

    def reasons(self, *, job: str | None = None) -> list[str]:
        return [event.reason for event in self.events if job in (None, event.job)]

    def texts(self, reason: str) -> list[str]:
        return [event.text for event in self.events if event.reason == reason]


class Jobs:
    """A JobSource over a dict."""

    def __init__(self) -> None:
        self.resources: dict[str, Json] = {}

    def put(self, resource: Json) -> str:
        job_id = str(resource["id"])
        self.resources[job_id.lower()] = resource
        return job_id

    def jobs(self) -> Iterable[Json]:
        return list(self.resources.values())

    def job(self, job_id: str) -> Json | None:
        return self.resources.get(job_id.lower())


def job_resource(
    name: str = "sender",
    *,
    trigger: str = "Manual",
    trigger_config: Json | None = None,
    timeout: int | None = None,
    retries: int | None = None,
    containers: list[Json] | None = None,
    init: list[Json] | None = None,
    secrets: list[Json] | None = None,
    suspended: bool = False,
    identity: Json | None = None,
) -> Json:
    """A job as the Resource Manager's store holds it."""
    configuration: Json = {"triggerType": trigger}
    if trigger_config is not None:
        configuration[f"{trigger.lower()}TriggerConfig"] = trigger_config
    if timeout is not None:
        configuration["replicaTimeout"] = timeout
    if retries is not None:
        configuration["replicaRetryLimit"] = retries
    if secrets is not None:
        configuration["secrets"] = secrets
    template: Json = {"containers": containers or [{"name": "main", "image": "r.azurecr.io/x:1"}]}
    if init is not None:
        template["initContainers"] = init
    properties: Json = {
        "environmentId": "/subscriptions/0/resourceGroups/Local/providers/Microsoft.App/"
        "managedEnvironments/local",
        "configuration": configuration,
        "template": template,
        "runningState": "Suspended" if suspended else "Ready",
    }
    resource: Json = {"id": PREFIX + name, "name": name, "properties": properties}
    if identity is not None:
        resource["identity"] = identity
    return resource


@dataclass
class House:
    """A runtime with its scripted surroundings, which survive its death."""

    state: Path
    clock: ManualClock = field(default_factory=lambda: PatientClock(START))
    jobs: Jobs = field(default_factory=Jobs)
    sink: Sink = field(default_factory=Sink)
    limits: Limits = field(default_factory=Limits)
    queues: dict[tuple[str, str], int] = field(default_factory=dict)
    refusals: dict[tuple[str, str, str], str] = field(default_factory=dict)
    polls: list[tuple[str, str, float]] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.executor = ScriptedExecutor(self.clock)
        self.runtime = self._build()

    def _build(self) -> Runtime:
        return Runtime(
            state=self.state,
            jobs=self.jobs,
            executor=self.executor,
            logs=self.sink,
            clock=self.clock,
            environment=self._environment,
            queues=self,
            limits=self.limits,
        )

    @contextlib.asynccontextmanager
    async def _environment(self, job: Json) -> AsyncIterator[Mapping[str, str]]:
        self.environments.append(f"open {job['name']}")
        yield {"IDENTITY_ENDPOINT": "http://127.0.0.1/msi/token", "SHARED": "platform"}
        self.environments.append(f"close {job['name']}")

    def length(self, namespace: str, entity: str) -> int | None:
        self.polls.append((namespace, entity, self.clock.time()))
        return self.queues.get((namespace, entity))

    def refuses_key(self, namespace: str, entity: str, name: str, key: str) -> str | None:
        return self.refusals.get((name, namespace, entity))

    def namespace_of_key(self, entity: str, name: str, key: str) -> str:
        return next((space for space, path in self.queues if path == entity), "")

    def refuses(self, job_id: str, identity: str, namespace: str, entity: str) -> str | None:
        return self.refusals.get((identity, namespace, entity))

    def names(self, namespace: str, topic: str) -> list[str] | None:
        path = f"{topic}/subscriptions/" if topic else ""
        found = [name for space, name in self.queues if space == namespace]
        if not found:
            return None
        return [
            n.removeprefix(path) for n in found if n.startswith(path) and ("/" in n) == bool(topic)
        ]

    def add(self, *args: Any, **kwargs: Any) -> str:
        """Put a job and tell the runtime, as the provider does."""
        job_id = self.jobs.put(job_resource(*args, **kwargs))
        self.runtime.job_changed(job_id)
        return job_id

    async def settle(self) -> None:
        """Let every task go on as far as it can at this moment."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        await self.settle()
        await self.clock.advance(seconds)
        await self.settle()

    async def die(self) -> None:
        """kill -9: nothing more is written; what was durable stays."""
        runtime = self.runtime
        runtime._store.close()  # a dead process writes nothing more
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.clock._sleepers.clear()

    async def restart(self) -> None:
        """A new server on the same state."""
        self.executor = ScriptedExecutor(self.clock, self.executor.script)
        self.runtime = self._build()
        await self.runtime.start()

    def statuses(self, job_id: str) -> list[str]:
        return [e["properties"]["status"] for e in self.runtime.executions(job_id)]
