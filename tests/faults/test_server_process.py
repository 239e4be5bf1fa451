"""The background process: started, killed, started twice, in each other's way, on bad state."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from orchestrator.cli.app import root
from orchestrator.localcloud import process
from orchestrator.localcloud.process import LocalCloudError, down, reset, status, up
from orchestrator.localcloud.state import StateFolder
from orchestrator.localcloud.steering import time_control
from orchestrator.localcloud.steering.client import SteeringClient
from tests.conftest import CloudInThread
from tests.faults.cloud_process import ask, config

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and permissions")
THING = "/resourceGroups/g/providers/Microsoft.Portal/dashboards/a"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; whatever runs on it at the end is stopped."""
    path = tmp_path / "state"
    yield path
    down(path)


def kill(pid: int) -> None:
    """As `kill -9`; returns when the process is gone."""
    victim = psutil.Process(pid)
    victim.kill()
    victim.wait(10)


def make_something(connection: dict[str, Any]) -> None:
    assert ask(connection, "PUT", "/resourceGroups/g", {"location": "westeurope"})[0] == 201
    assert ask(connection, "PUT", THING, {"tags": {"kept": "yes"}})[0] == 200


# ------------------------------------------------------------------ life cycle ----


def test_up_says_how_to_reach_it_and_down_leaves_nothing_running(state: Path) -> None:
    connection = up(config(state))
    assert json.loads((state / "cloud.json").read_text()) == connection
    assert ask(connection, "GET", "/resourceGroups")[0] == 200
    found = status(state)
    assert (found.state, found.pid) == ("running", connection["pid"])
    assert found.memory is not None
    assert found.memory > 0
    assert found.uptime is not None
    assert found.ports["https"] == int(connection["resource_manager"].rpartition(":")[2])
    assert "header" not in repr(found)
    assert down(state) is True
    assert not psutil.pid_exists(connection["pid"])
    assert not (state / "cloud.json").exists()
    assert status(state).state == "stopped"
    assert down(state) is False


