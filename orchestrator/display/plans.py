"""Plans and drift for people: a line for each job, under it a line for each field, old → new."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import click

from orchestrator.display.moments import ago, exact
from orchestrator.display.terminal import can_encode, colour, is_terminal, width
from orchestrator.records import one_line, show
from orchestrator.waiting import SystemTime
from orchestrator.waiting import now as time_now

if TYPE_CHECKING:
    from orchestrator.planning.verbs import Drift, Drifted, Plan
    from orchestrator.results import FieldChange

SIGNS = {
    "created": ("+", "green"),
    "updated": ("~", "cyan"),
    "replaced": ("!", "red"),
    "deleted": ("-", "yellow"),
    "unchanged": (" ", "dim"),
    "in step": (" ", "dim"),
    "drifted": ("~", "cyan"),
    "missing": ("+", "yellow"),
    "not in the settings": ("-", "yellow"),
}
_VERBS = {
    "created": "to create",
    "updated": "to update",
    "replaced": "to replace",
    "deleted": "to delete",
    "unchanged": "unchanged",
}
_LONGEST = 60  # characters of a value; a certificate in a variable would fill the screen


def write_plan(plan: Plan, stream: TextIO) -> None:
    """Write what `deploy` would do, and the sum of it."""
    _write([(job.name, job.action, job.fields, "", job.notes) for job in plan], stream)
    sums = [
        f"{count} {words}"
        for action, words in _VERBS.items()
        if (count := sum(job.action == action for job in plan))
    ]
    click.echo(file=stream)
    click.echo(f"{', '.join(sums) or 'No jobs'}.  Version {plan.version}", file=stream)


def write_drift(drift: Drift, stream: TextIO) -> None:
    """Write how each live job stands to the settings."""
    _write([(job.name, job.state, job.fields, _touched(job, stream), ()) for job in drift], stream)
    astray = len(drift.drifted)
    click.echo(file=stream)
    if astray:
        verb = "is" if astray == 1 else "are"
        click.echo(f"{astray} of {len(drift)} jobs {verb} not as the settings say.", file=stream)
    else:
        click.echo("The live jobs are as the settings say.", file=stream)


# (name, what is or is to be, where it differs, a remark beside it, notes below it)
_Line: TypeAlias = tuple[str, str, Sequence["FieldChange"], str, Sequence[str]]


def _write(jobs: Sequence[_Line], stream: TextIO) -> None:
    name_width = max((len(name) for name, *_ in jobs), default=0)
    word_width = max((len(word) for _, word, *_ in jobs), default=0)
    for name, word, fields, remark, notes in jobs:
        sign, style = SIGNS[word]
        line = f"{sign} {name.ljust(name_width)}  {word.ljust(word_width if remark else 0)}"
        click.echo(_styled(line, style, stream), nl=False, file=stream)
        click.echo(_styled(f"  {remark}", "dim", stream) if remark else "", file=stream)
        _write_fields(fields, stream)
        for note in notes:
            for text in _note_lines(f"note: {one_line(note)}", stream):
                click.echo(f"    {_styled(text, 'yellow', stream)}", file=stream)


def _note_lines(note: str, stream: TextIO) -> list[str]:
    """Piped one line; on a terminal broken between words, and nowhere else."""
    if not is_terminal(stream):
        return [note]
    return textwrap.wrap(note, width() - 4, break_long_words=False, break_on_hyphens=False)


def _write_fields(fields: Sequence[FieldChange], stream: TextIO) -> None:
    arrow = "→" if can_encode(stream, "→") else "->"
    path_width = max((len(field.path) for field in fields), default=0)
    old_width = max((len(_value(field.old)) for field in fields), default=0)
    for field in fields:
        old, new = _value(field.old), _value(field.new)
        line = f"    {field.path.ljust(path_width)}  {old.ljust(old_width)} {arrow} "
        click.echo(line + _styled(new, "bold", stream), file=stream)


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else show(value)
    text = one_line(text) or '""'
    if len(text) <= _LONGEST:
        return text
    # What tells two long values apart, such as resource ids, is mostly their end.
    return f"{text[:15]}…{text[-(_LONGEST - 16) :]}"


def _touched(job: Drifted, stream: TextIO) -> str:
    if job.changed_at is None or job.state == "in step":
        return ""
    now = time_now(SystemTime())
    when = ago(job.changed_at, now) if is_terminal(stream) else exact(job.changed_at)
    return f"changed {when}{f' by {job.changed_by}' if job.changed_by else ''}"


def _styled(text: str, style: str, stream: TextIO) -> str:
    if not text or not colour(stream):
        return text
    if style == "dim":
        return click.style(text, dim=True)
    if style == "bold":
        return click.style(text, bold=True)
    return click.style(text, fg=style)
