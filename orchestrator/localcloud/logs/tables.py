"""The tables of Log Analytics, and the rows they are made of.

Rows are kept once, in three physical tables: `console` (one row per line: time, source, text),
`source` (what is the same for all lines of one stream of one container) and `event`. The tables
that a query names are views over them, in two shapes: the custom tables that Container Apps fills
when its logs go to a Log Analytics workspace (`ContainerAppConsoleLogs_CL`,
`ContainerAppSystemLogs_CL`), and the ones it fills through Azure Monitor
(`ContainerAppConsoleLogs`, `ContainerAppSystemLogs`).

Columns: https://learn.microsoft.com/azure/container-apps/log-monitoring and
https://learn.microsoft.com/azure/azure-monitor/reference/tables/containerappconsolelogs (and
…/containerappsystemlogs). A text column without a value is empty, never null, as in Kusto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = 1

PHYSICAL = (
    "CREATE TABLE IF NOT EXISTS meta (version INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS source (
        id BIGINT NOT NULL, workspace VARCHAR NOT NULL, resource_id VARCHAR NOT NULL,
        job VARCHAR NOT NULL, execution VARCHAR NOT NULL, replica VARCHAR NOT NULL,
        container VARCHAR NOT NULL, container_id VARCHAR NOT NULL, group_id UUID NOT NULL,
        image VARCHAR NOT NULL, environment VARCHAR NOT NULL, stream VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS console (
        time TIMESTAMP NOT NULL, source BIGINT NOT NULL, text VARCHAR NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS event (
        time TIMESTAMP NOT NULL, workspace VARCHAR NOT NULL, resource_id VARCHAR NOT NULL,
        job VARCHAR NOT NULL, execution VARCHAR NOT NULL, replica VARCHAR NOT NULL,
        container VARCHAR NOT NULL, environment VARCHAR NOT NULL, reason VARCHAR NOT NULL,
        text VARCHAR NOT NULL, type VARCHAR NOT NULL, origin VARCHAR NOT NULL,
        count BIGINT NOT NULL)""",
)

SOURCE_COLUMNS = (
    "workspace", "resource_id", "job", "execution", "replica", "container", "container_id",
    "group_id", "image", "environment", "stream",
)  # fmt: skip
EVENT_COLUMNS = (
    "workspace", "resource_id", "job", "execution", "replica", "container", "environment",
    "reason", "text", "type", "origin",
)  # fmt: skip

Kind = Literal["console", "event"]

_EMPTY = "''"


@dataclass(frozen=True)
class Table:
    """A table that a query can name.

    Attributes:
        kind: Which rows it shows.
        columns: KQL column name to the SQL expression over `c`/`s` (console) or `e` (event).
    """

    kind: Kind
    columns: dict[str, str]


# The dictionaries below name TenantId and TimeGenerated first only to fix their place.


def _common(row: str, place: str, name: str) -> dict[str, str]:
    """The columns every table has; `row` and `place` are the aliases of time and of identity."""
    return {
        "TenantId": f"{place}.workspace",
        "TimeGenerated": f"{row}.time",
        "Category": f"'{name.removesuffix('_CL')}'",
        "SourceSystem": "'RestAPI'" if name.endswith("_CL") else "'Azure'",
        "Type": f"'{name}'",
        "_ResourceId": f"{place}.resource_id",
        "_SubscriptionId": f"split_part({place}.resource_id, '/', 3)",
    }


TABLES: dict[str, Table] = {
    "ContainerAppConsoleLogs_CL": Table(
        "console",
        {
            "TenantId": "",
            "TimeGenerated": "",
            "_timestamp_d": "epoch(c.time)",
            "time_t": "c.time",
            "ContainerAppName_s": _EMPTY,
            "RevisionName_s": _EMPTY,
            "ContainerJobName_s": "s.job",
            "ExecutionName_s": "s.execution",
            "ContainerGroupName_s": "s.replica",
            "ContainerGroupId_g": "s.group_id",
            "ContainerName_s": "s.container",
            "ContainerId_s": "s.container_id",
            "ContainerImage_s": "s.image",
            "EnvironmentName_s": "s.environment",
            "Stream_s": "s.stream",
            "Log_s": "c.text",
        }
        | _common("c", "s", "ContainerAppConsoleLogs_CL"),
    ),
    "ContainerAppSystemLogs_CL": Table(
        "event",
        {
            "TenantId": "",
            "TimeGenerated": "",
            "_timestamp_d": "epoch(e.time)",
            "time_t": "e.time",
            "time_s": "strftime(e.time, '%Y-%m-%dT%H:%M:%S.%fZ')",
            "TimeStamp_s": "strftime(e.time, '%Y-%m-%d %H:%M:%S +0000 UTC')",
            "ContainerAppName_s": _EMPTY,
            "RevisionName_s": _EMPTY,
            "JobName_s": "e.job",
            "ExecutionName_s": "e.execution",
            "ReplicaName_s": "e.replica",
            "ContainerName_s": "e.container",
            "EnvironmentName_s": "e.environment",
            "EventSource_s": "e.origin",
            "Type_s": "e.type",
            "Level": "CASE e.type WHEN 'Warning' THEN 'Warning' ELSE 'Informational' END",
            "Reason_s": "e.reason",
            "Count_d": "CAST(e.count AS DOUBLE)",
            "Log_s": "e.text",
        }
        | _common("e", "e", "ContainerAppSystemLogs_CL"),
    ),
    "ContainerAppConsoleLogs": Table(
        "console",
        {
            "TenantId": "",
            "TimeGenerated": "",
            "ContainerAppName": _EMPTY,
            "ContainerGroupId": "CAST(s.group_id AS VARCHAR)",
            "ContainerGroupName": "s.replica",
            "ContainerId": "s.container_id",
            "ContainerImage": "s.image",
            "ContainerName": "s.container",
            "EnvironmentName": "s.environment",
            "ExecutionName": "s.execution",
            "JobName": "s.job",
            "Location": _EMPTY,
            "Log": "c.text",
            "OperationName": "'ContainerAppConsoleLogs'",
            "RevisionName": _EMPTY,
            "Stream": "s.stream",
        }
        | _common("c", "s", "ContainerAppConsoleLogs"),
    ),
    "ContainerAppSystemLogs": Table(
        "event",
        {
            "TenantId": "",
            "TimeGenerated": "",
            "ContainerAppName": _EMPTY,
            "ContainerName": "e.container",
            "Count": "CAST(e.count AS INTEGER)",
            "EnvironmentName": "e.environment",
            "EventSource": "e.origin",
            "ExecutionName": "e.execution",
            "JobName": "e.job",
            "Level": "CASE e.type WHEN 'Warning' THEN 'Warning' ELSE 'Informational' END",
            "Location": _EMPTY,
            "Log": "e.text",
            "OperationName": "'ContainerAppSystemLogs'",
            "Reason": "e.reason",
            "ReplicaName": "e.replica",
            "RevisionName": _EMPTY,
            "EventType": "e.type",
        }
        | _common("e", "e", "ContainerAppSystemLogs"),
    ),
}

