"""Properties of topics, subscriptions and rules: from the wire's JSON to the broker's, and back.

Names and defaults are those of `Microsoft.ServiceBus/namespaces/topics`, `…/subscriptions` and
`…/rules` (REST reference, api-version 2021-11-01).
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from orchestrator.localcloud.durations import write_duration
from orchestrator.localcloud.providers.service_bus import properties as common
from orchestrator.localcloud.providers.service_bus.properties import (
    accessed,
    moment,
    refusal,
)
from orchestrator.localcloud.servicebus.errors import InvalidOperation
from orchestrator.localcloud.servicebus.model import QueueCounts
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionInfo,
    SubscriptionProperties,
    TopicInfo,
    TopicProperties,
)
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

JSON = dict[str, Any]
_P = TypeVar("_P", TopicProperties, SubscriptionProperties)

NAMES = (
    common.DURATIONS
    | common.NUMBERS
    | common.SWITCHES
    | common.NAMES
    | {
        "supportOrdering": "support_ordering",
        "deadLetteringOnFilterEvaluationExceptions": "dead_letter_on_filter_errors",
        "status": "status",
    }
)
_CORRELATION = {
    "correlationId": "correlation_id",
    "messageId": "message_id",
    "to": "to",
    "replyTo": "reply_to",
    "label": "label",
    "sessionId": "session_id",
    "replyToSessionId": "reply_to_session_id",
    "contentType": "content_type",
}
TRUE_EXPRESSION, FALSE_EXPRESSION = "1=1", "1=0"


def read_topic(given: JSON, old: TopicProperties | None) -> TopicProperties:
    """The settings of a PUT's `properties`; what is left out has its default.

    Raises:
        ArmError: 400, naming the property.
    """
    return _read(given, old, TopicProperties, "Topic")


def read_subscription(given: JSON, old: SubscriptionProperties | None) -> SubscriptionProperties:
    """As `read_topic`."""
    return _read(given, old, SubscriptionProperties, "Subscription")


def _read(given: JSON, old: _P | None, kind: type[_P], what: str) -> _P:
    known = {field.name for field in fields(kind)}
    values: JSON = {}
    for name, field in NAMES.items():
        if field not in known:
            continue
        if name in given:
            values[field] = common.read_value(name, given[name])
        elif old is not None and name in common.IMMUTABLE:
            values[field] = getattr(old, field)
    common.unscale(values)
    new = kind(**{field: value for field, value in values.items() if value is not None})
    for name, words in common.IMMUTABLE.items():
        field = NAMES[name]
        if old is not None and field in known and getattr(old, field) != getattr(new, field):
            raise refusal(words.format(what), target=name)
    return new


def write_settings(settings: TopicProperties | SubscriptionProperties) -> JSON:
    """The part of `properties` that can be set; nothing in it is null."""
    known = {field.name for field in fields(settings)}
    body: JSON = {}
    for name, field in NAMES.items():
        if field not in known:
            continue
        value = getattr(settings, field)
        if name in common.DURATIONS:
            value = write_duration(value)
        if value is not None:
            body[name] = str(value) if name == "status" else value
    return common.scale(body)


def write_topic(
    info: TopicInfo,
    counts: QueueCounts,
    subscriptions: int,
    message_size: int,
    accessed_at: float | None,
) -> JSON:
    """A topic's `properties` as the service shows them. message_size: bytes of one message;
    accessed_at: epoch seconds, None for never."""
    return write_settings(info.properties) | {
        "maxMessageSizeInKilobytes": message_size // 1024,
        "createdAt": moment(info.created_at),
        "updatedAt": moment(info.updated_at),
        "accessedAt": accessed(accessed_at),
        "sizeInBytes": counts.size_in_bytes,
        "subscriptionCount": subscriptions,
        "countDetails": write_counts(counts),
    }


def subscription_accessed(info: SubscriptionInfo, queue: Queue | None) -> float:
    """When a subscription was last accessed, epoch seconds. Its creation counts, other than a
    queue's or a topic's (the tests of azservicebus for Go have all three)."""
    accessed_at = None if queue is None else queue.accessed_at()
    return info.created_at if accessed_at is None else accessed_at


def write_subscription(info: SubscriptionInfo, counts: QueueCounts, accessed_at: float) -> JSON:
    """A subscription's `properties` as the service shows them. accessed_at: epoch seconds."""
    return write_settings(info.properties) | {
        "createdAt": moment(info.created_at),
        "updatedAt": moment(info.updated_at),
        "accessedAt": accessed(accessed_at),
        "messageCount": counts.total,
        "countDetails": write_counts(counts),
        "isClientAffine": False,
    }


