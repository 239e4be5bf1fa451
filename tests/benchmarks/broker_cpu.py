"""What a message costs the broker, beside what it costs its client:
`python -m tests.benchmarks.broker_cpu`.

Both are CPU times of whole processes, all threads, over the same messages. Nothing is asserted.
Of the broker's, the part in the kernel is told apart: it is what the disk and the network cost.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import broker_clients
from tests.benchmarks.bare_exchange import exchange
from tests.benchmarks.broker_process import QUEUE, RULE
from tests.benchmarks.measuring import Row, ended, python, table

COUNT = 5_000
SIZE = 200
PROGRAMS = (broker_clients.SYNC, broker_clients.AIO)
COMPLETE_EACH = "receive 100, complete each"


class Served(NamedTuple):
    """A running broker: how to reach it, and which process it is."""

    port: int
    key: str
    pid: int

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName={RULE};"
            f"SharedAccessKey={self.key};UseDevelopmentEmulator=true"
        )


@contextmanager
def served() -> Iterator[Served]:
    """A broker on the SQLite store in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        command = [sys.executable, "-m", "tests.benchmarks.broker_process", folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Served(said["port"], said["key"], process.pid)
            process.communicate()


class Weight(NamedTuple):
    """CPU of one message, microseconds, and messages a second."""

    client: float
    own: float
    kernel: float
    rate: float

    @property
    def broker(self) -> float:
        """All of the broker's: its own code and the kernel for it."""
        return self.own + self.kernel


def weigh(runs: int, count: int = COUNT, size: int = SIZE) -> Mapping[str, Weight]:
    """Medians of `runs` runs of every program, on one broker."""
    found: dict[str, list[Weight]] = {}
    with served() as broker:
        told = {
            "CONNECTION_STRING": broker.connection_string,
            "BROKER": str(broker.pid),
            "QUEUE": QUEUE,
            "COUNT": str(count),
            "SIZE": str(size),
        }
        for _ in range(runs):
            for program in PROGRAMS:
                _, said = ended(python(program), cwd=Path.cwd(), env=os.environ | told)
                for what, (messages, *seconds, took) in json.loads(said).items():
                    each = (taken / messages * 1e6 for taken in seconds)
                    weight = Weight(*each, messages / took)
                    found.setdefault(what, []).append(weight)
    return {what: _median(weights) for what, weights in found.items()}


def _median(weights: list[Weight]) -> Weight:
    return Weight(*(statistics.median(column) for column in zip(*weights, strict=True)))


def rows(runs: int) -> list[Row]:
    """Two lines for each way to send or to receive: all that the broker uses, and its own code."""
    lines = []
    weights = weigh(runs)
    for what, weight in weights.items():
        goal = "≤ 0.15" if "send" in what else "≤ 0.50"
        name = f"broker CPU a message, {what}"
        lines.append(Row(name, weight.broker, "µs", "the client's", weight.client, goal))
        lines.append(Row("  without the kernel's", weight.own, "µs", "", weight.client))
    each = weights[COMPLETE_EACH].client
    bare = statistics.median(exchange(each / 1e6) for _ in range(runs))
    lines.append(Row("an exchange with a bare asyncio server", bare, "µs", "its client's", each))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.broker_cpu")
    parser.add_argument("--runs", type=int, default=3, help="measurements of each (3)")
    print(table(rows(parser.parse_args().runs)))


if __name__ == "__main__":
    main()
