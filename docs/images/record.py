"""Make the pictures of the README from the real thing: `python docs/images/record.py`.

Two terminal sessions and a day's timeline, each of commands that run here and now on local clouds
in temporary folders. It takes some minutes, for the day passes at 600 times its pace. Needs
`pip install pyte`, which is a terminal to draw, and a system with pseudo-terminals.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyte

import orchestrator

FOLDER = Path(__file__).resolve().parent
# The command of this interpreter's environment goes by its name alone, also in what it suggests.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
COMMAND = ["orchestrator"]
COLUMNS = 88

# ------------------------------------------------------------------------------- the sessions


@dataclass(frozen=True)
class Run:
    """A span of text in one style. `style`: the classes of the drawing, such as "dim bold"."""

    column: int
    text: str
    style: str


@dataclass(frozen=True)
class Step:
    """A command as it was typed, and the lines that it left on the terminal."""

    typed: str
    lines: list[list[Run]]


def in_terminal(arguments: list[str], folder: Path) -> list[list[Run]]:
    """Run the command in a pseudo-terminal; what is on its screen when it has ended."""
    screen = pyte.Screen(COLUMNS, 120)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True,
    )  # fmt: skip
    os.close(slave)
    with os.fdopen(master, "rb", buffering=0) as output:
        while True:
            try:
                data = output.read(65536)
            except OSError:  # Linux says so that the other side is closed
                break
            if not data:
                break
            # pyte knows no faint text; bright black is as good.
            stream.feed(data.replace(b"\x1b[2m", b"\x1b[90m"))
    process.wait()
    lines = [list(runs_of(screen, row)) for row in range(screen.lines)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def runs_of(screen: pyte.Screen, row: int) -> Iterator[Run]:
    cells = [screen.buffer[row][column] for column in range(screen.columns)]
    column = 0
    for style, group in groupby(cells, key=style_of):
        text = "".join(cell.data for cell in group)
        if text.strip():
            yield Run(column + len(text) - len(text.lstrip()), text.strip(" "), style)
        column += len(text)


def style_of(cell: pyte.screens.Char) -> str:
    colour = {"default": "", "brightblack": "dim"}.get(cell.fg, cell.fg)
    return " ".join(word for word in (colour, "bold" if cell.bold else "") if word)


def record(folder: Path, *commands: str) -> list[Step]:
    return [
        Step(f"orchestrator {command}", in_terminal(command.split(), folder))
        for command in commands
    ]


def quietly(folder: Path, *arguments: str) -> None:
    subprocess.run([*COMMAND, *arguments], cwd=folder, check=False, stdout=subprocess.DEVNULL)


@contextmanager
def project() -> Iterator[Path]:
    """The sample, deployed on a local cloud of its own."""
    with tempfile.TemporaryDirectory(prefix="fibonacci-") as name:
        folder = Path(name)
        quietly(folder, "init")
        try:
            quietly(folder, "up")
            yield folder
        finally:
            quietly(folder, "down")


# -------------------------------------------------------------------------------- the drawing

# The colours of message-flow.svg, by day and by night.
STYLE = """
    .page { fill: #fbfcfd; stroke: #d9dfe6; }
    .dot { fill: #d9dfe6; }
    text { fill: #2b3642; font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas,
      'DejaVu Sans Mono', monospace; white-space: pre; }
    .dim { fill: #6b7785; }
    .bold { font-weight: 600; }
    .prompt { fill: #5b87bd; }
    .typed { fill: #1f2933; font-weight: 600; }
    .green { fill: #2b7a4b; }
    .cyan { fill: #1f6f8b; }
    .blue { fill: #3465a4; }
    .brown, .yellow { fill: #8a6116; }
    .red { fill: #b3382c; }
    .magenta { fill: #8a4f9e; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #161b22; stroke: #30363d; }
      .dot { fill: #30363d; }
      text { fill: #d5dce4; }
      .dim { fill: #8b96a3; }
      .prompt { fill: #6f9dd6; }
      .typed { fill: #eef2f6; }
      .green { fill: #7cc596; }
      .cyan { fill: #7cc4dc; }
      .blue { fill: #86aee8; }
      .brown, .yellow { fill: #d9b36a; }
      .red { fill: #f0877b; }
      .magenta { fill: #cf9fe0; }
    }
    .later { animation: away 0s 0.6s; }
    @keyframes away { from, to { opacity: 0; } }
    @media (prefers-reduced-motion: reduce) { .later { animation: none; } }
"""
ADVANCE, LINE, LEFT, TOP = 8.43, 21, 28, 62


def drawing(title: str, steps: list[Step]) -> str:
    """The steps as an SVG: all of them at first, for who sees but one moment of it; then they go
    and appear one after the other, once, and stay."""
    body: list[str] = []
    row, delay = 0, 0.4
    for step in steps:
        prompt = [Run(0, "$", "prompt"), Run(2, step.typed, "typed")]
        for number, line in enumerate([prompt, *step.lines]):
            if line:
                body.append(drawn_line(line, row, delay))
            row += 1
            delay += 0.9 if number == 0 else 0.12
        row += 1
        delay += 1.2
    width = round(2 * LEFT + COLUMNS * ADVANCE)
    height = TOP + (row - 1) * LINE + 4
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
width="{width}" height="{height}" role="img" aria-labelledby="title">
  <title id="title">{escape(title)}</title>
  <style>{STYLE}  </style>
  <rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="14"/>
  <circle class="dot" cx="{LEFT + 4}" cy="24" r="5"/>
  <circle class="dot" cx="{LEFT + 22}" cy="24" r="5"/>
  <circle class="dot" cx="{LEFT + 40}" cy="24" r="5"/>
{chr(10).join(body)}
</svg>
"""


def drawn_line(line: list[Run], row: int, delay: float) -> str:
    # Each word lies where it lay in the terminal, whatever the reader's font is as wide as.
    words = [
        f'<text x="{LEFT + (run.column + word.start()) * ADVANCE:.1f}" y="{TOP + row * LINE}"'
        f' textLength="{len(word[0]) * ADVANCE:.1f}" lengthAdjust="spacingAndGlyphs"'
        f' class="{run.style}">{escape(word[0])}</text>'
        for run in line
        for word in re.finditer(r"\S+(?: \S+)*", run.text)
    ]
    return f'  <g class="later" style="animation-duration:{delay:.2f}s">{"".join(words)}</g>'


def write(name: str, text: str) -> None:
    (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"written: docs/images/{name}\n")


# ------------------------------------------------------------------------------- the pictures


def sessions() -> None:
    with project() as folder:
        started = record(folder, "start sender --env MESSAGE_COUNT=5 --follow")
        with orchestrator.connect(settings=folder / "orchestrator.toml") as orc:
            until(lambda: orc.executions("receiver", status="Succeeded"))
        steps = [*started, *record(folder, "status")]
        write("session.svg", drawing("A job is started and followed; then the status", steps))
        settings = folder / "orchestrator.toml"
        text = settings.read_text(encoding="utf-8")
        text = text.replace('cron = "* * * * *"', 'cron = "*/5 * * * *"', 1)
        text = text.replace("cpu = 0.25", "cpu = 0.5", 1).replace('"0.5Gi"', '"1Gi"', 1)
        settings.write_text(text, encoding="utf-8")
        planned = record(folder, "plan")
        quietly(folder, "deploy")
        quietly(folder, "start", "sender", "--env", "MAX_NUMBER=many", "--wait")
        steps = [*planned, *record(folder, "doctor", "executions show sender@latest")]
        title = "What a deployment would change; what is wrong, and why"
        write("on-call.svg", drawing(title, steps))


RATE = 600

# A program that works for a while; how long, and whether it succeeds, comes from its own name.
WORK = """
import os, random, sys, time

random.seed(os.environ["CONTAINER_APP_JOB_EXECUTION_NAME"])
shortest, longest, failures = map(float, sys.argv[1:])
time.sleep(random.uniform(shortest, longest))
sys.exit(random.random() < failures)
"""
DAY = """
[profiles.local]
kind = "local"
port = 0
identity_port = 0
amqp_port = 0
amqps_port = 0

[images.work]
process = ["{python}", "-S", "work.py"]

[jobs.import]
trigger = "schedule"
cron = "0 * * * *"
image = "work"
args = ["1", "3", "0.15"]
timeout = "6h"

[jobs.report]
trigger = "schedule"
cron = "0 2,14 * * *"
image = "work"
args = ["8", "9", "0"]
timeout = "6h"

[jobs.orders]
trigger = "event"
image = "work"
args = ["1", "5", "0"]
timeout = "6h"

[jobs.orders.scale]
polling_interval = "10m"
max_executions = 3

[[jobs.orders.scale.rules]]
name = "waiting"
queue = "orders"
message_count = 1

[queues.orders]
"""


def timeline() -> None:
    """A day of three jobs, in two minutes and a half: real executions on a clock that runs fast."""
    with tempfile.TemporaryDirectory(prefix="day-") as name:
        folder = Path(name)
        (folder / "work.py").write_text(WORK, encoding="utf-8")
        settings = folder / "orchestrator.toml"
        settings.write_text(DAY, encoding="utf-8")
        with orchestrator.local_cloud(folder / "cloud", settings=settings) as orc:
            clock = partial(in_time, folder / "cloud")

            def wait_for(when: datetime) -> None:
                until(lambda: moment(clock("show")) >= when)

            begin = moment(clock("show"))
            midnight = (begin + timedelta(days=1)).replace(hour=0, minute=0, second=0)
            clock("freeze")
            clock("advance", f"{int((midnight - begin).total_seconds())}s")
            clock("rate", str(RATE))
            orders = orc.queues["orders"]
            for hour in range(24):
                if 8 <= hour < 20:
                    orders.send(*["order"] * (1 + hour % 3))
                half = midnight + timedelta(hours=hour, minutes=30)
                wait_for(half)
                orders.purge()
                wait_for(half + timedelta(minutes=25))
            clock("freeze")
            executions = orc.executions(since=midnight)
            executions.plot(path=folder / "timeline.svg")
            write("timeline.svg", by_night((folder / "timeline.svg").read_text(encoding="utf-8")))


# matplotlib draws for white paper, with each colour where it is used.
NIGHT = """<style>
    @media (prefers-color-scheme: dark) {
      [style*="fill: #ffffff"] { fill: #161b22 !important; }
      [style*="fill: #222222"] { fill: #d5dce4 !important; }
      g[id^="text"] { fill: #d5dce4; }
      [style*="fill: #666666"] { fill: #9aa6b2 !important; }
      [style*="stroke: #e6e6e6"] { stroke: #30363d !important; }
      [style*="stroke: #000000"] { stroke: #8b96a3 !important; }
    }
  </style>"""


def by_night(picture: str) -> str:
    """A drawing of matplotlib that has a dark face as well; without the date of its making."""
    picture = re.sub(r"<metadata>.*?</metadata>", "", picture, flags=re.DOTALL)
    return picture.replace("<defs>", f"{NIGHT}\n <defs>", 1)


def in_time(cloud: Path, *arguments: str) -> dict[str, Any]:
    command = [*COMMAND, "local", "clock", *arguments, "--state", str(cloud), "-o", "json"]
    answer: dict[str, Any] = json.loads(subprocess.check_output(command))
    return answer


def moment(clock: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(clock["time"])


def until(test: Callable[[], object]) -> None:
    while not test():
        time.sleep(0.2)


def main() -> None:
    chosen = sys.argv[1:] or ["sessions", "timeline"]
    for name in chosen:
        {"sessions": sessions, "timeline": timeline}[name]()


if __name__ == "__main__":
    main()
