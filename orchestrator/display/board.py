"""The status board: where, which jobs with their last executions, and how deep the queues are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

import click

from orchestrator.display.commands import typed
from orchestrator.display.tables import write_table
from orchestrator.display.terminal import colour, is_terminal
from orchestrator.display.views import of_records

if TYPE_CHECKING:
    from orchestrator.status import Status


def write_board(status: Status, stream: TextIO, *, facts: Sequence[str] = ()) -> None:
    """Write the board. `facts`: what else belongs in its first line ("up 2h 03m")."""
    parts = [f"profile {status.profile}", *facts]
    if status.kind != "local":
        parts.append(f"resource group {status.resource_group}")
    endpoint = status.endpoints.get("resource manager")
    if endpoint:
        parts.append(endpoint)
    separator = "  ·  " if is_terminal(stream) else "  "
    head = separator.join(parts)
    click.echo(click.style(head, bold=True) if colour(stream) else head, file=stream)
    click.echo(file=stream)
    states = {s.job.state for s in status.jobs}
    without = [
        key
        for key, plain in (
            ("state", states <= {"Ready", ""}),
            ("running", all(s.running <= 1 for s in status.jobs)),
        )
        if plain and is_terminal(stream)
    ]
    if status.jobs:
        write_table(of_records(status.jobs, without=without), stream)
    else:
        click.echo(typed("No jobs yet.  Next: orchestrator deploy"), file=stream)
    if status.queues:
        click.echo(file=stream)
        without = ["status"] if all(q.status == "Active" for q in status.queues) else []
        write_table(of_records(status.queues, without=without), stream)
