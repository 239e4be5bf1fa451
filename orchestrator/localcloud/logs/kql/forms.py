"""Calls in the form that their arguments ask for.

Rules: https://learn.microsoft.com/kusto/query/ and the function's name.
"""

from __future__ import annotations

import dataclasses
import re

from duckdb_kql import ir

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql import functions
from orchestrator.localcloud.logs.kql.binary import literal
from orchestrator.localcloud.logs.kql.patterns import packed, told

MAX_ITEMS = 1_048_576
"""Most values that `range()` makes."""


def called(node: ir.FunctionCall, columns: list[str] | None) -> ir.Expr:
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
        bag = packed(told(columns, "pack_all()"))
        empty = literal(node.args[0]) if node.args else None
        skip = isinstance(empty, ir.Literal) and empty.value is True
        return ir.FunctionCall("__local_without_empty", (bag,)) if skip else bag
    elif name == "bag_pack_columns" and all(isinstance(one, ir.ColumnRef) for one in node.args):
        return packed([one.name for one in node.args if isinstance(one, ir.ColumnRef)])
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
