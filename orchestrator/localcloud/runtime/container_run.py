"""One container on an engine, from its start to its last line."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchestrator.container_engine import TIMEOUT, said
from orchestrator.localcloud.runtime.lines import LineSplitter
from orchestrator.localcloud.runtime.model import ContainerExit, Output, Stream

if TYPE_CHECKING:
    import docker

_log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that an engine may be away (a restart) before its container is given up."""
_KILLED = 137
_MEBI = 1024 * 1024


def engine_errors() -> tuple[type[Exception], ...]:
    """What a call of the engine may raise: its own refusals, and those of the way to it."""
    import docker.errors
    import requests
    import urllib3

    return (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    )


class ContainerRun:
    """A container's handle (a `ContainerHandle`).

    A thread of its own reads the container's output. It hands over one piece at a time and waits
    for it to be taken, so that a container that writes faster than its lines are stored waits in
    its own write().

    Args:
        loop: The event loop of `output`; the constructor and `start` are called in a thread.
        client: A client of the engine, for this container alone; closed at the end.
        identity: The engine's id of the container, which has been created and not started.
        output: Takes its lines.
        memory: Its memory limit in bytes; None for none.
        signal: What asks it to end.
        ended: Called, in the thread, when it is over and removed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        client: docker.APIClient,
        identity: str,
        output: Output,
        *,
        memory: int | None,
        signal: str,
        ended: Callable[[ContainerRun], None],
    ) -> None:
        self.identity = identity
        self._client = client
        self._output = output
        self._limit = memory
        self._signal = signal
        self._when_ended = ended
        self._loop = loop
        self._ended: asyncio.Future[ContainerExit] = loop.create_future()
        self._killed = False
        names: tuple[Stream, Stream] = ("stdout", "stderr")
        self._splitters = {name: LineSplitter(_Line(output, name)) for name in names}
        self._thread = threading.Thread(
            target=self._watch, name=f"container {identity[:12]}", daemon=True
        )
        self._socket: Any = None
        self._answer: Any = None

    def start(self) -> None:
        """Attach, then start it; blocks. Raises what the engine raises, and leaves nothing open."""
        # Attached before the start: not one line is missed.
        self._attach()
        try:
            self._client.start(self.identity)
        except BaseException:
            self._detach()
            raise
        self._thread.start()

    # ------------------------------------------------------------------ ContainerHandle

    @property
    def mark(self) -> str:
        return f"container:{self.identity}"

    async def wait(self) -> ContainerExit:
        return await asyncio.shield(self._ended)

    async def stop(self, grace: float) -> None:
        await asyncio.to_thread(self._kill, self._signal)
        try:
            await asyncio.wait_for(asyncio.shield(self._ended), grace)
        except TimeoutError:
            self._killed = True
            await asyncio.to_thread(self._kill, "SIGKILL")
        await self.wait()

    # ------------------------------------------------------------------ inside the thread

    def _watch(self) -> None:
        exit_ = ContainerExit(_KILLED, "ContainerStatusUnknown", "how it ended is not known")
        try:
            exit_ = self._until_ended()
        except Exception:  # noqa: BLE001 - whoever waits for it must not wait for ever
            _log.exception("the container %s was lost sight of", self.identity[:12])
        finally:
            self._detach()
            self._remove()
            self._when_ended(self)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._finish, exit_)

    def _until_ended(self) -> ContainerExit:
        from docker.utils.socket import STDERR, frames_iter

        errors = engine_errors()
        gone_since: float | None = None
        while True:
            try:
                for stream, data in frames_iter(self._socket, tty=False):
                    self._deliver("stderr" if stream == STDERR else "stdout", data)
                self._client.wait(self.identity, timeout=None)
                return self._exit(self._client.inspect_container(self.identity)["State"])
            except errors as error:
                if getattr(error, "status_code", None) == 404:
                    return ContainerExit(
                        _KILLED, "ContainerStatusUnknown", "it was removed by somebody else"
                    )
                now = time.monotonic()
                gone_since = gone_since or now
                if now - gone_since > PATIENCE:
                    return ContainerExit(
                        _KILLED,
                        "ContainerStatusUnknown",
                        f"the container engine has gone away: {said(error)}",
                    )
                time.sleep(0.5)
                with contextlib.suppress(*errors):
                    # A container outlives its engine's restart; what it wrote meanwhile does not.
                    self._attach()
                    gone_since = None

    def _attach(self) -> None:
        self._detach()
        client: Any = self._client
        # What `attach` and `attach_socket` of the SDK open, they neither close nor hold on to: the
        # answer has to be kept, for its socket is closed with it.
        self._answer = client.post(
            f"{client.base_url}/v{client.api_version}/containers/{self.identity}/attach",
            params={"stdout": 1, "stderr": 1, "stream": 1},
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
            stream=True,
            timeout=TIMEOUT,
        )
        self._socket = client._get_raw_response_socket(self._answer)

    def _detach(self) -> None:
        answer, self._answer = self._answer, None
        opened, self._socket = self._socket, None
        # The socket under its file, too: a hijacked connection belongs to nobody any more.
        for part in (getattr(opened, "_sock", None), opened, answer):
            if part is not None:
                with contextlib.suppress(*engine_errors(), ValueError):
                    part.close()

    def _deliver(self, stream: Stream, data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(self._take(stream, data), self._loop).result()

    def _exit(self, state: dict[str, Any]) -> ContainerExit:
        code = int(state.get("ExitCode") or 0)
        if code == 0 or self._limit is None:
            return ContainerExit(code)
        limit = f"{self._limit / _MEBI:.0f} MiB"
        if state.get("OOMKilled"):
            return ContainerExit(code, "OOMKilled", f"it needed more than its {limit} of memory")
        if code == _KILLED and not self._killed:
            # Not every engine notices (Podman 4 with cgroups v1 does not).
            return ContainerExit(
                code,
                "OOMKilled",
                f"it was killed, not by the local cloud, and may use {limit} of memory: "
                "this is taken for the limit",
            )
        return ContainerExit(code)

    def _kill(self, signal: str) -> None:
        # Not running any more, or the engine is away: then its end is told in another way.
        with contextlib.suppress(*engine_errors()):
            self._client.kill(self.identity, signal)

    def _remove(self) -> None:
        errors = engine_errors()
        try:
            self._client.remove_container(self.identity, force=True, v=True)
        except errors as error:
            if getattr(error, "status_code", None) != 404:
                _log.warning("container %s was not removed: %s", self.identity[:12], said(error))
        with contextlib.suppress(*errors):
            self._client.close()

    # ------------------------------------------------------------------ inside the loop

    async def _take(self, stream: Stream, data: bytes) -> None:
        self._splitters[stream].feed(data)
        if self._output.behind():
            await self._output.ready()

    def _finish(self, exit_: ContainerExit) -> None:
        for splitter in self._splitters.values():
            splitter.close()
        if not self._ended.done():
            self._ended.set_result(exit_)


class _Line:
    """Takes the lines of one stream."""

    def __init__(self, output: Output, stream: Stream) -> None:
        self._take = output.line
        self._stream = stream

    def __call__(self, text: str) -> None:
        self._take(self._stream, text)
