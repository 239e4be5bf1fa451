"""The log store behind HTTPS, without the rest of the local cloud."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import trustme
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.monitor.query import LogsQueryClient

from orchestrator.clock import ManualClock
from orchestrator.localcloud.logs.api import LogsApi, Workspace
from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.model import ConsoleLine
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.logs.result import Limits
from orchestrator.localcloud.logs.store import LogStore
from orchestrator.localcloud.logs.stream import add_stream_routes
from orchestrator.localcloud.logs.tables import Scope

T = TypeVar("T")

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WORKSPACE = "6a0e2c36-5c1a-4d0e-9f5e-0d6f6b0f7a11"
OTHER = "0b1c2d3e-5c1a-4d0e-9f5e-0d6f6b0f7a22"
GROUP = "/subscriptions/0f0f/resourceGroups/local"
WORKSPACE_ID = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/local"
OTHER_ID = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/other"
TABLE = "ContainerAppConsoleLogs_CL"
EXECUTION, REPLICA = "sender-abc1234", "sender-abc1234-x1y2z"


def job_id(job: str) -> str:
    return f"{GROUP}/providers/Microsoft.App/jobs/{job}"


class Credential:
    def __init__(self, token: str = "good") -> None:
        self._token = token

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return AccessToken(self._token, int(datetime.now(UTC).timestamp()) + 3600)


class AsyncCredential(Credential):
    async def get_token(self, *_: str, **__: Any) -> AccessToken:  # type: ignore[override]
        return super().get_token()

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> AsyncCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""


def _authorize(request: web.Request) -> None:
    if request.headers.get("Authorization") != "Bearer good":
        raise web.HTTPUnauthorized(
            text=json.dumps({"error": {"code": "AuthenticationFailed", "message": "No token"}}),
            content_type="application/json",
            headers={"WWW-Authenticate": "Bearer"},
        )


class Server:
    """The log store behind HTTPS, in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        ca = trustme.CA()
        self.ca = str(folder / "ca.pem")
        ca.cert_pem.write_to_path(self.ca)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert("127.0.0.1", "localhost").configure_cert(self._tls)
        self.client_tls = ssl.create_default_context(cafile=self.ca)
        self._path = folder / "logs.duckdb"
        self.closed: set[str] = set()
        """Workspaces that the caller has no role to read."""
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.call(self._start())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _start(self) -> None:
        self.clock = ManualClock(START)
        owners = {job_id("sender"): WORKSPACE, job_id("receiver"): OTHER}
        self.store = LogStore(self._path, self.clock, workspace_of=owners.get)
        await self.store.start()
        self.engine = QueryEngine(self.store, self.clock, limits=Limits(rows=5000, size=10**7))
        app = web.Application()
        workspaces = [Workspace(WORKSPACE, WORKSPACE_ID), Workspace(OTHER.upper(), OTHER_ID)]
        LogsApi(self.engine, lambda: workspaces, _authorize, self._permit).add_routes(app)
        add_stream_routes(app, self.store, _authorize)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        assert self._runner.server is not None
        self._listener = await self.loop.create_server(
            self._runner.server, "127.0.0.1", 0, ssl=self._tls, ssl_shutdown_timeout=0.02
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self.endpoint = f"https://127.0.0.1:{self.port}"

    def _permit(self, _: Any, scope: Scope) -> None:
        if self.closed.intersection(scope.workspaces or ()):
            raise QueryError(403, {"code": "InsufficientAccessError", "message": "No access"})

    def stop(self) -> None:
        self.call(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _stop(self) -> None:
        self._listener.close()
        await self._runner.cleanup()
        await self.engine.close()
        await self.store.close()
        # The client library keeps the connection of a refused query open: TLS waits for its
        # goodbye as long as said above, then the transport is closed.
        await asyncio.sleep(0.05)

    def line(self, text: str, *, job: str = "sender", replica: str = "") -> None:
        async def write() -> None:
            execution = EXECUTION.replace("sender", job)
            self.store.console(
                ConsoleLine(
                    self.clock.time(),
                    "stdout",
                    text,
                    job,
                    execution,
                    replica or REPLICA.replace("sender", job),
                    job,
                    f"{job}:1",
                    "local",
                    job_id(job),
                )
            )

        self.call(write())

    def run(self, work: Any, *arguments: Any) -> None:
        """Call something in the server's loop."""

        async def call() -> None:
            work(*arguments)

        self.call(call())

    @contextmanager
    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.client_tls, timeout=20
        )
        sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection.request(method, path, sent, {"Authorization": "Bearer good"} | (headers or {}))
        response = connection.getresponse()
        try:
            yield response
        finally:
            response.close()
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        with self.request(method, path, body) as response:
            return response.status, json.loads(response.read())

    def client(self, **options: Any) -> LogsQueryClient:
        return LogsQueryClient(
            options.pop("credential", Credential()),
            endpoint=self.endpoint,
            connection_verify=self.ca,
            retry_total=options.pop("retry_total", 0),
            **options,
        )
