"""Template functions by name.

A *plain* function takes evaluated arguments; a *special* one takes the evaluation and the argument
trees (it is lazy, or needs to know where it stands). Names are compared without regard to case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.localcloud.templates.errors import ExpressionError, quoted

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its spelling, how many arguments it takes, and what it does."""

    name: str
    least: int
    most: int | None
    body: Callable[..., Any]
    special: bool

    def count(self, given: int) -> None:
        """Refuse a wrong number of arguments. Raises ExpressionError."""
        if self.least <= given and (self.most is None or given <= self.most):
            return
        if self.most is None:
            wanted = f"at least {_arguments(self.least)}"
        elif self.least == self.most:
            wanted = _arguments(self.least)
        else:
            wanted = f"{self.least} to {self.most} arguments"
        raise ExpressionError(
            f"Unable to evaluate template language function '{self.name}': function requires "
            f"{wanted} while '{given}' were provided."
        )


FUNCTIONS: dict[str, Function] = {}


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"


def plain(name: str, least: int, most: int | None = -1) -> Callable[[F], F]:
    """Register a function of evaluated arguments; `most` None: any number, left out: `least`."""

    def register(body: F) -> F:
        limit = least if most == -1 else most
        FUNCTIONS[name.lower()] = Function(name, least, limit, body, False)
        return body

    return register


def special(
    name: str, least: int, most: int | None = -1
) -> Callable[[Callable[[Evaluation, tuple[Node, ...]], Any]], Callable[..., Any]]:
    """Register a function that evaluates its own arguments."""

    def register(
        body: Callable[[Evaluation, tuple[Node, ...]], Any],
    ) -> Callable[[Evaluation, tuple[Node, ...]], Any]:
        limit = least if most == -1 else most
        FUNCTIONS[name.lower()] = Function(name, least, limit, body, True)
        return body

    return register


# ----------------------------------------------------------------- argument types ----


def wrong(function: str, value: Any, wanted: str) -> ExpressionError:
    """The refusal of an argument of another type."""
    return ExpressionError(
        f"The template language function '{function}' expects its parameter to be of type "
        f"'{wanted}', and the provided value is of type '{quoted(value)}'. Please see "
        "https://aka.ms/arm-functions for usage details."
    )


def text(function: str, value: Any) -> str:
    """The argument as a text. Raises ExpressionError for anything else."""
    if not isinstance(value, str):
        raise wrong(function, value, "String")
    return value


def integer(function: str, value: Any) -> int:
    """The argument as a whole number. Raises ExpressionError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise wrong(function, value, "Integer")
    return value


def boolean(function: str, value: Any) -> bool:
    """The argument as a truth value. Raises ExpressionError for anything else."""
    if not isinstance(value, bool):
        raise wrong(function, value, "Boolean")
    return value


def array(function: str, value: Any) -> list[Any]:
    """The argument as an array. Raises ExpressionError for anything else."""
    if not isinstance(value, list):
        raise wrong(function, value, "Array")
    return value


def object_(function: str, value: Any) -> dict[str, Any]:
    """The argument as an object. Raises ExpressionError for anything else."""
    if not isinstance(value, dict):
        raise wrong(function, value, "Object")
    return value
