"""Short executions through the process executor: `python -m tests.benchmarks.short_executions`.

How many a second from the first start to the last end, and how much of a processor the local cloud
takes for each, beside the same programs started by themselves. The cloud is a process of its own,
as `orchestrator local up` makes it; its programs' own time is not counted. Nothing is asserted but
that every execution succeeded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

import orchestrator
from tests.benchmarks.measuring import Row, ended, table
from tests.benchmarks.measuring import orchestrator as command

SETTINGS = """
[profiles.local]
kind = "local"
[images.short]
process = ["true"]
[jobs.short]
trigger = "manual"
image = "short"
"""
AT_ONCE = 8


def bare(count: int) -> float:
    """Executions a second of the program alone, as many at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: subprocess.run(["true"], check=True), range(count)))
    return count / (time.perf_counter() - began)


def own_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measured(folder: Path, count: int) -> list[Row]:
    pid = json.loads(ended(command("local", "status", "-o", "json"), cwd=folder)[1])["pid"]
    cloud = psutil.Process(pid)
    with orchestrator.connect(settings=folder / "orchestrator.toml") as orc:
        orc.start("short").wait(30)
        before, began = own_time(cloud), time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            names = {run.name for run in pool.map(lambda _: orc.start("short"), range(count))}
        started = time.perf_counter() - began
        while True:
            found = [e for e in orc.executions("short", history=False) if e.name in names]
            if all(e.finished for e in found) and len(found) == count:
                break
            time.sleep(0.2)
        took, used = time.perf_counter() - began, own_time(cloud) - before
        assert {e.status for e in found} == {"Succeeded"}, {e.status for e in found}
        within = max(e.end for e in found if e.end) - min(e.start for e in found if e.start)
    alone = bare(count)
    return [
        Row(f"{count} short executions", count / took, "executions/s", "the program alone", alone),
        Row("… by their own times", count / within.total_seconds(), "executions/s"),
        Row("… accepted", count / started, "executions/s"),
        Row("CPU of the local cloud for each", used / count, "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.short_executions")
    parser.add_argument("--count", type=int, default=500)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        (folder / "orchestrator.toml").write_text(SETTINGS, encoding="utf-8")
        ports = ("--port", "--identity-port", "--amqp-port", "--amqps-port")
        try:
            words = [word for port in ports for word in (port, "0")]
            ended(command("local", "up", *words), cwd=folder)
            ended(command("up"), cwd=folder)
            load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
            print(f"{psutil.cpu_count()} cores{load}\n")
            print(table(measured(folder, count)))
        finally:
            ended(command("local", "down"), cwd=folder)


if __name__ == "__main__":
    main()
