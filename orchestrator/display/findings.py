"""The doctor's findings for people: a line each, under it what shows it and what to do."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, TextIO

import click

from orchestrator.display.commands import typed
from orchestrator.display.terminal import can_encode, colour, is_terminal, width
from orchestrator.records import one_line

if TYPE_CHECKING:
    from orchestrator.doctor.findings import Finding, Findings

SIGNS = {
    "problem": ("✗", "x", "red"),
    "warning": ("!", "!", "yellow"),
    "note": ("·", "-", "cyan"),
    "fine": ("✓", "+", "green"),
}


def write_findings(findings: Findings, looked_at: int, stream: TextIO) -> None:
    """Write them, then the sum. `looked_at`: how many things were, those that are fine included.

    Piped, a finding is one line: level, job, check, what, evidence and next step.
    """
    for finding in findings:
        if is_terminal(stream):
            _write(finding, stream)
        else:
            click.echo(_line(finding), file=stream)
    if findings:
        click.echo(file=stream)
    told = [
        f"{count} {word if count == 1 else word + 's'}"
        for word in ("problem", "warning", "note")
        if (count := sum(f.level == word for f in findings))
    ]
    things = "thing" if looked_at == 1 else "things"
    click.echo(f"{looked_at} {things} looked at: {', '.join(told) or 'all is well'}.", file=stream)


def _line(finding: Finding) -> str:
    where = f"{finding.job}: " if finding.job else ""
    rest = " ".join(part for part in (finding.what, finding.evidence) if part)
    step = f" Next: {typed(finding.next)}" if finding.next else ""
    return one_line(f"{finding.level}  {where}{finding.check}: {rest}{step}")


def _write(finding: Finding, stream: TextIO) -> None:
    sign, plain, style = SIGNS[finding.level]
    mark = sign if can_encode(stream, sign) else plain
    coloured = colour(stream)
    where = f"{finding.job}  " if finding.job else ""
    head = f"{mark} {where}{one_line(finding.what)}"
    lines = textwrap.wrap(head, width(), subsequent_indent="  ") or [head]
    if coloured:
        lines[0] = lines[0].replace(mark, click.style(mark, fg=style, bold=True), 1)
        if where:
            lines[0] = lines[0].replace(finding.job, click.style(finding.job, bold=True), 1)
    for line in lines:
        click.echo(line, file=stream)
    details = [one_line(finding.evidence)] if finding.evidence else []
    details += [f"Next: {typed(one_line(finding.next))}"] if finding.next else []
    for detail in details:
        for line in textwrap.wrap(
            detail,
            width(),
            initial_indent="    ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        ):
            click.echo(click.style(line, dim=True) if coloured else line, file=stream)
