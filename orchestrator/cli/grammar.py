"""The grammar of the command line: what every command and group has in common.

* The global options are taken before and after the subcommand; the later one wins.
* Every command carries examples, and its --help ends with them.
* A group's commands are imported when one of them runs, never for `--help` (`LazyGroup`).
* A near miss of a command is answered with the name that was probably meant.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from orchestrator.cli.session import FORMATS, Session

Example = tuple[str, str]  # (what it does, the command line)

# What an exit status means beside the usual ones (0 done, 1 failed, 2 wrong usage or settings).
Statuses = Mapping[int, str]
WRONG = 2

# … of a command that compares and changes nothing, when it finds something to do: 2, as
# `terraform plan -detailed-exitcode` has it. (The `--dry-run` of one that acts is done with 0.)
DIFFERENT = 2

# … of a command that waits for an execution.
OUTCOMES: Statuses = {
    3: "the execution failed",
    4: "it was stopped",
    5: "it exceeded its replica time-out",
    124: "--timeout ran out; it goes on",
}


class GlobalOption(click.Option):
    """An option that every command takes, shown apart from the command's own."""


def _keep(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        source = ctx.get_parameter_source(param.name or "")
        if source is not click.core.ParameterSource.DEFAULT and not ctx.resilient_parsing:
            setattr(ctx.find_root().ensure_object(Session), field, value)

    return callback


def _compile_query(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    from orchestrator.display.selection import Selection, SelectionError

    try:
        ctx.find_root().ensure_object(Session).selection = Selection(value)
    except SelectionError as error:
        failure = click.UsageError(f"--query is not JMESPath: {error.message}", ctx)
        failure.add_note(error.excerpt)
        raise failure from None


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        text = version("aca-orchestrator")
    except PackageNotFoundError:  # run from a source tree that was never installed
        text = "unknown version"
    click.echo(f"orchestrator {text}")
    ctx.exit()


def _complete_profiles(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[click.shell_completion.CompletionItem]:
    from orchestrator.cli.completers import complete_profiles

    return complete_profiles(ctx, param, incomplete)


class OneOf(click.Choice):  # type: ignore[type-arg]  # generic only in newer clicks
    """A choice in any case that answers a near miss with what was probably meant."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(list(choices), case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        for choice in self.choices:
            if str(value).lower() == str(choice).lower():
                return str(choice)
        from difflib import get_close_matches

        near = get_close_matches(str(value), list(self.choices), n=1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise click.BadParameter(
            f"'{value}' is none of {', '.join(self.choices)}.{meant}", ctx, param
        )

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        # As they are written: click would give them in small letters.
        from click.shell_completion import CompletionItem

        begin = incomplete.lower()
        return [CompletionItem(str(c)) for c in self.choices if str(c).lower().startswith(begin)]


GLOBAL_OPTIONS: tuple[GlobalOption, ...] = (
    GlobalOption(
        ["-o", "--output"],
        type=OneOf(FORMATS),
        metavar="FORMAT",
        expose_value=False,
        callback=_keep("output"),
        help="table (default), json, jsonl, yaml, csv or tsv.",
    ),
    GlobalOption(
        ["--query"],
        metavar="JMESPATH",
        expose_value=False,
        callback=_compile_query,
        help="Select from the result, as in `az --query`.",
    ),
    GlobalOption(
        ["--profile"],
        metavar="NAME",
        expose_value=False,
        callback=_keep("profile"),
        shell_complete=_complete_profiles,
        help="A profile of orchestrator.toml.",
    ),
    GlobalOption(
        ["--settings"],
        metavar="FILE",
        type=click.Path(dir_okay=True),
        expose_value=False,
        callback=_keep("settings"),
        help="Read this file instead of the orchestrator.toml found here or in a parent folder.",
    ),
    GlobalOption(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        callback=_keep("verbose"),
        help="Show the requests on stderr, secrets hidden; -vv: more; tracebacks too.",
    ),
    GlobalOption(
        ["--no-color"],
        is_flag=True,
        expose_value=False,
        callback=_keep("no_color"),
        help="No colours (NO_COLOR=1 does the same).",
    ),
    GlobalOption(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Print the version.",
    ),
)


def _write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is None or not isinstance(param, click.Option):
            continue
        is_shared = isinstance(param, GlobalOption) or "--help" in param.opts
        (shared if is_shared else own).append(record)
    if own:
        with formatter.section("Options"):
            formatter.write_dl(own)
    if ctx.parent is None:
        with formatter.section("Global options, before or after the command"):
            formatter.write_dl(shared)
    else:
        with formatter.section("Global options (orchestrator --help explains them)"):
            formatter.write_text("  ".join(_SHORT))


_SHORT = (
    "-o/--output FORMAT",
    "--query JMESPATH",
    "--profile NAME",
    "--settings FILE",
    "-v",
    "--no-color",
    "--version",
    "-h/--help",
)


def _write_statuses(statuses: Statuses, formatter: click.HelpFormatter) -> None:
    if statuses:
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), text) for status, text in statuses.items()])


def _write_examples(examples: Sequence[Example], formatter: click.HelpFormatter) -> None:
    if not examples:
        return
    with formatter.section("Examples" if len(examples) > 1 else "Example"):
        for index, (what, line) in enumerate(examples):
            if index:
                formatter.write_paragraph()
            formatter.write_text(f"# {what}")
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Command(click.Command):
    """A command with examples, the global options, and exit statuses of its own, if it has any."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[Example] = (),
        statuses: Statuses | None = None,
        answers_with: str = "",
        **kwargs: Any,
    ) -> None:
        """`answers_with`: the option with which 2 is an answer; "": it always is, if at all."""
        kwargs["params"] = [*(kwargs.get("params") or ()), *GLOBAL_OPTIONS]
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.statuses = dict(statuses or {})
        self.answers_with = answers_with

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **kwargs: Any
    ) -> click.Context:
        with self._truthful(list(args)):
            return super().make_context(info_name, args, *rest, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        given = [opt for p in self.params if ctx.params.get(p.name or "") for opt in p.opts]
        with self._truthful(given):
            return super().invoke(ctx)

    @contextmanager
    def _truthful(self, given: Sequence[str]) -> Iterator[None]:
        """Where 2 is an answer of this command's, what is wrong with its input ends with 1."""
        answers = DIFFERENT in self.statuses
        if self.answers_with:
            answers = answers and self.answers_with in given
        try:
            yield
        except Exception as error:
            wrong = getattr(error, "exit_code", None) == WRONG
            if answers and wrong and not isinstance(error, click.exceptions.Exit):
                error.exit_code = 1  # type: ignore[attr-defined]
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_options(self, ctx, formatter)
        _write_statuses(self.statuses, formatter)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        _write_examples(self.examples, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)


@dataclass(frozen=True)
class Entry:
    """Where a lazily imported command lives, and the line that stands for it in the help.

    `module`: within orchestrator.cli. `attribute`: the command's name in it.
    """

    module: str
    attribute: str
    help: str
    panel: str = "Commands"


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for.

    `entries` says where each lives; they are shown by panel, in the order given.
    """

    def __init__(
        self,
        *args: Any,
        entries: Mapping[str, Entry],
        examples: Sequence[Example] = (),
        **kwargs: Any,
    ) -> None:
        kwargs["params"] = [*(kwargs.get("params") or ()), *GLOBAL_OPTIONS]
        kwargs.setdefault("subcommand_metavar", "COMMAND …")
        kwargs.setdefault("no_args_is_help", False)  # parse_args answers that
        super().__init__(*args, **kwargs)
        self.entries = dict(entries)
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command = getattr(
            importlib.import_module(f"orchestrator.cli.{entry.module}"), entry.attribute
        )
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.entries and not ctx.resilient_parsing:
            raise UnknownCommand(ctx, name, tuple(self.entries))
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        _write_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self.entries.items():
            panels.setdefault(entry.panel, []).append((name, entry.help))
        width = max(map(len, self.entries))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(width), text) for name, text in rows])

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        _write_examples(self.examples, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        # click asks every command for its help line here; the entries have it already.
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=entry.help)
            for name, entry in self.entries.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


class UnknownCommand(click.UsageError):
    """A word that is no command; `meant` is the nearest that is, or ""."""

    def __init__(self, ctx: click.Context, name: str, names: Sequence[str]) -> None:
        super().__init__(f"There is no command '{ctx.command_path} {name}'.", ctx)
        from difflib import get_close_matches

        near = get_close_matches(name, names, n=1, cutoff=0.5)
        self.meant = f"{ctx.command_path} {near[0]}" if near else ""


def command(
    name: str, *, examples: Sequence[Example], statuses: Statuses | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], Command]:
    """Decorator: a `Command` of this name; its help is the function's docstring."""

    def decorator(function: Callable[..., Any]) -> Command:
        return click.command(name, cls=Command, examples=examples, statuses=statuses, **attributes)(
            function
        )

    return decorator
