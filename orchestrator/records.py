"""How results show themselves: as plain text, as HTML in a notebook, as a frame, as JSON.

A result is a sequence of small frozen records (`Records`); its columns are described once
(`Column`), and every representation (the plain `repr`, `_repr_html_`, `to_pandas`, the command
line's tables and CSV) is made from that description. Nothing here is imported but msgspec.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, overload

import msgspec

if TYPE_CHECKING:
    import pandas as pd

# Keys of columns that are not shown to people when there is nothing to say in any row.
OPTIONAL = frozenset({"reason", "fields", "description", "properties", "session_id", "state"})

Kind = Literal["text", "category", "status", "time", "duration", "number", "bytes"]
R = TypeVar("R")


class Column(msgspec.Struct, frozen=True):
    """One column of a result.

    `key`: its name in frames, CSV and TSV. `title`: its heading in tables.
    `kind`: how its values are shown and typed; the values themselves are str, datetime (aware,
    UTC), timedelta, int or float, or None for "nothing to say". A category is a text of few values;
    a status one that has a colour.
    `get`: takes the value out of a record; None means the attribute named `key`.
    """

    key: str
    title: str
    kind: Kind = "text"
    get: Callable[[Any], Any] | None = None

    def value(self, record: Any) -> Any:
        """The column's typed value for one record."""
        return (self.get or attrgetter(self.key))(record)


class Records(Sequence[R], Generic[R]):
    """A result: an immutable sequence of records that knows how to show itself.

    Subclasses name their `columns`; `noun` is the plural for "no … found". `whole`: every column is
    shown, also one with nothing in it, for it was asked for by name.
    """

    columns: tuple[Column, ...] = ()
    noun: ClassVar[str] = "records"
    whole: ClassVar[bool] = False

    def __init__(self, items: Iterable[R] = ()) -> None:
        self._items: tuple[R, ...] = tuple(items)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> R | Self:
        if isinstance(index, slice):
            return type(self)(self._items[index])
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[R]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._items == other._items

    def __hash__(self) -> int:
        return hash((type(self), len(self._items)))

    def cells(self) -> list[tuple[Any, ...]]:
        """One tuple of typed values per record, in the order of `columns`."""
        return [tuple(c.value(r) for c in self.columns) for r in self._items]

    def as_json(self) -> list[dict[str, Any]]:
        """Plain dicts and lists, ready for `json.dumps`: what `-o json` prints."""
        return [record_json(r) for r in self._items]

    def to_pandas(self) -> pd.DataFrame:
        """A frame with typed columns: UTC timestamps, timedeltas, categories, numbers.

        Needs pandas (`pip install "aca-orchestrator[notebook]"`).
        """
        return frame([(c.key, c.kind) for c in self.columns], self.cells())

    def __repr__(self) -> str:
        if not self._items:
            return f"no {self.noun}"
        return plain_table(
            [c.title for c in self.columns], [c.kind for c in self.columns], self.cells()
        )

    def _repr_html_(self) -> str:
        if not self._items:
            return f"<p>no {html.escape(self.noun)}</p>"
        rows = self.cells()
        shown = [
            i
            for i, column in enumerate(self.columns)
            if self.whole
            or column.key not in OPTIONAL
            or any(row[i] not in (None, "") for row in rows)
        ]
        columns = [self.columns[i] for i in shown]
        return html_table(
            [c.title for c in columns],
            [c.kind for c in columns],
            [[row[i] for i in shown] for row in rows],
        )


# ------------------------------------------------------------------------------ values as text


