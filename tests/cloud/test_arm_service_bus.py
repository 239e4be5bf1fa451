"""Microsoft.ServiceBus of the local cloud through the unmodified azure-mgmt-servicebus SDK."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.mgmt.servicebus import ServiceBusManagementClient
from azure.mgmt.servicebus.models import (
    CheckNameAvailability,
    RegenerateAccessKeyParameters,
    SBAuthorizationRule,
    SBAuthorizationRuleProperties,
    SBNamespace,
    SBQueue,
    SBQueueProperties,
    SBSku,
)
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import MessagingEntityNotFoundError

from tests.conftest import CloudInThread

GROUP = "service-bus"


def sdk(cloud: CloudInThread) -> ServiceBusManagementClient:
    base = cloud.connection["resource_manager"]
    return ServiceBusManagementClient(
        cloud.credential,
        cloud.connection["subscription"],
        base_url=base,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=cloud.ca,
        polling_interval=0.2,
    )


def rest(cloud: CloudInThread, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A request as curl would send it: status and parsed body."""
    request = urllib.request.Request(
        f"{cloud.connection['resource_manager']}{path}?api-version=2021-11-01",
        None if body is None else json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {cloud.credential.text()}",
            "Content-Type": "application/json",
        },
        method=method,
    )
    context = ssl.create_default_context(cafile=cloud.ca)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def group_path(cloud: CloudInThread) -> str:
    return f"/subscriptions/{cloud.connection['subscription']}/resourceGroups/{GROUP}"


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ServiceBusManagementClient]:
    rest(cloud, "PUT", group_path(cloud), {"location": "westeurope"})
    with sdk(cloud) as client:
        yield client


@pytest.fixture(scope="module")
def namespace(client: ServiceBusManagementClient) -> str:
    name = f"Bus-{uuid.uuid4().hex[:8]}"
    client.namespaces.begin_create_or_update(
        GROUP, name, SBNamespace(location="westeurope", sku=SBSku(name="Standard"))
    ).result()
    return name


@pytest.fixture
def queue(client: ServiceBusManagementClient, namespace: str) -> str:
    name = f"queue-{uuid.uuid4().hex[:8]}"
    client.queues.create_or_update(GROUP, namespace, name, SBQueue())
    return name


def connect(client: ServiceBusManagementClient, namespace: str) -> ServiceBusClient:
    """A messaging client from the namespace's own connection string, as a user copies it."""
    keys = client.namespaces.list_keys(GROUP, namespace, "RootManageSharedAccessKey")
    assert keys.primary_connection_string is not None
    return ServiceBusClient.from_connection_string(keys.primary_connection_string)


def test_a_namespace_is_created_shown_changed_and_deleted(
    client: ServiceBusManagementClient,
) -> None:
    name = f"short-{uuid.uuid4().hex[:8]}"
    made = client.namespaces.begin_create_or_update(
        GROUP, name, SBNamespace(location="West Europe", tags={"a": "b"})
    ).result()
    assert made.name == name
    assert made.properties is not None
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.status == "Active"
    assert made.properties.service_bus_endpoint == f"https://{name}.servicebus.windows.net:443/"
    assert made.properties.created_at is not None
    assert made.sku is not None
    assert made.sku.name == "Standard"
    assert made.location == "westeurope"
    assert name in {item.name for item in client.namespaces.list()}
    assert name in {item.name for item in client.namespaces.list_by_resource_group(GROUP)}
    changed = client.namespaces.update(GROUP, name.upper(), {"tags": {"a": "d"}})
    assert (changed.name, changed.tags) == (name, {"a": "d"})
    client.namespaces.begin_delete(GROUP, name).result()
    with pytest.raises(ResourceNotFoundError):
        client.namespaces.get(GROUP, name)
    client.namespaces.begin_delete(GROUP, name).result()


def test_a_queue_has_the_services_defaults(
    client: ServiceBusManagementClient, namespace: str, queue: str
) -> None:
    properties = client.queues.get(GROUP, namespace, queue).properties
    assert properties is not None
    assert properties.lock_duration == timedelta(minutes=1)
    assert properties.max_delivery_count == 10
    assert properties.max_size_in_megabytes == 1024
    assert properties.max_message_size_in_kilobytes == 256
    assert properties.default_message_time_to_live is not None
    assert properties.default_message_time_to_live > timedelta(days=10_000_000)
    assert properties.duplicate_detection_history_time_window == timedelta(minutes=10)
    assert properties.requires_session is False
    assert properties.requires_duplicate_detection is False
    assert properties.dead_lettering_on_message_expiration is False
    assert properties.enable_batched_operations is True
    assert properties.status == "Active"
    assert properties.message_count == 0
    assert properties.count_details is not None
    assert properties.count_details.active_message_count == 0
    assert properties.forward_to is None


