"""KQL over the tables of Resource Graph: the engine of the logs, over rows in memory.

A query that names no table is about `Resources`; names of tables are written in any case
("Understand the Azure Resource Graph query language").
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.graph.tables import COLUMNS, OBJECTS, TABLES, TEXTS, Rows
from orchestrator.localcloud.logs.errors import QueryError, execution_failed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OPERATORS = frozenset(
    (
        *("where", "project", "extend", "summarize", "count", "take", "limit", "top", "order"),
        *("sort", "distinct", "join", "parse", "sample", "filter", "getschema", "mv", "mvexpand"),
    )
)
_COMMENT = re.compile(r"//[^\n]*")
_WORD = re.compile(r"[A-Za-z_][\w-]*")
_NAMES = re.compile(rf"(?i)\b({'|'.join(TABLES)})\b")
# Kusto's type -> the one of this API ("Resources" REST reference, ColumnDataType).
_KINDS = {
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("real", "decimal"), "number"),
    "bool": "boolean",
    "dynamic": "object",
}
_MEMORY = "128MB"


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of an answer.

    Attributes:
        columns: Names and types, as this API has them.
        rows: The values, row by row.
        total: How many rows the whole answer has.
    """

    columns: list[tuple[str, str]]
    rows: list[list[Any]]
    total: int

    def shown(self, form: str) -> Any:
        """The rows as `table` or as `objectArray`."""
        if form == "table":
            columns = [{"name": name, "type": kind} for name, kind in self.columns]
            return {"columns": columns, "rows": self.rows}
        names = [name for name, _ in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class Graph:
    """Answers the queries of one request over the same rows.

    Args:
        rows: Gives those of a table.
        now: What `now()` is.
    """

    def __init__(self, rows: Rows, now: datetime) -> None:
        self._rows = rows
        self._now = now

    async def ask(self, query: str, *, skip: int = 0, top: int) -> Page:
        """A page of the answer to a query.

        Args:
            query: KQL.
            skip, top: The rows that are wanted.

        Raises:
            QueryError: It cannot be run.
        """
        text = whole(query)
        named = sorted(set(_NAMES.findall(text)))
        once = {name: await self._rows(name) for name in {name.lower() for name in named}}
        given = {name: once[name.lower()] for name in named}
        return await asyncio.to_thread(_run, text, given, self._now, skip, top)


def whole(query: str) -> str:
    """The query with the table that it is about."""
    text = _COMMENT.sub("", query).strip()
    if text.startswith("|"):
        return f"Resources {text}"
    first = _WORD.match(text)
    if first is not None and first.group().lower().partition("-")[0] in _OPERATORS:
        return f"Resources | {text}"
    return text


def _run(
    query: str, given: Mapping[str, Sequence[JSON]], now: datetime, skip: int, top: int
) -> Page:
    # Loaded with the first query: they are large.
    import duckdb

    from orchestrator.localcloud.logs.kql.translate import shared
    from orchestrator.localcloud.logs.result import types_in
    from orchestrator.localcloud.logs.sql_messages import in_words

    options: Any = {"memory_limit": _MEMORY, "threads": 1, "enable_external_access": False}
    with duckdb.connect(":memory:", config=options) as connection:
        # DuckDB tells no case of a name from another.
        for name, rows in {name.lower(): rows for name, rows in given.items()}.items():
            _table(connection, name, rows)

        def types(sql: str, values: dict[str, Any], _: frozenset[str]) -> list[tuple[str, str]]:
            return types_in(connection, sql, values)

        known = {name: list(COLUMNS) for name in given}
        try:
            statements = shared().translate(query, known, now, types)
            if len(statements) != 1:
                raise execution_failed("A query is one statement that gives a table")
            [statement] = statements
            return _page(connection, statement.sql, statement.parameters or None, skip, top)
        except duckdb.Error as error:
            raise execution_failed(in_words(str(error).partition("\n")[0])) from None


def _table(connection: DuckDBPyConnection, name: str, rows: Sequence[JSON]) -> None:
    columns = [f'unnest(CAST(? AS VARCHAR[])) AS "{column}"' for column in TEXTS]
    columns += [f'CAST(unnest(CAST(? AS VARCHAR[])) AS JSON) AS "{column}"' for column in OBJECTS]
    values: list[list[str | None]] = [[row[column] for row in rows] for column in TEXTS]
    values += [
        [json.dumps(row[column]) if column in row else None for row in rows] for column in OBJECTS
    ]
    connection.execute(
        f'CREATE TABLE "{name}" AS SELECT {", ".join(columns)}',
        values,
    )


def _page(connection: DuckDBPyConnection, sql: str, parameters: Any, skip: int, top: int) -> Page:
    from duckdb_kql.types import kusto_type

    described = connection.execute(f"DESCRIBE {sql}", parameters).fetchall()
    types = [str(row[1]) for row in described]
    kinds = [str(kusto_type(kind)) for kind in types]
    columns = [
        (str(row[0]), _KINDS.get(kind, "string"))
        for row, kind in zip(described, kinds, strict=True)
    ]
    bound = f"({sql}) AS _result({', '.join(f'c{n}' for n in range(len(types)))})"
    found = connection.execute(f"SELECT count(*) FROM {bound}", parameters).fetchone()  # noqa: S608
    assert found is not None
    read = connection.execute(
        f"SELECT * FROM {bound} LIMIT {int(top)} OFFSET {int(skip)}",  # noqa: S608
        parameters,
    )
    rows = [
        [_value(value, kind) for value, kind in zip(row, kinds, strict=True)]
        for row in read.fetchall()
    ]
    return Page(columns, rows, int(found[0]))


def _value(value: Any, kind: str) -> Any:
    """A value as JSON has it."""
    if kind == "dynamic":
        return json.loads(value) if isinstance(value, str) else value
    if value is None:
        return "" if kind == "string" else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "0Z"
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return str(value)


__all__ = ["Graph", "Page", "QueryError", "whole"]
