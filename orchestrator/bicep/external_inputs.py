"""`externalInput(kind, config?)` in a parameters file: what whoever deploys gives.

A parameter that needs such an input is written as an expression instead of a value, and the inputs
themselves are described beside the parameters. Of the expression all that can be is evaluated:
variables, other parameters and user-defined functions do not exist where it is read.
Source: Bicep's documentation of the parameters file functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from orchestrator.bicep import arm
from orchestrator.bicep.arm import Arm, Fn, Lit, fn
from orchestrator.bicep.evaluate import EvaluationFault

Json = Any

FUNCTION = "externalInput"
_WRITTEN = "externalInputs"
_IN_A_NAME = re.compile(r"\W")


class ExternalInputs:
    """The inputs of a parameters file, each under a key; a call that is repeated means the same."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._described: dict[str, dict[str, Json]] = {}

    @property
    def definitions(self) -> dict[str, dict[str, Json]]:
        """By key: `kind`, and `config` where one is given."""
        return dict(sorted(self._described.items()))

    def key(self, call: Fn, evaluate: Callable[[Arm], Json]) -> str:
        """The key of the input that a call asks for."""
        text = arm.to_text(call)
        if text not in self._keys:
            kind, *config = (evaluate(arg) for arg in call.args)
            key = f"{_IN_A_NAME.sub('_', str(kind))}_{len(self._keys)}"
            self._keys[text] = key
            self._described[key] = {"kind": kind, **({"config": config[0]} if config else {})}
        return self._keys[text]


def is_input(call: Arm) -> bool:
    return isinstance(call, Fn) and call.name == FUNCTION


class Expressions:
    """Expressions of one parameters file, without what exists in that file only.

    `variable`, `parameter`: what a name stands for, as an expression. `evaluate`: the value of an
    expression that needs no input.
    """

    def __init__(
        self,
        inputs: ExternalInputs,
        variable: Callable[[str], Arm | None],
        parameter: Callable[[str], Arm | None],
        evaluate: Callable[[Arm], Json],
    ) -> None:
        self.inputs = inputs
        self.evaluate = evaluate
        self._named = {"variables": variable, "parameters": parameter}
        self._running: list[tuple[str, str]] = []

    def needs_input(self, expression: Arm) -> bool:
        """Whether an expression, or a name in it, asks for an input."""
        for call in arm.calls(expression):
            if is_input(call) or call.name == _WRITTEN:
                return True
            inner = self._meaning(call)
            if inner is not None:
                self._running.append(self._name(call))
                found = self.needs_input(inner)
                self._running.pop()
                if found:
                    return True
        return False

    def write(self, expression: Arm) -> Arm:
        """The expression as a deployment reads it.

        Raises: EvaluationFault for what can't be said there.
        """
        if isinstance(expression, Lit):
            return expression
        props = tuple(self.write(prop) for prop in expression.props)
        if is_input(expression):
            key = self.inputs.key(Fn(FUNCTION, expression.args), self.evaluate)
            return Fn(_WRITTEN, (Lit(key),), props)
        named = expression.name in self._named or "." in expression.name
        if named and not self.needs_input(expression):
            return arm.from_json(self.evaluate(expression))
        inner = self._meaning(expression)
        if inner is not None:
            self._running.append(self._name(expression))
            found = self.write(inner)
            self._running.pop()
            return arm.read(found, *props) if props else found
        if named:
            raise EvaluationFault(
                f"{expression.name.rpartition('.')[2]}() can't be given an external input."
            )
        return Fn(expression.name, tuple(self.write(arg) for arg in expression.args), props)

    @staticmethod
    def _name(call: Fn) -> tuple[str, str]:
        first = call.args[0] if call.args else None
        return call.name, str(first.value) if isinstance(first, Lit) else ""

    def _meaning(self, call: Fn) -> Arm | None:
        find = self._named.get(call.name)
        if find is None or self._name(call) in self._running:
            return None
        return find(self._name(call)[1])


def vault_id(subscription: Arm, group: Arm, vault: Arm) -> Arm:
    """The id of a key vault whose place is an input."""
    return fn("resourceId", subscription, group, Lit("Microsoft.KeyVault"), Lit("vaults"), vault)