def test_the_wire_form_of_a_queue_is_the_services_and_has_no_nulls(
    cloud: CloudInThread, client: ServiceBusManagementClient, namespace: str, queue: str
) -> None:
    path = f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/{namespace}"
    status, body = rest(cloud, "GET", f"{path}/queues/{queue.upper()}")
    assert status == 200
    assert body["name"] == queue
    assert body["type"] == "Microsoft.ServiceBus/namespaces/queues"
    assert body["location"] == "westeurope"
    assert "null" not in json.dumps(body)
    # Service Bus shows none, of nothing: modules of Ansible fail at one.
    assert "systemData" not in json.dumps(
        [
            body,
            rest(cloud, "GET", path),
            rest(cloud, "GET", f"{path}/queues"),
            rest(cloud, "GET", f"{path}/AuthorizationRules"),
            rest(cloud, "GET", f"{path}/networkRuleSets/default"),
            rest(cloud, "PUT", f"{path}/topics/told", {"properties": {}}),
            rest(cloud, "PUT", f"{path}/topics/told/subscriptions/all", {"properties": {}}),
            rest(cloud, "GET", f"{path}/topics/told/subscriptions/all/rules"),
        ]
    )
    properties = body["properties"]
    assert properties["lockDuration"] == "PT1M"
    assert properties["defaultMessageTimeToLive"] == "P10675199DT2H48M5.4775807S"
    assert properties["autoDeleteOnIdle"] == "P10675199DT2H48M5.4775807S"
    assert properties["countDetails"] == {
        "activeMessageCount": 0,
        "deadLetterMessageCount": 0,
        "scheduledMessageCount": 0,
        "transferMessageCount": 0,
        "transferDeadLetterMessageCount": 0,
    }


def test_settings_are_kept_and_shown_as_dotnet_writes_them(
    cloud: CloudInThread, namespace: str
) -> None:
    name = f"set-{uuid.uuid4().hex[:8]}"
    path = (
        f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/{namespace}/queues/{name}"
    )
    status, body = rest(
        cloud,
        "PUT",
        path,
        {
            "properties": {
                "lockDuration": "PT300S",
                "defaultMessageTimeToLive": "PT36H",
                "duplicateDetectionHistoryTimeWindow": "P0DT0H1M30.5S",
                "requiresDuplicateDetection": True,
                "deadLetteringOnMessageExpiration": True,
                "maxDeliveryCount": 3,
                "maxSizeInMegabytes": 2048,
                "status": "sendDisabled",
                "forwardTo": None,
                "userMetadata": "mine",
                "messageCount": 77,
            }
        },
    )
    assert status == 200
    assert body == rest(cloud, "GET", path)[1]
    properties = body["properties"]
    assert properties["lockDuration"] == "PT5M"
    assert properties["defaultMessageTimeToLive"] == "P1DT12H"
    assert properties["duplicateDetectionHistoryTimeWindow"] == "PT1M30.5S"
    assert properties["requiresDuplicateDetection"] is True
    assert properties["deadLetteringOnMessageExpiration"] is True
    assert properties["maxDeliveryCount"] == 3
    assert properties["maxSizeInMegabytes"] == 2048
    assert properties["status"] == "SendDisabled"
    assert properties["userMetadata"] == "mine"
    assert properties["messageCount"] == 0


