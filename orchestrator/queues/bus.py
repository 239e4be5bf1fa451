"""The way to a queue's messages: the SDK's links, opened, closed, and their failures told.

Every exception of azure-servicebus becomes one of this library's: one sentence and the next step.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from orchestrator.azure.failures import LOCAL_HINT, sign_in_hint, told, unreachable
from orchestrator.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotReachable,
    OrchestratorError,
    PermissionDenied,
    ServiceFailed,
    StorageFull,
    Throttled,
)

if TYPE_CHECKING:
    from azure.servicebus import (
        ServiceBusClient,
        ServiceBusMessageBatch,
        ServiceBusReceivedMessage,
        ServiceBusReceiver,
        ServiceBusSender,
    )
    from azure.servicebus.exceptions import ServiceBusError

    from orchestrator.azure.clients import Clients
    from orchestrator.azure.profile import Profile

OPERATION_TIMEOUT = 60.0  # seconds one send or peek may take, retries and all
PEEK_PAGE = 250  # messages asked for by one peek
SEND_BATCH = 100  # messages in one send, where they fit
# A keyword of azure-servicebus that its documentation does not name; a version without it ignores
# it. Its thread keeps alive a sender that waits for the program; ours is used at once or closed, a
# lost link is opened anew by the SDK, and closing waits up to a second for that thread. (Receivers
# have the thread whatever they are told.)
_NO_KEEP_ALIVE: dict[str, Any] = {"keep_alive": 0}
_NO_BATCHES = "Batching brokered messages"  # begins the refusal of a batch of several partitions

# Of a message, bytes: one property, and all that is before the body together
# (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas).
PROPERTY_BYTES = 32 * 1024
PROPERTIES_BYTES = 64 * 1024


SubQueue: TypeAlias = Literal["deadletter", "transferdeadletter"]
"""As `azure.servicebus.ServiceBusSubQueue` names them."""


class Bus:
    """The links to one queue, for the length of a `with` block of `opened`."""

    def __init__(self, client: ServiceBusClient, queue: str) -> None:
        self._client = client
        self.queue = queue

    def sender(self) -> ServiceBusSender:
        """A link to send on; close it (a context manager)."""
        return self._client.get_queue_sender(self.queue, **_NO_KEEP_ALIVE)

    def sessions(self) -> Iterator[str]:
        """The ids of the sessions that have messages or a state, page by page."""
        yield from self._client.list_queue_sessions(self.queue, timeout=OPERATION_TIMEOUT)

    def receiver(
        self,
        *,
        sub_queue: SubQueue | None = None,
        session: str | None = None,
        delete: bool = False,
    ) -> ServiceBusReceiver:
        """A link to receive or peek on; close it.

        `sub_queue`: of the queue, instead of the queue itself. `session`: its id, of a queue
        with sessions. `delete`: what is received is deleted at once;
        else it is locked until it is settled.
        """
        from azure.servicebus import ServiceBusReceiveMode

        mode = ServiceBusReceiveMode
        return self._client.get_queue_receiver(
            self.queue,
            sub_queue=sub_queue,
            session_id=session,
            receive_mode=mode.RECEIVE_AND_DELETE if delete else mode.PEEK_LOCK,
        )

    def next_session(self, wait: float) -> ServiceBusReceiver:
        """As `receiver`, of a session with messages that nobody holds; opening it, one is waited
        for for `wait` seconds."""
        from azure.servicebus import NEXT_AVAILABLE_SESSION

        return self._client.get_queue_receiver(
            self.queue, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=wait
        )


@contextmanager
def opened(
    clients: Clients,
    queue: str,
    doing: str,
    missing: Callable[[], OrchestratorError],
    *,
    patient: bool = True,
) -> Iterator[Bus]:
    """A `Bus` to `queue`. `doing` and `missing` as for `bus_told`, `patient` as for
    `Clients.bus`."""
    # Without any handler Python prints the SDK's own warnings, tracebacks and all, on stderr.
    logger = logging.getLogger("azure.servicebus")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    with bus_told(clients.profile, doing, missing), clients.bus(patient=patient) as client:
        yield Bus(client, queue)


def peeked(
    receiver: ServiceBusReceiver, start: int = 1, most: int | None = None
) -> Iterator[ServiceBusReceivedMessage]:
    """The messages of the queue in order, from sequence number `start`; at most `most`.

    Each page is asked for when it is needed. Nothing is locked or taken.
    """
    start = max(start, 1)  # to the SDK 0 means "go on"
    while most is None or most > 0:
        page = receiver.peek_messages(
            PEEK_PAGE if most is None else min(PEEK_PAGE, most),
            sequence_number=start,
            timeout=OPERATION_TIMEOUT,
        )
        if not page:
            return
        yield from page
        start = (page[-1].sequence_number or start) + 1
        if most is not None:
            most -= len(page)


def send_all(
    sender: ServiceBusSender, messages: Sequence[Any], sent: Callable[[int], None]
) -> None:
    """Send in order, in batches where they fit; `sent(n)` after each n that were accepted.

    A batch holds messages of one session and partition only, as Service Bus demands; where it takes
    no batches at all (partitions and duplicate detection), they go one by one. Raises
    MessageSizeExceededError for the first that fits nowhere, InvalidRequest for one with too much
    in its properties; those before it are sent.
    """
    from azure.servicebus.exceptions import ServiceBusError

    one_by_one = False

    def deliver(what: Any, members: Sequence[Any]) -> None:
        try:
            sender.send_messages(what, timeout=OPERATION_TIMEOUT)
        except ServiceBusError as error:
            # The service tells it as a failure of its own
            # (https://github.com/Azure/azure-sdk-for-net/issues/15325).
            wordy = _too_wordy(members) if type(error) is ServiceBusError else None
            if wordy is None:
                raise
            raise wordy from error
        sent(len(members))

    def send_one(message: Any) -> None:
        deliver(message, [message])

    def send_batch(batch: ServiceBusMessageBatch, members: Sequence[Any]) -> None:
        nonlocal one_by_one
        try:
            deliver(batch, members)
        except ServiceBusError as error:
            # It is refused whole: none of it was taken.
            if _NO_BATCHES not in str(error):
                raise
            one_by_one = True
            for member in members:
                send_one(member)

    for group in _alike(messages):
        if len(group) == 1 or one_by_one:
            for message in group:
                send_one(message)
            continue
        batch = sender.create_message_batch()
        members: list[Any] = []
        for message in group:
            try:
                batch.add_message(message)
            except ValueError:  # it is full; the SDK's MessageSizeExceededError is a ValueError
                if members:
                    send_batch(batch, members)
                batch, members = sender.create_message_batch(), []
                try:
                    batch.add_message(message)
                except ValueError:  # too large for any batch; alone it may pass
                    send_one(message)
                    continue
            members.append(message)
        if members:
            send_batch(batch, members)


def _too_wordy(messages: Iterable[Any]) -> InvalidRequest | None:
    """The error for the first of these with more in its properties than the service takes."""
    for message in messages:
        raw = getattr(message, "raw_amqp_message", message)
        application = raw.application_properties or {}
        own = dict(raw.properties.items()) if raw.properties else {}
        sizes = {
            _text(name): _bytes_of(value) for name, value in [*own.items(), *application.items()]
        }
        total = sum(sizes.values()) + sum(map(_bytes_of, application))
        name = max(sizes, key=lambda name: sizes[name], default="")
        one = name and sizes[name] > PROPERTY_BYTES and name not in own
        if one or total > PROPERTIES_BYTES:
            return InvalidRequest(
                f"The properties of a message have {total:,} bytes, its property {name} alone "
                f"{sizes[name]:,}: Service Bus takes up to {PROPERTY_BYTES:,} in one, and "
                f"{PROPERTIES_BYTES:,} in all together.",
                "Put what is long into the body.",
            )
    return None


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _bytes_of(value: Any) -> int:
    """How long a property's name or value is, about."""
    if value is None:
        return 0
    return len(value) if isinstance(value, bytes) else len(str(value).encode())


