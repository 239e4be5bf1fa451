"""Logical and comparison functions; `if`, `and`, `or` and `coalesce` evaluate what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import boolean, plain, special, wrong
from orchestrator.localcloud.templates.values import order, same

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node


@special("if", 3)
def if_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The second or the third argument."""
    condition = boolean("if", evaluation.value(arguments[0]))
    return evaluation.value(arguments[1] if condition else arguments[2])


@special("and", 1, None)
def and_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> bool:
    """Whether all are true."""
    return all(boolean("and", evaluation.value(argument)) for argument in arguments)


@special("or", 1, None)
def or_(evaluation: Evaluation, arguments: tuple[Node, ...]) -> bool:
    """Whether one is true."""
    return any(boolean("or", evaluation.value(argument)) for argument in arguments)


@special("coalesce", 1, None)
def coalesce(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The first that is not null."""
    for argument in arguments:
        value = evaluation.value(argument)
        if value is not None:
            return value
    return None


@plain("not", 1)
def not_(value: Any) -> bool:
    """The opposite."""
    return not boolean("not", value)


@plain("true", 0)
def true() -> bool:
    """True."""
    return True


@plain("false", 0)
def false() -> bool:
    """False."""
    return False


@plain("null", 0)
def null() -> None:
    """Null."""


@plain("bool", 1)
def bool_(value: Any) -> bool:
    """A truth value from a text or a number."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    if isinstance(value, str) and value.strip().lower() in ("true", "1"):
        return True
    if isinstance(value, str) and value.strip().lower() in ("false", "0"):
        return False
    raise wrong("bool", value, "Boolean")


@plain("equals", 2)
def equals(left: Any, right: Any) -> bool:
    """Whether two values are the same."""
    return same(left, right)


def _compare(function: str, left: Any, right: Any) -> int:
    if isinstance(left, str) and isinstance(right, str):
        one, two = order(left), order(right)
        return (one > two) - (one < two)
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ExpressionError(
                f"The template language function '{function}' compares two numbers or two texts."
            )
    return bool(left > right) - bool(left < right)


@plain("less", 2)
def less(left: Any, right: Any) -> bool:
    """left < right."""
    return _compare("less", left, right) < 0


@plain("lessOrEquals", 2)
def less_or_equals(left: Any, right: Any) -> bool:
    """left <= right."""
    return _compare("lessOrEquals", left, right) <= 0


@plain("greater", 2)
def greater(left: Any, right: Any) -> bool:
    """left > right."""
    return _compare("greater", left, right) > 0


@plain("greaterOrEquals", 2)
def greater_or_equals(left: Any, right: Any) -> bool:
    """left >= right."""
    return _compare("greaterOrEquals", left, right) >= 0


@plain("fail", 1)
def fail(message: Any) -> Any:
    """Refuse, with a message of the template's author."""
    raise ExpressionError(str(message))
