"""What the demo says at its end."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestrator.display.commands import typed
from orchestrator.display.terminal import colour, is_terminal, width
from orchestrator.records import show_duration

if TYPE_CHECKING:
    from orchestrator.cli.demo.account import Account
    from orchestrator.queues.records import Queues
    from orchestrator.results import Executions, LogLine

NEXT = (
    ("orchestrator status", "all at a glance"),
    ("orchestrator start sender -e MESSAGE_COUNT=500 --follow", "send more, and watch"),
    ("orchestrator query 'ContainerAppConsoleLogs_CL | count'", "ask the logs in KQL"),
)


@dataclass
class Summary:
    """Everything that the demo found out.

    `stages`: (what was done, seconds). `started_here`: the local cloud was started by the demo.
    """

    account: Account
    executions: Executions
    lines: list[LogLine]
    queues: Queues
    stages: list[tuple[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started_here: bool = True

    @property
    def counts(self) -> list[tuple[str, int]]:
        account = self.account
        counts = [
            ("sent", len(account.sent)),
            ("processed", len(account.processed)),
            ("received", len(account.received)),
            ("dead-lettered", len(account.dead_lettered)),
        ]
        if account.waiting:
            counts.append(("still-waiting", len(account.waiting)))
        return [*counts, ("lost", len(account.lost))]

    def as_json(self) -> dict[str, Any]:
        return {
            "messages": {name.replace("-", "_"): count for name, count in self.counts},
            "lost": sorted(self.account.lost),
            "stages": [{"stage": name, "seconds": round(s, 3)} for name, s in self.stages],
            "notes": self.notes,
            "executions": self.executions.as_json(),
            "queues": self.queues.as_json(),
            "receiver": [line.text for line in self.lines],
        }


def write_summary(summary: Summary, stream: TextIO) -> None:
    """Write it for people. On a terminal the stages stand above it already, as they were done."""
    from orchestrator.display.tables import write_table
    from orchestrator.display.views import of_records

    bold = _styled(stream, bold=True)
    dim = _styled(stream, dim=True)
    total = sum(seconds for _, seconds in summary.stages)
    if not (is_terminal(stream) and is_terminal(sys.stderr)):
        _heading("Stages", stream)
        wide = max(len(name) for name, _ in summary.stages)
        for name, seconds in summary.stages:
            click.echo(f"  {name:<{wide}}  {show_duration(seconds):>7}", file=stream)
        for note in summary.notes:
            click.echo(f"  {note}", file=stream)
        click.echo(f"  {'together':<{wide}}  {show_duration(total):>7}", file=stream)
    else:
        click.echo(dim(f"  together  {show_duration(total)}"), file=stream)

    _heading("Messages, counted by their ids", stream)
    for name, count in summary.counts:
        bad = name == "lost" and count
        number = f"{count:>7,}"
        if bad and colour(stream):
            number = click.style(number, fg="red", bold=True)
        elif name == "lost" and colour(stream):
            number = click.style(number, fg="green")
        click.echo(f"  {name:<13} {number}", file=stream)

    _heading("Executions", stream)
    write_table(of_records(summary.executions), stream, indent=2)

    _heading("The receiver wrote", stream)
    for wrote in summary.lines:
        click.echo(f"  {wrote.text}", file=stream)

    _heading("Next", stream)
    lines = [(typed(line), what) for line, what in NEXT]
    wide = max(len(line) for line, _ in lines)
    fits = 2 + wide + 2 + max(len(what) for _, what in lines) <= width()
    for line, what in lines:
        if fits:
            click.echo(f"  {bold(f'{line:<{wide}}')}  {dim(what)}", file=stream)
        else:  # as in --help; a line that is broken by the terminal is hard to copy
            click.echo(f"  {dim(f'# {what}')}\n  {bold(line)}", file=stream)
    click.echo(file=stream)
    click.echo(
        "The local cloud keeps running; " + bold(typed("orchestrator down")) + " stops it.",
        file=stream,
    )


def _heading(text: str, stream: TextIO) -> None:
    click.echo(file=stream)
    click.echo(_styled(stream, bold=True)(text), file=stream)


def _styled(stream: TextIO, **style: Any) -> Any:
    coloured = colour(stream)
    return lambda text: click.style(text, **style) if coloured else text
