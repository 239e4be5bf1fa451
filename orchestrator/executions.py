"""Executions: start, list, wait for, stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from orchestrator.results import Execution, LogLine, Logs

if TYPE_CHECKING:
    from orchestrator.client import Since


class Run:
    """A handle on one execution. `name` and `job` never change; `execution` is read anew."""

    name: str
    job: str

    @property
    def execution(self) -> Execution:
        """The execution as it is now."""
        raise NotImplementedError

    @property
    def status(self) -> str:
        """Its status now."""
        return self.execution.status

    def wait(
        self,
        timeout: float | str | None = None,
        *,
        poll: float | None = None,
        on_change: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Wait until it has ended. `timeout`: seconds or "10m"; then WaitTimeout is raised.

        `poll`: seconds between two looks (None: 0.2 growing to 5). `on_change`: called with each
        new state, the first included.
        """
        raise NotImplementedError

    def follow(self, *, tail: int | None = None, grep: str | None = None) -> Iterator[LogLine]:
        """Its output line by line, live, until it has ended."""
        raise NotImplementedError

    def logs(
        self, *, since: Since = None, tail: int | None = None, grep: str | None = None
    ) -> Logs:
        """Its stored log lines."""
        raise NotImplementedError

    def stop(self) -> Execution:
        """Stop it."""
        raise NotImplementedError