@pytest.mark.parametrize("kind", ["queues", "topics"])
@pytest.mark.parametrize(("partitioned", "size"), [(False, 1024), (True, 16384)])
def test_a_size_of_0_asks_for_the_default(
    cloud: CloudInThread, namespace: str, kind: str, partitioned: bool, size: int
) -> None:
    """So does Terraform's azurerm provider for each entity whose size is not configured."""
    name = f"sized-{uuid.uuid4().hex[:8]}"
    path = (
        f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/{namespace}/{kind}/{name}"
    )
    properties = {"maxSizeInMegabytes": 0, "enablePartitioning": partitioned}
    status, body = rest(cloud, "PUT", path, {"properties": properties})
    assert (status, body["properties"]["maxSizeInMegabytes"]) == (200, size)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"lockDuration": "PT6M"}, "lockDuration is 360; allowed is 5 to 300 seconds"),
        ({"lockDuration": "five"}, "no ISO 8601 duration"),
        ({"lockDuration": "PT"}, "no ISO 8601 duration"),
        ({"lockDuration": "P1M"}, "no ISO 8601 duration"),
        ({"defaultMessageTimeToLive": "-PT5M"}, "defaultMessageTimeToLive is -300"),
        ({"maxDeliveryCount": 0}, "maxDeliveryCount is 0; allowed is 1 to 2000"),
        ({"maxDeliveryCount": "many"}, "must be a whole number"),
        ({"maxSizeInMegabytes": 1000}, "allowed are 1024, 2048"),
        ({"requiresSession": "perhaps"}, "true or false"),
        ({"status": "Sleeping"}, "Active, Disabled, SendDisabled, ReceiveDisabled"),
        ({"duplicateDetectionHistoryTimeWindow": "P8D"}, "duplicateDetectionHistoryTimeWindow"),
        ({"autoDeleteOnIdle": "PT1M"}, "autoDeleteOnIdle is 60; allowed is 300"),
        ({"userMetadata": "x" * 1025}, "1025 characters"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_makes_no_queue(
    cloud: CloudInThread, namespace: str, properties: dict[str, Any], words: str
) -> None:
    path = f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/{namespace}/queues/bad"
    status, body = rest(cloud, "PUT", path, {"properties": properties})
    assert status == 400
    assert body["error"]["code"] == "BadRequest"
    assert words in body["error"]["message"]
    assert rest(cloud, "GET", path)[0] == 404


@pytest.mark.parametrize("name", ["-a", "a-", "a b", "ü", "a" * 261])
def test_a_wrong_queue_name_is_refused(
    client: ServiceBusManagementClient, namespace: str, name: str
) -> None:
    with pytest.raises((HttpResponseError, ValueError)):
        client.queues.create_or_update(GROUP, namespace, name, SBQueue())


def test_what_is_fixed_at_creation_refuses_change_and_a_put_without_it_keeps_it(
    client: ServiceBusManagementClient, namespace: str
) -> None:
    name = f"fixed-{uuid.uuid4().hex[:8]}"

    def put(**properties: Any) -> SBQueueProperties:
        made = client.queues.create_or_update(
            GROUP, namespace, name, SBQueue(properties=SBQueueProperties(**properties))
        )
        assert made.properties is not None
        return made.properties

    put(requires_duplicate_detection=True)
    with pytest.raises(HttpResponseError, match="duplicate detection property of an existing"):
        put(requires_duplicate_detection=False)
    with pytest.raises(HttpResponseError, match="RequiresSession property of an existing"):
        put(requires_session=True)
    assert put(max_delivery_count=4).requires_duplicate_detection is True


def test_counts_are_live(client: ServiceBusManagementClient, namespace: str, queue: str) -> None:
    with connect(client, namespace) as bus:
        with bus.get_queue_sender(queue) as sender:
            sender.send_messages([ServiceBusMessage(str(n)) for n in range(4)])
            when = datetime.now(UTC)
            sender.schedule_messages(ServiceBusMessage("later"), when + timedelta(hours=1))
        with bus.get_queue_receiver(queue) as receiver:
            first, second = receiver.receive_messages(2, max_wait_time=5)
            receiver.dead_letter_message(first, reason="because")
            receiver.complete_message(second)
            properties = client.queues.get(GROUP, namespace, queue).properties
    assert properties is not None
    details = properties.count_details
    assert details is not None
    assert details.active_message_count == 2
    assert details.dead_letter_message_count == 1
    assert details.scheduled_message_count == 1
    assert properties.message_count == 4
    assert properties.size_in_bytes is not None
    assert properties.size_in_bytes > 0
    listed = {q.name: q for q in client.queues.list_by_namespace(GROUP, namespace)}
    assert listed[queue].properties is not None
    assert listed[queue].properties.message_count == 4


def test_a_deleted_queue_is_gone_with_its_messages(
    client: ServiceBusManagementClient, namespace: str, queue: str
) -> None:
    with connect(client, namespace) as bus, bus.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("x"))
    client.queues.delete(GROUP, namespace, queue)
    with pytest.raises(ResourceNotFoundError):
        client.queues.get(GROUP, namespace, queue)
    client.queues.delete(GROUP, namespace, queue)
    made = client.queues.create_or_update(GROUP, namespace, queue, SBQueue())
    assert made.properties is not None
    assert made.properties.message_count == 0


