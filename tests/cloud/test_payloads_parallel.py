"""The sample jobs with more than one replica side by side, run as a user's own project."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.azure.clients import Clients
from orchestrator.azure.profile import resolve
from orchestrator.client import Orchestrator
from orchestrator.settings import load
from tests.conftest import CloudInThread

ROOT = Path(__file__).resolve().parents[2]
REPLICAS, EACH = 3, 40


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudInThread]:
    """A cloud of the test's own, whose project is the sample's with a parallel sender."""
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    text = (ROOT / "orchestrator.toml").read_text("utf-8")
    for before, after in (
        (
            "[jobs.sender]\n",
            f"[jobs.sender]\nparallelism = {REPLICAS}\ncompletions = {REPLICAS}\n",
        ),
        ('MESSAGE_ID_SCOPE = "execution"', 'MESSAGE_ID_SCOPE = "replica"'),
        ('cron = "* * * * *"', 'cron = "0 0 1 1 *"'),
        ('kind = "local"', 'kind = "local"\nstate = "state"'),
    ):
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "orchestrator.toml").write_text(text, "utf-8")
    running = CloudInThread(tmp_path / "state", tmp_path)
    yield running
    running.stop()


def test_replicas_side_by_side_lose_nothing_to_duplicate_detection(cloud: CloudInThread) -> None:
    assert cloud.project is not None
    settings = load(cloud.project / "orchestrator.toml")
    profile = resolve(settings, environ={})
    orc = Orchestrator(settings, profile, clients=Clients(profile))
    orc.up()

    def ids(job: str, line: str) -> list[str]:
        texts = "\n".join(one.text for one in orc.logs(job))
        return re.findall(rf"^\[\d+\] {line} (\S+):", texts, re.MULTILINE)

    sending = orc.start("sender", env={"MESSAGE_COUNT": str(EACH)}).wait(60)
    assert sending.succeeded
    sent = ids("sender", "Sent message")
    assert len(sent) == len(set(sent)) == REPLICAS * EACH
    assert orc.start("processor", env={"MAX_WAIT_TIME": "1"}).wait(60).succeeded
    cloud.until(lambda: len(set(ids("receiver", "Received result"))) == len(sent), timeout=60)
    assert set(ids("receiver", "Received result")) == {f"{one}-result" for one in sent}
    orc.close()
