"""What a template can be refused for.

Two layers: an `ExpressionError` says what is wrong inside one expression and knows no place; a
`TemplateError` is the whole answer in Resource Manager's words, with the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError


class ExpressionError(Exception):
    """A template language expression that cannot be evaluated; the message is one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TemplateError(ArmError):
    """A template (or its parameters) that is not valid: 400 `InvalidTemplate` unless said else."""

    def __init__(
        self,
        message: str,
        code: str = "InvalidTemplate",
        *,
        target: str | None = None,
        details: Sequence[ArmError] = (),
    ) -> None:
        super().__init__(code, message, 400, target=target, details=details)


def not_valid(reason: str) -> TemplateError:
    """`InvalidTemplate` in the words that Azure puts around every finding of its validation."""
    return TemplateError(f"Deployment template validation failed: '{reason}'.")


@dataclass(frozen=True, slots=True)
class Request:
    """Something only a running cloud can tell: the state of a resource, or what an action answers.

    Attributes:
        kind: `reference` (GET) or `list` (POST).
        id: The resource's id.
        api_version: As the template asks for it; "" where it does not.
        action: For a list: `listKeys`.
        body: For a list: what is sent, as JSON text (hashable).
    """

    kind: str
    id: str
    api_version: str = ""
    action: str = ""
    body: str = ""


class NotYetKnown(Exception):  # noqa: N818 - not an error: the evaluation goes on once it is known
    """An expression needs what `request` asks for; answer it and evaluate again."""

    def __init__(self, request: Request) -> None:
        super().__init__(f"{request.kind} {request.id} is not known yet")
        self.request = request


def quoted(value: Any) -> str:
    """The name of a value's type, as Azure's messages have it."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Integer"
    if isinstance(value, float):
        return "Float"
    if isinstance(value, str):
        return "String"
    if isinstance(value, dict):
        return "Object"
    return "Array"
