"""The transport of `resource_lists`: azure-core's interface on the standard library's HTTP client.

azure-core's own transport is requests on urllib3: proxies, cookies, encodings guessed. Importing
those takes a fifth of the time of `executions list`, and of its memory, and reading a list of
resources wants none of them. What does want them keeps azure-core's own (`suits`). Both raise
azure-core's errors, so its retries and `failures.told` see no difference.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import threading
import weakref
import zlib
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from azure.core.exceptions import (
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest, HttpResponse
from azure.core.utils import case_insensitive_dict

# What makes requests do more than urllib3 by itself.
_OTHER_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def suits(*, use_env_settings: bool) -> bool:
    """Whether requests go straight to the host, by what the environment says.

    Where the system has settings of proxies (Windows, macOS) these are looked at, too.
    """
    if not use_env_settings:
        return True
    if any(os.environ.get(name) for name in _OTHER_AUTHORITIES):
        return False
    if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
        return False
    if sys.platform in ("win32", "darwin"):
        from urllib.request import getproxies

        return not getproxies()
    return True


class ReadingTransport(HttpTransport[HttpRequest, HttpResponse]):
    """Sends requests without a body and reads the whole answer. Threads may share it.

    Time-outs are in seconds: until a connection stands, and between two bytes of an answer.
    `ca_bundle`: a file of authorities; None: those that certifi carries, as azure-core has it.
    """

    def __init__(
        self, *, connection_timeout: float, read_timeout: float, ca_bundle: str | None
    ) -> None:
        self._connection_timeout = connection_timeout
        self._read_timeout = read_timeout
        self._ca_bundle = ca_bundle
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        # Whoever forgets `close` leaves no socket open, as with urllib3's pools.
        weakref.finalize(self, _close_all, self._idle)

    def open(self) -> None:
        """Nothing: connections are made when they are needed."""

    def close(self) -> None:
        with self._lock:
            _close_all(self._idle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def send(self, request: HttpRequest, **_: Any) -> HttpResponse:
        """The answer. Raises azure-core's ServiceRequestError or ServiceResponseError."""
        where = urlsplit(request.url)
        place = (where.scheme, where.netloc)
        with self._lock:
            idle = self._idle.get(place)
            connection = idle.pop() if idle else None
        if connection is not None:
            try:
                return self._exchange(connection, request, place)
            except ServiceResponseTimeoutError:
                raise
            except ServiceResponseError:
                pass  # it was closed at the other end while nobody used it
        return self._exchange(self._connected(*place), request, place)

    def _connected(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        timeout = self._connection_timeout
        connection: http.client.HTTPConnection
        try:
            if scheme == "https":
                connection = http.client.HTTPSConnection(
                    netloc, timeout=timeout, context=self._trusting()
                )
            else:
                connection = http.client.HTTPConnection(netloc, timeout=timeout)
            connection.connect()
        except TimeoutError as error:
            raise ServiceRequestTimeoutError(error, error=error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ServiceRequestError(error, error=error) from error
        connection.sock.settimeout(self._read_timeout)
        return connection

    def _trusting(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                bundle = self._ca_bundle
                if bundle is None:
                    import certifi

                    bundle = certifi.where()
                self._context = ssl.create_default_context(cafile=bundle)
            return self._context

    def _exchange(
        self, connection: http.client.HTTPConnection, request: HttpRequest, place: tuple[str, str]
    ) -> HttpResponse:
        where = urlsplit(request.url)
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        headers = {"Accept-Encoding": "gzip", **request.headers}
        try:
            connection.request(request.method, target, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError as error:
            connection.close()
            raise ServiceResponseTimeoutError(error, error=error) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ServiceResponseError(error, error=error) from error
        except BaseException:  # such as Ctrl-C: half an answer is left in it
            connection.close()
            raise
        if answer.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.setdefault(place, []).append(connection)
        return _Answer(request, answer, body)


def _close_all(idle: dict[tuple[str, str], list[http.client.HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()
    idle.clear()


class _Answer(HttpResponse):
    """An answer that was read to its end."""

    def __init__(self, request: HttpRequest, answer: http.client.HTTPResponse, body: bytes) -> None:
        self._request = request
        self._status = answer.status
        self._reason = answer.reason
        self._headers: MutableMapping[str, str] = case_insensitive_dict()
        for name, value in answer.headers.items():
            before = self._headers.get(name)
            self._headers[name] = value if before is None else f"{before}, {value}"
        self._encoding: str | None = None
        self._content = body
        if self._headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
            try:
                self._content = zlib.decompress(body, wbits=16 + zlib.MAX_WBITS)
            except zlib.error as error:
                raise ServiceResponseError(error, error=error) from error

    @property
    def request(self) -> HttpRequest:
        return self._request

    @property
    def status_code(self) -> int:
        return self._status

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def url(self) -> str:
        return self._request.url

    @property
    def is_closed(self) -> bool:
        return True

    @property
    def is_stream_consumed(self) -> bool:
        return True

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._headers

    @property
    def content_type(self) -> str | None:
        return self._headers.get("Content-Type")

    @property
    def content(self) -> bytes:
        return self._content

    @property
    def encoding(self) -> str | None:
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    def read(self) -> bytes:
        return self._content

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode(encoding or self._encoding or "utf-8-sig", "replace")

    def json(self) -> Any:
        """The answer's JSON. Raises azure-core's DecodeError."""
        from msgspec import DecodeError as NoJson
        from msgspec.json import decode

        try:
            return decode(self.content)
        except (NoJson, UnicodeDecodeError) as error:
            raise DecodeError("The answer is no JSON.", response=self, error=error) from error

    def raise_for_status(self) -> None:
        if self._status >= 400:
            raise HttpResponseError(response=self)

    def iter_bytes(self, **_: Any) -> Iterator[bytes]:
        yield self.content

    def iter_raw(self, **_: Any) -> Iterator[bytes]:
        yield self.content

    def close(self) -> None:
        """Nothing: it was read, and the connection is not its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
