"""The log stream of a container, read over HTTPS as `az containerapp job logs show` reads it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .logs_server import EXECUTION, REPLICA, Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.stop()


STREAM = (
    f"/subscriptions/0f0f/resourceGroups/local/jobs/sender/executions/{EXECUTION}"
    f"/replicas/{REPLICA}/containers/sender/logstream"
)


def test_a_log_stream_flows_line_by_line_until_the_replica_ends(server: Server) -> None:
    server.run(server.store.replica_started, EXECUTION, REPLICA)
    server.line("before")
    with server.request("GET", f"{STREAM}?follow=true&output=text&tailLines=20") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.readline() == b"2026-11-23T12:00:00.000000Z stdout F before\n"
        server.call(server.clock.advance(1.5))
        server.line("now é")
        # Arrives although the stream goes on and nothing else is written.
        assert response.readline() == "2026-11-23T12:00:01.500000Z stdout F now é\n".encode()
        server.line("last")
        server.run(server.store.replica_ended, REPLICA)
        assert response.read() == b"2026-11-23T12:00:01.500001Z stdout F last\n"


def test_a_log_stream_can_be_json_and_end_at_once(server: Server) -> None:
    for n in range(5):
        server.line(f"line {n}")
    path = STREAM.replace("resourceGroups", "resourcegroups")
    with server.request("GET", f"{path}?follow=false&output=json&tailLines=2") as response:
        lines = [json.loads(line) for line in response]
    assert lines == [
        {"TimeStamp": "2026-11-23T12:00:00.000003Z", "Log": "line 3"},
        {"TimeStamp": "2026-11-23T12:00:00.000004Z", "Log": "line 4"},
    ]


def test_an_idle_log_stream_whose_reader_leaves_is_let_go(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.localcloud.logs.stream._PULSE", 0.05)
    server.run(server.store.replica_started, EXECUTION, REPLICA)
    server.line("one")
    known = server.store.feed.find(EXECUTION, REPLICA)
    assert known is not None
    with server.request("GET", f"{STREAM}?follow=true") as response:
        assert response.readline().endswith(b"one\n")
        assert known.subscriptions["sender"]
    while known.subscriptions["sender"]:
        threading.Event().wait(0.02)


def test_a_log_stream_ends_when_the_server_stops(tmp_path: Path) -> None:
    running = Server(tmp_path)
    running.run(running.store.replica_started, EXECUTION, REPLICA)
    running.line("one")
    with running.request("GET", f"{STREAM}?follow=true") as response:
        assert response.readline().endswith(b"one\n")
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        assert response.read() == b""
    stopping.join()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (STREAM.replace(REPLICA, f"{EXECUTION}-nobody"), 404, "nobody"),
        (STREAM.replace("/jobs/sender/", "/jobs/receiver/"), 404, "receiver"),
        (f"{STREAM}?tailLines=301", 400, "from 0 to 300"),
        (f"{STREAM}?tailLines=-1", 400, "from 0 to 300"),
        (f"{STREAM}?tailLines=many", 400, "from 0 to 300"),
        (f"{STREAM}?output=xml", 400, "expected text or json"),
    ],
)
def test_a_log_stream_that_cannot_be_says_why(
    server: Server, path: str, status: int, words: str
) -> None:
    server.line("x")
    answered, answer = server.ask("GET", path)
    assert answered == status
    assert words in answer["error"]["message"]


def test_a_log_stream_needs_its_token(server: Server) -> None:
    server.line("x")
    with server.request("GET", STREAM, headers={"Authorization": "Bearer bad"}) as response:
        assert response.status == 401
