"""What rows are sorted and grouped by: never a dynamic.

Kusto refuses one: which order, or which sameness, would be meant? To sort by a number in a bag as
the text that it is would be a wrong answer.
"""

from __future__ import annotations

import dataclasses

from duckdb_kql import ir

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql.tree import walk
from orchestrator.localcloud.logs.kql.unions import Scope

# What makes a dynamic of what is none. Tables of Log Analytics have no such columns.
_MAKERS = frozenset(
    {
        "parse_json", "todynamic", "split", "pack", "pack_array", "bag_pack", "make_list",
        "make_set", "make_bag", "extract_all", "range", "zip", "pack_all", "parse_url",
    }
)  # fmt: skip


def has_dynamics(query: ir.Query) -> bool:
    return any(
        isinstance(node, ir.PathAccess)
        or (isinstance(node, ir.Literal) and node.kind == "dynamic")
        or (isinstance(node, ir.DataTable) and any(kind == "dynamic" for _, kind in node.columns))
        or (isinstance(node, ir.FunctionCall) and node.name.lower() in _MAKERS)
        for node in walk(query)
    )


def _keys(operator: ir.Operator) -> list[ir.Expr]:
    """What an operator sorts or groups by."""
    if isinstance(operator, ir.Sort | ir.Top):
        return [key.expr for key in operator.keys]
    if isinstance(operator, ir.Summarize):
        return [one.expr for one in operator.by]
    if isinstance(operator, ir.Distinct):
        return [one.expr for one in operator.expressions]
    return []


def _is_plain(key: ir.Expr) -> bool:
    """Whether a key says itself that it is no dynamic."""
    return isinstance(key, ir.FunctionCall) and (
        key.name.lower().startswith(("to", "startof", "bin")) and key.name.lower() != "todynamic"
    )


def check(before: ir.Query, operator: ir.Operator, scope: Scope) -> None:
    """Refuse an operator that sorts or groups by a dynamic.

    Args:
        before: The pipeline in front of it.
        operator: The operator.
        scope: What is known; tells types.

    Raises:
        QueryError: 400; a key is a dynamic.
    """
    keys = [key for key in _keys(operator) if not _is_plain(key)]
    if not keys:
        return
    named = tuple(ir.NamedExpr(key, f"k{n}") for n, key in enumerate(keys))
    asked = dataclasses.replace(before, operators=[*before.operators, ir.Project(named)])
    types = scope.types(asked) or []
    if any(kind == "dynamic" for _, kind in types):
        raise semantic_error(
            "SEM0001",
            f"'{type(operator).__name__.lower()}' operator: a key is of type 'dynamic'; convert "
            "it, for example with tostring() or tolong()",
        )
