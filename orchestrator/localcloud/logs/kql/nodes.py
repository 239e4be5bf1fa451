"""What of a query can be said only with the columns at hand: patterns, `*`, columns if they exist.

Walks the pipelines as duckdb-kql lowers them, with the columns that each operator is given, and
replaces the stand-ins that `text.py` left. Rules: https://learn.microsoft.com/kusto/query/ and
the operator's name.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from duckdb_kql import ir, schema
from duckdb_kql.errors import KqlError

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql import (
    binary,
    functions,
    groups,
    keys,
    summaries,
    unions,
    windows,
)
from orchestrator.localcloud.logs.kql.binary import ANY, literal
from orchestrator.localcloud.logs.kql.groups import Group
from orchestrator.localcloud.logs.kql.tree import rebuilt, walk

Columns = Mapping[str, Sequence[str]]
_INPUT = "\0input"
MAX_ITEMS = 1_048_576
"""Most values that `range()` makes."""

_HIDDEN = ("_BilledSize", "_IsBillable", "_ItemId")


def expand(
    query: ir.Query,
    known: Columns,
    types_of: unions.TypesOf,
    views: frozenset[str],
    labels: Mapping[str, str],
) -> ir.Query:
    """The query with every stand-in replaced, and unions by the types of their columns.

    Args:
        query: As lowered.
        known: Tables that can be named, and their columns in order.
        types_of: Tells the types of a query's columns.
        views: Names of `let`s that are views.
        labels: What `withsource` calls tables that it does not call by their names.

    Raises:
        QueryError: 400; `*` or a pattern where the columns cannot be told, or a window function
            over rows in no order.
    """
    hidden = tuple(name for name in _HIDDEN if _reads(query, name))
    bound = {name for node in walk(query) if isinstance(node, ir.Query) for name, _ in node.lets}
    expansion = _Expansion(
        hidden,
        bound,
        frozenset(known),
        views,
        labels,
        types_of,
        has_dynamics=keys.has_dynamics(query),
    )
    return expansion.query(query, {name: list(cols) for name, cols in known.items()})[0]


def _reads(node: object, name: str) -> bool:
    return any(isinstance(one, ir.ColumnRef) and one.name == name for one in walk(node))


class _Expansion:
    def __init__(
        self,
        hidden: tuple[str, ...],
        bound: set[str],
        tables: frozenset[str],
        views: frozenset[str],
        labels: Mapping[str, str],
        types_of: unions.TypesOf,
        *,
        has_dynamics: bool,
    ) -> None:
        self._hidden = hidden
        self._bound = bound
        self._tables = tables
        self._views = views
        self._labels = labels
        self._types_of = types_of
        self._has_dynamics = has_dynamics
        # The `let`s of the queries around the one at hand.
        self._lets: list[tuple[str, ir.Query | ir.Expr]] = []

    def query(
        self, query: ir.Query, known: dict[str, list[str]], group: Group | None = None
    ) -> tuple[ir.Query, list[str] | None]:
        """The query without stand-ins, and its columns if they can be told.

        With a group, its operators are those of each part of the rows.
        """
        around = len(self._lets)
        try:
            return self._query(query, known, group)
        finally:
            del self._lets[around:]

    def _query(
        self, query: ir.Query, known: dict[str, list[str]], group: Group | None
    ) -> tuple[ir.Query, list[str] | None]:
        lets: list[tuple[str, ir.Query | ir.Expr]] = []
        local = dict(known)
        for name, bound in query.lets:
            if isinstance(bound, ir.Query):
                made, columns = self.query(bound, local)
                lets.append((name, made))
                local.pop(name, None)
                if columns is not None:
                    local[name] = columns
            else:
                lets.append((name, self._inside(bound, None, local)))
            self._lets.append(lets[-1])
        nothing: list[str] | None = [] if isinstance(query.source, ir.PrintSource) else None
        source = self._inside(query.source, nothing, local)
        operators: list[ir.Operator] = []
        columns = _output(ir.Query(source), local)
        if isinstance(source, ir.TableRef) and source.name not in local:
            columns = []  # refused later, or left out of a union that is fuzzy
        if isinstance(source, ir.WildcardTableRef) and columns is None:
            columns = []  # no table has such a name: refused later
        if isinstance(source, ir.TableRef) and source.name in known and columns is not None:
            missing = [name for name in self._hidden if name not in columns]
            if missing:
                operators.append(_hidden_columns(missing, columns))
                columns = [*columns, *missing]
        ordered = False
        # Tables that are not there are refused later, by their names.
        named = {node.name for node in walk(query) if isinstance(node, ir.TableRef)}
        local.update({name: [] for name in named - local.keys() - self._bound})
        for operator in query.operators:
            if groups.is_grouped(operator) and isinstance(operator, ir.Union):
                in_parts, columns = self._parts(operator, columns, local)
                operators.extend(in_parts)
                ordered = False
                continue
            inside = self._operator(operator, columns, local)
            if isinstance(inside, _Serialized):
                ordered = True
                continue
            if isinstance(inside, ir.Union) and group is None:
                before = ir.Query(source, list(operators))
                united = unions.united(before, inside, self._scope())
                if united is not None:
                    source, operators, columns = united
                    ordered = False
                    continue
            part = None if group is None else group.part()
            before_it = list(operators)
            if isinstance(inside, ir.Summarize) and group is None:
                before = ir.Query(source, list(operators))
                inside = summaries.timed(before, inside, self._scope())
            forms = summaries.staged(inside) if group is None else groups.grouped(inside, group)
            for one in (
                stage
                for form in forms
                for stage in windows.staged(form, ordered=ordered, part=part)
            ):
                operators.append(one)
                columns = _behind(one, columns, local)
            if group is None and self._has_dynamics:
                keys.check(ir.Query(source, before_it), inside, self._scope())
            if isinstance(inside, ir.Join | ir.Lookup) and group is None:
                fill = self._fill(source, operators, local)
                operators.extend(fill)
            ordered = windows.is_ordered(inside, before=ordered)
        changed = dataclasses.replace(query, source=source, operators=operators, lets=lets)
        return changed, columns

    def _scope(self) -> unions.Scope:
        return unions.Scope(
            self._tables, self._views, tuple(self._lets), self._labels, self._types_of
        )

    def _fill(
        self, source: ir.Source, operators: list[ir.Operator], known: dict[str, list[str]]
    ) -> list[ir.Operator]:
        """What the join that is the last of the operators needs behind it."""
        *given, join = operators
        before = ir.Query(source, given)
        width = len(_output(before, known) or [])
        assert isinstance(join, ir.Join | ir.Lookup)
        fill = unions.filled(before, join, width, self._scope())
        return [] if fill is None else [fill]

    def _parts(
        self, operator: ir.Union, columns: list[str] | None, known: dict[str, list[str]]
    ) -> tuple[list[ir.Operator], list[str] | None]:
        """`mv-apply` or `partition` as operators over all parts, and the columns behind them."""
        by_key = operator.with_source == groups.PARTITION
        given = _told(columns, "partition" if by_key else "mv-apply")
        branch = operator.branches[0]
        inside = dataclasses.replace(branch, operators=groups.folded(branch.operators))
        number = f"$part{sum(name.startswith('$part') for name in given)}"
        before: list[ir.Operator] = []
        carried: dict[str, str] = {}
        if not by_key:
            before.append(ir.Extend((ir.NamedExpr(ir.FunctionCall("__local_row"), number),)))
            carried = groups.carried(inside.operators, given)
            copies = [(name, copy) for name, copy in carried.items() if name != copy]
            if copies:
                made = (ir.NamedExpr(ir.ColumnRef(name), copy) for name, copy in copies)
                before.append(ir.Extend(tuple(made)))
        group = Group(groups.KEY if by_key else number, tuple(carried.values()))
        source: list[str] | None = given
        for one in before:
            source = _behind(one, source, known)
        within = {**known, groups.GIVEN: _told(source, "mv-apply")}
        pipeline, behind = self.query(inside, within, group)
        left = _told(behind, "mv-apply")
        ends: list[ir.Operator] = []
        if any(isinstance(one, ir.Summarize | ir.Distinct) for one in pipeline.operators):
            ends.append(ir.Sort((ir.SortKey(ir.ColumnRef(group.key), ascending=True),)))
        shown = groups.shown(left, group.key, carried)
        ends.append(ir.Project(tuple(ir.NamedExpr(ir.ColumnRef(n), name) for n, name in shown)))
        return [*before, *pipeline.operators, *ends], [name for _, name in shown]

    def _operator(
        self, operator: ir.Operator, columns: list[str] | None, known: dict[str, list[str]]
    ) -> ir.Operator:
        stand_in = _stand_in(operator)
        if stand_in is None:
            made: ir.Operator = self._inside(operator, columns, known)
            return _with_all(made, columns) if isinstance(made, ir.Summarize) else made
        word, arguments = stand_in
        if word == "serialize":
            return _Serialized()
        given = _told(columns, word)
        return _COLUMN_OPERATORS[word](given, arguments)

    def _inside(self, node: Any, columns: list[str] | None, known: dict[str, list[str]]) -> Any:
        """A node with what is inside it expanded; nested queries have columns of their own."""
        if isinstance(node, ir.Query):
            return self.query(node, known)[0]
        node = rebuilt(node, lambda inner: self._inside(inner, columns, known))
        if isinstance(node, ir.FunctionCall):
            return _call(node, columns)
        if isinstance(node, ir.BinaryOp):
            node = binary.divided(binary.with_empty(node))
        if isinstance(node, ir.BinaryOp | ir.HasList | ir.InList) and _is_any(node):
            return _any_of(node, _told(columns, "where * …"))
        return node


class _Serialized(ir.Operator):
    """`serialize`: the rows are in an order from here on."""


def _output(query: ir.Query, known: dict[str, list[str]]) -> list[str] | None:
    try:
        return list(schema.output_columns(query, known))
    except KqlError:
        return None


def _behind(
    operator: ir.Operator, columns: list[str] | None, known: dict[str, list[str]]
) -> list[str] | None:
    """The columns behind an operator that is given these."""
    if columns is None:
        return None
    return _output(ir.Query(ir.TableRef(_INPUT), [operator]), {**known, _INPUT: columns})


def _told(columns: list[str] | None, what: str) -> list[str]:
    if columns is None:
        raise semantic_error(
            "SEM0001", f"'{what}' is not supported here: the columns before it cannot be told"
        )
    return columns


# ------------------------------------------------------------------------------------- operators


def _stand_in(operator: ir.Operator) -> tuple[str, list[str]] | None:
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
    source, packed, *names = arguments
    names = list(dict.fromkeys(names))
    nothing = ir.Literal("", "string")
    if packed == "rest":
        names = [name for name in names if name in columns]
    shown = [ir.NamedExpr(ir.ColumnRef(source), source)]
    shown += [
        ir.NamedExpr(ir.ColumnRef(name) if name in columns else nothing, name)
        for name in names
        if name != source
    ]
    if packed:
        left = [
            name for name in columns if name not in (source, *(names if packed == "rest" else ()))
        ]
        bag = ir.FunctionCall("__local_without_empty", (_packed(left),))
        shown.append(ir.NamedExpr(bag, "pack_"))
    return ir.Project(tuple(shown))


def _packed(columns: Sequence[str]) -> ir.Expr:
    """A bag of columns by their names."""
    pairs = ((ir.Literal(name, "string"), ir.ColumnRef(name)) for name in columns)
    return ir.FunctionCall("bag_pack", tuple(part for pair in pairs for part in pair))


_COLUMN_OPERATORS: dict[str, Callable[[list[str], list[str]], ir.Operator]] = {
    "keep": _keep,
    "away": _away,
    "reorder": _reorder,
    "distinct": _distinct,
    "find": _find,
}


def _with_all(operator: ir.Summarize, columns: list[str] | None) -> ir.Summarize:
    """A `summarize` with `take_any(*)` as one `take_any` per column that it is not grouped by."""
    aggregates: list[ir.NamedExpr] = []
    for one in operator.aggregates:
        inner = one.expr.args[:1] if isinstance(one.expr, ir.FunctionCall) else ()
        if inner and isinstance(inner[0], ir.FunctionCall) and inner[0].name == "__local_all":
            by = {g.expr.name for g in operator.by if isinstance(g.expr, ir.ColumnRef)}
            aggregates += [
                ir.NamedExpr(ir.FunctionCall("take_any", (ir.ColumnRef(name),)), name)
                for name in _told(columns, "take_any(*)")
                if name not in by
            ]
        else:
            aggregates.append(one)
    return dataclasses.replace(operator, aggregates=tuple(aggregates))


def _hidden_columns(names: Sequence[str], columns: Sequence[str]) -> ir.Extend:
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


# ----------------------------------------------------------------------------------- expressions


def _call(node: ir.FunctionCall, columns: list[str] | None) -> ir.Expr:
    name = node.name.lower()
    if name in ("column_ifexists", "columnifexists") and len(node.args) == 2:
        asked, default = node.args
        if isinstance(asked, ir.Literal) and columns is not None:
            found = str(asked.value) in columns
            return ir.ColumnRef(str(asked.value)) if found else default
    elif name == "ingestion_time" and not node.args:
        return ir.FunctionCall("ingestion_time", (ir.ColumnRef("TimeGenerated"),))
    elif name in ("make_list", "make_set") and len(node.args) == 2:
        return ir.FunctionCall(f"{name}_of", node.args)
    elif name == "pack_all" and len(node.args) < 2:
        bag = _packed(_told(columns, "pack_all()"))
        empty = literal(node.args[0]) if node.args else None
        skip = isinstance(empty, ir.Literal) and empty.value is True
        return ir.FunctionCall("__local_without_empty", (bag,)) if skip else bag
    elif name == "bag_pack_columns" and all(isinstance(one, ir.ColumnRef) for one in node.args):
        return _packed([one.name for one in node.args if isinstance(one, ir.ColumnRef)])
    elif name == "bin" and len(node.args) == 2:
        return dataclasses.replace(node, args=(node.args[0], _folded(node.args[1])))
    elif name == "range" and len(node.args) == 3:
        _check_range(node)
    return _formed(name, node)


# Functions of two arguments that KQL lets have more.
_FOLDED = frozenset({"set_union", "set_intersect", "set_difference", "bag_merge"})
# … whose last argument is one text, several, or an array of them.
_LISTED = frozenset({"ipv4_is_in_any_range", "has_any_ipv4", "has_any_ipv4_prefix"})
_BINS = {"long": "number", "int": "number", "real": "number", "timespan": "span"}
_LONG_ADDRESSES = frozenset({"ipv6_compare", "ipv6_is_match", "ipv6_is_in_range"})


def _formed(name: str, node: ir.FunctionCall) -> ir.Expr:
    """A call in the form that its number of arguments asks for."""
    count = len(node.args)
    if name in _FOLDED and count > 2:
        made = ir.FunctionCall(name, node.args[:2])
        for argument in node.args[2:]:
            made = ir.FunctionCall(name, (made, argument))
        return made
    if name in _LISTED and count > 2:
        return ir.FunctionCall(name, (node.args[0], ir.FunctionCall("pack_array", node.args[1:])))
    if name in _LONG_ADDRESSES and count in (2, 3):
        one, other = node.args[:2]
        prefix = node.args[2] if count > 2 else ir.Literal(None, "long")
        plain = (ir.FunctionCall("parse_ipv6", (_without_prefix(side),)) for side in (one, other))
        left, right = plain
        return ir.FunctionCall(f"__local_{name}", (left, one, right, other, prefix))
    if name == "bin_at" and count == 3 and isinstance(node.args[0], ir.Literal):
        kind = _BINS.get(node.args[0].kind)
        return node if kind is None else dataclasses.replace(node, name=f"__local_bin_at_{kind}")
    form = functions.form_of(name, count)
    if name in ("array_sort_asc", "array_sort_desc") and not _sorts_one(node):
        raise semantic_error(
            "SEM0001",
            f"{name}() of several arrays is not supported by the local Log Analytics; use "
            "mv-expand and sort by",
        )
    return node if form is None else dataclasses.replace(node, name=form)


def _sorts_one(node: ir.FunctionCall) -> bool:
    """Whether it is one array that is sorted: with another argument, where its nulls go."""
    last = literal(node.args[-1]) if node.args else None
    return len(node.args) < 2 or (
        len(node.args) == 2 and isinstance(last, ir.Literal) and last.kind == "bool"
    )


def _without_prefix(address: ir.Expr) -> ir.Expr:
    slash = ir.FunctionCall("split", (address, ir.Literal("/", "string")))
    first = ir.PathAccess(slash, (ir.PathStep(index=ir.Literal(0, "long")),))
    return ir.FunctionCall("tostring", (first,))


_SPAN = re.compile(r"(\d+)([a-z]+)")


def _folded(size: ir.Expr) -> ir.Expr:
    """`60 * 1s` as one literal, without which a bin cannot be told to be one of time."""
    if not isinstance(size, ir.BinaryOp) or size.op != "*":
        return size
    count, span = (literal(side) for side in (size.left, size.right))
    if isinstance(count, ir.Literal) and count.kind == "timespan":
        count, span = span, count
    if not (isinstance(count, ir.Literal) and isinstance(count.value, int)):
        return size
    if not (isinstance(span, ir.Literal) and span.kind == "timespan"):
        return size
    parts = _SPAN.fullmatch(str(span.value))
    if parts is None:
        return size
    return ir.Literal(f"{int(parts[1]) * count.value}{parts[2]}", "timespan")


def _check_range(node: ir.FunctionCall) -> None:
    values = [a.value for a in node.args if isinstance(a, ir.Literal)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == 3 and numbers[2] and (numbers[1] - numbers[0]) / numbers[2] > MAX_ITEMS:
        raise semantic_error("SEM0001", f"'range' makes more than {MAX_ITEMS} values")


def _is_any(node: ir.BinaryOp | ir.HasList | ir.InList) -> bool:
    left = node.left if isinstance(node, ir.BinaryOp) else node.value
    return isinstance(left, ir.ColumnRef) and left.name == ANY


def _any_of(node: ir.BinaryOp | ir.HasList | ir.InList, columns: list[str]) -> ir.Expr:
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
