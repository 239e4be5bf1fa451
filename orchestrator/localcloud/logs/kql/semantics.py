"""What a parsed query refers to: tables that exist, columns that exist where they are used.

DuckDB would notice most of it, but in words about SQL, and not all: it folds the case of names and
KQL does not. So each pipeline is walked with the columns each operator is given and gives.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence

from duckdb_kql import ir, schema
from duckdb_kql.errors import KqlError

from orchestrator.localcloud.logs.errors import QueryError, semantic_error
from orchestrator.localcloud.logs.kql.syntax import place_of

Columns = Mapping[str, Sequence[str]]

MAX_RANGE = 1_000_000
"""Most rows a `range` may make."""

_OPERATOR_NAMES: dict[type, str] = {
    ir.Where: "where",
    ir.Project: "project",
    ir.Extend: "extend",
    ir.Take: "take",
    ir.Sort: "sort",
    ir.Top: "top",
    ir.Count: "count",
    ir.Distinct: "distinct",
    ir.Summarize: "summarize",
    ir.ProjectAway: "project-away",
    ir.ProjectRename: "project-rename",
    ir.MvExpand: "mv-expand",
    ir.Parse: "parse",
    ir.Join: "join",
    ir.Lookup: "lookup",
    ir.Union: "union",
    ir.GetSchema: "getschema",
}


def tables_of(query: ir.Query) -> set[str]:
    """Names of all tables a query reads, patterns of `union T*` included, `let`s left out."""
    found: set[str] = set()
    bound: set[str] = set()
    for node in _nodes(query):
        if isinstance(node, ir.TableRef):
            found.add(node.name)
        elif isinstance(node, ir.WildcardTableRef):
            found.add(node.pattern)
        elif isinstance(node, ir.Query):
            bound.update(name for name, _ in node.lets)
    return found - bound


def check(query: ir.Query, text: str, known: Columns) -> None:
    """Refuse a query that names a table or column there is not.

    Args:
        query: The query as duckdb-kql lowers it.
        text: Its text, for positions.
        known: Tables that can be named, and their columns in order.

    Raises:
        QueryError: 400 with Kusto's code (SEM0100) and sentence.
    """
    _Checker(text).query(query, known)


def missing_table(text: str, name: str, operator: str | None, known: Columns) -> QueryError:
    """The refusal of a table that does not exist, or not yet."""
    prefix = f"'{operator}' operator: " if operator else ""
    near = difflib.get_close_matches(name, list(known), 1, 0.8)
    hint = f". Did you mean '{near[0]}'?" if near else ""
    return semantic_error(
        "SEM0100",
        f"{prefix}Failed to resolve table or column expression named '{name}'"
        f"{place_of(text, name)}{hint}",
    )


class _Checker:
    def __init__(self, text: str) -> None:
        self._text = text

    def query(self, query: ir.Query, known: Columns) -> list[str] | None:
        """Check a pipeline; its output columns, or None if they cannot be told."""
        for name, bound in query.lets:
            if isinstance(bound, ir.Query):
                columns = self.query(bound, known)
                # A table whose columns cannot be told is known, with no columns to check.
                known = {**known, name: columns if columns is not None else _Anything()}
        fuzzy = any(isinstance(op, ir.Union) and op.isfuzzy for op in query.operators[:1])
        columns = self._source(query, known, fuzzy=fuzzy)
        for operator in query.operators:
            self._operator(operator, columns, known)
            columns = self._after(operator, columns, known)
        return columns

    def _source(self, query: ir.Query, known: Columns, *, fuzzy: bool) -> list[str] | None:
        source = query.source
        first = _OPERATOR_NAMES.get(type(query.operators[0])) if query.operators else None
        if isinstance(source, ir.TableRef):
            if source.database is not None or source.cluster is not None:
                raise semantic_error(
                    "SEM0100",
                    f"'{source.qualified}': database() and cluster() name nothing in Log Analytics",
                )
            if source.name not in known:
                if fuzzy:
                    return None
                raise missing_table(self._text, source.name, first, known)
        elif isinstance(source, ir.WildcardTableRef):
            try:
                schema.match_wildcard(source, _plain(known))
            except KqlError:
                raise missing_table(self._text, source.pattern, first, known) from None
        elif isinstance(source, ir.RangeSource):
            _check_range(source)
        for nested in _nested(source):
            self.query(nested, known)
        try:
            columns = schema.output_columns(ir.Query(source), _plain(known))
        except KqlError:
            return None
        return None if _Anything.NAME in columns else columns

    def _operator(self, operator: ir.Operator, columns: list[str] | None, known: Columns) -> None:
        if isinstance(operator, ir.Union):
            for branch in operator.branches:
                self._branch(branch, known, fuzzy=operator.isfuzzy)
        else:
            for nested in _nested(operator):
                given = self.query(nested, known)
                if isinstance(operator, ir.Join | ir.Lookup) and nested is operator.right:
                    self._keys(operator, given)
        if columns is None:
            return
        name = _OPERATOR_NAMES.get(type(operator))
        for column in _columns_read(operator):
            if column not in columns:
                raise self._missing_column(column, name, columns)

    def _keys(self, operator: ir.Join | ir.Lookup, columns: list[str] | None) -> None:
        """Check the keys of the right side; those of the left are read from the input."""
        for key in operator.keys:
            if columns is not None and key.right not in columns:
                raise self._missing_column(key.right, _OPERATOR_NAMES.get(type(operator)), columns)

    def _branch(self, branch: ir.Query, known: Columns, *, fuzzy: bool) -> None:
        source = branch.source
        if fuzzy and isinstance(source, ir.TableRef) and source.name not in known:
            return
        self.query(branch, known)

    @staticmethod
    def _after(
        operator: ir.Operator, columns: list[str] | None, known: Columns
    ) -> list[str] | None:
        if columns is None:
            return None
        # The operator alone, over a table that has exactly the columns it is given.
        given = {**_plain(known), "\0input": columns}
        try:
            after = schema.output_columns(ir.Query(ir.TableRef("\0input"), [operator]), given)
        except KqlError as error:
            if "differ only in case" in str(error):
                raise semantic_error("SEM0100", str(error)) from None
            return None
        return None if _Anything.NAME in after else after

    def _missing_column(self, name: str, operator: str | None, columns: list[str]) -> QueryError:
        near = [column for column in columns if column.casefold() == name.casefold()]
        near = near or difflib.get_close_matches(name, columns, 1, 0.7)
        hint = f". Did you mean '{near[0]}'?" if near else ""
        prefix = f"'{operator}' operator: " if operator else ""
        return semantic_error(
            "SEM0100",
            f"{prefix}Failed to resolve scalar expression named '{name}'"
            f"{place_of(self._text, name)}{hint}",
        )


def _check_range(source: ir.RangeSource) -> None:
    """Refuse a long `range`: DuckDB holds all its numbers in memory at once, outside its limit."""
    bounds = (source.start, source.stop, source.step)
    values = [b.value for b in bounds if isinstance(b, ir.Literal)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == 3 and numbers[2]:
        count = (numbers[1] - numbers[0]) / numbers[2]
        if count > MAX_RANGE:
            raise semantic_error(
                "SEM0001",
                f"'range' makes more than {MAX_RANGE} rows, the limit of the local Log Analytics",
            )


class _Anything(list[str]):
    """Columns of a table whose columns are not known."""

    NAME = "\0anything"

    def __init__(self) -> None:
        super().__init__([self.NAME])


def _plain(known: Columns) -> dict[str, list[str]]:
    return {name: list(columns) for name, columns in known.items()}


def _columns_read(operator: ir.Operator) -> Iterator[str]:
    """Names an operator reads from its input, outside nested queries."""
    if isinstance(operator, ir.ProjectAway):
        # `project-away` of a pattern or of a column that is not there is DuckDB's to judge.
        return
    if isinstance(operator, ir.ProjectRename):
        yield from (old for old, _ in operator.renames)
        return
    if isinstance(operator, ir.MvExpand):
        yield from (target.column for target in operator.targets)
    elif isinstance(operator, ir.Join | ir.Lookup):
        yield from (key.left for key in operator.keys)
    stack: list[object] = [operator]
    while stack:
        node = stack.pop()
        if isinstance(node, ir.ColumnRef):
            yield node.name
        elif isinstance(node, ir.Query):
            continue
        elif isinstance(node, list | tuple):
            stack.extend(reversed(node))
        elif dataclasses.is_dataclass(node) and not isinstance(node, type):
            stack.extend(getattr(node, f.name) for f in reversed(dataclasses.fields(node)))


def _nested(node: object) -> Iterator[ir.Query]:
    """The queries directly inside a node, not those inside them."""
    stack: list[object] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ir.Query):
            yield current
        elif isinstance(current, list | tuple):
            stack.extend(reversed(current))
        elif dataclasses.is_dataclass(current) and not isinstance(current, type):
            stack.extend(getattr(current, f.name) for f in reversed(dataclasses.fields(current)))


def _nodes(root: object) -> Iterator[object]:
    """Every node of a query, nested queries included; shared nodes once."""
    stack: list[object] = [root]
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        elif dataclasses.is_dataclass(node) and not isinstance(node, type) and id(node) not in seen:
            seen.add(id(node))
            yield node
            stack.extend(getattr(node, f.name) for f in dataclasses.fields(node))
