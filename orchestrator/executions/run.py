"""A handle on one execution: what `start`, `run` and `retry` give."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError
from orchestrator.results import Execution, Logs
from orchestrator.waiting import backoff

if TYPE_CHECKING:
    from orchestrator.client import Orchestrator
    from orchestrator.executions.explanation import Explanation
    from orchestrator.quantities import Since
    from orchestrator.results import LogLine


class Run:
    """A handle on one execution. `name` and `job` never change; `execution` is read anew.

    `notes`: what was perhaps not meant so when it was started here, such as a variable that is
    nearly one that the job has.
    """

    def __init__(
        self, orchestrator: Orchestrator, name: str, job: str, notes: Sequence[str] = ()
    ) -> None:
        self._orchestrator = orchestrator
        self.name = name
        self.job = job
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        return f"<Run {self.name} of the job {self.job}>"

    def _repr_html_(self) -> str | None:
        """Its execution now, in a notebook; the plain text where nobody answers."""
        try:
            return self.execution._repr_html_()
        except OrchestratorError:
            return None

    @property
    def execution(self) -> Execution:
        """The execution as it is now."""
        return self._orchestrator.execution(self.name, self.job)

    @property
    def status(self) -> str:
        """Its status now."""
        return self.execution.status

    def wait(
        self,
        timeout: float | str | timedelta | None = None,
        *,
        poll: float | None = None,
        on_change: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Wait until it has ended. `timeout`: seconds or "10m"; then WaitTimeout is raised.

        `poll`: seconds between two looks (None: 0.2 growing to 5). `on_change`: called with each
        new state, the first included.
        """
        return self._orchestrator.wait(
            self.name, self.job, timeout=timeout, poll=poll, on_change=on_change
        )

    def __await__(self) -> Generator[Any, None, Execution]:
        """`await run`: the same as `wait()`, and other tasks go on meanwhile.

        Several at once: `await asyncio.gather(*runs)`. A cancelled wait leaves the execution as it
        is.
        """
        return self._ended().__await__()

    async def _ended(self) -> Execution:
        import asyncio

        for pause in backoff():
            execution = await asyncio.to_thread(self._orchestrator.execution, self.name, self.job)
            if execution.finished:
                return execution
            await asyncio.sleep(pause)
        raise AssertionError("backoff never ends")

    def follow(self, *, tail: int | None = None, grep: str | None = None) -> Iterator[LogLine]:
        """Its output line by line, live, until it has ended."""
        return self._orchestrator.follow(self.job, self.name, tail=tail, grep=grep)

    def logs(
        self, *, since: Since = None, tail: int | None = None, grep: str | None = None
    ) -> Logs:
        """Its stored log lines."""
        return self._orchestrator.logs(
            self.job, execution=self.name, since=since, tail=tail, grep=grep
        )

    def stop(self) -> Execution:
        """Stop it."""
        return self._orchestrator.stop(self.name, self.job)

    def retry(self) -> Run:
        """Start its job again with the template and overrides that this one had."""
        return self._orchestrator.retry(self.name, self.job)

    def explain(self) -> Explanation:
        """Why it ended as it did: exit codes, last lines, system events, and a paragraph."""
        return self._orchestrator.explain(self.name, self.job)
