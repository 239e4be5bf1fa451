"""Everything that can go wrong on the way to a job, as one small tree.

Each error says what happened in one sentence (`message`) and what to do next (`hint`), and knows
the exit status with which a command that ends by it ends (`exit_code`).

::

    OrchestratorError                    1   anything below; catch this one
    ├── SettingsError                    2   orchestrator.toml or a variable is wrong
    │   ├── SettingsNotFound             2   no orchestrator.toml here or in a parent folder
    │   └── ProfileError                 2   the profile is unknown or incomplete
    ├── BadInput                         2   an argument is wrong (--env, --since, …)
    ├── BicepError                       2   a Bicep file is wrong; says where, with a caret
    ├── QueryError                       2   the KQL is wrong; says where
    │   └── TableNotFound                1   … or names a table that has no rows yet
    ├── NotReachable                     1   no answer: no local cloud, wrong host, no network
    ├── AuthenticationFailed             1   401: no token, a stale one, or for someone else
    │   └── PermissionDenied             1   403: known, but not allowed
    ├── NotFound                         1   404: the thing is not there
    │   ├── JobNotFound                  1   "did you mean …?"
    │   ├── ExecutionNotFound            1
    │   └── QueueNotFound                1
    ├── InvalidRequest                   1   400, 422: the service refuses what was asked
    │   └── DeploymentFailed             1   … a template, or resources of it; says which and why
    ├── Conflict                         1   409, 412: not now, or not in this state
    │   └── JobSuspended                 1   started while suspended
    ├── Throttled                        1   429, after the retries
    ├── StorageFull                      1   507: the disk or a queue is full; nothing was lost
    ├── ServiceFailed                    1   5xx after the retries, or an answer that is no answer
    └── WaitTimeout                    124   the wait ended, the execution did not

The outcome of an execution is no error; `results.Execution.exit_code` gives the statuses 3
(failed), 4 (stopped) and 5 (longer than its replica time-out).
"""

# ruff: noqa: N818 -- the tree reads by what happened (NotFound, Throttled), not by a suffix

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from orchestrator.bicep.diagnostics import Diagnostic
    from orchestrator.infra.following import Failure
    from orchestrator.results import Execution


class OrchestratorError(Exception):
    """The root of the tree.

    `message`: one sentence for people, without a final line break.
    `hint`: the next step, or "" when there is none to name.
    `code`: the service's own error code ("BadArgumentError"), or "".
    `status`: the HTTP status that brought it, or None.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, hint: str = "", *, code: str = "", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class Problem:
    """One thing wrong in a settings file or variable.

    `where`: the key path (`jobs.sender.cpu`), or `line 3, column 7`, or a variable's name.
    `what`: what is wrong and what is allowed, one sentence.
    `suggestion`: the near miss that was probably meant, or "".
    `line`: of the key in the file, or of the table that it is missing in; None if unknown.
    """

    __slots__ = ("line", "suggestion", "what", "where")

    def __init__(self, where: str, what: str, suggestion: str = "") -> None:
        self.where = where
        self.what = what
        self.suggestion = suggestion
        self.line: int | None = None

    def __str__(self) -> str:
        meant = f" Did you mean {self.suggestion}?" if self.suggestion else ""
        line = f"line {self.line}" if self.line is not None else ""
        place = ", ".join(part for part in (line, self.where) if part)
        return f"{place}: {self.what}{meant}" if place else f"{self.what}{meant}"

    def __repr__(self) -> str:
        return f"Problem({self.where!r}, {self.what!r}, {self.suggestion!r})"


class SettingsError(OrchestratorError):
    """The settings are wrong: `problems` holds all that was found, `path` the file, if one."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        path: Path | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message, hint)
        self.path = path
        self.problems = tuple(problems)


class SettingsNotFound(SettingsError):
    """There is no orchestrator.toml in the working folder or a parent."""


class ProfileError(SettingsError):
    """The chosen profile does not exist, or lacks a name it needs."""


class BadInput(OrchestratorError):
    """An argument is not what it should be."""

    exit_code = 2


class BicepError(OrchestratorError):
    """A Bicep file cannot become a template: `diagnostics` holds all that was found.

    The message shows each with its file, line, column, the line itself and a caret.
    """

    exit_code = 2

    def __init__(
        self, message: str, hint: str = "", *, diagnostics: Sequence[Diagnostic] = ()
    ) -> None:
        super().__init__(message, hint)
        self.diagnostics = tuple(diagnostics)


class QueryError(OrchestratorError):
    """The KQL is wrong. `line` and `column` count from 1; None when the service does not say."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        code: str = "",
        status: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, hint, code=code, status=status)
        self.line = line
        self.column = column


class TableNotFound(QueryError):
    """The query names a table that does not exist, or not yet: the first row makes it."""

    exit_code = 1


class NotReachable(OrchestratorError):
    """Nobody answers at the profile's endpoint."""


class AuthenticationFailed(OrchestratorError):
    """No token, or one the service does not accept."""


class PermissionDenied(AuthenticationFailed):
    """The identity is known but not allowed to do this."""


class NotFound(OrchestratorError):
    """The thing is not there."""


class JobNotFound(NotFound):
    """There is no job of that name."""


class ExecutionNotFound(NotFound):
    """There is no execution of that name."""


class QueueNotFound(NotFound):
    """There is no queue of that name."""


class InvalidRequest(OrchestratorError):
    """The service refuses what was asked."""


class DeploymentFailed(InvalidRequest):
    """A template was refused, or resources of it: `failures` tells each with the reason."""

    def __init__(self, message: str, hint: str = "", *, failures: Sequence[Failure] = ()) -> None:
        super().__init__(message, hint)
        self.failures = tuple(failures)


class Conflict(OrchestratorError):
    """The thing is in a state in which this cannot be done."""


class JobSuspended(Conflict):
    """The job is suspended, so it starts nothing."""


class Throttled(OrchestratorError):
    """The service asks for fewer requests. `retry_after`: seconds it asked to wait, or None."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        code: str = "",
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint, code=code, status=status)
        self.retry_after = retry_after


class StorageFull(OrchestratorError):
    """There is no room left; what was accepted before is safe."""


class ServiceFailed(OrchestratorError):
    """The service failed, and went on failing after the retries."""


class WaitTimeout(OrchestratorError):
    """The wait ended before the execution did. `execution`: as it was last seen; still running."""

    exit_code = 124

    def __init__(self, message: str, hint: str = "", *, execution: Execution | None = None) -> None:
        super().__init__(message, hint)
        self.execution = execution
