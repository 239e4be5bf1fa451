"""One container's live log stream: opening it, reading its lines, closing it.

The SDK has no operation for it; this is what `az containerapp job logs show --follow` does: a
token from the job's getAuthToken action, then a GET on the host of the job's event stream, which
answers line by line for as long as the container runs.
"""

from __future__ import annotations

import codecs
import contextlib
import logging
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from orchestrator.azure.clients import STREAM_TIMEOUT, Clients
from orchestrator.azure.failures import told
from orchestrator.errors import NotFound, ServiceFailed
from orchestrator.executions.record import moment

if TYPE_CHECKING:
    from azure.core import PipelineClient

    from orchestrator.jobs.verbs import JobVerbs

STREAM_VERSION = "2023-11-02-preview"  # of getAuthToken and of the replicas list
MOST_TAIL = 300  # the service gives no more of what was written before
_LINE = re.compile(r"(\S+) (stdout|stderr) ([FP]) ?(.*)", re.DOTALL)
_NOTICE = re.compile(r"(Connecting|Successfully [Cc]onnected) to (the )?container")


class StreamedLine(msgspec.Struct, frozen=True):
    """One line of a stream. `time`: epoch seconds; None when the line carried no time.

    `mark`: the line as it was sent, by which it is known again after a reconnection.
    """

    time: float | None
    stream: str
    text: str
    mark: str


class Place(msgspec.Struct, frozen=True):
    """Whose stream: one container of one replica of one execution."""

    job: str
    execution: str
    replica: str
    container: str


def containers_of(resource: Mapping[str, Any]) -> list[str]:
    """The names of the containers of a job or an execution; those that go first, first."""
    template = (resource.get("properties") or {}).get("template") or {}
    found = [*(template.get("initContainers") or ()), *(template.get("containers") or ())]
    return [str(container["name"]) for container in found if container.get("name")]


def inits_of(resource: Mapping[str, Any]) -> set[str]:
    """The names of those that run to their end before the others begin."""
    template = (resource.get("properties") or {}).get("template") or {}
    return {str(one["name"]) for one in template.get("initContainers") or () if one.get("name")}


