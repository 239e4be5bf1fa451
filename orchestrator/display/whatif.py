"""What a deployment would change, for people: a line for each resource, under it its properties.

What stays as it is is counted, not listed: on a second look that is nearly everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

import click

from orchestrator.display.terminal import can_encode, colour
from orchestrator.infra.changes import order, short
from orchestrator.records import one_line

if TYPE_CHECKING:
    from orchestrator.infra.changes import Effect, ResourceChange, WhatIf

SIGNS = {
    "create": ("+", "green"),
    "modify": ("~", "cyan"),
    "delete": ("-", "red"),
    "deploy": ("!", "yellow"),
    "unsupported": ("?", "yellow"),
}
_PROPERTY_SIGNS = {"create": ("+", "green"), "delete": ("-", "red"), "modify": ("~", "cyan")}
_SUMS: dict[Effect, str] = {
    "create": "to create",
    "modify": "to change",
    "delete": "to delete",
    "deploy": "to deploy anew",
    "unsupported": "that cannot be foreseen",
    "unchanged": "unchanged",
    "ignore": "not in the template",
}
_LONGEST = 60  # characters of a value
_WIDEST = 48  # columns of the properties' paths
_ALWAYS = ("id", "type", "apiVersion", "name")


def write_what_if(found: WhatIf, stream: TextIO, *, group: str) -> None:
    """Write it, and the sum of it."""
    shown = [c for c in found if c.effect in SIGNS]
    shown.sort(key=lambda c: (list(SIGNS).index(c.effect), order(c.noun), c.name))
    width = max((len(c.noun) for c in shown), default=0)
    for change in shown:
        sign, style = SIGNS[change.effect]
        head = f"{sign} {change.noun.ljust(width)}  {change.name}"
        click.echo(_styled(head, style, stream), nl=False, file=stream)
        click.echo(
            _styled(f"  {change.reason}", "dim", stream) if change.reason else "", file=stream
        )
        _write_properties(change, stream)
    if shown:
        click.echo(file=stream)
    for remark in found.diagnostics:
        click.echo(_styled(f"Remark: {one_line(remark)}", "yellow", stream), file=stream)
    sums = [f"{count} {words}" for effect, words in _SUMS.items() if (count := found.count(effect))]
    click.echo(f"Resource group {group}: {', '.join(sums) or 'nothing'}.", file=stream)


def _write_properties(change: ResourceChange, stream: TextIO) -> None:
    if change.effect == "create":
        rows = list(_leaves(change.raw.get("after") or {}))
        width = min(max((len(path) for path, _ in rows), default=0), _WIDEST)
        for path, value in rows:
            click.echo(
                _styled(f"    {path.ljust(width)}  {_value(value)}", "dim", stream), file=stream
            )
        return
    arrow = "→" if can_encode(stream, "→") else "->"
    width = min(max((len(_short(p.path)) for p in change.properties), default=0), _WIDEST)
    for field in change.properties:
        sign, style = _PROPERTY_SIGNS.get(field.effect, ("~", "cyan"))
        path = _short(field.path).ljust(width)
        if field.effect == "create":
            text = f"{_value(field.after)}"
        elif field.effect == "delete":
            text = f"{_value(field.before)}"
        else:
            text = f"{_value(field.before)} {arrow} {_value(field.after)}"
        click.echo(f"    {_styled(sign, style, stream)} {path}  {text}", file=stream)


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """What a new resource says, property by property; its id and type are told already."""
    for key, item in value.items():
        if not above and key in _ALWAYS:
            continue
        path = f"{above}.{key}" if above else key
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, path)
        elif item not in (None, {}, []):
            yield _short(path), item


def _short(path: str) -> str:
    return short(path.removeprefix("properties."))


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = one_line(short(text))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _styled(text: str, style: str, stream: TextIO) -> str:
    if not colour(stream):
        return text
    return click.style(text, dim=True) if style == "dim" else click.style(text, fg=style)
