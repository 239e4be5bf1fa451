"""`union` and outer joins by the types of what they put together.

A column that has one name and several types in the tables of a `union` is a column for each type,
`x_long` and `x_string`; and a string is never null, so that a table without a column of strings
gives empty ones, as a row without a partner does in a `join`. Types are DuckDB's to tell: it is
asked for those of each table, with the SQL that the table is going to be read with. Rules:
https://learn.microsoft.com/kusto/query/union-operator and …/join-operator.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from duckdb_kql import ir, schema

from orchestrator.localcloud.logs.errors import semantic_error

TypesOf = Callable[[ir.Query], list[tuple[str, str]] | None]
"""(a query, with the `let`s that it needs) -> its columns and their KQL types; None if it is not
right."""

Lets = Sequence[tuple[str, "ir.Query | ir.Expr"]]


@dataclass(frozen=True)
class Scope:
    """What a query can name.

    Attributes:
        tables: Tables that exist, without `let`s.
        views: `let`s that are declared as views, which patterns of names mean, too.
        lets: `let`s in order, of the queries around as well.
        labels: What `withsource` calls tables of other workspaces, which patterns do not mean.
        types_of: Tells types.
    """

    tables: frozenset[str]
    views: frozenset[str]
    lets: Lets
    labels: Mapping[str, str]
    types_of: TypesOf

    def types(self, query: ir.Query) -> list[tuple[str, str]] | None:
        """The columns of a query inside this one, and their types."""
        return self.types_of(dataclasses.replace(query, lets=[*self.lets, *query.lets]))

    def exists(self, name: str) -> bool:
        return name in self.tables or any(name == let for let, _ in self.lets)

    def matching(self, pattern: str) -> list[str]:
        """Tables and views of a pattern, in the order of their names."""
        named = (self.tables - self.labels.keys()) | {
            name for name, _ in self.lets if name in self.views
        }
        return sorted(name for name in named if fnmatch.fnmatchcase(name, pattern))

    def label(self, name: str) -> str | None:
        """What `withsource` calls a table by this name; None for a `let` that is no view."""
        for let, bound in reversed(self.lets):
            if let != name:
                continue
            if name in self.views:
                return name
            if isinstance(bound, ir.Query) and not bound.operators and not bound.lets:
                source = bound.source
                if isinstance(source, ir.TableRef) and source.name != name:
                    return self.label(source.name)
            return None
        return self.labels.get(name, name)


@dataclass(frozen=True)
class _Arm:
    """One of the tables of a union; `query` None where it is what is before the operator."""

    query: ir.Query | None
    label: str


def united(
    before: ir.Query, operator: ir.Union, scope: Scope
) -> tuple[ir.Source, list[ir.Operator], list[str]] | None:
    """A union with each column under the name that its type asks for.

    Args:
        before: The pipeline in front of it.
        operator: As written.
        scope: What is known.

    Returns:
        The source and the operators of the pipeline, the union included, and its columns. None if
        one of its tables is not there or not right, which is refused later.

    Raises:
        QueryError: 400; with `isfuzzy=true`, none of the tables is there.
    """
    arms = _arms(before, operator, scope)
    if arms is None:
        return None
    given = []
    for arm in arms:
        types = scope.types(before if arm.query is None else arm.query)
        if types is None:
            return None
        given.append(types)
    shown = _columns(given, inner=operator.kind == "inner", taken=operator.with_source)
    made = [
        _projected(arm, columns, shown, operator.with_source)
        for arm, columns in zip(arms, given, strict=True)
    ]
    names = [name for name, _, _ in shown]
    if operator.with_source:
        names.insert(0, operator.with_source)
    first = arms[0].query
    source = before.source if first is None else first.source
    operators = list(before.operators if first is None else first.operators)
    operators += made[0]
    others = [
        dataclasses.replace(arm.query, operators=[*arm.query.operators, *projected])
        for arm, projected in zip(arms[1:], made[1:], strict=True)
        if arm.query is not None
    ]
    if others:
        operators.append(ir.Union(tuple(others)))
        operators.append(ir.Project(tuple(ir.NamedExpr(ir.ColumnRef(n), n) for n in names)))
    return source, operators, names


def _arms(before: ir.Query, operator: ir.Union, scope: Scope) -> list[_Arm] | None:
    """The tables, patterns as those that they mean, with `isfuzzy=true` those that there are."""
    arms: list[_Arm] = []
    missing: list[str] = []
    for index, query in enumerate([before, *operator.branches]):
        plain = not query.operators
        source = query.source
        absent = _absent(query, scope)
        if absent:
            missing += absent
        elif plain and isinstance(source, ir.WildcardTableRef):
            arms += [_Arm(ir.Query(ir.TableRef(n)), n) for n in scope.matching(source.pattern)]
        else:
            label = None
            if plain and isinstance(source, ir.TableRef):
                label = scope.label(source.name)
            arms.append(_Arm(query if index else None, label or f"union_arg{index}"))
    if missing and not operator.isfuzzy:
        return None
    if not arms:
        raise semantic_error(
            "SEM0100",
            "'union' operator: Failed to resolve table or column expression named "
            f"'{missing[0]}'; with isfuzzy=true one table at least must exist",
        )
    return arms


def _absent(query: ir.Query, scope: Scope) -> list[str]:
    """Names of tables that a query reads and that are not there."""
    stack: list[object] = [query]
    bound: set[str] = set()
    named: list[str] = []
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        elif dataclasses.is_dataclass(node) and not isinstance(node, type):
            if isinstance(node, ir.TableRef):
                named.append(node.name)
            elif isinstance(node, ir.WildcardTableRef) and not scope.matching(node.pattern):
                named.append(node.pattern)
            elif isinstance(node, ir.Query):
                bound.update(name for name, _ in node.lets)
            stack.extend(getattr(node, field.name) for field in dataclasses.fields(node))
    return [name for name in named if name not in bound and ("*" in name or not scope.exists(name))]


_Shown = tuple[str, str, str]
"""(name behind the union, name in the tables, type)"""


def _columns(
    given: Sequence[Sequence[tuple[str, str]]], *, inner: bool, taken: str | None
) -> list[_Shown]:
    """The columns of a union, in the order in which their names come first."""
    kinds: dict[str, list[str]] = {}
    for columns in given:
        for name, kind in columns:
            if kind not in kinds.setdefault(name, []):
                kinds[name].append(kind)
    if inner:
        common = set(given[0]).intersection(*map(set, given[1:]))
        return [(name, name, kind) for name, kind in given[0] if (name, kind) in common]
    # A column that keeps its name has it before one that is given a name with its type.
    names = [name for name, of in kinds.items() if len(of) == 1]
    names += [taken] if taken else []
    shown: list[_Shown] = []
    for name, of in kinds.items():
        if len(of) == 1 and name != taken:
            shown.append((name, name, of[0]))
            continue
        for kind in of:
            asked = f"{name}_{kind}" if len(of) > 1 else name
            shown.append((schema.disambiguate(asked, names), name, kind))
            names.append(shown[-1][0])
    return shown


def _projected(
    arm: _Arm,
    columns: Sequence[tuple[str, str]],
    shown: Sequence[_Shown],
    with_source: str | None,
) -> list[ir.Operator]:
    """What makes of a table's columns those of the union; those it lacks are null, or empty."""
    made: list[ir.NamedExpr] = []
    if with_source:
        made.append(ir.NamedExpr(ir.Literal(arm.label, "string"), with_source))
    has = set(columns)
    for name, own, kind in shown:
        if (own, kind) in has:
            made.append(ir.NamedExpr(ir.ColumnRef(own), name))
        elif kind == "string":
            made.append(ir.NamedExpr(ir.Literal("", "string"), name))
    same = [(one.expr, one.name) for one in made] == [
        (ir.ColumnRef(name), name) for name, _ in columns
    ]
    return [] if same else [ir.Project(tuple(made))]


def _sides(operator: ir.Join | ir.Lookup) -> tuple[bool, bool]:
    """Whether rows of the left, and of the right, may be missing."""
    return operator.kind in ("rightouter", "fullouter"), operator.kind in ("leftouter", "fullouter")


def filled(
    before: ir.Query,
    operator: ir.Join | ir.Lookup,
    width: int,
    scope: Scope,
) -> ir.Operator | None:
    """What makes the strings of rows without a partner empty; None where there are none such.

    Args:
        before: The pipeline in front of the join.
        operator: The join.
        width: How many columns the left side has.
        scope: What is known.
    """
    left, right = _sides(operator)
    joined = dataclasses.replace(before, operators=[*before.operators, operator])
    if not (left or right) or _absent(joined, scope):
        return None
    columns = scope.types(joined)
    if columns is None:
        return None
    made = []
    some = False
    for index, (name, kind) in enumerate(columns):
        column: ir.Expr = ir.ColumnRef(name)
        if kind == "string" and (left if index < width else right):
            column, some = ir.FunctionCall("__local_string", (column,)), True
        made.append(ir.NamedExpr(column, name))
    return ir.Project(tuple(made)) if some else None
