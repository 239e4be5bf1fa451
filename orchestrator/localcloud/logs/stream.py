"""The log stream of one container: its last lines, then what it writes, until its replica ends.

The endpoint is the one that `az containerapp job logs show` reads:
`/subscriptions/{s}/resourceGroups/{g}/jobs/{j}/executions/{e}/replicas/{r}/containers/{c}/logstream`
with `follow`, `output` (`text`: `<time> <stdout|stderr> F <line>`; `json`: `{"TimeStamp","Log"}`)
and `tailLines` (0 to 300). The times are those of the rows in Log Analytics, to the microsecond, so
that a client can join the two without a gap and without a double.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta

from aiohttp import web

from orchestrator.localcloud.logs.feed import RING_LINES, FeedLine, Subscription
from orchestrator.localcloud.logs.store import LogStore

log = logging.getLogger(__name__)

Authorize = Callable[[web.Request], object]
"""Checks a request's token; raises what the server answers with 401 or 403."""

PATH = (
    "/subscriptions/{subscription}/{groups:(?i:resourceGroups)}/{group}/jobs/{job}"
    "/executions/{execution}/replicas/{replica}/containers/{container}/logstream"
)

MAX_TAIL = RING_LINES
_PAGE = 2_000
# A reader that has gone is noticed after at most so many seconds, also when nothing is written.
_PULSE = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownReplicaError(Exception):
    """There is no such replica, or it has no such container."""


async def read(
    store: LogStore, execution: str, replica: str, container: str, *, tail: int, follow: bool
) -> AsyncGenerator[Sequence[FeedLine], None]:
    """Lines of one container in order, none twice, none left out; in groups as they come.

    A group may be empty: nothing came for a second.

    Args:
        store: The log store.
        execution: Name of the execution.
        replica: Name of the replica.
        container: Name of the container.
        tail: Begin with so many of the lines already written.
        follow: Go on until the replica ends.

    Raises:
        UnknownReplicaError: Before the first group.
        LogStoreError: The log file, where lines of the past are, cannot be read.
    """
    known = store.feed.find(execution, replica)
    if known is None:
        if container not in await store.containers(execution, replica):
            raise UnknownReplicaError(replica)
    elif not known.live and known.rings and container not in known.rings:
        raise UnknownReplicaError(container)
    # Subscribed before the past is read: what comes meanwhile is not missed.
    subscription = store.feed.subscribe(execution, replica, container) if follow else None
    try:
        last = 0
        past = await _past(store, execution, replica, container, tail)
        if past:
            last = past[-1].time
        elif tail == 0 and known is not None:
            last = known.last
        yield past
        if subscription is None:
            return
        while True:
            alive = await subscription.wait(_PULSE)
            lines: Sequence[FeedLine] = [line for line in subscription.take() if line.time > last]
            if lines:
                last = lines[-1].time
            if lines or not alive:
                yield lines
            if subscription.behind:
                async for lines in _missed(
                    store, execution, replica, container, subscription, last
                ):
                    last = lines[-1].time
                    yield lines
            elif subscription.ended:
                return
    finally:
        if subscription is not None:
            store.feed.unsubscribe(replica, container, subscription)


async def _past(
    store: LogStore, execution: str, replica: str, container: str, tail: int
) -> Sequence[FeedLine]:
    if tail <= 0:
        return []
    known = store.feed.find(execution, replica)
    if known is not None:
        ring = known.rings.get(container)
        lines = ring.tail(tail) if ring is not None else []
        if lines is not None:
            return lines
    stored = await store.tail(execution, replica, container, limit=tail)
    return [FeedLine(line.time, line.stream, line.text) for line in stored]


async def _missed(
    store: LogStore,
    execution: str,
    replica: str,
    container: str,
    subscription: Subscription,
    last: int,
) -> AsyncIterator[Sequence[FeedLine]]:
    """What a slow reader's queue had no room for, from the log file.

    Lines that are not in the file either (it cannot be written) are said to be missing.
    """
    subscription.catch_up()
    complete = await store.flush()
    while True:
        stored = await store.tail(execution, replica, container, limit=_PAGE, after=last)
        if stored:
            yield [FeedLine(line.time, line.stream, line.text) for line in stored]
            last = stored[-1].time
        if len(stored) < _PAGE:
            break
    if not complete:
        text = "[lines were dropped here: this stream was read too slowly]"
        yield [FeedLine(last + 1, "stderr", text)]


def timestamp(micros: int) -> str:
    """RFC 3339 in UTC with microseconds."""
    moment = _EPOCH + timedelta(microseconds=micros)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def as_text(line: FeedLine) -> str:
    """`<time> <stdout|stderr> F <line>`; a line end inside the line begins a further such line."""
    head = f"{timestamp(line.time)} {line.stream} F "
    if "\n" in line.text:
        return "".join(f"{head}{part}\n" for part in line.text.split("\n"))
    return f"{head}{line.text}\n"


def as_json(line: FeedLine) -> str:
    """`{"TimeStamp": …, "Log": …}` and a line end."""
    body = {"TimeStamp": timestamp(line.time), "Log": line.text}
    return json.dumps(body, ensure_ascii=False) + "\n"


def refused(status: int, code: str, message: str) -> web.Response:
    """An error as Resource Manager writes one."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def add_stream_routes(app: web.Application, store: LogStore, authorize: Authorize) -> None:
    """Serve log streams.

    Args:
        app: The server's HTTPS application; add these routes before Resource Manager's.
        store: The log store.
        authorize: Checks the token that the job's `getAuthToken` gave.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        authorize(request)
        return await _stream(request, store)

    async def end(_: web.Application) -> None:
        store.feed.end_all()

    app.router.add_get(PATH, handle)
    app.on_shutdown.append(end)


async def _stream(request: web.Request, store: LogStore) -> web.StreamResponse:
    names = request.match_info
    query = {name.lower(): value for name, value in request.query.items()}
    output = query.get("output", "text").lower()
    if output not in ("text", "json"):
        return refused(400, "BadRequest", f"output is '{output}'; expected text or json")
    try:
        tail = int(query.get("taillines", MAX_TAIL))
    except ValueError:
        tail = -1
    if not 0 <= tail <= MAX_TAIL:
        return refused(
            400,
            "BadRequest",
            f"tailLines is '{query['taillines']}'; expected a number from 0 to {MAX_TAIL}",
        )
    follow = query.get("follow", "false").lower() == "true"
    execution, replica, container = names["execution"], names["replica"], names["container"]
    missing = refused(
        404,
        "ReplicaNotFound",
        f"Container '{container}' of replica '{replica}' of execution '{execution}' of job "
        f"'{names['job']}' was not found.",
    )
    if not execution.lower().startswith(f"{names['job'].lower()}-"):
        return missing
    response = web.StreamResponse()
    response.content_type = "text/plain" if output == "text" else "application/x-ndjson"
    response.charset = "utf-8"
    response.headers["Cache-Control"] = "no-cache"
    response.enable_chunked_encoding()
    write = as_text if output == "text" else as_json
    lines = read(store, execution, replica, container, tail=tail, follow=follow)
    try:
        async for group in lines:
            if not response.prepared:
                await response.prepare(request)
            if group:
                await response.write("".join(map(write, group)).encode())
            elif request.transport is None or request.transport.is_closing():
                break
        await response.write_eof()
    except UnknownReplicaError:
        return missing
    except ConnectionError:
        log.debug("the reader of the log stream of %s has gone", replica)
    finally:
        await lines.aclose()
    return response
