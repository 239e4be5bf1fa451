"""KEDA's arithmetic and its `azure-servicebus` scaler; no time.

Sources: kedacore/keda `pkg/scaling/scaledjob/metrics.go` (queue length and bound of one scaler,
several scalers by `max`), `pkg/scaling/executor/scale_jobs.go` (the decision),
`pkg/scalers/azure_servicebus_scaler.go` (metadata).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.localcloud.runtime.job import Job, ScaleRule
from orchestrator.localcloud.runtime.model import Queues

SERVICE_BUS = "azure-servicebus"
CLOUDS = ("AzurePublicCloud", "AzureUSGovernmentCloud", "AzureChinaCloud")
OPERATIONS = ("sum", "max", "avg")
# What Go's regular expressions, in which these names are written, do not have.
_NOT_IN_GO = re.compile(r"\(\?(?:[=!(]|<[=!]|P[=>])|\\[1-9]")
_CLOUD_SUFFIX = re.compile(r"\.servicebus\.[a-z0-9.-]+$", re.IGNORECASE)


class RuleFault(Exception):  # noqa: N818 - a fault of the rule, reported, not of the program
    """A scale rule cannot be used; the message is a sentence for the system log."""


@dataclass(frozen=True, slots=True)
class ServiceBusRule:
    """A checked rule of type azure-servicebus.

    Attributes:
        name: Name of the rule.
        namespace: Namespace name; "" when the connection string names only an address.
        entity: Queue name, or `<topic>/subscriptions/<subscription>`; with `pattern` the topic, or
            "" for queues.
        label: What messages call the entity: `queue results`.
        message_count: Messages for one execution.
        activation_count: With no more messages than this the rule is inactive.
        pattern: With useRegex: what a queue's or subscription's whole name has to match.
        operation: How the counts of several are put together: sum, max or avg.
        identity: Whose token reads the counts; "" with a connection string.
        key: Name and value of a connection string's key; None with an identity, or a signature.
    """

    name: str
    namespace: str
    entity: str
    label: str
    message_count: int
    activation_count: int
    pattern: re.Pattern[str] | None = None
    operation: str = "sum"
    identity: str = ""
    key: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one rule says at one poll: messages, its bound on executions, whether it is active."""

    length: float
    bound: float
    active: bool


def read_rule(rule: ScaleRule, job: Job) -> ServiceBusRule:
    """Check a rule as KEDA does when it builds the scaler.

    Raises:
        RuleFault: The rule cannot be used, and why.
    """
    if rule.type.lower() != SERVICE_BUS:
        raise RuleFault(
            f"no scaler found for type: {rule.type or '(none)'}; "
            f"the local cloud has the scaler {SERVICE_BUS}"
        )
    metadata = rule.metadata
    operation = metadata.get("operation") or "sum"
    if operation not in OPERATIONS:
        raise RuleFault(
            f"parameter operation value {operation!r} must be one of {', '.join(OPERATIONS)}"
        )
    entity, label, pattern = _entity(metadata, regex=_flag(metadata, "useRegex"))
    namespace, key = _namespace(rule, job)
    return ServiceBusRule(
        name=rule.name,
        namespace=namespace,
        key=key,
        entity=entity,
        label=label,
        message_count=_number(metadata, "messageCount", 5),
        activation_count=_number(metadata, "activationMessageCount", 0),
        pattern=pattern,
        operation=operation,
        identity=rule.identity,
    )


def waiting(rule: ServiceBusRule, queues: Queues) -> int | None:
    """Active messages that a rule counts; None when what it names does not exist.

    With a pattern that nothing matches there is nothing to count, which is no fault: 0, as in KEDA.
    """
    if rule.pattern is None:
        return queues.length(rule.namespace, rule.entity)
    names = queues.names(rule.namespace, rule.entity)
    if names is None:
        return None
    path = f"{rule.entity}/subscriptions/" if rule.entity else ""
    counts = [
        count
        for name in names
        if rule.pattern.fullmatch(name)
        and (count := queues.length(rule.namespace, path + name)) is not None
    ]
    if rule.operation == "max":
        return max(counts, default=0)
    total = sum(counts)
    return total // len(counts) if rule.operation == "avg" and counts else total


def reading(rule: ServiceBusRule, length: int, most: int) -> Reading:
    """The reading of a rule whose entity holds `length` active messages.

    Args:
        rule: The rule.
        length: ActiveMessageCount.
        most: max_executions - min_executions.
    """
    wanted = length / rule.message_count if rule.message_count else 0.0
    return Reading(
        length=float(length), bound=min(wanted, float(most)), active=length > rule.activation_count
    )


def room(minimum: int, maximum: int) -> int:
    """KEDA's MaxReplicaCount(): what may run beyond the minimum; with min > max, the maximum."""
    return maximum - min(minimum, maximum)


