"""Expressions of a `.bicepparam` file, evaluated: such a file becomes values, not expressions.

Functions that need a deployment (`resourceGroup()`, `reference()`, …) have no value here.
Source: Azure Resource Manager's documentation of template functions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.bicep.arm import Arm, Fn, Lit

Json = Any


class EvaluationFault(Exception):  # noqa: N818 -- it reads by what happened
    """The expression has no value while compiling; the message says why."""


@dataclass(slots=True)
class Lambda:
    names: list[str]
    body: Arm
    scope: Scope

    def __call__(self, *values: Json) -> Json:
        inner = Scope(self.scope.parameters, self.scope.variables, self.scope.functions)
        inner.lambdas = {**self.scope.lambdas, **dict(zip(self.names, values, strict=False))}
        inner.arguments = self.scope.arguments
        return evaluate(self.body, inner)


@dataclass(slots=True)
class Scope:
    """Where names get their values. `copy_indexes`: of the loops around, by name."""

    parameters: Callable[[str], Json]
    variables: Callable[[str], Json]
    functions: Callable[[str, list[Json]], Json]
    lambdas: dict[str, Json] = field(default_factory=dict)
    arguments: dict[str, Json] | None = None  # inside of a user-defined function
    copy_indexes: dict[str, int] = field(default_factory=dict)


def evaluate(arm: Arm, scope: Scope) -> Json:
    """The value of an expression.

    Raises: EvaluationFault when it has none.
    """
    if isinstance(arm, Lit):
        return arm.value
    value = _call(arm, scope)
    for prop in arm.props:
        value = _read(value, evaluate(prop, scope), safe=False)
    return value


def _call(arm: Fn, scope: Scope) -> Json:
    name = arm.name.lower()
    match name:
        case "true" | "false":
            return name == "true"
        case "null":
            return None
        case "if":
            chosen = arm.args[1] if evaluate(arm.args[0], scope) else arm.args[2]
            return evaluate(chosen, scope)
        case "and":
            return all(bool(evaluate(arg, scope)) for arg in arm.args)
        case "or":
            return any(bool(evaluate(arg, scope)) for arg in arm.args)
        case "coalesce":
            for arg in arm.args:
                value = evaluate(arg, scope)
                if value is not None:
                    return value
            return None
        case "lambda":
            names = [str(arg.value) for arg in arm.args[:-1] if isinstance(arg, Lit)]
            return Lambda(names, arm.args[-1], scope)
    args = [evaluate(arg, scope) for arg in arm.args]
    match name:
        case "lambdavariables":
            return scope.lambdas[args[0]]
        case "parameters":
            if scope.arguments is not None:
                return scope.arguments[args[0]]
            return scope.parameters(args[0])
        case "variables":
            return scope.variables(args[0])
        case "copyindex":
            return scope.copy_indexes[args[0]] + (args[1] if len(args) > 1 else 0)
        case "tryget" | "tryindexfromend" | "indexfromend":
            return _reach(name, args)
    if "." in arm.name:
        return scope.functions(arm.name, args)
    return _applied(arm.name, args)


def _applied(name: str, args: list[Json]) -> Json:
    """What a built-in function gives. Raises: EvaluationFault, which says no value."""
    from orchestrator.bicep import pure, resource_ids
    from orchestrator.bicep.pure.arguments import ArgumentFault, called

    function = resource_ids.FUNCTIONS.get(name.lower()) or pure.FUNCTIONS.get(name.lower())
    if function is None:
        raise EvaluationFault(f"{name}() has no value before a deployment.")
    try:
        return copy.deepcopy(function(*args))
    except EvaluationFault:
        raise
    except ArgumentFault as fault:
        raise EvaluationFault(f"{name}() can't take these arguments: {fault}.") from None
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError):
        # Python's own words say the value, which may be a secret, and nothing of templates
        given = ", ".join(called(one) for one in args) or "nothing"
        raise EvaluationFault(f"{name}() can't take {given}.") from None


def _reach(name: str, args: list[Json]) -> Json:
    value, *steps = args
    for index, given in enumerate(steps):
        step = given
        if isinstance(given, dict) and "fromEnd" in given:
            step = -int(given["value"])
        elif index == 0 and name != "tryget":
            step = -int(given)
        if name == "indexfromend":
            value = _read(value, step, safe=False)
        else:
            value = _read(value, step, safe=index == 0)
            if value is None:
                return None
    return value


def _read(value: Json, key: Json, *, safe: bool) -> Json:
    if isinstance(value, dict):
        for name, item in value.items():
            if str(name).lower() == str(key).lower():
                return item
        if safe:
            return None
        raise EvaluationFault(f'There is no property "{key}".')
    if isinstance(value, list) and isinstance(key, int):
        if -len(value) <= key < len(value):
            return value[key]
        if safe:
            return None
        raise EvaluationFault(f"There is no item {key}; there are {len(value)}.")
    if value is None and safe:
        return None
    raise EvaluationFault(f'Nothing can be read at "{key}" of this value.')
