"""Array and object functions ("Array functions", "Object functions for ARM templates")."""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import (
    array,
    integer,
    object_,
    plain,
    text,
    wrong,
)
from orchestrator.localcloud.templates.values import access, key_of, order, same, text_of


@plain("array", 1)
def array_(value: Any) -> list[Any]:
    """An array of one, or the array itself."""
    return value if isinstance(value, list) else [value]


@plain("createArray", 0, None)
def create_array(*values: Any) -> list[Any]:
    """An array of the arguments."""
    return list(values)


@plain("createObject", 0, None)
def create_object(*pairs: Any) -> dict[str, Any]:
    """An object of names and values in turn."""
    if len(pairs) % 2:
        raise ExpressionError(
            "The template language function 'createObject' expects an even number of arguments: a "
            "value for each name."
        )
    return {text("createObject", pairs[at]): pairs[at + 1] for at in range(0, len(pairs), 2)}


@plain("concat", 1, None)
def concat(*values: Any) -> Any:
    """Texts (and numbers, and truth values) or arrays, one after the other."""
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    for value in values:
        if isinstance(value, (dict, list)):
            raise ExpressionError(
                "The template language function 'concat' takes either arrays only or texts only."
            )
    return "".join(text_of(value) for value in values)


@plain("contains", 2)
def contains(container: Any, item: Any) -> bool:
    """Whether an array has an item, an object a name (in any case), a text a part."""
    if isinstance(container, list):
        return any(same(item, one) for one in container)
    if isinstance(container, dict):
        return key_of(container, text_of(item)) is not None
    if isinstance(container, str):
        return text_of(item) in container
    raise wrong("contains", container, "Array, Object or String")


@plain("empty", 1)
def empty(value: Any) -> bool:
    """Whether an array, object, text or null is empty."""
    if value is None:
        return True
    if isinstance(value, (list, dict, str)):
        return not value
    raise wrong("empty", value, "Array, Object or String")


@plain("length", 1)
def length(value: Any) -> int:
    """How many items, members or letters."""
    if isinstance(value, (list, dict, str)):
        return len(value)
    raise wrong("length", value, "Array, Object or String")


@plain("first", 1)
def first(value: Any) -> Any:
    """The first item or letter; null or "" where there is none."""
    if isinstance(value, list):
        return value[0] if value else None
    return text("first", value)[:1]


@plain("last", 1)
def last(value: Any) -> Any:
    """The last item or letter; null or "" where there is none."""
    if isinstance(value, list):
        return value[-1] if value else None
    return text("last", value)[-1:]


@plain("skip", 2)
def skip(value: Any, count: Any) -> Any:
    """Without the first items or letters."""
    count = max(0, integer("skip", count))
    return value[count:] if isinstance(value, list) else text("skip", value)[count:]


@plain("take", 2)
def take(value: Any, count: Any) -> Any:
    """The first items or letters only."""
    count = max(0, integer("take", count))
    return value[:count] if isinstance(value, list) else text("take", value)[:count]


@plain("indexOf", 2)
def index_of(container: Any, item: Any) -> int:
    """Where it stands first, -1 where nowhere; in a text without regard to case."""
    if isinstance(container, list):
        return next((at for at, one in enumerate(container) if same(one, item)), -1)
    return text("indexOf", container).lower().find(text("indexOf", item).lower())


@plain("lastIndexOf", 2)
def last_index_of(container: Any, item: Any) -> int:
    """Where it stands last, -1 where nowhere; in a text without regard to case."""
    if isinstance(container, list):
        found = [at for at, one in enumerate(container) if same(one, item)]
        return found[-1] if found else -1
    return text("lastIndexOf", container).lower().rfind(text("lastIndexOf", item).lower())


@plain("indexFromEnd", 2)
def index_from_end(values: Any, position: Any) -> Any:
    """The item at a position counted from the end, which is 1."""
    values, position = array("indexFromEnd", values), integer("indexFromEnd", position)
    if not 1 <= position <= len(values):
        raise ExpressionError(
            f"The language expression property array index '{position}' (counted from the end) is "
            "out of bounds."
        )
    return values[-position]


@plain("tryIndexFromEnd", 2, None)
def try_index_from_end(values: Any, position: Any, *rest: Any) -> Any:
    """As indexFromEnd, null where there is nothing."""
    position = integer("tryIndexFromEnd", position)
    if not isinstance(values, list) or not 1 <= position <= len(values):
        return None
    found = values[-position]
    for name in rest:
        found = access(found, name)
    return found


@plain("tryGet", 2, None)
def try_get(value: Any, *path: Any) -> Any:
    """A member or an item, null where there is none; what follows must exist then."""
    first_, *rest = path
    try:
        found = access(value, first_)
    except ExpressionError:
        return None
    for name in rest:
        if found is None:
            return None
        found = access(found, name)
    return found


@plain("flatten", 1)
def flatten(values: Any) -> list[Any]:
    """An array of arrays as one array, one level deep."""
    return [
        item
        for value in array("flatten", values)
        for item in (value if isinstance(value, list) else [value])
    ]


@plain("union", 1, None)
def union(*values: Any) -> Any:
    """All items once, or all members: objects inside objects are united, the later ones win."""
    if isinstance(values[0], list):
        found: list[Any] = []
        for value in values:
            for item in array("union", value):
                if not any(same(item, one) for one in found):
                    found.append(item)
        return found
    merged: dict[str, Any] = {}
    for value in values:
        merged = _merged(merged, object_("union", value))
    return merged


def _merged(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    result = dict(left)
    for name, value in right.items():
        key = key_of(result, name) or name
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result


@plain("intersection", 1, None)
def intersection(*values: Any) -> Any:
    """The items, or the members with equal values, that all have."""
    if isinstance(values[0], list):
        found = array("intersection", union(values[0]))
        for value in values[1:]:
            others = array("intersection", value)
            found = [item for item in found if any(same(item, one) for one in others)]
        return found
    kept = dict(object_("intersection", values[0]))
    for value in values[1:]:
        other = object_("intersection", value)
        kept = {
            name: item
            for name, item in kept.items()
            if (key := key_of(other, name)) is not None and same(item, other[key])
        }
    return kept


@plain("items", 1)
def items(value: Any) -> list[dict[str, Any]]:
    """Names and values of an object, in the order of the names."""
    mapping = object_("items", value)
    return [{"key": name, "value": mapping[name]} for name in sorted(mapping, key=order)]


@plain("objectKeys", 1)
def object_keys(value: Any) -> list[str]:
    """The names of an object's members, in order."""
    return sorted(object_("objectKeys", value), key=order)


@plain("shallowMerge", 1)
def shallow_merge(values: Any) -> dict[str, Any]:
    """The members of all objects of an array; later ones replace earlier ones whole."""
    merged: dict[str, Any] = {}
    for value in array("shallowMerge", values):
        if value is not None:
            for name, item in object_("shallowMerge", value).items():
                merged[key_of(merged, name) or name] = item
    return merged


@plain("distinct", 1)
def distinct(values: Any) -> list[Any]:
    """Each item once."""
    return list(union(array("distinct", values)))
