"""Containers as processes: real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestrator.localcloud.runtime.executor_process import (
    ProcessExecutor,
    inherited_environment,
)
from orchestrator.localcloud.runtime.model import (
    ContainerHandle,
    ContainerSpec,
    ReplicaSpec,
    StartFailure,
    Stream,
)

POSIX = os.name == "posix"
posix_only = pytest.mark.skipif(not POSIX, reason="signals and process groups are POSIX's")
REPLICA = ReplicaSpec("job", "job-abcdefg", "job-abcdefg-12345")


class Output:
    """Collects lines; can be told to hold the writer back."""

    def __init__(self) -> None:
        self.lines: list[tuple[Stream, str]] = []
        self.gate = asyncio.Event()
        self.limit: int | None = None
        self.waited = 0

    def line(self, stream: Stream, text: str) -> None:
        self.lines.append((stream, text))

    def behind(self) -> bool:
        return self.limit is not None and len(self.lines) > self.limit

    def used(self, size: int, nano_cores: float | None) -> None:
        pass

    async def ready(self) -> None:
        self.waited += 1
        await self.gate.wait()

    def texts(self, stream: Stream = "stdout") -> list[str]:
        return [text for found, text in self.lines if found == stream]

    async def until(self, test: Callable[[], object]) -> None:
        while not test():
            await asyncio.sleep(0.005)


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def executor(tmp_path: Path) -> ProcessExecutor:
    (tmp_path / "orchestrator.toml").write_text(
        '[images.python]\nprocess = ["{python}"]\n'
        '[images.elsewhere]\nprocess = ["{python}"]\nworkdir = "nowhere"\n'
        '[images.missing]\nprocess = ["no-such-program"]\n'
        '[images.file]\nprocess = ["./orchestrator.toml"]\n'
    )
    return ProcessExecutor(tmp_path, tmp_path)


def container(
    *args: str,
    image: str = "python",
    command: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> ContainerSpec:
    names = {"CONTAINER_APP_REPLICA_NAME": REPLICA.name}
    return ContainerSpec(
        id="0" * 64,
        name="main",
        image=image,
        command=command,
        args=args,
        env={**names, **(env or {})},
    )


async def run(executor: ProcessExecutor, output: Output, code: str, **kwargs: object) -> int:
    handle = await executor.start(REPLICA, container("-c", code, **kwargs), output)  # type: ignore[arg-type]
    return (await handle.wait()).code


async def gone(*pids: int) -> None:
    while any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        for pid in pids
    ):
        await asyncio.sleep(0.01)


async def test_both_streams_are_read_to_the_last_byte(
    executor: ProcessExecutor, output: Output
) -> None:
    code = await run(
        executor,
        output,
        "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('no end');"
        "sys.exit(7)",
    )
    assert code == 7
    assert output.texts("stdout") == ["one", "no end"]
    assert output.texts("stderr") == ["two"]


async def test_lines_come_while_the_process_runs(executor: ProcessExecutor, output: Output) -> None:
    handle = await executor.start(
        REPLICA, container("-c", "import time; print('here'); time.sleep(600)"), output
    )
    await output.until(lambda: output.lines)
    assert output.texts() == ["here"]
    await handle.stop(0)


async def test_the_environment_is_given_and_nothing_else_comes_along(
    executor: ProcessExecutor, output: Output, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AZURE_CLIENT_SECRET", "ORCHESTRATOR_PROFILE", "MY_TOKEN", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, "secret")
    code = await run(
        executor,
        output,
        "import os; print(os.getcwd()); [print(k) for k in os.environ]",
        env={"A": "1", "PATH": os.environ.get("PATH", "")},
    )
    assert code == 0
    folder, *names = output.texts()
    assert Path(folder).resolve() == tmp_path.resolve()
    assert {"A", "PATH", "PYTHONUNBUFFERED", "CONTAINER_APP_REPLICA_NAME"} <= set(names)
    assert not {"AZURE_CLIENT_SECRET", "ORCHESTRATOR_PROFILE", "MY_TOKEN", "IDENTITY_HEADER"} & set(
        names
    )


def test_what_is_inherited_is_a_list_of_names() -> None:
    sent = {"PATH": "p", "Path": "q", "LC_ALL": "C", "TZ": "x", "AWS_SECRET": "s", "HOME": "h"}
    assert set(inherited_environment(sent)) == {"PATH", "Path", "LC_ALL", "HOME"}


async def test_the_command_replaces_the_process_and_args_are_appended(
    executor: ProcessExecutor, output: Output
) -> None:
    spec = container(
        "b", "c d", command=(sys.executable, "-c", "import sys; print(sys.argv[1:])", "a")
    )
    handle = await executor.start(REPLICA, spec, output)
    await handle.wait()
    assert output.texts() == ["['a', 'b', 'c d']"]


@pytest.mark.parametrize(
    ("image", "reason", "why"),
    [
        ("nobody", "ImagePullFailure", "no such image"),
        ("elsewhere", "ContainerCreateFailure", "does not exist"),
        ("missing", "ContainerStartFailure", "executable file not found"),
        pytest.param("file", "ContainerStartFailure", "permission denied", marks=posix_only),
    ],
)
async def test_what_cannot_start_says_why(
    executor: ProcessExecutor, output: Output, image: str, reason: str, why: str
) -> None:
    with pytest.raises(StartFailure, match=why) as failure:
        await executor.start(REPLICA, container(image=image), output)
    assert failure.value.permanent
    assert failure.value.reason == reason


async def test_a_word_with_a_nul_byte_is_refused(executor: ProcessExecutor, output: Output) -> None:
    with pytest.raises(StartFailure, match="NUL"):
        await executor.start(REPLICA, container("a\0b"), output)


@posix_only
async def test_a_signal_becomes_128_and_its_number(
    executor: ProcessExecutor, output: Output
) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert await run(executor, output, kill) == 128 + signal.SIGSEGV


@posix_only
async def test_stop_lets_the_process_clean_up(executor: ProcessExecutor, output: Output) -> None:
    handle = await executor.start(
        REPLICA,
        container(
            "-c",
            "import signal, sys, time\n"
            "def end(*_):\n    print('cleaned up'); sys.exit(9)\n"
            "signal.signal(signal.SIGTERM, end)\nprint('ready')\ntime.sleep(600)",
        ),
        output,
    )
    await output.until(lambda: output.lines)
    await handle.stop(60)
    assert (await handle.wait()).code == 9
    assert output.texts() == ["ready", "cleaned up"]


@posix_only
async def test_what_does_not_hear_is_killed_after_the_grace_period(
    executor: ProcessExecutor, output: Output
) -> None:
    handle = await executor.start(
        REPLICA,
        container(
            "-c",
            "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "print('ready')\ntime.sleep(600)",
        ),
        output,
    )
    await output.until(lambda: output.lines)
    await handle.stop(0.2)
    assert (await handle.wait()).code == 137


FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c',"
    " 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);'"
    " 'print(\"child\", flush=True); time.sleep(600)'], start_new_session={new})\n"
    "print(child.pid, flush=True)\n"
    "{then}"
)


async def family(
    executor: ProcessExecutor, output: Output, *, new: bool, then: str, lines: int
) -> tuple[ContainerHandle, int]:
    handle = await executor.start(
        REPLICA, container("-c", FAMILY.format(new=new and POSIX, then=then)), output
    )
    await output.until(lambda: len(output.lines) >= lines)
    return handle, next(int(text) for text in output.texts() if text.isdigit())


@pytest.mark.parametrize("new", [False, True])
async def test_stop_takes_children_along_even_those_in_a_session_of_their_own(
    executor: ProcessExecutor, output: Output, new: bool
) -> None:
    handle, child = await family(executor, output, new=new, then="time.sleep(600)", lines=2)
    await handle.stop(0.1)
    await gone(child)


@posix_only
@pytest.mark.parametrize("new", [False, True])
async def test_the_end_of_the_first_process_is_the_end_of_all(
    executor: ProcessExecutor, output: Output, new: bool
) -> None:
    handle, child = await family(executor, output, new=new, then="sys.exit(4)", lines=1)
    assert (await handle.wait()).code == 4
    await gone(child)


async def test_orphans_are_found_by_their_mark_and_by_their_replica(
    executor: ProcessExecutor, output: Output
) -> None:
    marked = await executor.start(
        REPLICA, container("-c", "import time; print(1); time.sleep(600)"), output
    )
    other = ReplicaSpec("job", "job-abcdefg", "job-abcdefg-other")
    named = await executor.start(
        other,
        container(
            "-c",
            "import time; print(2); time.sleep(600)",
            env={"CONTAINER_APP_REPLICA_NAME": other.name},
        ),
        output,
    )
    await output.until(lambda: len(output.lines) == 2)
    ended = await executor.reap({REPLICA.name: [marked.mark], other.name: []})
    assert ended >= 2
    assert (await marked.wait()).code != 0
    assert (await named.wait()).code != 0


async def test_a_pid_that_belongs_to_another_process_now_is_left_alone(
    executor: ProcessExecutor, output: Output
) -> None:
    handle = await executor.start(
        REPLICA, container("-c", "import time; print(1); time.sleep(600)"), output
    )
    await output.until(lambda: output.lines)
    pid = int(handle.mark.split(":")[1].split(",")[0])
    stale = f'{{"pid": {pid}, "created": 12345.0}}'
    assert await executor.reap({"some-other-replica": [stale, "not json", "{}"]}) == 0
    assert psutil.Process(pid).is_running()
    await handle.stop(0)


async def test_a_flood_waits_for_its_reader(executor: ProcessExecutor, output: Output) -> None:
    output.limit = 100
    handle = await executor.start(
        REPLICA,
        container("-c", "for i in range(300_000): print(i, 'x' * 40)"),
        output,
    )
    await output.until(lambda: output.waited)
    while True:
        before = len(output.lines)
        await asyncio.sleep(0.1)
        if len(output.lines) == before:
            break
    # What was in flight when the reader fell behind, and not one line more: the writer waits.
    assert len(output.lines) < 100_000
    output.limit = None
    output.gate.set()
    assert (await handle.wait()).code == 0
    assert len(output.lines) == 300_000
    assert [int(text.split()[0]) for text in output.texts()] == list(range(300_000))


async def test_many_short_processes_leave_nothing_behind(
    executor: ProcessExecutor, output: Output
) -> None:
    descriptors = psutil.Process().num_fds() if POSIX else 0
    others = set(psutil.Process().children())  # of tests that ran in this process before
    for _ in range(5):
        await asyncio.gather(*(run(executor, output, "print('x')", command=()) for _ in range(4)))
    assert len(output.lines) == 20
    if POSIX:
        assert psutil.Process().num_fds() <= descriptors + 1
    assert not set(psutil.Process().children()) - others
