"""The runtime API over HTTP: which requests are for it, who may ask, what they get.

https://learn.microsoft.com/rest/api/servicebus/service-bus-runtime-rest

On the loopback address the requests are told from Resource Manager's by their path, which ends in
`/messages`, `/messages/head` or a locked message's address, and does not begin as its ids do.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote
from uuid import UUID

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Middleware

from orchestrator.clock import Clock
from orchestrator.localcloud.messages_http.errors import Busy, NotOverHttp, status_of
from orchestrator.localcloud.messages_http.message import (
    BATCH_TYPE,
    Shown,
    compose,
    compose_batch,
    message_id,
    show,
)
from orchestrator.localcloud.messages_http.properties import (
    HEADER,
    PropertyError,
    broker_properties_header,
    custom_properties,
    http_date,
    json_text,
)
from orchestrator.localcloud.messages_http.waiting import Waits, is_gone
from orchestrator.localcloud.namespace_http import (
    Handler,
    NamespaceHttp,
    failed,
    is_namespace_host,
    require,
)
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityNotFound,
    InvalidOperation,
    LockLost,
    MessageTooLarge,
)
from orchestrator.localcloud.servicebus.front.faults import Strike, Strikes, server_busy
from orchestrator.localcloud.servicebus.model import (
    IncomingMessage,
    LockedMessage,
    Right,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue

DEFAULT_TIMEOUT = 60.0
"""Seconds for which a receive waits that does not say how long, as every operation does."""

_GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_PATH = re.compile(
    rf"/(?P<entity>.+)/messages(?:/(?:(?P<head>head)|(?P<which>[^/]+)/(?P<token>{_GUID})))?/?",
    re.IGNORECASE,
)
# How Resource Manager's ids begin.
_ARM = re.compile(r"/+(?:subscriptions|providers|tenants)(?:/|$)", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SESSIONS = (
    "It is not possible for an entity that requires sessions to create a non-sessionful message "
    "receiver: its messages are received over AMQP."
)


class _Route(NamedTuple):
    """An operation of the API. name: what faults call it."""

    name: str
    right: Right
    serve: Callable[[web.Request, Queue, re.Match[str]], Awaitable[web.Response]]


class MessagesApi:
    """Serves the messages of all namespaces.

    http: authorizes requests. clock: the broker's. strikes: says what goes wrong with an operation;
    nothing does when left out. around: a middleware that stands before every request.
    """

    def __init__(
        self,
        broker: Broker,
        http: NamespaceHttp,
        clock: Clock,
        strikes: Strikes | None = None,
        around: Middleware | None = None,
    ) -> None:
        self._broker = broker
        self._http = http
        self._clock = clock
        self._strikes = strikes
        self._around = around
        self._waits = Waits()

    def end(self) -> None:
        """Let nobody wait for messages any more: the server stops."""
        self._waits.end()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take what is for this API; leave the rest to `handler`."""
        if not self.wants(request):
            return await handler(request)
        if self._around is not None:
            return await self._around(request, self.serve)
        return await self.serve(request)

    def wants(self, request: web.Request) -> bool:
        """Whether a request is for this API."""
        path = request.rel_url.raw_path
        found = _PATH.fullmatch(path)
        if found is None or self._route(request.method, found) is None:
            return False
        if is_namespace_host(request):
            return True
        version = request.query.get("api-version", "")
        return _ARM.match(path) is None and _DAY.match(version) is None

    async def serve(self, request: web.Request) -> web.Response:
        """Answer a request that is wanted; every failure is an answer, too."""
        return await self._http.answer(request, self._serve, status_of)

    def _route(self, method: str, found: re.Match[str]) -> _Route | None:
        if found["head"]:
            routes = {
                "POST": _Route("receive", Right.LISTEN, self._peek_lock),
                "DELETE": _Route("receive", Right.LISTEN, self._receive_and_delete),
            }
        elif found["token"]:
            routes = {
                "PUT": _Route("abandon", Right.LISTEN, self._unlock),
                "POST": _Route("renew-lock", Right.LISTEN, self._renew),
                "DELETE": _Route("complete", Right.LISTEN, self._complete),
            }
        else:
            routes = {"POST": _Route("send", Right.SEND, self._send)}
        return routes.get(method)

    async def _serve(self, request: web.Request) -> web.Response:
        found = _PATH.fullmatch(request.rel_url.raw_path)
        route = None if found is None else self._route(request.method, found)
        if found is None or route is None:
            raise web.HTTPNotFound
        entity = unquote(found["entity"]).strip("/")
        grant = self._http.authorize(request, unquote(request.rel_url.raw_path).strip("/"))
        namespace = self._http.namespace(request, grant)
        require(grant, route.right, namespace, entity)
        queue = self._broker.find(namespace, entity)
        if queue is None:
            raise EntityNotFound(f"The messaging entity '{entity}' could not be found.")
        try:
            answer = await self._struck(route, request, queue, found)
        except PropertyError as failure:
            self._told(queue, "com.microsoft:argument-error")
            return failed(400, str(failure))
        except BrokerError as failure:
            self._told(queue, failure.condition)
            raise
        self._told(queue, None)
        return answer

    async def _struck(
        self, route: _Route, request: web.Request, queue: Queue, found: re.Match[str]
    ) -> web.Response:
        """Serve a request, with the faults that were asked for."""
        strike = None
        if self._strikes is not None:
            strike = self._strikes(route.name, queue.namespace, queue.path)
        if strike is Strike.CUT:
            return _cut(request)
        if strike is Strike.BUSY:
            raise Busy(server_busy().description)
        if strike is Strike.LOCK_LOST and found["token"]:
            queue.lose(UUID(found["token"]).bytes_le)
        answer = await route.serve(request, queue, found)
        return _cut(request) if strike is Strike.CUT_AFTER else answer

    def _told(self, queue: Queue, condition: str | None) -> None:
        self._broker.meter.request(queue.namespace, queue.path, condition)

    # Sending

    async def _send(self, request: web.Request, queue: Queue, found: re.Match[str]) -> web.Response:
        queue.check_send()
        content_type = request.headers.get("Content-Type")
        if content_type is not None and content_type.strip().lower() == BATCH_TYPE:
            most = queue.max_batch_size + self._broker.limits.batch_slack
            messages = compose_batch(await _body(request, most), self._clock.time())
            size = sum(len(message.payload) for message in messages)
            queue.check_batch(messages, size)
        else:
            # What cannot be is refused before much is read.
            broker = broker_properties_header(request.headers.get(HEADER))
            custom = custom_properties(_as_sent(request))
            body = await _body(request, queue.max_message_size)
            messages = [compose(body, content_type, broker, custom, self._clock.time())]
            size = len(messages[0].payload)
        await _stored(queue, messages)
        self._broker.meter.incoming(queue.namespace, queue.path, len(messages), size)
        return _answer(201)

    # Receiving

    async def _peek_lock(
        self, request: web.Request, queue: Queue, found: re.Match[str]
    ) -> web.Response:
        locked = await self._next(request, queue, remove=False)
        if locked is None:
            return _answer(204)
        assert isinstance(locked, LockedMessage)
        if is_gone(request.transport):
            # Its client went in this very moment: nobody has seen it.
            queue.release(locked.token)
            return _answer(204)
        try:
            number = queue.number_of(locked.message)
            shown = show(locked.message, number, locked)
        except BrokerError:
            queue.release(locked.token)
            raise
        place = quote(queue.path.lower(), safe="/$")
        token = UUID(bytes_le=locked.token)
        headers = {
            "Location": f"{request.scheme}://{request.host}/{place}/messages/{number}/{token}"
        }
        return self._handed(201, request, queue, locked.message, shown, headers)

    async def _receive_and_delete(
        self, request: web.Request, queue: Queue, found: re.Match[str]
    ) -> web.Response:
        message = await self._next(request, queue, remove=True)
        if message is None:
            return _answer(204)
        assert isinstance(message, StoredMessage)
        return self._handed(
            200, request, queue, message, show(message, queue.number_of(message)), {}
        )

    async def _next(
        self, request: web.Request, queue: Queue, *, remove: bool
    ) -> LockedMessage | StoredMessage | None:
        seconds = _timeout(request)
        _check_receive(queue)
        # While some of it is unread nobody would see that the connection ends.
        while await _part(request):
            pass
        return await self._waits.next_message(queue, seconds, request.transport, remove=remove)

    def _handed(
        self,
        status: int,
        request: web.Request,
        queue: Queue,
        message: StoredMessage,
        shown: Shown,
        headers: dict[str, str],
    ) -> web.Response:
        self._broker.meter.outgoing(queue.namespace, queue.path, 1, message.size)
        headers = {
            **shown.headers,
            **headers,
            HEADER: json_text(shown.broker),
            # The service's time, as that of the lock; the server would give the machine's.
            "Date": http_date(self._clock.time()),
        }
        if shown.content_type is not None:
            headers["Content-Type"] = shown.content_type
        response = web.Response(status=status, body=shown.body, headers=headers)
        if request.version >= HttpVersion11:
            # As the service does; azure-servicebus 0.21 takes a Content-Length for a property.
            response.enable_chunked_encoding()
        return response

    # What becomes of a locked message

    async def _unlock(
        self, request: web.Request, queue: Queue, found: re.Match[str]
    ) -> web.Response:
        token = _locked(queue, found)
        done = _Done()
        queue.abandon(token, done)
        await done.result
        self._broker.meter.settled(queue.namespace, queue.path, "abandon")
        return _answer(200)

    async def _complete(
        self, request: web.Request, queue: Queue, found: re.Match[str]
    ) -> web.Response:
        queue.complete(_locked(queue, found))
        self._broker.meter.settled(queue.namespace, queue.path, "complete")
        return _answer(200)

    async def _renew(
        self, request: web.Request, queue: Queue, found: re.Match[str]
    ) -> web.Response:
        queue.renew(_locked(queue, found))
        return _answer(200)


