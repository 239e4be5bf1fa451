"""Pipelines that run once for each part of the rows: `mv-apply … on (…)`, `partition by … (…)`.

Each of their operators is written for all parts at once, over a column that numbers the parts:
aggregates are grouped by it, the first rows are counted in it. Rules:
https://learn.microsoft.com/kusto/query/mv-apply-operator and …/partition-operator.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from duckdb_kql import ir
from duckdb_kql.translate import summarize_names

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql.functions.aggregates import CONDITIONAL

APPLY = "__local_apply"
PARTITION = "__local_partition"
GIVEN = "$in"
"""The table that such a pipeline begins with: the rows before it."""
KEY = "$key"
"""What `partition` divides the rows by."""

_ROW, _PLACE = "$row", "$place"


@dataclasses.dataclass(frozen=True)
class Group:
    """The parts of the rows.

    Attributes:
        key: The column that tells them apart.
        carried: Columns with one value in each part, which it keeps whatever its operators do.
    """

    key: str
    carried: tuple[str, ...]

    def part(self) -> ir.Expr:
        """What a window function divides the rows by."""
        return ir.ColumnRef(self.key)


def is_grouped(operator: ir.Operator) -> bool:
    """Whether an operator is one of these, as `text.py` writes them."""
    return isinstance(operator, ir.Union) and operator.with_source in (APPLY, PARTITION)


def grouped(operator: ir.Operator, group: Group) -> list[ir.Operator]:
    """An operator of such a pipeline, for all parts at once.

    Raises:
        QueryError: 400; it cannot be told for each part alone.
    """
    of = _FORMS.get(type(operator))
    if of is None:
        raise semantic_error(
            "SEM0001",
            f"'{_word(operator)}' inside of mv-apply or partition is not supported by the local "
            "Log Analytics",
        )
    return of(operator, group)


def carried(operators: Sequence[ir.Operator], given: Sequence[str]) -> dict[str, str]:
    """Columns that `mv-apply` keeps beside what it spreads, and the names under which it does.

    A column that its operators write over is kept as a copy.
    """
    first = operators[0]
    spread = _spread(first) if isinstance(first, ir.MvExpand) else set()
    written = {name for one in operators[1:] for name in _written(one)}
    return {
        name: f"$kept_{name}" if name in written else name for name in given if name not in spread
    }


def _spread(operator: ir.MvExpand) -> set[str]:
    return {target.name or target.column for target in operator.targets}


def _written(operator: ir.Operator) -> set[str]:
    if isinstance(operator, ir.MvExpand):
        return _spread(operator)
    if isinstance(operator, ir.Parse):
        return {segment.name for segment in operator.segments if segment.name}
    return _made(operator.expressions) if isinstance(operator, ir.Extend) else set()


def shown(left: Sequence[str], key: str, kept: Mapping[str, str]) -> list[tuple[str, str]]:
    """The columns behind such a pipeline, in order, and their names.

    Args:
        left: The columns that its operators leave.
        key: The one that tells the parts apart.
        kept: The columns that were before, and where each is kept.
    """
    outer = [(copy, name) for name, copy in kept.items() if copy in left]
    taken = {name for _, name in outer}
    inner = [name for name in left if name not in kept.values() and name != key]
    named = [(name, f"{name}1" if name in taken else name) for name in inner]
    return [*outer, *named]


def folded(operators: Sequence[ir.Operator]) -> list[ir.Operator]:
    """The operators, with `where … | summarize count()` as `summarize countif(…)`.

    A part none of whose rows fits has a row in the answer, too.
    """
    made: list[ir.Operator] = []
    for operator in operators:
        before = made[-1] if made else None
        if isinstance(before, ir.Where) and (joined := _under(before.predicate, operator)):
            made[-1] = joined
        else:
            made.append(operator)
    return made


def _under(condition: ir.Expr, operator: ir.Operator) -> ir.Operator | None:
    """A `summarize` without `by`, or a `count`, under a condition; None if it cannot be said."""
    if isinstance(operator, ir.Count):
        return ir.Summarize(
            (ir.NamedExpr(ir.FunctionCall("countif", (condition,)), operator.name),)
        )
    if not isinstance(operator, ir.Summarize) or operator.by:
        return None
    if not all(_can_be_conditional(one.expr) for one in operator.aggregates):
        return None
    names = summarize_names(operator, None)[1]
    return ir.Summarize(
        tuple(
            ir.NamedExpr(_conditional(one.expr, condition), name)
            for one, (name,) in zip(operator.aggregates, names, strict=True)
        )
    )


def _can_be_conditional(aggregate: ir.Expr) -> bool:
    return isinstance(aggregate, ir.FunctionCall) and (
        (aggregate.name in CONDITIONAL and len(aggregate.args) == 1) or aggregate.name == "count"
    )


def _conditional(aggregate: ir.Expr, condition: ir.Expr) -> ir.Expr:
    assert isinstance(aggregate, ir.FunctionCall)  # by _can_be_conditional
    if aggregate.name == "count":
        return ir.FunctionCall("countif", (condition,))
    return ir.FunctionCall(CONDITIONAL[aggregate.name], (*aggregate.args, condition))


def _word(operator: ir.Operator) -> str:
    return type(operator).__name__.lower()


def _as_it_is(operator: ir.Operator, _: Group) -> list[ir.Operator]:
    return [operator]


def _reference(name: str) -> ir.NamedExpr:
    return ir.NamedExpr(ir.ColumnRef(name), name)


def _made(expressions: Sequence[ir.NamedExpr]) -> set[str]:
    """The names that some expressions give, as far as they are written."""
    return {
        one.name or (one.expr.name if isinstance(one.expr, ir.ColumnRef) else "")
        for one in expressions
    }


def _kept(group: Group, expressions: Sequence[ir.NamedExpr]) -> list[ir.NamedExpr]:
    """The part's number and what it carries, but for columns that the expressions make."""
    made = _made(expressions)
    return [_reference(name) for name in (group.key, *group.carried) if name not in made]


