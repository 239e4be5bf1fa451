"""Who may administer a namespace, in what form requests come, and how they are refused."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.mgmt.servicebus.models import SBAuthorizationRule, SBNamespace, SBSku
from azure.servicebus.management import (
    ServiceBusAdministrationClient,
)

from orchestrator.localcloud.arm.dispatch import ResourceManager
from orchestrator.localcloud.servicebus.broker import Broker
from tests.cloud.administration_world import NAMESPACE, World, alone
from tests.cloud.servicebus_signature import signature
from tests.cloud.test_arm_service_bus import GROUP, group_path, rest, sdk
from tests.conftest import CloudInThread


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from alone(tmp_path_factory.mktemp("cloud"))


@pytest.fixture(scope="module")
def admin(world: World) -> Iterator[ServiceBusAdministrationClient]:
    with ServiceBusAdministrationClient.from_connection_string(
        world.connection_string(), connection_verify=world.cloud.ca
    ) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("$Resources/Queues", "?api-version=2017-04"),
        ("$Resources/Queues/", "?api-version=2017-04"),
        ("$Resources/Queues", ""),
    ],
)
def test_what_is_listed_is_named_as_it_was_asked_for(
    world: World, admin: ServiceBusAdministrationClient, path: str, query: str
) -> None:
    """`azure-sb` for Node asks with a slash at the end, and looks for it in the answer's id;
    azure-servicebus 0.50 names no version, and takes all of an id for the name."""
    admin.create_queue("listed")
    host = f"{NAMESPACE}.servicebus.windows.net"
    token = signature(f"https://{host}", "RootManageSharedAccessKey", world.key, time.time() + 60)
    request = urllib.request.Request(
        f"https://{world.address}/{path}{query}",
        headers={"Host": host, "Authorization": token},
    )
    context = ssl.create_default_context(cafile=world.cloud.ca)
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        text = response.read().decode()
    assert f"<id>https://{host}/{path}?" in text
    assert f"<id>https://{host}/listed{query}</id>" in text
    admin.delete_queue("listed")


@pytest.mark.parametrize("path", ["", "/"])
def test_a_namespaces_root_greets_anybody(world: World, path: str) -> None:
    request = urllib.request.Request(
        f"https://{world.address}{path}", headers={"Host": f"{NAMESPACE}.servicebus.windows.net"}
    )
    context = ssl.create_default_context(cafile=world.cloud.ca)
    with urllib.request.urlopen(request, timeout=10, context=context) as response:
        assert '<title type="text">Publicly Listed Services</title>' in response.read().decode()
        assert "atom+xml" in response.headers["Content-Type"]


def test_wrong_keys_and_narrow_rights_are_refused(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    with sdk(world.cloud) as arm:
        arm.namespaces.create_or_update_authorization_rule(
            GROUP, NAMESPACE, "listener", SBAuthorizationRule(rights=["Listen"])
        )
        narrow = arm.namespaces.list_keys(GROUP, NAMESPACE, "listener").primary_key
    assert narrow is not None
    for rule, key in (("RootManageSharedAccessKey", "A" * 43 + "="), ("listener", narrow)):
        with (
            ServiceBusAdministrationClient.from_connection_string(
                world.connection_string(rule, key), connection_verify=world.cloud.ca
            ) as client,
            pytest.raises(ClientAuthenticationError),
        ):
            client.get_namespace_properties()


def test_whoever_may_not_administer_hears_what_he_lacks(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    """The service's words, as the tests of azservicebus for Go have them."""
    admin.create_topic("guarded")
    admin.create_subscription("guarded", "one")
    with sdk(world.cloud) as arm:
        arm.namespaces.create_or_update_authorization_rule(
            GROUP, NAMESPACE, "worker", SBAuthorizationRule(rights=["Listen", "Send"])
        )
        narrow = arm.namespaces.list_keys(GROUP, NAMESPACE, "worker").primary_key
    assert narrow is not None
    with ServiceBusAdministrationClient.from_connection_string(
        world.connection_string("worker", narrow), connection_verify=world.cloud.ca
    ) as client:
        for call, words in (
            (lambda: client.get_topic("guarded"), "Manage,EntityRead claims required for this"),
            (lambda: list(client.list_queues()), "Manage,EntityRead claims required for this"),
            (lambda: client.create_queue("q"), "for specified action: Manage,EntityWrite."),
            (lambda: client.delete_topic("guarded"), "for specified action: Manage,EntityDelete."),
            (lambda: client.get_subscription("guarded", "one"), "for 'GetSubscription' operation"),
            (lambda: list(client.list_subscriptions("guarded")), "'EnumerateSubscriptions'"),
            (lambda: client.create_subscription("guarded", "b"), "'CreateOrUpdateSubscription'"),
            (lambda: client.delete_subscription("guarded", "one"), "'DeleteSubscription'"),
            (lambda: list(client.list_rules("guarded", "one")), "'EnumerateRules'"),
            (lambda: client.get_rule("guarded", "one", "$Default"), "'GetRule'"),
        ):
            with pytest.raises(ClientAuthenticationError, match=words):
                call()
        with pytest.raises(ResourceNotFoundError):
            client.get_queue("never-made")
    assert admin.get_subscription("guarded", "one").name == "one"
    admin.delete_topic("guarded")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<entry",
        b"<feed/>",
        b"\xff\xfe\x00",
        b'<!DOCTYPE a [<!ENTITY x "y">]><entry><content>&x;</content></entry>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><entry/>',
        b"<a>" * 5000,
        b"<entry><content><QueueDescription><LockDuration>soon</LockDuration></QueueDescription>"
        b"</content></entry>",
    ],
)
def test_what_is_no_description_is_refused_with_a_sentence(world: World, document: bytes) -> None:
    token = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    request = urllib.request.Request(
        f"https://{world.address}/refused?api-version=2021-05",
        document,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/atom+xml"},
        method="PUT",
    )
    context = ssl.create_default_context(cafile=world.cloud.ca)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10, context=context)
    assert refused.value.code == 400
    body = refused.value.read()
    assert body.startswith(b"<Error><Code>400</Code><Detail>")
    assert b"passwd" not in body


