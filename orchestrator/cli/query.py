"""`orchestrator query`: KQL from an argument, a file or standard input."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestrator.cli.grammar import command
from orchestrator.cli.parameters import since_option
from orchestrator.cli.session import current

if TYPE_CHECKING:
    from orchestrator.errors import QueryError


@command(
    "query",
    examples=[
        (
            "how many lines by stream",
            "orchestrator query 'ContainerAppConsoleLogs_CL | summarize count() by Stream_s'",
        ),
        ("from a file, over a day, as CSV", "orchestrator query -f failures.kql --since 1d -o csv"),
        ("from standard input", "echo 'print 1 + 1' | orchestrator query -"),
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
@since_option("Only rows so recent (2h), or since a time, besides what the query says.")
def query(kql: str | None, file: str | None, since: datetime | None) -> None:
    """Ask the log workspace in KQL (the Kusto Query Language).

    The tables are ContainerAppConsoleLogs_CL, what containers wrote, and
    ContainerAppSystemLogs_CL, what happened to them. KQL `-` reads standard input.
    """
    from orchestrator.errors import QueryError

    text = _text(kql, file)
    session = current()
    try:
        result = session.connect().query(text, since=since)
    except QueryError as error:
        mark = _marked(text, error)
        if mark:  # the library's hint is the same excerpt
            error.add_note(mark)
            error.hint = "correct the query at the mark and ask again."
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
