"""A namespace that tests speak to over HTTP, and the SDK at its other end."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from azure.servicebus import (
    ServiceBusClient,
    ServiceBusReceivedMessage,
)

from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.queue import Queue
from tests.cloud.servicebus_signature import signature
from tests.conftest import CloudInThread

NAMESPACE = "over-http"
ROOT = "RootManageSharedAccessKey"
BATCH = "application/vnd.microsoft.servicebus.json"


class Answer:
    """What a request got."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.body = body

    @property
    def broker(self) -> dict[str, Any]:
        """The BrokerProperties."""
        found: dict[str, Any] = json.loads(self.headers["BrokerProperties"])
        return found

    @property
    def detail(self) -> str:
        """What an error says; its status is checked."""
        root = ElementTree.fromstring(self.body)
        assert root.tag == "Error"
        assert root.findtext("Code") == str(self.status)
        return root.findtext("Detail") or ""


class World:
    """A namespace of its own cloud, spoken to with nothing but HTTP."""

    def __init__(self, cloud: CloudInThread) -> None:
        self.cloud = cloud
        self.address = cloud.connection["resource_manager"].removeprefix("https://")
        self.context = ssl.create_default_context(cafile=cloud.ca)
        self.broker = cloud.server.broker
        cloud.call(self.broker.put_namespace(NAMESPACE))
        rule = self.broker.rule(NAMESPACE, ROOT)
        assert rule is not None
        self.key = rule.primary_key
        amqp = cloud.connection["service_bus"]["amqp"]
        self.connection_string = (
            f"Endpoint=sb://{amqp};SharedAccessKeyName={ROOT};SharedAccessKey={self.key};"
            "UseDevelopmentEmulator=true"
        )

    def queue(self, **properties: Any) -> str:
        name = f"queue-{uuid.uuid4().hex[:8]}"
        self.update(name, **properties)
        return name

    def update(self, name: str, **properties: Any) -> None:
        made = QueueProperties(**properties)
        self.cloud.call(self.broker.put_queue(NAMESPACE, name, made))

    def found(self, name: str) -> Queue:
        queue = self.broker.find(NAMESPACE, name)
        assert queue is not None
        return queue

    def sas(self, resource: str = "", rule: str = ROOT, key: str = "") -> str:
        target = f"https://{self.address}/{resource}"
        return signature(target, rule, key or self.key, time.time() + 600)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        *,
        token: str | None = None,
        address: str | None = None,
        secure: bool = True,
    ) -> Answer:
        """One request; path is below the host, `token` "" for none."""
        given = {"Content-Length": "0"} if body is None else {}
        if token != "":
            given["Authorization"] = token or self.sas()
        connection: http.client.HTTPConnection
        if secure:
            connection = http.client.HTTPSConnection(
                address or self.address, timeout=30, context=self.context
            )
        else:
            connection = http.client.HTTPConnection(address or self.address, timeout=30)
        if path.startswith("https://"):
            parts = urllib.parse.urlsplit(path)
            assert parts.netloc == (address or self.address)
            path = parts.path.lstrip("/")
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, f"/{path}", data, {**given, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()

    def connect(self, address: str, *, secure: bool = True) -> socket.socket:
        """A bare connection."""
        host, _, port = address.partition(":")
        opened = socket.create_connection((host, int(port)), timeout=30)
        return self.context.wrap_socket(opened, server_hostname=host) if secure else opened

    def send(self, queue: str, body: bytes | str, headers: dict[str, str] | None = None) -> None:
        answer = self.ask("POST", f"{queue}/messages", body, headers)
        assert (answer.status, answer.body) == (201, b""), answer.body

    def lock(self, queue: str) -> Answer:
        """Peek-lock what must be there."""
        answer = self.ask("POST", f"{queue}/messages/head?timeout=10")
        assert answer.status == 201, answer.body
        return answer

    def nothing(self, queue: str) -> bool:
        return self.ask("POST", f"{queue}/messages/head?timeout=0").status == 204

    def bus(self) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(self.connection_string)

    def receive(self, queue: str, **options: Any) -> ServiceBusReceivedMessage:
        """The next message over AMQP; completed."""
        with self.bus() as bus, bus.get_queue_receiver(queue, **options) as receiver:
            (message,) = receiver.receive_messages(1, max_wait_time=10)
            receiver.complete_message(message)
            return message

    def transmit(self, queue: str, *messages: Any) -> None:
        """Send over AMQP."""
        with self.bus() as bus, bus.get_queue_sender(queue) as sender:
            sender.send_messages(list(messages))

    def until_waiting(self, queue: str, count: int) -> None:
        """Until so many receivers stand in the queue's line."""

        async def waiting() -> int:
            return len(self.found(queue)._line)

        self.cloud.until(lambda: self.cloud.call(waiting()) == count)


def alone(folder: Path) -> Iterator[World]:
    """A cloud with this namespace only: on loopback the address alone does not name one."""
    running = CloudInThread(folder)
    yield World(running)
    running.stop()
