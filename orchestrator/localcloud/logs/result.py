"""Rows as the Log Analytics API writes them: type names, value encodings, the limits of an answer.

https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format. Numbers and booleans are
JSON's; datetime is ISO 8601 in UTC; timespan, guid, decimal and dynamic are strings; a string is
never null.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from duckdb_kql.types import kusto_type

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_ROWS = 500_000
MAX_BYTES = 100 * 1024 * 1024

_CHUNK = 2_000
_INT64 = 2**63

# Without zeros behind the digits that say something, as .NET's F does: 10:00:00.5Z, 10:00:00Z.
_TIME = (
    "CASE WHEN epoch_us({0}) % 1000000 = 0 THEN strftime({0}, '%Y-%m-%dT%H:%M:%SZ') "
    "ELSE rtrim(strftime({0}, '%Y-%m-%dT%H:%M:%S.%f'), '0') || 'Z' END"
)
# How DuckDB encodes values of its types. It does so four times as fast as Python, and without
# holding up the rest of the local cloud. Results with other types are encoded in Python.
_SQL_JSON = {
    "VARCHAR": "coalesce({0}, '')",
    "TIMESTAMP": _TIME,
    "BOOLEAN": "{0}",
    "INTEGER": "{0}",
    "BIGINT": "{0}",
    "DOUBLE": "CASE WHEN isfinite({0}) THEN to_json({0}) WHEN isnan({0}) THEN to_json('NaN') "
    "WHEN {0} > 0 THEN to_json('Infinity') WHEN {0} < 0 THEN to_json('-Infinity') END",
    "UUID": "CAST({0} AS VARCHAR)",
    "JSON": "CAST({0} AS VARCHAR)",
}

_encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(frozen=True)
class Limits:
    """What one answer may hold (https://learn.microsoft.com/azure/azure-monitor/service-limits)."""

    rows: int = MAX_ROWS
    size: int = MAX_BYTES


@dataclass
class ResultTable:
    """One table of an answer.

    Attributes:
        name: `PrimaryResult`, or `PrimaryResult_1` and so on for further statements.
        columns: Names and Kusto types.
        rows: JSON of the rows, in pieces without the outer brackets.
        row_count: How many.
        size: Bytes of `rows`.
        truncated: Which limit cut the table off, in words; None: it is complete.
    """

    name: str
    columns: list[tuple[str, str]]
    rows: list[bytes] = field(default_factory=list)
    row_count: int = 0
    size: int = 0
    truncated: str | None = None

    def json(self) -> bytes:
        """`{"name", "columns": [{"name", "type"}], "rows": [[…]]}`."""
        columns = [{"name": name, "type": kind} for name, kind in self.columns]
        head = msgspec.json.encode({"name": self.name, "columns": columns})[:-1]
        return head + b',"rows":[' + b",".join(self.rows) + b"]}"


def _described(
    cursor: DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None
) -> tuple[list[str], list[str]]:
    """Names and DuckDB types of a statement's columns."""
    rows = cursor.execute(f"DESCRIBE {sql}", parameters).fetchall()
    return [str(row[0]) for row in rows], [str(row[1]) for row in rows]


def types_in(
    cursor: DuckDBPyConnection, sql: str, parameters: dict[str, Any]
) -> list[tuple[str, str]]:
    """Names and KQL types of a statement's columns."""
    names, types = _described(cursor, sql, parameters or None)
    return [(name, str(kusto_type(kind))) for name, kind in zip(names, types, strict=True)]


def read(
    cursor: DuckDBPyConnection,
    sql: str,
    parameters: dict[str, Any] | None,
    name: str,
    limits: Limits,
    stop: Callable[[], bool],
) -> ResultTable:
    """Run a statement, and encode its rows as far as the limits allow.

    Args:
        cursor: Runs it.
        sql: The statement, a SELECT.
        parameters: Values of its placeholders.
        name: Name of the table.
        limits: What the table may hold.
        stop: Asked between pieces; true ends the reading (nobody waits for the answer).
    """
    names, types = _described(cursor, sql, parameters)
    kinds = [str(kusto_type(kind)) for kind in types]
    table = ResultTable(name, list(zip(names, kinds, strict=True)))
    # One row more than allowed tells that there are more.
    bound = f"({sql}) AS _result({', '.join(f'c{n}' for n in range(len(types)))})"
    encode: Callable[[tuple[Any, ...]], bytes]
    if all(kind in _SQL_JSON for kind in types):
        values = ", ".join(_SQL_JSON[kind].format(f"c{n}") for n, kind in enumerate(types))
        columns, encode = f"CAST(json_array({values}) AS VARCHAR)", _encoded
    else:
        converters = [(i, _CONVERTERS[kind]) for i, kind in enumerate(kinds) if kind in _CONVERTERS]
        columns, encode = "*", partial(_row, converters=converters)
    cursor.execute(f"SELECT {columns} FROM {bound} LIMIT {limits.rows + 1}", parameters)  # noqa: S608
    while not stop() and (rows := cursor.fetchmany(_CHUNK)):
        room = limits.rows - table.row_count
        if len(rows) > room:
            rows = rows[:room]
            table.truncated = f"{limits.rows} records"
        encoded = [encode(row) for row in rows]
        size = sum(map(len, encoded)) + len(encoded)
        if table.size + size > limits.size:
            encoded = _fitting(encoded, limits.size - table.size)
            size = sum(map(len, encoded)) + len(encoded)
            table.truncated = f"{limits.size} bytes"
        table.rows.extend([b",".join(encoded)] if encoded else [])
        table.row_count += len(encoded)
        table.size += size
        if table.truncated:
            break
    return table


def _encoded(row: tuple[Any, ...]) -> bytes:
    """A row that DuckDB has encoded."""
    text: str = row[0]
    return text.encode()


def _fitting(encoded: list[bytes], room: int) -> list[bytes]:
    kept = []
    for row in encoded:
        room -= len(row) + 1
        if room < 0:
            break
        kept.append(row)
    return kept


def _row(row: tuple[Any, ...], converters: list[tuple[int, Callable[[Any], Any]]]) -> bytes:
    values = list(row)
    for index, convert in converters:
        values[index] = convert(values[index])
    return _encode(values)


def _datetime(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        text = moment.isoformat()
    elif isinstance(value, date):
        text = f"{value.isoformat()}T00:00:00"
    else:
        return value
    return (text.rstrip("0") if "." in text else text) + "Z"


def _timespan(value: Any) -> Any:
    """`[-][d.]hh:mm:ss[.fffffff]`, as .NET writes a TimeSpan."""
    if isinstance(value, time):
        value = timedelta(
            hours=value.hour,
            minutes=value.minute,
            seconds=value.second,
            microseconds=value.microsecond,
        )
    if not isinstance(value, timedelta):
        return value
    size = abs(value)
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours:02}:{minutes:02}:{seconds:02}"
    if size.days:
        text = f"{size.days}.{text}"
    if size.microseconds:
        text += f".{size.microseconds:06}0"
    return f"-{text}" if value < timedelta(0) else text


def _real(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _long(value: Any) -> Any:
    # DuckDB's sums are wider than Kusto's long; JSON would round such a number.
    return value if value is None or -_INT64 <= value < _INT64 else str(value)


def _string(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _as_text(value: Any) -> Any:
    return None if value is None else str(value)


def _decimal(value: Any) -> Any:
    """Without zeros behind the digits that say something: DuckDB fills them up."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else _as_text(value)


def _dynamic(value: Any) -> Any:
    """A dynamic value is a string that holds JSON; one from DuckDB's JSON is that already."""
    if value is None or isinstance(value, str):
        return value
    return _encode(_jsonable(value)).decode()


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    if isinstance(value, timedelta):
        return _timespan(value)
    if isinstance(value, date | datetime):
        return _datetime(value)
    if isinstance(value, Decimal | UUID | bytes):
        return str(value)
    return _real(value)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "datetime": _datetime,
    "timespan": _timespan,
    "real": _real,
    "long": _long,
    "decimal": _decimal,
    "guid": _as_text,
    "string": _string,
    "dynamic": _dynamic,
}
