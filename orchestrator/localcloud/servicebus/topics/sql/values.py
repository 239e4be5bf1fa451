"""What the operators do to values; None is 'unknown', also for a property that is null.

Numbers are promoted and compared as in C#, whose operators the service's documentation refers to:
integer division drops the fraction, a remainder has the dividend's sign. Values of kinds that
cannot be compared give 'unknown'.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from decimal import Decimal, DecimalException
from functools import lru_cache
from typing import Any
from uuid import UUID


class EvaluationError(Exception):
    """The filter or action cannot be evaluated on this message."""


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def promoted(left: Any, right: Any) -> tuple[Any, Any]:
    """Two numbers as ones that Python computes with together."""
    if isinstance(left, float) or isinstance(right, float):
        try:
            return float(left), float(right)
        except OverflowError as error:
            raise EvaluationError(f"a number is too large: {error}") from error
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return (
            left if isinstance(left, Decimal) else Decimal(int(left)),
            right if isinstance(right, Decimal) else Decimal(int(right)),
        )
    return int(left), int(right)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(symbol: str, left: Any, right: Any) -> bool | None:
    """`left symbol right`; None if one is unknown or they cannot be compared."""
    if left is None or right is None:
        return None
    if is_number(left) and is_number(right):
        left, right = promoted(left, right)
    elif isinstance(left, bool) and isinstance(right, bool):
        if symbol not in ("=", "<>", "!="):
            return None
    elif isinstance(left, str) and isinstance(right, str):
        left, right = str(left), str(right)
    elif isinstance(left, bytes) and isinstance(right, bytes):
        pass
    elif not (isinstance(left, UUID) and isinstance(right, UUID)):
        return None
    return _COMPARE[symbol](left, right)


def combine(symbol: str, left: Any, right: Any) -> Any:
    """`left symbol right` of + - * / %. Raises EvaluationError (division by zero, overflow)."""
    if left is None or right is None:
        return None
    if symbol == "+" and isinstance(left, str) and isinstance(right, str):
        return str(left) + str(right)
    if not is_number(left) or not is_number(right):
        return None
    left, right = promoted(left, right)
    try:
        return _arithmetic(symbol, left, right)
    except (ArithmeticError, DecimalException, ValueError) as error:
        raise EvaluationError(f"{symbol}: {error}") from error


def _arithmetic(symbol: str, left: Any, right: Any) -> Any:
    if symbol == "+":
        return left + right
    if symbol == "-":
        return left - right
    if symbol == "*":
        return left * right
    if isinstance(left, float) and right == 0:
        # As C#: approximate numbers know infinity.
        if symbol == "%" or left == 0 or math.isnan(left):
            return math.nan
        return math.copysign(math.inf, left) * math.copysign(1.0, right)
    if symbol == "/":
        if isinstance(left, int):
            quotient = abs(left) // abs(right)
            return quotient if (left < 0) == (right < 0) else -quotient
        return left / right
    if isinstance(left, int):
        remainder = abs(left) % abs(right)
        return -remainder if left < 0 else remainder
    return math.fmod(left, right) if isinstance(left, float) else left % right


def negate(value: Any) -> Any:
    return -promoted(value, 0)[0] if is_number(value) else None


def conjunction(left: bool | None, right: bool | None) -> bool | None:
    """AND of three values."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def disjunction(left: bool | None, right: bool | None) -> bool | None:
    """OR of three values."""
    if left is True or right is True:
        return True
    return None if left is None or right is None else False


def inverse(value: bool | None) -> bool | None:
    """NOT of three values."""
    return None if value is None else not value


def like(value: Any, pattern: Any, escape: Any) -> bool | None:
    """SQL's LIKE: `%` any text, `_` one character. Raises EvaluationError for an escape that is
    not one character."""
    if not isinstance(value, str) or not isinstance(pattern, str):
        return None
    if escape is not None and not (isinstance(escape, str) and len(escape) == 1):
        raise EvaluationError("ESCAPE needs a text of one character")
    return matches_pattern(value, _parts(str(pattern), escape))


@lru_cache(maxsize=512)
def _parts(pattern: str, escape: str | None) -> tuple[tuple[str | None, ...], ...]:
    """The pattern between its `%`: each piece a row of characters, None for any one."""
    pieces: list[list[str | None]] = [[]]
    characters = iter(pattern)
    for character in characters:
        if escape is not None and character == escape:
            following = next(characters, None)
            if following is None:
                raise EvaluationError("the pattern of LIKE ends with its escape character")
            pieces[-1].append(following)
        elif character == "%":
            pieces.append([])
        else:
            pieces[-1].append(None if character == "_" else character)
    return tuple(tuple(piece) for piece in pieces)


def matches_pattern(text: str, pieces: tuple[tuple[str | None, ...], ...]) -> bool:
    """Greedy from the left, so that its time is the product of both lengths at most."""
    first, *middle = pieces
    if not middle:
        return len(text) == len(first) and _fits(text, 0, first)
    last = middle.pop()
    if len(text) < len(first) + len(last) or not _fits(text, 0, first):
        return False
    place, end = len(first), len(text) - len(last)
    if not _fits(text, end, last):
        return False
    for piece in middle:
        while place + len(piece) <= end and not _fits(text, place, piece):
            place += 1
        place += len(piece)
        if place > end:
            return False
    return True


def _fits(text: str, place: int, piece: tuple[str | None, ...]) -> bool:
    return all(
        wanted is None or text[place + index] == wanted for index, wanted in enumerate(piece)
    )
