"""The event streams of jobs and environments: their last system events, then new ones, without end.

They are the `eventStreamEndpoint` of these resources, read as `az containerapp logs show --type
system` and `az containerapp env logs show` read it: with `follow` and `tailLines` (0 to 300) and
the token that `getAuthToken` gave; a JSON object for each event, one a line. That of a job is not
documented; here it has the fields of an app's, with JobName and ExecutionName beside ReplicaName.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Sequence

from aiohttp import web

from orchestrator.localcloud.logs.event_feed import FeedEvent, Wanted
from orchestrator.localcloud.logs.model import SystemEvent
from orchestrator.localcloud.logs.store import LogStore
from orchestrator.localcloud.logs.stream import Authorize, refused, timestamp

log = logging.getLogger(__name__)

_GROUP = "/subscriptions/{subscription}/{groups:(?i:resourceGroups)}/{group}"
JOB_PATH = _GROUP + "/jobs/{job}/{stream:(?i:eventstream)}"
ENVIRONMENT_PATH = (
    _GROUP + "/{kind:(?i:managedEnvironments)}/{environment}/{stream:(?i:eventstream)}"
)
MAX_TAIL = 300
# A reader that has gone is noticed after at most so many seconds, also when nothing happens.
_PULSE = 1.0


async def read(
    store: LogStore, resource: str, environment: str, *, tail: int, follow: bool
) -> AsyncGenerator[Sequence[FeedEvent], None]:
    """Events in order, none twice, none left out; in groups as they come, an empty one each second.

    Args:
        store: The log store.
        resource: Resource id of a job in small letters; "" for all jobs of an environment.
        environment: Name of an environment; "" for one job.
        tail: Begin with so many of the events there have been.
        follow: Go on until the server stops.

    Raises:
        LogStoreError: The log file, where events of the past are, cannot be read.
    """

    def wanted(event: SystemEvent) -> bool:
        if resource:
            return event.resource_id.lower() == resource
        return event.environment.lower() == environment.lower()

    # Subscribed before the past is read: what comes meanwhile is not missed.
    chosen: Wanted = wanted
    subscription = store.events.subscribe(chosen) if follow else None
    try:
        past = await store.last_events(resource, environment, limit=max(tail, 1))
        # Times only grow within a job.
        last = {one.event.resource_id.lower(): one.time for one in past}
        yield past if tail else []
        while subscription is not None:
            await subscription.wait(_PULSE)
            ended = subscription.ended
            yield [
                one
                for one in subscription.take()
                if one.time > last.get(one.event.resource_id.lower(), -1)
            ]
            if ended:
                return
    finally:
        if subscription is not None:
            store.events.unsubscribe(subscription)


def as_json(one: FeedEvent) -> str:
    """One event as a line."""
    event = one.event
    return _line(
        timestamp(one.time),
        event.reason,
        event.text,
        type_=event.type,
        source=event.source,
        count=event.count,
        job=event.job,
        execution=event.execution,
        replica=event.replica,
    )


def _line(
    when: str,
    reason: str,
    text: str,
    *,
    type_: str = "Normal",
    source: str = "ContainerAppController",
    count: int = 1,
    job: str | None = None,
    execution: str | None = None,
    replica: str | None = None,
) -> str:
    body = {
        "TimeStamp": when,
        "Type": type_,
        "ContainerAppName": None,
        "RevisionName": None,
        "JobName": job,
        "ExecutionName": execution,
        "ReplicaName": replica,
        "Msg": text,
        "Reason": reason,
        "EventSource": source,
        "Count": count,
    }
    return json.dumps(body, ensure_ascii=False) + "\n"


def add_event_routes(app: web.Application, store: LogStore, authorize: Authorize) -> None:
    """Serve event streams.

    Args:
        app: The server's HTTPS application; add these routes before Resource Manager's.
        store: The log store.
        authorize: Checks the token that the resource's `getAuthToken` gave.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        authorize(request)
        return await _stream(request, store)

    async def end(_: web.Application) -> None:
        store.events.end_all()

    for path in (JOB_PATH, ENVIRONMENT_PATH):
        app.router.add_get(path, handle)
    app.on_shutdown.append(end)


async def _stream(request: web.Request, store: LogStore) -> web.StreamResponse:
    names = request.match_info
    query = {name.lower(): value for name, value in request.query.items()}
    text = query.get("taillines", "20")
    tail = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= tail <= MAX_TAIL:
        message = f"tailLines is '{text}'; expected a number from 0 to {MAX_TAIL}"
        return refused(400, "BadRequest", message)
    resource = ""
    if "job" in names:
        resource = (
            f"/subscriptions/{names['subscription']}/resourceGroups/{names['group']}"
            f"/providers/Microsoft.App/jobs/{names['job']}"
        ).lower()
    response = web.StreamResponse()
    response.content_type = "application/x-ndjson"
    response.charset = "utf-8"
    response.headers["Cache-Control"] = "no-cache"
    response.enable_chunked_encoding()
    # `follow` alone, without a value, follows: that is what `az` sends.
    follow = query.get("follow", "false").lower() in ("", "true")
    groups = read(store, resource, names.get("environment", ""), tail=tail, follow=follow)
    now = timestamp(round(store.clock.time() * 1_000_000))
    try:
        await response.prepare(request)
        # The service's own first words, by which a reader knows that it listens.
        hello = _line(now, "StartingGettingEvents", "Connecting to the events collector...")
        hello += _line(now, "ConnectedToEventsServer", "Successfully connected to events server")
        await response.write(hello.encode())
        async for group in groups:
            if group:
                await response.write("".join(map(as_json, group)).encode())
            elif request.transport is None or request.transport.is_closing():
                break
        await response.write_eof()
    except ConnectionError:
        log.debug("the reader of the event stream of %s has gone", request.path)
    finally:
        await groups.aclose()
    return response
