"""Operators of two values that mean something else in KQL than what duckdb-kql makes of them."""

from __future__ import annotations

import dataclasses

from duckdb_kql import ir

ANY = "$any"
"""Stands for every column."""


def literal(node: ir.Expr) -> ir.Expr:
    """A value, or the one that a `let` gives this name."""
    while isinstance(node, ir.LetRef):
        node = node.value
    return node


def divided(node: ir.BinaryOp) -> ir.Expr:
    """`1h / 2`: a span by a number is a span, which duckdb-kql takes for one by another."""
    left, right = literal(node.left), literal(node.right)
    if node.op != "/" or not (isinstance(left, ir.Literal) and isinstance(right, ir.Literal)):
        return node
    if left.kind != "timespan" or right.kind not in ("long", "int", "real"):
        return node
    return ir.FunctionCall("__local_divided_span", (node.left, node.right))


def with_empty(node: ir.BinaryOp) -> ir.BinaryOp:
    """`s == ''`: what is a null of DuckDB's among strings is an empty one in KQL."""
    if node.op not in ("==", "!=", "=~", "!~"):
        return node
    for side, other in (("left", node.right), ("right", node.left)):
        given = literal(other)
        if not isinstance(given, ir.Literal) or given.kind != "string" or given.value:
            continue
        value = getattr(node, side)
        if isinstance(value, ir.ColumnRef) and value.name != ANY:
            text = ir.FunctionCall("__local_text", (value,))
            if side == "left":
                return dataclasses.replace(node, left=text)
            return dataclasses.replace(node, right=text)
    return node