def _alike(messages: Iterable[Any]) -> Iterator[list[Any]]:
    """Runs of messages that may share a batch."""
    run: list[Any] = []
    last: object = None
    for message in messages:
        raw = getattr(message, "raw_amqp_message", message)
        session = raw.properties.group_id if raw.properties else None
        key = (session, (raw.annotations or {}).get("x-opt-partition-key"))
        if run and (key != last or len(run) == SEND_BATCH):
            yield run
            run = []
        run.append(message)
        last = key
    if run:
        yield run


# ------------------------------------------------------------------------------ failures


@contextmanager
def bus_told(
    profile: Profile, doing: str, missing: Callable[[], OrchestratorError]
) -> Iterator[None]:
    """`failures.told` for what azure-servicebus raises inside.

    `doing`: for the sentence, as in "peek into the queue results". `missing`: makes the error for
    a queue that is not there; called outside of any link.
    """
    from azure.servicebus.exceptions import ServiceBusError

    try:
        with told(profile, doing):
            try:
                yield
            except ServiceBusError as error:
                raise _translated(error, profile, doing) from error
    except _NoSuchQueueError as error:
        raise missing() from error.__cause__


class _NoSuchQueueError(OrchestratorError):
    """Until `missing` has found better words."""


class SessionNeeded(InvalidRequest):
    """A receiver was refused, for its queue has sessions and none was named."""


