"""Numeric functions ("Numeric functions for ARM templates"): 64-bit, division truncates."""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import array, integer, plain, wrong

_LEAST, _MOST = -(2**63), 2**63 - 1


def _bounded(function: str, value: int) -> int:
    if not _LEAST <= value <= _MOST:
        raise ExpressionError(
            f"The template language function '{function}' overflows: the result does not fit into "
            "64 bits."
        )
    return value


@plain("add", 2)
def add(left: Any, right: Any) -> int:
    """The sum."""
    return _bounded("add", integer("add", left) + integer("add", right))


@plain("sub", 2)
def sub(left: Any, right: Any) -> int:
    """The difference."""
    return _bounded("sub", integer("sub", left) - integer("sub", right))


@plain("mul", 2)
def mul(left: Any, right: Any) -> int:
    """The product."""
    return _bounded("mul", integer("mul", left) * integer("mul", right))


def _quotient(function: str, left: Any, right: Any) -> tuple[int, int]:
    dividend, divisor = integer(function, left), integer(function, right)
    if divisor == 0:
        raise ExpressionError(f"The template language function '{function}' divides by zero.")
    whole = abs(dividend) // abs(divisor)
    whole = whole if (dividend < 0) == (divisor < 0) else -whole
    return whole, dividend - whole * divisor


@plain("div", 2)
def div(left: Any, right: Any) -> int:
    """The quotient, without its fraction."""
    return _quotient("div", left, right)[0]


@plain("mod", 2)
def mod(left: Any, right: Any) -> int:
    """The remainder, with the sign of the dividend."""
    return _quotient("mod", left, right)[1]


@plain("int", 1)
def int_(value: Any) -> int:
    """A whole number from a text or a number."""
    if isinstance(value, str):
        try:
            return _bounded("int", int(value.strip()))
        except ValueError:
            raise ExpressionError(
                f"The template language function 'int' cannot convert '{value}' to a number."
            ) from None
    if isinstance(value, float):
        return int(value)
    return integer("int", value)


@plain("float", 1)
def float_(value: Any) -> float:
    """A floating point number from a text or a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wrong("float", value, "String or Integer")
    try:
        return float(value)
    except ValueError:
        raise ExpressionError(
            f"The template language function 'float' cannot convert '{value}' to a number."
        ) from None


def _numbers(function: str, values: tuple[Any, ...]) -> list[int]:
    items = array(function, values[0]) if len(values) == 1 and not _whole(values[0]) else values
    if not items:
        raise ExpressionError(
            f"The template language function '{function}' expects at least one number."
        )
    return [integer(function, item) for item in items]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@plain("min", 1, None)
def min_(*values: Any) -> int:
    """The least of several numbers or of an array."""
    return min(_numbers("min", values))


@plain("max", 1, None)
def max_(*values: Any) -> int:
    """The greatest of several numbers or of an array."""
    return max(_numbers("max", values))


@plain("range", 2)
def range_(start: Any, count: Any) -> list[int]:
    """Consecutive whole numbers."""
    start, count = integer("range", start), integer("range", count)
    if not 0 <= count <= 10_000:
        raise ExpressionError(
            "The template language function 'range' makes between 0 and 10000 numbers, not "
            f"'{count}'."
        )
    if start + count > 2147483647:
        raise ExpressionError(
            "The template language function 'range' goes beyond the number 2147483647."
        )
    return list(range(start, start + count))
