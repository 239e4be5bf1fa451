"""The administration API through the unmodified ServiceBusAdministrationClient, sync and aio."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.mgmt.servicebus.models import SBQueue
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio.management import (
    ServiceBusAdministrationClient as AsyncAdministrationClient,
)
from azure.servicebus.exceptions import MessagingEntityNotFoundError
from azure.servicebus.management import (
    AccessRights,
    AuthorizationRule,
    CorrelationRuleFilter,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
    TrueRuleFilter,
)

from tests.cloud.administration_world import NAMESPACE, World, alone
from tests.cloud.javascript_program import needs, ran
from tests.cloud.servicebus_bus import AsyncCredential, Credential
from tests.cloud.test_arm_service_bus import GROUP, sdk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from alone(tmp_path_factory.mktemp("cloud"))


@pytest.fixture(scope="module")
def admin(world: World) -> Iterator[ServiceBusAdministrationClient]:
    with ServiceBusAdministrationClient.from_connection_string(
        world.connection_string(), connection_verify=world.cloud.ca
    ) as client:
        yield client


def test_forwarding_to_what_is_not_there_or_from_sessions_is_refused(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    no_target = r"SubCode=40400\. The auto forwarding destination entity 'nowhere' does not exist"
    admin.create_queue("target")
    admin.create_topic("spread")
    for forwards in ("forward_to", "forward_dead_lettered_messages_to"):
        with pytest.raises(HttpResponseError, match=no_target):
            admin.create_queue("source", **{forwards: "nowhere"})
        with pytest.raises(HttpResponseError, match=no_target):
            admin.create_subscription("spread", "one", **{forwards: "nowhere"})
    with sdk(world.cloud) as arm, pytest.raises(HttpResponseError, match=no_target):
        arm.queues.create_or_update(GROUP, NAMESPACE, "source", SBQueue(forward_to="nowhere"))
    with pytest.raises(HttpResponseError, match="requires sessions cannot forward"):
        admin.create_queue("source", requires_session=True, forward_to="target")
    assert admin.create_queue("sorted", requires_session=True, forward_to="spread").forward_to
    admin.delete_queue("sorted")
    assert admin.create_queue("source", forward_to="target").forward_to
    # What went away since stands in no other change's way.
    admin.delete_queue("target")
    source = admin.get_queue("source")
    source.max_delivery_count = 3
    admin.update_queue(source)
    assert admin.get_queue("source").max_delivery_count == 3
    admin.delete_topic("spread")
    admin.delete_queue("source")


def test_a_queue_may_be_changed_to_forward_to_itself_and_what_it_gets_is_kept(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    for forwards in ("forward_to", "forward_dead_lettered_messages_to"):
        with pytest.raises(HttpResponseError, match="entity 'loop' does not exist"):
            admin.create_queue("loop", **{forwards: "loop"})
    loop = admin.create_queue("loop")
    loop.forward_to = loop.forward_dead_lettered_messages_to = f"sb://{world.address}/loop"
    admin.update_queue(loop)
    assert str(admin.get_queue("loop").forward_to).endswith("/loop")
    with sdk(world.cloud) as arm:
        arm.queues.create_or_update(GROUP, NAMESPACE, "loop", SBQueue(forward_to="loop"))
    with ServiceBusClient.from_connection_string(world.messaging) as client:
        with client.get_queue_sender("loop") as sender:
            sender.send_messages(ServiceBusMessage("round and round"))
        with client.get_queue_receiver(
            "loop", sub_queue=ServiceBusSubQueue.TRANSFER_DEAD_LETTER, max_wait_time=20
        ) as receiver:
            (stopped,) = receiver.receive_messages()
            assert stopped.dead_letter_reason == "MaxTransferHopCountExceeded"
            receiver.complete_message(stopped)
    # A subscription may have the name of a queue, and forward to it.
    admin.create_topic("to-loop")
    admin.create_subscription("to-loop", "loop", forward_to="loop")
    admin.delete_topic("to-loop")
    admin.delete_queue("loop")


def test_queues_are_created_changed_listed_and_deleted(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    admin.create_queue("graves")
    made = admin.create_queue(
        "Queues/One",
        lock_duration=timedelta(seconds=30),
        default_message_time_to_live=timedelta(days=2),
        auto_delete_on_idle=timedelta.max,
        max_delivery_count=4,
        dead_lettering_on_message_expiration=True,
        requires_duplicate_detection=True,
        forward_dead_lettered_messages_to="graves",
        user_metadata="a <note> & more",
        authorization_rules=[
            AuthorizationRule(
                type="SharedAccessAuthorizationRule",
                claim_type="SharedAccessKey",
                claim_value="None",
                rights=[AccessRights.LISTEN],
                key_name="reader",
                primary_key="A" * 43 + "=",
                secondary_key="B" * 43 + "=",
            ),
            AuthorizationRule(
                type="SharedAccessAuthorizationRule",
                claim_type="SharedAccessKey",
                claim_value="None",
                rights=[AccessRights.MANAGE, AccessRights.SEND, AccessRights.LISTEN],
                key_name="root",
            ),
        ],
    )
    assert made.name == "Queues/One"
    assert (made.lock_duration, made.max_delivery_count) == (timedelta(seconds=30), 4)
    got = admin.get_queue("queues/one")
    assert got.default_message_time_to_live == timedelta(days=2)
    assert got.user_metadata == "a <note> & more"
    assert got.forward_dead_lettered_messages_to == f"sb://{world.address}/graves"
    assert got.authorization_rules[0].key_name == "reader"
    assert got.authorization_rules[0].rights == [AccessRights.LISTEN]
    assert got.authorization_rules[1].rights == [
        AccessRights.MANAGE,
        AccessRights.SEND,
        AccessRights.LISTEN,
    ]
    got.max_delivery_count = 7
    got.status = "SendDisabled"
    admin.update_queue(got)
    again = admin.get_queue("Queues/One")
    assert (again.max_delivery_count, again.status) == (7, "SendDisabled")
    assert again.forward_dead_lettered_messages_to == f"sb://{world.address}/graves"
    with sdk(world.cloud) as arm:
        assert arm.queues.get(GROUP, NAMESPACE, "Queues~One").max_delivery_count == 7
    with pytest.raises(ResourceExistsError):
        admin.create_queue("queues/one")
    admin.delete_queue("graves")
    admin.delete_queue("Queues/One")
    for gone in (admin.get_queue, admin.delete_queue):
        with pytest.raises(ResourceNotFoundError):
            gone("Queues/One")
    with sdk(world.cloud) as arm, pytest.raises(ResourceNotFoundError):
        arm.queues.get(GROUP, NAMESPACE, "Queues~One")
    with pytest.raises(HttpResponseError):
        admin.update_queue(again)


def test_lists_come_in_pages(admin: ServiceBusAdministrationClient) -> None:
    names = [f"page-{number:03}" for number in range(7)]
    for name in names:
        admin.create_queue(name)
    listed = [queue.name for queue in admin.list_queues(max_page_size=3)]
    assert [name for name in listed if name.startswith("page-")] == names
    assert len(listed) == len(set(listed))
    for name in names:
        admin.delete_queue(name)
    assert not [q for q in admin.list_queues() if q.name.startswith("page-")]


def test_runtime_properties_count(world: World, admin: ServiceBusAdministrationClient) -> None:
    admin.create_queue("counted")
    assert admin.get_queue_runtime_properties("counted").accessed_at_utc.year == 1
    with ServiceBusClient.from_connection_string(world.messaging) as bus:
        with bus.get_queue_sender("counted") as sender:
            sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
        with bus.get_queue_receiver("counted") as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=5)
            receiver.dead_letter_message(message)
    live = admin.get_queue_runtime_properties("counted")
    assert (live.active_message_count, live.dead_letter_message_count) == (1, 1)
    assert live.total_message_count == 2
    assert live.size_in_bytes > 0
    assert live.created_at_utc <= live.accessed_at_utc
    assert [q.name for q in admin.list_queues_runtime_properties()] == ["counted"]
    admin.delete_queue("counted")


def test_topics_subscriptions_and_rules(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    topic = admin.create_topic("Events", support_ordering=True, max_size_in_megabytes=2048)
    assert topic.max_size_in_megabytes == 2048
    admin.create_subscription("events", "One", max_delivery_count=3, lock_duration="PT45S")
    one = admin.get_subscription("Events", "one")
    assert (one.max_delivery_count, one.lock_duration) == (3, timedelta(seconds=45))
    one.dead_lettering_on_message_expiration = True
    admin.update_subscription("Events", one)
    assert admin.get_subscription("events", "one").dead_lettering_on_message_expiration
    (default,) = admin.list_rules("events", "one")
    assert default.name == "$Default"
    assert isinstance(default.filter, TrueRuleFilter)
    admin.delete_rule("events", "one", "$Default")
    parameters = {"@n": 3, "@s": "x", "@f": 1.5, "@b": True, "@d": timedelta(hours=1)}
    admin.create_rule(
        "events",
        "one",
        "sql",
        filter=SqlRuleFilter("quantity > @n AND flag = @b", parameters=parameters),
        action=SqlRuleAction("SET big = TRUE"),
    )
    admin.create_rule(
        "events",
        "one",
        "correlated",
        filter=CorrelationRuleFilter(label="red", properties={"kind": "paint", "n": 2}),
    )
    admin.create_rule("events", "one", "never", filter=FalseRuleFilter())
    sql = admin.get_rule("events", "one", "sql")
    assert isinstance(sql.filter, SqlRuleFilter)
    assert sql.filter.parameters == parameters
    assert sql.action is not None
    assert sql.action.sql_expression == "SET big = TRUE"
    correlated = admin.get_rule("events", "one", "correlated")
    assert isinstance(correlated.filter, CorrelationRuleFilter)
    assert correlated.filter.label == "red"
    assert correlated.filter.properties == {"kind": "paint", "n": 2}
    assert [rule.name for rule in admin.list_rules("events", "one", max_page_size=2)] == [
        "sql",
        "correlated",
        "never",
    ]
    with (
        ServiceBusClient.from_connection_string(world.messaging) as bus,
        bus.get_topic_sender("events") as sender,
    ):
        sender.send_messages(
            [
                ServiceBusMessage("no", application_properties={"quantity": 3, "flag": True}),
                ServiceBusMessage("yes", application_properties={"quantity": 4, "flag": True}),
                ServiceBusMessage(
                    "red", subject="red", application_properties={"kind": "paint", "n": 2}
                ),
            ]
        )
    assert admin.get_subscription_runtime_properties("events", "one").active_message_count == 2
    correlated.filter = SqlRuleFilter("1=0")
    admin.update_rule("events", "one", correlated)
    live = admin.get_topic_runtime_properties("events")
    assert (live.subscription_count, live.name) == (1, "events")
    # Sends are the topic's; nobody has received from the subscription.
    assert live.created_at_utc <= live.accessed_at_utc
    one = admin.get_subscription_runtime_properties("events", "one")
    assert one.accessed_at_utc == one.created_at_utc
    with pytest.raises(HttpResponseError, match="not valid") as refused:
        admin.create_rule("events", "one", "bad", filter=SqlRuleFilter("quantity >"))
    assert refused.value.status_code == 400
    with pytest.raises(ResourceExistsError):
        admin.create_rule("events", "one", "SQL")
    with pytest.raises(ResourceNotFoundError):
        admin.create_rule("events", "two", "any")
    with pytest.raises(ResourceNotFoundError):
        list(admin.list_subscriptions("none"))
    admin.delete_subscription("events", "one")
    assert list(admin.list_subscriptions("events")) == []
    admin.delete_topic("events")
    assert "Events" not in [found.name for found in admin.list_topics()]


def test_the_namespace_describes_itself_on_its_own_host(world: World) -> None:
    port = world.address.rpartition(":")[2]
    host = f"{NAMESPACE}.servicebus.localhost:{port}"
    request = urllib.request.Request(
        f"https://{world.address}/$namespaceinfo?api-version=2021-05",
        headers={
            "Host": host,
            "Authorization": "Bearer "
            + world.cloud.credential.get_token("https://servicebus.azure.net/.default").token,
        },
    )
    context = ssl.create_default_context(cafile=world.cloud.ca)
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        body = response.read().decode()
    assert f"<Name>{NAMESPACE}</Name>" in body
    assert "atom+xml" in response.headers["Content-Type"]


async def test_the_aio_client_with_a_token(world: World) -> None:
    credential = Credential(world.cloud.server.identity.issue)
    async with AsyncAdministrationClient(
        world.address,
        AsyncCredential(credential),  # type: ignore[arg-type]
        connection_verify=world.cloud.ca,
    ) as client:
        properties = await client.get_namespace_properties()
        assert properties.name
        await client.create_queue("by-token")
        assert "by-token" in [queue.name async for queue in client.list_queues()]
        await client.delete_queue("by-token")


async def test_the_connection_string_that_messaging_uses_administers_as_well(world: World) -> None:
    """What listKeys gives names the plain port, and these clients speak HTTPS there."""
    assert "UseDevelopmentEmulator=true" in world.messaging
    with ServiceBusAdministrationClient.from_connection_string(
        world.messaging, connection_verify=world.cloud.ca
    ) as client:
        client.create_queue("both", user_metadata="x" * 1024)
        assert client.get_queue("both").user_metadata == "x" * 1024
    async with AsyncAdministrationClient.from_connection_string(
        world.messaging, connection_verify=world.cloud.ca
    ) as aio:
        assert (await aio.get_queue("both")).name == "both"
        assert "both" in [queue.name async for queue in aio.list_queues()]
        await aio.delete_queue("both")
    address = world.cloud.connection["service_bus"]["amqp"]
    with pytest.raises(urllib.error.HTTPError) as refused:  # others speak HTTP to an emulator
        urllib.request.urlopen(f"http://{address}/both?api-version=2021-05", timeout=10)
    with refused.value as answer:
        assert answer.code == 401
    with (
        ServiceBusClient.from_connection_string(world.messaging) as messaging,
        pytest.raises(MessagingEntityNotFoundError),
        messaging.get_queue_sender("both"),
    ):
        pass


@needs("@azure/service-bus")
@pytest.mark.parametrize("messaging", [False, True], ids=["https port", "messaging's own"])
def test_the_javascript_administration_client(world: World, messaging: bool) -> None:
    reached = world.messaging if messaging else world.connection_string()
    seen = ran("administration.js", reached, ca=world.cloud.ca)
    assert seen == {
        "queue": ["js-queue", "PT30S", 4, "Active"],
        "updated": 9,
        "exists": [True, False],
        "counts": [0, 0, 0],
        "rules": [["first", "1=0"], ["sql", "quantity > @n"], ["red", "red"]],
        "lists": [True, True, ["one"]],
        "errors": [
            ["MessageEntityAlreadyExistsError", 409],
            ["MessageEntityNotFoundError", 404],
            ["ServiceError", 400],
        ],
        "namespace": NAMESPACE,
        "left": False,
    }
