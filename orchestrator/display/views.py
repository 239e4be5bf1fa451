"""A result as something to look at: columns and typed cells, or plain data, or one thing's details.

`View` joins the two faces of a result: `data`, what JSON, YAML and `--query` see, and the table
that people, CSV and TSV see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.records import Kind, Records
    from orchestrator.results import Record


@dataclass(frozen=True)
class Heading:
    """A column: `key` in CSV, `title` in tables, `kind` as in `orchestrator.records.Kind`."""

    key: str
    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class View:
    """One result.

    `empty`: what a table without rows says. `single`: one thing, not a list. `headless`: columns
    without names. `whole`: every column counts, however narrow the terminal.
    """

    data: Any
    headings: Sequence[Heading] = ()
    cells: Sequence[Sequence[Any]] = ()
    empty: str = "Nothing found."
    single: bool = False
    headless: bool = False
    whole: bool = False


def of_records(records: Records[Any], *, empty: str = "", without: Sequence[str] = ()) -> View:
    """A list of records, as the library describes its columns; `without` leaves keys out."""
    shown = [c for c in records.columns if c.key not in without]
    return View(
        data=records.as_json(),
        headings=[Heading(c.key, c.title, c.kind) for c in shown],
        cells=[[c.value(record) for c in shown] for record in records],
        empty=empty or f"No {records.noun}.",
        whole=records.whole,
    )


def of_record(record: Record, *, without: Sequence[str] = ()) -> View:
    """One thing: its details, name by name; `without` leaves names out."""
    details = [row for row in record.details() if row[0] not in without]
    seen: Counter[str] = Counter()

    def key(name: str) -> str:
        """A column's name is there once: two replicas are `replica` and `replica 2`."""
        seen[name] += 1
        return name if seen[name] == 1 else f"{name} {seen[name]}"

    return View(
        data=record.as_json(),
        headings=[Heading(key(name), name, kind) for name, _, kind in details],
        cells=[[value for _, value, _ in details]],
        single=True,
    )


def of_data(data: Any) -> View:
    """Whatever a JMESPath selection left: dicts become rows, scalars lines."""
    if isinstance(data, dict):
        return View(
            data=data,
            headings=[Heading(str(k), str(k), _kind(v)) for k, v in data.items()],
            cells=[list(data.values())],
            single=True,
        )
    if not isinstance(data, list):
        return View(data=data, headings=[Heading("value", "")], cells=[[data]], headless=True)
    if data and all(isinstance(row, dict) for row in data):
        keys = list(dict.fromkeys(key for row in data for key in row))
        return View(
            data=data,
            headings=[Heading(k, k, _kind(*(row.get(k) for row in data))) for k in keys],
            cells=[[row.get(k) for k in keys] for row in data],
            whole=True,
        )
    rows = [row if isinstance(row, list) else [row] for row in data]
    width = max((len(row) for row in rows), default=0)
    return View(
        data=data,
        headings=[Heading(f"column_{i + 1}", "") for i in range(width)],
        cells=[row + [None] * (width - len(row)) for row in rows],
        headless=True,
        whole=True,
    )


def _kind(*values: Any) -> Kind:
    known = [v for v in values if v is not None]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)
    return "number" if known and numeric else "text"
