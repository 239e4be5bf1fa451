"""One request to a `$management` node: its arguments, and the one reply that it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import (
    INTERNAL_ERROR,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
)
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.links.request import Reply
from orchestrator.localcloud.servicebus.front.messages import Request, response

ARGUMENT_ERROR = "com.microsoft:argument-error"
ARGUMENT_OUT_OF_RANGE = "com.microsoft:argument-out-of-range"

_STATUS = {
    NOT_FOUND: 404,
    "com.microsoft:message-not-found": 404,
    "com.microsoft:session-not-found": 404,
    "com.microsoft:entity-already-exists": 409,
    "com.microsoft:message-lock-lost": 410,
    "com.microsoft:session-lock-lost": 410,
    "com.microsoft:session-cannot-be-locked": 409,
    "com.microsoft:entity-disabled": 403,
    "com.microsoft:server-busy": 503,
    "com.microsoft:timeout": 408,
    UNAUTHORIZED_ACCESS: 401,
    RESOURCE_LIMIT_EXCEEDED: 403,
    NOT_IMPLEMENTED: 501,
    INTERNAL_ERROR: 500,
}


class AnswerError(Exception):
    """Ends an operation with a status other than 200."""

    def __init__(self, status: int, condition: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.condition = condition
        self.description = description


class Call:
    """One request being served: its arguments, and the one reply it gets."""

    def __init__(self, request: Request, reply: Reply, told: Callable[[str | None], None]) -> None:
        """told: is given the condition of the answer, None for success, when there is one."""
        self.told = told
        self.transaction = request.transaction
        self._request = request
        self._reply = reply
        self._replied = False
        self.body: dict[str, Any] = request.body if isinstance(request.body, dict) else {}

    # Arguments; all raise `AnswerError` (400) for what is missing or of the wrong type.

    def number(self, name: str) -> int:
        value = self.body.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise AnswerError(400, ARGUMENT_ERROR, f"The request needs an integer '{name}'.")
        return int(value)

    def text(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise AnswerError(400, ARGUMENT_ERROR, f"'{name}' must be a string.")
        return str(value)

    def items(self, name: str) -> list[Any]:
        value = self.body.get(name)
        if not isinstance(value, list) or not value:
            raise AnswerError(400, ARGUMENT_ERROR, f"The request needs a list '{name}'.")
        return value

    def numbers(self, name: str) -> list[int]:
        values = self.items(name)
        if any(isinstance(value, bool) or not isinstance(value, int) for value in values):
            raise AnswerError(400, ARGUMENT_ERROR, f"'{name}' must be integers.")
        return [int(value) for value in values]

    def tokens(self, name: str) -> list[bytes]:
        """Lock tokens, which are uuids here, as delivery tags."""
        values = self.items(name)
        try:
            uuids = [value if isinstance(value, UUID) else UUID(value) for value in values]
            return [value.bytes_le for value in uuids]
        except (ValueError, AttributeError, TypeError):
            raise AnswerError(400, ARGUMENT_ERROR, f"'{name}' must be uuids.") from None

    # Replies

    def answer(
        self, status: int, description: str, body: Any, condition: str | None = None
    ) -> None:
        if self._replied:
            return
        self._replied = True
        self.told(condition if status >= 400 else None)
        properties: dict[str, Any] = {
            "statusCode": t.Int(status),
            "statusDescription": description,
        }
        if condition is not None:
            properties["errorCondition"] = t.Symbol(condition)
        self._reply(response(self._request, properties, body))

    def succeed(self, body: dict[str, Any]) -> None:
        self.answer(200, "OK", body)

    def fail(self, status: int, condition: str, description: str) -> None:
        self.answer(status, description, None, condition)

    def fail_with(self, error: BrokerError) -> None:
        self.fail(_STATUS.get(error.condition, 400), error.condition, error.message)

    def when_done(self, body: Callable[[], dict[str, Any]]) -> Callable[[BrokerError | None], None]:
        """A `Done` that replies with what `body` gives, or with the error."""

        def done(error: BrokerError | None) -> None:
            if error is None:
                self.succeed(body())
            else:
                self.fail_with(error)

        return done

    def when_all_done(self, count: int) -> Callable[[BrokerError | None], None]:
        """A `Done` for `count` operations: replies after the last, or at the first error."""
        left = count

        def done(error: BrokerError | None) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                self.fail_with(error)
            elif left == 0:
                self.succeed({})

        return done
