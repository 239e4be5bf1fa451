"""The local cloud's own log as records, for `local logs` in a format for programs."""

from __future__ import annotations

import re
from datetime import datetime

from orchestrator.records import Column, Records
from orchestrator.results import Record

_LINE = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) ([A-Z]+) ([\w.]+): (.*)")


class ServerLine(Record, frozen=True, kw_only=True):
    """One line. `time` (aware UTC), `level` and `source` are None and "" where it has none: in a
    traceback, say."""

    text: str
    time: datetime | None = None
    level: str = ""
    source: str = ""


class ServerLines(Records[ServerLine]):
    """Lines, oldest first."""

    noun = "log lines"
    columns = (
        Column("time", "time", "time"),
        Column("level", "level"),
        Column("source", "source"),
        Column("text", "text"),
    )


def parsed(line: str) -> ServerLine:
    """The record of a line as it stands in server.log."""
    found = _LINE.fullmatch(line)
    if found is None:
        return ServerLine(text=line)
    when, level, source, text = found.groups()
    return ServerLine(time=datetime.fromisoformat(when), level=level, source=source, text=text)
