"""How clients reach the local Service Bus, what lets them in, and what they are told if not."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
)

from orchestrator.localcloud.servicebus.model import EntityStatus, Right
from tests.cloud.servicebus_bus import NAMESPACE, Bus, Credential
from tests.cloud.servicebus_signature import signature


async def there_and_back(client: AsyncServiceBusClient, queue: str) -> None:
    async with client:
        sender, receiver = client.get_queue_sender(queue), client.get_queue_receiver(queue)
        await asyncio.gather(sender.__aenter__(), receiver.__aenter__())
        await sender.send_messages(ServiceBusMessage("hello"))
        (message,) = await receiver.receive_messages(1, max_wait_time=5)
        await receiver.renew_message_lock(message)
        await receiver.complete_message(message)
        assert str(message) == "hello"
        await asyncio.gather(sender.close(), receiver.close())


async def test_a_connection_string_for_the_emulator_works(bus: Bus) -> None:
    queue = bus.queue()
    await there_and_back(
        AsyncServiceBusClient.from_connection_string(bus.connection_string()), queue
    )


async def test_the_plain_port_takes_a_token_credential(bus: Bus) -> None:
    await there_and_back(bus.aio(), bus.queue())


async def test_the_tls_port_takes_the_namespaces_own_name(bus: Bus) -> None:
    client = AsyncServiceBusClient(credential=bus.credential.aio, **bus.tls_options())  # type: ignore[arg-type]
    await there_and_back(client, bus.queue())


async def test_the_tls_port_takes_a_shared_key(bus: Bus) -> None:
    credential = AzureNamedKeyCredential("RootManageSharedAccessKey", bus.key)
    client = AsyncServiceBusClient(credential=credential, **bus.tls_options())
    await there_and_back(client, bus.queue())


def test_the_sync_client_works_over_tls(bus: Bus) -> None:
    queue = bus.queue()
    with ServiceBusClient(credential=bus.credential, **bus.tls_options()) as client:  # type: ignore[arg-type]
        with client.get_queue_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage("hello"))
        with client.get_queue_receiver(queue) as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=5)
            receiver.complete_message(message)
    assert bus.counts(queue).active == 0


async def test_names_of_queues_are_the_same_in_any_case(bus: Bus) -> None:
    queue = bus.queue()
    await there_and_back(bus.aio(), queue.upper())


def no_retry(bus: Bus, credential: Any) -> AsyncServiceBusClient:
    return AsyncServiceBusClient(bus.plain, credential, use_tls=False, retry_total=0)


async def send_one(client: AsyncServiceBusClient, queue: str) -> None:
    async with client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(ServiceBusMessage("x"))


async def test_an_unknown_queue_is_not_found_to_sender_receiver_and_management(bus: Bus) -> None:
    async with bus.aio(retry_total=0) as client:
        with pytest.raises(MessagingEntityNotFoundError, match="nowhere"):
            async with client.get_queue_sender("nowhere") as sender:
                await sender.send_messages(ServiceBusMessage("x"))
        with pytest.raises(MessagingEntityNotFoundError):
            async with client.get_queue_receiver("nowhere") as receiver:
                await receiver.receive_messages(1, max_wait_time=1)
        with pytest.raises(ServiceBusError):
            async with client.get_queue_receiver("nowhere") as receiver:
                await receiver.peek_messages()


@pytest.mark.parametrize("transport", [TransportType.Amqp, TransportType.AmqpOverWebsocket])
async def test_a_namespace_dialled_by_its_name_refuses_the_token_for_what_is_not_there(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, transport: TransportType
) -> None:
    # As on Azure: not the link, but the token before it is answered, with 404.
    resolve = socket.getaddrinfo

    def lead(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host == f"{NAMESPACE}.servicebus.windows.net":
            host, _, port = bus.tls.partition(":")
        return resolve(host, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lead)
    client = AsyncServiceBusClient(
        f"{NAMESPACE}.servicebus.windows.net",
        bus.credential.aio,  # type: ignore[arg-type]
        connection_verify=bus.ca,
        transport_type=transport,
        retry_total=0,
    )
    async with client:
        with pytest.raises(ServiceBusAuthenticationError):
            async with client.get_queue_sender("nowhere") as sender:
                await sender.send_messages(ServiceBusMessage("x"))
        queue = bus.queue()
        async with client.get_queue_sender(queue) as sender:
            await sender.send_messages(ServiceBusMessage("x"))
    assert bus.counts(queue).active == 1


async def test_a_wrong_key_is_not_authentic(bus: Bus) -> None:
    queue = bus.queue()
    client = AsyncServiceBusClient.from_connection_string(
        bus.connection_string(key="d3Jvbmc="), retry_total=0
    )
    with pytest.raises(ServiceBusAuthenticationError):
        await send_one(client, queue)
    assert bus.counts(queue).active == 0


async def test_an_expired_signature_is_refused(bus: Bus) -> None:
    queue = bus.queue()
    old = signature(f"sb://{bus.plain}/{queue}", "RootManageSharedAccessKey", bus.key, expiry=1000)
    with pytest.raises(ServiceBusAuthenticationError):
        await send_one(no_retry(bus, AzureSasCredential(old)), queue)


async def test_a_signature_for_one_queue_opens_no_other(bus: Bus) -> None:
    mine, other = bus.queue(), bus.queue()
    token = signature(
        f"sb://{bus.plain}/{mine}", "RootManageSharedAccessKey", bus.key, time.time() + 600
    )
    await send_one(no_retry(bus, AzureSasCredential(token)), mine)
    with pytest.raises(ServiceBusAuthenticationError):
        await send_one(no_retry(bus, AzureSasCredential(token)), other)
    assert (bus.counts(mine).active, bus.counts(other).active) == (1, 0)


async def test_a_token_for_another_service_is_refused(bus: Bus) -> None:
    queue = bus.queue()

    class Other(Credential):
        def get_token(self, *scopes: str, **options: Any) -> Any:
            return super().get_token("https://management.azure.com/.default")

    with pytest.raises(ServiceBusAuthenticationError):
        await send_one(no_retry(bus, Other(bus.identity.issue).aio), queue)


async def test_a_rule_that_only_listens_does_not_send(bus: Bus) -> None:
    queue = bus.queue()
    rule = bus.call(bus.broker.put_rule(NAMESPACE, "reader", frozenset({Right.LISTEN})))
    text = bus.connection_string(rule.primary_key, "reader")
    with pytest.raises(ServiceBusAuthorizationError, match="'Send' claim"):
        await send_one(AsyncServiceBusClient.from_connection_string(text, retry_total=0), queue)
    async with (
        AsyncServiceBusClient.from_connection_string(text) as client,
        client.get_queue_receiver(queue) as receiver,
    ):
        assert await receiver.peek_messages() == []


async def test_a_rule_of_one_queue_opens_that_queue_only(bus: Bus) -> None:
    mine, other = bus.queue(), bus.queue()
    rule = bus.call(bus.broker.put_rule(NAMESPACE, "sender", frozenset({Right.SEND}), mine))
    text = bus.connection_string(rule.primary_key, "sender")
    await send_one(AsyncServiceBusClient.from_connection_string(text, retry_total=0), mine)
    with pytest.raises(ServiceBusAuthenticationError):
        await send_one(AsyncServiceBusClient.from_connection_string(text, retry_total=0), other)


def links_to(bus: Bus, queue: str) -> int:
    return sum(door.path == queue for peer in bus.front.peers for door in peer.doors)


async def test_links_end_with_their_token_and_the_client_comes_back(bus: Bus) -> None:
    queue = bus.queue()
    credential = Credential(bus.identity.issue, lifetime=2).aio
    async with (
        AsyncServiceBusClient(bus.plain, credential, use_tls=False) as client,  # type: ignore[arg-type]
        client.get_queue_sender(queue) as sender,
    ):
        await sender.send_messages(ServiceBusMessage("before"))
        assert bus.read(lambda: links_to(bus, queue)) == 1
        while bus.read(lambda: links_to(bus, queue)):
            await asyncio.sleep(0.05)
        await sender.send_messages(ServiceBusMessage("after"))
    assert bus.counts(queue).active == 2


async def test_a_disabled_queue_says_so_and_open_links_are_ended(bus: Bus) -> None:
    queue = bus.queue()
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(ServiceBusMessage("before"))
        bus.update(queue, status=EntityStatus.SEND_DISABLED)
        with pytest.raises(MessagingEntityDisabledError):
            await sender.send_messages(ServiceBusMessage("during"))
        async with client.get_queue_receiver(queue) as receiver:
            (message,) = await receiver.receive_messages(1, max_wait_time=5)
            await receiver.complete_message(message)
        bus.update(queue)
        await sender.send_messages(ServiceBusMessage("after"))
    assert bus.counts(queue).active == 1


async def test_a_full_queue_refuses_and_keeps_what_it_has(bus: Bus) -> None:
    queue = bus.queue()
    stored = bus.read(lambda: bus.broker.queue(NAMESPACE, queue))
    assert stored is not None
    async with bus.aio(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        await sender.send_messages(ServiceBusMessage("kept"))
        stored.properties = dataclasses.replace(stored.properties, max_size_in_megabytes=0)
        with pytest.raises(ServiceBusQuotaExceededError):
            await sender.send_messages(ServiceBusMessage("too much"))
    assert bus.counts(queue).active == 1


async def test_a_deleted_queue_ends_its_links(bus: Bus) -> None:
    queue = bus.queue()
    async with bus.aio(retry_total=0) as client, client.get_queue_receiver(queue) as receiver:
        assert await receiver.peek_messages() == []
        assert not await receiver.receive_messages(1, max_wait_time=1)
        bus.call(bus.broker.delete_queue(NAMESPACE, queue))
        with pytest.raises(ServiceBusError):
            await receiver.receive_messages(1, max_wait_time=1)
