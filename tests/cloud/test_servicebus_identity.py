"""The local Service Bus as a job reaches it: managed identity, TLS, the namespace's own name."""

from __future__ import annotations

import asyncio

import pytest
from azure.identity.aio import DefaultAzureCredential
from azure.servicebus import ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient

from orchestrator.localcloud.servicebus.model import QueueProperties
from tests.conftest import CloudInThread


async def test_a_job_sends_and_receives_with_its_managed_identity(
    cloud: CloudInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare() -> None:
        await cloud.server.broker.put_namespace("fabrikam")
        await cloud.server.broker.put_queue("fabrikam", "work", QueueProperties())

    cloud.call(prepare())
    monkeypatch.setenv("IDENTITY_ENDPOINT", cloud.connection["identity"]["endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", cloud.connection["identity"]["header"])
    async with (
        DefaultAzureCredential() as credential,
        ServiceBusClient(
            "fabrikam.servicebus.windows.net",
            credential,
            custom_endpoint_address=f"sb://{cloud.connection['service_bus']['amqps']}",
            connection_verify=cloud.connection["ca_bundle"],
            transport_type=TransportType.Amqp,
        ) as client,
    ):
        sender, receiver = client.get_queue_sender("work"), client.get_queue_receiver("work")
        await asyncio.gather(sender.__aenter__(), receiver.__aenter__())
        await sender.send_messages([ServiceBusMessage(str(n)) for n in range(10)])
        seen: list[str] = []
        while len(seen) < 10:
            for message in await receiver.receive_messages(10, max_wait_time=5):
                await receiver.complete_message(message)
                seen.append(str(message))
        await asyncio.gather(sender.close(), receiver.close())
    assert seen == [str(n) for n in range(10)]
