"""The `$management` node of an entity: request-response operations beside the message links.

Operations, their maps and status codes:
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response

In a transaction, what sends, cancels or settles messages is looked at and answered at once, and
done when the transaction is discharged (azure-sdk-for-net, TransactionLiveTests). What reads, locks
or renews a lock is done at once, as there is nothing to undo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import NOT_ALLOWED, NOT_IMPLEMENTED, AmqpError
from orchestrator.localcloud.servicebus import partitions
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.faults import SERVER_BUSY, Strike, server_busy
from orchestrator.localcloud.servicebus.front.links.door import unauthorized
from orchestrator.localcloud.servicebus.front.links.request import Reply
from orchestrator.localcloud.servicebus.front.links.transaction import OPERATION_BYTES
from orchestrator.localcloud.servicebus.front.management.call import (
    ARGUMENT_ERROR,
    ARGUMENT_OUT_OF_RANGE,
    AnswerError,
    Call,
)
from orchestrator.localcloud.servicebus.front.management.rules import rule_operations
from orchestrator.localcloud.servicebus.front.messages import (
    Request,
    merged,
    read,
    write,
    write_outline,
)
from orchestrator.localcloud.servicebus.model import (
    Done,
    IncomingMessage,
    LockedMessage,
    Right,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionLock
from orchestrator.localcloud.servicebus.topics.topic import Subscription

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front.peer import Peer

# A last-updated-time from which on (the end of .NET's time) all sessions with messages are meant.
_ALL_SESSIONS = 253402300800000 - 1000

# The reply's messages may take this many bytes together; who wants more asks again.
REPLY_BYTES = 1024 * 1024

# What changes something and cannot be undone with a transaction. Which operations may be in one:
# https://learn.microsoft.com/azure/service-bus-messaging/service-bus-transactions
_ALONE = (
    "com.microsoft:batch-delete-messages",
    "com.microsoft:add-rule",
    "com.microsoft:remove-rule",
)

# What to do with a message, by `disposition-status` ("defered" is the service's spelling).
_COMPLETED, _ABANDONED, _DEFERRED, _SUSPENDED = "completed", "abandoned", "defered", "suspended"

_OPERATIONS = {_COMPLETED: "complete", _ABANDONED: "abandon"}


class ManagementNode:
    """Serves one link's requests for one entity."""

    def __init__(self, peer: Peer, queue: Queue) -> None:
        self._peer = peer
        self._queue = queue
        self._operations: Mapping[str, tuple[Right, Callable[[Call], None]]] = {
            "com.microsoft:renew-lock": (Right.LISTEN, self._renew_lock),
            "com.microsoft:peek-message": (Right.LISTEN, self._peek),
            "com.microsoft:schedule-message": (Right.SEND, self._schedule),
            "com.microsoft:cancel-scheduled-message": (Right.SEND, self._cancel_scheduled),
            "com.microsoft:receive-by-sequence-number": (Right.LISTEN, self._receive),
            "com.microsoft:update-disposition": (Right.LISTEN, self._dispose),
            "com.microsoft:renew-session-lock": (Right.LISTEN, self._renew_session),
            "com.microsoft:get-session-state": (Right.LISTEN, self._get_state),
            "com.microsoft:set-session-state": (Right.LISTEN, self._set_state),
            "com.microsoft:get-message-sessions": (Right.LISTEN, self._list_sessions),
            "com.microsoft:batch-delete-messages": (Right.LISTEN, self._delete),
        }
        if isinstance(queue, Subscription):
            self._operations = {**self._operations, **rule_operations(peer.broker, queue)}

    def serve(self, request: Request, reply: Reply) -> None:
        """Serve one request; `reply` is called once, when what it did is durable."""
        meter = self._peer.broker.meter
        of = self._queue.namespace, self._queue.path
        call = Call(request, reply, lambda condition: meter.request(*of, condition))
        name = request.text("operation") or ""
        try:
            right, operation = self._operations[name]
        except KeyError:
            call.fail(
                501, NOT_IMPLEMENTED, f"The operation '{name}' is not supported on this entity."
            )
            return
        if not self._peer.allows(self._queue.namespace, self._queue.path, right):
            error = unauthorized(right, self._queue.path)
            call.fail(401, error.condition, error.description)
            return
        if not isinstance(request.body, dict):
            call.fail(400, ARGUMENT_ERROR, "The body of a request must be a map.")
            return
        if request.transaction is not None and name in _ALONE:
            call.fail(400, NOT_ALLOWED, f"The operation '{name}' cannot be part of a transaction.")
            return
        queue = self._queue
        strike = self._peer.strike(name.partition(":")[2], queue.namespace, queue.path)
        if strike is Strike.CUT:
            self._peer.cut()
            return
        if strike is Strike.BUSY:
            call.fail(503, SERVER_BUSY, server_busy().description)
            return
        if strike is Strike.CUT_AFTER:
            call = Call(request, lambda payload: self._peer.cut(), call.told)
        try:
            if request.transaction is not None:
                self._peer.transactions.check(request.transaction)
            if strike is Strike.LOCK_LOST and "lock-tokens" in request.body:
                for token in call.tokens("lock-tokens"):
                    queue.lose(token)
            operation(call)
        except AnswerError as answer:
            call.fail(answer.status, answer.condition, answer.description)
        except BrokerError as error:
            call.fail_with(error)
        except AmqpError as error:
            call.fail(400, error.condition, error.description)

    def _carry_out(
        self,
        call: Call,
        operation: Callable[[Done], object],
        body: Callable[[], dict[str, Any]] = dict,
        done: Done = lambda error: None,
        *,
        messages: int = 0,
        size: int = 0,
    ) -> None:
        """Do it and answer with `body`; in a transaction, answer, and do it with the transaction.
        done: told the result, too. Raises BrokerError, AmqpError."""
        if call.transaction is not None:
            self._peer.transactions.enlist(
                call.transaction, lambda: operation(done), messages, size
            )
            call.succeed(body())
            return
        answer = call.when_done(body)

        def finished(error: BrokerError | None) -> None:
            done(error)
            answer(error)

        operation(finished)

    def _renew_lock(self, call: Call) -> None:
        tokens = call.tokens("lock-tokens")
        ends = [t.Timestamp(self._queue.renew(token) * 1000) for token in tokens]
        call.succeed({"expirations": t.timestamps(ends)})

    def _peek(self, call: Call) -> None:
        first = call.number("from-sequence-number")
        count = call.number("message-count")
        session_id = call.text("session-id")
        queue = self._queue
        first, count = queue.sequence_of(max(first, 0)), max(count, 0)
        queue.check_stays("browser")
        if session_id is not None:
            found = queue.peek_session(session_id, first, count)
        else:
            found = queue.peek(first, count)
        if not found:
            call.answer(204, "NoContent", None, "com.microsoft:message-not-found")
            return
        form = write_outline if call.body.get("omit-message-body") is True else write
        call.succeed(
            {"messages": _fitting([{"message": form(m, queue.number_of(m))} for m in found])}
        )

    def _delete(self, call: Call) -> None:
        """What receivers of the SDKs call "delete messages" and "purge messages"
        (https://learn.microsoft.com/azure/service-bus-messaging/batch-delete)."""
        broker, queue = self._peer.broker, self._queue
        count = call.number("message-count")
        most = broker.limits.delete_batch_of(broker.sku(queue.namespace))
        if not 0 < count <= most:
            # In the service's words (https://github.com/Azure/azure-sdk-for-js/issues/34274).
            raise AnswerError(
                400,
                ARGUMENT_OUT_OF_RANGE,
                f"Invalid Message Count : requested {count}. Message count should be between 1 "
                f"and {most}.",
            )
        if queue.properties.enable_partitioning:
            raise AnswerError(
                400,
                NOT_ALLOWED,
                f"Batch deletion is not supported on {queue.path}, which is partitioned: receive "
                "and delete its messages.",
            )
        before = call.number("enqueued-time-utc") / 1000

        def deleted(messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
            if error is not None:
                call.fail_with(error)
            else:
                call.succeed({"message-count": t.Int(len(messages))})

        queue.delete_older(before, count, deleted, self._session(call))

    def _schedule(self, call: Call) -> None:
        messages: list[IncomingMessage] = []
        for entry in call.items("messages"):
            content = entry.get("message") if isinstance(entry, dict) else None
            if not isinstance(content, bytes):
                raise AnswerError(
                    400, ARGUMENT_ERROR, "Each of 'messages' needs a binary 'message'."
                )
            messages.append(read(content, self._peer.now()))
        queue, size = self._queue, sum(len(message.payload) for message in messages)
        sequences: list[int] = []
        if call.transaction is not None:
            queue.check_messages(messages)
            sequences += queue.reserve_numbers(len(messages))
        reserved = sequences or None

        def send(done: Done) -> None:
            sequences[:] = queue.send(messages, done, reserved)

        def sent(error: BrokerError | None) -> None:
            if error is None:
                meter = self._peer.broker.meter
                meter.incoming(queue.namespace, queue.path, len(messages), size)

        self._carry_out(
            call,
            send,
            lambda: {"sequence-numbers": t.longs(self._shown(sequences, messages))},
            sent,
            messages=len(messages),
            size=size,
        )

    def _shown(self, sequences: Sequence[int], messages: Sequence[IncomingMessage]) -> list[int]:
        """The numbers of what was just sent, as clients know them; 0 of a duplicate."""
        if not self._queue.properties.enable_partitioning:
            return list(sequences)
        return [
            partitions.shown(sequence, message.session_id, message.partition_key) if sequence else 0
            for sequence, message in zip(sequences, messages, strict=True)
        ]

    def _sequences(self, call: Call) -> list[int]:
        return [self._queue.sequence_of(number) for number in call.numbers("sequence-numbers")]

    def _cancel_scheduled(self, call: Call) -> None:
        sequences = self._sequences(call)
        self._queue.check_scheduled(sequences)
        self._carry_out(
            call, partial(self._queue.cancel_scheduled, sequences), size=8 * len(sequences)
        )

    def _receive(self, call: Call) -> None:
        sequences = self._sequences(call)
        number_of = self._queue.number_of
        if call.number("receiver-settle-mode") == 0:
            if call.transaction is not None:
                raise AnswerError(
                    400, NOT_ALLOWED, "In a transaction, messages are not received and deleted."
                )

            def taken(messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
                if error is not None:
                    call.fail_with(error)
                else:
                    self._handed(messages)
                    call.succeed(
                        {"messages": [{"message": write(m, number_of(m))} for m in messages]}
                    )

            self._queue.take_deferred(sequences, taken, self._session(call))
            return
        found = self._queue.acquire_deferred(sequences, self._session(call))
        self._handed([locked.message for locked in found])
        call.succeed(
            {
                "messages": [
                    {
                        "lock-token": UUID(bytes_le=locked.token),
                        "message": write(locked.message, number_of(locked.message), locked),
                    }
                    for locked in found
                ]
            }
        )

    def _handed(self, messages: Sequence[StoredMessage]) -> None:
        queue, size = self._queue, sum(message.size for message in messages)
        self._peer.broker.meter.outgoing(queue.namespace, queue.path, len(messages), size)

    def _session(self, call: Call) -> SessionLock | None:
        """The session that the request is about, which its connection must have; None: none."""
        session_id = call.text("session-id")
        if session_id is None or not self._queue.has_sessions:
            return None
        return self._peer.session_lock(self._queue, session_id)

    def _named_session(self, call: Call) -> SessionLock:
        if call.text("session-id") is None:
            raise AnswerError(400, ARGUMENT_ERROR, "The request needs a 'session-id'.")
        session = self._session(call)
        if session is None:
            raise AnswerError(
                400, "amqp:not-allowed", f"{self._queue.path} is not a queue with sessions."
            )
        return session

    def _renew_session(self, call: Call) -> None:
        until = self._queue.renew_session(self._named_session(call))
        call.succeed({"expiration": t.Timestamp(until * 1000)})

    def _get_state(self, call: Call) -> None:
        call.succeed({"session-state": self._queue.session_state(self._named_session(call))})

    def _set_state(self, call: Call) -> None:
        state = call.body.get("session-state")
        if state is not None and not isinstance(state, bytes):
            raise AnswerError(400, ARGUMENT_ERROR, "'session-state' must be binary or null.")
        session = self._named_session(call)
        # Go's azservicebus clears a state with an empty one, and expects to read none afterwards.
        self._carry_out(
            call,
            lambda done: self._queue.set_session_state(session, state or None, done),
            size=len(state or b""),
        )

    def _list_sessions(self, call: Call) -> None:
        since = call.number("last-updated-time")
        skip, top = max(call.number("skip"), 0), max(call.number("top"), 0)
        after = None if since >= _ALL_SESSIONS else since / 1000
        if not self._queue.has_sessions:
            raise AnswerError(
                400, "amqp:not-allowed", f"{self._queue.path} is not a queue with sessions."
            )
        found = self._queue.session_ids(after, skip, top)
        if not found:
            call.answer(204, "NoContent", None, "com.microsoft:session-not-found")
            return
        call.succeed({"skip": t.Int(skip + len(found)), "sessions-ids": t.strings(found)})

    def _dispose(self, call: Call) -> None:
        status = call.body.get("disposition-status")
        tokens = call.tokens("lock-tokens")
        if status not in (_COMPLETED, _ABANDONED, _DEFERRED, _SUSPENDED):
            raise AnswerError(400, ARGUMENT_ERROR, f"'{status}' is not a disposition-status.")
        self._session(call)
        # All or none, as far as that can be told before: each lock is looked up first.
        settlements = [self._settlement(call, status, self._queue.locked(one)) for one in tokens]
        answered = call.when_all_done(len(tokens))

        def done(error: BrokerError | None) -> None:
            if error is None:
                queue, operation = self._queue, _OPERATIONS.get(status, status)
                self._peer.broker.meter.settled(queue.namespace, queue.path, operation)
            if call.transaction is None:
                answered(error)

        if call.transaction is not None:
            self._peer.transactions.enlist(
                call.transaction,
                lambda: [settle(done) for settle, _ in settlements],
                size=sum(size + OPERATION_BYTES for _, size in settlements),
            )
            call.succeed({})
            return
        for settle, _ in settlements:
            try:
                settle(done)
            except BrokerError as error:
                done(error)

    def _settlement(
        self, call: Call, status: str, locked: LockedMessage
    ) -> tuple[Callable[[Done], None], int]:
        """What settles it, and how many bytes of the client's that holds."""
        queue, token = self._queue, locked.token
        if status == _COMPLETED and call.transaction is not None:
            return partial(queue.complete_durably, token), 0
        if status == _COMPLETED:

            def complete(done: Done) -> None:
                queue.complete(token)
                done(None)

            return complete, 0
        changes = call.body.get("properties-to-modify")
        modified = merged(locked.message, changes) if isinstance(changes, dict) else None
        size = len(modified or b"")
        if status == _ABANDONED:
            return lambda done: queue.abandon(token, done, modified), size
        if status == _DEFERRED:
            return lambda done: queue.defer(token, done, modified), size
        reason = call.text("deadletter-reason")
        description = call.text("deadletter-description")
        size += len(reason or "") + len(description or "")
        return lambda done: queue.dead_letter_message(
            token, done, reason, description, modified
        ), size


def _fitting(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of `messages`, as many as a reply may hold (at least one)."""
    size = 0
    for index, entry in enumerate(messages):
        size += len(entry["message"])
        if index and size > REPLY_BYTES:
            return messages[:index]
    return messages