def test_a_request_without_a_version_or_with_an_unknown_one(
    world: World, admin: ServiceBusAdministrationClient
) -> None:
    admin.create_queue("old")
    context = ssl.create_default_context(cafile=world.cloud.ca)
    hosts = (world.address, f"{NAMESPACE}.servicebus.windows.net")

    def get(path: str, host: str) -> tuple[int, str, str]:
        resource = f"https://{host}/"
        signed = signature(resource, "RootManageSharedAccessKey", world.key, time.time() + 600)
        headers = {"Host": host, "Authorization": signed}
        request = urllib.request.Request(f"https://{world.address}/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as response:
                return response.status, response.headers["Content-Type"], response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()

    for host in hosts:
        for path in ("old", "$Resources/queues", "$namespaceinfo"):
            status, kind, body = get(path, host)
            assert (status, "atom+xml" in kind) == (200, True), body
        status, kind, body = get("absent", host)
        assert (status, "xml" in kind) == (404, True)
        assert body.startswith("<Error><Code>404</Code>")
    status, kind, body = get("old?api-version=2021-11-01", hosts[1])
    assert (status, "xml" in kind) == (400, True)
    assert "The api-version in the query string is not supported" in body
    admin.delete_queue("old")


def test_the_basic_tier_has_plain_queues_alone(
    world: World, admin: ServiceBusAdministrationClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.cloud.server.broker, "sku", lambda namespace: "Basic")
    admin.create_queue("plain")
    words = f"because the namespace '{NAMESPACE}' is using 'Basic' tier"
    with pytest.raises(HttpResponseError, match="The property 'RequiresSession' cannot") as refused:
        admin.create_queue("rich", requires_session=True)
    assert words in str(refused.value)
    with pytest.raises(HttpResponseError, match="Cannot operate on type Topic") as refused:
        admin.create_topic("events")
    assert words in str(refused.value)


def test_messages_of_a_premium_namespace_have_a_megabyte_at_least(
    world: World, admin: ServiceBusAdministrationClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.cloud.server.broker, "sku", lambda namespace: "Premium")
    assert admin.create_queue("usual").max_message_size_in_kilobytes == 1024
    assert admin.create_topic("usual-topic").max_message_size_in_kilobytes == 1024
    for kilobytes in (1023, 102401):
        for create in (admin.create_queue, admin.create_topic):
            words = "value for 'MaxMessageSizeInKilobytes' must be between 1024 and 102400"
            with pytest.raises(HttpResponseError, match=words):
                create("odd", max_message_size_in_kilobytes=kilobytes)
    large = admin.create_queue("large", max_message_size_in_kilobytes=102400)
    assert large.max_message_size_in_kilobytes == 102400


def test_the_tier_is_known_before_resource_manager_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that has messages to forward goes on with that at once."""
    cloud = CloudInThread(tmp_path)
    try:
        rest(cloud, "PUT", group_path(cloud), {"location": "westeurope"})
        with sdk(cloud) as client:
            client.namespaces.begin_create_or_update(
                GROUP, "premium", SBNamespace(location="westeurope", sku=SBSku(name="Premium"))
            ).result()
    finally:
        cloud.stop()
    brokers: list[Broker] = []
    known: list[str] = []
    open_broker, open_manager = Broker.open, ResourceManager.open

    async def noted(broker: Broker) -> None:
        brokers.append(broker)
        await open_broker(broker)

    async def asked(manager: ResourceManager) -> None:
        known.extend(broker.sku("premium") for broker in brokers)
        await open_manager(manager)

    monkeypatch.setattr(Broker, "open", noted)
    monkeypatch.setattr(ResourceManager, "open", asked)
    cloud.start()
    cloud.stop()
    assert known == ["Premium"]


@pytest.mark.parametrize("given", ["target", "/target", "sb://host", "://host/target"])
def test_an_address_to_forward_to_is_absolute(
    world: World, admin: ServiceBusAdministrationClient, given: str
) -> None:
    """Clients make it so of a name: who asks by hand, or with the first releases of Java's client,
    is refused by the service."""
    if not any(queue.name == "target" for queue in admin.list_queues()):
        admin.create_queue("target")
    host = f"{NAMESPACE}.servicebus.windows.net"
    token = signature(f"https://{host}", "RootManageSharedAccessKey", world.key, time.time() + 60)
    body = (
        '<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">'
        '<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/'
        f'connect"><ForwardTo>{given}</ForwardTo></QueueDescription></content></entry>'
    )
    request = urllib.request.Request(
        f"https://{world.address}/relative?api-version=2021-05",
        method="PUT",
        data=body.encode(),
        headers={
            "Host": host,
            "Authorization": token,
            "Content-Type": "application/atom+xml;type=entry;charset=utf-8",
        },
    )
    context = ssl.create_default_context(cafile=world.cloud.ca)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, context=context)
    assert caught.value.code == 400
    assert b"BR0012" in caught.value.read()
    assert "relative" not in [queue.name for queue in admin.list_queues()]
