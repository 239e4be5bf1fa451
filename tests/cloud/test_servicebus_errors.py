"""Every error of the service reaches the unmodified SDK as an exception of its own kind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusClient, ServiceBusMessage
from azure.servicebus import exceptions as sdk
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.management import ServiceBusAdministrationClient

from orchestrator.localcloud.servicebus.front.faults import Strike
from orchestrator.localcloud.servicebus.model import EntityStatus, Right
from tests.cloud.servicebus_bus import Bus
from tests.conftest import CloudInThread

SECONDS = 5


class SyncClient:
    """A sync client, or what it made, with the face of an aio one: the cases run on both."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if name == "session":
            return SyncClient(found)
        if name.startswith("get_"):
            return lambda *given, **options: SyncClient(found(*given, **options))

        async def call(*given: Any, **options: Any) -> Any:
            return await asyncio.to_thread(found, *given, **options)

        return call

    async def __aenter__(self) -> SyncClient:
        await asyncio.to_thread(self._thing.__enter__)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await asyncio.to_thread(self._thing.__exit__, *error)


def connected(like: Any, connection_string: str) -> Any:
    """Another client of the kind of `like`."""
    if isinstance(like, SyncClient):
        made = ServiceBusClient.from_connection_string(connection_string, retry_total=0)
        return SyncClient(made)
    return AsyncServiceBusClient.from_connection_string(connection_string, retry_total=0)


Case = Callable[[Bus, AsyncServiceBusClient], Awaitable[None]]
CASES: dict[str, tuple[type[Exception], Case]] = {}


def case(expected: type[Exception]) -> Callable[[Case], Case]:
    def add(run: Case) -> Case:
        CASES[run.__name__] = expected, run
        return run

    return add


async def sent(client: AsyncServiceBusClient, queue: str, *bodies: Any, **fields: Any) -> None:
    async with client.get_queue_sender(queue) as sender:
        await sender.send_messages([ServiceBusMessage(body, **fields) for body in bodies])


@case(sdk.MessagingEntityNotFoundError)
async def sending_to_a_queue_that_is_not_there(bus: Bus, client: AsyncServiceBusClient) -> None:
    await sent(client, "nowhere", "x")


@case(sdk.MessagingEntityNotFoundError)
async def receiving_from_a_queue_that_is_not_there(bus: Bus, client: AsyncServiceBusClient) -> None:
    async with client.get_queue_receiver("nowhere") as receiver:
        await receiver.receive_messages(1, max_wait_time=1)


@case(sdk.MessagingEntityDisabledError)
async def sending_to_a_disabled_queue(bus: Bus, client: AsyncServiceBusClient) -> None:
    await sent(client, bus.queue(status=EntityStatus.SEND_DISABLED), "x")


@case(sdk.MessagingEntityDisabledError)
async def receiving_from_a_disabled_queue(bus: Bus, client: AsyncServiceBusClient) -> None:
    async with client.get_queue_receiver(bus.queue(status=EntityStatus.RECEIVE_DISABLED)) as door:
        await door.receive_messages(1, max_wait_time=1)