def executions_to_start(
    readings: Sequence[Reading], *, running: int, minimum: int, maximum: int
) -> int:
    """How many executions a poll starts (KEDA's default strategy).

    Of several rules the active one with the longest queue decides.

    Args:
        readings: What the working rules say.
        running: Unfinished executions of the job.
        minimum: minExecutions.
        maximum: maxExecutions.
    """
    minimum = min(minimum, maximum)
    length = bound = 0.0
    active = minimum > 0
    for item in readings:
        if item.active and item.length > length:
            length, bound, active = item.length, item.bound, True
    if not active:
        return 0
    if running < minimum:
        return minimum - running
    effective = math.ceil(min(bound, room(minimum, maximum))) - (running - minimum)
    return max(0, min(math.ceil(length), effective))


def connection_namespace(connection: str) -> str:
    """The namespace that a connection string names; "" when it names only an address.

    Raises:
        RuleFault: It is not a Service Bus connection string. Never quotes it: it holds a key.
    """
    parts = _connection(connection)
    endpoint = re.fullmatch(r"sb://([^/:]+)(:\d+)?/?", parts.get("endpoint", ""), re.IGNORECASE)
    keyed = "sharedaccesskeyname" in parts and "sharedaccesskey" in parts
    if endpoint is None or not (keyed or "sharedaccesssignature" in parts):
        raise RuleFault(
            "the connection string is not one of Service Bus: it needs Endpoint=sb://..., "
            "SharedAccessKeyName and SharedAccessKey"
        )
    host = endpoint[1]
    return host.partition(".")[0] if _CLOUD_SUFFIX.search(host) else ""


def _connection(text: str) -> dict[str, str]:
    """The parts of a connection string by their names in small letters."""
    parts = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, sign, value in parts if sign}


def _entity(metadata: Mapping[str, str], *, regex: bool) -> tuple[str, str, re.Pattern[str] | None]:
    queue = metadata.get("queueName", "")
    topic = metadata.get("topicName", "")
    subscription = metadata.get("subscriptionName", "")
    if queue and subscription:
        raise RuleFault("subscription name provided with queue name")
    if queue and topic:
        raise RuleFault("both topic and queue name metadata provided")
    if topic and not subscription:
        raise RuleFault("no subscription name provided with topic name")
    if topic and regex:
        return topic, f"topic {topic}", _pattern("subscriptionName", subscription)
    if topic:
        entity = f"{topic}/subscriptions/{subscription}"
        return entity, f"subscription {subscription} of {topic}", None
    if not queue:
        raise RuleFault("no service bus entity type set: the rule's metadata has no queueName")
    if regex:
        return "", f"queue {queue}", _pattern("queueName", queue)
    return queue, f"queue {queue}", None


def _pattern(key: str, text: str) -> re.Pattern[str]:
    try:
        if _NOT_IN_GO.search(text.replace("\\\\", "")):
            raise ValueError(text)
        return re.compile(text)
    except (re.error, ValueError):
        raise RuleFault(f"{key} is not a valid regular expression") from None


def _namespace(rule: ScaleRule, job: Job) -> tuple[str, tuple[str, str] | None]:
    """The namespace, and the key of a connection string."""
    # As in KEDA, an identity goes before a connection string.
    if rule.identity:
        # `system-environment` is the managed environment's identity, which always has one here.
        if rule.identity.lower() not in job.identities | {"system-environment"}:
            raise RuleFault(
                f"identity {rule.identity} is not assigned to job {job.name}; "
                "assign it, or name one that is"
            )
        namespace = rule.metadata.get("namespace", "")
        if not namespace:
            raise RuleFault("namespace are required when using pod identity")
        _check_cloud(rule.metadata)
        return _CLOUD_SUFFIX.sub("", namespace), None
    secret = rule.auth.get("connection", "")
    if not secret:
        raise RuleFault(
            "no connection setting given: the rule has neither an identity nor a secret for the "
            "trigger parameter connection"
        )
    value = job.secrets.get(secret.lower())
    if value is None:
        raise RuleFault(f"secret {secret} is not among the secrets of job {job.name}")
    parts = _connection(value)
    name, key = parts.get("sharedaccesskeyname"), parts.get("sharedaccesskey")
    return connection_namespace(value), (name, key) if name and key else None


def _check_cloud(metadata: Mapping[str, str]) -> None:
    """The cloud of an identity's namespace; a connection string names its host itself."""
    cloud = metadata.get("cloud", "")
    if cloud.lower() == "private":
        if not metadata.get("endpointSuffix"):
            raise RuleFault(f"endpointSuffix must be provided for {cloud} cloud type")
    elif cloud and cloud.lower() not in map(str.lower, CLOUDS):
        raise RuleFault(f"invalid cloud environment {cloud}")


def _number(metadata: Mapping[str, str], key: str, default: int) -> int:
    text = metadata.get(key, "")
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise RuleFault(f"unable to set param {key} value {text!r}: it is not a number") from None


def _flag(metadata: Mapping[str, str], key: str) -> bool:
    text = metadata.get(key, "").lower()
    if text not in ("", "true", "false"):
        raise RuleFault(f"unable to set param {key} value {text!r}: it is neither true nor false")
    return text == "true"
