"""A project with small quick jobs, a local cloud that runs them, and an Orchestrator on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.azure.clients import Clients
from orchestrator.azure.profile import Profile, resolve
from orchestrator.client import Orchestrator
from orchestrator.settings import Settings, load
from tests.conftest import CloudInThread

# One program for all jobs: what it does is said by its variables.
PROGRAM = """
import os, signal, sys, time
get = os.environ.get
for n in range(int(get("LINES", "3"))):
    print(f"line {n} of {get('WORD', 'nothing')}", flush=True)
    time.sleep(float(get("PAUSE", "0")))
if get("COMPLAINT"):
    print(get("COMPLAINT"), file=sys.stderr, flush=True)
print("args", *sys.argv[1:], flush=True)
time.sleep(float(get("SLEEP", "0")))
sys.exit(int(get("EXIT", "0")))
"""

SETTINGS = """
[profiles.local]
kind = "local"
state = "state"

[queues.in]
lock_duration = "30s"
[queues.out]
duplicate_detection = "10m"

[images.talker]
process = ["{python}", "-S", "talker.py"]

[jobs.talker]
trigger = "manual"
image = "talker"
timeout = "60s"
[jobs.talker.env]
WORD = "talker"

[jobs.pair]
trigger = "manual"
image = "talker"
parallelism = 2
completions = 2
[jobs.pair.env]
WORD = "pair"

[jobs.nightly]
trigger = "schedule"
cron = "0 3 1 1 *"
image = "talker"

[jobs.drain]
trigger = "event"
image = "talker"
scale = { polling_interval = "3600s", rules = [{ name = "out", queue = "out" }] }
"""


def make_project(folder: Path, settings: str = SETTINGS) -> Path:
    """The project's files in `folder`; gives its settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "talker.py").write_text(PROGRAM)
    path = folder / "orchestrator.toml"
    path.write_text(settings)
    return path


class World:
    """A project, its cloud, an Orchestrator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = make_project(folder)
        self.cloud = CloudInThread(folder / "state", folder)
        self.orc = self.orchestrator()

    def settings(self, text: str | None = None) -> Settings:
        """The settings, or what they would be with another text."""
        if text is None:
            return load(self.path)
        other = self.folder / "other.toml"
        other.write_text(text)
        return load(other)

    def profile(self, settings: Settings | None = None) -> Profile:
        return resolve(settings or self.settings(), environ={})

    def orchestrator(self, text: str | None = None, **given: Any) -> Orchestrator:
        """An Orchestrator on this cloud; `given` as for `Clients` (transport, credential)."""
        settings = self.settings(text)
        profile = self.profile(settings)
        return Orchestrator(settings, profile, clients=Clients(profile, **given))

    def close(self) -> None:
        self.orc.close()
        self.cloud.stop()
