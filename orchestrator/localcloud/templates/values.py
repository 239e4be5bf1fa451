"""JSON values as the template language sees them: equality, access, text, order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError, quoted


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal; texts by their exact letters, numbers by value."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return type(left) is type(right) and bool(left == right)


def key_of(mapping: Mapping[str, Any], name: str) -> str | None:
    """The member of an object that a name means: as written, else without regard to case."""
    if name in mapping:
        return name
    wanted = name.lower()
    for key in mapping:
        if key.lower() == wanted:
            return key
    return None


def member(mapping: Any, name: str, default: Any = None) -> Any:
    """The value of a member, whatever the case of its name; none where there are no members."""
    if not isinstance(mapping, Mapping):
        return default
    key = key_of(mapping, name)
    return default if key is None else mapping[key]


def access(target: Any, index: Any) -> Any:
    """`target[index]`.

    Raises:
        ExpressionError: There is no such member, or the target has none.
    """
    if isinstance(target, dict):
        if not isinstance(index, str):
            raise ExpressionError(
                f"The language expression property '{index}' can't be evaluated: the name of a "
                f"property is a text, not a value of type '{quoted(index)}'."
            )
        key = key_of(target, index)
        if key is None:
            have = ", ".join(target)
            raise ExpressionError(
                f"The language expression property '{index}' doesn't exist, available properties "
                f"are '{have}'."
            )
        return target[key]
    if isinstance(target, list):
        if isinstance(index, float) and index.is_integer():
            index = int(index)
        if isinstance(index, bool) or not isinstance(index, int):
            raise ExpressionError(
                f"The language expression property array index '{index}' is not a whole number."
            )
        if not 0 <= index < len(target):
            raise ExpressionError(
                f"The language expression property array index '{index}' is out of bounds."
            )
        return target[index]
    raise ExpressionError(
        f"The language expression property '{index}' can't be evaluated: a value of type "
        f"'{quoted(target)}' has no properties."
    )


def compact(value: Any) -> str:
    """JSON without blanks, as `string()` writes objects and arrays."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text_of(value: Any) -> str:
    """A value as `string()` turns it into a text; True and False are written so by .NET."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    return compact(value)


def order(text: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key of texts as .NET's invariant culture has it: marks, digits, letters; a before A."""
    ranks = [(2 if c.isalpha() else 1 if c.isdigit() else 0, c) for c in text.casefold()]
    return ranks, text.swapcase()
