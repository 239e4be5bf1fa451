"""Answers to one query for parts of the time, joined in the order that the query itself says.

How Kusto orders rows: https://learn.microsoft.com/kusto/query/sort-operator (nulls and NaN lie at
the same end, the nulls outermost). Of texts it says nothing, so that they are not merged by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import Any

from orchestrator.queries.result import QueryTable
from orchestrator.queries.row_wise import Key

_ORDERED = frozenset({"datetime", "timespan", "int", "long", "real", "bool"})
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def not_mergeable(answer: QueryTable, order: Sequence[Key]) -> str:
    """Why answers with these columns cannot be merged in this order; "" when they can."""
    names = [column.key for column in answer.columns]
    for key in order:
        if names.count(key.name) != 1:
            return f"{key.name} is no column of the answer"
        kind = answer.types[names.index(key.name)]
        if kind not in _ORDERED:
            return f"{key.name} is a {kind}"
    return ""


def merged(answers: Sequence[QueryTable], order: Sequence[Key]) -> list[tuple[Any, ...]]:
    """The rows of all answers, each of which is in this order, in this order."""
    if not answers:
        return []
    names = [column.key for column in answers[0].columns]
    parts = [(names.index(key.name), _rank(key)) for key in order]

    def place(row: tuple[Any, ...]) -> tuple[tuple[int, float], ...]:
        return tuple(rank(row[index]) for index, rank in parts)

    return list(merge(*answers, key=place))


def _rank(key: Key) -> Callable[[Any], tuple[int, float]]:
    """What a value of a column is sorted by."""
    sign = -1 if key.descending else 1
    null, nan, number = (0, 1, 2) if key.nulls_first else (2, 1, 0)

    def rank(value: Any) -> tuple[int, float]:
        if value is None:
            return null, 0
        if isinstance(value, datetime):
            value = (value - _BEGINNING) // _TICK
        elif isinstance(value, timedelta):
            value = value // _TICK
        if isinstance(value, float) and math.isnan(value):
            return nan, 0
        return number, sign * value

    return rank
