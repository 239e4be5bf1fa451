"""The local cloud's broker beside RabbitMQ: `python -m tests.benchmarks.broker_others`.

The same client (python-qpid-proton), durable queues, durable messages, one after the other on the
same machine in turns. Says so where RabbitMQ or proton is not installed; installs nothing.
(Debian and Ubuntu: `apt-get install rabbitmq-server`; `pip install python-qpid-proton`.)
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tests.benchmarks.broker_cpu import served
from tests.benchmarks.broker_neutral import PROTON
from tests.benchmarks.broker_process import QUEUE, RULE
from tests.benchmarks.measuring import Row, ended, python, table

COUNT = 5_000
SIZE = 200
SCRIPTS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
DECLARE = (
    'rabbit_amqqueue:declare(rabbit_misc:r(<<"/">>, queue, <<"{0}">>), true, false, [], none, '
    '<<"bench">>).'
)


def missing() -> str | None:
    """Why there can be no comparison; None if there can."""
    if importlib.util.find_spec("proton") is None:
        return "python-qpid-proton is not installed"
    if _script("rabbitmq-server") is None:
        return "RabbitMQ is not installed"
    return None


def _script(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join(SCRIPTS)) or shutil.which(name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def rabbit() -> Iterator[Mapping[str, str]]:
    """A RabbitMQ of our own with its AMQP 1.0 plugin and one durable queue; how to reach it."""
    server, control = _script("rabbitmq-server"), _script("rabbitmqctl")
    assert server is not None
    assert control is not None
    port, name = _free_port(), f"bench{os.getpid()}@localhost"
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as text:
        folder = Path(text)
        (folder / "plugins").write_text("[rabbitmq_amqp1_0].\n", encoding="utf-8")
        (folder / "rabbit.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{port}\n", encoding="utf-8"
        )
        environment = os.environ | {
            "HOME": text,
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "ERL_EPMD_PORT": str(_free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbit.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-setcookie benchmarks",
            "RABBITMQ_CTL_ERL_ARGS": "-setcookie benchmarks",
        }
        log = (folder / "output").open("wb")
        process = subprocess.Popen(
            [server], env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
        try:
            _control(control, environment, "await_startup", "--timeout", "60")
            _control(control, environment, "eval", DECLARE.format(QUEUE))
            yield {
                "URL": f"amqp://127.0.0.1:{port}",
                "ADDRESS": f"/amq/queue/{QUEUE}",
                "BROKER_USER": "guest",
                "BROKER_PASSWORD": "guest",
                "BROKER": str(_machine(process.pid)),
            }
        finally:
            _control(control, environment, "stop", check=False)
            process.wait(timeout=60)
            log.close()


def _control(command: str, environment: Mapping[str, str], *words: str, check: bool = True) -> None:
    end = time.monotonic() + 90
    while True:
        done = subprocess.run(
            [command, *words], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 0 or not check:
            return
        if time.monotonic() > end:
            sys.exit(f"RabbitMQ does not start:\n{done.stdout}{done.stderr}")
        time.sleep(1)


def _machine(pid: int) -> int:
    """The Erlang virtual machine among the processes of the start script."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return max(processes, key=lambda process: process.memory_info().rss).pid


@contextmanager
def ours() -> Iterator[Mapping[str, str]]:
    with served() as broker:
        yield {
            "URL": f"amqp://127.0.0.1:{broker.port}",
            "ADDRESS": QUEUE,
            "BROKER_USER": RULE,
            "BROKER_PASSWORD": broker.key,
            "BROKER": str(broker.pid),
        }


def rows(runs: int, count: int = COUNT, size: int = SIZE) -> list[Row]:
    """A line for each way of sending and receiving, with RabbitMQ's rate beside ours."""
    rates: list[dict[str, list[float]]] = [{}, {}]
    costs: list[dict[str, list[float]]] = [{}, {}]
    with ExitStack() as stack:
        brokers = [stack.enter_context(ours()), stack.enter_context(rabbit())]
        for _ in range(runs):
            for number, broker in enumerate(brokers):
                told = {**broker, "COUNT": str(count), "SIZE": str(size)}
                _, said = ended(python(PROTON), cwd=Path.cwd(), env=os.environ | told)
                for what, (messages, took, cpu) in json.loads(said).items():
                    rates[number].setdefault(what, []).append(messages / took)
                    costs[number].setdefault(what, []).append(cpu / messages * 1e6)
    return [
        *(_row(what, rates, "messages/s", "≥ 1") for what in rates[0]),
        *(_row(f"broker CPU a message, {what}", costs, "µs", key=what) for what in costs[0]),
    ]


def _row(
    what: str,
    found: Sequence[Mapping[str, list[float]]],
    unit: str,
    goal: str = "",
    key: str | None = None,
) -> Row:
    mine, other = (statistics.median(one[key or what]) for one in found)
    return Row(f"{what}, proton", mine, unit, "RabbitMQ's", other, goal)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.broker_others")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each (3)")
    runs = parser.parse_args().runs
    reason = missing()
    if reason is not None:
        sys.exit(f"No comparison with RabbitMQ: {reason}.")
    print(table(rows(runs)))


if __name__ == "__main__":
    main()
