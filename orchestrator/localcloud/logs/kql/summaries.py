"""Aggregates by the types of what they are given, and texts made of them.

`sum` and `avg` take spans of time, `avg` datetimes, which DuckDB's do not; `strcat_array` of a list
is made behind the `summarize`. Rules: https://learn.microsoft.com/kusto/query/sum-aggregation-function
and …/avg-aggregation-function.
"""

from __future__ import annotations

import dataclasses

from duckdb_kql import ir

from orchestrator.localcloud.logs.kql.unions import Scope

_TIMED = {
    ("sum", "timespan"): "__local_sum_span",
    ("avg", "timespan"): "__local_avg_span",
    ("avg", "datetime"): "__local_avg_moment",
}


def timed(before: ir.Query, operator: ir.Summarize, scope: Scope) -> ir.Summarize:
    """The operator with those aggregates that are of time.

    Args:
        before: The pipeline in front of it.
        operator: As written.
        scope: What is known; tells types.
    """
    asked: dict[int, ir.Expr] = {}
    for index, one in enumerate(operator.aggregates):
        call = one.expr
        if not isinstance(call, ir.FunctionCall) or call.name not in ("sum", "avg"):
            continue
        if call.args and not _is_number(call.args[0]):
            asked[index] = call.args[0]
    if not asked:
        return operator
    named = tuple(ir.NamedExpr(expr, f"v{index}") for index, expr in asked.items())
    project = ir.Project(named)
    types = scope.types(dataclasses.replace(before, operators=[*before.operators, project]))
    kinds = dict(zip(asked, (kind for _, kind in types or ()), strict=False))
    aggregates = list(operator.aggregates)
    for index, kind in kinds.items():
        call = aggregates[index].expr
        if isinstance(call, ir.FunctionCall) and (call.name, kind) in _TIMED:
            call = dataclasses.replace(call, name=_TIMED[call.name, kind])
            aggregates[index] = dataclasses.replace(aggregates[index], expr=call)
    return dataclasses.replace(operator, aggregates=tuple(aggregates))


def _is_number(value: ir.Expr) -> bool:
    """Whether a value says itself that it is a number."""
    return isinstance(value, ir.FunctionCall) and value.name.lower() in (
        "tolong", "toint", "todouble", "toreal", "strlen",
    )  # fmt: skip


def staged(operator: ir.Operator) -> list[ir.Operator]:
    """The operator, and behind it what makes texts of its lists."""
    if not isinstance(operator, ir.Summarize):
        return [operator]
    aggregates: list[ir.NamedExpr] = []
    made: list[ir.NamedExpr] = []
    for given in operator.aggregates:
        one = _named(given)
        call = one.expr
        if isinstance(call, ir.FunctionCall) and call.name == "strcat_array" and one.name:
            aggregates.append(ir.NamedExpr(call.args[0], one.name))
            text = dataclasses.replace(call, args=(ir.ColumnRef(one.name), *call.args[1:]))
            made.append(ir.NamedExpr(text, one.name))
        else:
            aggregates.append(one)
    operator = dataclasses.replace(operator, aggregates=tuple(aggregates))
    return [operator, ir.Extend(tuple(made))] if made else [operator]


def _named(one: ir.NamedExpr) -> ir.NamedExpr:
    """A covariance under the names of both its columns, as its page shows it."""
    call = one.expr
    if one.name or not isinstance(call, ir.FunctionCall) or not call.name.startswith("covariance"):
        return one
    columns = [value.name for value in call.args[:2] if isinstance(value, ir.ColumnRef)]
    if len(columns) < 2:
        return one
    return dataclasses.replace(one, name="_".join([call.name, *columns]))
