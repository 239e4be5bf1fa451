"""The transport of lists, against servers that answer as good and bad ones do."""

from __future__ import annotations

import gc
import gzip
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.core.exceptions import (
    DecodeError,
    ServiceRequestError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.rest import HttpRequest

from orchestrator import errors
from orchestrator.azure.failures import translated
from orchestrator.azure.profile import resolve
from orchestrator.azure.reading_transport import ReadingTransport, suits
from orchestrator.errors import OrchestratorError
from orchestrator.settings.loading import check

LOCAL = resolve(
    check({"profiles": {"local": {"kind": "local"}}}, Path("/project/orchestrator.toml")),
    "local",
    environ={},
)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\nx-one: 2\r\n\r\n{}"


class Server:
    """Answers each request on a connection with the next of its answers; None hangs up."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self.answers = answers
        self.connections = 0
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/list?a=b"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        while self.answers:
            got = b""
            while not got.endswith(b"\r\n\r\n"):
                more = connection.recv(4096)
                if not more:
                    return
                got += more
            self.requests.append(got)
            answer = self.answers.pop(0)
            if answer is None:
                return
            connection.sendall(answer)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def serving(*answers: bytes | None) -> Iterator[Server]:
    server = Server(list(answers))
    try:
        yield server
    finally:
        server.close()


def transport(read_timeout: float = 10.0) -> ReadingTransport:
    return ReadingTransport(connection_timeout=5.0, read_timeout=read_timeout, ca_bundle=None)


def test_requests_share_a_connection_and_headers_have_no_case() -> None:
    with serving(GOOD, GOOD) as server, transport() as sending:
        for _ in range(2):
            answer = sending.send(HttpRequest("GET", server.url, headers={"Accept": "text/x"}))
            assert answer.json() == {}
            assert answer.headers["X-ONE"] == "1, 2"
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /list?a=b HTTP/1.1\r\n")
    assert b"Accept: text/x" in server.requests[0]


def test_a_connection_closed_meanwhile_is_made_anew() -> None:
    with serving(GOOD, None, GOOD) as server, transport() as sending:
        sending.send(HttpRequest("GET", server.url))
        assert sending.send(HttpRequest("GET", server.url)).status_code == 200
    assert server.connections == 2


def test_a_compressed_answer_is_unpacked() -> None:
    body = gzip.compress('{"é": [1]}'.encode())
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving(head.encode() + body) as server, transport() as sending:
        assert sending.send(HttpRequest("GET", server.url)).json() == {"é": [1]}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["hung up", "cut short", "not HTTP", "not gzip"],
)
def test_a_broken_answer_is_an_error_of_azure_core(answer: bytes | None) -> None:
    with serving(answer) as server, transport() as sending:
        # A cut one ends when its connection does: there is no further answer to wait for.
        with pytest.raises(ServiceResponseError) as caught:
            sending.send(HttpRequest("GET", server.url))
        assert isinstance(became(caught.value), errors.NotReachable)


def test_a_silent_server_is_told_as_a_time_out() -> None:
    with serving(b"", GOOD) as server, transport(read_timeout=0.05) as sending:
        with pytest.raises(ServiceResponseTimeoutError) as caught:
            sending.send(HttpRequest("GET", server.url))
        assert "no answer in time" in became(caught.value).message


def test_a_page_in_place_of_an_answer_is_told() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
    with serving(page) as server, transport() as sending:
        answer = sending.send(HttpRequest("GET", server.url))
        with pytest.raises(DecodeError) as caught:
            answer.json()
        assert "not what the service speaks" in became(caught.value).message


def test_a_forgotten_transport_leaves_no_connection_open() -> None:
    with serving(GOOD) as server:
        forgotten = transport()
        forgotten.send(HttpRequest("GET", server.url))
        (connections,) = forgotten._idle.values()
        kept = connections[0].sock
        assert kept.fileno() != -1
        del forgotten
        gc.collect()
        assert kept.fileno() == -1


def test_nobody_listening_is_a_refused_connection() -> None:
    with socket.socket() as bound, transport() as sending:
        bound.bind(("127.0.0.1", 0))  # but does not listen
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        with pytest.raises(ServiceRequestError) as caught:
            sending.send(HttpRequest("GET", url))
    assert "does not answer" in became(caught.value).message


def became(error: ServiceRequestError | ServiceResponseError | DecodeError) -> OrchestratorError:
    return translated(error, LOCAL, "list")


@pytest.mark.parametrize(
    "name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
def test_a_proxy_or_other_authorities_are_left_to_requests(
    name: str, clean: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    clean()
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert suits(use_env_settings=True)
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert not suits(use_env_settings=True)
    assert suits(use_env_settings=False)  # a proxy is never meant for this machine itself


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def remove() -> None:
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name.endswith("_CA_BUNDLE"):
                monkeypatch.delenv(name)

    return remove
