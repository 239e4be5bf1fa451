"""Timing of whole processes, and the table in which it is told."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, and what it stands beside."""

    what: str
    value: float
    unit: str
    beside: str = ""
    other: float | None = None
    goal: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.other if self.other else None


def orchestrator(*arguments: str) -> list[str]:
    """The command line of the installed command, in this interpreter's environment."""
    command = Path(sys.executable).with_name("orchestrator")
    return [str(command if command.exists() else command.with_suffix(".exe")), *arguments]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def ended(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[float, str]:
    """Seconds until a process has ended, and what it wrote; exits when it failed."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return took, done.stdout


def first_line(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[float, str]:
    """Seconds until a process has written its first line, and that line; waits for its end."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
        process.stdout.read()
    return took, line.rstrip()


def median(measure: Callable[[], float], runs: int) -> float:
    """The median of `runs` measurements, after one that warms the caches and is not counted."""
    measure()
    return statistics.median(measure() for _ in range(runs))


def interleaved(measures: Sequence[Callable[[], float]], runs: int) -> list[float]:
    """Medians of several measurements taken in turns, so that a busy moment hits all of them."""
    for measure in measures:
        measure()
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(runs):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
    return [statistics.median(values) for values in taken]


def shown(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:,.0f} ms" if value < 10 else f"{value:,.1f} s"
    if unit == "MB":
        return f"{value:,.0f} MB"
    if unit == "ms":
        return f"{value:.2f} ms"
    return f"{value:,.0f} {unit}"


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    cells = [("measured", "value", "beside", "", "ratio", "goal")]
    for row in rows:
        other = "" if row.other is None else shown(row.other, row.unit)
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        cells.append((row.what, shown(row.value, row.unit), row.beside, other, ratio, row.goal))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    right = {1, 3, 4}
    lines = []
    for number, line in enumerate(cells):
        parts = [
            text.rjust(width) if column in right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
        if number == 0:
            lines.append("  ".join("─" * width for width in widths))
    return "\n".join(lines)
