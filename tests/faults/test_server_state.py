"""A running server whose state is taken away under it, as a user or a tidy-up script would."""

from __future__ import annotations

import json
import shutil
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


REPLICA = "import time\nprint('here', flush=True)\ntime.sleep(600)\n"


@pytest.mark.parametrize("taken", ["removed", "moved", "replaced"])
def test_a_server_without_its_folder_ends_and_so_do_its_replicas(
    state: Path, tmp_path: Path, taken: str
) -> None:
    from orchestrator.client import Orchestrator
    from orchestrator.profile import resolve
    from orchestrator.settings_load import load

    project = tmp_path / "project"
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
    orc.close()

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
    assert f"The state folder {state} was " in told
    assert "Stopping, with all replicas." in told
    assert "Traceback" not in told
    if successor is None:
        assert not state.exists(), "nothing was made anew"
        assert status(state).state == "stopped"
    else:
        found = status(state)
        assert (found.state, found.pid) == ("running", successor["pid"])
        assert found.connection == successor
