"""An isolated local cloud: ports, state and time of its own, gone when it is closed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from orchestrator.testing.jobs import JobUnderTest, process_of
from orchestrator.testing.project import Project

if TYPE_CHECKING:
    from types import TracebackType

    from orchestrator.client import Orchestrator
    from orchestrator.clock import Clock
    from orchestrator.localcloud.steering.client import SteeringClient
    from orchestrator.queues.handle import QueueHandle
    from orchestrator.queues.records import Queue

T = TypeVar("T")

_IDENTITY = {"AZURE_CLIENT_ID": "${identity.client_id}"}


class TimeOfCloud:
    """The cloud's time: cron, scaler polls, locks, time to live, time-outs, log times."""

    def __init__(self, steering: SteeringClient) -> None:
        self._steering = steering

    @property
    def now(self) -> datetime:
        """What time it is there, aware UTC."""
        return datetime.fromisoformat(self._steering.clock()["time"])

    def advance(
        self,
        by: float | str | timedelta,
        *,
        patience: float = 30.0,
        timeout: float | None = None,
    ) -> datetime:
        """Move time on; what is due on the way happens, in order.

        Replicas that start on the way run to their end before time goes on, each at most
        `patience` seconds of the machine's. `by`: seconds, "1d" or a timedelta. `timeout`: seconds
        of the machine's for all of it; then LocalCloudError is raised, which names what it waits
        for, and time runs on from where it is.
        """
        from orchestrator.quantities import as_seconds

        state = self._steering.advance(as_seconds(by), patience=patience, timeout=timeout)
        return datetime.fromisoformat(state["time"])

    def rate(self, rate: float) -> None:
        """Let time pass `rate` times as fast as the machine's."""
        self._steering.rate(rate)

    def freeze(self) -> None:
        """Let no time pass but by `advance`."""
        self._steering.freeze()

    def reset(self) -> None:
        """Go back to the machine's time."""
        self._steering.reset()


class IsolatedCloud:
    """A local cloud for one test, or for some. A context manager; `close` ends it.

    What `queue` and `job` declare is made when something needs it.

    Args:
        folder: An empty folder for its state and settings.
        settings: An orchestrator.toml (or its folder) whose queues and jobs it begins with.
        clock: Its time; None: the machine's, steered by `time`.

    Attributes:
        time: Its time; not with a `clock` of your own, which you move yourself.
        connection: What its cloud.json holds: endpoints, credentials, CA.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        settings: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        from orchestrator.localcloud.steering.client import SteeringClient
        from orchestrator.testing.host import Host

        self._project = Project(Path(folder).absolute(), settings)
        self._host = Host(self._project.folder / "state", self._project.folder, clock)
        self.connection: dict[str, Any] = self._host.connection
        self._steering = SteeringClient(self.connection)
        self.time = TimeOfCloud(self._steering)
        self._orchestrator: Orchestrator | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop it and everything that runs in it."""
        self._forget()
        self._host.stop()

    # ------------------------------------------------------------------ the world

    @property
    def orc(self) -> Orchestrator:
        """The library on this cloud; all that was declared is there."""
        if self._orchestrator is None:
            from orchestrator.azure.profile import resolve
            from orchestrator.client import Orchestrator

            settings = self._project.load()
            made = Orchestrator(settings, resolve(settings, environ={}))
            try:
                made.up()
            except BaseException:
                made.close()
                raise
            self._orchestrator = made
        return self._orchestrator

    def queue(self, name: str, **properties: Any) -> None:
        """Declare a queue: the keys of `[queues.<name>]`, such as `lock_duration="30s"`.

        Raises:
            SettingsError: A key or a value that no queue has.
        """
        self._forget()
        self._project.add("queues", name, properties)

    def job(
        self,
        name: str,
        run: Callable[[], Any] | None = None,
        *,
        command: Sequence[str] | None = None,
        workdir: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        **configuration: Any,
    ) -> JobUnderTest:
        """Declare a job, or take one of the settings.

        Args:
            name: Its name.
            run: A function at the top level of a file; called without arguments in a process of
                its own, where an exception or a number returned makes it fail.
            command: A program and its arguments instead; `{python}` stands for this interpreter.
            workdir: Where it runs; None: the folder the tests were started in.
            env: Its variables; `${servicebus}` stands for the namespace's host name. The job's
                identity is named to it by AZURE_CLIENT_ID, unless that is given.
            configuration: More keys of `[jobs.<name>]`, such as `trigger="schedule"`,
                `cron="*/5 * * * *"`, `retries=1`, `timeout="2m"`, `scale={…}`.

        Without `run` and `command` the job has to be one of the settings.

        Raises:
            SettingsError: A key or a value that no job has.
            ValueError: A function that cannot be called from another process.
            JobNotFound: Not one of the settings.
        """
        if run is None and command is None:
            if env or configuration or workdir is not None:
                raise ValueError(f"The job {name} needs a function or a command to run.")
            if name not in self._project.load().jobs:
                from orchestrator.errors import JobNotFound

                raise JobNotFound(
                    f"The settings have no job {name}.", "Give it a function or a command."
                )
            return JobUnderTest(self, name)
        if run is not None and command is not None:
            raise ValueError(f"The job {name} runs a function or a command, not both.")
        process = process_of(run) if run is not None else [str(word) for word in command or ()]
        self._forget()
        self._project.add(
            "images", name, {"process": process, "workdir": str(Path(workdir or ".").absolute())}
        )
        variables = _IDENTITY | {key: str(value) for key, value in (env or {}).items()}
        job = {"trigger": "manual", "image": name, "env": variables, **configuration}
        self._project.add("jobs", name, job)
        return JobUnderTest(self, name)

    def _forget(self) -> None:
        made, self._orchestrator = self._orchestrator, None
        if made is not None:
            made.close()

    # ------------------------------------------------------------------ queues

    def messages(self, queue: str) -> QueueHandle:
        """A queue's messages: `send`, `receive`, `peek`, `dead_letters`, `purge`."""
        return self.orc.queues[queue]

    def depth(self, queue: str) -> Queue:
        """How deep it is: `active`, `dead_letter`, `scheduled`."""
        return self.messages(queue).show()

    # ------------------------------------------------------------------ what goes wrong

    @cached_property
    def faults(self) -> SteeringClient:
        """Faults on demand: `add_fault("status", status=429)`, `faults()`, `clear_faults()`."""
        return self._steering

    # ------------------------------------------------------------------ waiting

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 60.0) -> T:
        """Run a coroutine in the cloud's event loop, where a clock of your own is moved; at most
        `timeout` seconds."""
        return self._host.call(work, timeout)

    def until(self, test: Callable[[], T], timeout: float = 20.0) -> T:
        """Ask `test` again and again until it gives something true, and return that.

        Raises:
            AssertionError: Not within `timeout` seconds of the machine's time.
        """
        end = time.monotonic() + timeout
        while not (value := test()):
            if time.monotonic() > end:
                raise AssertionError(f"Not within {timeout:g} s; the last answer was {value!r}.")
            time.sleep(0.02)
        return value
