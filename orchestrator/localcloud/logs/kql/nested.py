"""`top-nested` and `top-hitters`, written with `summarize`, `top` and `partition`.

https://learn.microsoft.com/kusto/query/top-nested-operator and …/top-hitters-operator.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.localcloud.logs.kql.syntax import tokens
from orchestrator.localcloud.logs.kql.tokens import (
    NotAsDocumented,
    Operator,
    Tokens,
    after,
    listed,
    written,
)


@dataclass(frozen=True)
class _Level:
    """One clause: its column and what it is, its aggregate and what it is, how many of it."""

    name: str
    value: str
    result: str
    aggregate: str
    count: str
    order: str


def top_hitters(query: str, operator: Operator) -> str:
    """`top-hitters 3 of k by n` as the three `k` with the largest sums of `n`."""
    count, rest = after(operator.args, "of")
    column, weight = after(rest, "by")
    if not (count and column):
        raise NotAsDocumented
    name = column[0].text
    made = f"approximate_count_{name} = count()"
    if weight:
        made = f"approximate_sum_{weight[0].text} = sum({written(query, weight)})"
    result = made.split(" ")[0]
    return (
        f"| summarize {made} by {written(query, column)} "
        f"| top {written(query, count)} by {result} desc"
    )


def top_nested(query: str, operator: Operator) -> str | None:
    """The whole query, with the rows before the operator under a name that each level reads."""
    before = [token for token in tokens(query) if token.start < operator.start]
    if sum((token.text in "([{") - (token.text in ")]}") for token in before):
        return None  # inside of brackets the rows have no name
    start = max((token.end for token in before if token.text == ";"), default=0)
    levels = [_level(query, clause) for clause in listed(operator.args)]
    given = f"['$nested{operator.start}']"
    text = f"{given} "
    for index, level in enumerate(levels):
        above = levels[:index]
        if above:
            keys = ", ".join(one.name for one in above)
            text += f"| join kind=inner ({_with(given, above)}) on {keys} "
        kept = "".join(f"{one.result} = take_any({one.result}), " for one in above)
        by = ", ".join([*(one.name for one in above), f"{level.name} = {level.value}"])
        text += f"| summarize {kept}{level.result} = {level.aggregate} by {by} "
        if level.count:
            top = f"top {level.count} by {level.result} {level.order}"
            parts = ", ".join(f"tostring({one.name})" for one in above)
            text += (
                f"| partition by strcat_delim('\\t', {parts}, '') ({top}) "
                if above
                else f"| {top} "
            )
        shown = [name for one in (*above, level) for name in (one.name, one.result)]
        text += f"| project {', '.join(shown)} "
    return (
        f"{query[:start]} let {given} = materialize({query[start : operator.start].strip()}\n); "
        f"{text}{query[operator.end :]}"
    )


def _with(given: str, levels: list[_Level]) -> str:
    made = [f"{one.name} = {one.value}" for one in levels if one.name != one.value]
    return f"{given} | extend {', '.join(made)}" if made else given


def _level(query: str, clause: Tokens) -> _Level:
    clause = clause[1:] if clause[0].text == "top-nested" else clause
    count, rest = after(clause, "of")
    if not rest and clause[0].text == "of":
        count, rest = (), clause[1:]
    value, aggregate = after(rest, "by")
    if not (value and aggregate) or any(token.text == "others" for token in value):
        raise NotAsDocumented
    order = "desc"
    if aggregate[-1].text in ("asc", "desc"):
        order, aggregate = aggregate[-1].text, aggregate[:-1]
    name, value = _named(value)
    result, aggregate = _named(aggregate)
    name = name or value[0].text
    return _Level(
        name,
        written(query, value),
        result or f"aggregated_{name}",
        written(query, aggregate),
        written(query, count),
        order,
    )


def _named(part: Tokens) -> tuple[str, Tokens]:
    """The name of `name = value`, and the value."""
    if len(part) > 2 and part[1].text == "=":
        return part[0].text, part[2:]
    return "", part
