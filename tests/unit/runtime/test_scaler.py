"""KEDA's arithmetic and its service bus scaler's settings, re-expressed.

The tables follow kedacore/keda: pkg/scaling/executor/scale_jobs_test.go (default strategy,
minimum; Container Apps has no other strategy), pkg/scaling/scaledjob (a rule has one metric, so
its average target is its messageCount) and pkg/scalers/azure_servicebus_scaler_test.go, row by row.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.runtime.job import Job, ScaleRule, read_job
from orchestrator.localcloud.runtime.scaler import (
    Reading,
    RuleFault,
    ServiceBusRule,
    connection_namespace,
    executions_to_start,
    read_rule,
    reading,
    room,
    waiting,
)
from tests.unit.runtime.doubles import job_resource

KEY = "Endpoint=sb://space.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=c2Vj="
IDENTITY = (
    "/subscriptions/0/resourceGroups/Local/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/jobs"
)


def rule(count: int = 5, activation: int = 0) -> ServiceBusRule:
    return ServiceBusRule("r", "space", "results", "queue results", count, activation)


def decide(
    length: int, running: int, minimum: int, maximum: int, count: int = 5, activation: int = 0
) -> int:
    found = reading(rule(count, activation), length, room(minimum, maximum))
    return executions_to_start([found], running=running, minimum=minimum, maximum=maximum)


@pytest.mark.parametrize(
    ("length", "running", "minimum", "maximum", "count", "activation", "expected"),
    [
        # The sample receiver: minimum 1, maximum 10, 5 messages each, 100 waiting.
        (100, 0, 1, 10, 5, 0, 1),
        (100, 1, 1, 10, 5, 0, 9),
        (100, 10, 1, 10, 5, 0, 0),
        # TestDefaultScalingStrategy: bound 3, 2 running -> 1; bound 2, none running -> 2.
        (3, 2, 0, 5, 1, 0, 1),
        (2, 0, 0, 5, 1, 0, 2),
        # TestRunningJobCountSmallerMinReplicaCount, TestRunningJobCountIsDeducted...
        (0, 0, 2, 100, 5, 0, 2),
        (0, 1, 2, 100, 5, 0, 1),
        # TestRunningJobCountGreaterOrEqualMinReplicaCountExecutesScalingStrategy
        (2, 1, 1, 3, 1, 0, 2),
        # Nothing waits, nothing starts.
        (0, 0, 0, 10, 5, 0, 0),
        # A part of a batch asks for one execution.
        (1, 0, 0, 10, 5, 0, 1),
        (6, 0, 0, 10, 5, 0, 2),
        (6, 1, 0, 10, 5, 0, 1),
        # The bound counts what runs, whatever it works on.
        (5, 1, 0, 10, 5, 0, 0),
        # Never more executions than messages.
        (2, 0, 0, 100, 1, 0, 2),
        # The maximum.
        (1000, 0, 0, 10, 5, 0, 10),
        (1000, 7, 0, 10, 5, 0, 3),
        (1000, 12, 0, 10, 5, 0, 0),
        (1000, 0, 0, 0, 5, 0, 0),
        # minimum > maximum: both are the maximum.
        (0, 0, 7, 3, 5, 0, 3),
        (1000, 3, 7, 3, 5, 0, 0),
        # Not more than the activation count: inactive; one more: active, in full.
        (10, 0, 0, 10, 5, 10, 0),
        (11, 0, 0, 10, 5, 10, 3),
        (10, 0, 1, 10, 5, 10, 1),
        (10, 1, 1, 10, 5, 10, 0),
        # messageCount 0 asks for nothing.
        (10, 0, 0, 10, 0, 0, 0),
    ],
)
def test_the_decision(
    length: int,
    running: int,
    minimum: int,
    maximum: int,
    count: int,
    activation: int,
    expected: int,
) -> None:
    assert decide(length, running, minimum, maximum, count, activation) == expected


def test_of_several_rules_the_active_one_with_the_longest_queue_decides() -> None:
    long_but_coarse = Reading(length=100, bound=1, active=True)
    short_but_fine = Reading(length=20, bound=20, active=True)
    inactive = Reading(length=1000, bound=100, active=False)
    readings = [short_but_fine, inactive, long_but_coarse]
    assert executions_to_start(readings, running=0, minimum=0, maximum=100) == 1


def test_without_a_working_rule_only_the_minimum_runs() -> None:
    assert executions_to_start([], running=0, minimum=0, maximum=10) == 0
    assert executions_to_start([], running=0, minimum=2, maximum=10) == 2


@given(
    length=st.integers(0, 10_000),
    running=st.integers(0, 200),
    minimum=st.integers(0, 120),
    maximum=st.integers(0, 120),
    count=st.integers(1, 50),
)
def test_never_more_run_than_the_maximum_and_the_formula_of_the_facts_holds(
    length: int, running: int, minimum: int, maximum: int, count: int
) -> None:
    started = decide(length, running, minimum, maximum, count)
    assert started >= 0
    assert started == 0 or running + started <= maximum
    low = min(minimum, maximum)
    most = maximum - low
    if length == 0 and low == 0:
        expected = 0
    elif running < low:
        expected = low - running
    else:
        expected = max(0, min(length, math.ceil(min(length / count, most)) - (running - low)))
    assert started == expected


def job(**kwargs: object) -> Job:
    return read_job(job_resource(trigger="Event", **kwargs))  # type: ignore[arg-type]


def with_key(metadata: dict[str, str]) -> ServiceBusRule:
    keyed = job(secrets=[{"name": "key", "value": KEY}])
    return read_rule(ScaleRule("r", "azure-servicebus", metadata, {"connection": "KEY"}), keyed)


def with_identity(metadata: dict[str, str], identity: str = IDENTITY) -> ServiceBusRule:
    owner = job(identity={"type": "UserAssigned", "userAssignedIdentities": {IDENTITY.upper(): {}}})
    return read_rule(ScaleRule("r", "azure-servicebus", metadata, {}, identity), owner)


def test_a_queue_with_its_defaults() -> None:
    keyed = with_key({"queueName": "results"})
    assert keyed == replace(rule(), key=("Root", "c2Vj="))
    assert "c2Vj=" not in repr(keyed)
    assert with_identity({"queueName": "results", "namespace": "space"}) == replace(
        rule(), identity=IDENTITY
    )


def test_counts_are_read_from_texts() -> None:
    found = with_key({"queueName": "q", "messageCount": "7", "activationMessageCount": "3"})
    assert (found.message_count, found.activation_count) == (7, 3)


def test_a_namespace_may_be_given_in_full() -> None:
    found = with_identity({"queueName": "q", "namespace": "space.servicebus.windows.net"})
    assert found.namespace == "space"


def test_a_subscription_is_asked_for_by_its_path() -> None:
    found = with_key({"topicName": "t", "subscriptionName": "s"})
    assert found.entity == "t/subscriptions/s"


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({}, "no service bus entity type set"),
        ({"queueName": "q", "topicName": "t"}, "both topic and queue name"),
        ({"queueName": "q", "subscriptionName": "s"}, "subscription name provided with queue name"),
        ({"topicName": "t"}, "no subscription name provided with topic name"),
        ({"subscriptionName": "s"}, "no service bus entity type set"),
        ({"queueName": "q", "activationMessageCount": "AA"}, "activationMessageCount"),
        ({"queueName": "q", "messageCount": "many"}, "messageCount"),
        ({"queueName": "q", "useRegex": "ababa"}, "useRegex"),
        ({"queueName": "*", "useRegex": "true"}, "queueName is not a valid regular expression"),
        ({"queueName": "(?=a)", "useRegex": "true"}, "queueName is not a valid"),
        ({"queueName": r"(a)\1", "useRegex": "true"}, "queueName is not a valid"),
    ],
)
def test_wrong_metadata_is_refused_with_kedas_words(metadata: dict[str, str], why: str) -> None:
    with pytest.raises(RuleFault, match=why):
        with_key(metadata)


def test_a_rule_needs_a_connection_or_an_identity_with_a_namespace() -> None:
    plain = ScaleRule("r", "azure-servicebus", {"queueName": "q"})
    with pytest.raises(RuleFault, match="no connection setting given"):
        read_rule(plain, job())
    with pytest.raises(RuleFault, match="namespace are required when using pod identity"):
        with_identity({"queueName": "q"})
    with pytest.raises(RuleFault, match="is not assigned to job sender"):
        with_identity({"queueName": "q", "namespace": "space"}, "/subscriptions/0/other")
    with pytest.raises(RuleFault, match="secret key is not among the secrets"):
        read_rule(
            ScaleRule("r", "azure-servicebus", {"queueName": "q"}, {"connection": "key"}), job()
        )


QUEUE = {"queueName": "testqueue"}
TOPIC = {"topicName": "testtopic", "subscriptionName": "testsubscription"}
REGEX = {"useRegex": "true"}
QUEUE_ENTITY, SUBSCRIPTION = "testqueue", "testtopic/subscriptions/testsubscription"


@pytest.mark.parametrize(
    ("metadata", "auth", "entity"),
    # parseServiceBusMetadataDataset. `key`: a connection string, as its connectionFromEnv or its
    # auth parameter; `identity`: its workload identity. None: an error.
    [
        ({}, "key", None),
        (QUEUE, "key", QUEUE_ENTITY),
        (QUEUE | {"messageCount": "1000"}, "key", QUEUE_ENTITY),
        (TOPIC, "key", SUBSCRIPTION),
        (TOPIC | {"messageCount": "1000"}, "key", SUBSCRIPTION),
        (QUEUE | {"topicName": "testtopic"}, "key", None),
        (QUEUE | {"subscriptionName": "testsubscription"}, "key", None),
        ({"topicName": "testtopic"}, "key", None),
        ({"subscriptionName": "testsubscription"}, "key", None),
        (QUEUE | {"cloud": "AzureChinaCloud"}, "key", QUEUE_ENTITY),
        (QUEUE | {"cloud": "InvalidCloud"}, "identity", None),
        (
            QUEUE | {"cloud": "Private", "endpointSuffix": "servicebus.private.cloud"},
            "key",
            QUEUE_ENTITY,
        ),
        (QUEUE | {"cloud": "Private"}, "identity", None),
        (QUEUE | {"endpointSuffix": "ignored"}, "key", QUEUE_ENTITY),
        (QUEUE, "none", None),
        (QUEUE, "identity", None),
        (QUEUE | {"namespace": "ns"}, "identity", QUEUE_ENTITY),
        (QUEUE | {"messageCount": "1000", "activationMessageCount": "AA"}, "key", None),
        (QUEUE | {"useRegex": "ababa"}, "key", None),
        (QUEUE | {"useRegex": "false"}, "key", QUEUE_ENTITY),
        (QUEUE | REGEX | {"operation": "avg"}, "key", ""),
        (QUEUE | REGEX | {"operation": "sum"}, "key", ""),
        (QUEUE | REGEX | {"operation": "max"}, "key", ""),
        (QUEUE | REGEX, "key", ""),
        (QUEUE | REGEX | {"operation": "random"}, "key", None),
        (REGEX | {"queueName": "*", "operation": "avg"}, "key", None),
        (TOPIC | {"useRegex": "ababa"}, "key", None),
        (TOPIC | {"useRegex": "false"}, "key", SUBSCRIPTION),
        (TOPIC | REGEX | {"operation": "avg"}, "key", "testtopic"),
        (TOPIC | REGEX | {"operation": "sum"}, "key", "testtopic"),
        (TOPIC | REGEX | {"operation": "max"}, "key", "testtopic"),
        (TOPIC | REGEX | {"operation": "random"}, "key", None),
        (
            REGEX | {"topicName": "testtopic", "subscriptionName": "*", "operation": "avg"},
            "key",
            None,
        ),
        # Beyond KEDA's rows: the cloud of an identity's namespace.
        (QUEUE | {"namespace": "ns", "cloud": "InvalidCloud"}, "identity", None),
        (QUEUE | {"namespace": "ns", "cloud": "private"}, "identity", None),
        (
            QUEUE | {"namespace": "ns", "cloud": "Private", "endpointSuffix": "x.y"},
            "identity",
            QUEUE_ENTITY,
        ),
        (QUEUE | {"namespace": "ns", "cloud": "azurechinacloud"}, "identity", QUEUE_ENTITY),
    ],
)
def test_the_metadata_table_of_keda(
    metadata: dict[str, str], auth: str, entity: str | None
) -> None:
    def read() -> ServiceBusRule:
        if auth == "key":
            return with_key(metadata)
        if auth == "identity":
            return with_identity(metadata)
        return read_rule(ScaleRule("r", "azure-servicebus", metadata), job())

    if entity is None:
        with pytest.raises(RuleFault):
            read()
    else:
        found = read()
        assert found.entity == entity
        assert found.message_count == int(metadata.get("messageCount", 5))
        assert (found.pattern is not None) == (metadata.get("useRegex") == "true")
        assert found.operation == metadata.get("operation", "sum")


class Waiting:
    """Queues and subscriptions of the namespace `space` that has the topic `events`."""

    counts: ClassVar[dict[str, int]] = {
        "orders": 5,
        "orders-eu": 9,
        "eu-orders": 100,
        "events/subscriptions/a1": 3,
        "events/subscriptions/b1": 4,
    }

    def length(self, namespace: str, entity: str) -> int | None:
        return self.counts.get(entity) if namespace == "space" else None

    def names(self, namespace: str, topic: str) -> list[str] | None:
        if namespace != "space" or topic not in ("", "events"):
            return None
        if topic:
            return [n.rpartition("/")[2] for n in self.counts if "/" in n]
        return [n for n in self.counts if "/" not in n]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        # getQueueLength, getSubscriptionLength, performOperation: a whole name has to match.
        ({"queueName": "orders.*"}, 14),
        ({"queueName": "orders.*", "operation": "sum"}, 14),
        ({"queueName": "orders.*", "operation": "max"}, 9),
        ({"queueName": "orders.*", "operation": "avg"}, 7),
        ({"queueName": "orders"}, 5),
        ({"queueName": "orders|orders-eu"}, 14),  # the longest match, as Go's Longest() has it
        ({"queueName": "(?i)ORDERS"}, 5),
        ({"queueName": "none.*", "operation": "avg"}, 0),
        ({"topicName": "events", "subscriptionName": "[ab]1", "operation": "avg"}, 3),
        ({"topicName": "events", "subscriptionName": "[ab]1", "operation": "max"}, 4),
        ({"topicName": "nowhere", "subscriptionName": ".*"}, None),
    ],
)
def test_with_a_pattern_several_queues_count(
    metadata: dict[str, str], expected: int | None
) -> None:
    assert waiting(with_key(metadata | REGEX), Waiting()) == expected


def test_one_queue_counts_alone() -> None:
    assert waiting(with_key({"queueName": "orders"}), Waiting()) == 5
    assert waiting(with_key({"queueName": "nowhere"}), Waiting()) is None


@pytest.mark.parametrize("kind", ["redis", "azure-queue", "", "cron"])
def test_other_scalers_are_refused_by_name(kind: str) -> None:
    with pytest.raises(RuleFault, match=f"no scaler found for type: {kind or '.none.'}"):
        read_rule(ScaleRule("r", kind, {}), job())


@pytest.mark.parametrize(
    ("connection", "namespace"),
    [
        (KEY, "space"),
        (KEY + ";EntityPath=results", "space"),
        (KEY.replace("space.", "Space."), "Space"),
        (
            "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;",
            "",
        ),
        ("Endpoint=sb://127.0.0.1:14671;SharedAccessKeyName=a;SharedAccessKey=b", ""),
        ("Endpoint=sb://x.servicebus.localhost/;SharedAccessSignature=s", "x"),
    ],
)
def test_the_namespace_of_a_connection_string(connection: str, namespace: str) -> None:
    assert connection_namespace(connection) == namespace


@pytest.mark.parametrize(
    "text", ["", "secret-value", "Endpoint=https://x;SharedAccessKey=secret-value"]
)
def test_what_is_no_connection_string_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(RuleFault) as fault:
        connection_namespace(text)
    assert "secret-value" not in str(fault.value)
