"""The three payloads as images, built from jobs/Dockerfile, and the whole flow in containers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.container_engine import connect
from orchestrator.localcloud import process
from tests.containers import engine

pytestmark = pytest.mark.timeout(400)
COMMAND = [sys.executable, "-m", "orchestrator"]
PAYLOADS = ("sender", "processor", "receiver")
STAND_IN = ("--build-arg", f"BASE={engine.BASE}")


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A project as `orchestrator init` writes it, with the container executor."""
    engine.required()
    assert call(tmp_path, "init").returncode == 0
    settings(
        tmp_path,
        'kind = "local"',
        'kind = "local"\nexecutor = "container"\nport = 0\nidentity_port = 0\n'
        "amqp_port = 0\namqps_port = 0",
    )
    yield tmp_path
    process.reset(tmp_path / ".orchestrator" / "local")
    assert engine.on_engine(tmp_path / ".orchestrator" / "local") == []


def settings(folder: Path, old: str, new: str) -> None:
    file = folder / "orchestrator.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_the_whole_flow_runs_in_containers(folder: Path) -> None:
    for payload in PAYLOADS:
        # A process could not do it.
        settings(folder, f'["{{python}}", "jobs/{payload}.py"]', '["no-such-program"]')
    built = call(folder, "images", "build", *STAND_IN, "-o", "json")
    assert built.returncode == 0, built.stderr
    assert {image["name"] for image in json.loads(built.stdout)} == set(PAYLOADS)
    listed = json.loads(call(folder, "images", "list", "-o", "json").stdout)
    assert [image["built"] for image in listed] == [True, True, True]

    run = call(folder, "demo", "--messages", "20")
    assert run.returncode == 0, run.stdout + run.stderr
    counts = dict(re.findall(r"^  ([a-z-]+) +([\d,]+)$", run.stdout, re.MULTILINE))
    assert counts["sent"] == counts["processed"] == counts["received"] == "20"
    assert counts["lost"] == counts["dead-lettered"] == "0"

    assert call(folder, "up").returncode == 0
    refused = call(folder, "start", "sender", "--env", "MESSAGE_COUNT=none", "--follow")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "MESSAGE_COUNT" in refused.stdout + refused.stderr


def test_an_image_goes_to_a_registry_and_comes_back(folder: Path) -> None:
    registry = os.environ.get("ORCHESTRATOR_TEST_REGISTRY")
    if not registry:
        pytest.skip("ORCHESTRATOR_TEST_REGISTRY names no registry; tests/containers/engine.sh does")
    settings(folder, 'kind = "local"', f'kind = "local"\nregistry = "{registry}"')
    missing = call(folder, "images", "push", "receiver")
    reference = f"{registry}/receiver:latest"
    client = connect()
    try:
        if not client.images(reference):
            assert missing.returncode == 1
            assert "orchestrator images build receiver" in missing.stderr
        assert call(folder, "images", "build", "receiver", *STAND_IN).returncode == 0
        pushed = call(folder, "images", "push", "receiver", "-o", "json")
        assert pushed.returncode == 0, pushed.stderr
        assert [image["reference"] for image in json.loads(pushed.stdout)] == [reference]
        client.remove_image(reference, force=True)
        assert call(folder, "up").returncode == 0
        # Nothing waits: it is pulled, looks, and ends well.
        ran = call(folder, "start", "receiver", "--env", "MAX_WAIT_TIME=1", "--follow")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert client.images(reference)
    finally:
        client.close()


def test_an_image_that_is_nowhere_is_an_image_pull_failure(folder: Path) -> None:
    registry = os.environ.get("ORCHESTRATOR_TEST_REGISTRY", "localhost:1")
    settings(folder, 'image = "sender"', f'image = "{registry}/nowhere:1"')
    assert call(folder, "up").returncode == 0
    assert call(folder, "start", "sender", "--wait").returncode == 3
    query = "ContainerAppSystemLogs_CL | where Reason_s == 'ImagePullFailure' | project Log_s"
    told = call(folder, "query", query, "-o", "json")
    assert "nowhere:1" in told.stdout, told.stdout + told.stderr


def test_without_an_engine_the_commands_say_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    assert call(tmp_path, "init").returncode == 0
    settings(tmp_path, 'kind = "local"', 'kind = "local"\nexecutor = "container"')
    environment = os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    for command in (["images", "list"], ["local", "up"]):
        told = subprocess.run(
            [*COMMAND, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert told.returncode == 1
        assert "No container engine answers at DOCKER_HOST" in told.stderr
        assert "Start Docker or Podman" in told.stderr
        assert "Traceback" not in told.stderr
    process.reset(tmp_path / ".orchestrator" / "local")


def test_a_killed_server_leaves_no_container_behind(folder: Path) -> None:
    engine.prepare(folder.parent)
    state = folder / ".orchestrator" / "local"
    with (folder / "orchestrator.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[jobs.sleeper]\ntrigger = "manual"\nimage = "{engine.PYTHON}"\n'
            'args = ["-c", "import time; time.sleep(600)"]\n'
        )
    assert call(folder, "up").returncode == 0
    execution = call(folder, "start", "sleeper").stdout.strip()
    before = running(state, execution, set())
    server = psutil.Process(json.loads((state / "cloud.json").read_text("utf-8"))["pid"])
    server.kill()
    server.wait(10)
    assert call(folder, "local", "up").returncode == 0
    # The old container is gone; the execution goes on in a new replica.
    after = running(state, execution, before)
    assert not before & after


def running(state: Path, execution: str, other_than: set[str]) -> set[str]:
    """The replicas of an execution that are on the engine, once they are others than those.

    Only of this one: what the starter's cron started meanwhile is there, too.
    """
    end = time.monotonic() + 60
    while time.monotonic() < end:
        labels = [found["Labels"] for found in engine.on_engine(state)]
        replicas = {
            one["io.orchestrator.replica"]
            for one in labels
            if one["io.orchestrator.execution"] == execution
        }
        if replicas and replicas != other_than:
            return replicas
        time.sleep(0.1)
    raise AssertionError("nothing of it runs on the engine")
