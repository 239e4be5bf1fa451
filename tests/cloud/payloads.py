"""The payloads as programs: started as a job starts them, and what they wrote."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType

from orchestrator.localcloud.servicebus.model import QueueProperties
from tests.conftest import CloudInThread

JOBS = Path(__file__).resolve().parents[2] / "jobs"
NAMESPACE = "payloads"
STOPPED = 128 + getattr(signal, "SIGBREAK", signal.SIGTERM)
INHERITED = ("PATH", "HOME", "LANG", "TEMP", "TMP", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV")


class Running:
    """A payload, and what it has written so far."""

    def __init__(self, program: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._written: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._written
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        with getattr(self._process, name) as stream:
            self._written[name].extend(stream)

    @property
    def stdout(self) -> str:
        return "".join(list(self._written["stdout"]))

    @property
    def stderr(self) -> str:
        return "".join(list(self._written["stderr"]))

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def wait(self, timeout: float) -> None:
        """Until it has ended and all it wrote is read."""
        self._process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)

    def until(self, text: str) -> None:
        """Until it has written a line with `text` on its standard output."""
        end = time.monotonic() + 60
        while text not in self.stdout:
            assert self._process.poll() is None, f"ended without {text!r}: {self.stderr}"
            assert time.monotonic() < end, f"no {text!r} in {self.stdout!r}"
            time.sleep(0.002)

    def stop(self) -> None:
        """Tell it to stop, as the platform does."""
        self._process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        """Whatever became of its test: it runs no longer."""
        self._process.kill()
        self.wait(30)


class Place:
    """Two queues of one test's own, and what the payloads are told about them."""

    def __init__(self, cloud: CloudInThread, *, lock: float, unique_parameters: bool) -> None:
        name = uuid.uuid4().hex[:8]
        self.cloud = cloud
        self._started: list[Running] = []
        self.parameters, self.results = f"parameters-{name}", f"results-{name}"
        broker = cloud.server.broker
        cloud.call(broker.put_namespace(NAMESPACE))
        for queue, unique in ((self.parameters, unique_parameters), (self.results, True)):
            properties = QueueProperties(lock_duration=lock, requires_duplicate_detection=unique)
            cloud.call(broker.put_queue(NAMESPACE, queue, properties))
        bus, identity = cloud.connection["service_bus"], cloud.connection["identity"]
        self.environment = {
            "FULLY_QUALIFIED_NAMESPACE": f"{NAMESPACE}.servicebus.windows.net",
            "INPUT_QUEUE_NAME": self.parameters,
            "OUTPUT_QUEUE_NAME": self.results,
            "MAX_MESSAGE_COUNT": "100000",
            "MAX_WAIT_TIME": "1",
            "IDENTITY_ENDPOINT": identity["endpoint"],
            "IDENTITY_HEADER": identity["header"],
            "SERVICE_BUS_CUSTOM_ENDPOINT": f"sb://{bus['amqps']}",
            "SERVICE_BUS_CA_BUNDLE": cloud.connection["ca_bundle"],
            "PYTHONUNBUFFERED": "1",
        }

    def start(self, payload: str, *, code: str = "", **variables: str) -> Running:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        program = ["-c", code] if code else [str(JOBS / f"{payload}.py")]
        running = Running(program, inherited | self.environment | variables)
        self._started.append(running)
        return running

    def close(self) -> None:
        """End what it started."""
        for running in self._started:
            running.end()

    def run(self, payload: str, *, code: str = "", **variables: str) -> Running:
        process = self.start(payload, code=code, **variables)
        process.wait(100)
        assert "Traceback" not in process.stderr, process.stderr
        return process

    def active(self, queue: str) -> int:
        return self._counts(queue)[0]

    def dead(self, queue: str) -> int:
        return self._counts(queue)[1]

    def _counts(self, queue: str) -> tuple[int, int]:
        async def ask() -> tuple[int, int]:
            counts = self.cloud.server.broker.counts(NAMESPACE, queue)
            assert counts is not None
            return counts.active, counts.dead_letter

        return self.cloud.call(ask())

    def client(self) -> ServiceBusClient:
        bus = self.cloud.connection["service_bus"]["amqps"]
        return ServiceBusClient(
            f"{NAMESPACE}.servicebus.windows.net",
            self.cloud.credential,
            custom_endpoint_address=f"sb://{bus}",
            connection_verify=self.cloud.ca,
            transport_type=TransportType.Amqp,
        )

    def put(self, *bodies: str | bytes) -> None:
        """Put bodies on the queue of parameters, with the ids put-0, put-1, …"""
        with self.client() as client, client.get_queue_sender(self.parameters) as sender:
            for start in range(0, len(bodies), 500):
                sender.send_messages(
                    [
                        ServiceBusMessage(body, message_id=f"put-{start + n}")
                        for n, body in enumerate(bodies[start : start + 500])
                    ]
                )


def sent(output: str) -> list[tuple[str, str]]:
    """(id, number) of every message that the sender says it sent."""
    return re.findall(r"^\[\d+\] Sent message (\S+): (-?\d+)$", output, re.MULTILINE)


def processed(output: str) -> list[tuple[str, str, str]]:
    """(id, n, result) of every message that the processor says it processed."""
    return re.findall(
        r"^\[\d+\] Processed message (\S+): fibonacci\((\d+)\) = (.+)$", output, re.MULTILINE
    )


def received(output: str) -> list[tuple[str, str]]:
    """(id, result) of every result that the receiver says it received."""
    return re.findall(r"^\[\d+\] Received result (\S+): (.+)$", output, re.MULTILINE)
