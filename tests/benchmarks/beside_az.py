"""The command beside `az`, which is installed into an environment of its own and kept there
(`python -m tests.benchmarks.beside_az AZ` measures this alone, with that `az`).

Both ask the same local cloud for the same executions. Each figure is a whole process: its time, and
the most memory it held (the kernel's count for a process that has ended).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.measuring import Row, orchestrator

EXECUTIONS = 90  # from 100 on ours asks the system log, too, for what Azure lists no more


def environment(folder: Path) -> Path | None:
    """The `az` of an environment in `folder`, made when there is none; None where that fails."""
    command = folder / ("Scripts" if os.name == "nt" else "bin") / "az"
    if command.exists():
        return command
    for words in (
        [sys.executable, "-m", "venv", str(folder)],
        [
            str(command.with_name("python")),
            *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "azure-cli"),
        ],
    ):
        if subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
            return None
    return command


class Turn:
    """A command that is run again and again: seconds and megabytes of each run."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> None:
        self.command, self.cwd, self.env = command, cwd, env
        self.seconds: list[float] = []
        self.megabytes: list[float] = []
        self.out = b""

    def run(self, *, count: bool) -> None:
        began = time.perf_counter()
        with subprocess.Popen(
            self.command,
            cwd=self.cwd,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout is not None
            self.out = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - began
        if process.returncode:
            sys.exit(f"{' '.join(self.command)} ended with {process.returncode}")
        if count:
            self.seconds.append(took)
            unit = 1 if sys.platform == "darwin" else 1024
            self.megabytes.append(usage.ru_maxrss * unit / 1e6)

    @property
    def median(self) -> tuple[float, float]:
        return statistics.median(self.seconds), statistics.median(self.megabytes)


def in_turns(pair: Sequence[Turn], runs: int) -> None:
    """Run them in turns, so that a busy moment hits both; the first of each is not counted."""
    for number in range(runs + 1):
        for turn in pair:
            turn.run(count=number > 0)


def rows(
    folder: Path, plain: Mapping[str, str], az: Path, read: Callable[..., str], runs: int
) -> list[Row]:
    """`folder`: a project whose cloud runs, with a job `sender`. `read`: runs the command there."""
    for _ in range(EXECUTIONS):
        read("start", "sender")
    exports = read("local", "env", "--az", "-o", "json")
    asked = {**plain, **json.loads(exports), "PATH": f"{az.parent}{os.pathsep}{plain['PATH']}"}
    ours = Turn(orchestrator("--help"), folder, plain)
    theirs = Turn([str(az), "containerapp", "job", "-h"], folder, asked)
    in_turns([ours, theirs], runs)
    list_ours = Turn(
        orchestrator("executions", "list", "--job", "sender", "-o", "json"), folder, plain
    )
    words = ("containerapp", "job", "execution", "list", "--name", "sender")
    list_theirs = Turn([str(az), *words, "--resource-group", "local"], folder, asked)
    in_turns([list_ours, list_theirs], runs)
    same = sorted(e["name"] for e in json.loads(list_ours.out))
    if same != sorted(e["name"] for e in json.loads(list_theirs.out)):
        sys.exit("executions list and az containerapp job execution list differ")
    completing = Turn(
        orchestrator(),
        folder,
        {
            **plain,
            "_ORCHESTRATOR_COMPLETE": "bash_complete",
            "COMP_WORDS": "orchestrator executions show s",
            "COMP_CWORD": "3",
        },
    )
    in_turns([completing], runs)
    return [
        Row(
            "orchestrator --help",
            *(ours.median[0], "s", "az containerapp job -h", theirs.median[0]),
            goal="≤ 0.125",
        ),
        Row(
            "executions list",
            *(list_ours.median[0], "s", "az … job execution list", list_theirs.median[0]),
            goal="≤ 0.4",
        ),
        Row(
            "executions list, memory",
            *(list_ours.median[1], "MB", "az … job execution list", list_theirs.median[1]),
            goal="≤ 0.5",
        ),
        Row("completing an execution's name", completing.median[0], "s", goal="< 150 ms"),
    ]


if __name__ == "__main__":
    from tests.benchmarks.__main__ import world
    from tests.benchmarks.measuring import table

    if len(sys.argv) != 2:
        sys.exit("Say where az is: python -m tests.benchmarks.beside_az PATH/bin/az")
    with world() as here:
        here.up(fresh=True)
        here.make()
        print(table(rows(here.folder, here.plain, Path(sys.argv[1]), here.read, 7)))
