"""Resource Manager's GET beside a bare aiohttp handler.

`python -m tests.benchmarks.resource_manager [--runs N]`
Both are processes of their own, over TLS with the same certificate and kept connections; the bare
one answers the same bytes, without a token, a route or a resource. Rounds are taken in turns.
Requests a second of one core are counted by the servers' own processor time, so that neither the
client nor other programs on the machine are in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.measuring import Row, table

GROUP = "bench"
CONNECTIONS = 8

BARE = """
import json, ssl, sys
from aiohttp import web
body = json.loads(sys.stdin.readline())
async def handle(request):
    return web.json_response(body)
app = web.Application()
app.router.add_route("*", "/{path:.*}", handle)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), ssl_context=context, access_log=None,
            print=lambda text: None)
"""


class Target:
    """One server: its address, the request, its process."""

    def __init__(self, port: int, request: bytes, pid: int, ca: str) -> None:
        self.port = port
        self.request = request
        self.process = psutil.Process(pid)
        self.context = ssl.create_default_context(cafile=ca)
        self.times: list[float] = []
        self.cost: list[float] = []

    def cpu(self) -> float:
        used = self.process.cpu_times()
        return float(used.user + used.system)

    async def ask(self, count: int) -> list[float]:
        """Send `count` requests one after the other on one connection; seconds of each."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context)
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            taken.append(time.perf_counter() - began)
        writer.close()
        return taken

    async def round(self, count: int) -> None:
        self.times += await self.ask(count)
        began = self.cpu()
        await asyncio.gather(*(self.ask(count // CONNECTIONS) for _ in range(CONNECTIONS)))
        self.cost.append((self.cpu() - began) / (count // CONNECTIONS * CONNECTIONS))


def _cloud(stack: ExitStack, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestrator.localcloud", "--state", str(folder)]
    for name in ("port", "identity-port", "amqp-port", "amqps-port"):
        command += [f"--{name}", "0"]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    stack.callback(process.terminate)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            found: dict[str, Any] = json.loads((folder / "cloud.json").read_text())
        except (OSError, ValueError):
            time.sleep(0.05)
            continue
        return found
    raise SystemExit("the local cloud does not start")


def _token(connection: dict[str, Any]) -> str:
    identity = connection["identity"]
    query = urllib.parse.urlencode(
        {"api-version": "2019-08-01", "resource": "https://management.azure.com"}
    )
    request = urllib.request.Request(
        f"{identity['endpoint']}?{query}", headers={"X-IDENTITY-HEADER": identity["header"]}
    )
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["access_token"])


def _call(connection: dict[str, Any], token: str, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        connection["resource_manager"] + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    context = ssl.create_default_context(cafile=connection["ca"])
    with urllib.request.urlopen(request, context=context) as response:
        return json.loads(response.read() or b"null")


def _job(connection: dict[str, Any], token: str) -> tuple[str, Any]:
    group = f"/subscriptions/{connection['subscription']}/resourceGroups/{GROUP}"
    version = "?api-version=2026-07-01"
    _call(connection, token, "PUT", group + version, {"location": "westeurope"})
    app = f"{group}/providers/Microsoft.App"
    environment = f"{app}/managedEnvironments/env"
    _call(connection, token, "PUT", environment + version, {"location": "westeurope"})
    job = {
        "location": "westeurope",
        "properties": {
            "environmentId": environment,
            "configuration": {"triggerType": "Manual", "replicaTimeout": 300},
            "template": {"containers": [{"name": "main", "image": "bench:1"}]},
        },
    }
    path = f"{app}/jobs/bench{version}"
    _call(connection, token, "PUT", path, job)
    return path, _call(connection, token, "GET", path)


def _bare(stack: ExitStack, connection: dict[str, Any], folder: Path, body: Any) -> tuple[int, int]:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(folder / "server.pem"), str(port)],
            stdin=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.terminate)
    assert process.stdin is not None
    process.stdin.write(json.dumps(body) + "\n")
    process.stdin.flush()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port, process.pid
        time.sleep(0.05)
    raise SystemExit("the bare server does not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        connection = _cloud(stack, folder)
        token = _token(connection)
        path, body = _job(connection, token)
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        bare_port, bare_pid = _bare(stack, connection, folder, body)
        ours = Target(
            int(connection["resource_manager"].rpartition(":")[2]),
            head.encode(),
            connection["pid"],
            connection["ca"],
        )
        bare = Target(bare_port, head.encode(), bare_pid, connection["ca"])

        async def rounds() -> None:
            for number in range(options.runs + 1):
                for target in (ours, bare):
                    await target.round(options.requests)
                    if number == 0:
                        target.times, target.cost = [], []

        asyncio.run(rounds())
        p50 = [statistics.median(target.times) for target in (ours, bare)]
        p99 = [statistics.quantiles(target.times, n=100)[98] for target in (ours, bare)]
        core = [1 / statistics.median(target.cost) for target in (ours, bare)]
    name = "a bare aiohttp handler"
    print(
        table(
            [
                Row("GET of a job, p50", p50[0] * 1000, "ms", name, p50[1] * 1000, "< 3 ms"),
                Row("GET of a job, p99", p99[0] * 1000, "ms", name, p99[1] * 1000),
                Row("GETs a second of one core", core[0], "/s", name, core[1], "≥ 500/s"),
            ]
        )
    )


if __name__ == "__main__":
    main()
