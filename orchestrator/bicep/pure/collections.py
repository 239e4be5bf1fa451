"""Arrays and objects; what is equal is so in everything that it holds.

Source: Azure Resource Manager's documentation of array, object and lambda functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from orchestrator.bicep.pure.arguments import ArgumentFault, called, same
from orchestrator.bicep.pure.texts import text

Json = Any

_MOST_NUMBERS = 10_000
_LAST_NUMBER = 2**31 - 1


def _name_in(value: dict[str, Json], key: str) -> str | None:
    """An object's own name for a key: capitals don't count."""
    return next((name for name in value if name.lower() == key.lower()), None)


def concat(*args: Json) -> Json:
    if isinstance(args[0], list):
        return [item for part in args for item in part]
    return "".join(text(part) for part in args)


def contains(where: Json, what: Json) -> bool:
    if isinstance(where, dict):
        return _name_in(where, text(what)) is not None
    if isinstance(where, list):
        return any(same(item, what) for item in where)
    return text(what) in where


def empty(value: Json) -> bool:
    return value is None or len(value) == 0


def _merge(left: Json, right: Json) -> Json:
    found = dict(left)
    for key, value in right.items():
        place = _name_in(found, key) or key
        if isinstance(found.get(place), dict) and isinstance(value, dict):
            found[place] = _merge(found[place], value)
        else:
            found[place] = value
    return found


def distinct(items: list[Json]) -> list[Json]:
    found: list[Json] = []
    for item in items:
        if not any(same(item, one) for one in found):
            found.append(item)
    return found


def union(*args: Json) -> Json:
    if isinstance(args[0], dict):
        merged: Json = {}
        for arg in args:
            merged = _merge(merged, arg)
        return merged
    return distinct([item for arg in args for item in arg])


def intersection(*args: Json) -> Json:
    first, *rest = args
    if isinstance(first, dict):
        shared = first.items()
        return {key: value for key, value in shared if all(_has(o, key, value) for o in rest)}
    return distinct([item for item in first if all(contains(list(o), item) for o in rest)])


def _has(value: dict[str, Json], key: str, wanted: Json) -> bool:
    name = _name_in(value, key)
    return name is not None and same(value[name], wanted)


def index_of(where: Json, what: Json) -> int:
    if isinstance(where, str):
        return where.lower().find(text(what).lower())
    return next((place for place, item in enumerate(where) if same(item, what)), -1)


def last_index_of(where: Json, what: Json) -> int:
    if isinstance(where, str):
        return where.lower().rfind(text(what).lower())
    return next((place for place in reversed(range(len(where))) if same(where[place], what)), -1)


def first(value: Json) -> Json:
    return value[0] if value else ("" if value == "" else None)


def last(value: Json) -> Json:
    return value[-1] if value else ("" if value == "" else None)


def numbers(start: int, count: int) -> list[int]:
    """range()."""
    if not 0 <= count <= _MOST_NUMBERS:
        raise ArgumentFault(f"range() gives 0 to {_MOST_NUMBERS} numbers, not {count}")
    if start + count > _LAST_NUMBER:
        raise ArgumentFault(f"range() gives no number beyond {_LAST_NUMBER}")
    return list(range(start, start + count))


def array(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def of_numbers(args: tuple[Json, ...]) -> list[int]:
    """What min() and max() choose of: one array, or numbers."""
    found = list(args[0]) if len(args) == 1 and isinstance(args[0], list) else list(args)
    if not found:
        raise ArgumentFault("the array is empty")
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int):
            raise ArgumentFault(f"{called(one)} stands where an int is wanted")
    return found


def create_object(*pairs: Json) -> Json:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def shallow_merge(parts: list[Json]) -> Json:
    merged: dict[str, Json] = {}
    for part in parts:
        for key, value in part.items():
            merged[_name_in(merged, key) or key] = value
    return merged


def items(value: Json) -> list[Json]:
    return [{"key": key, "value": value[key]} for key in object_keys(value)]


def object_keys(value: Json) -> list[str]:
    return sorted(value, key=str.lower)


# ------------------------------------------------------------------- with a function ----


def _with_index(function: Any, item: Json, index: int) -> Json:
    return function(item, index) if len(function.names) > 1 else function(item)


def keep(values: list[Json], wanted: Any) -> list[Json]:
    """filter()."""
    return [item for index, item in enumerate(values) if _with_index(wanted, item, index)]


def change(values: list[Json], function: Any) -> list[Json]:
    """map()."""
    return [_with_index(function, item, index) for index, item in enumerate(values)]


def change_values(value: Json, function: Any) -> Json:
    """mapValues()."""
    return {key: function(item) for key, item in value.items()}


def sort(values: list[Json], before: Callable[[Json, Json], bool]) -> list[Json]:
    def compare(left: Json, right: Json) -> int:
        if before(left, right):
            return -1
        return 1 if before(right, left) else 0

    return sorted(values, key=cmp_to_key(compare))


def reduce(values: list[Json], start: Json, step: Any) -> Json:
    value = start
    for index, item in enumerate(values):
        value = step(value, item, index) if len(step.names) > 2 else step(value, item)
    return value


def to_object(values: list[Json], key: Any, value: Any = None) -> Json:
    return {str(key(item)): item if value is None else value(item) for item in values}


def group_by(values: list[Json], key: Any, value: Any = None) -> Json:
    found: dict[str, list[Json]] = {}
    for item in values:
        found.setdefault(str(key(item)), []).append(item if value is None else value(item))
    return found
