"""Operators and conditions that mean columns by a pattern, by `*`, or all of them.

Rules: https://learn.microsoft.com/kusto/query/ and the operator's name.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any

from duckdb_kql import ir

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql.binary import ANY

HIDDEN = ("_BilledSize", "_IsBillable", "_ItemId")
"""Columns that a table has and shows only where it is asked for them."""


def told(columns: list[str] | None, what: str) -> list[str]:
    if columns is None:
        raise semantic_error(
            "SEM0001", f"'{what}' is not supported here: the columns before it cannot be told"
        )
    return columns


# ------------------------------------------------------------------------------------- operators


def stand_in(operator: ir.Operator) -> tuple[str, list[str]] | None:
    if not isinstance(operator, ir.Extend) or len(operator.expressions) != 1:
        return None
    call = operator.expressions[0]
    if call.name != "$op" or not isinstance(call.expr, ir.FunctionCall):
        return None
    values = [str(a.value) for a in call.expr.args if isinstance(a, ir.Literal)]
    return call.expr.name.removeprefix("__local_"), values


def _matching(columns: Sequence[str], pattern: str) -> list[str]:
    if "*" not in pattern:
        if pattern not in columns:
            raise semantic_error(
                "SEM0100", f"Failed to resolve scalar expression named '{pattern}'"
            )
        return [pattern]
    return [column for column in columns if fnmatch.fnmatchcase(column, pattern)]


def _project(names: Sequence[str]) -> ir.Project:
    return ir.Project(tuple(ir.NamedExpr(ir.ColumnRef(name), name) for name in names))


def _keep(columns: list[str], patterns: list[str]) -> ir.Operator:
    kept = {name for pattern in patterns for name in _matching(columns, pattern)}
    return _project([name for name in columns if name in kept])


def _away(columns: list[str], patterns: list[str]) -> ir.Operator:
    gone = {name for pattern in patterns for name in _matching(columns, pattern)}
    if gone >= set(columns):
        raise semantic_error("SEM0001", "'project-away' leaves no column")
    return _project([name for name in columns if name not in gone])


_ORDER = re.compile(r"\s+(asc|desc|granny-asc|granny-desc)\Z")


def _reorder(columns: list[str], patterns: list[str]) -> ir.Operator:
    front: list[str] = []
    for pattern in patterns:
        order = _ORDER.search(pattern)
        found = _matching(columns, _ORDER.sub("", pattern))
        if order is not None:
            key = _numbers_too if order[1].startswith("granny") else str
            found.sort(key=key, reverse=order[1].endswith("desc"))
        front += [name for name in found if name not in front]
    return _project([*front, *(name for name in columns if name not in front)])


def _numbers_too(name: str) -> Any:
    """Sorts `a2` before `a10`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _distinct(columns: list[str], _: list[str]) -> ir.Operator:
    return ir.Distinct(tuple(ir.NamedExpr(ir.ColumnRef(name), name) for name in columns))


def _find(columns: list[str], arguments: list[str]) -> ir.Operator:
    """Where a row is from, the columns that are asked for, a bag of the others or of all."""
    source, bag_of, *names = arguments
    names = list(dict.fromkeys(names))
    nothing = ir.Literal("", "string")
    if bag_of == "rest":
        names = [name for name in names if name in columns]
    shown = [ir.NamedExpr(ir.ColumnRef(source), source)]
    shown += [
        ir.NamedExpr(ir.ColumnRef(name) if name in columns else nothing, name)
        for name in names
        if name != source
    ]
    if bag_of:
        left = [
            name for name in columns if name not in (source, *(names if bag_of == "rest" else ()))
        ]
        bag = ir.FunctionCall("__local_without_empty", (packed(left),))
        shown.append(ir.NamedExpr(bag, "pack_"))
    return ir.Project(tuple(shown))


def packed(columns: Sequence[str]) -> ir.Expr:
    """A bag of columns by their names."""
    pairs = ((ir.Literal(name, "string"), ir.ColumnRef(name)) for name in columns)
    return ir.FunctionCall("bag_pack", tuple(part for pair in pairs for part in pair))


COLUMN_OPERATORS: dict[str, Callable[[list[str], list[str]], ir.Operator]] = {
    "keep": _keep,
    "away": _away,
    "reorder": _reorder,
    "distinct": _distinct,
    "find": _find,
}


def with_all(operator: ir.Summarize, columns: list[str] | None) -> ir.Summarize:
    """A `summarize` with `take_any(*)` as one `take_any` per column that it is not grouped by."""
    aggregates: list[ir.NamedExpr] = []
    for one in operator.aggregates:
        inner = one.expr.args[:1] if isinstance(one.expr, ir.FunctionCall) else ()
        if inner and isinstance(inner[0], ir.FunctionCall) and inner[0].name == "__local_all":
            by = {g.expr.name for g in operator.by if isinstance(g.expr, ir.ColumnRef)}
            aggregates += [
                ir.NamedExpr(ir.FunctionCall("take_any", (ir.ColumnRef(name),)), name)
                for name in told(columns, "take_any(*)")
                if name not in by
            ]
        else:
            aggregates.append(one)
    return dataclasses.replace(operator, aggregates=tuple(aggregates))


def hidden_columns(names: Sequence[str], columns: Sequence[str]) -> ir.Extend:
    """Columns that every table of Log Analytics has and shows only where it is asked for them.

    Of https://learn.microsoft.com/azure/azure-monitor/logs/log-standard-columns.
    """
    size: ir.Expr = ir.Literal(0, "long")
    for column in columns:
        text = ir.FunctionCall("tostring", (ir.ColumnRef(column),))
        size = ir.BinaryOp("+", size, ir.FunctionCall("strlen", (text,)))
    made: dict[str, ir.Expr] = {
        "_BilledSize": ir.FunctionCall("toreal", (size,)),
        "_IsBillable": ir.FunctionCall("tobool", (ir.Literal(1, "long"),)),
        "_ItemId": ir.FunctionCall("tostring", (ir.FunctionCall("new_guid"),)),
    }
    return ir.Extend(tuple(ir.NamedExpr(made[name], name) for name in names))


# ------------------------------------------------------------------------------------- conditions


def is_any(node: ir.BinaryOp | ir.HasList | ir.InList) -> bool:
    left = node.left if isinstance(node, ir.BinaryOp) else node.value
    return isinstance(left, ir.ColumnRef) and left.name == ANY


def any_of(node: ir.BinaryOp | ir.HasList | ir.InList, columns: list[str]) -> ir.Expr:
    """The condition for one column or another; a negated one for all of them."""
    negated = isinstance(node, ir.BinaryOp) and node.op.startswith("!")
    found: ir.Expr | None = None
    for column in columns:
        text = ir.FunctionCall("tostring", (ir.ColumnRef(column),))
        one = (
            dataclasses.replace(node, left=text)
            if isinstance(node, ir.BinaryOp)
            else dataclasses.replace(node, value=text)
        )
        found = one if found is None else ir.BinaryOp("and" if negated else "or", found, one)
    return found if found is not None else ir.FunctionCall("tobool", (ir.Literal(0, "long"),))
