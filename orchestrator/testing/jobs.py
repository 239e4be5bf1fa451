"""Jobs of an isolated cloud, and what their executions leave behind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import timedelta

    from orchestrator.executions.run import Run
    from orchestrator.results import Execution, LogLine
    from orchestrator.testing.cloud import IsolatedCloud

_SHOWN = 20


class Finished:
    """An execution that is over, and what it wrote.

    Attributes:
        execution: As the library gives it: `status`, `start`, `end`, `reason`, `replicas`, …
    """

    def __init__(self, cloud: IsolatedCloud, execution: Execution) -> None:
        self._cloud = cloud
        self.execution = execution

    def __repr__(self) -> str:
        return f"<Finished {self.name}: {self.status}>"

    @property
    def name(self) -> str:
        """The execution's name."""
        return self.execution.name

    @property
    def status(self) -> str:
        """`Succeeded`, `Failed` or `Stopped`."""
        return self.execution.status

    @property
    def succeeded(self) -> bool:
        """Every replica that was wanted ended with exit code 0."""
        return self.execution.succeeded

    @cached_property
    def log(self) -> list[LogLine]:
        """All its lines, of both streams, oldest first."""
        return list(self._cloud.orc.logs(self.execution.job, execution=self.name))

    @property
    def lines(self) -> list[str]:
        """What it wrote on its standard output."""
        return [line.text for line in self.log if line.stream == "stdout"]

    @property
    def errors(self) -> list[str]:
        """What it wrote on its standard error."""
        return [line.text for line in self.log if line.stream == "stderr"]

    def check(self) -> Finished:
        """The same, if it succeeded.

        Raises:
            AssertionError: It did not; says why, with its last lines.
        """
        if self.succeeded:
            return self
        why = " ".join(filter(None, (self.execution.reason, self.execution.message)))
        said = "\n".join(f"  {line.stream}: {line.text}" for line in self.log[-_SHOWN:])
        raise AssertionError(
            f"The execution {self.name} ended as {self.status}. {why}\n"
            + (f"Its last lines:\n{said}" if said else "It wrote nothing.")
        )


class JobUnderTest:
    """A job of an isolated cloud. Made by `IsolatedCloud.job`."""

    def __init__(self, cloud: IsolatedCloud, name: str) -> None:
        self._cloud = cloud
        self.name = name

    def __repr__(self) -> str:
        return f"<JobUnderTest {self.name}>"

    def start(
        self,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] | None = None,
    ) -> Run:
        """Start an execution and do not wait; `env` and `args` are for this one alone."""
        return self._cloud.orc.start(self.name, env=env, args=args)

    def run(
        self,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] | None = None,
        timeout: float | str | timedelta = 60.0,
    ) -> Finished:
        """Start an execution and wait for its end.

        Raises:
            WaitTimeout: It still runs after `timeout` (seconds of the machine, or "2m").
        """
        run = self.start(env=env, args=args)
        return Finished(self._cloud, run.wait(timeout, poll=0.02))

    def finished(self) -> list[Finished]:
        """Its executions that are over, whatever started them, oldest first."""
        found = [e for e in self._cloud.orc.executions(self.name) if e.finished]
        return [Finished(self._cloud, execution) for execution in reversed(found)]


def process_of(callee: Callable[[], Any]) -> list[str]:
    """The command that calls a function of a module in a process of its own.

    Raises:
        ValueError: It is not a function at the top of a file, or it wants arguments.
    """
    file = inspect.getsourcefile(callee) if inspect.isfunction(callee) else None
    name = getattr(callee, "__qualname__", repr(callee))
    if file is None or not name.isidentifier():
        raise ValueError(
            f"{name} cannot be run as a job: a replica is a process of its own and finds only "
            "functions at the top level of a file."
        )
    wanted = [
        parameter.name
        for parameter in inspect.signature(callee).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if wanted:
        raise ValueError(
            f"{name} cannot be run as a job: it wants {', '.join(wanted)}. Give it its values as "
            "variables (env=…)."
        )
    return ["{python}", "-m", "orchestrator.testing.call", str(Path(file).absolute()), name]
