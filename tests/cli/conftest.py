"""The command against a real local cloud: a small project of its own, started once for all."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.cli.app import run
from orchestrator.localcloud import process
from orchestrator.localcloud.config import CloudConfig

COMMAND = [sys.executable, "-m", "orchestrator"]
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

SETTINGS = """
default_profile = "local"

[profiles.local]
kind = "local"

[profiles.azure]
kind = "azure"
subscription = "11111111-1111-1111-1111-111111111111"
resource_group = "rg"
environment = "env"

[queues.work]
lock_duration = "5m"

[images.talker]
process = ["{python}", "talker.py"]

[jobs.talker]
trigger = "manual"
image = "talker"
timeout = "30s"
[jobs.talker.env]
LINES = "2"
STATUS = "0"
SECONDS = "0"

[jobs.sleeper]
trigger = "manual"
image = "talker"
timeout = "2s"
[jobs.sleeper.env]
SECONDS = "60"

[jobs.twins]
trigger = "manual"
image = "talker"
parallelism = 2
completions = 2
timeout = "30s"

[jobs.yearly]
trigger = "schedule"
cron = "0 0 1 1 *"
image = "talker"

[jobs.ghost]
trigger = "manual"
image = "no-such-image"
"""

TALKER = """
import os, sys, time
for n in range(1, int(os.environ.get("LINES", "1")) + 1):
    print(f"line {n} args={sys.argv[1:]} greeting={os.environ.get('GREETING', '')}", flush=True)
if int(os.environ.get("STATUS", "0")):
    print("about to fail", file=sys.stderr, flush=True)
time.sleep(float(os.environ.get("SECONDS", "0")))
sys.exit(int(os.environ.get("STATUS", "0")))
"""


@dataclass(frozen=True)
class Result:
    """What a command did: exit status, stdout, stderr."""

    status: int
    out: str
    err: str


class Cli:
    """Calls the command in a project folder: in this process (fast), or as one of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        # As a real stream has it, a buffer below the text.
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
        err = io.StringIO()
        before_folder, before_stdin = Path.cwd(), sys.stdin
        os.chdir(self.folder)
        sys.stdin = io.StringIO(stdin)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = run(list(arguments))
        finally:
            os.chdir(before_folder)
            sys.stdin = before_stdin
        out.flush()
        return Result(status, out.buffer.getvalue().decode(), err.getvalue())  # type: ignore[attr-defined]

    def start(self, *arguments: str, **more: object) -> subprocess.Popen[str]:
        """The command as a process, its streams piped."""
        options = {
            "cwd": self.folder,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            **more,
        }
        return subprocess.Popen([*COMMAND, *arguments], **options)  # type: ignore[call-overload]

    def spawn(self, *arguments: str, **more: object) -> Result:
        """Run it as a process to its end."""
        running = self.start(*arguments, **more)
        out, err = running.communicate(timeout=90)
        return Result(running.returncode, out or "", err or "")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's shell reaches a test, and no name that it has completed."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    for name in list(os.environ):
        if name.startswith("ORCHESTRATOR_") or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)


@pytest.fixture
def bare(tmp_path: Path) -> Cli:
    """A project whose local cloud does not run."""
    (tmp_path / "orchestrator.toml").write_text(SETTINGS)
    return Cli(tmp_path)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose local cloud runs, its jobs deployed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "orchestrator.toml").write_text(SETTINGS)
    (folder / "talker.py").write_text(TALKER)
    state = folder / ".orchestrator" / "local"
    process.up(CloudConfig(state, folder, port=0, identity_port=0, amqp_port=0, amqps_port=0))
    try:
        up = Cli(folder).spawn("up")
        assert up.status == 0, up.err
        yield folder
    finally:
        process.reset(state)


@pytest.fixture
def cli(project: Path) -> Cli:
    """The command in that project."""
    return Cli(project)
