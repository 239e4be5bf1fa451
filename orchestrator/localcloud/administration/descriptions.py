"""Descriptions of entities: the XML of the administration API and the broker's settings.

Settings have the names of Resource Manager, with a capital: the readers are shared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.localcloud.administration.documents import (
    COUNTS,
    INSTANCE,
    SCHEMA,
    SERVICE_BUS,
    Element,
)
from orchestrator.localcloud.durations import LONGEST_TEXT
from orchestrator.localcloud.providers.service_bus.properties import DURATIONS as _DURATIONS
from orchestrator.localcloud.providers.service_bus.properties import (
    accessed,
    moment,
    parse_duration,
    refusal,
)
from orchestrator.localcloud.providers.service_bus.topic_properties import plain_filter
from orchestrator.localcloud.servicebus.model import AccessRule, QueueCounts, Right
from orchestrator.localcloud.servicebus.topics.rules import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    Rule,
    SqlAction,
    SqlFilter,
    TrueFilter,
    TypedValue,
)
from orchestrator.localcloud.xml_text import raw, tag

JSON = dict[str, Any]

_NEARLY_FOREVER = 922337203685.0
# As the service's Atom documents have them; Resource Manager lists them in another order.
_ORDER = (Right.MANAGE, Right.SEND, Right.LISTEN)
_CORRELATION = {
    "CorrelationId": "correlation_id",
    "MessageId": "message_id",
    "To": "to",
    "ReplyTo": "reply_to",
    "Label": "label",
    "SessionId": "session_id",
    "ReplyToSessionId": "reply_to_session_id",
    "ContentType": "content_type",
}
_FORWARDS = ("forwardTo", "forwardDeadLetteredMessagesTo")


def settings_of(description: Element) -> JSON:
    """What a description sets, by the names of Resource Manager.

    Raises:
        ArmError: 400, naming what cannot be read.
    """
    given: JSON = {}
    for element in description.children:
        if element.children or not element.text:
            continue
        name = element.name[:1].lower() + element.name[1:]
        value = element.text
        if name in _DURATIONS and parse_duration(value, name) >= _NEARLY_FOREVER:
            # The longest TimeSpan, as clients with coarser clocks round it.
            value = LONGEST_TEXT
        if name in _FORWARDS:
            value = _entity_of(value, element.name)
        given[name] = value
    return given


def _entity_of(address: str, name: str) -> str:
    """The entity of an address to forward to, which is absolute, as clients make it of a name; in
    the service's words (https://github.com/Azure/azure-sdk-for-java/issues/24235)."""
    scheme, separator, rest = address.partition("://")
    entity = rest.partition("/")[2].strip("/")
    if not (scheme and separator and entity):
        raise refusal(
            "SubCode=40000. BR0012The specified value is in an invalid format. Parameter name: "
            f"{name}.",
            target=name,
        )
    return entity


def write_settings(settings: JSON, host: str, names: Sequence[str]) -> str:
    """Elements for those of `names` that are set. settings: as Resource Manager shows them."""
    parts = []
    for name in names:
        value = settings.get(name)
        if value is None:
            continue
        if name in _FORWARDS:
            value = f"sb://{host}/{value}"
        parts.append(tag(name[:1].upper() + name[1:], value))
    return "".join(parts)


def times(created_at: float, updated_at: float, accessed_at: float | None) -> str:
    """Epoch seconds; accessed_at None: never."""
    return (
        tag("CreatedAt", moment(created_at))
        + tag("UpdatedAt", moment(updated_at))
        + tag("AccessedAt", accessed(accessed_at))
    )


def count_details(counts: QueueCounts) -> str:
    inner = (
        tag("d2p1:ActiveMessageCount", counts.active)
        + tag("d2p1:DeadLetterMessageCount", counts.dead_letter)
        + tag("d2p1:ScheduledMessageCount", counts.scheduled)
        + tag("d2p1:TransferMessageCount", counts.transfer)
        + tag("d2p1:TransferDeadLetterMessageCount", counts.transfer_dead_letter)
    )
    return raw("CountDetails", inner, xmlns__d2p1=COUNTS)


def describe(name: str, inner: str) -> str:
    """The root element of a description."""
    return raw(name, inner, xmlns=SERVICE_BUS, xmlns__i=INSTANCE)


# Shared access rules


