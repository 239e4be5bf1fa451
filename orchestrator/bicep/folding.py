"""Expressions whose value the file alone says: calls and operators of literals.

The real compiler folds the same functions, so that what is wrong with such a value is told while
compiling. The template keeps the expression as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.bicep import pure
from orchestrator.bicep.evaluate import EvaluationFault
from orchestrator.bicep.kinds import Kind, literal
from orchestrator.bicep.pure.arguments import ArgumentFault

# Source: the functions that Bicep's language derives literal types of
_CALLS = frozenset(
    {
        "base64",
        "base64ToString",
        "concat",
        "contains",
        "dataUri",
        "dataUriToString",
        "empty",
        "endsWith",
        "first",
        "format",
        "guid",
        "indexOf",
        "join",
        "last",
        "lastIndexOf",
        "length",
        "like",
        "max",
        "min",
        "padLeft",
        "replace",
        "skip",
        "startsWith",
        "substring",
        "take",
        "toLower",
        "toUpper",
        "trim",
        "uniqueString",
        "uri",
        "uriComponent",
        "uriComponentToString",
    }
)
_OPERATORS = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
    "==": "equals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
}
_DEEPEST = 4
LONGEST = 8192  # of a longer text it is not said which it is


class _NotKnown(Exception):  # noqa: N818 -- it reads by what happened
    """The file alone does not say the value."""


def _value(kind: Kind, depth: int = 0) -> Any:
    if kind.name == "null":
        return None
    if kind.is_literal:
        return kind.value
    if kind.name == "array" and kind.items is not None and depth < _DEEPEST:
        return [_value(item, depth + 1) for item in kind.items]
    raise _NotKnown


def _computed(name: str, given: Iterable[Kind]) -> Kind | None:
    """The literal that a function gives, None when it is none, or the function fails."""
    try:
        found = pure.FUNCTIONS[name.lower()](*(_value(one) for one in given))
    except (_NotKnown, EvaluationFault, TypeError, ValueError, LookupError, ArithmeticError):
        return None
    except AttributeError:  # of a value of another kind, which is told where it stands
        return None
    if isinstance(found, str) and len(found) > LONGEST:
        return None
    return literal(found) if isinstance(found, (str, int)) else None


def fold_call(name: str, given: Iterable[Kind]) -> Kind | None:
    """What a built-in function gives for literals."""
    if name not in _CALLS:
        return None
    args = list(given)
    if any(isinstance(one.value, int) and abs(one.value) > LONGEST for one in args):
        return None  # padLeft() makes a text of any length
    return _computed(name, args)


def call_fault(name: str, given: Iterable[Kind]) -> str:
    """Why a built-in function has no value for literals, or "" when it has, or it isn't known."""
    args = list(given)
    return _fault(name, args) if name in _CALLS else ""


def operator_fault(op: str, left: Kind, right: Kind) -> str:
    """As call_fault()."""
    return _fault(_OPERATORS[op], [left, right]) if op in _OPERATORS else ""


def _fault(name: str, given: Iterable[Kind]) -> str:
    try:
        pure.FUNCTIONS[name.lower()](*(_value(one) for one in given))
    except ArgumentFault as fault:
        return str(fault)
    except (_NotKnown, EvaluationFault, TypeError, ValueError, LookupError, AttributeError):
        return ""
    return ""


def fold_operator(op: str, left: Kind, right: Kind) -> Kind | None:
    """What an operator gives for two literals."""
    if op == "!=":
        found = fold_operator("==", left, right)
        return literal(not found.value) if found is not None else None
    if op in ("&&", "||") and left.is_literal and right.is_literal:
        sides = (bool(left.value), bool(right.value))
        return literal(all(sides) if op == "&&" else any(sides))
    name = _OPERATORS.get(op)
    return _computed(name, (left, right)) if name is not None else None


def fold_not(operand: Kind) -> Kind | None:
    """What ! gives for a literal."""
    known = operand.is_literal and isinstance(operand.value, bool)
    return literal(not operand.value) if known else None
