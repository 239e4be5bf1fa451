"""AMQP over WebSocket on the local cloud's HTTPS port, with the unmodified SDK."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient

from orchestrator.localcloud.servicebus.model import QueueProperties
from tests.cloud.servicebus_bus import NAMESPACE as CONTOSO
from tests.cloud.servicebus_bus import AsyncCredential, Bus
from tests.conftest import CloudInThread

NAMESPACE = "sockets"
LARGE = b"\x00\xff" * 100_000


@pytest.fixture(scope="module")
def queue(cloud: CloudInThread) -> str:
    broker = cloud.server.broker
    cloud.call(broker.put_namespace(NAMESPACE))
    cloud.call(broker.put_queue(NAMESPACE, "over-websocket", QueueProperties()))
    return "over-websocket"


def options(cloud: CloudInThread) -> dict[str, Any]:
    return {
        "transport_type": TransportType.AmqpOverWebsocket,
        "custom_endpoint_address": cloud.connection["resource_manager"],
        "connection_verify": cloud.connection["ca"],
    }


async def test_the_async_client_sends_and_receives(cloud: CloudInThread, queue: str) -> None:
    credential: Any = AsyncCredential(cloud.credential)
    host = f"{NAMESPACE}.servicebus.windows.net"
    async with AsyncServiceBusClient(host, credential, **options(cloud)) as client:
        async with client.get_queue_sender(queue) as sender:
            await sender.send_messages([ServiceBusMessage(LARGE) for _ in range(1)])
            await sender.send_messages([ServiceBusMessage(str(n)) for n in range(20)])
        async with client.get_queue_receiver(queue) as receiver:
            seen: list[bytes] = []
            while len(seen) < 21:
                for message in await receiver.receive_messages(30, max_wait_time=10):
                    seen.append(b"".join(message.body))
                    await receiver.complete_message(message)
    assert seen == [LARGE, *(str(n).encode() for n in range(20))]
    assert cloud.server.broker.counts(NAMESPACE, queue).active == 0


def test_the_sync_client_sends_and_receives(cloud: CloudInThread, queue: str) -> None:
    pytest.importorskip("websocket", reason="the sync client's WebSocket needs websocket-client")
    host = f"{NAMESPACE}.servicebus.windows.net"
    with ServiceBusClient(host, cloud.credential, **options(cloud)) as client:
        with client.get_queue_sender(queue) as sender:
            sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
        with client.get_queue_receiver(queue) as receiver:
            found = receiver.receive_messages(2, max_wait_time=10)
            assert [str(message) for message in found] == ["a", "b"]
            for message in found:
                receiver.complete_message(message)
    assert cloud.server.broker.counts(NAMESPACE, queue).active == 0


async def test_the_amqp_ports_speak_websocket_too(bus: Bus) -> None:
    # With an endpoint of its own and no transport named, this SDK takes WebSocket by itself.
    client = AsyncServiceBusClient(
        f"{CONTOSO}.servicebus.windows.net",
        AsyncCredential(bus.credential),  # type: ignore[arg-type]
        custom_endpoint_address=f"sb://{bus.tls}",
        connection_verify=bus.ca,
    )
    queue = bus.queue()
    async with client:
        async with client.get_queue_sender(queue) as sender:
            await sender.send_messages(ServiceBusMessage(LARGE))
        async with client.get_queue_receiver(queue) as receiver:
            (message,) = await receiver.receive_messages(1, max_wait_time=10)
            assert b"".join(message.body) == LARGE
            await receiver.complete_message(message)
    assert bus.counts(queue).active == 0


@pytest.mark.parametrize("path", ["/$servicebus/websocket", "/$servicebus/websocket/"])
def test_the_path_may_end_with_a_slash(bus: Bus, path: str) -> None:
    """So the SDKs for .NET and Rust ask, and uamqp."""
    host, _, port = bus.plain.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:443\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: AMQPWSB10\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"AMQPWSB10" in answer


def test_an_amqp_port_says_so_to_other_requests_and_leaves_the_rest_alone(bus: Bus) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://{bus.plain}/", timeout=10)
    assert refused.value.code == 404
    with refused.value as answer:
        assert b"AMQP 1.0" in answer.read()
    host, _, port = bus.plain.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"G")
        raw.sendall(b"OT NOTHING\r\n\r\n")
        # Whatever is not AMQP is answered with what would be (AMQP 1.0 part 2, section 2.2).
        assert raw.recv(8).startswith(b"AMQP")
        assert raw.recv(8) == b""


def test_a_plain_request_is_told_what_the_path_is_for(cloud: CloudInThread) -> None:
    context = ssl.create_default_context(cafile=cloud.connection["ca"])
    url = cloud.connection["resource_manager"] + "/$servicebus/websocket"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10, context=context)
    assert refused.value.code == 400
    with refused.value as answer:
        assert b"AMQP over WebSocket" in answer.read()