def test_a_queue_wants_its_namespace(client: ServiceBusManagementClient) -> None:
    with pytest.raises(ResourceNotFoundError) as refused:
        client.queues.create_or_update(GROUP, "no-such-namespace", "q", SBQueue())
    assert refused.value.error is not None
    assert refused.value.error.code == "ParentResourceNotFound"


def test_queues_are_listed_with_skip_and_top(client: ServiceBusManagementClient) -> None:
    name = f"list-{uuid.uuid4().hex[:8]}"
    client.namespaces.begin_create_or_update(
        GROUP, name, SBNamespace(location="westeurope")
    ).result()
    for number in range(5):
        client.queues.create_or_update(GROUP, name, f"q{number}", SBQueue())
    names = [q.name for q in client.queues.list_by_namespace(GROUP, name)]
    assert names == [f"q{number}" for number in range(5)]
    some = [q.name for q in client.queues.list_by_namespace(GROUP, name, skip=1, top=2)]
    assert some == ["q1", "q2"]


def test_access_rules_have_keys_that_work_and_can_be_renewed(
    client: ServiceBusManagementClient, namespace: str, queue: str
) -> None:
    rules = {r.name for r in client.namespaces.list_authorization_rules(GROUP, namespace)}
    assert "RootManageSharedAccessKey" in rules
    client.namespaces.create_or_update_authorization_rule(
        GROUP,
        namespace,
        "sender",
        SBAuthorizationRule(properties=SBAuthorizationRuleProperties(rights=["Send"])),
    )
    rule = client.namespaces.get_authorization_rule(GROUP, namespace, "Sender")
    assert rule.properties is not None
    assert rule.properties.rights == ["Send"]
    keys = client.namespaces.list_keys(GROUP, namespace, "sender")
    assert keys.key_name == "sender"
    assert keys.primary_key != keys.secondary_key
    assert keys.primary_connection_string is not None
    assert f"SharedAccessKey={keys.primary_key}" in keys.primary_connection_string
    bus = ServiceBusClient.from_connection_string(keys.primary_connection_string)
    with bus, bus.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("x"))
    new = client.namespaces.regenerate_keys(
        GROUP, namespace, "sender", RegenerateAccessKeyParameters(key_type="PrimaryKey")
    )
    assert new.primary_key != keys.primary_key
    assert new.secondary_key == keys.secondary_key
    client.namespaces.delete_authorization_rule(GROUP, namespace, "sender")
    with pytest.raises(ResourceNotFoundError):
        client.namespaces.get_authorization_rule(GROUP, namespace, "sender")


def test_a_connection_string_leads_to_its_own_namespace(
    client: ServiceBusManagementClient, namespace: str, queue: str
) -> None:
    """All namespaces are at one address here; the key tells whose queue of that name is meant."""
    other = f"bus-{uuid.uuid4().hex[:8]}"
    made = SBNamespace(location="westeurope", sku=SBSku(name="Standard"))
    client.namespaces.begin_create_or_update(GROUP, other, made).result()
    client.queues.create_or_update(GROUP, other, queue, SBQueue())
    for name in (namespace, other):
        bus = connect(client, name)
        with bus, bus.get_queue_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage(name))
    for name in (namespace, other):
        bus = connect(client, name)
        with bus, bus.get_queue_receiver(queue, max_wait_time=5) as receiver:
            assert [str(message) for message in receiver.receive_messages(5)] == [name]
    client.queues.delete(GROUP, other, queue)
    bus = connect(client, other)
    with bus, pytest.raises(MessagingEntityNotFoundError), bus.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("not to the namespace that still has it"))


def test_a_queues_rule_has_the_entity_path_in_its_connection_strings(
    client: ServiceBusManagementClient, namespace: str, queue: str
) -> None:
    client.queues.create_or_update_authorization_rule(
        GROUP,
        namespace,
        queue,
        "reader",
        SBAuthorizationRule(properties=SBAuthorizationRuleProperties(rights=["Listen"])),
    )
    names = [r.name for r in client.queues.list_authorization_rules(GROUP, namespace, queue)]
    assert names == ["reader"]
    keys = client.queues.list_keys(GROUP, namespace, queue, "reader")
    assert keys.primary_connection_string is not None
    assert keys.primary_connection_string.endswith(f";EntityPath={queue}")


