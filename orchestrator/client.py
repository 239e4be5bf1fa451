"""`connect()` and the `Orchestrator` it gives: the library's front door.

Each method is one verb on one noun; the work is done in the module of that noun (jobs,
executions, logs, queues, infra), which is imported when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from orchestrator.executions import Run
    from orchestrator.profile import Profile
    from orchestrator.query import QueryResult
    from orchestrator.results import (
        Change,
        Changes,
        Execution,
        Executions,
        Job,
        Jobs,
        LogLine,
        Logs,
        Queues,
        Status,
        Step,
    )
    from orchestrator.settings import Settings

# A moment or how far back: a datetime (aware), a timedelta, seconds, or text such as "2h".
Since: TypeAlias = "datetime | timedelta | float | str | None"


def connect(
    profile: str | None = None, *, settings: str | os.PathLike[str] | Settings | None = None
) -> Orchestrator:
    """An `Orchestrator` for a profile of the settings.

    `profile`: its name; None takes ORCHESTRATOR_PROFILE, else the settings' default.
    `settings`: a file, or settings already read; None looks for `orchestrator.toml` in the working
    folder and its parents (or takes ORCHESTRATOR_SETTINGS).

    Nothing is contacted yet. Raises SettingsError, ProfileError.
    """
    raise NotImplementedError


class Orchestrator:
    """The jobs of one profile: deploy, start, follow, query.

    Usable as a context manager; `close()` lets go of the connections. Methods raise
    `OrchestratorError`s (see `orchestrator.errors`), and nothing else.
    """

    settings: Settings
    profile: Profile

    def up(self, progress: Callable[[Step], None] | None = None) -> Changes:
        """Make the profile's world: resource group, workspace, environment, namespace, queues,
        identity, its roles; then deploy every job. Idempotent: what is there and right is left."""
        raise NotImplementedError

    def deploy(self, *jobs: str, progress: Callable[[Step], None] | None = None) -> Changes:
        """Create or update these jobs (none named: all of the settings), saying what changed."""
        raise NotImplementedError

    def jobs(self) -> Jobs:
        """The jobs that exist in the resource group."""
        raise NotImplementedError

    def job(self, name: str) -> Job:
        """One of them. Raises JobNotFound."""
        raise NotImplementedError

    def delete_job(self, name: str) -> Change:
        """Delete it, executions and all. Raises JobNotFound."""
        raise NotImplementedError

    def suspend(self, name: str) -> Job:
        """Let it start nothing until resumed."""
        raise NotImplementedError

    def resume(self, name: str) -> Job:
        """Undo `suspend`."""
        raise NotImplementedError

    def start(
        self,
        job: str,
        *,
        env: Mapping[str, str] | None = None,
        args: Sequence[str] | None = None,
        command: Sequence[str] | None = None,
        image: str | None = None,
    ) -> Run:
        """Start an execution; what is given changes the job's template for this execution only.

        `env` sets these variables and keeps the others. Raises JobNotFound, JobSuspended.
        """
        raise NotImplementedError

    def run(self, execution: str, job: str | None = None) -> Run:
        """A handle on an execution: its name, "@latest" (with `job`), or "sender@latest"."""
        raise NotImplementedError

    def executions(
        self,
        job: str | None = None,
        *,
        status: str | Sequence[str] | None = None,
        since: Since = None,
        limit: int | None = None,
    ) -> Executions:
        """Executions of one job or of all, newest first."""
        raise NotImplementedError

    def execution(self, name: str, job: str | None = None) -> Execution:
        """One execution as it is now; `name` as in `run`."""
        raise NotImplementedError

    def stop(self, execution: str, job: str | None = None) -> Execution:
        """Stop it and give it back as it then is. Stopping what has ended changes nothing."""
        raise NotImplementedError

    def stop_all(self, job: str) -> Executions:
        """Stop every running execution of a job; gives those that were stopped."""
        raise NotImplementedError

    def logs(
        self,
        job: str | None = None,
        *,
        execution: str | None = None,
        since: Since = "1h",
        tail: int | None = None,
        grep: str | None = None,
    ) -> Logs:
        """Stored log lines, oldest first. `grep`: an RE2 expression. `tail`: the last so many."""
        raise NotImplementedError

    def follow(
        self,
        job: str | None = None,
        execution: str | None = None,
        *,
        tail: int | None = None,
        grep: str | None = None,
    ) -> Iterator[LogLine]:
        """Lines as they are written, of one execution (None: the job's newest), until it ends."""
        raise NotImplementedError

    def query(self, kql: str, *, since: Since = None) -> QueryResult:
        """The answer of the log workspace to a KQL query. Raises QueryError, TableNotFound."""
        raise NotImplementedError

    def queues(self) -> Queues:
        """The namespace's queues and their depths."""
        raise NotImplementedError

    def status(self) -> Status:
        """Jobs with their last executions, queue depths, endpoints."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the connections. The next call opens new ones."""

    def __enter__(self) -> Orchestrator:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
