"""What is deployed, for people: resources by type, outputs, and what would go."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestrator.display.tables import write_table
from orchestrator.display.terminal import colour
from orchestrator.display.views import of_records
from orchestrator.infra_changes import order
from orchestrator.records import one_line
from orchestrator.results import Changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.infra_changes import Deployed, Resource
    from orchestrator.infra_removal import Doomed


def write_deployed(found: Deployed, stream: TextIO) -> None:
    """Write what a deployment has changed, and its outputs."""
    changed = [c for c in found.changes if c.action != "unchanged"]
    if changed:
        without = () if any(c.fields for c in changed) else ("fields",)
        write_table(of_records(Changes(changed), without=without), stream)
        click.echo(file=stream)
    click.echo(told_unchanged(len(found.changes) - len(changed), some=bool(changed)), file=stream)
    write_outputs(found.outputs, stream)


def told_unchanged(count: int, *, some: bool) -> str:
    """A sentence on what was there and right; `some`: beside other things that were not."""
    if some:
        return f"{count} {'was' if count == 1 else 'were'} there and right."
    return f"All {count} resources are there and right; nothing was changed."


def write_resources(found: Deployed, stream: TextIO) -> None:
    """Write the resources of a deployment by type, and its outputs."""
    head = f"{found.name}  in the resource group {found.resource_group}  {found.state}"
    click.echo(click.style(head, bold=True) if colour(stream) else head, file=stream)
    click.echo(file=stream)
    without = [] if any(r.link for r in found) else ["link"]
    if all(r.status == "managed" for r in found):
        without.append("status")
    write_table(of_records(found, without=without), stream)
    write_outputs(found.outputs, stream)


def write_outputs(outputs: dict[str, Any], stream: TextIO) -> None:
    """Write what a deployment tells, name by name; lists of objects an entry a line."""
    if not outputs:
        return
    click.echo(file=stream)
    head = "Outputs"
    click.echo(click.style(head, bold=True) if colour(stream) else head, file=stream)
    width = max(map(len, outputs))
    for name, value in outputs.items():
        lines = _lines(value)
        for i, line in enumerate(lines):
            click.echo(f"  {(name if i == 0 else '').ljust(width)}  {line}".rstrip(), file=stream)


def _lines(value: Any) -> list[str]:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [_entry(item) for item in value]
    return [_text(value)]


def _entry(item: dict[str, Any]) -> str:
    return "  ".join(_text(item[key]) for key in _TELLING if key in item) or _text(item)


_TELLING = ("job", "name")  # of an entry, what people know it by; -o json has the rest


def _text(value: Any) -> str:
    if isinstance(value, str):
        return one_line(value)
    return json.dumps(value, ensure_ascii=False)


def write_doomed(doomed: Doomed, stream: TextIO) -> None:
    """Write what would go, by type, and what stays."""
    _write_group(
        "These go for good, with everything in them:",
        doomed.resources,
        stream,
        ("job", doomed.jobs),
    )
    if doomed.group:
        click.echo(f"  resource group  {doomed.resource_group}, if it is empty then", file=stream)
    if doomed.kept:
        _write_group("These were there before, and stay:", doomed.kept, stream)
    click.echo(file=stream)


def _write_group(
    head: str,
    resources: Sequence[Resource],
    stream: TextIO,
    first: tuple[str, Sequence[str]] | None = None,
) -> None:
    rows = [first] if first and first[1] else []
    by_kind = sorted(resources, key=lambda r: (order(r.kind), r.kind))
    for kind, group in groupby(by_kind, key=lambda r: r.kind):
        rows.append((kind, [r.name for r in group]))
    click.echo(head, file=stream)
    width = max((len(kind) for kind, _ in rows), default=0)
    for kind, names in rows:
        click.echo(f"  {kind.ljust(width)}  {', '.join(dict.fromkeys(names))}", file=stream)