def write_counts(counts: QueueCounts) -> JSON:
    """`countDetails`."""
    return {
        "activeMessageCount": counts.active,
        "deadLetterMessageCount": counts.dead_letter,
        "scheduledMessageCount": counts.scheduled,
        "transferMessageCount": counts.transfer,
        "transferDeadLetterMessageCount": counts.transfer_dead_letter,
    }


# Rules


def read_rule(name: str, given: JSON) -> Rule:
    """Raises ArmError (400) for what is no rule."""
    correlation, sql, action = (
        _object(given, key) for key in ("correlationFilter", "sqlFilter", "action")
    )
    kind = str(given.get("filterType") or ("CorrelationFilter" if correlation else "SqlFilter"))
    if kind.lower() not in ("sqlfilter", "correlationfilter"):
        raise refusal("filterType must be SqlFilter or CorrelationFilter.", target="filterType")
    filter_: Filter
    if kind.lower() == "correlationfilter":
        filter_ = _read_correlation(correlation)
    else:
        expression = sql.get("sqlExpression", TRUE_EXPRESSION)
        if not isinstance(expression, str):
            raise refusal("'sqlExpression' must be a text.", target="sqlFilter")
        filter_ = plain_filter(expression)
    expression = action.get("sqlExpression")
    if expression is not None and not isinstance(expression, str):
        raise refusal("'sqlExpression' must be a text.", target="action")
    return Rule(name, filter_, SqlAction(expression) if expression else None)


def plain_filter(expression: str, parameters: dict[str, TypedValue] | None = None) -> Filter:
    """A SQL filter; where it is the one that takes everything or nothing, that one."""
    bare = "".join(expression.split())
    if bare == TRUE_EXPRESSION:
        return TrueFilter()
    if bare == FALSE_EXPRESSION:
        return FalseFilter()
    return SqlFilter(expression, parameters or {})


def _read_correlation(given: JSON) -> CorrelationFilter:
    texts: dict[str, str] = {}
    for name, field in _CORRELATION.items():
        value = given.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise refusal(f"The property '{name}' must be a text.", target=name)
        texts[field] = value
    properties = _object(given, "properties")
    try:
        values = {key: typed(value) for key, value in properties.items()}
    except InvalidOperation as error:
        raise refusal(error.message, target="properties") from error
    return CorrelationFilter(**texts, properties=values)


def write_rule(rule: Rule) -> JSON:
    """A rule's `properties`; an action that does nothing is an empty object, as in the service."""
    action: JSON = {}
    if rule.action is not None:
        action = {"sqlExpression": rule.action.expression, "compatibilityLevel": 20}
    body: JSON = {"action": action}
    filter_ = rule.filter
    if isinstance(filter_, CorrelationFilter):
        texts = {name: getattr(filter_, field) for name, field in _CORRELATION.items()}
        found: JSON = {name: value for name, value in texts.items() if value is not None}
        if filter_.properties:
            found["properties"] = {key: value.text for key, value in filter_.properties.items()}
        return body | {"filterType": "CorrelationFilter", "correlationFilter": found}
    expression = TRUE_EXPRESSION
    if isinstance(filter_, FalseFilter):
        expression = FALSE_EXPRESSION
    elif isinstance(filter_, SqlFilter):
        expression = filter_.expression
    return body | {
        "filterType": "SqlFilter",
        "sqlFilter": {"sqlExpression": expression, "compatibilityLevel": 20},
    }


def _object(given: JSON, name: str) -> JSON:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refusal(f"The property '{name}' must be an object.", target=name)
    return value
