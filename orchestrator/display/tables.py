"""Tables for people: calm on a terminal, plain and aligned in a pipe.

No rules and no boxes; the heading is dim, a status has its colour, a time is told as it matters
("3 min ago") with the time of day beside it where there is room. In a terminal that is too narrow
the columns that are empty throughout go first, then the time of day, then one after the other what
the others tell as well (the end beside start and duration); long texts share the room that is left,
and end in "…". What is there to be copied, a message's id, is cut last.
An answer to a query loses nothing: its times are exact, its long texts are folded, and where even
that is too wide, row stands below row.
Piped, nothing is cut, nothing is coloured, and times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TextIO

from orchestrator.display.moments import ago, clock_time, exact, machine
from orchestrator.display.terminal import console, is_terminal, width
from orchestrator.display.views import Heading, View
from orchestrator.records import OPTIONAL, RIGHT, one_line, show
from orchestrator.waiting import SystemTime
from orchestrator.waiting import now as time_now

# What a narrow terminal does without, one after the other.
EXPENDABLE = (
    *("end", "scheduled", "cpu", "memory", "running", "replica", "properties", "description"),
    "image",
)
# An execution's name begins with its job's, so that the job goes before other things are lost.
DISPENSABLE = ("size", "timeout", "when", "job", "duration", "reason")
# Texts of any length: how wide each is at least, before another column goes without.
ELASTIC = {"id": 12, "description": 16, "text": 30}
BODY = 16  # … of a text that has an id beside it, a message's body
WHOLE_ID = 36  # a UUID; such an id is cut only where going without the time does not help either
EXACT = -1
FOLDED = 40  # columns that a folded text has at least
PRETTY_ROWS = 500  # a longer table is being scrolled or searched, and laying it out takes seconds

STYLES = {
    "Succeeded": "green",
    "Ready": "green",
    "Active": "green",
    "created": "green",
    "running": "green",
    "Running": "cyan",
    "Processing": "cyan",
    "Progressing": "cyan",
    "InProgress": "cyan",
    "updated": "cyan",
    "Stopped": "yellow",
    "Suspended": "yellow",
    "stopped": "yellow",
    "suspended": "yellow",
    "deleted": "yellow",
    "stderr": "yellow",
    "Failed": "red",
    "Degraded": "red",
    "stale": "red",
    "fired": "red",
    "Fired": "red",
    "healthy": "green",
    "Resolved": "green",
    "disabled": "dim",
    "unchanged": "dim",
    "Unknown": "dim",
    "stdout": "dim",
}


def write_table(view: View, stream: TextIO, *, indent: int = 0) -> None:
    """Write a view as a table, for whoever reads this stream, `indent` columns to the right."""
    if not view.cells or not view.headings:
        if view.empty and is_terminal(stream):
            console(stream).print(" " * indent + view.empty, style="dim")
        return
    if is_terminal(stream) and len(view.cells) <= PRETTY_ROWS:
        _pretty(view, stream, indent)
    else:
        _plain(view, stream, " " * indent)


# --------------------------------------------------------------------------------------- plain


def _plain_cell(value: Any, heading: Heading) -> str:
    if isinstance(value, datetime):
        return str(machine(value.replace(microsecond=0)))
    if isinstance(value, timedelta):
        return show(value)
    if isinstance(value, bool | dict | list | tuple):
        return one_line(str(machine(value)))
    return one_line(show(value, "bytes" if heading.kind == "bytes" else "text"))


def _plain(view: View, stream: TextIO, lead: str) -> None:
    if view.single:
        wide = max(len(h.title) for h in view.headings)
        for heading, value in zip(view.headings, view.cells[0], strict=True):
            line = f"{lead}{heading.title:<{wide}}  {_plain_cell(value, heading)}"
            stream.write(line.rstrip() + "\n")
        return
    body = [
        [_plain_cell(value, heading) for value, heading in zip(row, view.headings, strict=True)]
        for row in view.cells
    ]
    if not view.headless:
        body.insert(0, [h.title for h in view.headings])
    widths = [max(map(len, column)) for column in zip(*body, strict=True)]
    for row in body:
        cells = [
            text.rjust(size) if heading.kind in RIGHT else text.ljust(size)
            for text, size, heading in zip(row, widths, view.headings, strict=True)
        ]
        stream.write(f"{lead}{'  '.join(cells)}".rstrip() + "\n")


# -------------------------------------------------------------------------------------- pretty


def _pretty_cell(value: Any, heading: Heading, now: datetime, *, clock: int | None) -> Any:
    """A cell as rich text. `clock`: the width of the relative times before the time of day; None
    leaves the time of day out; EXACT shows the moment itself."""
    from rich.text import Text

    if isinstance(value, datetime) and clock == EXACT:
        return Text(exact(value))
    if isinstance(value, datetime):
        text = Text(ago(value, now))
        if clock is not None:
            text.pad_right(clock - len(text.plain))
            text.append(f"  {clock_time(value, now)}", "dim")
        return text
    if isinstance(value, bool | dict | list | tuple):
        return Text(one_line(str(machine(value))))
    text = Text(one_line(show(value, heading.kind)))
    if heading.kind == "status":
        text.stylize(STYLES.get(str(value), ""))
    return text


def _pretty(view: View, stream: TextIO, indent: int) -> None:
    from rich.padding import Padding

    now = time_now(SystemTime())
    target = console(stream)
    if view.single:
        target.print(
            Padding(_details(view, now, view.cells[0]), (0, 0, 0, indent)), overflow="fold"
        )
        return
    if view.whole and not _fits(view, now, width() - indent):
        for number, row in enumerate(view.cells, 1):
            target.print(f"{number}", style="dim")
            target.print(Padding(_details(view, now, row), (0, 0, 1, indent)), overflow="fold")
        return
    columns = range(len(view.headings))
    empty = {i for i in columns if all(row[i] in (None, "") for row in view.cells)}
    silent = {i for i in empty if view.headings[i].key in OPTIONAL}
    unbound = target.options.update(max_width=10_000)
    natural = {
        view.headings[i].key: max(
            [len(view.headings[i].title), *(len(show(row[i])) for row in view.cells)]
        )
        for i in columns
        if view.headings[i].key in ELASTIC and not view.whole
    }
    table: Any = None
    spare = _growing(view, empty, EXPENDABLE)
    cut = min(natural.get("id", 0), ELASTIC["id"])
    whole = max(cut, min(natural.get("id", 0), WHOLE_ID))
    steps = [(True, silent, whole), (True, empty, whole)]
    steps += [(False, hide, whole) for hide in _growing(view, empty, (*EXPENDABLE, "enqueued"))]
    steps += [(False, hide, cut) for hide in (*spare, *_growing(view, spare[-1], DISPENSABLE))]
    if view.whole:
        steps = [(False, set(), whole)]
    for clock, hide, id_width in steps:
        narrow = {k: min(n, natural.get(k, 0)) for k, n in ELASTIC.items()} | {"id": id_width}
        if "id" in natural:
            narrow["text"] = min(narrow["text"], BODY)
        table = _grid(view, now, clock=clock, hide=hide, bounds=narrow)
        spare_room = width() - indent - target.measure(table, options=unbound).maximum
        if spare_room >= 0:
            for key in narrow:  # what is left goes to the first that can use it
                more = min(natural.get(key, 0) - narrow[key], spare_room)
                narrow[key] += more
                spare_room -= more
            table = _grid(view, now, clock=clock, hide=hide, bounds=narrow)
            break
    target.print(Padding(table, (0, 0, 0, indent)))


def _growing(view: View, hidden: set[int], keys: Sequence[str]) -> list[set[int]]:
    """`hidden`, then the same with the column of the first key, of the first two, and so on."""
    found = [hidden]
    for key in keys:
        columns = {i for i, heading in enumerate(view.headings) if heading.key == key}
        if columns - found[-1]:
            found.append(found[-1] | columns)
    return found


def _grid(
    view: View,
    now: datetime,
    *,
    clock: bool,
    hide: set[int],
    bounds: Mapping[str, int] | None = None,
) -> Any:
    """The rich table; `bounds`: the widths of the elastic columns, by key."""
    from rich.table import Table

    kept = [i for i in range(len(view.headings)) if i not in hide]
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=not view.headless,
        header_style="dim",
    )
    for i in kept:
        heading = view.headings[i]
        table.add_column(
            heading.title,
            justify="right" if heading.kind in RIGHT else "left",
            no_wrap=not view.whole,
            overflow="fold" if view.whole else "ellipsis",
            # Names, states and numbers are what people came for; free text gives way first.
            min_width=_minimum(view, i, now) if i == kept[0] or heading.kind != "text" else None,
            max_width=(bounds or {}).get(heading.key) or None,
        )
    pads = {i: _ago_width(view, i, now) if clock else None for i in kept}
    if view.whole:
        pads = dict.fromkeys(kept, EXACT)
    for row in view.cells:
        table.add_row(*(_pretty_cell(row[i], view.headings[i], now, clock=pads[i]) for i in kept))
    return table


def _ago_width(view: View, column: int, now: datetime) -> int:
    times = [row[column] for row in view.cells if isinstance(row[column], datetime)]
    return max((len(ago(when, now)) for when in times), default=0)


def _minimum(view: View, column: int, now: datetime) -> int:
    heading = view.headings[column]
    if heading.kind == "time" and view.whole:
        return len(exact(now))
    if heading.kind == "time":
        return max(_ago_width(view, column, now), len(heading.title))
    sizes = [len(show(row[column], heading.kind)) for row in view.cells]
    return min(max([*sizes, len(heading.title)]), 40)


def _fits(view: View, now: datetime, room: int) -> bool:
    """Whether the columns stand side by side, long texts folded to a width that can be read."""
    needed = 0
    for i, heading in enumerate(view.headings):
        if heading.kind == "time":
            needed += max(len(exact(now)), len(heading.title)) + 2
            continue
        longest = max((len(show(row[i], heading.kind)) for row in view.cells), default=0)
        if heading.kind == "text":
            longest = min(longest, FOLDED)
        needed += max(longest, len(heading.title)) + 2
    return needed <= room


def _details(view: View, now: datetime, row: Sequence[Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, value in zip(view.headings, row, strict=True):
        if value is None or value == "":
            continue
        table.add_row(
            heading.title, _pretty_cell(value, heading, now, clock=EXACT if view.whole else 0)
        )
    return table


def cells_of(rows: Sequence[Sequence[Any]], *headings: Heading, empty: str = "") -> View:
    """A view made by hand, for what is no library record."""
    return View(
        data=[{h.key: row[i] for i, h in enumerate(headings)} for row in rows],
        headings=headings,
        cells=rows,
        empty=empty,
    )
