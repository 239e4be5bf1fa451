"""Rules of a subscription: which messages of its topic it gets, and what is changed in them.

https://learn.microsoft.com/azure/service-bus-messaging/topic-filters
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from decimal import InvalidOperation as BadDecimal
from typing import Any
from uuid import UUID

import msgspec

from orchestrator.localcloud.servicebus.content import Content, MessageContent
from orchestrator.localcloud.servicebus.errors import InvalidOperation
from orchestrator.localcloud.servicebus.topics.sql.parser import (
    Statement,
    parse_action,
    parse_filter,
    spelling,
)
from orchestrator.localcloud.servicebus.topics.sql.tokens import SqlError
from orchestrator.localcloud.servicebus.topics.sql.values import EvaluationError, compare

DEFAULT_RULE = "$Default"
RULE_NAME_PROPERTY = "RuleName"
"""Set on each copy that a rule with an action makes."""

NAME_LENGTH = 50
_NAME = re.compile(r"[^/\\@?#*]+")


class TypedValue(msgspec.Struct, frozen=True):
    """A value of a rule as its definition has it: `type` of XML Schema (string, int, long, double,
    decimal, boolean, dateTime, duration, guid), `text` in that type's form."""

    type: str
    text: str

    def value(self) -> Any:
        """As messages carry it (a dateTime in milliseconds, a duration in seconds). Raises
        InvalidOperation."""
        try:
            return _READERS[self.type](self.text)
        except (KeyError, ValueError, BadDecimal, OverflowError) as error:
            raise InvalidOperation(
                f"{self.text!r} is not a value of the type {self.type!r} in a rule."
            ) from error


def _boolean(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.strip().lower()]


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return math.floor(moment.timestamp() * 1000)


_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    sign, days, hours, minutes, seconds = match.groups("0")
    total = int(days) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return -total if sign == "-" else total


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int": int,
    "long": int,
    "short": int,
    "double": float,
    "float": float,
    "decimal": Decimal,
    "boolean": _boolean,
    "dateTime": _milliseconds,
    "duration": _seconds,
    "guid": UUID,
}


def typed(value: Any) -> TypedValue:
    """A decoded AMQP value as a definition's. Raises InvalidOperation for maps and lists."""
    if isinstance(value, bool):
        return TypedValue("boolean", str(value).lower())
    if type(value).__name__ == "Timestamp":
        text = datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
        return TypedValue("dateTime", text.removesuffix("+00:00") + "Z")
    if isinstance(value, int):
        return TypedValue("int" if -(2**31) <= value < 2**31 else "long", str(int(value)))
    if isinstance(value, float):
        return TypedValue("double", repr(float(value)))
    if isinstance(value, Decimal):
        return TypedValue("decimal", str(value))
    if isinstance(value, UUID):
        return TypedValue("guid", str(value))
    if isinstance(value, str):
        return TypedValue("string", str(value))
    raise InvalidOperation(f"A value of the kind {type(value).__name__} cannot be used in a rule.")


class SqlFilter(msgspec.Struct, frozen=True, tag="sql"):
    """expression: a predicate; parameters: by name, with their `@`."""

    expression: str
    parameters: dict[str, TypedValue] = {}


class TrueFilter(msgspec.Struct, frozen=True, tag="true"):
    """Every message."""


class FalseFilter(msgspec.Struct, frozen=True, tag="false"):
    """No message."""


class CorrelationFilter(msgspec.Struct, frozen=True, tag="correlation", omit_defaults=True):
    """Messages all of whose named properties are equal, case-sensitive; None: not asked."""

    correlation_id: str | None = None
    message_id: str | None = None
    to: str | None = None
    reply_to: str | None = None
    label: str | None = None
    session_id: str | None = None
    reply_to_session_id: str | None = None
    content_type: str | None = None
    properties: dict[str, TypedValue] = {}


class SqlAction(msgspec.Struct, frozen=True):
    """Statements SET and REMOVE."""

    expression: str
    parameters: dict[str, TypedValue] = {}


Filter = SqlFilter | TrueFilter | FalseFilter | CorrelationFilter


class Rule(msgspec.Struct, frozen=True):
    """One rule. created_at: epoch seconds."""

    name: str
    filter: Filter
    action: SqlAction | None = None
    created_at: float = 0.0