COLUMNS: dict[str, list[str]] = {name: list(table.columns) for name, table in TABLES.items()}
"""Table name to its column names, in order: what a query may mention."""

_SUFFIXES = {"_d": "real", "_t": "datetime", "_g": "guid"}
_TYPES = {"TimeGenerated": "datetime", "Count": "int"}


def column_type(name: str) -> str:
    """The KQL type of a column of these tables, by the suffix that custom logs give it."""
    return _TYPES.get(name) or _SUFFIXES.get(name[-2:], "string")


@dataclass(frozen=True)
class Scope:
    """Which rows a query may see.

    Attributes:
        workspaces: Customer ids (lower case) of the workspaces; None: any.
        resources: Resource ids (lower case, no trailing slash); a row belongs if its resource is
            one of them or lies below one. None: any.
    """

    workspaces: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None


def quoted(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def scope_condition(alias: str, scope: Scope) -> str:
    """The SQL condition, over the columns `workspace` and `resource_id` of `alias`."""
    parts = []
    if scope.workspaces is not None:
        names = ", ".join(quoted(name) for name in scope.workspaces) or "NULL"
        parts.append(f"{alias}.workspace IN ({names})")
    if scope.resources is not None:
        below = [
            f"({alias}.resource_id = {quoted(r)} OR starts_with({alias}.resource_id, "
            f"{quoted(r + '/')}))"
            for r in scope.resources
        ]
        parts.append("(" + (" OR ".join(below) or "FALSE") + ")")
    return " AND ".join(parts) or "TRUE"


def _moment(micros: int) -> str:
    return f"make_timestamp({int(micros)})"


def view_sql(
    name: str, scope: Scope, start: int | None, end: int | None, view: str | None = None
) -> str:
    """The statement that makes table `name`, as seen in `scope`, a temporary view.

    Args:
        name: One of `TABLES`.
        scope: Whose rows.
        start: First moment included, microseconds since the epoch (UTC), or None.
        end: First moment no longer included, or None.
        view: Name of the view; the table's own if left out.
    """
    table = TABLES[name]
    row = "c" if table.kind == "console" else "e"
    place = "s" if table.kind == "console" else "e"
    columns = ", ".join(f'{sql} AS "{column}"' for column, sql in table.columns.items())
    tables = "console c JOIN source s ON c.source = s.id" if row == "c" else "event e"
    conditions = [scope_condition(place, scope)]
    if start is not None:
        conditions.append(f"{row}.time >= {_moment(start)}")
    if end is not None:
        conditions.append(f"{row}.time < {_moment(end)}")
    where = " AND ".join(conditions)
    made = f'CREATE TEMP VIEW "{view or name}" AS'
    return f"{made} SELECT {columns} FROM {tables} WHERE {where}"  # noqa: S608


def exists_sql(kind: Kind, scope: Scope, until: int | None = None) -> str:
    """A query for one boolean: has the scope ever had a row of this kind, from before `until`?"""
    alias = "s" if kind == "console" else "e"
    condition = scope_condition(alias, scope)
    # A source is written together with its first line, so the small table answers for the large.
    rows = "source s" if kind == "console" else "event e"
    if until is not None:
        rows = "console c JOIN source s ON c.source = s.id" if kind == "console" else rows
        condition += f" AND {'c' if kind == 'console' else 'e'}.time < {_moment(until)}"
    return f"SELECT EXISTS (SELECT 1 FROM {rows} WHERE {condition})"  # noqa: S608
