"""Containers as processes of this machine.

A container gets the variables of its job and of the platform, and of the server's own environment
only what a program needs to run at all: no secret of the server's user comes along. Its memory is
looked at twice a second, and it is ended when it takes more than it may; its cpu is not limited.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from orchestrator.localcloud.runtime import process_tree, process_volumes
from orchestrator.localcloud.runtime.images import Images
from orchestrator.localcloud.runtime.lines import LineSplitter
from orchestrator.localcloud.runtime.model import (
    ContainerExit,
    ContainerHandle,
    ContainerSpec,
    Output,
    ReplicaSpec,
    StartFailure,
    Stream,
)
from orchestrator.localcloud.runtime.process_memory import MemoryWatch
from orchestrator.localcloud.runtime.python_site import lead_python

_log = logging.getLogger(__name__)

INHERITED = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TMPDIR",
        "TEMP",
        "TMP",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        # Windows: without these many programs do not even start.
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "USERNAME",
        "USERPROFILE",
        "HOMEDRIVE",
        "HOMEPATH",
        "APPDATA",
        "LOCALAPPDATA",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "PROGRAMFILES(X86)",
        "NUMBER_OF_PROCESSORS",
        "PROCESSOR_ARCHITECTURE",
    }
)
"""Variables that a container has of the server's environment, besides LC_*."""

_STREAMS: dict[int, Stream] = {1: "stdout", 2: "stderr"}
_MEBI = 1024 * 1024
_LINGER = 2.0
"""Seconds that a pipe may stay open after its process ended before what holds it is hunted down."""


class ProcessExecutor:
    """Runs containers as processes (an `Executor`).

    Args:
        project: Folder of the orchestrator.toml that says how each image runs; None for none.
        state: Folder below which volumes lie.
    """

    name = "process"
    unenforced: tuple[str, ...] = ("cpu",)

    def __init__(self, project: Path | None, state: Path) -> None:
        self._images = Images(project)
        self._state = state
        self._memory = MemoryWatch()

    async def start(
        self, replica: ReplicaSpec, container: ContainerSpec, output: Output
    ) -> ContainerHandle:
        """Start a container's process.

        Raises:
            StartFailure: The image is unknown, or the program cannot be run.
        """
        image = self._images.resolve(container.image)
        volumes = await self._volumes(replica, container)
        words = [
            *(volumes.words(container.command) or image.process),
            *volumes.words(container.args),
        ]
        folder = image.folder
        if not folder.is_dir():
            raise StartFailure(
                "ContainerCreateFailure",
                f"Container '{container.name}' was not created: its working folder {folder} "
                "does not exist.",
                permanent=True,
            )
        words[0] = _program(words[0], folder)
        env = inherited_environment(os.environ)
        env["PYTHONUNBUFFERED"] = "1"
        env.update(volumes.env(container.env))
        lead_python(env)
        try:
            watched = await spawn(replica.name, words, folder, env, output, self._memory)
        except (OSError, ValueError) as error:
            raise _start_failure(container, words[0], error) from error
        if container.memory is not None:
            watched.limit_memory(container.memory)
        return watched

    async def release(self, replica: ReplicaSpec) -> None:
        """Remove the replica's volumes."""
        await asyncio.to_thread(process_volumes.clear, self._state, replica.name)

    async def reap(self, marks: Mapping[str, Iterable[str]]) -> int:
        """End what an earlier server left running, and remove its volumes."""
        ended = await asyncio.to_thread(process_tree.end_orphans, marks)
        for replica in marks:
            process_volumes.clear(self._state, replica)
        return ended

    async def _volumes(
        self, replica: ReplicaSpec, container: ContainerSpec
    ) -> process_volumes.Volumes:
        try:
            return process_volumes.lay_out(self._state, replica.name, container)
        except OSError as error:
            raise StartFailure(
                "ContainerCreateFailure",
                f"Container '{container.name}' was not created: its volumes cannot be made in "
                f"{self._state}: {error.strerror or error}.",
                permanent=False,
            ) from error


def inherited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a container gets of the server's own environment."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in INHERITED or name.upper().startswith("LC_")
    }


async def spawn(
    owner: str,
    words: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    output: Output,
    memory: MemoryWatch,
) -> _Process:
    """Start a program that can be ended with all it starts.

    owner: Its replica's name, which stands in `env` too where what leaves its process group is to
    be found (`process_tree.REPLICA_VARIABLE`).

    Raises:
        OSError, ValueError: It cannot be started.
    """
    watched = _Process(owner, output, memory)
    await asyncio.get_running_loop().subprocess_exec(
        lambda: watched,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=str(folder),
        env=env,
        **process_tree.spawn_options(),
    )
    return watched