class Streams:
    """Opens the streams of one job: its token, its host, its replicas."""

    def __init__(self, clients: Clients, jobs: JobVerbs, job: str) -> None:
        self._clients = clients
        self._jobs = jobs
        self.job = job
        self._lock = threading.Lock()
        self._token = ""
        self._resource: dict[str, Any] = {}
        self._pipeline: PipelineClient[Any, Any] | None = None

    def containers(self) -> list[str]:
        """The names of the job's containers as it is now; those that go first, first."""
        with self._lock:
            return containers_of({"properties": self._properties()})

    def replicas(self, execution: str) -> list[str]:
        """The replicas of an execution that the service knows now; [] while there are none."""
        path = f"/executions/{quote(execution)}/replicas"
        try:
            answer = self._ask("GET", path, f"list the replicas of {execution}")
        except NotFound:
            return []
        return [str(r.get("name")) for r in answer.get("value") or [] if r.get("name")]

    def open(self, place: Place, tail: int) -> OpenStream:
        """The stream, from the last `tail` lines on. Raises NotFound when it is no more."""
        _, endpoint = self._credentials()
        url = (
            f"{_host(endpoint)}/subscriptions/{self._clients.endpoints.subscription}"
            f"/resourceGroups/{quote(self._clients.profile.resource_group)}"
            f"/jobs/{quote(place.job)}/executions/{quote(place.execution)}"
            f"/replicas/{quote(place.replica)}/containers/{quote(place.container)}/logstream"
        )
        return self._open(url, f"read the log stream of {place.replica}", tail, output="text")

    def open_events(self, tail: int) -> OpenStream:
        """The job's own event stream, as `az containerapp logs show --type system` reads an app's.

        Raises NotFound where the service has none for jobs.
        """
        _, endpoint = self._credentials()
        return self._open(endpoint, f"read the event stream of the job {self.job}", tail)

    def _open(self, url: str, doing: str, tail: int, **params: str) -> OpenStream:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        token, _ = self._credentials()
        params = {"follow": "true", **params, "tailLines": str(min(tail, MOST_TAIL))}
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        request = HttpRequest("GET", url, params=params, headers=headers)
        with told(self._clients.profile, doing):
            response = self._client().send_request(
                request, stream=True, read_timeout=STREAM_TIMEOUT
            )
            if response.status_code != 200:
                if response.status_code in (401, 403):
                    self.forget_token()
                with contextlib.suppress(Exception):
                    response.read()
                raise HttpResponseError(response=response)
        return OpenStream(response)

    def forget_token(self) -> None:
        """The next stream asks for a new token."""
        with self._lock:
            self._token = ""

    # ---------------------------------------------------------------- the way there

    def _credentials(self) -> tuple[str, str]:
        with self._lock:
            if not self._token:
                answer = self._ask("POST", "/getAuthToken", "get a token for the log stream")
                self._token = str((answer.get("properties") or {}).get("token") or "")
            endpoint = str(self._properties().get("eventStreamEndpoint") or "")
            if not _host(endpoint):
                raise ServiceFailed(
                    f"The job {self.job} tells no address for its log stream.",
                    f"Read what is stored: orchestrator logs --job {self.job}",
                )
            return self._token, endpoint

    def _properties(self) -> dict[str, Any]:
        if not self._resource:
            self._resource = self._jobs.resource(self.job)
        return self._resource.get("properties") or {}

    def _ask(self, method: str, path: str, doing: str) -> dict[str, Any]:
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        url = self._clients.resource_id("Microsoft.App/jobs", quote(self.job)) + path
        request = HttpRequest(method, url, params={"api-version": STREAM_VERSION})
        with self._jobs.told(doing, self.job):
            response = self._clients.containers.send_request(request)
            if response.status_code != 200:
                raise HttpResponseError(response=response)
            answer = response.json()
        return answer if isinstance(answer, dict) else {}

    def _client(self) -> PipelineClient[Any, Any]:
        with self._lock:
            if self._pipeline is None:
                # That a stream ends when we close it is no news for the user.
                logger = logging.getLogger("azure.core.pipeline.transport")
                if not logger.handlers:
                    logger.addHandler(logging.NullHandler())
                self._pipeline = self._clients.plain_pipeline()
            return self._pipeline


def _host(endpoint: str) -> str:
    return endpoint.partition("/subscriptions/")[0]


class OpenStream:
    """A stream that is open. It is read by one thread; `close()` may be called by another."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def lines(self) -> Iterator[StreamedLine]:
        """Line by line until the service ends it. Raises azure-core's errors when it breaks."""
        partial: dict[str, str] = {}
        for written in self.texts():
            if line := parsed(written, partial):
                yield line

    def texts(self) -> Iterator[str]:
        """The same, as it is sent."""
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        rest = ""
        for block in self._response.iter_raw():
            *whole, rest = (rest + decode(block)).split("\n")
            for written in whole:
                yield written.removesuffix("\r")
        if rest:
            yield rest

    def close(self) -> None:
        """Close it, and wake the thread that reads it."""
        raw = getattr(getattr(self._response, "_internal_response", None), "raw", None)
        sock = getattr(getattr(raw, "connection", None), "sock", None)
        if sock is not None:  # closing a socket does not wake who reads from it; this does
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self._response.close()


def parsed(written: str, partial: dict[str, str]) -> StreamedLine | None:
    """A line of the stream; None for the service's own notices and for the beginnings of long
    lines, which are kept in `partial` (by stream) until their end comes.

    `<RFC 3339 time> stdout|stderr F|P <text>`: the container runtime's own log format; P marks a
    part of a line.
    """
    match = _LINE.fullmatch(written)
    if match:
        at, stream, whole, text = match.groups()
        if whole == "P":
            partial[stream] = partial.get(stream, "") + text
            return None
        read = moment(at)
        text = partial.pop(stream, "") + text
        return StreamedLine(read.timestamp() if read else None, stream, text, written)
    at, _, text = written.partition(" ")
    read = moment(at)
    if read is None:
        text = written
    if not text.strip() or _NOTICE.search(text):
        return None
    return StreamedLine(read.timestamp() if read else None, "stdout", text, written)