def test_down_returns_once_nothing_is_left_even_in_the_list_of_processes(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect = subprocess.Popen.wait

    def collect_late(child: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        time.sleep(0.3)
        return collect(child, timeout)

    if sys.platform != "win32":  # there the system collects
        monkeypatch.setattr(subprocess.Popen, "wait", collect_late)
    connection = up(config(state))
    assert down(state) is True
    assert not psutil.pid_exists(connection["pid"])


def test_up_twice_gives_the_same_server(state: Path) -> None:
    assert up(config(state)) == up(config(state))


def test_two_ups_at_once_start_one_server(state: Path) -> None:
    results: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: results.append(up(config(state)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len({result["pid"] for result in results}) == 1


def test_two_ups_of_two_processes_start_one_server(state: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from orchestrator.localcloud.process import CloudConfig, up\n"
        "print(up(CloudConfig(Path(sys.argv[1]), None, 0, 0, 0, 0))['pid'])"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", program, str(state)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    pids = {child.communicate(timeout=60)[0].strip() for child in both}
    assert [child.returncode for child in both] == [0, 0]
    assert len(pids) == 1


def test_a_restart_keeps_ports_ids_secrets_and_resources(state: Path) -> None:
    first = up(config(state))
    make_something(first)
    down(state)
    second = up(config(state))
    changed = {key for key in first if first[key] != second[key]}
    assert changed == {"pid", "started"}
    assert ask(second, "GET", THING)[1]["tags"] == {"kept": "yes"}


def test_kill_9_loses_nothing_and_the_next_up_tidies(state: Path) -> None:
    first = up(config(state))
    make_something(first)
    kill(first["pid"])
    assert status(state).state == "stale"
    assert (state / "cloud.json").exists()
    second = up(config(state))
    assert second["pid"] != first["pid"]
    assert ask(second, "GET", THING)[1]["tags"] == {"kept": "yes"}
    assert ask(second, "PUT", THING, {"tags": {}})[0] == 200


def test_what_was_answered_before_a_kill_is_there_after_it(state: Path) -> None:
    connection = up(config(state))
    ask(connection, "PUT", "/resourceGroups/g", {"location": "westeurope"})
    done: list[str] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            name = f"/resourceGroups/g/providers/Microsoft.Portal/dashboards/n{number}"
            try:
                if ask(connection, "PUT", name, {})[0] == 200:
                    done.append(name)
            except OSError:
                return
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    while len(done) < 10:
        time.sleep(0.01)
    kill(connection["pid"])
    stop.set()
    writer.join()
    again = up(config(state))
    for name in done:
        assert ask(again, "GET", name)[0] == 200


def test_down_after_a_kill_cleans_up(state: Path) -> None:
    kill(up(config(state))["pid"])
    assert down(state) is False
    assert not (state / "cloud.json").exists()


def test_a_pid_that_was_reused_is_not_taken_for_the_server(state: Path) -> None:
    connection = up(config(state))
    kill(connection["pid"])
    folder = StateFolder(state)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        folder.publish(connection | {"pid": bystander.pid})
        assert status(state).state == "stale"
        assert down(state) is False
        assert bystander.poll() is None
        # Not even while a new server holds the lock and has not yet said who it is.
        folder.publish(connection | {"pid": bystander.pid, "started": "2020-01-01T00:00:00+00:00"})
        folder.acquire()
        (state / "server.json").unlink()
        try:
            with pytest.raises(LocalCloudError, match="has not said which process"):
                down(state, timeout=0.2)
        finally:
            folder.release()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(state: Path, number: signal.Signals) -> None:
    connection = up(config(state))
    victim = psutil.Process(connection["pid"])
    os.kill(connection["pid"], number)
    victim.wait(15)
    assert not (state / "cloud.json").exists()
    assert "stopped" in (state / "server.log").read_text()


@posix
def test_a_closed_terminal_does_not_end_it(state: Path) -> None:
    connection = up(config(state))
    os.kill(connection["pid"], signal.SIGHUP)
    assert ask(connection, "GET", "/resourceGroups")[0] == 200


@posix
def test_a_server_that_does_not_listen_is_killed(state: Path) -> None:
    connection = up(config(state))
    os.kill(connection["pid"], signal.SIGSTOP)
    assert down(state, timeout=0.5) is True
    assert not psutil.pid_exists(connection["pid"]) or (
        psutil.Process(connection["pid"]).status() == psutil.STATUS_ZOMBIE
    )
    assert status(state).state == "stopped"


@posix
def test_one_that_was_halted_is_suspended_until_it_goes_on(state: Path) -> None:
    connection = up(config(state))
    os.kill(connection["pid"], signal.SIGSTOP)
    try:
        while psutil.Process(connection["pid"]).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)  # until the signal has reached all its threads
        assert status(state).state == "suspended"
        asked = CliRunner().invoke(root, ["local", "status", "--state", str(state)])
        assert asked.exit_code == 1
        assert asked.stdout.split()[:2] == ["state", "suspended"]
        assert asked.stderr == f"Next: Let it go on: kill -CONT {connection['pid']}\n"
        with pytest.raises(LocalCloudError, match="suspended, so it answers nobody") as caught:
            up(config(state))
        assert f"kill -CONT {connection['pid']}" in caught.value.hint
    finally:
        os.kill(connection["pid"], signal.SIGCONT)
    assert status(state).state == "running"
    assert up(config(state)) == connection


def test_it_can_be_stopped_without_signals(state: Path) -> None:
    connection = up(config(state))
    process._ask_by_request(connection)
    psutil.Process(connection["pid"]).wait(15)
    assert not (state / "cloud.json").exists()


def test_it_runs_in_the_foreground_as_well(state: Path) -> None:
    child = subprocess.Popen(
        [
            *(sys.executable, "-m", "orchestrator.localcloud", "--state", str(state)),
            *("--port", "0", "--identity-port", "0", "--amqp-port", "0", "--amqps-port", "0"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line.startswith("Local cloud ready at https://127.0.0.1:")
    assert status(state).state == "running"
    second = subprocess.run(
        [sys.executable, "-m", "orchestrator.localcloud", "--state", str(state)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert "Traceback" not in second.stderr
    down(state)
    _, errors = child.communicate(timeout=15)
    assert child.returncode == 0
    assert "Traceback" not in errors


# ----------------------------------------------------------------- what is wrong ----


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("port", "--port"),
        ("identity_port", "--identity-port"),
        ("amqp_port", "--amqp-port"),
        ("amqps_port", "--amqps-port"),
    ],
)
def test_a_taken_port_is_named_with_the_way_out(
    state: Path, taken: int, name: str, option: str
) -> None:
    with pytest.raises(LocalCloudError) as caught:
        up(config(state, **{name: taken}))
    assert f"Port {taken} " in caught.value.message
    assert f"{option} N" in caught.value.hint
    assert status(state).state == "stopped"
    assert up(config(state))


def test_a_remembered_port_is_not_given_up_silently(state: Path) -> None:
    connection = up(config(state))
    port = status(state).ports["https"]
    down(state)
    with socket.socket() as other:
        if sys.platform != "win32":
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(LocalCloudError, match=f"Port {port} "):
            up(process.CloudConfig(state))
    assert up(process.CloudConfig(state))["resource_manager"] == connection["resource_manager"]


def test_a_preferred_port_that_is_taken_is_replaced_at_the_first_start(
    state: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestrator.localcloud import listeners
    from orchestrator.localcloud.state import Settings

    monkeypatch.setitem(listeners.PREFERRED, "https", taken)
    settings = Settings()
    others = {"identity": 0, "amqp": 0, "amqps": 0}
    sockets = listeners.bind(settings, {"https": None, **others})
    for opened in sockets.values():
        opened.close()
    assert settings.ports["https"] != taken


def test_a_number_that_is_no_port_is_a_clear_error(state: Path) -> None:
    with pytest.raises(LocalCloudError, match="70000 is no port"):
        up(config(state, port=70000))


@pytest.mark.parametrize(
    "name",
    [
        *("arm.sqlite", "broker.sqlite", "runtime.sqlite", "logs.duckdb"),
        *("local.json", "identity-key.pem", "ca.pem", "server.pem"),
    ],
)
def test_a_damaged_state_file_is_named_and_left_alone(state: Path, name: str) -> None:
    cloud = CloudInThread(state)
    make_something(cloud.connection)
    cloud.stop()
    for rest in state.glob(f"{name}-*"):
        rest.unlink()
    (state / name).write_bytes(b"This was a state file once. " * 200)
    with pytest.raises(LocalCloudError) as caught:
        cloud.start()
    assert name in caught.value.message
    assert "reset" in f"{caught.value.message} {caught.value.hint}"
    assert (state / name).read_bytes().startswith(b"This was a state file once.")
    assert status(state).state == "stopped"
    reset(state)
    assert not state.exists()


def test_up_tells_of_damaged_state_and_a_reset_helps(state: Path) -> None:
    make_something(up(config(state)))
    down(state)
    (state / "local.json").write_text("{")
    with pytest.raises(LocalCloudError) as caught:
        up(config(state))
    assert str(state / "local.json") in caught.value.message
    assert "orchestrator local reset" in caught.value.hint
    reset(state)
    assert ask(up(config(state)), "GET", THING)[0] == 404


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(LocalCloudError, match="cannot be used"):
        up(config(closed / "state"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_at_the_start_is_a_clear_error(state: Path) -> None:
    state.mkdir()
    (state / "server.log").symlink_to("/dev/full")
    cloud = CloudInThread(state)
    cloud.stop()
    (state / "local.json").unlink()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StateFolder, "save", full)
        with pytest.raises(LocalCloudError, match="is full"):
            cloud.start()
    assert not (state / "local.json").exists()
    # A log that cannot be written does not keep it from working.
    assert ask(up(config(state)), "GET", "/resourceGroups")[0] == 200


def test_many_connections_leave_no_handle_behind(state: Path) -> None:
    connection = up(config(state))
    server = psutil.Process(connection["pid"])
    ask(connection, "GET", "/resourceGroups")

    def handles() -> int:
        return server.num_handles() if sys.platform == "win32" else server.num_fds()

    before = handles()
    for _ in range(50):
        ask(connection, "GET", "/resourceGroups")
        ask(connection, "GET", "/resourceGroups/none")
    end = time.monotonic() + 10
    while handles() > before + 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert handles() <= before + 2


def test_an_interpreter_that_dies_at_once_shows_the_end_of_the_log(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.stderr.write('no such thing'); sys.exit(9)"]

    monkeypatch.setattr(process, "_command", broken)
    with pytest.raises(LocalCloudError) as caught:
        up(config(state))
    assert "exit status 9" in caught.value.message
    assert "no such thing" in caught.value.hint


def test_a_server_that_is_not_ready_in_time_is_stopped_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(60)"]

    monkeypatch.setattr(process, "_command", slow)
    before = set(psutil.Process().children())
    with pytest.raises(LocalCloudError, match="was not ready within"):
        up(config(state), timeout=0.5)
    assert set(psutil.Process().children()) <= before


# ------------------------------------------------------------------- reset, files ----


def test_reset_stops_it_and_removes_all_it_made(state: Path) -> None:
    connection = up(config(state))
    make_something(connection)
    reset(state)
    assert not state.exists()
    assert not psutil.pid_exists(connection["pid"])
    reset(state)


def test_reset_removes_a_steered_clock_too(state: Path) -> None:
    cloud = up(config(state))
    SteeringClient(cloud).freeze()
    assert (state / process.CLOCK).exists()
    assert process.CLOCK == time_control.FILE
    reset(state)
    assert not state.exists()


def test_reset_keeps_what_is_not_its_own(state: Path) -> None:
    up(config(state))
    (state / "notes.txt").write_text("mine")
    reset(state)
    assert [entry.name for entry in state.iterdir()] == ["notes.txt"]


def test_reset_refuses_a_folder_that_is_no_local_clouds(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("four years of work")
    with pytest.raises(LocalCloudError, match="not a local cloud's"):
        reset(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


@posix
def test_nobody_else_can_read_the_state(state: Path) -> None:
    up(config(state))
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for entry in state.rglob("*"):
        if entry.is_file() and entry.suffix in (".json", ".sqlite", ".log", ".duckdb"):
            assert stat.S_IMODE(entry.stat().st_mode) == 0o600, entry
    for name in ("ca-key.pem", "server.pem", "identity-key.pem"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600


def test_the_log_holds_no_secret(state: Path) -> None:
    connection = up(config(state))
    make_something(connection)
    ask(connection, "GET", "/resourceGroups/none")
    down(state)
    log = (state / "server.log").read_text()
    assert "ready" in log
    for secret in (
        connection["identity"]["header"],
        connection["application"]["client_secret"],
        "eyJ",
    ):
        assert secret not in log
