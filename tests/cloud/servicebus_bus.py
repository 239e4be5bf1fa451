"""A Service Bus of the local cloud by itself: broker and front in a thread, time under control."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from azure.core.credentials import AccessToken
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    TransportType,
)
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender

from orchestrator.clock import ManualClock, SystemClock
from orchestrator.localcloud.identity import Identity
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
from orchestrator.localcloud.servicebus.model import QueueCounts, QueueProperties
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from orchestrator.localcloud.state import StateFolder
from orchestrator.localcloud.tls import Certificates

T = TypeVar("T")
NAMESPACE = "contoso"
RULE = "RootManageSharedAccessKey"


class Credential:
    """A TokenCredential of the bus's own identity, sync; `aio` is the same for aio clients."""

    def __init__(self, issue: Callable[..., str], lifetime: float = 3600) -> None:
        self._issue = issue
        self._lifetime = lifetime

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        token = self._issue(scopes[0].removesuffix("/.default"), lifetime=self._lifetime)
        return AccessToken(token, int(time.time() + self._lifetime))

    @property
    def aio(self) -> AsyncCredential:
        return AsyncCredential(self)


class AsyncCredential:
    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return self._credential.get_token(*scopes)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> AsyncCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Bus:
    """Broker and front on loopback ports, with an identity, a CA and a clock that tests move.

    The clock starts at the real time, because clients judge lock expiry by their own.
    """

    def __init__(self, folder: Path, store: Any | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="bus", daemon=True)
        self._thread.start()
        self._names = itertools.count(1)
        self.clock = ManualClock(time.time())
        self._state = StateFolder(folder)
        self._state.acquire()
        settings = self._state.settings()
        machine = SystemClock()
        certificates = Certificates(self._state, machine)
        certificates.prepare()
        self.ca = str(certificates.ca)
        self.identity = Identity(self._state, settings, machine, "https://127.0.0.1:1")
        self.identity.open()
        self.credential = Credential(self.identity.issue)
        self.broker = Broker(store or SqliteStore(folder / "broker.sqlite"), self.clock)
        self.call(self._open(certificates))
        rule = self.broker.rule(NAMESPACE, RULE)
        assert rule is not None
        self.key = rule.primary_key

    async def _open(self, certificates: Certificates) -> None:
        await self.broker.open()
        await self.broker.put_namespace(NAMESPACE)
        self.front = ServiceBusFront(self.broker, self.identity.check, self.clock)
        ports = await self.front.start("127.0.0.1", 0, 0, certificates.context())
        self.plain = f"127.0.0.1:{ports.plain}"
        self.tls = f"127.0.0.1:{ports.tls}"

    def close(self) -> None:
        async def close() -> None:
            await self.front.stop()
            await self.broker.close()

        self.call(close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        self._state.release()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the bus's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def read(self, question: Callable[[], T]) -> T:
        """Ask something of the broker, in its loop."""

        async def ask() -> T:
            return question()

        return self.call(ask())

    def advance(self, seconds: float) -> None:
        """Let time pass for the broker."""
        self.call(self.clock.advance(seconds))

    def queue(self, **properties: Any) -> str:
        """A new queue."""
        name = f"queue-{next(self._names)}"
        self.update(name, **properties)
        return name

    def update(self, name: str, **properties: Any) -> None:
        self.call(self.broker.put_queue(NAMESPACE, name, QueueProperties(**properties)))

    def counts(self, name: str) -> QueueCounts:
        counts = self.read(lambda: self.broker.counts(NAMESPACE, name))
        assert counts is not None
        return counts

    def until(self, test: Callable[[], bool], timeout: float = 10) -> None:
        """Wait until `test`, asked in the broker's loop, is true."""
        end = time.monotonic() + timeout
        while not self.read(test):
            assert time.monotonic() < end, "it did not come true"
            time.sleep(0.005)

    def connection_string(self, key: str | None = None, rule: str = RULE) -> str:
        return (
            f"Endpoint=sb://{self.plain};SharedAccessKeyName={rule};"
            f"SharedAccessKey={key or self.key};UseDevelopmentEmulator=true"
        )

    def tls_connection_string(self) -> str:
        """Of a client that knows TLS only, and trusts `ca`."""
        return f"Endpoint=sb://{self.tls}/;SharedAccessKeyName={RULE};SharedAccessKey={self.key}"

    def client(self, **options: Any) -> ServiceBusClient:
        """A sync client on the plain port."""
        return ServiceBusClient(self.plain, self.credential, use_tls=False, **options)  # type: ignore[arg-type]

    def aio(self, **options: Any) -> AsyncServiceBusClient:
        """An aio client on the plain port."""
        return AsyncServiceBusClient(
            self.plain,
            self.credential.aio,  # type: ignore[arg-type]
            use_tls=False,
            **options,
        )

    def tls_options(self) -> dict[str, Any]:
        """What a client of `contoso.servicebus.windows.net` needs to reach the TLS port."""
        return {
            "fully_qualified_namespace": f"{NAMESPACE}.servicebus.windows.net",
            "custom_endpoint_address": f"sb://{self.tls}",
            "connection_verify": self.ca,
            "transport_type": TransportType.Amqp,
        }


@asynccontextmanager
async def linked(
    bus: Bus, queue: str, *, retry_total: int = 3, **receiver_options: Any
) -> AsyncIterator[tuple[ServiceBusSender, ServiceBusReceiver]]:
    """An aio sender to `queue` and receiver from it.

    They are opened and closed side by side: the SDK takes half a second for the one and up to a
    second for the other, of which it sleeps most.
    """
    async with bus.aio(retry_total=retry_total) as client:
        sender = client.get_queue_sender(queue)
        receiver = client.get_queue_receiver(queue, **receiver_options)
        try:
            await asyncio.gather(sender.__aenter__(), receiver.__aenter__())
            yield sender, receiver
        finally:
            await asyncio.gather(sender.close(), receiver.close())


async def take(receiver: ServiceBusReceiver, count: int) -> list[ServiceBusReceivedMessage]:
    """The next `count` messages of a receiver."""
    found: list[ServiceBusReceivedMessage] = []
    while len(found) < count:
        batch = await receiver.receive_messages(count - len(found), max_wait_time=10)
        assert batch, f"only {len(found)} of {count} messages came"
        found += batch
    return found


def texts(*bodies: object) -> list[ServiceBusMessage]:
    """Messages with these texts; what is a message already stays as it is."""
    return [b if isinstance(b, ServiceBusMessage) else ServiceBusMessage(str(b)) for b in bodies]