class _Process(asyncio.SubprocessProtocol):
    """A container's process (a `ContainerHandle`), from its start to its last line."""

    def __init__(self, replica: str, output: Output, memory: MemoryWatch) -> None:
        self._replica = replica
        self._output = output
        self._memory = memory
        self._oom = ""
        self._ended: asyncio.Future[ContainerExit] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.SubprocessTransport | None = None
        self._pid = 0
        self._mark = ""
        self._over = False
        self._family: list[psutil.Process] = []
        self._open = {1, 2}
        self._splitters = {fd: LineSplitter(self._taker(fd)) for fd in self._open}
        self._waiting: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._hunt: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ ContainerHandle

    @property
    def mark(self) -> str:
        return self._mark

    async def wait(self) -> ContainerExit:
        return await asyncio.shield(self._ended)

    def limit_memory(self, limit: int) -> None:
        """End it with all it started when these use more than `limit` bytes."""
        if not self._over:
            self._memory.watch(
                self._pid, limit, lambda used: self._too_much(used, limit), self._output.used
            )

    def _too_much(self, used: int, limit: int) -> None:
        if not self._over:
            self._oom = f"it used {used / _MEBI:.0f} MiB, and may use {limit / _MEBI:.0f} MiB"
            process_tree.end_tree(self._pid)

    async def stop(self, grace: float) -> None:
        # Children first: once the process is over, nothing tells that they were its.
        family = await asyncio.to_thread(process_tree.descendants, self._pid)
        if self._over:
            process_tree.kill(family)
        else:
            self._family = family
            process_tree.ask_to_end(self._pid)
            try:
                await asyncio.wait_for(asyncio.shield(self._ended), grace)
            except TimeoutError:
                if not self._over:
                    await asyncio.to_thread(process_tree.end_tree, self._pid)
        await self.wait()

    # ------------------------------------------------------------------ SubprocessProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self._pid = transport.get_pid()
        self._mark = process_tree.process_mark(self._pid)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._splitters[fd].feed(data)
        # A replica that writes faster than its lines are stored waits in its own write(): the
        # pipes are not read meanwhile, and nothing piles up here.
        if self._waiting is None and self._output.behind():
            self._waiting = asyncio.ensure_future(self._hold_back())

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._splitters[fd].close()
        self._open.discard(fd)

    def process_exited(self) -> None:
        # The first process of a container takes all others with it. From here on its pid may be
        # given to another process, so it is not used any more.
        self._over = True
        self._memory.forget(self._pid)
        process_tree.end_group(self._pid)
        process_tree.kill(self._family)
        if self._open:
            self._linger = asyncio.get_running_loop().call_later(_LINGER, self._hunt_holders)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._waiting is not None:
            self._waiting.cancel()
        code = None
        if self._transport is not None:
            code = self._transport.get_returncode()
            self._transport.close()
        if not self._ended.done():
            self._ended.set_result(
                ContainerExit(137, "OOMKilled", self._oom) if self._oom else _exit(code)
            )

    # ------------------------------------------------------------------ inside

    def _taker(self, fd: int) -> _Line:
        return _Line(self._output, _STREAMS[fd])

    async def _hold_back(self) -> None:
        pipes = [self._pipe(fd) for fd in self._open]
        for pipe in pipes:
            if pipe is not None:
                pipe.pause_reading()
        try:
            await self._output.ready()
        finally:
            self._waiting = None
            for pipe in pipes:
                if pipe is not None and not pipe.is_closing():
                    pipe.resume_reading()

    def _pipe(self, fd: int) -> asyncio.ReadTransport | None:
        pipe = self._transport.get_pipe_transport(fd) if self._transport is not None else None
        return pipe if isinstance(pipe, asyncio.ReadTransport) else None

    def _hunt_holders(self) -> None:
        if self._waiting is not None:
            # Not held open by anyone: we are the ones who do not read.
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(_LINGER, self._hunt_holders)
            return
        self._hunt = asyncio.ensure_future(self._end_holders())

    async def _end_holders(self) -> None:
        """End what left the process group with the pipes; then close them in any case."""
        await asyncio.to_thread(process_tree.end_replica, {self._replica})
        await asyncio.sleep(_LINGER)
        if self._transport is not None and not self._ended.done():
            _log.warning("the output of replica %s is held open; it is closed", self._replica)
            self._transport.close()


class _Line:
    """Takes the lines of one stream."""

    def __init__(self, output: Output, stream: Stream) -> None:
        self._take = output.line
        self._stream = stream

    def __call__(self, text: str) -> None:
        self._take(self._stream, text)


def _exit(code: int | None) -> ContainerExit:
    if code is None:
        return ContainerExit(137, "ContainerStatusUnknown", "how the process ended is not known")
    if code < 0:
        # As container engines report a signal: 137 for SIGKILL, 143 for SIGTERM.
        return ContainerExit(128 - code)
    return ContainerExit(code)


def _program(word: str, folder: Path) -> str:
    # A relative path is meant from the container's working folder, also where the system looks
    # from the server's.
    if os.sep in word or (os.altsep and os.altsep in word):
        path = folder / word
        if not Path(word).is_absolute() and path.exists():
            return str(path)
    return word


def _start_failure(container: ContainerSpec, program: str, error: Exception) -> StartFailure:
    if isinstance(error, FileNotFoundError):
        why, permanent = f'"{program}": executable file not found in $PATH', True
    elif isinstance(error, PermissionError):
        why, permanent = f'"{program}": permission denied', True
    elif isinstance(error, ValueError):
        why, permanent = f"a word or a variable of it has a NUL byte ({error})", True
    else:
        # No memory, no process slot, no file handle: may be better at the next try.
        number = error.errno if isinstance(error, OSError) else None
        why = f'"{program}": {os.strerror(number) if number else error}'
        permanent = number in _NEVER
    return StartFailure(
        "ContainerStartFailure",
        f"Container '{container.name}' could not be started: {why}",
        permanent=permanent,
    )


_NEVER = frozenset({8, 7, 193} if sys.platform != "win32" else {8, 193})
"""errno: not a program (ENOEXEC, on Windows 193), argument list too long (E2BIG)."""
