"""What the library does when a service is busy, ill, or lies: against a real HTTPS server."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from orchestrator import errors
from orchestrator.azure.clients import Clients
from orchestrator.azure.profile import resolve
from orchestrator.client import Orchestrator
from orchestrator.settings import check

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
JOB = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.App/jobs/sender"
STARTED = {"id": f"{JOB}/executions/sender-abc1234", "name": "sender-abc1234"}
RESOURCE = {"id": JOB, "name": "sender", "properties": {"runningState": "Ready"}}

Answer = tuple[int, dict[str, str], Any]


def refusal(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"The service says {code}"}}


class Service:
    """An HTTPS server that gives the answers it was told to, and writes down what was asked."""

    def __init__(self, folder: Path) -> None:
        service = self
        self.asked: list[tuple[str, str]] = []
        self.answer: Callable[[str, str], Answer] = lambda method, path: (404, {}, "")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                service.asked.append((self.command, path))
                status, headers, body = service.answer(self.command, path)
                content = body if isinstance(body, str) else json.dumps(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Content-Type", "application/json")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content.encode())

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Anyone:
    """A token that nobody checks here."""

    def get_token(self, *_: str, **__: Any) -> Any:
        from azure.core.credentials import AccessToken

        return AccessToken("token", 2**40)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path)
    yield running
    running.close()


@pytest.fixture
def orc(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orchestrator]:
    profile = {
        "kind": "azure",
        "subscription": SUBSCRIPTION,
        "resource_group": "rg",
        "environment": "e",
        "resource_manager": service.address,
        "logs": service.address,
        "ca_bundle": str(service.ca),
    }
    settings = check({"profiles": {"azure": profile}}, Path("/project/orchestrator.toml"))
    resolved = resolve(settings, environ={})
    clients = Clients(resolved, credential=Anyone())
    pauses: list[float] = []
    monkeypatch.setattr(type(clients.transport), "sleep", lambda self, s: pauses.append(s))
    made = Orchestrator(settings, resolved, clients=clients)
    made.pauses = pauses  # type: ignore[attr-defined]
    yield made
    made.close()


def in_turn(*answers: Answer) -> Callable[[str, str], Answer]:
    """These answers one after the other, the last for ever."""
    left = list(answers)
    return lambda method, path: left.pop(0) if len(left) > 1 else left[0]


def test_a_busy_service_is_asked_again_when_it_says_so(service: Service, orc: Orchestrator) -> None:
    busy = (429, {"Retry-After": "7"}, refusal("TooManyRequests"))
    service.answer = in_turn(busy, busy, (200, {}, RESOURCE))
    assert orc.job("sender").name == "sender"
    assert orc.pauses == [7, 7]  # type: ignore[attr-defined]
    assert len(service.asked) == 3


def test_a_service_that_stays_busy_is_told_with_how_long_to_wait(
    service: Service, orc: Orchestrator
) -> None:
    service.answer = in_turn((429, {"Retry-After": "3"}, refusal("TooManyRequests")))
    with pytest.raises(errors.Throttled) as caught:
        orc.job("sender")
    assert caught.value.retry_after == 3
    assert len(service.asked) == 5


def test_nobody_waits_an_hour_for_a_service_that_asks_for_it(
    service: Service, orc: Orchestrator
) -> None:
    service.answer = in_turn((429, {"Retry-After": "3600"}, refusal("TooManyRequests")))
    with pytest.raises(errors.Throttled) as caught:
        orc.job("sender")
    assert "3600 s" in caught.value.hint
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_reading_is_tried_again_when_the_service_is_ill(
    service: Service, orc: Orchestrator, status: int
) -> None:
    service.answer = in_turn((status, {}, "<html>oops</html>"), (200, {}, RESOURCE))
    assert orc.job("sender").name == "sender"
    assert len(service.asked) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}])
def test_a_start_is_never_sent_twice_when_the_first_may_have_been_taken(
    service: Service, orc: Orchestrator, status: int, headers: dict[str, str]
) -> None:
    service.answer = in_turn((status, headers, refusal("Oops")), (200, {}, STARTED))
    with pytest.raises(errors.ServiceFailed):
        orc.start("sender")
    assert service.asked == [("POST", f"{JOB}/start")]


def test_a_start_that_was_not_taken_is_sent_again(service: Service, orc: Orchestrator) -> None:
    busy = (429, {"Retry-After": "2"}, refusal("TooManyRequests"))
    service.answer = in_turn(busy, (200, {}, STARTED))
    assert orc.start("sender").name == "sender-abc1234"
    assert [method for method, _ in service.asked] == ["POST", "POST"]


def test_a_full_disk_is_told_as_that(service: Service, orc: Orchestrator) -> None:
    service.answer = in_turn((507, {}, refusal("InsufficientStorage")))
    with pytest.raises(errors.StorageFull) as caught:
        orc.start("sender")
    assert "Make room" in caught.value.hint


def test_a_long_running_operation_that_ends_badly_is_told(
    service: Service, orc: Orchestrator
) -> None:
    operation = f"{service.address}/operation"

    def answer(method: str, path: str) -> Answer:
        if path == "/operation":
            return 200, {}, {"status": "Failed", **refusal("JobBusy")}
        return 202, {"Azure-AsyncOperation": operation}, ""

    service.answer = answer
    with pytest.raises(errors.InvalidRequest) as caught:
        orc.suspend("sender")
    assert caught.value.message == "Could not suspend the job sender: The service says JobBusy."


def test_a_sign_in_that_is_refused_is_told(service: Service, orc: Orchestrator) -> None:
    service.answer = in_turn((401, {"WWW-Authenticate": "Bearer"}, refusal("InvalidToken")))
    with pytest.raises(errors.AuthenticationFailed) as caught:
        orc.jobs()
    assert "az login" in caught.value.hint


def test_an_answer_that_is_no_json_is_told(service: Service, orc: Orchestrator) -> None:
    service.answer = in_turn((200, {}, "<html>a proxy's page</html>"))
    with pytest.raises(errors.ServiceFailed):
        orc.job("sender")


def test_a_server_that_is_not_trusted_is_told(service: Service, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    profile = {
        "kind": "azure",
        "subscription": SUBSCRIPTION,
        "resource_group": "rg",
        "environment": "e",
        "resource_manager": service.address,
        "ca_bundle": str(other),
    }
    settings = check({"profiles": {"azure": profile}}, Path("/project/orchestrator.toml"))
    resolved = resolve(settings, environ={})
    with (
        Orchestrator(settings, resolved, clients=Clients(resolved, credential=Anyone())) as orc,
        pytest.raises(errors.NotReachable, match="certificate is not trusted"),
    ):
        orc.jobs()


def test_a_part_of_an_answer_is_told_as_a_part(service: Service, orc: Orchestrator) -> None:
    """Limits of 500,000 rows or 100 MB: the service answers 200 with an error beside the rows."""
    table = {
        "name": "PrimaryResult",
        "columns": [{"name": "Log_s", "type": "string"}, {"name": "n", "type": "long"}],
        "rows": [["first", 1], ["second", 2]],
    }
    partial = {"code": "PartialError", "message": "There were some errors", "details": []}

    def answer(method: str, path: str) -> Answer:
        if method == "POST":
            return 200, {}, {"tables": [table], "error": partial}
        wiring = {"logAnalyticsConfiguration": {"customerId": "the-workspace"}}
        return 200, {}, {"id": "e", "properties": {"appLogsConfiguration": wiring}}

    service.answer = answer
    result = orc.query("T")
    assert [row[0] for row in result] == ["first", "second"]
    assert "There were some errors" in result.partial
    assert service.asked[-1] == ("POST", "/v1/workspaces/the-workspace/query")


def test_an_environment_without_a_workspace_is_told(service: Service, orc: Orchestrator) -> None:
    service.answer = in_turn((200, {}, {"id": "e", "properties": {"appLogsConfiguration": None}}))
    with pytest.raises(errors.NotFound, match="sends its logs to no workspace"):
        orc.query("T")
