"""`orchestrator query`: KQL from an argument, a file, standard input, or a saved query."""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from orchestrator.cli.completers import complete_query_parameters, complete_saved_queries
from orchestrator.cli.grammar import command
from orchestrator.cli.parameters import Variable, since_option
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.errors import BadInput, QueryError
    from orchestrator.queries.parts import PartsProgress
    from orchestrator.queries.result import QueryResult


@command(
    "query",
    examples=[
        (
            "how many lines by stream",
            "orchestrator query 'ContainerAppConsoleLogs_CL | summarize count() by Stream_s'",
        ),
        ("from a file, over a day, as CSV", "orchestrator query -f failures.kql --since 1d -o csv"),
        ("from standard input", "echo 'print 1 + 1' | orchestrator query -"),
        ("the saved queries", "orchestrator query --list"),
        (
            "one of them, with a parameter",
            "orchestrator query --saved failures-by-job --param since=7d",
        ),
    ],
)
@click.argument("kql", required=False)
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Read the query from this file; - is standard input.",
)
@click.option("--list", "listed", is_flag=True, help="List the saved queries.")
@click.option(
    "--saved", metavar="NAME", shell_complete=complete_saved_queries, help="Ask this saved query."
)
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    type=Variable(),
    shell_complete=complete_query_parameters,
    help="A parameter of the saved query, or of the file's; repeatable.",
)
@click.option("--print", "printed", is_flag=True, help="Print the query that would be sent.")
@since_option("Only rows so recent (2h), or since a time, besides what the query says.")
@click.option(
    "--all",
    "whole",
    is_flag=True,
    help="All rows, also beyond 500,000 or 100 MB: asked for in parts of the time since --since.",
)
@click.option(
    "--row-wise",
    is_flag=True,
    help="With --all: the query works row by row, though its shape does not tell.",
)
def query(
    kql: str | None,
    file: str | None,
    listed: bool,
    saved: str | None,
    params: tuple[tuple[str, str], ...],
    printed: bool,
    since: datetime | timedelta | None,
    whole: bool,
    row_wise: bool,
) -> None:
    """Ask the log workspace in KQL (the Kusto Query Language).

    The tables are ContainerAppConsoleLogs_CL, what containers wrote, and
    ContainerAppSystemLogs_CL, what happened to them. KQL `-` reads standard input.
    """
    from orchestrator.errors import QueryError

    session = current()
    if listed:
        _list(session)
        return
    if whole and since is None:
        raise click.UsageError("--all divides the time since --since; say since when: --since 7d.")
    if row_wise and not whole:
        raise click.UsageError("--row-wise goes with --all.")
    text = _saved(session, saved, kql, file, params) if saved else _bound(kql, file, params)
    if printed:
        session.show_text(text.rstrip("\n"), {"kql": text})
        return
    try:
        result = _asked(session, text, since, whole=whole, row_wise=row_wise)
    except QueryError as error:
        mark = _marked(text, error)
        if mark:  # the library's hint is the same excerpt
            error.add_note(mark)
            error.hint = "Correct the query at the mark and ask again."
        raise
    if session.plain and len(result.tables) > 1:
        for index, table in enumerate(result.tables):
            if index:
                click.echo()
            click.echo(f"{table.name}:")
            session.show(table, empty="No rows.")
    else:
        session.show(result, empty="No rows.")
    session.tell_missing(result.partial)
    if result.partial and not whole:
        from orchestrator.queries.parts import is_too_large

        if is_too_large(result.partial):
            session.say("All of it, where the query works row by row: --all --since 7d")


def _list(session: Session) -> None:
    from orchestrator.display.terminal import is_terminal
    from orchestrator.queries.saved import find_all

    broken: list[BadInput] = []
    found = find_all(session.connect().queries_folder, broken.append)
    for error in broken:
        session.say(f"Left out: {error.message}")
    if not (session.plain and found and is_terminal(sys.stdout)):
        session.show(found)
        return
    from orchestrator.display.saved import write_saved

    session.begin()
    write_saved(found, sys.stdout)
    session.hint("Next: orchestrator query --saved NAME --param NAME=VALUE")


def _asked(
    session: Session, text: str, since: datetime | timedelta | None, *, whole: bool, row_wise: bool
) -> QueryResult:
    """The answer; a large one with progress."""
    orc = session.connect()
    if not whole:
        return orc.query(text, since=since)
    from orchestrator.display.progress import Progress

    with Progress() as shown:
        shown.begin("Asking for all rows")

        def progress(done: PartsProgress) -> None:
            shown.update(f"{done.rows:,} of {done.total:,}")

        return orc.query(
            text, since=since, whole=True, row_wise=row_wise, progress=progress, notice=session.say
        )


def _saved(
    session: Session,
    name: str,
    kql: str | None,
    file: str | None,
    params: tuple[tuple[str, str], ...],
) -> str:
    if kql is not None or file is not None:
        raise click.UsageError("Give either a saved query or a query of your own, not both.")
    return session.connect().saved_query(name).kql(dict(params))


def _bound(kql: str | None, file: str | None, params: tuple[tuple[str, str], ...]) -> str:
    """The query's text, the parameters that it declares bound."""
    from orchestrator.queries.saved import SavedQuery, declaration

    text = _text(kql, file)
    from_file = file if file and file != "-" else ""
    where = from_file or "The query"
    if kql is not None:
        _no_name(kql)
    if not params and "query_parameters" not in text:
        return text
    declared = declaration(text, where)
    return SavedQuery(
        name=from_file,
        description="",
        parameters=tuple(declared.parameters) if declared else (),
        origin="project",
        path=where,
        text=text,
    ).kql(dict(params))


def _no_name(kql: str) -> None:
    """Refuse the name of a saved query where a query is expected."""
    name = kql.strip()
    if not re.fullmatch(r"[\w.-]+", name):
        return
    from orchestrator.queries.saved import names

    if name.lower() in names(current().connect().queries_folder):
        from orchestrator.errors import BadInput

        raise BadInput(
            f'"{name}" is the name of a saved query, not a query.',
            f"Ask it: orchestrator query --saved {name}",
        )


def _text(kql: str | None, file: str | None) -> str:
    if kql is not None and file is not None:
        raise click.UsageError("Give the query either as an argument or with -f, not both.")
    if file is not None and file != "-":
        from pathlib import Path

        try:
            text = Path(file).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            raise click.UsageError(f"{file} is no UTF-8 text.") from None
    elif kql is not None and kql != "-":
        text = kql
    elif kql is None and file is None and sys.stdin.isatty():
        raise click.UsageError("There is no query; give it as an argument, with -f FILE, or -.")
    else:
        text = sys.stdin.read()
    if not text.strip():
        raise click.UsageError("The query is empty.")
    return text


def _marked(kql: str, error: QueryError) -> str:
    """The line of the query that is wrong, with a caret under the place; "" if it isn't told."""
    if error.line is None or error.column is None:
        return ""
    lines = kql.splitlines()
    if not 1 <= error.line <= len(lines):
        return ""
    line = lines[error.line - 1]
    column = min(max(error.column, 1), len(line) + 1)
    # A tab before the place is kept, so that the caret stands under it whatever its width.
    lead = "".join("\t" if c == "\t" else " " for c in line[: column - 1])
    return f"{line}\n{lead}^"
