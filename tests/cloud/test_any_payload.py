"""Programs that were written for Azure and know nothing of the local cloud, run as replicas.

Each names Azure's own addresses and takes DefaultAzureCredential; nothing else is said to it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.servicebus.model import QueueProperties
from tests.cloud.test_executions import Bench

SYNC = """
import os
from azure.identity import DefaultAzureCredential
from azure.servicebus import ServiceBusClient, ServiceBusMessage

with ServiceBusClient(os.environ["FULLY_QUALIFIED_NAMESPACE"], DefaultAzureCredential()) as client:
    with client.get_queue_sender("unaware") as sender:
        sender.send_messages([ServiceBusMessage(str(n)) for n in range(5)])
    with client.get_queue_receiver("unaware", max_wait_time=2) as receiver:
        for message in receiver.receive_messages(5):
            print("got", str(message), flush=True)
            receiver.complete_message(message)
"""

AIO = """
import asyncio, os
from azure.identity.aio import DefaultAzureCredential
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

async def main():
    async with DefaultAzureCredential() as credential:
        async with ServiceBusClient(
            fully_qualified_namespace=os.environ["FULLY_QUALIFIED_NAMESPACE"], credential=credential
        ) as client:
            async with client.get_queue_sender("unaware") as sender:
                await sender.send_messages(ServiceBusMessage("asynchronous"))
            async with client.get_queue_receiver("unaware", max_wait_time=2) as receiver:
                for message in await receiver.receive_messages(1):
                    print("got", str(message), flush=True)
                    await receiver.complete_message(message)

asyncio.run(main())
"""

MANAGEMENT = """
import os
from datetime import timedelta
from azure.identity import DefaultAzureCredential
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.monitor.query import LogsQueryClient

credential = DefaultAzureCredential()
client = ContainerAppsAPIClient(credential, os.environ["SUBSCRIPTION"])
print("jobs", sorted(job.name for job in client.jobs.list_by_resource_group("executions")))
try:
    LogsQueryClient(credential).query_workspace(
        "00000000-0000-0000-0000-00000000abcd", "print 1", timespan=timedelta(hours=1))
except Exception as error:
    print("logs:", error.error.code)
"""

ADMINISTRATION = """
import os
from azure.identity import DefaultAzureCredential
from azure.servicebus.management import ServiceBusAdministrationClient

host = os.environ["FULLY_QUALIFIED_NAMESPACE"]
with ServiceBusAdministrationClient(host, DefaultAzureCredential()) as admin:
    print(admin.get_namespace_properties().name)
    admin.create_topic("made-here")
    admin.create_subscription("made-here", "all", forward_to="unaware")
    print(admin.get_subscription("made-here", "all").forward_to)
"""

OVER_HTTP = """
import json, os, urllib.request
from azure.identity import DefaultAzureCredential

token = DefaultAzureCredential().get_token("https://servicebus.azure.net/.default").token
address = "https://" + os.environ["FULLY_QUALIFIED_NAMESPACE"] + "/unaware/messages"