def default_rule(now: float) -> Rule:
    """The rule of a subscription that was made without one."""
    return Rule(DEFAULT_RULE, TrueFilter(), None, now)


_SYSTEM = {
    "correlation_id": "CorrelationId",
    "message_id": "MessageId",
    "to": "To",
    "reply_to": "ReplyTo",
    "label": "Label",
    "session_id": "SessionId",
    "reply_to_session_id": "ReplyToSessionId",
    "content_type": "ContentType",
}

Matches = Callable[[MessageContent], bool]


class CompiledRule:
    """A rule ready for use.

    always: it takes every message, which need not be looked at.
    """

    def __init__(self, rule: Rule) -> None:
        """Raises InvalidOperation, in words for the user."""
        self.rule = rule
        self.always = isinstance(rule.filter, TrueFilter)
        self.matches: Matches = _matcher(rule.filter, rule.name)
        self._statements: tuple[Statement, ...] = ()
        self._values: Mapping[str, Any] = {}
        self.changes = False
        if rule.action is not None and rule.action.expression.strip():
            try:
                self._statements, wanted = parse_action(rule.action.expression)
            except SqlError as error:
                raise InvalidOperation(
                    f"The action of the rule '{rule.name}' is not valid: {error}."
                ) from error
            self._values = _parameters(rule.action.parameters, wanted, rule.name)
            self.changes = bool(self._statements)

    def act(self, payload: bytes, found: MessageContent, content: Content) -> bytes:
        """The copy that this rule's action makes. Raises EvaluationError."""
        now = MessageContent(dict(found.system), dict(found.properties))
        system: dict[str, Any] = {}
        for target, evaluate in self._statements:
            value = None if evaluate is None else _storable(evaluate(now, self._values))
            if target.system:
                system[target.name] = now.system[target.name] = (
                    None if value is None else str(value)
                )
                continue
            name = spelling(now, target.name) or target.name
            if evaluate is None:
                now.properties.pop(name, None)
            else:
                now.properties[name] = value
        now.properties[RULE_NAME_PROPERTY] = self.rule.name
        return content.change(payload, system, now.properties)


def check_rule_name(name: str) -> None:
    """Raises InvalidOperation with the rule in words."""
    if not name or len(name) > NAME_LENGTH or not _NAME.fullmatch(name):
        raise InvalidOperation(
            f"The rule name {name!r} is not allowed: 1 to {NAME_LENGTH} characters, none of them "
            "/ \\ @ ? # *."
        )


def _matcher(filter_: Filter, name: str) -> Matches:
    if isinstance(filter_, TrueFilter):
        return lambda content: True
    if isinstance(filter_, FalseFilter):
        return lambda content: False
    if isinstance(filter_, SqlFilter):
        try:
            evaluate, wanted = parse_filter(filter_.expression)
        except SqlError as error:
            raise InvalidOperation(
                f"The filter of the rule '{name}' is not valid: {error}."
            ) from error
        values = _parameters(filter_.parameters, wanted, name)
        return lambda content: evaluate(content, values) is True
    return _correlation(filter_, name)


def _correlation(filter_: CorrelationFilter, name: str) -> Matches:
    system = {
        known: getattr(filter_, field)
        for field, known in _SYSTEM.items()
        if getattr(filter_, field) is not None
    }
    properties = {key: value.value() for key, value in filter_.properties.items()}
    if not system and not properties:
        raise InvalidOperation(
            f"The correlation filter of the rule '{name}' names no property: name one at least."
        )

    def matches(content: MessageContent) -> bool:
        for known, wanted in system.items():
            found = content.system.get(known)
            if found is None or str(found) != wanted:
                return False
        for key, wanted in properties.items():
            spelt = spelling(content, key)
            if spelt is None or compare("=", content.properties[spelt], wanted) is not True:
                return False
        return True

    return matches


def _parameters(
    given: Mapping[str, TypedValue], wanted: frozenset[str], rule: str
) -> dict[str, Any]:
    values = {
        (name if name.startswith("@") else f"@{name}").lower(): value.value()
        for name, value in given.items()
    }
    for name in sorted(wanted):
        if name not in values:
            raise InvalidOperation(f"The rule '{rule}' gives the parameter {name} no value.")
    return values


def _storable(value: Any) -> Any:
    """A computed value as a message can carry it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        raise EvaluationError(f"the number {value} is too large for a property")
    return value
