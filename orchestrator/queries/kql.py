"""KQL text: the queries this library asks itself, and how to put a value into one safely.

Syntax: https://learn.microsoft.com/kusto/query/scalar-data-types/string (string literals).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

CONSOLE = "ContainerAppConsoleLogs_CL"
SYSTEM = "ContainerAppSystemLogs_CL"
TABLES = (CONSOLE, SYSTEM, "ContainerAppConsoleLogs", "ContainerAppSystemLogs")

# The columns of a console line, in the order in which `logs` reads them.
LINE_COLUMNS = (
    "_timestamp_d",
    "ContainerJobName_s",
    "ContainerGroupName_s",
    "ContainerName_s",
    "Stream_s",
    "Log_s",
)

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def text(value: str) -> str:
    """`value` as a KQL string literal; whatever it holds, it stays a value."""
    return "'" + "".join(_escaped(c) for c in value) + "'"


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def moment(value: datetime) -> str:
    """A moment as a KQL datetime literal."""
    return f"datetime({value.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%fZ')})"


def console_lines(
    job: str | None = None,
    *,
    execution: str | None = None,
    replica: str | None = None,
    container: str | None = None,
    grep: str | None = None,
    stream: str | None = None,
    tail: int | None = None,
    after: float | None = None,
    before: float | None = None,
    columns: Sequence[str] = LINE_COLUMNS,
) -> str:
    """The query for console lines. With `tail` they come newest first, otherwise oldest first.

    `after`, `before`: epoch seconds, both excluded. As in Microsoft's own query for an execution
    ("Jobs in Azure Container Apps", view logs), an execution's lines are those of the replicas
    whose name begins with its name.
    """
    parts = [CONSOLE]
    if job is not None:
        parts.append(f"where ContainerJobName_s == {text(job)}")
    if execution is not None:
        parts.append(f"where ContainerGroupName_s startswith {text(execution)}")
    if replica is not None:
        parts.append(f"where ContainerGroupName_s == {text(replica)}")
    if container is not None:
        parts.append(f"where ContainerName_s == {text(container)}")
    if after is not None:
        parts.append(f"where _timestamp_d > {after:.6f}")
    if before is not None:
        parts.append(f"where _timestamp_d < {before:.6f}")
    if stream is not None:
        parts.append(f"where Stream_s == {text(stream)}")
    if grep is not None:
        parts.append(f"where Log_s matches regex {text(grep)}")
    if tail is not None:
        parts.append(f"top {tail} by _timestamp_d desc")
    else:
        parts.append("order by _timestamp_d asc")
    parts.append(f"project {', '.join(columns)}")
    return "\n| ".join(parts)


EVENT_COLUMNS = (
    "_timestamp_d",
    "JobName_s",
    "ExecutionName_s",
    "ReplicaName_s",
    "Type_s",
    "Reason_s",
    "Log_s",
)


def system_events(
    job: str | None = None,
    *,
    execution: str | None = None,
    grep: str | None = None,
    tail: int | None = None,
    after: float | None = None,
    before: float | None = None,
) -> str:
    """The query for events of the system log; bounds and order as in `console_lines`."""
    parts = [SYSTEM]
    if job is not None:
        parts.append(f"where JobName_s == {text(job)}")
    if execution is not None:
        parts.append(f"where ExecutionName_s == {text(execution)}")
    if after is not None:
        parts.append(f"where _timestamp_d > {after:.6f}")
    if before is not None:
        parts.append(f"where _timestamp_d < {before:.6f}")
    if grep is not None:
        parts.append(f"where Log_s matches regex {text(grep)}")
    if tail is not None:
        parts.append(f"top {tail} by _timestamp_d desc")
    else:
        parts.append("order by _timestamp_d asc")
    parts.append(f"project {', '.join(EVENT_COLUMNS)}")
    return "\n| ".join(parts)


def executions_of_events(
    job: str | None = None,
    *,
    execution: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    endings: Sequence[str],
    most: int,
) -> str:
    """The query for one row per execution, newest first: job, name, first and last moment, and
    how many events of each of the `endings` (reasons) it has."""
    parts = [SYSTEM, "where ExecutionName_s != ''"]
    if job is not None:
        parts.append(f"where JobName_s == {text(job)}")
    if execution is not None:
        parts.append(f"where ExecutionName_s == {text(execution)}")
    counts = [f"Ending{n} = countif(Reason_s == {text(r)})" for n, r in enumerate(endings)]
    parts.append(
        "summarize First = min(_timestamp_d), Last = max(_timestamp_d), "
        + ", ".join(counts)
        + " by JobName_s, ExecutionName_s"
    )
    if since is not None:
        parts.append(f"where First >= {since.timestamp():.6f}")
    if until is not None:
        # A moment is given to the microsecond, which a float may miss by less than one.
        parts.append(f"where First < {until.timestamp() + 1e-6:.6f}")
    parts.append(f"top {most} by First desc")
    names = ", ".join(f"Ending{n}" for n in range(len(endings)))
    parts.append(f"project JobName_s, ExecutionName_s, First, Last, {names}")
    return "\n| ".join(parts)
