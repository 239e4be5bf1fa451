"""Evaluates expressions, and whole JSON values with expressions and loops inside.

Without I/O: what only the running cloud knows (`reference`, `listKeys`) is looked up among the
answers that were given so far; what is missing ends the evaluation with `NotYetKnown`, and whoever
drives it finds the answer and evaluates again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from orchestrator.localcloud.templates.environment import Environment
from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown, Request
from orchestrator.localcloud.templates.expressions import (
    Access,
    Invocation,
    Literal,
    Node,
    is_expression,
    parse,
    unescaped,
)
from orchestrator.localcloud.templates.functions import ALL as FUNCTIONS
from orchestrator.localcloud.templates.functions.running import list_action
from orchestrator.localcloud.templates.values import access, member

MAX_COPIES = 800
"""Turns of one loop (ARM limits)."""

MAX_TEXT = 4 * 1024 * 1024
"""Characters of a value; no request could carry a longer one."""

Unknown: TypeAlias = Callable[["Evaluation", str, NotYetKnown], Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A resource that an expression means; `absent` if its condition keeps it from being there."""

    id: str
    api_version: str = ""
    absent: bool = False


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A function that the template defines."""

    name: str
    parameters: tuple[str, ...]
    output: Any
    check: Callable[[Sequence[Any]], None] | None = None


class Answers:
    """What the cloud has told so far, by what was asked."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Any] = {}

    @staticmethod
    def _key(request: Request) -> tuple[str, ...]:
        id = request.id.lower().rstrip("/")
        return request.kind, id, request.action.lower(), request.body

    def keep(self, request: Request, answer: Any) -> None:
        """Remember an answer."""
        self._known[self._key(request)] = answer

    def find(self, request: Request) -> Any:
        """The answer. Raises NotYetKnown where there is none yet."""
        try:
            return self._known[self._key(request)]
        except KeyError:
            raise NotYetKnown(request) from None


