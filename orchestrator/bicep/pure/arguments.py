"""What functions take: a refusal of an argument never says its value, which may be a secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = Any

_LEAST, _MOST = -(2**63), 2**63 - 1


class ArgumentFault(ValueError):  # noqa: N818 -- it reads by what happened
    """Why a function can't take its arguments, as a sentence without its end."""


def called(value: Json) -> str:
    """What a value is, for a sentence: without what it holds."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    for kind, name in ((str, "a string"), (int, "an int"), (list, "an array"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return "a number" if isinstance(value, float) else "a function"


def texts(values: Iterable[Json]) -> list[str]:
    """Raises: ArgumentFault when one is no string."""
    found = []
    for value in values:
        if not isinstance(value, str):
            raise ArgumentFault(f"{called(value)} stands where a string is wanted")
        found.append(value)
    return found


def bounded(value: int) -> int:
    """A whole number of the service: 64 bits. Raises: ArgumentFault when it needs more."""
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise ArgumentFault("the result does not fit in 64 bits")
    return value


def same(left: Json, right: Json) -> bool:
    """Whether two values are equal, in everything that they hold; true is not 1."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)