def ask(method, address, body=b""):
    headers = {"Authorization": "Bearer " + token}
    request = urllib.request.Request(address, body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.status, answer.headers["Location"], answer.read()

print(ask("POST", address, b"by hand")[0])
status, location, body = ask("POST", address + "/head?timeout=10")
print(status, body, location.startswith(address), ask("DELETE", location)[0])
"""

STRICT = """
import os, socket, ssl

def dial(name, trust):
    context = ssl.create_default_context(cafile=trust)
    address = (os.environ["FULLY_QUALIFIED_NAMESPACE"], 5671)
    with socket.create_connection(address, timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            return dict(item[0] for item in secure.getpeercert()["subject"])

import certifi
print("right name:", dial(os.environ["FULLY_QUALIFIED_NAMESPACE"], certifi.where()))
try:
    dial("example.com", certifi.where())
except ssl.SSLCertVerificationError as error:
    print("wrong name:", error.verify_message)
try:
    socket.getaddrinfo("not-made-here.invalid", 5671)
except socket.gaierror:
    print("other names are resolved as ever")
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("unaware"))
    lines = []
    for name, text in {
        "sync": SYNC,
        "aio": AIO,
        "management": MANAGEMENT,
        "administration": ADMINISTRATION,
        "over-http": OVER_HTTP,
        "strict": STRICT,
    }.items():
        (bench.project / f"{name}.py").write_text(text)
        lines.append(f'[images.{name}]\nprocess = ["{{python}}", "{name}.py"]\n')
    with (bench.project / "orchestrator.toml").open("a") as file:
        file.writelines(lines)
    broker = bench.cloud.server.broker
    bench.cloud.call(broker.put_namespace("contoso-unaware"))
    bench.cloud.call(broker.put_queue("contoso-unaware", "unaware", QueueProperties()))
    yield bench
    bench.client.close()
    bench.cloud.stop()


def run(bench: Bench, image: str) -> list[str]:
    """Run a program as a job with an identity; what it printed."""
    lines: list[str] = []
    console = bench.cloud.server.logs.console

    def listen(line: Any) -> None:
        lines.append(line.text)
        console(line)

    bench.cloud.server.logs.console = listen  # type: ignore[method-assign]
    try:
        bench.job(
            f"run-{image}",
            image=image,
            env={
                "FULLY_QUALIFIED_NAMESPACE": "Contoso-Unaware.servicebus.windows.net",
                "SUBSCRIPTION": bench.cloud.connection["subscription"],
            },
            identity=True,
        )
        execution = bench.client.jobs.begin_start("executions", f"run-{image}").result()

        job_id = execution.id.rpartition("/executions/")[0]

        async def status() -> str | None:
            found = bench.cloud.server.runtime.execution(job_id, execution.name)
            assert found is not None
            now = str(found["properties"]["status"])
            return now if now != "Running" else None

        assert bench.cloud.until(lambda: bench.cloud.call(status()), timeout=60) == "Succeeded", (
            lines
        )
    finally:
        bench.cloud.server.logs.console = console  # type: ignore[method-assign]
    return lines


def test_a_synchronous_program_reaches_the_broker_by_azures_name(bench: Bench) -> None:
    assert run(bench, "sync") == [f"got {n}" for n in range(5)]


def test_an_asynchronous_program_reaches_the_broker_by_azures_name(bench: Bench) -> None:
    assert run(bench, "aio") == ["got asynchronous"]


def test_a_program_that_manages_resources_and_asks_logs_stays_here(bench: Bench) -> None:
    lines = run(bench, "management")
    jobs = sorted(job.name for job in bench.client.jobs.list_by_resource_group("executions"))
    assert lines == [f"jobs {jobs}", "logs: PathNotFoundError"]


def test_a_program_that_administers_its_namespace_stays_here(bench: Bench) -> None:
    assert run(bench, "administration") == [
        "contoso-unaware",
        "sb://contoso-unaware.servicebus.windows.net/unaware",
    ]


def test_a_program_that_sends_and_receives_over_http_stays_here(bench: Bench) -> None:
    assert run(bench, "over-http") == ["201", "201 b'by hand' True 200"]


def test_the_host_name_is_verified_still(bench: Bench) -> None:
    right, wrong, other = run(bench, "strict")
    assert "'commonName': 'orchestrator local cloud'" in right
    assert wrong.startswith("wrong name: Hostname mismatch")
    assert other == "other names are resolved as ever"


def test_start_up_imports_nothing_and_runs_another_sitecustomize(tmp_path: Path) -> None:
    from orchestrator.localcloud.runtime.python_site import ROUTES, lead_python

    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.chained = True\n")
    (tmp_path / "bundle.pem").write_text("# nobody is trusted\n")
    env = {
        ROUTES: "x.servicebus.windows.net:5671=127.0.0.1:9 nonsense",
        "PYTHONPATH": str(tmp_path),
        "SSL_CERT_FILE": str(tmp_path / "bundle.pem"),
    }
    lead_python(env)
    program = (
        "import sys; print(chained, 'socket' in sys.modules, 'typing' in sys.modules)\n"
        "import socket, certifi, requests.certs\n"
        "for host in ('X.ServiceBus.Windows.net', b'x.servicebus.windows.net.'):\n"
        "    print(socket.getaddrinfo(host, '5671', type=socket.SOCK_STREAM)[0][4])\n"
        "print(certifi.where() == requests.certs.where(), certifi.contents().strip())\n"
    )

    async def start() -> tuple[bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=env, stdout=-1, stderr=-1
        )
        return await process.communicate()

    out, err = asyncio.run(start())
    assert out.decode().splitlines() == [
        "True False False",
        "('127.0.0.1', 9)",
        "('127.0.0.1', 9)",
        "True # nobody is trusted",
    ], err.decode()


def test_without_routes_a_program_is_left_alone() -> None:
    from orchestrator.localcloud.runtime.python_site import lead_python

    env = {"PYTHONPATH": "/mine"}
    lead_python(env)
    assert env == {"PYTHONPATH": "/mine"}
