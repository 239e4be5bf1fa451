"""What may be given on the command line, checked before anything is contacted, and completed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from click.shell_completion import CompletionItem

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
            self.fail(f"{error}.", param, ctx)
        return found if isinstance(found, datetime) else -found


# --------------------------------------------------------------------------------- completion


def complete_jobs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of the settings' jobs, then of those that are deployed besides."""
    names = list(_settings(ctx).get("jobs", {}))
    return _complete([*names, *_seen("jobs", besides=names)], incomplete)


def complete_profiles(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of the settings' profiles."""
    return _complete(_settings(ctx).get("profiles", {}), incomplete)


def complete_executions(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`<job>@latest` for every job, then the newest executions."""
    job = ctx.params.get("job")
    jobs = [job] if job else list(_settings(ctx).get("jobs", {}))
    latest = [f"{name}@latest" for name in jobs]
    return _complete([*latest, *_seen("executions", of=job)], incomplete)


def complete_queues(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of the settings' queues, then of the namespace's others."""
    names = list(_settings(ctx).get("queues", {}))
    return _complete([*names, *_seen("queues", besides=names)], incomplete)


def _seen(kind: str, *, of: str | None = None, besides: Sequence[str] = ()) -> list[str]:
    """Names that the service knows; `of`: those of one job."""
    from orchestrator.cli import known_names

    rows = known_names.names(kind, _typed("--settings"), _typed("--profile"))
    return [row[0] for row in rows if row[0] not in besides and of in (None, row[-1])]


def _typed(option: str) -> str | None:
    """The value of an option in the line that is being completed (the shell gives it whole)."""
    words = os.environ.get("COMP_WORDS", "").split()
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == option:
            return following or None
        if word.startswith(f"{option}="):
            return word.partition("=")[2] or None
    return None


def complete_from(table: str) -> Callable[..., list[CompletionItem]]:
    """A completion by the names in a table of the settings; contacts nobody."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _complete(settings_table(ctx, table), incomplete)

    return complete


def settings_table(ctx: click.Context, table: str) -> list[str]:
    """The names in a table of the settings; reads one file and contacts nobody."""
    found = _settings(ctx).get(table, {})
    return list(found) if isinstance(found, dict) else []


def _complete(names: Any, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(str(name)) for name in names if str(name).startswith(incomplete)]


def _settings(ctx: click.Context) -> dict[str, Any]:
    """The settings file as plain data, unchecked: a wrong one must not break the prompt."""
    import tomllib

    chosen = _typed("--settings") or os.environ.get("ORCHESTRATOR_SETTINGS")
    folder = Path.cwd()
    places = (
        [Path(chosen)] if chosen else [f / "orchestrator.toml" for f in (folder, *folder.parents)]
    )
    for place in places:
        try:
            return tomllib.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return {}


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