def _locked(queue: Queue, found: re.Match[str]) -> bytes:
    """The token of the locked message that a path names by its number or its id.

    Raises BrokerError.
    """
    _check_sessions(queue)
    token = UUID(found["token"]).bytes_le
    message = queue.locked(token).message
    named = unquote(found["which"])
    if named not in (str(queue.number_of(message)), message_id(message)):
        raise LockLost(
            f"No message was found with the specified MessageId or LockToken: the lock is not of "
            f"'{named}'."
        )
    return token


def _check_receive(queue: Queue) -> None:
    _check_sessions(queue)
    try:
        queue.check_receive()
    except InvalidOperation as error:
        raise NotOverHttp(error.message) from error


def _check_sessions(queue: Queue) -> None:
    if queue.has_sessions:
        raise NotOverHttp(_SESSIONS)


class _Done:
    """A `Done` whose end can be awaited; `result` raises what failed."""

    def __init__(self) -> None:
        self.result: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __call__(self, error: BrokerError | None) -> None:
        if self.result.done():
            return
        if error is None:
            self.result.set_result(None)
        else:
            self.result.set_exception(error)


async def _stored(queue: Queue, messages: Sequence[IncomingMessage]) -> None:
    """Once the messages are durable. Raises BrokerError: none of them is stored."""
    done = _Done()
    queue.send(messages, done)
    await done.result


