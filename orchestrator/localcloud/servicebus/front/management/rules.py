"""Rules of a subscription over its `$management` node, as rule managers of the SDKs use it.

https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
(rule operations); the descriptor codes are those of the official clients.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityNotFound,
    InvalidOperation,
)
from orchestrator.localcloud.servicebus.model import Right
from orchestrator.localcloud.servicebus.topics.definitions import SUBSCRIPTIONS
from orchestrator.localcloud.servicebus.topics.rules import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    Rule,
    SqlAction,
    SqlFilter,
    TrueFilter,
    TypedValue,
    typed,
)
from orchestrator.localcloud.servicebus.topics.topic import Subscription

_RULE = t.ULong(0x13700000004)
_EMPTY_ACTION = t.ULong(0x1370000005)
_SQL_ACTION = t.ULong(0x13700000006)
_SQL_FILTER = t.ULong(0x1370000006)
_TRUE_FILTER = t.ULong(0x1370000007)
_FALSE_FILTER = t.ULong(0x1370000008)
_CORRELATION_FILTER = t.ULong(0x1370000009)

_TASKS: set[asyncio.Task[None]] = set()

_CORRELATION_FIELDS = {
    "correlation-id": "correlation_id",
    "message-id": "message_id",
    "to": "to",
    "reply-to": "reply_to",
    "label": "label",
    "session-id": "session_id",
    "reply-to-session-id": "reply_to_session_id",
    "content-type": "content_type",
}


class RuleCall(Protocol):
    """One request being served; see `management`."""

    body: dict[str, Any]

    def text(self, name: str) -> str | None: ...
    def number(self, name: str) -> int: ...
    def answer(
        self, status: int, description: str, body: Any, condition: str | None = None
    ) -> None: ...
    def succeed(self, body: dict[str, Any]) -> None: ...
    def fail_with(self, error: BrokerError) -> None: ...


Operations = Mapping[str, tuple[Right, Callable[[Any], None]]]


def rule_operations(broker: Broker, subscription: Subscription) -> Operations:
    """The operations on this subscription's rules, with the right that each needs."""
    topic, _, name = subscription.path.rpartition(SUBSCRIPTIONS)
    namespace = subscription.namespace

    def add(call: RuleCall) -> None:
        rule = _read_rule(call.text("rule-name") or "", call.body.get("rule-description"))
        _later(call, _added(rule))

    async def _added(rule: Rule) -> None:
        await broker.put_rule_of(namespace, topic, name, rule)

    def remove(call: RuleCall) -> None:
        _later(call, _removed(call.text("rule-name") or ""))

    async def _removed(rule: str) -> None:
        if not await broker.delete_rule_of(namespace, topic, name, rule):
            raise EntityNotFound(
                f"The messaging entity '{namespace}:{subscription.path}|{rule}' could not be found."
            )

    def enumerate_rules(call: RuleCall) -> None:
        info = broker.subscription_info(namespace, topic, name)
        rules = () if info is None else info.rules
        skip, top = max(call.number("skip"), 0), max(call.number("top"), 0)
        # By name, as the service gives them (ruleManager.spec.ts of the JavaScript client).
        by_name = sorted(rules, key=lambda rule: rule.name.lower())
        found = by_name[skip : skip + min(top, 100)]
        if not found:
            call.answer(204, "NoContent", None)
            return
        call.succeed({"rules": [{"rule-description": write_rule(rule)} for rule in found]})

    return {
        "com.microsoft:add-rule": (Right.LISTEN, add),
        "com.microsoft:remove-rule": (Right.LISTEN, remove),
        "com.microsoft:enumerate-rules": (Right.LISTEN, enumerate_rules),
    }


def _later(call: RuleCall, work: Coroutine[Any, Any, None]) -> None:
    async def serve() -> None:
        try:
            await work
        except BrokerError as error:
            call.fail_with(error)
        else:
            call.succeed({})

    task = asyncio.get_running_loop().create_task(serve())
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)


def _read_rule(name: str, description: Any) -> Rule:
    """Raises InvalidOperation."""
    if not isinstance(description, dict):
        raise InvalidOperation("The request needs a map 'rule-description'.")
    action = description.get("sql-rule-action")
    expression = action.get("expression") if isinstance(action, dict) else None
    return Rule(
        name,
        _read_filter(description),
        SqlAction(str(expression)) if isinstance(expression, str) else None,
    )


def _read_filter(description: dict[str, Any]) -> Filter:
    if "true-filter" in description:
        return TrueFilter()
    if "false-filter" in description:
        return FalseFilter()
    sql = description.get("sql-filter")
    if isinstance(sql, dict):
        expression = sql.get("expression")
        if not isinstance(expression, str):
            raise InvalidOperation("A sql-filter needs a string 'expression'.")
        return SqlFilter(str(expression))
    correlation = description.get("correlation-filter")
    if not isinstance(correlation, dict):
        return TrueFilter()
    properties = correlation.get("properties")
    return CorrelationFilter(
        **{
            field: str(correlation[key])
            for key, field in _CORRELATION_FIELDS.items()
            if correlation.get(key) is not None
        },
        properties={
            str(key): typed(value)
            for key, value in (properties if isinstance(properties, dict) else {}).items()
        },
    )


def write_rule(rule: Rule) -> t.Described:
    """A rule as `enumerate-rules` gives it: filter, action, name, time of creation."""
    action = t.Described(_EMPTY_ACTION, [])
    if rule.action is not None:
        action = t.Described(_SQL_ACTION, [rule.action.expression, t.Int(20)])
    return t.Described(
        _RULE,
        [_write_filter(rule.filter), action, rule.name, t.Timestamp(rule.created_at * 1000)],
    )


def _write_filter(filter_: Filter) -> t.Described:
    if isinstance(filter_, TrueFilter):
        return t.Described(_TRUE_FILTER, [])
    if isinstance(filter_, FalseFilter):
        return t.Described(_FALSE_FILTER, [])
    if isinstance(filter_, SqlFilter):
        return t.Described(_SQL_FILTER, [filter_.expression, t.Int(20)])
    fields = [getattr(filter_, field) for field in _CORRELATION_FIELDS.values()]
    properties = {key: _amqp(value) for key, value in filter_.properties.items()}
    return t.Described(_CORRELATION_FILTER, [*fields, properties])


def _amqp(typed_value: TypedValue) -> Any:
    value = typed_value.value()
    if typed_value.type == "dateTime":
        return t.Timestamp(value)
    if typed_value.type == "int":
        return t.Int(value)
    return float(value) if typed_value.type == "decimal" else value