def read_access_rules(description: Element) -> list[AccessRule] | None:
    """The shared access rules that a description sets; None if it says nothing of them.

    Raises:
        ArmError: 400.
    """
    element = description.child("AuthorizationRules")
    if element is None:
        return None
    found = []
    for one in element.all("AuthorizationRule"):
        name = one.value("KeyName")
        rights = one.child("Rights")
        try:
            given = frozenset(
                Right(right.text) for right in (rights.children if rights is not None else ())
            )
        except ValueError as error:
            raise refusal(
                f"There is no such right: {error}.", target="AuthorizationRules"
            ) from error
        if not name or not given:
            raise refusal(
                "An authorization rule needs a KeyName and Rights.", target="AuthorizationRules"
            )
        found.append(
            AccessRule(name, given, one.value("PrimaryKey") or "", one.value("SecondaryKey") or "")
        )
    return found


def write_access_rules(rules: Sequence[AccessRule]) -> str:
    return raw(
        "AuthorizationRules",
        "".join(
            raw(
                "AuthorizationRule",
                tag("ClaimType", "SharedAccessKey")
                + tag("ClaimValue", "None")
                + raw(
                    "Rights",
                    "".join(tag("AccessRights", right) for right in _ORDER if right in rule.rights),
                )
                + tag("KeyName", rule.name)
                + tag("PrimaryKey", rule.primary_key)
                + tag("SecondaryKey", rule.secondary_key),
                i__type="SharedAccessAuthorizationRule",
            )
            for rule in rules
        ),
    )


# Rules of subscriptions


def read_rule(name: str, description: Element) -> Rule:
    """Raises ArmError (400) for a filter or an action of an unknown kind."""
    action = description.child("Action")
    expression = None if action is None else action.value("SqlExpression")
    made = None
    if action is not None and action.type == "SqlRuleAction" and expression:
        made = SqlAction(expression, _parameters(action, "Parameters"))
    return Rule(name, _read_filter(description.child("Filter")), made)


def _read_filter(element: Element | None) -> Filter:
    if element is None or element.type == "TrueFilter":
        return TrueFilter()
    if element.type == "FalseFilter":
        return FalseFilter()
    if element.type == "SqlFilter":
        return plain_filter(
            element.value("SqlExpression") or "", _parameters(element, "Parameters")
        )
    if element.type != "CorrelationFilter":
        raise refusal(f"There is no filter of the kind {element.type!r}.", target="Filter")
    texts = {field: text for name, field in _CORRELATION.items() if (text := element.value(name))}
    return CorrelationFilter(**texts, properties=_parameters(element, "Properties"))


def _parameters(element: Element, name: str) -> dict[str, TypedValue]:
    found: dict[str, TypedValue] = {}
    parent = element.child(name)
    for one in parent.children if parent is not None else ():
        value = one.child("Value")
        if value is not None:
            found[one.value("Key") or ""] = TypedValue(value.type or "string", value.text)
    return found


def write_rule(rule: Rule) -> str:
    """A RuleDescription."""
    action = raw("Action", "", i__type="EmptyRuleAction")
    if rule.action is not None:
        action = raw(
            "Action",
            tag("SqlExpression", rule.action.expression)
            + tag("CompatibilityLevel", 20)
            + _write_values("Parameters", rule.action.parameters),
            i__type="SqlRuleAction",
        )
    return describe(
        "RuleDescription",
        _write_filter(rule.filter)
        + action
        + tag("CreatedAt", moment(rule.created_at))
        + tag("Name", rule.name),
    )


def _write_filter(filter_: Filter) -> str:
    if isinstance(filter_, CorrelationFilter):
        texts = "".join(
            tag(name, value)
            for name, field in _CORRELATION.items()
            if (value := getattr(filter_, field)) is not None
        )
        return raw(
            "Filter",
            texts + _write_values("Properties", filter_.properties),
            i__type="CorrelationFilter",
        )
    kind, expression = "TrueFilter", "1=1"
    parameters: dict[str, TypedValue] = {}
    if isinstance(filter_, FalseFilter):
        kind, expression = "FalseFilter", "1=0"
    elif isinstance(filter_, SqlFilter):
        kind, expression, parameters = "SqlFilter", filter_.expression, filter_.parameters
    return raw(
        "Filter",
        tag("SqlExpression", expression)
        + tag("CompatibilityLevel", 20)
        + _write_values("Parameters", parameters),
        i__type=kind,
    )


def _write_values(name: str, values: dict[str, TypedValue]) -> str:
    if not values:
        return ""
    return raw(
        name,
        "".join(
            raw(
                "KeyValueOfstringanyType",
                tag("Key", key)
                + tag("Value", value.text, i__type=f"d6p1:{value.type}", xmlns__d6p1=SCHEMA),
            )
            for key, value in values.items()
        ),
    )
