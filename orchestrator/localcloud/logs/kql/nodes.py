"""What of a query can be said only with the columns at hand: patterns, `*`, columns if they exist.

Walks the pipelines as duckdb-kql lowers them, with the columns that each operator is given, and
replaces the stand-ins that `text.py` left. Rules: https://learn.microsoft.com/kusto/query/ and
the operator's name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from duckdb_kql import ir, schema
from duckdb_kql.errors import KqlError

from orchestrator.localcloud.logs.kql import (
    binary,
    groups,
    keys,
    patterns,
    summaries,
    unions,
    windows,
)
from orchestrator.localcloud.logs.kql.forms import called
from orchestrator.localcloud.logs.kql.groups import Group
from orchestrator.localcloud.logs.kql.tree import rebuilt, walk

Columns = Mapping[str, Sequence[str]]
_INPUT = "\0input"


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
    hidden = tuple(name for name in patterns.HIDDEN if _reads(query, name))
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
                operators.append(patterns.hidden_columns(missing, columns))
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
        given = patterns.told(columns, "partition" if by_key else "mv-apply")
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
        within = {**known, groups.GIVEN: patterns.told(source, "mv-apply")}
        pipeline, behind = self.query(inside, within, group)
        left = patterns.told(behind, "mv-apply")
        ends: list[ir.Operator] = []
        if any(isinstance(one, ir.Summarize | ir.Distinct) for one in pipeline.operators):
            ends.append(ir.Sort((ir.SortKey(ir.ColumnRef(group.key), ascending=True),)))
        shown = groups.shown(left, group.key, carried)
        ends.append(ir.Project(tuple(ir.NamedExpr(ir.ColumnRef(n), name) for n, name in shown)))
        return [*before, *pipeline.operators, *ends], [name for _, name in shown]

    def _operator(
        self, operator: ir.Operator, columns: list[str] | None, known: dict[str, list[str]]
    ) -> ir.Operator:
        stand_in = patterns.stand_in(operator)
        if stand_in is None:
            made: ir.Operator = self._inside(operator, columns, known)
            return patterns.with_all(made, columns) if isinstance(made, ir.Summarize) else made
        word, arguments = stand_in
        if word == "serialize":
            return _Serialized()
        given = patterns.told(columns, word)
        return patterns.COLUMN_OPERATORS[word](given, arguments)

    def _inside(self, node: Any, columns: list[str] | None, known: dict[str, list[str]]) -> Any:
        """A node with what is inside it expanded; nested queries have columns of their own."""
        if isinstance(node, ir.Query):
            return self.query(node, known)[0]
        node = rebuilt(node, lambda inner: self._inside(inner, columns, known))
        if isinstance(node, ir.FunctionCall):
            return called(node, columns)
        if isinstance(node, ir.BinaryOp):
            node = binary.divided(binary.with_empty(node))
        if isinstance(node, ir.BinaryOp | ir.HasList | ir.InList) and patterns.is_any(node):
            return patterns.any_of(node, patterns.told(columns, "where * …"))
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