_NAME_SESSION = (
    "Its messages belong to sessions: name one (--session ID); they are listed by "
    "orchestrator queues sessions"
)


def _translated(error: ServiceBusError, profile: Profile, doing: str) -> OrchestratorError:
    """The error for one of the SDK's."""
    from azure.servicebus import exceptions as sdk

    said = f"Could not {doing}: {_first_line(error)}"
    if isinstance(error, sdk.MessagingEntityNotFoundError):
        return _NoSuchQueueError(said)
    if isinstance(error, sdk.MessageSizeExceededError):
        return InvalidRequest(
            said, "Send less at a time; what does not fit belongs in a storage account."
        )
    if isinstance(error, sdk.ServiceBusQuotaExceededError):
        return StorageFull(said, "Receive or purge messages first; those in it are safe.")
    if isinstance(error, sdk.ServiceBusServerBusyError):
        return Throttled(said, "Try again in some seconds.")
    if isinstance(error, sdk.MessagingEntityDisabledError):
        return Conflict(said, "The queue is disabled for this; set its status to Active.")
    if isinstance(error, sdk.SessionCannotBeLockedError):
        return Conflict(said, "Another receiver holds that session; try again when it is done.")
    if isinstance(error, sdk.MessageLockLostError | sdk.SessionLockLostError):
        return Conflict(said, "It is in the queue again; receive it anew.")
    if isinstance(error, sdk.ServiceBusAuthorizationError):
        return PermissionDenied(said, _role_hint(profile))
    if isinstance(error, sdk.ServiceBusAuthenticationError):
        if "unauthorized-access" in str(error).lower():
            return PermissionDenied(said, _role_hint(profile))
        if getattr(error.inner_exception, "status_code", None) == 404:
            # Azure tells it at the token already: there is nothing that it could be put on.
            return _NoSuchQueueError(said)
        return AuthenticationFailed(said, sign_in_hint(profile))
    if isinstance(error, sdk.OperationTimeoutError):
        return NotReachable(
            f"Could not {doing}: no answer in time.",
            LOCAL_HINT if profile.kind == "local" else "Check the network, and try again.",
        )
    if isinstance(error, sdk.ServiceBusConnectionError | sdk.ServiceBusCommunicationError):
        return _no_connection(error, profile, doing)
    if "does not require sessions" in str(error):
        return InvalidRequest(said, "Its messages belong to no session: name none.")
    # The service's words; the names of queues may have "session" in them, too.
    if "that requires sessions" in str(error):
        return SessionNeeded(said, _NAME_SESSION)
    if "The SessionId was not set" in str(error):
        return InvalidRequest(said, _NAME_SESSION)
    if "auto-forwarding" in str(error):
        return InvalidRequest(
            said,
            "Its messages are where it forwards them to, which orchestrator queues show tells; "
            "those that it could not: orchestrator queues dead-letters list --transfer",
        )
    if "amqp:not-allowed" in str(error):
        return InvalidRequest(said, "See what it is: orchestrator queues show")
    return ServiceFailed(said, "Try again.")


# What the SDK leaves of the socket's own error is its text.
_REFUSED = ("connection refused", "actively refused", "[errno 111]", "[errno 61]", "10061")
_NAMELESS = ("getaddrinfo", "name or service not known", "nodename nor servname")


def _no_connection(error: ServiceBusError, profile: Profile, doing: str) -> OrchestratorError:
    text = str(error).lower()
    if any(word in text for word in _REFUSED):
        return unreachable(ConnectionRefusedError(), profile, doing)
    if any(word in text for word in _NAMELESS):
        return NotReachable(
            f"Could not {doing}: {_namespace(profile)} has no address.",
            "Check the network, and the profile's namespace; make it: orchestrator up",
        )
    return unreachable(error, profile, doing)


def _namespace(profile: Profile) -> str:
    return f"the namespace {profile.namespace}" if profile.namespace else "the namespace"


def _role_hint(profile: Profile) -> str:
    return (
        "The identity needs the role Azure Service Bus Data Owner on "
        f"{_namespace(profile)} (Data Receiver and Data Sender for a part of it); a new assignment "
        "takes some minutes to count."
    )


# What the service said, where the SDK puts the bytes of it into its own sentence.
_BYTES = re.compile(r"""\bb(?P<quote>['"])(?P<text>.*)(?P=quote)""")


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).partition("\n")[0].split())
    text = text.partition(" Error condition:")[0].strip() or type(error).__name__
    text = _BYTES.sub(r"\g<text>", text)
    return text if text[-1] in ".!?" else f"{text}."