@pytest.mark.parametrize("rights", [[], ["Read"], ["Manage"]])
def test_wrong_rights_are_refused(
    client: ServiceBusManagementClient, namespace: str, rights: list[str]
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        client.namespaces.create_or_update_authorization_rule(
            GROUP,
            namespace,
            "wrong",
            SBAuthorizationRule(properties=SBAuthorizationRuleProperties(rights=rights)),
        )
    assert refused.value.status_code == 400


def test_no_key_is_in_a_resource(
    cloud: CloudInThread, client: ServiceBusManagementClient, namespace: str
) -> None:
    keys = client.namespaces.list_keys(GROUP, namespace, "RootManageSharedAccessKey")
    assert keys.primary_key
    path = f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/{namespace}"
    for below in ("", "/AuthorizationRules", "/AuthorizationRules/RootManageSharedAccessKey"):
        assert keys.primary_key not in json.dumps(rest(cloud, "GET", path + below)[1])
    stored = (Path(cloud.state) / "arm.sqlite").read_bytes()
    wal = Path(cloud.state) / "arm.sqlite-wal"
    assert keys.primary_key.encode() not in stored + (wal.read_bytes() if wal.exists() else b"")


def test_a_name_is_checked_before_use(client: ServiceBusManagementClient, namespace: str) -> None:
    def check(name: str) -> tuple[bool | None, str | None]:
        answer = client.namespaces.check_name_availability(CheckNameAvailability(name=name))
        return answer.name_available, answer.reason

    assert check("free-name") == (True, "None")
    assert check(namespace.upper()) == (False, "NameInUse")
    assert check("1-wrong") == (False, "InvalidName")


def test_a_namespace_name_is_taken_in_every_resource_group(
    cloud: CloudInThread, client: ServiceBusManagementClient, namespace: str
) -> None:
    other = f"/subscriptions/{cloud.connection['subscription']}/resourceGroups/other"
    rest(cloud, "PUT", other, {"location": "westeurope"})
    with pytest.raises(ResourceExistsError, match="in use already"):
        client.namespaces.begin_create_or_update(
            "other", namespace.lower(), SBNamespace(location="westeurope")
        ).result()


def test_every_namespace_has_a_network_rule_set(
    client: ServiceBusManagementClient, namespace: str
) -> None:
    rules = client.namespaces.get_network_rule_set(GROUP, namespace)
    assert rules.properties is not None
    assert rules.properties.default_action == "Allow"
    assert [r.name for r in client.namespaces.list_network_rule_sets(GROUP, namespace)] == [
        "default"
    ]


def test_what_pairs_namespaces_is_refused_in_words(
    client: ServiceBusManagementClient, namespace: str
) -> None:
    free = client.disaster_recovery_configs.check_name_availability(
        GROUP, namespace, {"name": "an-alias-of-mine"}
    )
    assert free.name_available
    alias = {"properties": {"partnerNamespace": "x"}}
    with pytest.raises(HttpResponseError, match="Geo-disaster recovery is not available"):
        client.disaster_recovery_configs.create_or_update(GROUP, namespace, "alias", alias)
    assert list(client.disaster_recovery_configs.list(GROUP, namespace)) == []
    with pytest.raises(HttpResponseError, match="Migration from Standard to Premium"):
        client.migration_configs.begin_create_and_start_migration(
            GROUP,
            namespace,
            "$default",
            {"properties": {"targetNamespace": "x", "postMigrationName": "y"}},
        )


def test_rows_and_queues_agree_after_a_restart_whatever_a_crash_left(tmp_path: Path) -> None:
    cloud = CloudInThread(tmp_path)
    base = f"{group_path(cloud)}/providers/Microsoft.ServiceBus/namespaces/bus-align"
    try:
        rest(cloud, "PUT", group_path(cloud), {"location": "westeurope"})
        assert rest(cloud, "PUT", base, {"location": "westeurope"})[0] == 200
        for name in ("kept", "row-only", "queue-only"):
            assert rest(cloud, "PUT", f"{base}/queues/{name}", {"properties": {}})[0] == 200

        # What two crashes may leave: a row whose queue is gone, a queue whose row is missing.
        async def crash() -> None:
            await cloud.server.broker.delete_queue("bus-align", "row-only")
            await cloud.server.arm.store.write(delete=[f"{base}/queues/queue-only"])

        cloud.call(crash())
        assert rest(cloud, "GET", f"{base}/queues/row-only")[0] == 404
        cloud.stop()
        cloud.start()
        names = [q["name"] for q in rest(cloud, "GET", f"{base}/queues")[1]["value"]]
        assert names == ["kept", "queue-only"]
        assert rest(cloud, "GET", f"{base}/queues/queue-only")[1]["properties"]["status"]
        assert f"{base}/queues/row-only".lower() not in {
            record.id.key for record in cloud.server.arm.store.all()
        }
    finally:
        cloud.stop()
