"""The saved queries on a terminal: what each tells, and below it how it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from orchestrator.display.terminal import console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.queries.saved import SavedQuery


def write_saved(queries: Iterable[SavedQuery], stream: TextIO) -> None:
    """Write name, description (folded) and parameters of each; the project's own are marked."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for query in queries:
        told = Text(query.description)
        for parameter in query.parameters:
            told.append(f"\n--param {parameter.name}={parameter.type.upper()}", "dim")
            if parameter.default:
                told.append(f"  [default: {parameter.default}]", "dim")
        name = Text(query.name)
        if query.origin != "shipped":
            name.append("\nof this project", "dim")
        table.add_row(name, told)
    console(stream).print(table)
