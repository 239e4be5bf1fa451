"""The `$management` node of an entity: request-response operations beside the message links.

Operations, their maps and status codes:
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.errors import (
    INTERNAL_ERROR,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
    AmqpError,
)
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front_faults import SERVER_BUSY, Strike, server_busy
from orchestrator.localcloud.servicebus.front_messages import (
    Request,
    merged,
    read,
    response,
    write,
    write_outline,
)
from orchestrator.localcloud.servicebus.links import unauthorized
from orchestrator.localcloud.servicebus.links_request import Reply
from orchestrator.localcloud.servicebus.management_rules import rule_operations
from orchestrator.localcloud.servicebus.model import IncomingMessage, Right, StoredMessage
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.session_shelf import SessionLock
from orchestrator.localcloud.servicebus.topic import Subscription

if TYPE_CHECKING:
    from orchestrator.localcloud.servicebus.front_peer import Peer

ARGUMENT_ERROR = "com.microsoft:argument-error"

# A last-updated-time from which on (the end of .NET's time) all sessions with messages are meant.
_ALL_SESSIONS = 253402300800000 - 1000

# The reply's messages may take this many bytes together; who wants more asks again.
REPLY_BYTES = 1024 * 1024

_STATUS = {
    NOT_FOUND: 404,
    "com.microsoft:message-not-found": 404,
    "com.microsoft:session-not-found": 404,
    "com.microsoft:entity-already-exists": 409,
    "com.microsoft:message-lock-lost": 410,
    "com.microsoft:session-lock-lost": 410,
    "com.microsoft:session-cannot-be-locked": 409,
    "com.microsoft:entity-disabled": 403,
    "com.microsoft:server-busy": 503,
    "com.microsoft:timeout": 408,
    UNAUTHORIZED_ACCESS: 401,
    RESOURCE_LIMIT_EXCEEDED: 403,
    NOT_IMPLEMENTED: 501,
    INTERNAL_ERROR: 500,
}

# What to do with a message, by `disposition-status` ("defered" is the service's spelling).
_COMPLETED, _ABANDONED, _DEFERRED, _SUSPENDED = "completed", "abandoned", "defered", "suspended"

_OPERATIONS = {_COMPLETED: "complete", _ABANDONED: "abandon"}


class _AnswerError(Exception):
    """Ends an operation with a status other than 200."""

    def __init__(self, status: int, condition: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.condition = condition
        self.description = description


class ManagementNode:
    """Serves one link's requests for one entity."""

    def __init__(self, peer: Peer, queue: Queue) -> None:
        self._peer = peer
        self._queue = queue
        self._operations: Mapping[str, tuple[Right, Callable[[_Call], None]]] = {
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
        call = _Call(request, reply, lambda condition: meter.request(*of, condition))
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
        queue = self._queue
        strike = self._peer.strike(name.partition(":")[2], queue.namespace, queue.path)
        if strike is Strike.CUT:
            self._peer.cut()
            return
        if strike is Strike.BUSY:
            call.fail(503, SERVER_BUSY, server_busy().description)
            return
        if strike is Strike.CUT_AFTER:
            call = _Call(request, lambda payload: self._peer.cut(), call.told)
        try:
            if strike is Strike.LOCK_LOST and "lock-tokens" in request.body:
                for token in call.tokens("lock-tokens"):
                    queue.lose(token)
            operation(call)
        except _AnswerError as answer:
            call.fail(answer.status, answer.condition, answer.description)
        except BrokerError as error:
            call.fail_with(error)
        except AmqpError as error:
            call.fail(400, error.condition, error.description)

    def _renew_lock(self, call: _Call) -> None:
        tokens = call.tokens("lock-tokens")
        ends = [t.Timestamp(self._queue.renew(token) * 1000) for token in tokens]
        call.succeed({"expirations": t.timestamps(ends)})

    def _peek(self, call: _Call) -> None:
        first = call.number("from-sequence-number")
        count = call.number("message-count")
        session_id = call.text("session-id")
        first, count = max(first, 0), max(count, 0)
        if session_id is not None:
            found = self._queue.peek_session(session_id, first, count)
        else:
            found = self._queue.peek(first, count)
        if not found:
            call.answer(204, "NoContent", None, "com.microsoft:message-not-found")
            return
        form = write_outline if call.body.get("omit-message-body") is True else write
        call.succeed({"messages": _fitting([{"message": form(m)} for m in found])})

    def _delete(self, call: _Call) -> None:
        """What receivers of the SDKs call "delete messages" and "purge messages"
        (https://learn.microsoft.com/azure/service-bus-messaging/batch-delete)."""
        count, most = call.number("message-count"), self._peer.broker.limits.delete_batch
        if not 0 < count <= most:
            raise _AnswerError(
                400, ARGUMENT_ERROR, f"'message-count' must be from 1 to {most}, and is {count}."
            )
        before = call.number("enqueued-time-utc") / 1000

        def deleted(messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
            if error is not None:
                call.fail_with(error)
            elif messages:
                call.succeed({"message-count": t.Int(len(messages))})
            else:
                call.answer(204, "NoContent", None, "com.microsoft:message-not-found")

        self._queue.delete_older(before, count, deleted, self._session(call))

    def _schedule(self, call: _Call) -> None:
        messages: list[IncomingMessage] = []
        for entry in call.items("messages"):
            content = entry.get("message") if isinstance(entry, dict) else None
            if not isinstance(content, bytes):
                raise _AnswerError(
                    400, ARGUMENT_ERROR, "Each of 'messages' needs a binary 'message'."
                )
            messages.append(read(content, self._peer.now()))
        sequences: list[int] = []
        size = sum(len(message.payload) for message in messages)

        def sent() -> dict[str, Any]:
            queue = self._queue
            self._peer.broker.meter.incoming(queue.namespace, queue.path, len(messages), size)
            return {"sequence-numbers": t.longs(sequences)}

        sequences += self._queue.send(messages, call.when_done(sent))

    def _cancel_scheduled(self, call: _Call) -> None:
        self._queue.cancel_scheduled(call.numbers("sequence-numbers"), call.when_done(dict))

    def _receive(self, call: _Call) -> None:
        sequences = call.numbers("sequence-numbers")
        if call.number("receiver-settle-mode") == 0:

            def taken(messages: Sequence[StoredMessage], error: BrokerError | None) -> None:
                if error is not None:
                    call.fail_with(error)
                else:
                    self._handed(messages)
                    call.succeed({"messages": [{"message": write(m)} for m in messages]})

            self._queue.take_deferred(sequences, taken, self._session(call))
            return
        found = self._queue.acquire_deferred(sequences, self._session(call))
        self._handed([locked.message for locked in found])
        call.succeed(
            {
                "messages": [
                    {
                        "lock-token": UUID(bytes_le=locked.token),
                        "message": write(locked.message, locked),
                    }
                    for locked in found
                ]
            }
        )

    def _handed(self, messages: Sequence[StoredMessage]) -> None:
        queue, size = self._queue, sum(message.size for message in messages)
        self._peer.broker.meter.outgoing(queue.namespace, queue.path, len(messages), size)

    def _session(self, call: _Call) -> SessionLock | None:
        """The session that the request is about, which its connection must have; None: none."""
        session_id = call.text("session-id")
        if session_id is None or not self._queue.has_sessions:
            return None
        return self._peer.session_lock(self._queue, session_id)

    def _named_session(self, call: _Call) -> SessionLock:
        if call.text("session-id") is None:
            raise _AnswerError(400, ARGUMENT_ERROR, "The request needs a 'session-id'.")
        session = self._session(call)
        if session is None:
            raise _AnswerError(
                400, "amqp:not-allowed", f"{self._queue.path} is not a queue with sessions."
            )
        return session

    def _renew_session(self, call: _Call) -> None:
        until = self._queue.renew_session(self._named_session(call))
        call.succeed({"expiration": t.Timestamp(until * 1000)})

    def _get_state(self, call: _Call) -> None:
        call.succeed({"session-state": self._queue.session_state(self._named_session(call))})

    def _set_state(self, call: _Call) -> None:
        state = call.body.get("session-state")
        if state is not None and not isinstance(state, bytes):
            raise _AnswerError(400, ARGUMENT_ERROR, "'session-state' must be binary or null.")
        self._queue.set_session_state(self._named_session(call), state, call.when_done(dict))

    def _list_sessions(self, call: _Call) -> None:
        since = call.number("last-updated-time")
        skip, top = max(call.number("skip"), 0), max(call.number("top"), 0)
        after = None if since >= _ALL_SESSIONS else since / 1000
        if not self._queue.has_sessions:
            raise _AnswerError(
                400, "amqp:not-allowed", f"{self._queue.path} is not a queue with sessions."
            )
        found = self._queue.session_ids(after, skip, top)
        if not found:
            call.answer(204, "NoContent", None, "com.microsoft:session-not-found")
            return
        call.succeed({"skip": t.Int(skip + len(found)), "sessions-ids": t.strings(found)})

    def _dispose(self, call: _Call) -> None:
        status = call.body.get("disposition-status")
        tokens = call.tokens("lock-tokens")
        if status not in (_COMPLETED, _ABANDONED, _DEFERRED, _SUSPENDED):
            raise _AnswerError(400, ARGUMENT_ERROR, f"'{status}' is not a disposition-status.")
        self._session(call)
        # All or none, as far as that can be told before: each lock is looked up first.
        locks = [self._queue.locked(token) for token in tokens]
        answered = call.when_all_done(len(tokens))

        def done(error: BrokerError | None) -> None:
            if error is None:
                queue, operation = self._queue, _OPERATIONS.get(status, status)
                self._peer.broker.meter.settled(queue.namespace, queue.path, operation)
            answered(error)

        reason = call.text("deadletter-reason")
        description = call.text("deadletter-description")
        changes = call.body.get("properties-to-modify")
        for token, locked in zip(tokens, locks, strict=True):
            modified = merged(locked.message, changes) if isinstance(changes, dict) else None
            try:
                if status == _COMPLETED:
                    self._queue.complete(token)
                    done(None)
                elif status == _ABANDONED:
                    self._queue.abandon(token, done, modified)
                elif status == _DEFERRED:
                    self._queue.defer(token, done, modified)
                else:
                    self._queue.dead_letter_message(token, done, reason, description, modified)
            except BrokerError as error:
                done(error)


def _fitting(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of `messages`, as many as a reply may hold (at least one)."""
    size = 0
    for index, entry in enumerate(messages):
        size += len(entry["message"])
        if index and size > REPLY_BYTES:
            return messages[:index]
    return messages


class _Call:
    """One request being served: its arguments, and the one reply it gets."""

    def __init__(self, request: Request, reply: Reply, told: Callable[[str | None], None]) -> None:
        """told: is given the condition of the answer, None for success, when there is one."""
        self.told = told
        self._request = request
        self._reply = reply
        self._replied = False
        self.body: dict[str, Any] = request.body if isinstance(request.body, dict) else {}

    # Arguments; all raise `_AnswerError` (400) for what is missing or of the wrong type.

    def number(self, name: str) -> int:
        value = self.body.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _AnswerError(400, ARGUMENT_ERROR, f"The request needs an integer '{name}'.")
        return int(value)

    def text(self, name: str) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _AnswerError(400, ARGUMENT_ERROR, f"'{name}' must be a string.")
        return str(value)

    def items(self, name: str) -> list[Any]:
        value = self.body.get(name)
        if not isinstance(value, list) or not value:
            raise _AnswerError(400, ARGUMENT_ERROR, f"The request needs a list '{name}'.")
        return value

    def numbers(self, name: str) -> list[int]:
        values = self.items(name)
        if any(isinstance(value, bool) or not isinstance(value, int) for value in values):
            raise _AnswerError(400, ARGUMENT_ERROR, f"'{name}' must be integers.")
        return [int(value) for value in values]

    def tokens(self, name: str) -> list[bytes]:
        """Lock tokens, which are uuids here, as delivery tags."""
        values = self.items(name)
        try:
            uuids = [value if isinstance(value, UUID) else UUID(value) for value in values]
            return [value.bytes_le for value in uuids]
        except (ValueError, AttributeError, TypeError):
            raise _AnswerError(400, ARGUMENT_ERROR, f"'{name}' must be uuids.") from None

    # Replies

    def answer(
        self, status: int, description: str, body: Any, condition: str | None = None
    ) -> None:
        if self._replied:
            return
        self._replied = True
        self.told(condition if status >= 400 else None)
        properties: dict[str, Any] = {
            "statusCode": t.Int(status),
            "statusDescription": description,
        }
        if condition is not None:
            properties["errorCondition"] = t.Symbol(condition)
        self._reply(response(self._request, properties, body))

    def succeed(self, body: dict[str, Any]) -> None:
        self.answer(200, "OK", body)

    def fail(self, status: int, condition: str, description: str) -> None:
        self.answer(status, description, None, condition)

    def fail_with(self, error: BrokerError) -> None:
        self.fail(_STATUS.get(error.condition, 400), error.condition, error.message)

    def when_done(self, body: Callable[[], dict[str, Any]]) -> Callable[[BrokerError | None], None]:
        """A `Done` that replies with what `body` gives, or with the error."""

        def done(error: BrokerError | None) -> None:
            if error is None:
                self.succeed(body())
            else:
                self.fail_with(error)

        return done

    def when_all_done(self, count: int) -> Callable[[BrokerError | None], None]:
        """A `Done` for `count` operations: replies after the last, or at the first error."""
        left = count

        def done(error: BrokerError | None) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                self.fail_with(error)
            elif left == 0:
                self.succeed({})

        return done
