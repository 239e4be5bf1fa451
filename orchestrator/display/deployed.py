"""What is deployed, for people: resources by type, outputs, and what would go."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestrator.display.tables import write_table
from orchestrator.display.terminal import colour, is_terminal
from orchestrator.display.terminal import width as columns
from orchestrator.display.views import of_records
from orchestrator.infra.changes import order, short
from orchestrator.records import one_line
from orchestrator.results import Changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.infra.changes import Deployed, Resource
    from orchestrator.infra.removal import Doomed
    from orchestrator.results import Change


def write_deployed(found: Deployed, stream: TextIO, *, told: bool = False) -> None:
    """Write what a deployment has changed, and its outputs. `told`: each resource was told as it
    was done, to the same people."""
    changed = [c for c in found.changes if c.action != "unchanged"]
    if changed and (not told or any(c.fields for c in changed)):
        without = () if any(c.fields for c in changed) else ("fields",)
        write_table(of_records(Changes(changed), without=without), stream)
    if changed:
        click.echo(file=stream)
    click.echo(summary(found.changes), file=stream)
    write_outputs(found.outputs, stream)


def summary(changes: Sequence[Change]) -> str:
    """How many were made, changed and left: a sentence."""
    counts = {
        "created": sum(c.action == "created" for c in changes),
        "updated": sum(c.action == "updated" for c in changes),
        "there and right": sum(c.action == "unchanged" for c in changes),
    }
    if counts["there and right"] == len(changes):
        return f"All {len(changes)} resources are there and right; nothing was changed."
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) + "."


def write_resources(found: Deployed, stream: TextIO) -> None:
    """Write the resources of a deployment by type, and its outputs."""
    head = f"{found.name}  in the resource group {found.resource_group}  {found.state}"
    click.echo(click.style(head, bold=True) if colour(stream) else head, file=stream)
    click.echo(file=stream)
    without = [] if any(r.link for r in found) else ["link"]
    if all(r.status == "managed" for r in found):
        without.append("status")
    view = of_records(found, without=without)
    # Of a role assignment no more is known here than what it is on: the same a few times over.
    rows = Counter(tuple(row) for row in view.cells)
    names = [h.key for h in view.headings].index("name")
    cells = [
        [f"{cell} ({count})" if i == names and count > 1 else cell for i, cell in enumerate(row)]
        for row, count in rows.items()
    ]
    write_table(replace(view, cells=cells), stream)
    write_outputs(found.outputs, stream)


def write_outputs(outputs: dict[str, Any], stream: TextIO) -> None:
    """Write what a deployment tells, name by name; lists of objects an entry a line."""
    if not outputs:
        return
    click.echo(file=stream)
    head = "Outputs"
    click.echo(click.style(head, bold=True) if colour(stream) else head, file=stream)
    outputs = {name: value for name, value in outputs.items() if value not in ("", [], None)}
    width = max(map(len, outputs), default=0)
    for name, value in outputs.items():
        lines = _lines(value)
        for i, line in enumerate(lines):
            begin = f"  {(name if i == 0 else '').ljust(width)}  "
            click.echo(f"{begin}{_fitting(line, len(begin), stream)}".rstrip(), file=stream)


def _fitting(line: str, begin: int, stream: TextIO) -> str:
    """The line; on a terminal that is too narrow for an id, its end."""
    if line.startswith("…/") and is_terminal(stream) and begin + len(line) > columns():
        return f"…/{line.rpartition('/')[2]}"
    return line


def _lines(value: Any) -> list[str]:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [_entry(item) for item in value]
    return [_text(value)]


def _entry(item: dict[str, Any]) -> str:
    return "  ".join(_text(item[key]) for key in _TELLING if key in item) or _text(item)


_TELLING = ("job", "name")  # of an entry, what people know it by; -o json has the rest


def _text(value: Any) -> str:
    if isinstance(value, str):
        return one_line(short(value))  # -o json has all of it
    return json.dumps(value, ensure_ascii=False)


def write_doomed(doomed: Doomed, stream: TextIO) -> None:
    """Write what would go, by type, and what stays."""
    first = [("job", doomed.jobs)] if doomed.jobs else []
    last = [("resource group", [f"{doomed.resource_group}, if it is empty then"])]
    _write_group(
        "These go for good, with everything in them:",
        doomed.resources,
        stream,
        first,
        last if doomed.group else [],
    )
    if doomed.kept:
        _write_group("These were there before, and stay:", doomed.kept, stream)
    click.echo(file=stream)


def _write_group(
    head: str,
    resources: Sequence[Resource],
    stream: TextIO,
    first: Sequence[tuple[str, Sequence[str]]] = (),
    last: Sequence[tuple[str, Sequence[str]]] = (),
) -> None:
    rows = list(first)
    by_kind = sorted(resources, key=lambda r: (order(r.kind), r.kind))
    for kind, group in groupby(by_kind, key=lambda r: r.kind):
        rows.append((kind, [r.name for r in group]))
    rows += last
    click.echo(head, file=stream)
    width = max((len(kind) for kind, _ in rows), default=0)
    for kind, names in rows:
        click.echo(f"  {kind.ljust(width)}  {', '.join(dict.fromkeys(names))}", file=stream)
