"""Measure, and print one table: `make bench`, or `python -m tests.benchmarks [--runs N]`.

Medians of whole processes, each beside what it is built on, both in the same run and taken in
turns. Nothing is asserted: a figure depends on the machine, a ratio much less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.benchmarks import bare, beside_az, broker_cpu, broker_depth, broker_others
from tests.benchmarks.measuring import (
    Row,
    ended,
    first_line,
    interleaved,
    orchestrator,
    python,
    shown,
    table,
)

ROOT = Path(__file__).resolve().parents[2]
COUNT = 10_000
PORTS = [f"--{name}" for name in ("port", "identity-port", "amqp-port", "amqps-port")]

# All three are started by hand here: cron and scaler would take the messages that are measured.
SETTINGS = """
[profiles.local]
kind = "local"
[queues.parameters]
lock_duration = "5m"
[queues.results]
lock_duration = "5m"
duplicate_detection = "10m"
[images.sender]
process = ["{python}", "jobs/sender.py"]
[jobs.sender]
trigger = "manual"
image = "sender"
[jobs.sender.env]
FULLY_QUALIFIED_NAMESPACE = "${servicebus}"
INPUT_QUEUE_NAME = "parameters"
AZURE_CLIENT_ID = "${identity.client_id}"
MESSAGE_COUNT = "1"
"""


class World:
    """A project folder with a local cloud of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "orchestrator.toml").write_text(SETTINGS, encoding="utf-8")
        shutil.copytree(
            ROOT / "jobs", folder / "jobs", ignore=shutil.ignore_patterns("__pycache__")
        )
        self.plain = {
            name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR")
        }
        # A tree that keeps no bytecode is compiled at each start, what pip installed is not.
        self.plain.pop("PYTHONDONTWRITEBYTECODE", None)
        self.plain["NO_COLOR"] = "1"

    def run(self, *arguments: str) -> float:
        return ended(orchestrator(*arguments), cwd=self.folder, env=self.plain)[0]

    def read(self, *arguments: str) -> str:
        return ended(orchestrator(*arguments), cwd=self.folder, env=self.plain)[1]

    def up(self, *, fresh: bool) -> float:
        """Seconds from the command to a local cloud that answers."""
        self.run("local", *(("reset", "--yes") if fresh else ("down",)))
        ports = [word for name in PORTS for word in (name, "0")] if fresh else []
        return self.run("local", "up", *ports)

    def make(self) -> None:
        """Deploy, and put together what a payload is told when it is run by itself."""
        self.run("up")
        cloud = json.loads(self.read("local", "env", "-o", "json"))
        self.client = self.plain | cloud
        deployed = json.loads(self.read("jobs", "show", "sender", "-o", "json"))
        variables = deployed["properties"]["template"]["containers"][0]["env"]
        told = {variable["name"]: variable["value"] for variable in variables}
        self.payload = self.client | told
        self.payload |= {"OUTPUT_QUEUE_NAME": "results", "MAX_WAIT_TIME": "1"}
        self.payload |= {"MAX_MESSAGE_COUNT": str(10**9), "PYTHONUNBUFFERED": "1"}

    def job(self, name: str, **variables: str) -> tuple[float, str]:
        """Run a payload by itself."""
        program = [sys.executable, str(self.folder / "jobs" / f"{name}.py")]
        return ended(program, cwd=self.folder, env=self.payload | variables)

    def program(self, code: str, **variables: str) -> str:
        return ended(python(code), cwd=self.folder, env=self.payload | variables)[1]


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        made = World(Path(folder))
        try:
            yield made
        finally:
            made.run("local", "down")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------------- what is measured


def help_page(here: World, runs: int) -> list[Row]:
    command, click = interleaved(
        [
            lambda: here.run("--help"),
            lambda: ended(python("import click"), cwd=here.folder)[0],
        ],
        runs,
    )
    return [Row("orchestrator --help", command, "s", "python, import click", click)]


def start_up(here: World, runs: int) -> list[Row]:
    fresh = statistics.median(here.up(fresh=True) for _ in range(runs))
    again = statistics.median(here.up(fresh=False) for _ in range(runs))
    return [
        Row("local up to ready, first start", fresh, "s", goal="< 1 s"),
        Row("local up to ready, existing state", again, "s", goal="< 1 s"),
    ]


def memory(here: World, runs: int) -> list[Row]:
    """Once idle after its start, and once more after all that was done with it."""
    time.sleep(2)
    return [Row("local cloud, resident memory, idle", resident(here), "MB", goal="< 150 MB")]


