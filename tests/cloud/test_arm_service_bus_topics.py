"""Topics, subscriptions and rules through the unmodified azure-mgmt-servicebus SDK."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.servicebus import ServiceBusManagementClient
from azure.mgmt.servicebus.models import (
    Action,
    CorrelationFilter,
    Rule,
    SBAuthorizationRule,
    SBNamespace,
    SBQueue,
    SBSku,
    SBSubscription,
    SBTopic,
    SqlFilter,
)
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from orchestrator.localcloud.waiting_messages import WaitingMessages
from tests.cloud.test_arm_service_bus import GROUP, group_path, rest, sdk
from tests.conftest import CloudInThread


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ServiceBusManagementClient]:
    rest(cloud, "PUT", group_path(cloud), {"location": "westeurope"})
    with sdk(cloud) as client:
        yield client


@pytest.fixture(scope="module")
def namespace(client: ServiceBusManagementClient) -> str:
    name = f"topics-{uuid.uuid4().hex[:8]}"
    client.namespaces.begin_create_or_update(
        GROUP, name, SBNamespace(location="westeurope", sku=SBSku(name="Standard"))
    ).result()
    return name


def test_topics_subscriptions_and_rules_live_and_count(
    cloud: CloudInThread, client: ServiceBusManagementClient, namespace: str
) -> None:
    made = client.topics.create_or_update(
        GROUP,
        namespace,
        "events",
        SBTopic(default_message_time_to_live=timedelta(days=1), support_ordering=True),
    )
    assert made.subscription_count == 0
    assert made.default_message_time_to_live == timedelta(days=1)
    of = (GROUP, namespace, "events")
    one = client.subscriptions.create_or_update(
        *of, "one", SBSubscription(lock_duration=timedelta(seconds=30), max_delivery_count=3)
    )
    assert (one.lock_duration, one.max_delivery_count) == (timedelta(seconds=30), 3)
    assert [rule.name for rule in client.rules.list_by_subscriptions(*of, "one")] == ["$Default"]
    client.rules.delete(*of, "one", "$Default")
    sql = client.rules.create_or_update(
        *of,
        "one",
        "big",
        Rule(
            filter_type="SqlFilter",
            sql_filter=SqlFilter(sql_expression="quantity > 3"),
            action=Action(sql_expression="SET big = TRUE"),
        ),
    )
    assert sql.sql_filter.sql_expression == "quantity > 3"
    client.rules.create_or_update(
        *of,
        "one",
        "red",
        Rule(
            filter_type="CorrelationFilter",
            correlation_filter=CorrelationFilter(label="red", properties={"kind": "paint"}),
        ),
    )
    red = client.rules.get(*of, "one", "red")
    assert red.correlation_filter.label == "red"
    assert red.correlation_filter.properties == {"kind": "paint"}
    keys = client.namespaces.list_keys(GROUP, namespace, "RootManageSharedAccessKey")
    with (
        ServiceBusClient.from_connection_string(keys.primary_connection_string) as bus,
        bus.get_topic_sender("events") as sender,
    ):
        sender.send_messages(
            [
                ServiceBusMessage("few", application_properties={"quantity": 1}),
                ServiceBusMessage("many", application_properties={"quantity": 4}),
                ServiceBusMessage("red", subject="red", application_properties={"kind": "paint"}),
            ]
        )
    shown = client.subscriptions.get(*of, "one")
    assert shown.message_count == 2
    assert shown.count_details.active_message_count == 2
    topic = client.topics.get(*of)
    assert topic.subscription_count == 1
    assert topic.size_in_bytes > 0
    assert cloud.call(_counted(cloud, namespace)) == (2, ["one"])


async def _counted(cloud: CloudInThread, namespace: str) -> tuple[int | None, list[str] | None]:
    """What the scaler is told of a subscription and of its topic."""
    queues = WaitingMessages(cloud.server.broker, cloud.server.bus_access)
    assert queues.names(namespace, "nowhere") is None
    assert queues.names("nowhere", "events") is None
    length = queues.length(namespace, "events/subscriptions/one")
    return length, queues.names(namespace, "events")


def test_what_cannot_be_is_refused(client: ServiceBusManagementClient, namespace: str) -> None:
    of = (GROUP, namespace, "refusing")
    client.topics.create_or_update(*of, SBTopic())
    client.subscriptions.create_or_update(*of, "one", SBSubscription(requires_session=False))
    with pytest.raises(HttpResponseError, match="not valid") as refused:
        client.rules.create_or_update(
            *of,
            "one",
            "bad",
            Rule(filter_type="SqlFilter", sql_filter=SqlFilter(sql_expression="quantity >")),
        )
    assert refused.value.status_code == 400
    with pytest.raises(HttpResponseError, match="RequiresSession"):
        client.subscriptions.create_or_update(*of, "one", SBSubscription(requires_session=True))
    with pytest.raises(ResourceNotFoundError):
        client.subscriptions.get(*of, "two")
    with pytest.raises(ResourceNotFoundError):
        client.rules.get(*of, "one", "bad")


def test_deleting_a_topic_takes_everything_of_it_along(
    client: ServiceBusManagementClient, namespace: str
) -> None:
    of = (GROUP, namespace, "going")
    client.topics.create_or_update(*of, SBTopic())
    client.subscriptions.create_or_update(*of, "one", SBSubscription())
    client.topics.create_or_update_authorization_rule(
        *of, "reader", SBAuthorizationRule(rights=["Listen"])
    )
    assert client.topics.list_keys(*of, "reader").key_name == "reader"
    client.topics.delete(*of)
    with pytest.raises(ResourceNotFoundError):
        client.subscriptions.get(*of, "one")
    assert "going" not in [topic.name for topic in client.topics.list_by_namespace(*of[:2])]


@pytest.fixture(scope="module")
def basic(client: ServiceBusManagementClient) -> str:
    """A namespace of the tier Basic."""
    name = f"basic-{uuid.uuid4().hex[:8]}"
    client.namespaces.begin_create_or_update(
        GROUP, name, SBNamespace(location="westeurope", sku=SBSku(name="Basic"))
    ).result()
    return name


def test_an_entity_of_the_premium_tier_is_larger(client: ServiceBusManagementClient) -> None:
    name = f"premium-{uuid.uuid4().hex[:8]}"
    client.namespaces.begin_create_or_update(
        GROUP, name, SBNamespace(location="westeurope", sku=SBSku(name="Premium", capacity=1))
    ).result()
    queue = client.queues.create_or_update(GROUP, name, "q", SBQueue(max_size_in_megabytes=81920))
    topic = client.topics.create_or_update(GROUP, name, "t", SBTopic(max_size_in_megabytes=10240))
    assert (queue.max_size_in_megabytes, topic.max_size_in_megabytes) == (81920, 10240)
    assert queue.max_message_size_in_kilobytes == topic.max_message_size_in_kilobytes == 1024
    for create, settings in (
        (client.queues.create_or_update, SBQueue(max_message_size_in_kilobytes=256)),
        (client.topics.create_or_update, SBTopic(max_message_size_in_kilobytes=256)),
    ):
        with pytest.raises(HttpResponseError, match="must be between 1024 and 102400"):
            create(GROUP, name, "small", settings)
    client.subscriptions.create_or_update(GROUP, name, "t", "s", SBSubscription())


def test_the_basic_tier_has_no_topics(client: ServiceBusManagementClient, basic: str) -> None:
    name = basic
    with pytest.raises(HttpResponseError) as caught:
        client.topics.create_or_update(GROUP, name, "events", SBTopic())
    assert caught.value.status_code == 400
    assert f"because the namespace '{name}' is using 'Basic' tier" in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("RequiresSession", True),
        ("RequiresDuplicateDetection", True),
        ("ForwardTo", "plain"),
        ("ForwardDeadLetteredMessagesTo", "plain"),
        ("AutoDeleteOnIdle", timedelta(minutes=5)),
    ],
)
def test_a_queue_of_the_basic_tier_is_plain(
    client: ServiceBusManagementClient, basic: str, setting: str, value: Any
) -> None:
    client.queues.create_or_update(GROUP, basic, "plain", SBQueue(max_delivery_count=3))
    attribute = re.sub("(?<!^)(?=[A-Z])", "_", setting).lower()
    with pytest.raises(HttpResponseError) as caught:
        client.queues.create_or_update(GROUP, basic, "rich", SBQueue(**{attribute: value}))
    assert caught.value.status_code == 400
    words = f"The property '{setting}' cannot be set when creating a Queue because the namespace"
    assert f"{words} '{basic}' is using 'Basic' tier" in str(caught.value)
