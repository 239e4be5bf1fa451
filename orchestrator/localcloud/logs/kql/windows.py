"""Functions that read other rows: `prev`, `next`, `row_number`, `row_cumsum`, `row_rank_…`.

In SQL they are window functions, which stand in no condition and not inside one another. So each
is computed in a stage of its own before the operator that uses it, over a number that the rows are
given in the order in which they come. Kusto takes them only where the rows are in an order
(https://learn.microsoft.com/kusto/query/window-functions), and so do we.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from duckdb_kql import ir

from orchestrator.localcloud.logs.errors import semantic_error

FUNCTIONS: dict[str, tuple[int, int]] = {
    "prev": (1, 3),
    "next": (1, 3),
    "row_number": (0, 2),
    "row_cumsum": (1, 2),
    "row_rank_dense": (1, 2),
    "row_rank_min": (1, 2),
}
"""Name -> least and most arguments."""

_ROW = "$row"
_MAKES_ORDER = (ir.Sort, ir.Top, ir.GetSchema)
_KEEPS_ORDER = (
    ir.Extend, ir.MvExpand, ir.Parse, ir.Project, ir.ProjectAway, ir.ProjectRename, ir.Take,
    ir.Where,
)  # fmt: skip


def is_ordered(operator: ir.Operator, *, before: bool) -> bool:
    """Whether the rows are in an order behind an operator."""
    return isinstance(operator, _MAKES_ORDER) or (before and isinstance(operator, _KEEPS_ORDER))


def staged(
    operator: ir.Operator, *, ordered: bool, part: ir.Expr | None = None
) -> list[ir.Operator]:
    """The operator, with stages before and behind it for the window functions that it calls.

    Args:
        operator: The operator.
        ordered: Whether the rows are in an order before it.
        part: What divides the rows into parts that know nothing of one another, if anything does.

    Raises:
        QueryError: 400; the rows are in no order, or a call has too few or too many arguments.
    """
    stages = _Stages(part)
    inside = stages.replaced(operator)
    if not stages.made:
        return [operator]
    if not ordered:
        raise semantic_error(
            "SEM0001",
            f"{stages.first}() cannot be invoked here: the row set must be serialized; write "
            "'| serialize' or '| order by …' before it",
        )
    numbered = ir.Extend((ir.NamedExpr(ir.FunctionCall("__local_row"), _ROW),))
    behind: list[ir.Operator] = []
    if not isinstance(inside, ir.Project | ir.Summarize | ir.Distinct | ir.Count):
        behind = [ir.ProjectAway((_ROW, *stages.names))]
    # A window leaves the rows in the order of its parts.
    restored = ir.Sort((ir.SortKey(_row(), ascending=True),))
    return [numbered, *stages.made, restored, inside, *behind]


class _Stages:
    def __init__(self, part: ir.Expr | None) -> None:
        self._whole = part
        self.made: list[ir.Operator] = []
        self.names: list[str] = []
        self.first = ""

    def replaced(self, node: Any) -> Any:
        """The node with each call of a window function as the column of its stage."""
        if isinstance(node, ir.Query):
            return node
        if isinstance(node, list | tuple):
            items = [self.replaced(item) for item in node]
            same = all(new is old for new, old in zip(items, node, strict=True))
            return node if same else type(node)(items)
        if not dataclasses.is_dataclass(node) or isinstance(node, type):
            return node
        if isinstance(node, ir.NamedExpr) and node.name is None:
            node = _named(node)
        changed = {}
        for field in dataclasses.fields(node):
            old = getattr(node, field.name)
            new = self.replaced(old)
            if new is not old:
                changed[field.name] = new
        node = dataclasses.replace(node, **changed) if changed else node
        if isinstance(node, ir.FunctionCall) and node.name in FUNCTIONS:
            return self._stage(node)
        return node

    def _stage(self, call: ir.FunctionCall) -> ir.Expr:
        least, most = FUNCTIONS[call.name]
        if not least <= len(call.args) <= most:
            raise semantic_error(
                "SEM0219", f"{call.name}(): function expects {least} to {most} arguments"
            )
        self.first = self.first or call.name
        if call.name in ("prev", "next"):
            name = f"__local_{call.name}_{len(call.args)}"
            if self._whole is not None:
                return self._column(f"{name}_of", *call.args, _row(), self._whole)
            return self._column(name, *call.args, _row())
        if call.name == "row_number":
            start = call.args[0] if call.args else ir.Literal(1, "long")
            part = self._part(call.args[1] if len(call.args) > 1 else None)
            return self._column("__local_row_number", start, part, _row())
        part = self._part(call.args[1] if len(call.args) > 1 else None)
        value = call.args[0]
        if call.name == "row_cumsum":
            return self._column("__local_row_cumsum", value, part, _row())
        # A rank goes up where the value is another than in the row before.
        change = self._column("__local_changed", value, part, _row())
        return self._column(f"__local_{call.name}", change, part, _row())

    def _part(self, restart: ir.Expr | None) -> ir.Expr:
        """The number of the part of the rows that begins where `restart` is true."""
        if restart is None:
            return self._whole or ir.Literal(0, "long")
        if self._whole is not None:
            first = self._column("__local_changed", self._whole, ir.Literal(0, "long"), _row())
            restart = ir.BinaryOp("or", restart, first)
        return self._column("__local_part", restart, _row())

    def _column(self, function: str, *arguments: ir.Expr) -> ir.Expr:
        name = f"$w{len(self.names)}"
        self.names.append(name)
        call = ir.FunctionCall(function, arguments)
        self.made.append(ir.Extend((ir.NamedExpr(call, name),)))
        return ir.ColumnRef(name)


def _row() -> ir.Expr:
    return ir.ColumnRef(_ROW)


def _named(node: ir.NamedExpr) -> ir.NamedExpr:
    """`prev(x)` without a name is called `prev_x`."""
    call = node.expr
    if not isinstance(call, ir.FunctionCall) or call.name not in FUNCTIONS:
        return node
    first = call.args[0] if call.args else None
    column = first.name if isinstance(first, ir.ColumnRef) else ""
    return dataclasses.replace(node, name=f"{call.name}_{column}")
