"""A running server whose state is taken away under it, as a user or a tidy-up script would."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.localcloud.process import down, status, up
from tests.faults.cloud_process import config

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="there, a folder in use cannot be taken away"
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "state"
    yield path
    down(path)
    down(path.with_name("elsewhere"))


def until(test: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while not (value := test()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return value


def test_a_connection_file_that_is_removed_comes_back(state: Path) -> None:
    connection = up(config(state))
    (state / "cloud.json").unlink()
    found = status(state)
    assert (found.state, found.pid) in {
        ("starting", connection["pid"]),
        ("running", connection["pid"]),
    }
    assert up(config(state)) == connection
    until(lambda: status(state).state == "running")
    assert json.loads((state / "cloud.json").read_text()) == connection


def test_down_ends_a_server_whose_connection_file_is_gone_and_that_answers_nothing(
    state: Path,
) -> None:
    connection = up(config(state))
    server = psutil.Process(connection["pid"])
    server.suspend()
    (state / "cloud.json").unlink()
    assert status(state).pid == connection["pid"]
    assert down(state, timeout=0.5) is True
    assert status(state).state == "stopped"


# A folder that is its program's own to write to: what it makes there has its user's umask.
REPLICA = "import time\nopen('made', 'w').close()\nprint('here', flush=True)\ntime.sleep(600)\n"


def start_replica(state: Path, project: Path) -> tuple[psutil.Process, psutil.Process]:
    """A server whose job has written a line and sleeps; gives (server, replica)."""
    from orchestrator.azure.profile import resolve
    from orchestrator.client import Orchestrator
    from orchestrator.settings import load

    project.mkdir()
    (project / "sleep.py").write_text(REPLICA)
    (project / "orchestrator.toml").write_text(
        f'[profiles.local]\nkind = "local"\nstate = {str(state)!r}\n'
        '[images.sleeper]\nprocess = ["{python}", "-S", "sleep.py"]\n'
        '[jobs.sleeper]\ntrigger = "manual"\nimage = "sleeper"\n'
    )
    connection = up(config(state, project=project))
    server = psutil.Process(connection["pid"])
    settings = load(project / "orchestrator.toml")
    orc = Orchestrator(settings, resolve(settings, environ={}))
    orc.up()
    orc.start("sleeper")
    (replica,) = until(lambda: server.children())
    until(lambda: list(orc.logs("sleeper")))
    orc.close()
    return server, replica


@pytest.mark.parametrize("taken", ["removed", "moved", "replaced"])
def test_a_server_without_its_folder_ends_and_so_do_its_replicas(
    state: Path, tmp_path: Path, taken: str
) -> None:
    server, replica = start_replica(state, tmp_path / "project")

    log = (state / "server.log").open()
    if taken == "removed":
        shutil.rmtree(state)
    else:
        state.rename(state.with_name("elsewhere"))
    successor = up(config(state)) if taken == "replaced" else None

    server.wait(40)
    until(lambda: not replica.is_running() or replica.status() == psutil.STATUS_ZOMBIE)
    told = log.read()
    log.close()
    # A successor makes the folder some time before it takes the lock.
    assert re.search(rf"The (state folder {re.escape(str(state))}|file \S+/lock) was ", told)
    assert "Stopping, with all replicas." in told
    assert "Traceback" not in told
    if successor is None:
        assert not state.exists(), "nothing was made anew"
        assert status(state).state == "stopped"
    else:
        found = status(state)
        assert (found.state, found.pid) == ("running", successor["pid"])
        assert found.connection == successor


def test_every_file_of_the_state_is_its_users_alone_and_a_jobs_files_are_the_jobs(
    state: Path, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        _, replica = start_replica(state, tmp_path / "project")
    finally:
        os.umask(before)
    # What is written while it runs, not only what is left.
    until(lambda: (state / "logs.duckdb.wal").exists())
    for name in ("arm.sqlite-wal", "broker.sqlite-wal", "runtime.sqlite-wal", "server.log"):
        assert (state / name).exists()
    wrong = {
        str(path.relative_to(state)): oct(mode)
        for path in (state, *state.rglob("*"))
        if (mode := stat.S_IMODE(path.stat().st_mode)) != (0o700 if path.is_dir() else 0o600)
    }
    assert wrong == {}
    assert stat.S_IMODE((tmp_path / "project" / "made").stat().st_mode) == 0o644
    assert replica.is_running()