def show(value: Any, kind: Kind = "text") -> str:
    """A value as people read it; "" for None.

    Times are UTC to the second (`2026-11-23 21:03:12`), durations short (`1m 05s`), sizes binary
    (`1.5 MiB`).
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, timedelta):
        return show_duration(value.total_seconds())
    if kind == "bytes" and isinstance(value, int | float):
        return show_bytes(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and kind == "number":
        return f"{value:,}"
    return str(value)


def show_duration(seconds: float) -> str:
    """`0.4s`, `12s`, `1m 05s`, `10m`, `2h 03m`, `3d 04h`."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < 9.95:
        text = f"{seconds:.1f}s"
    elif seconds < 59.5:
        text = f"{seconds:.0f}s"
    else:
        whole = round(seconds)
        minutes, rest = divmod(whole, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        if days:
            text = f"{days}d {hours:02}h" if hours else f"{days}d"
        elif hours:
            text = f"{hours}h {minutes:02}m" if minutes else f"{hours}h"
        else:
            text = f"{minutes}m {rest:02}s" if rest else f"{minutes}m"
    return text if text == "0.0s" else sign + text


def show_bytes(size: float) -> str:
    """`512 B`, `1.5 KiB`, `20 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def one_line(text: str) -> str:
    """Control characters made visible, so that a cell stays one line and a terminal stays calm."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


RIGHT: frozenset[str] = frozenset({"number", "bytes", "duration"})


def plain_table(titles: Sequence[str], kinds: Sequence[Kind], rows: Sequence[Sequence[Any]]) -> str:
    """An aligned table of plain text: a heading, then one line per row; no rules, no colour."""
    body = [[one_line(show(v, k)) for v, k in zip(row, kinds, strict=True)] for row in rows]
    widths = [max([len(title), *(len(row[i]) for row in body)]) for i, title in enumerate(titles)]
    lines = []
    for row in [list(titles), *body]:
        cells = [
            text.rjust(width) if kind in RIGHT else text.ljust(width)
            for text, width, kind in zip(row, widths, kinds, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


_CELL = "padding:2px 12px 2px 0;border:0;vertical-align:top;"


def html_table(titles: Sequence[str], kinds: Sequence[Kind], rows: Sequence[Sequence[Any]]) -> str:
    """The same as HTML for a notebook: everything escaped, no script, no outside style sheet."""

    def cell(tag: str, text: str, kind: Kind) -> str:
        align = "right" if kind in RIGHT else "left"
        space = "pre-wrap" if kind == "text" and tag == "td" else "nowrap"
        style = f"{_CELL}white-space:{space};text-align:{align}"
        return f'<{tag} style="{style}">{html.escape(text)}</{tag}>'

    head = "".join(cell("th", t, k) for t, k in zip(titles, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(cell("td", show(v, k), k) for v, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


# ------------------------------------------------------------------------------ values as data


def jsonable(value: Any) -> Any:
    """`value` as JSON knows it: datetimes as RFC 3339 in UTC, timedeltas as seconds, bytes refused.

    Raises TypeError for what has no plain form.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat()
        return text.replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, msgspec.Struct):
        return {f: jsonable(getattr(value, f)) for f in value.__struct_fields__}
    if isinstance(value, Iterable):
        return [jsonable(v) for v in value]
    return str(value)


def record_json(record: Any) -> dict[str, Any]:
    """One record as a dict: its own `as_json`, or its fields."""
    made = jsonable(record)
    assert isinstance(made, dict)
    return made


def frame(columns: Sequence[tuple[str, Kind]], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """A pandas frame of these rows, typed by the columns' kinds."""
    try:
        import pandas as pd
    except ImportError:
        from orchestrator.errors import OrchestratorError

        raise OrchestratorError(
            "pandas is not installed, and a frame is made of it.",
            'Install it: pip install "aca-orchestrator[notebook]"',
        ) from None

    data: dict[str, Any] = {}
    for i, (key, kind) in enumerate(columns):
        values = [row[i] for row in rows]
        if kind == "time":
            data[key] = pd.Series(pd.to_datetime(values, utc=True), dtype="datetime64[us, UTC]")
        elif kind == "duration":
            data[key] = pd.Series(pd.to_timedelta(values), dtype="timedelta64[us]")
        elif kind in ("number", "bytes"):
            floats = any(isinstance(v, float) for v in values)
            data[key] = pd.array(values, dtype="Float64" if floats else "Int64")
        elif kind in ("status", "category"):
            data[key] = pd.Categorical(values)
        else:
            data[key] = pd.Series(values, dtype="object")
    return pd.DataFrame(data)
