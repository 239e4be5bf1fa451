"""What the three payloads share: how they reach Service Bus, and how they begin and end."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any, TypeVar

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AsyncioRequestsTransport
from azure.identity.aio import DefaultAzureCredential
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusMessageBatch,
    ServiceBusReceivedMessage,
    TransportType,
)
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    OperationTimeoutError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusCommunicationError,
    ServiceBusConnectionError,
    ServiceBusQuotaExceededError,
)

from environment import Connection, VariableError, load_dotenv_file

SEND_TIMEOUT = 60.0
"""Seconds that one send may take with all its retries."""

MAX_BATCH_COUNT = 4500
"""Messages in one batch at most: the Standard tier refuses more, whatever their size, and the SDK
does not know (https://github.com/Azure/azure-service-bus/issues/397)."""

MAX_PER_CALL = 1000
"""Messages that one receive call asks for at most: those that are settled together."""

_SCOPE = "https://servicebus.azure.net//.default"  # as the SDK asks for it, so that it finds it
_SLICE = 0.5  # seconds; how soon a receiver that waits notices that it shall stop
_ENVELOPE = 1024  # bytes; the SDK counts the messages of a batch, not the batch's own properties
_LONGEST_MESSAGE_ID = 128  # characters; the service refuses more
_LONGEST_TEXT = 32_000  # characters of a number in a line: a column of Log Analytics holds 32 KB

Settings = TypeVar("Settings")
Item = TypeVar("Item")


class PayloadError(Exception):
    """The payload cannot go on; the text is for the user: what happened and what to do."""


class Stop:
    """Set once the process is told to end, by SIGTERM, Ctrl-C or, on Windows, Ctrl-Break."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def listen(self) -> None:
        """Take the signals of this process. The second one ends it at once."""
        # Not loop.add_signal_handler: Windows has none. A handler of the signal module runs between
        # two bytecodes of the main thread, and asyncio's wake-up descriptor ends its wait.
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self._received)

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = signal.Signals(number)


@asynccontextmanager
async def connected(connection: Connection) -> AsyncIterator[ServiceBusClient]:
    """The one client of this process, with a token already in hand.

    Raises PayloadError when no credential is accepted: said once and at once, where the client
    would try four times.
    """
    options: dict[str, Any] = {}
    if connection.custom_endpoint:
        # Without the explicit transport a custom endpoint means WebSockets.
        options["custom_endpoint_address"] = connection.custom_endpoint
        options["transport_type"] = TransportType.Amqp
    if connection.ca_bundle:
        options["connection_verify"] = connection.ca_bundle
    # `requests` is loaded by azure.identity anyway; the default transport would load aiohttp as
    # well, which takes a third of the start-up time, for one request.
    async with DefaultAzureCredential(transport=AsyncioRequestsTransport()) as credential:
        try:
            await credential.get_token(_SCOPE)
        except ClientAuthenticationError as error:
            tried = [line.strip() for line in str(error).splitlines() if "ManagedIdentity" in line]
            raise PayloadError(
                f"no credential was accepted ({tried[0] if tried else brief(error)}); on Azure, "
                "give the job the managed identity that AZURE_CLIENT_ID names, elsewhere log in "
                "with `az login`"
            ) from error
        async with ServiceBusClient(connection.namespace, credential, **options) as client:
            yield client


@contextmanager
def attempting(doing: str, namespace: str) -> Iterator[None]:
    """Turn what the SDK raises into a PayloadError that says what was being done.

    A message that is too large goes through as it is: its sender knows better what to do.
    """
    try:
        yield
    except MessageSizeExceededError:
        raise
    except AzureError as error:
        raise PayloadError(explain(error, doing=doing, namespace=namespace)) from error


@asynccontextmanager
async def opened(
    *links: tuple[ServiceBusSender | ServiceBusReceiver, str], namespace: str
) -> AsyncIterator[None]:
    """Open links at the same time, each with the words for what it is to do; close them at the end.

    Opening takes the SDK about half a second, most of which it sleeps.
    """
    results = await asyncio.gather(
        *(link.__aenter__() for link, _ in links), return_exceptions=True
    )
    try:
        for (_, doing), result in zip(links, results, strict=True):
            with attempting(doing, namespace):
                if isinstance(result, BaseException):
                    raise result
        yield
    finally:
        await asyncio.gather(*(_close(link) for link, _ in links), return_exceptions=True)


async def _close(link: ServiceBusSender | ServiceBusReceiver) -> None:
    """Close a link. A receiver gives back what the broker has sent and nobody has received yet."""
    closing = asyncio.create_task(link.close())
    # What a sender has to say is said at once; after that, the SDK only waits for a timer of its
    # own to notice, for up to a second.
    await asyncio.wait({closing}, timeout=0.1 if isinstance(link, ServiceBusSender) else None)


async def arrivals(
    receiver: ServiceBusReceiver, stop: Stop, *, per_call: int, at_most: int | None, patience: float
) -> AsyncIterator[list[ServiceBusReceivedMessage]]:
    """Messages as they come, locked, up to `per_call` at a time and `at_most` altogether.

    Ends when none has come for `patience` seconds, or when told to stop. A connection that breaks
    is made anew, twice without a message in between at most.
    """
    now = asyncio.get_running_loop().time
    per_call = min(per_call, MAX_PER_CALL)
    taken, broken, quiet_since = 0, 0, now()
    while not stop and (at_most is None or taken < at_most):
        left = patience - (now() - quiet_since)
        if left <= 0:
            return
        try:
            # A call that is cancelled may strand a locked message, so calls are kept short.
            messages = await receiver.receive_messages(
                max_message_count=per_call if at_most is None else min(per_call, at_most - taken),
                max_wait_time=min(left, _SLICE),
            )
        except AzureError:
            broken += 1
            if broken > 2:
                raise
            # Within so short a call the SDK has no time to connect again; here it has.
            await receiver.__aenter__()
            quiet_since = now()
            continue
        if not messages:
            continue
        taken, broken = taken + len(messages), 0
        # While this process was busy, the broker may have sent messages that it was still asked
        # for, and their locks may have run out meanwhile: they are not ours any more.
        instant = datetime.now(UTC)
        locked = [m for m in messages if not m.locked_until_utc or m.locked_until_utc > instant]
        if len(locked) < len(messages):
            late = len(messages) - len(locked)
            complain(f"{late} messages came after their locks had expired; to be delivered again")
        if locked:
            yield locked
        quiet_since = now()


async def new_batch(sender: ServiceBusSender) -> ServiceBusMessageBatch:
    """An empty batch for `sender` that, when full, is not refused for its size."""
    largest = (await sender.create_message_batch()).max_size_in_bytes
    return await sender.create_message_batch(largest - _ENVELOPE)


async def packed(
    items: Iterable[Item],
    message_of: Callable[[Item], ServiceBusMessage],
    new_batch: Callable[[], Awaitable[ServiceBusMessageBatch]],
) -> AsyncIterator[tuple[ServiceBusMessageBatch, list[Item]]]:
    """`items` as batches that are as large as they may be, each with the items in it, in order.

    Nothing is left out: raises MessageSizeExceededError for an item that no batch can hold, after
    the items before it have been yielded.
    """
    batch, inside = await new_batch(), list[Item]()
    for item in items:
        message = message_of(item)
        if len(inside) < MAX_BATCH_COUNT:
            try:
                batch.add_message(message)
            except MessageSizeExceededError:
                pass
            else:
                inside.append(item)
                continue
        if inside:
            yield batch, inside
        batch, inside = await new_batch(), []
        batch.add_message(message)
        inside.append(item)
    if inside:
        yield batch, inside


def id_of(message: ServiceBusReceivedMessage) -> str:
    """The id of a message; one made of its sequence number, which never changes, if it has none."""
    if message.message_id is None:
        return f"sequence-{message.sequence_number}"
    return str(message.message_id)


def text_of(message: ServiceBusReceivedMessage) -> str:
    """The body of a message as text; bytes that are not UTF-8 become replacement characters."""
    if message.body_type == AmqpMessageBodyType.DATA:
        body = message.body
        joined = body if isinstance(body, bytes) else b"".join(body)
        return joined.decode(errors="replace")
    return str(message)


def derived_id(source: str, suffix: str) -> str:
    """The id of what was made from message `source`: the same one each time it is made.

    >>> derived_id("sender-abc-17", "result")
    'sender-abc-17-result'
    """
    derived = f"{source}-{suffix}"
    if len(derived) <= _LONGEST_MESSAGE_ID:
        return derived
    import hashlib

    return f"{hashlib.sha256(source.encode()).hexdigest()}-{suffix}"


def abbreviated(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text`, or its two ends and its length if it is longer than `longest` characters."""
    if len(text) <= longest:
        return text
    end = min(20, longest // 2)
    return f"{text[:end]}…{text[-end:]} ({len(text)} characters)"


def say(lines: Iterable[str]) -> None:
    """Write lines to standard output and flush them, with one system call for all."""
    written = "".join(f"{line}\n" for line in lines)
    if written:
        sys.stdout.write(written)
        sys.stdout.flush()


def complain(line: str) -> None:
    """Write a line to standard error, after everything said so far."""
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def brief(error: BaseException) -> str:
    """The first line of an error, without the wrapping of the SDK."""
    inner = getattr(error, "inner_exception", None)
    if isinstance(inner, AzureError):
        error = inner
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def explain(error: AzureError, *, doing: str, namespace: str) -> str:
    """One sentence for the user: what could not be done, why, and what to try."""
    if isinstance(error, MessagingEntityNotFoundError):
        why, step = "it does not exist", "create it, or correct the name of the queue"
    elif isinstance(error, MessagingEntityDisabledError):
        why, step = "it is disabled", "enable it"
    elif isinstance(error, ServiceBusAuthenticationError | ServiceBusAuthorizationError):
        why = brief(error)
        step = f"give the identity {_roles_for(why)}"
    elif isinstance(error, ServiceBusQuotaExceededError):
        why, step = "the queue is full", "receive messages from it, or enlarge it"
    elif isinstance(error, OperationTimeoutError):
        why, step = "no answer in time", "try again"
    elif isinstance(error, ServiceBusConnectionError | ServiceBusCommunicationError):
        why, step = brief(error), "check FULLY_QUALIFIED_NAMESPACE and the network"
    else:
        why, step = brief(error), "try again"
    return f"{doing} in {namespace} failed: {why}; {step}"


def _roles_for(refusal: str) -> str:
    """The role of the claim that the service names, or those that one or the other needs.

    https://learn.microsoft.com/azure/service-bus-messaging/service-bus-managed-service-identity
    """
    if "'Send'" in refusal:
        return "the role Azure Service Bus Data Sender"
    if "'Listen'" in refusal:
        return "the role Azure Service Bus Data Receiver"
    return "the roles Azure Service Bus Data Sender and Data Receiver"


def run(
    settings: Callable[[], Settings], work: Callable[[Settings, Stop], Coroutine[Any, Any, bool]]
) -> int:
    """Run a payload: read its `settings` from the environment, do its `work`.

    The exit status: 0 when `work` says that all went well, 1 when something failed, 2 when a
    variable is wrong, 128 + the number of the signal when told to stop.
    """
    # Otherwise Python would print the warnings of the SDK and of asyncio beside our sentences.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    stop = Stop()
    stop.listen()
    try:
        load_dotenv_file()
        well = asyncio.run(work(settings(), stop))
    except VariableError as problem:
        complain(f"error: {problem}")
        return 2
    except PayloadError as error:
        complain(f"error: {error}")
        well = False
    except AzureError as error:
        complain(f"error: {brief(error)}")
        well = False
    except BrokenPipeError:
        # Nobody reads what is printed. What was not logged was not completed either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if stop.signal is not None:
        return 128 + stop.signal
    return 0 if well else 1
