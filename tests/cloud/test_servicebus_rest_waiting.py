"""Receivers over HTTP that wait: for a message, for a client that has gone, for the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.localcloud.servicebus.model import EntityStatus
from tests.cloud.rest_world import NAMESPACE, ROOT, Answer, World, alone
from tests.cloud.servicebus_signature import signature
from tests.conftest import CloudInThread


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from alone(tmp_path_factory.mktemp("cloud"))


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_receive_waits_for_a_message(world: World, method: str) -> None:
    queue = world.queue()
    found: list[Answer] = []
    waiting = threading.Thread(
        target=lambda: found.append(world.ask(method, f"{queue}/messages/head"))
    )
    waiting.start()
    world.until_waiting(queue, 1)
    world.send(queue, "at last")
    waiting.join(30)
    assert [answer.body for answer in found] == [b"at last"]
    world.until_waiting(queue, 0)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    ("port", "size"), [("https", 0), ("amqps", 0), ("amqp", 0), ("https", 1_000_000)]
)
def test_a_client_that_goes_takes_no_message(
    world: World, method: str, port: str, size: int
) -> None:
    queue = world.queue()
    address = world.cloud.connection["service_bus"].get(port, world.address)
    opened = world.connect(address, secure=port != "amqp")
    token = signature(f"https://{address}/", ROOT, world.key, time.time() + 600)
    opened.sendall(
        f"{method} /{queue}/messages/head HTTP/1.1\r\nHost: {address}\r\n"
        f"Authorization: {token}\r\nContent-Length: {size}\r\n\r\n".encode()
        + bytes(size)
    )
    world.until_waiting(queue, 1)
    opened.close()
    world.until_waiting(queue, 0)
    world.send(queue, "for whoever is there")
    assert world.lock(queue).broker["DeliveryCount"] == 1


def test_what_a_connection_says_next_is_heard_after_a_wait(world: World) -> None:
    """Two requests at once on one connection: the second waits for the first's answer."""
    queue = world.queue()
    opened = world.connect(world.address)
    head = (
        f"DELETE /{queue}/messages/head?timeout=20 HTTP/1.1\r\nHost: {world.address}\r\n"
        f"Authorization: {world.sas()}\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    opened.sendall(head)
    world.until_waiting(queue, 1)
    opened.sendall(head)
    world.send(queue, "one")
    world.send(queue, "two")
    seen = b""
    while not seen.endswith(b"two\r\n0\r\n\r\n"):
        part = opened.recv(4096)
        assert part, seen
        seen += part
    opened.close()
    assert seen.index(b"one") < seen.index(b"two")


def test_a_queue_that_is_deleted_or_closed_ends_the_waiting(world: World) -> None:
    queue = world.queue()
    found: list[Answer] = []

    def wait() -> threading.Thread:
        thread = threading.Thread(
            target=lambda: found.append(world.ask("POST", f"{queue}/messages/head"))
        )
        thread.start()
        world.until_waiting(queue, 1)
        return thread

    waiting = wait()
    world.update(queue, status=EntityStatus.RECEIVE_DISABLED)
    waiting.join(30)
    world.update(queue)
    waiting = wait()
    world.cloud.call(world.broker.delete_queue(NAMESPACE, queue))
    waiting.join(30)
    assert [answer.status for answer in found] == [403, 410]


def test_a_server_that_stops_lets_nobody_wait(tmp_path: Path) -> None:
    world = World(CloudInThread(tmp_path / "cloud"))
    queue = world.queue()
    found: list[Answer] = []
    waiting = threading.Thread(
        target=lambda: found.append(world.ask("POST", f"{queue}/messages/head"))
    )
    waiting.start()
    world.until_waiting(queue, 1)
    world.cloud.stop()
    waiting.join(30)
    (answer,) = found
    assert answer.status == 503
    assert "try again" in answer.detail
