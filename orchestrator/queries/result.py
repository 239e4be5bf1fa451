"""The answer to a KQL query: tables whose columns the query itself made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from orchestrator.records import Column, Kind, Records, jsonable

if TYPE_CHECKING:
    from pandas import DataFrame

_KINDS: dict[str, Kind] = {
    "long": "number",
    "int": "number",
    "real": "number",
    "decimal": "number",
    "datetime": "time",
    "timespan": "duration",
}


_DTYPES: dict[str, Any] = {
    "bool": "boolean",
    "long": "Int64",
    "int": "Int64",
    "real": "Float64",
    "decimal": "Float64",
}


class QueryTable(Records[tuple[Any, ...]]):
    """One table of an answer: a sequence of row tuples.

    Values: str, int, float, bool, datetime (aware UTC), timedelta, None; dynamic values as parsed
    JSON. `types`: Kusto's name for each column's type (string, datetime, long, dynamic, …).
    `name`: the service's name for the table, "PrimaryResult" for the first.
    """

    noun = "rows"
    whole = True

    def __init__(
        self,
        rows: Iterable[Sequence[Any]] = (),
        *,
        names: Sequence[str] = (),
        types: Sequence[str] = (),
        name: str = "PrimaryResult",
    ) -> None:
        super().__init__(tuple(row) for row in rows)
        self.name = name
        self.types = tuple(types)
        self.columns = tuple(
            Column(key, key, _KINDS.get(kind, "text"), itemgetter(i))
            for i, (key, kind) in enumerate(zip(names, types, strict=True))
        )

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            names = [c.key for c in self.columns]
            return QueryTable(self._items[index], names=names, types=self.types, name=self.name)
        return self._items[index]

    def to_pandas(self) -> DataFrame:
        """A DataFrame whose columns have the types of the query's, whatever rows there are."""
        frame = super().to_pandas()
        for column, kind in zip(self.columns, self.types, strict=True):
            if kind in _DTYPES and column.key in frame:
                frame[column.key] = frame[column.key].astype(_DTYPES[kind])
        return frame

    def as_json(self) -> list[dict[str, Any]]:
        """One dict per row, column name -> value."""
        names = [c.key for c in self.columns]
        return [dict(zip(names, map(jsonable, row), strict=True)) for row in self._items]


class QueryResult(QueryTable):
    """The answer to a KQL query: its first table, and `tables` with all of them.

    `partial`: why the answer is incomplete, "" when it is whole.
    """

    def __init__(self, tables: Sequence[QueryTable], *, partial: str = "") -> None:
        first = tables[0] if tables else QueryTable()
        super().__init__(
            first, names=[c.key for c in first.columns], types=first.types, name=first.name
        )
        self.tables = tuple(tables)
        self.partial = partial