def _project(operator: ir.Project, group: Group) -> list[ir.Operator]:
    expressions = operator.expressions
    return [ir.Project((*_kept(group, expressions), *expressions))]


def _away(operator: ir.ProjectAway, group: Group) -> list[ir.Operator]:
    columns = tuple(name for name in operator.columns if name not in group.carried)
    return [ir.ProjectAway(columns)] if columns else []


def _distinct(operator: ir.Distinct, group: Group) -> list[ir.Operator]:
    expressions = operator.expressions
    return [ir.Distinct((*_kept(group, expressions), *expressions))]


def _summarize(operator: ir.Summarize, group: Group) -> list[ir.Operator]:
    made = _made((*operator.by, *operator.aggregates))
    carried = tuple(
        ir.NamedExpr(ir.FunctionCall("take_any", (ir.ColumnRef(name),)), name)
        for name in group.carried
        if name not in made
    )
    by = (_reference(group.key), *operator.by)
    return [dataclasses.replace(operator, aggregates=(*operator.aggregates, *carried), by=by)]


def _count(operator: ir.Count, group: Group) -> list[ir.Operator]:
    counted = ir.NamedExpr(ir.FunctionCall("count"), operator.name)
    return _summarize(ir.Summarize((counted,)), group)


def _sort(operator: ir.Sort, group: Group) -> list[ir.Operator]:
    return [ir.Sort((ir.SortKey(ir.ColumnRef(group.key), ascending=True), *operator.keys))]


def _first(count: int, group: Group) -> list[ir.Operator]:
    row, place = ir.ColumnRef(_ROW), ir.ColumnRef(_PLACE)
    one = ir.Literal(1, "long")
    number = ir.FunctionCall("__local_row_number", (one, group.part(), row))
    return [
        ir.Extend((ir.NamedExpr(ir.FunctionCall("__local_row"), _ROW),)),
        ir.Extend((ir.NamedExpr(number, _PLACE),)),
        ir.Where(ir.BinaryOp("<=", place, ir.Literal(count, "long"))),
        ir.Sort((ir.SortKey(row, ascending=True),)),
        ir.ProjectAway((_ROW, _PLACE)),
    ]


def _take(operator: ir.Take, group: Group) -> list[ir.Operator]:
    return _first(operator.count, group)


def _top(operator: ir.Top, group: Group) -> list[ir.Operator]:
    return [*_sort(ir.Sort(operator.keys), group), *_first(operator.count, group)]


_FORMS: dict[type, Callable[..., list[ir.Operator]]] = {
    ir.Where: _as_it_is,
    ir.Extend: _as_it_is,
    ir.MvExpand: _as_it_is,
    ir.Parse: _as_it_is,
    ir.Lookup: _as_it_is,
    ir.ProjectRename: _as_it_is,
    ir.Project: _project,
    ir.ProjectAway: _away,
    ir.Distinct: _distinct,
    ir.Summarize: _summarize,
    ir.Count: _count,
    ir.Sort: _sort,
    ir.Take: _take,
    ir.Top: _top,
}