def az(here: World, runs: int) -> list[Row]:
    """Installs `az` first, where there is none yet."""
    command = beside_az.environment(ROOT / "build" / "az")
    if command is None:
        say("  azure-cli could not be installed: nothing to compare with")
        return []
    return beside_az.rows(here.folder, here.plain, command, here.read, runs)


def memory_after(here: World, runs: int) -> list[Row]:
    here.run("query", "ContainerAppConsoleLogs_CL | summarize count() by Stream_s")
    time.sleep(2)
    return [Row("… after all of the above and a query", resident(here), "MB")]


def resident(here: World) -> float:
    pid = json.loads(here.read("local", "status", "-o", "json"))["pid"]
    return float(psutil.Process(pid).memory_info().rss / 1e6)


def listing(here: World, runs: int) -> list[Row]:
    for _ in range(3):
        here.run("start", "sender", "--wait")
    command, imports, whole = interleaved(
        [
            lambda: here.run("executions", "list"),
            lambda: ended(python(bare.IMPORTS), cwd=here.folder, env=here.client)[0],
            lambda: ended(python(bare.EXECUTIONS), cwd=here.folder, env=here.client)[0],
        ],
        runs,
    )
    return [
        Row("executions list", command, "s", "the bare SDK's import alone", imports),
        Row("executions list", command, "s", "a bare-SDK script doing the same", whole),
    ]


def following(here: World, runs: int) -> list[Row]:
    payload = [sys.executable, str(here.folder / "jobs" / "sender.py")]
    command, alone = interleaved(
        [
            lambda: first_line(
                orchestrator("start", "sender", "--follow"), cwd=here.folder, env=here.plain
            )[0],
            lambda: first_line(payload, cwd=here.folder, env=here.payload)[0],
        ],
        runs,
    )
    return [
        Row("start --follow to first line", command, "s", "the payload alone to it", alone),
        Row("… beyond the payload's own time", command - alone, "s"),
    ]


def throughput(here: World, runs: int) -> list[Row]:
    """Messages a second, start and idle wait of the process taken off."""
    count = str(COUNT)
    idle = {name: here.job(name, MESSAGE_COUNT="0")[0] for name in ("sender", "processor")}
    idle["receiver"] = here.job("receiver")[0]
    rates: dict[str, float] = {}
    for name in ("sender", "processor", "receiver"):
        took, _ = here.job(name, MESSAGE_COUNT=count)
        rates[name] = COUNT / (took - idle[name])
    bare_sending = COUNT / float(here.program(bare.SEND, MESSAGE_COUNT=count))
    bare_processing = COUNT / float(here.program(bare.PROCESS, MESSAGE_COUNT=count))
    here.job("receiver")
    return [
        Row("sender", rates["sender"], "messages/s", "bare SDK, no ids, no lines", bare_sending),
        Row("processor", rates["processor"], "messages/s", "bare SDK, likewise", bare_processing),
        Row("receiver", rates["receiver"], "messages/s"),
    ]


def broker(runs: int) -> tuple[list[Row], str]:
    """What the broker alone costs; and a word on what could not be measured."""
    few = min(runs, 3)
    say("measuring the broker's CPU beside its client's …")
    rows = broker_cpu.rows(few)
    say(f"measuring a queue of {broker_depth.DEPTH:,} messages …")
    rows += broker_depth.rows()
    reason = broker_others.missing()
    if reason is not None:
        return rows, f"No comparison with RabbitMQ: {reason}."
    say("measuring RabbitMQ beside the broker …")
    return rows + broker_others.rows(few), ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="measurements of each (7)")
    runs = parser.parse_args().runs
    rows: list[Row] = []
    steps: list[tuple[str, Callable[[World, int], list[Row]]]] = [
        ("the help page", help_page),
        ("starting the local cloud", start_up),
        ("its memory", memory),
        ("listing executions", listing),
        ("following", following),
        (f"{COUNT:,} messages through the payloads", throughput),
        ("the same commands of az", az),
        ("its memory again", memory_after),
    ]
    with world() as here:
        for name, step in steps:
            say(f"measuring {name} …")
            if step is memory:
                here.make()
            began = time.perf_counter()
            rows += step(here, runs)
            say(f"  {shown(time.perf_counter() - began, 's')}")
    of_broker, note = broker(runs)
    machine = f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores"
    load = "" if sys.platform == "win32" else f", load {os.getloadavg()[0]:.1f}"
    print(f"Python {platform.python_version()}, {machine}{load}; medians of {runs} runs\n")
    print(table(rows + of_broker))
    if note:
        print(f"\n{note}")


if __name__ == "__main__":
    main()