@case(sdk.MessagingEntityDisabledError)
async def completing_on_a_queue_disabled_meanwhile(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue()
    await sent(client, queue, "x")
    async with client.get_queue_receiver(queue) as receiver:
        (message,) = await receiver.receive_messages(1, max_wait_time=5)
        bus.update(queue, status=EntityStatus.RECEIVE_DISABLED)
        await receiver.complete_message(message)


@case(sdk.ServiceBusQuotaExceededError)
async def sending_to_a_full_queue(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue()

    def fill() -> None:
        found = bus.broker.queue("contoso", queue)
        assert found is not None
        found.incoming_size = 2 * 1024**3

    bus.read(fill)
    await sent(client, queue, "x")


@case(sdk.MessageSizeExceededError)
async def sending_what_is_too_large(bus: Bus, client: AsyncServiceBusClient) -> None:
    async with client.get_queue_sender(bus.queue()) as sender:
        await sender.send_messages(ServiceBusMessage(b"x" * 300_000))


@case(sdk.ServiceBusError)
async def sending_a_property_that_is_too_large(bus: Bus, client: AsyncServiceBusClient) -> None:
    await sent(client, bus.queue(), "x", application_properties={"k": "v" * 40_000})


@case(sdk.ServiceBusError)
async def sending_a_batch_to_several_partitions(bus: Bus, client: AsyncServiceBusClient) -> None:
    async with client.get_queue_sender(bus.queue(enable_partitioning=True)) as sender:
        await sender.send_messages([ServiceBusMessage("x", partition_key=key) for key in "ab"])


@case(sdk.ServiceBusError)
async def sending_without_a_session_where_one_is_needed(
    bus: Bus, client: AsyncServiceBusClient
) -> None:
    await sent(client, bus.queue(requires_session=True), "x")


@case(sdk.MessageLockLostError)
async def completing_under_a_lock_that_has_ended(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue(lock_duration=5.0)
    await sent(client, queue, "x")
    async with client.get_queue_receiver(queue) as receiver:
        (message,) = await receiver.receive_messages(1, max_wait_time=SECONDS)
        bus.read(lambda: bus.broker.queue("contoso", queue).lose(message.lock_token.bytes_le))  # type: ignore[union-attr]
        await receiver.complete_message(message)


@case(sdk.MessageLockLostError)
async def renewing_a_lock_that_has_ended(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue()
    await sent(client, queue, "x")
    async with client.get_queue_receiver(queue) as receiver:
        (message,) = await receiver.receive_messages(1, max_wait_time=SECONDS)
        bus.read(lambda: bus.broker.queue("contoso", queue).lose(message.lock_token.bytes_le))  # type: ignore[union-attr]
        await receiver.renew_message_lock(message)


@case(sdk.MessageNotFoundError)
async def asking_for_a_deferred_message_that_is_not_there(
    bus: Bus, client: AsyncServiceBusClient
) -> None:
    async with client.get_queue_receiver(bus.queue()) as receiver:
        await receiver.receive_deferred_messages([77])


@case(sdk.MessageNotFoundError)
async def cancelling_what_is_not_scheduled(bus: Bus, client: AsyncServiceBusClient) -> None:
    async with client.get_queue_sender(bus.queue()) as sender:
        await sender.cancel_scheduled_messages([77])


@case(sdk.SessionCannotBeLockedError)
async def accepting_a_session_that_somebody_has(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue(requires_session=True)
    async with (
        client.get_queue_receiver(queue, session_id="s"),
        client.get_queue_receiver(queue, session_id="s"),
    ):
        pass


@case(sdk.SessionLockLostError)
async def working_in_a_session_that_is_lost(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue(requires_session=True)
    async with client.get_queue_receiver(queue, session_id="s") as receiver:

        def lose() -> None:
            found = bus.broker.queue("contoso", queue)
            assert found is not None
            for lock in list(found._sessions.locks.values()):
                found.lose_session(lock)

        bus.read(lose)
        await receiver.session.set_state(b"x")


@case(sdk.OperationTimeoutError)
async def waiting_for_a_session_that_does_not_come(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue(requires_session=True)
    async with client.get_queue_receiver(queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1):
        pass


@case(sdk.ServiceBusAuthenticationError)
async def a_key_that_is_wrong(bus: Bus, client: AsyncServiceBusClient) -> None:
    wrong = connected(client, bus.connection_string("wrong"))
    async with wrong:
        await sent(wrong, bus.queue(), "x")


@case(sdk.ServiceBusAuthorizationError)
async def a_key_that_may_only_listen(bus: Bus, client: AsyncServiceBusClient) -> None:
    rule = bus.call(bus.broker.put_rule("contoso", "listener", frozenset({Right.LISTEN})))
    listener = connected(client, bus.connection_string(rule.primary_key, "listener"))
    async with listener:
        await sent(listener, bus.queue(), "x")


@case(sdk.ServiceBusServerBusyError)
async def a_service_that_is_busy(bus: Bus, client: AsyncServiceBusClient) -> None:
    queue = bus.queue()
    before = bus.front.strikes
    bus.front.strikes = lambda operation, *_: Strike.BUSY if operation == "send" else None
    try:
        await sent(client, queue, "x")
    finally:
        bus.front.strikes = before


@case(sdk.ServiceBusConnectionError)
async def nobody_at_the_address(bus: Bus, client: AsyncServiceBusClient) -> None:
    nobody = connected(client, bus.connection_string().replace(bus.plain, "127.0.0.1:1"))
    async with nobody:
        await sent(nobody, "queue", "x")


@pytest.mark.parametrize("name", CASES)
async def test_it_has_its_own_exception(bus: Bus, name: str) -> None:
    expected, run = CASES[name]
    async with bus.aio(retry_total=0) as client:
        with pytest.raises(expected) as raised:
            await asyncio.wait_for(run(bus, client), 30)
    assert type(raised.value) is expected


async def test_each_has_the_same_in_the_sync_client(bus: Bus) -> None:
    async def raised_by(run: Case) -> type[BaseException] | None:
        client: Any = SyncClient(bus.client(retry_total=0))
        async with client:
            try:
                await asyncio.wait_for(run(bus, client), 60)
            except (sdk.ServiceBusError, AssertionError) as error:
                return type(error)
        return None

    alone = a_service_that_is_busy  # everybody's sends are refused meanwhile
    together = {run: kind for kind, run in CASES.values() if run is not alone}
    raised = await asyncio.gather(*map(raised_by, together))
    assert dict(zip(together, raised, strict=True)) == together
    assert await raised_by(alone) is sdk.ServiceBusServerBusyError


def test_scheduling_on_a_disabled_queue_is_told_to_the_sync_client(bus: Bus) -> None:
    queue = bus.queue()
    with bus.client(retry_total=0) as client, client.get_queue_sender(queue) as sender:
        bus.update(queue, status=EntityStatus.SEND_DISABLED)
        with pytest.raises(sdk.MessagingEntityDisabledError):
            sender.schedule_messages(ServiceBusMessage("x"), datetime.now(UTC) + timedelta(hours=1))


def test_administration_has_its_own(cloud: CloudInThread) -> None:
    broker = cloud.server.broker
    cloud.call(broker.put_namespace("errors"))
    key = broker.rule("errors", "RootManageSharedAccessKey").primary_key
    client = ServiceBusAdministrationClient.from_connection_string(
        f"Endpoint={cloud.connection['resource_manager'].replace('https', 'sb')}/;"
        f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key}",
        connection_verify=cloud.connection["ca"],
    )
    with client:
        client.create_queue("twice")
        with pytest.raises(ResourceExistsError):
            client.create_queue("twice")
        with pytest.raises(ResourceNotFoundError):
            client.get_queue("nowhere")
        with pytest.raises(ResourceNotFoundError):
            client.delete_queue("nowhere")
