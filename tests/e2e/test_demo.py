"""`orchestrator demo` as a newcomer meets it: from an empty folder, twice, and interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.localcloud import process

COMMAND = [sys.executable, "-m", "orchestrator"]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")}


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder after `orchestrator init`."""
    made = call(tmp_path, "init")
    assert made.returncode == 0, made.stderr
    yield tmp_path
    process.reset(tmp_path / ".orchestrator" / "local")


def left_behind(folder: Path) -> list[str]:
    """Processes that have to do with this folder: the server, replicas."""
    found = []
    for one in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = " ".join(one.info["cmdline"] or [])
        if str(folder) in words or (one.info["cwd"] or "").startswith(str(folder)):
            found.append(f"{one.info['pid']} {words}")
    return found


@pytest.mark.timeout(240)
def test_the_demo_accounts_for_every_message_and_can_be_run_again(folder: Path) -> None:
    first = call(folder, "demo")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr == ""
    assert "\x1b" not in first.stdout
    counts = dict(re.findall(r"^  ([a-z-]+) +([\d,]+)$", first.stdout, re.MULTILINE))
    assert counts == {
        "sent": "100",
        "processed": "100",
        "received": "100",
        "dead-lettered": "0",
        "lost": "0",
    }
    for word in ("sender-", "processor-", "receiver-", "Received result", "orchestrator down"):
        assert word in first.stdout

    # Counted, not assumed: the queues and the log say the same.
    depths = call(folder, "status", "--query", "queues[].[active, dead_letter]", "-o", "tsv")
    assert depths.stdout == "0\t0\n0\t0\n"
    kql = (
        "ContainerAppConsoleLogs_CL | where Log_s has 'Received result'"
        " | summarize dcount(extract(@'result (\\S+):', 1, Log_s))"
    )
    assert call(folder, "query", kql, "-o", "tsv").stdout == "100\n"

    second = call(folder, "demo", "--messages", "30", "-o", "json")
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert told["messages"] == {
        "sent": 30,
        "processed": 30,
        "received": 30,
        "dead_lettered": 0,
        "lost": 0,
    }
    assert told["lost"] == []
    assert any("runs already" in note for note in told["notes"])

    # On a clock that was moved on, what ran before is no execution of this demo.
    assert call(folder, "local", "clock", "advance", "3m").returncode == 0
    names = ("executions", "list", "--query", "[].name", "-o", "tsv")
    before = set(call(folder, *names).stdout.split())
    third = call(folder, "demo", "--messages", "5", "-o", "json")
    assert third.returncode == 0, third.stderr
    own = {execution["name"] for execution in json.loads(third.stdout)["executions"]}
    assert own & before == set()
    assert own <= set(call(folder, *names).stdout.split())
    assert call(folder, "local", "clock", "freeze").returncode == 0
    frozen = call(folder, "demo")
    assert (frozen.returncode, "clock stands still" in frozen.stderr) == (1, True)
    assert process.status(folder / ".orchestrator" / "local").state == "running"
    assert call(folder, "down").returncode == 0
    assert left_behind(folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("after", [0.25, 0.5, 1.0, 2.5, 6.0])
def test_ctrl_c_leaves_nothing_behind(folder: Path, after: float) -> None:
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    running = subprocess.Popen(
        [*COMMAND, "demo"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    # On a crowded machine the interpreter may not have come to take signals itself by then.
    assert running.returncode in (130, -signal.SIGINT), (out, err)
    assert out == ""
    assert "Traceback" not in err
    assert left_behind(folder) == []
    after_it = sorted(
        path.relative_to(folder) for path in folder.rglob("*") if "__pycache__" not in path.parts
    )
    assert after_it == before


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_spares_a_local_cloud_that_ran_before(folder: Path) -> None:
    assert call(folder, "local", "up", "--port", "0").returncode == 0
    state = folder / ".orchestrator" / "local"
    pid = process.status(state).pid
    running = subprocess.Popen(
        [*COMMAND, "demo"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    listing = ("executions", "list", "--query", "[].properties.status", "-o", "tsv")
    while "Running" not in call(folder, *listing).stdout:
        assert time.monotonic() < deadline
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    found = process.status(state)
    assert (found.state, found.pid) == ("running", pid)
    started = call(folder, "executions", "list", "--job", "sender", *listing[2:])
    assert "Running" not in started.stdout


CHEAT = """
import os
from azure.identity import DefaultAzureCredential
from azure.servicebus import ServiceBusClient, TransportType

with ServiceBusClient(
    os.environ["FULLY_QUALIFIED_NAMESPACE"],
    DefaultAzureCredential(),
    custom_endpoint_address=os.environ["SERVICE_BUS_CUSTOM_ENDPOINT"],
    connection_verify=os.environ["SERVICE_BUS_CA_BUNDLE"],
    transport_type=TransportType.Amqp,
) as client, client.get_queue_receiver("results", max_wait_time=2) as receiver:
    for number, message in enumerate(receiver, 1):
        if not message.message_id.endswith("-7-result"):
            print(f"[{number}] Received result {message.message_id}: {message}", flush=True)
        receiver.complete_message(message)
print("Received 10 results from the results queue")
"""


def test_a_message_that_vanishes_is_counted_as_lost(folder: Path) -> None:
    (folder / "cheat.py").write_text(CHEAT)
    settings = folder / "orchestrator.toml"
    text = settings.read_text()
    assert '"jobs/receiver.py"' in text
    assert '"* * * * *"' in text
    text = text.replace('"jobs/receiver.py"', '"cheat.py"').replace('"* * * * *"', '"0 0 1 1 *"')
    settings.write_text(text)
    done = call(folder, "demo", "--messages", "10", "--timeout", "25s", "-o", "json")
    told = json.loads(done.stdout)
    assert told["messages"]["sent"] == told["messages"]["processed"] == 10, done.stdout
    assert told["messages"]["received"] == 9
    assert [id.rpartition("-")[2] for id in told["lost"]] == ["7"]
    assert done.returncode == 1
    assert "1 of 10 messages were neither received nor dead-lettered" in done.stderr
