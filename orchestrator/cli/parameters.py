"""What may be given on the command line, checked before anything is contacted."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from orchestrator.cli.completers import complete_executions, complete_jobs, complete_queues

if TYPE_CHECKING:
    from datetime import datetime, timedelta

F = TypeVar("F", bound=Callable[..., Any])


class Variable(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """`NAME=VALUE` -> (name, value). The value may be empty and may contain `=`."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not sign:
            self.fail(f"'{value}' has no '='; write it as NAME=VALUE.", param, ctx)
        if not name.strip() or "\0" in value:
            self.fail(f"'{value}' names no variable; write it as NAME=VALUE.", param, ctx)
        return name.strip(), text


class Regex(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """A regular expression, kept as text; the service evaluates it as RE2."""

    name = "RE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            re.compile(text)
        except re.error as error:
            place = f" at position {error.pos + 1}" if error.pos is not None else ""
            failure = click.BadParameter(
                f"'{text}' is no regular expression: {error.msg}{place}.", ctx, param
            )
            if error.pos is not None:
                failure.add_note(f"{text}\n{' ' * error.pos}^")
            raise failure from None
        return text


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """How long: `90s`, `10m`, `1h30m` (or plain seconds) -> timedelta."""

    name = "DURATION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        from datetime import timedelta

        from orchestrator.quantities import as_seconds

        if isinstance(value, timedelta):
            return value
        try:
            length = timedelta(seconds=as_seconds(str(value)))
        except OverflowError:
            self.fail(f"{value} is longer than a duration can be.", param, ctx)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        if length < timedelta(0):
            self.fail(f"{value} is negative; a duration is not.", param, ctx)
        return length


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """How far back (`2h`), or since when (`2026-11-23T20:00Z`) -> timedelta, or aware datetime.

    How far back is counted by the service's clock, which the command line does not know. `ahead`:
    a time from now (`+2h`) is one, too.
    """

    name = "WHEN"

    def __init__(self, *, ahead: bool = False) -> None:
        self._ahead = ahead

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime | timedelta:
        from datetime import datetime, timedelta

        from orchestrator.quantities import as_moment, moment_or_distance
        from orchestrator.waiting import SystemTime, now

        if isinstance(value, datetime | timedelta):
            return value
        if str(value).strip()[:1] in ("-" if self._ahead else "+-"):
            self.fail(f"'{value}' has a sign; write how long ago it was, as in 2h.", param, ctx)
        try:
            as_moment(str(value), now(SystemTime()))  # whether there is such a time
            found = moment_or_distance(str(value))
        except ValueError as error:
            if "is not a duration" in str(error):
                self.fail(
                    f'"{value}" is neither how long nor a time: write 90s, 10m, 1h30m, or '
                    "2026-11-24T06:00Z.",
                    param,
                    ctx,
                )
            self.fail(f"{error}.", param, ctx)
        return found if isinstance(found, datetime) else -found


# ----------------------------------------------------------------------------- shared options


def job_argument(function: F) -> F:
    """The argument JOB."""
    return click.argument("job", shell_complete=complete_jobs)(function)


def execution_argument(function: F) -> F:
    """The argument EXECUTION: a name, `@latest` with --job, or `JOB@latest`."""
    return click.argument("execution", shell_complete=complete_executions)(function)


def queue_argument(function: F) -> F:
    """The argument QUEUE."""
    return click.argument("queue", shell_complete=complete_queues)(function)


def job_option(text: str) -> Callable[[F], F]:
    """`-j`/`--job JOB`."""
    return click.option("-j", "--job", metavar="JOB", shell_complete=complete_jobs, help=text)


def job_or_option(text: str) -> Callable[[F], F]:
    """A job that may be left out, as the argument JOB or as `-j`/`--job JOB`; not both."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def merged(*args: Any, named: str | None, job: str | None, **rest: Any) -> Any:
            if named is not None and job is not None:
                raise click.UsageError(f"'{named}' and --job {job}: give one of them.")
            return function(*args, job=job if named is None else named, **rest)

        argument = click.argument(
            "named", required=False, metavar="[JOB]", shell_complete=complete_jobs
        )
        return argument(job_option(text)(cast("F", merged)))

    return decorate


def since_option(text: str) -> Callable[[F], F]:
    """`--since WHEN`."""
    return click.option("--since", type=Moment(), help=text)


def timeout_option(function: F) -> F:
    """`--timeout DURATION`: how long the command waits, not how long the execution may take."""
    return click.option(
        "--timeout",
        type=Duration(),
        help="Wait no longer than this; the execution goes on, exit status 124.",
    )(function)
