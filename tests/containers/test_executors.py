"""What every executor does: one contract, kept by processes and by containers."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.container_engine import connect
from orchestrator.localcloud.runtime.executor_container import ContainerExecutor
from orchestrator.localcloud.runtime.executor_process import ProcessExecutor
from orchestrator.localcloud.runtime.model import (
    ContainerExit,
    ContainerHandle,
    ContainerSpec,
    Executor,
    Mount,
    ReplicaSpec,
    StartFailure,
    Stream,
)
from tests.containers import engine

MEBI = 1024 * 1024
posix_only = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")


class Output:
    """Collects lines; can be told to hold the writer back."""

    def __init__(self) -> None:
        self.lines: list[tuple[Stream, str]] = []
        self.limit: int | None = None
        self.gate = asyncio.Event()
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
            await asyncio.sleep(0.01)


class Bench:
    """An executor, one replica of its own, and its output."""

    def __init__(self, make: Callable[[], Executor], image: str, state: Path) -> None:
        self.make = make
        self.executor = make()
        self.image = image
        self.state = state
        name = f"job-{secrets.token_hex(4)}"
        self.replica = ReplicaSpec("job", name, f"{name}-12345")
        self.output = Output()

    async def start(
        self, *args: str, executor: Executor | None = None, **fields: Any
    ) -> ContainerHandle:
        fields = {"image": self.image, "name": "main"} | fields
        fields["env"] = {
            "CONTAINER_APP_REPLICA_NAME": self.replica.name,
            "PYTHONUNBUFFERED": "1",
        } | fields.get("env", {})
        spec = ContainerSpec(id=secrets.token_hex(32), args=args, **fields)
        return await (executor or self.executor).start(self.replica, spec, self.output)

    async def run(self, code: str, **fields: Any) -> ContainerExit:
        handle = await self.start("-c", code, **fields)
        return await handle.wait()


@pytest.fixture(params=["process", "container"])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    if request.param == "container":
        engine.required()
        engine.prepare(tmp_path_factory.getbasetemp().parent)
        bench = Bench(lambda: ContainerExecutor(tmp_path), engine.PYTHON, tmp_path)
    else:
        (tmp_path / "orchestrator.toml").write_text('[images.python]\nprocess = ["{python}"]\n')
        bench = Bench(lambda: ProcessExecutor(tmp_path, tmp_path), "python", tmp_path)
    yield bench
    await bench.executor.release(bench.replica)
    await bench.make().reap({bench.replica.name: []})
    if request.param == "container":
        assert engine.on_engine(tmp_path) == []


async def test_both_streams_are_read_to_the_last_byte(bench: Bench) -> None:
    ended = await bench.run(
        "import sys; print('one'); print('zwö', file=sys.stderr); sys.stdout.write('no end');"
        "sys.exit(7)"
    )
    assert ended == ContainerExit(7)
    assert bench.output.texts("stdout") == ["one", "no end"]
    assert bench.output.texts("stderr") == ["zwö"]


async def test_a_success_is_zero_and_may_be_awaited_twice(bench: Bench) -> None:
    handle = await bench.start("-c", "print('x' * 40_000)")
    assert await handle.wait() == ContainerExit(0)
    assert await handle.wait() == ContainerExit(0)
    assert [len(text) for text in bench.output.texts()] == [16384, 16384, 40_000 - 2 * 16384]


async def test_lines_come_while_it_runs(bench: Bench) -> None:
    handle = await bench.start("-c", "import time; print('here'); time.sleep(600)")
    await bench.output.until(lambda: bench.output.lines)
    assert bench.output.texts() == ["here"]
    await handle.stop(0)


async def test_a_flood_waits_for_its_reader_and_is_whole(bench: Bench) -> None:
    bench.output.limit = 10
    handle = await bench.start("-c", "for i in range(100_000): print(i, 'x' * 40)")
    await bench.output.until(lambda: bench.output.waited)
    held = -1
    while held != len(bench.output.lines):
        held = len(bench.output.lines)
        await asyncio.sleep(0.2)
    assert held < 50_000
    bench.output.limit = None
    bench.output.gate.set()
    assert (await handle.wait()).code == 0
    assert [int(text.split()[0]) for text in bench.output.texts()] == list(range(100_000))


async def test_variables_are_given_and_none_of_this_programs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "of the server")
    ended = await bench.run(
        "import os; print(os.environ['A'], os.environ.get('AZURE_CLIENT_SECRET'))",
        env={"A": "one = 'two' $HOME\ttab"},
    )
    assert ended.code == 0
    assert bench.output.texts() == ["one = 'two' $HOME\ttab None"]


async def test_variables_are_on_no_command_line(bench: Bench) -> None:
    import psutil

    secret = secrets.token_hex(16)
    handle = await bench.start("-c", "import time; print(1); time.sleep(600)", env={"S": secret})
    await bench.output.until(lambda: bench.output.lines)
    words = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    assert any("time.sleep(600)" in line for line in words)
    assert not any(secret in line for line in words)
    await handle.stop(0)


async def test_args_are_appended_to_the_entry_point_and_a_command_replaces_it(
    bench: Bench,
) -> None:
    handle = await bench.start("-c", "import sys; print(sys.argv[1:])", "a b", "$HOME")
    assert (await handle.wait()).code == 0
    handle = await bench.start("two", command=("python3", "-c", "import sys; print(sys.argv[1:])"))
    assert (await handle.wait()).code == 0
    assert bench.output.texts() == ["['a b', '$HOME']", "['two']"]


@pytest.mark.parametrize(
    ("fields", "reason", "why"),
    [
        ({"image": "localhost/no-such-image:9"}, "ImagePullFailure", "no-such-image"),
        ({"command": ("no-such-program",)}, "ContainerStartFailure", "not found"),
    ],
)
async def test_what_cannot_start_says_why(
    bench: Bench, fields: dict[str, Any], reason: str, why: str
) -> None:
    with pytest.raises(StartFailure, match=why) as failure:
        await bench.start(**fields)
    assert failure.value.reason == reason


@posix_only
async def test_stop_lets_it_clean_up(bench: Bench) -> None:
    handle = await bench.start(
        "-c",
        "import signal, sys, time\n"
        "def end(*_):\n    print('cleaned up'); sys.exit(9)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('ready')\ntime.sleep(600)",
    )
    await bench.output.until(lambda: bench.output.lines)
    await handle.stop(60)
    assert await handle.wait() == ContainerExit(9)
    assert bench.output.texts() == ["ready", "cleaned up"]


@posix_only
async def test_what_does_not_hear_is_killed_after_the_grace_period(bench: Bench) -> None:
    handle = await bench.start(
        "-c",
        "import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('ready')\ntime.sleep(600)",
        memory=512 * MEBI,
    )
    await bench.output.until(lambda: bench.output.lines)
    await handle.stop(0.2)
    assert await handle.wait() == ContainerExit(137)


@posix_only
async def test_more_memory_than_it_may_have_ends_it(bench: Bench) -> None:
    ended = await bench.run(
        "import time; print('begun'); held = bytearray(300 * 1024 * 1024); time.sleep(60)",
        memory=100 * MEBI,
    )
    assert (ended.code, ended.reason) == (137, "OOMKilled")
    assert "100 MiB" in ended.message
    assert bench.output.texts() == ["begun"]


async def test_memory_within_the_limit_is_left_alone(bench: Bench) -> None:
    ended = await bench.run("held = bytearray(50 * 1024 * 1024)", memory=200 * MEBI, cpu=0.5)
    assert ended == ContainerExit(0)


async def test_an_empty_dir_is_shared_by_the_containers_of_a_replica(bench: Bench) -> None:
    scratch = (Mount(volume="scratch", path="/mnt/scratch"),)
    where = {"FOLDER": "/mnt/scratch/sub"}
    write = (
        "import os; os.mkdir(os.environ['FOLDER']);"
        "open(os.environ['FOLDER'] + '/note', 'w').write('from the first')"
    )
    assert (await bench.run(write, name="first", mounts=scratch, env=where)).code == 0
    read = "import os; print(open(os.environ['FOLDER'] + '/note').read())"
    assert (await bench.run(read, name="second", mounts=scratch, env=where)).code == 0
    assert bench.output.texts() == ["from the first"]
    await bench.executor.release(bench.replica)
    # A new replica finds an empty one.
    look = "import os; print(os.listdir(os.path.dirname(os.environ['FOLDER'])))"
    assert (await bench.run(look, mounts=scratch, env=where)).code == 0
    assert bench.output.texts()[-1] == "[]"


async def test_a_secret_volume_holds_a_file_for_each_secret(bench: Bench) -> None:
    values = {"token": "s3cret\n", "deep/er": "zwei"}
    mounts = (
        Mount(volume="keys", path="/var/run/keys", secrets=values),
        Mount(volume="keys", path="/mnt/one-file", sub_path="token", secrets=values),
    )
    code = (
        "import os; folder, file = os.environ['KEYS'], os.environ['FILE']\n"
        "print(repr(open(folder + '/token').read()), open(folder + '/deep/er').read(),"
        " repr(open(file).read()))"
    )
    env = {"KEYS": "/var/run/keys", "FILE": "/mnt/one-file"}
    assert (await bench.run(code, mounts=mounts, env=env)).code == 0
    assert bench.output.texts() == ["'s3cret\\n' zwei 's3cret\\n'"]


async def test_another_executor_ends_what_a_killed_server_left(bench: Bench) -> None:
    scratch = (Mount(volume="scratch", path="/mnt/scratch"),)
    handle = await bench.start("-c", "import time; print(1); time.sleep(600)", mounts=scratch)
    await bench.output.until(lambda: bench.output.lines)
    ended = await bench.make().reap({bench.replica.name: [handle.mark]})
    assert ended >= 1
    assert (await handle.wait()).code == 137


async def test_what_runs_is_left_alone_by_another_state_folder(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    handle = await bench.start("-c", "import time; print(1); time.sleep(600)")
    await bench.output.until(lambda: bench.output.lines)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    other: Executor = (
        ContainerExecutor(elsewhere)
        if bench.executor.name == "container"
        else ProcessExecutor(elsewhere, elsewhere)
    )
    assert await other.reap({"another-replica": []}) == 0
    await handle.stop(0)
    assert (await handle.wait()).code in (137, 143)


async def test_many_at_once_are_told_apart(bench: Bench) -> None:
    ended = await asyncio.gather(
        *(bench.run(f"print({n}); raise SystemExit({n})", name=f"c{n}") for n in range(6))
    )
    assert [one.code for one in ended] == list(range(6))
    assert sorted(bench.output.texts()) == [str(n) for n in range(6)]


# ------------------------------------------------------------------ containers alone


@pytest.fixture
def container_bench(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    engine.required()
    engine.prepare(tmp_path_factory.getbasetemp().parent)
    return Bench(
        lambda: ContainerExecutor(tmp_path, [tmp_path / "ca.pem"]), engine.PYTHON, tmp_path
    )


async def test_files_that_variables_name_come_along(container_bench: Bench) -> None:
    bench = container_bench
    (bench.state / "ca.pem").write_text("an authority")
    (bench.state / "ca.pem").chmod(0o600)
    code = (
        "import os, socket\nprint(open(os.environ['SSL_CERT_FILE']).read())\n"
        "print(os.environ['PYTHONPATH'], os.environ['FROM_IMAGE'], os.getuid())\n"
        "print(socket.getaddrinfo('ns.servicebus.windows.net', 5671)[0][4])"
    )
    env = {
        "SSL_CERT_FILE": str(bench.state / "ca.pem"),
        "ORCHESTRATOR_LOCAL_ROUTES": "ns.servicebus.windows.net:5671=127.0.0.1:14671",
    }
    assert (await bench.run(code, env=env)).code == 0
    assert bench.output.texts() == [
        "an authority",
        f"/.orchestrator/python:/opt/of-image 1 {engine.OTHERS}",
        "('127.0.0.1', 14671)",
    ]


async def test_secret_files_are_not_shown_by_inspect(container_bench: Bench) -> None:
    bench = container_bench
    secret = secrets.token_hex(16)
    mounts = (Mount(volume="keys", path="/keys", secrets={"token": secret}),)
    handle = await bench.start("-c", "import time; print(1); time.sleep(600)", mounts=mounts)
    await bench.output.until(lambda: bench.output.lines)
    client = connect()
    try:
        shown = str(client.inspect_container(handle.mark.partition(":")[2]))
    finally:
        client.close()
    assert "time.sleep(600)" in shown
    assert secret not in shown
    await handle.stop(0)
    assert engine.on_engine(bench.state) == []


async def test_limits_are_the_engines(container_bench: Bench) -> None:
    bench = container_bench
    handle = await bench.start(
        "-c", "import time; print(1); time.sleep(600)", cpu=0.25, memory=64 * MEBI
    )
    await bench.output.until(lambda: bench.output.lines)
    client = connect()
    try:
        config = client.inspect_container(handle.mark.partition(":")[2])["HostConfig"]
    finally:
        client.close()
    assert config["Memory"] == 64 * MEBI
    assert config["NanoCpus"] == 250_000_000 or config["CpuQuota"] * 4 == config["CpuPeriod"]
    assert bench.executor.unenforced == ()
    await handle.stop(0)


async def test_an_image_without_any_file_fails_with_the_engines_words(
    container_bench: Bench,
) -> None:
    with pytest.raises(StartFailure, match="/nothing") as failure:
        await container_bench.start(image=engine.SCRATCH)
    assert failure.value.reason == "ContainerStartFailure"
    assert failure.value.permanent
    assert engine.on_engine(container_bench.state) == []


async def test_a_cancelled_start_leaves_nothing_behind(container_bench: Bench) -> None:
    bench = container_bench
    starting = asyncio.ensure_future(bench.start("-c", "import time; time.sleep(600)"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert engine.on_engine(bench.state) == []


async def test_without_an_engine_it_says_so_and_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    bench = Bench(lambda: ContainerExecutor(tmp_path), "any", tmp_path)
    with pytest.raises(
        StartFailure, match=r"No container engine answers at DOCKER_HOST"
    ) as failure:
        await bench.start()
    assert not failure.value.permanent
    assert await bench.executor.reap({"some-replica": []}) == 0