def _no_target(name: str) -> Sequence[Target]:
    raise ExpressionError(f"The resource '{name}' is not defined in the template.")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One place in a template, with all that an expression there can see.

    Attributes:
        environment: Facts of the deployment.
        parameter, variable: Their values by name; raise ExpressionError.
        functions: User-defined functions by `namespace.name`, in lower case.
        find: The resources a name means: a symbolic name, a resource's name, or an id.
        answers: Of the cloud.
        copies: Turns of the loops around by name in lower case; "" is the innermost resource loop.
        lambdas: Variables of the lambdas around.
        in_default: Whether this is a parameter's default value.
        unknown: Called for an expression that needs what is not known yet; None: NotYetKnown is
            raised.
    """

    environment: Environment
    parameter: Callable[[str], Any]
    variable: Callable[[str], Any]
    functions: Mapping[str, UserFunction] = field(default_factory=dict)
    find: Callable[[str], Sequence[Target]] = _no_target
    answers: Answers = field(default_factory=Answers)
    copies: Mapping[str, int] = field(default_factory=dict)
    lambdas: Mapping[str, Any] = field(default_factory=dict)
    in_default: bool = False
    unknown: Unknown | None = None

    # ------------------------------------------------------------- expressions ----

    def value(self, node: Node) -> Any:
        """The value of an expression's tree.

        Raises:
            ExpressionError: It has none.
            NotYetKnown: Only the running cloud knows.
        """
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Access):
            return access(self.value(node.target), self.value(node.index))
        return self._invoke(node)

    def _invoke(self, node: Invocation) -> Any:
        name = node.name.lower()
        if "." in name:
            return self._invoke_own(node, name)
        function = FUNCTIONS.get(name)
        if function is None:
            check_known(self, node)
            return list_action(self, node.name, node.arguments)
        function.count(len(node.arguments))
        if function.special:
            return function.body(self, node.arguments)
        values = [self.value(argument) for argument in node.arguments]
        try:
            found = function.body(*values)
        except (ValueError, OverflowError) as error:
            raise ExpressionError(
                f"The template language function '{function.name}' cannot take the value it was "
                f"given: {error}."
            ) from None
        if isinstance(found, str) and len(found) > MAX_TEXT:
            raise ExpressionError(
                f"The template language function '{function.name}' makes a text of more than "
                f"{MAX_TEXT} characters."
            )
        return found

    def _invoke_own(self, node: Invocation, name: str) -> Any:
        check_known(self, node)
        own = self.functions[name]
        if len(node.arguments) > len(own.parameters):
            raise ExpressionError(
                f"The user-defined function '{node.name}' takes {len(own.parameters)} arguments "
                f"while '{len(node.arguments)}' were provided."
            )
        values = [self.value(argument) for argument in node.arguments]
        values += [None] * (len(own.parameters) - len(values))
        if own.check is not None:
            own.check(values)
        given = dict(zip((name.lower() for name in own.parameters), values, strict=True))

        def parameter(wanted: str) -> Any:
            if wanted.lower() not in given:
                raise ExpressionError(
                    f"The user-defined function '{own.name}' has no parameter '{wanted}'."
                )
            return given[wanted.lower()]

        def variable(wanted: str) -> Any:
            raise ExpressionError(
                f"The user-defined function '{own.name}' cannot use the variable '{wanted}'."
            )

        inner = replace(
            self, parameter=parameter, variable=variable, copies={}, lambdas={}, unknown=None
        )
        return inner.resolve(own.output)

    def within_lambda(self, variables: Mapping[str, Any]) -> Evaluation:
        """The same place inside a lambda."""
        return replace(self, lambdas={**self.lambdas, **variables})

    def within_copy(self, turns: Mapping[str, int]) -> Evaluation:
        """The same place inside a loop."""
        return replace(
            self, copies={**self.copies, **{name.lower(): at for name, at in turns.items()}}
        )

    def target(self, name: str) -> Target:
        """The one resource that a name or an id means. Raises ExpressionError."""
        found = self.find(name)
        if len(found) != 1:
            raise ExpressionError(
                f"The resource '{name}' is a loop of {len(found)} resources; one of them must be "
                "named."
            )
        return found[0]

    def targets(self, name: str) -> Sequence[Target]:
        """All resources that a name means. Raises ExpressionError."""
        return self.find(name)

    def ask(self, request: Request) -> Any:
        """What the cloud answers. Raises NotYetKnown."""
        return self.answers.find(request)

    # ------------------------------------------------------------- JSON values ----

    def resolve(self, value: Any) -> Any:
        """A JSON value with its expressions evaluated and its loops (`copy`) unrolled.

        Raises:
            ExpressionError, NotYetKnown: As `value`.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        found: dict[str, Any] = {}
        for name, item in value.items():
            if name.lower() == "copy" and _is_property_copy(item):
                for loop in item:
                    self._unroll(loop, found)
                continue
            key = self.text(name) if name.startswith("[") else name
            found[key if isinstance(key, str) else name] = self.resolve(item)
        return found

    def text(self, value: str) -> Any:
        """A text: evaluated if it is an expression."""
        if not is_expression(value):
            return unescaped(value)
        try:
            return self.value(parse(value))
        except NotYetKnown as unknown:
            if self.unknown is None:
                raise
            return self.unknown(self, value, unknown)

    def _unroll(self, loop: MutableMapping[str, Any], into: dict[str, Any]) -> None:
        name = self.resolve(member(dict(loop), "name"))
        count = self.resolve(member(dict(loop), "count"))
        if isinstance(count, str) and is_expression(count):
            into[str(name)] = count
            return
        body = member(dict(loop), "input")
        into[str(name)] = [
            self.within_copy({str(name): at}).resolve(body)
            for at in range(checked_count(count, str(name)))
        ]


def _is_property_copy(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(item, dict) and {"name", "count", "input"} <= {key.lower() for key in item}
            for item in value
        )
    )


def checked_count(count: Any, name: str) -> int:
    """How often a loop turns. Raises ExpressionError for what is no such number."""
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ExpressionError(
            f"The copy count of the loop '{name}' must be a whole number that is not negative."
        )
    if count > MAX_COPIES:
        raise ExpressionError(
            f"The copy count '{count}' of the loop '{name}' exceeds the maximum, {MAX_COPIES}."
        )
    return count


def check_known(at: Evaluation, node: Invocation) -> None:
    """Raises ExpressionError for a function that there is not."""
    name = node.name.lower()
    if "." in name:
        if name not in at.functions:
            raise ExpressionError(
                f"The template function '{node.name}' is not defined in the template's functions."
            )
    elif name not in FUNCTIONS and not name.startswith("list"):
        raise ExpressionError(
            f"The template function '{node.name}' is not valid. Please see "
            "https://aka.ms/arm-functions for usage details."
        )


def invocations(node: Node) -> list[Invocation]:
    """Every function call in a tree, outer ones first."""
    if isinstance(node, Access):
        return invocations(node.target) + invocations(node.index)
    if isinstance(node, Invocation):
        return [node, *(found for item in node.arguments for found in invocations(item))]
    return []
