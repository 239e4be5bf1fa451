"""Lambda functions: `map(values, lambda('v', …lambdaVariables('v')…))`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.expressions import Invocation
from orchestrator.localcloud.templates.functions.registry import (
    array,
    boolean,
    object_,
    special,
    text,
)

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node


def _lambda(
    evaluation: Evaluation, function: str, node: Node, least: int, most: int | None = None
) -> tuple[Callable[..., Any], int]:
    """The lambda an argument is: something to call, and how many variables it has."""
    if not isinstance(node, Invocation) or node.name.lower() != "lambda":
        raise ExpressionError(
            f"The template language function '{function}' expects a lambda expression there."
        )
    *variables, body = node.arguments or (None,)
    count = len(variables)
    if body is None or not least <= count <= (most or least):
        raise ExpressionError(
            f"The template language function '{function}' expects a lambda of "
            f"{least if most is None else f'{least} or {most}'} variables, not {count}."
        )
    names = [
        text("lambda", evaluation.value(name)).lower() for name in variables if name is not None
    ]

    def call(*values: Any) -> Any:
        return evaluation.within_lambda(dict(zip(names, values, strict=False))).value(body)

    return call, count


@special("lambda", 1, None)
def lambda_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """Only as an argument of the functions here."""
    raise ExpressionError(
        "The template language function 'lambda' is only allowed as an argument of a function that "
        "takes a lambda."
    )


@special("lambdaVariables", 1)
def lambda_variables(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The value of a lambda's variable."""
    name = text("lambdaVariables", evaluation.value(arguments[0]))
    if name.lower() in evaluation.lambdas:
        return evaluation.lambdas[name.lower()]
    raise ExpressionError(f"The lambda variable '{name}' is not found.")


@special("map", 2)
def map_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> list[Any]:
    """Each item, or item and index, through a lambda."""
    values = array("map", evaluation.value(arguments[0]))
    call, count = _lambda(evaluation, "map", arguments[1], 1, 2)
    return [call(item) if count == 1 else call(item, at) for at, item in enumerate(values)]


@special("filter", 2)
def filter_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> list[Any]:
    """The items for which a lambda is true."""
    values = array("filter", evaluation.value(arguments[0]))
    call, count = _lambda(evaluation, "filter", arguments[1], 1, 2)
    return [
        item
        for at, item in enumerate(values)
        if boolean("filter", call(item) if count == 1 else call(item, at))
    ]


@special("reduce", 3)
def reduce_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """One value out of all items."""
    values = array("reduce", evaluation.value(arguments[0]))
    found = evaluation.value(arguments[1])
    call, count = _lambda(evaluation, "reduce", arguments[2], 2, 3)
    for at, item in enumerate(values):
        found = call(found, item) if count == 2 else call(found, item, at)
    return found


@special("sort", 2)
def sort(evaluation: Evaluation, arguments: tuple[Node, ...]) -> list[Any]:
    """In the order that a lambda says: whether the first comes before the second."""
    values = array("sort", evaluation.value(arguments[0]))
    call, _ = _lambda(evaluation, "sort", arguments[1], 2)

    def compare(left: Any, right: Any) -> int:
        if boolean("sort", call(left, right)):
            return -1
        return 1 if boolean("sort", call(right, left)) else 0

    return sorted(values, key=cmp_to_key(compare))


@special("toObject", 2, 3)
def to_object(evaluation: Evaluation, arguments: tuple[Node, ...]) -> dict[str, Any]:
    """An object with a name, and a value where one is asked for, from each item."""
    values = array("toObject", evaluation.value(arguments[0]))
    name, _ = _lambda(evaluation, "toObject", arguments[1], 1)
    found: dict[str, Any] = {}
    value: Callable[..., Any] | None = None
    if len(arguments) == 3:
        value, _ = _lambda(evaluation, "toObject", arguments[2], 1)
    for item in values:
        found[text("toObject", name(item))] = value(item) if value is not None else item
    return found


@special("groupBy", 2, 3)
def group_by(evaluation: Evaluation, arguments: tuple[Node, ...]) -> dict[str, list[Any]]:
    """Items, or values made of them, gathered by a name."""
    values = array("groupBy", evaluation.value(arguments[0]))
    call, count = _lambda(evaluation, "groupBy", arguments[1], 1, 2)
    found: dict[str, list[Any]] = {}
    value: Callable[..., Any] | None = None
    if len(arguments) == 3:
        value, _ = _lambda(evaluation, "groupBy", arguments[2], 1)
    for at, item in enumerate(values):
        name = text("groupBy", call(item) if count == 1 else call(item, at))
        found.setdefault(name, []).append(item if value is None else value(item))
    return found


@special("mapValues", 2)
def map_values(evaluation: Evaluation, arguments: tuple[Node, ...]) -> dict[str, Any]:
    """An object with each value through a lambda."""
    mapping = object_("mapValues", evaluation.value(arguments[0]))
    call, _ = _lambda(evaluation, "mapValues", arguments[1], 1)
    return {name: call(value) for name, value in mapping.items()}
