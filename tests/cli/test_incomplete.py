"""An answer that is incomplete says so on stderr, whatever the format on stdout."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.client import Orchestrator
from orchestrator.queries.result import QueryResult, QueryTable
from orchestrator.results import LogLine, Logs
from tests.cli.conftest import Cli

WHY = "There were some errors: more than 500,000 rows."
TOLD = f"The answer is incomplete: {WHY}\n"
LINE = LogLine(
    time=datetime(2026, 1, 1, tzinfo=UTC),
    text="one line",
    stream="stdout",
    job="talker",
    execution="talker-1",
    replica="talker-1-a",
    container="talker",
)


def table(name: str) -> QueryTable:
    return QueryTable([[1]], names=["n"], types=["long"], name=name)


@pytest.mark.parametrize("format", [(), ("-o", "json"), ("-o", "csv")])
@pytest.mark.parametrize(
    ("verb", "words", "answer"),
    [
        ("logs", ("logs", "--job", "talker"), Logs([LINE], partial=WHY)),
        ("query", ("query", "T"), QueryResult([table("a")], partial=WHY)),
        ("query", ("query", "T"), QueryResult([table("a"), table("b")], partial=WHY)),
    ],
)
def test_what_is_missing_is_told(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    words: tuple[str, ...],
    answer: Any,
    format: tuple[str, ...],
) -> None:
    monkeypatch.setattr(Orchestrator, verb, lambda *_, **__: answer)
    result = cli(*words, *format)
    assert result.status == 0, result.err
    assert result.err.endswith(TOLD)
    assert result.err.count(TOLD) == 1
    assert WHY not in result.out
    monkeypatch.setattr(answer, "partial", "")
    assert "incomplete" not in cli(*words, *format).err