def _as_sent(request: web.Request) -> list[tuple[str, str]]:
    """A request's headers with their names spelt as its client did: a property's name is the
    client's own, and aiohttp has a spelling for some (`digest`, `link`)."""
    return [
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in request.raw_headers
    ]


async def _body(request: web.Request, most: int) -> bytes:
    """A request's body. Raises MessageTooLarge as soon as it has more bytes than `most`."""
    length = request.content_length
    size = 0
    parts: list[bytes] = []
    if length is None or length <= most:
        while part := await _part(request):
            size += len(part)
            if size > most:
                break
            parts.append(part)
        else:
            return b"".join(parts)
    told = "" if length is None else f" of {length} bytes"
    raise MessageTooLarge(
        f"The message{told} exceeds the {most} bytes that may be sent here: send less at a time."
    )


async def _part(request: web.Request) -> bytes:
    """Some more of a request's body; nothing at its end. Raises PropertyError."""
    try:
        return await request.content.readany()
    except (web.RequestPayloadError, OSError) as error:
        # Cut short, by a client that has gone as a rule: nothing of it is sent.
        raise PropertyError(f"The body of the request cannot be read: {error}.") from error


def _timeout(request: web.Request) -> float:
    """Seconds that a receive may wait. Raises PropertyError."""
    text = request.query.get("timeout")
    if text is None:
        return DEFAULT_TIMEOUT
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise PropertyError(f"timeout must be a number of seconds, and is '{text[:100]}'.")
    return float(text)


def _answer(status: int) -> web.Response:
    headers = {} if status == 204 else {"Content-Type": "application/xml; charset=utf-8"}
    return web.Response(status=status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return _answer(204)  # nobody gets it
