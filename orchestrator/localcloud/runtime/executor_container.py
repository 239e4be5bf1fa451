"""Containers on a container engine: Docker's or Podman's, through the Docker Engine API.

A container shares this machine's network, so that it finds the local cloud at 127.0.0.1 as a
process does. It gets its variables through the engine's API, never on a command line; who may use
the engine can read them there (`docker inspect`), as on every engine. The files of Secret volumes
and the identity of the local authority are copied into the container, and gone with it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import posixpath
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.container_engine import EngineUnavailable, connect, said
from orchestrator.localcloud.runtime import container_files
from orchestrator.localcloud.runtime.container_run import ContainerRun, engine_errors
from orchestrator.localcloud.runtime.model import (
    ContainerHandle,
    ContainerSpec,
    Mount,
    Output,
    ReplicaSpec,
    StartFailure,
)

if TYPE_CHECKING:
    import docker

_log = logging.getLogger(__name__)

LABEL = "io.orchestrator"
"""Prefix of the labels of everything that is made on the engine."""
_AT_ONCE = 8
_NEVER = ("not found", "no such file", "permission denied", "exec format", "is a directory")


class ContainerExecutor:
    """Runs containers on an engine (an `Executor`).

    Args:
        state: The local cloud's state folder: what is made on the engine is labelled with it.
        shared: Files of this machine that variables of a container may name: they are copied in.
    """

    name = "container"

    def __init__(self, state: Path, shared: Sequence[Path] = ()) -> None:
        self.unenforced: tuple[str, ...] = ()
        self._state = str(state)
        self._shared = tuple(shared)
        self._own: set[str] = set()
        self._volumes: set[str] = set()
        self._swept = False
        self._limits: tuple[bool, bool] | None = None
        self._lock = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(_AT_ONCE, "container engine")

    async def check(self) -> None:
        """Whether an engine answers.

        Raises:
            EngineUnavailable: None does.
        """
        await self._run(lambda: connect().close())

    async def start(
        self, replica: ReplicaSpec, container: ContainerSpec, output: Output
    ) -> ContainerHandle:
        """Start a container; its image is pulled when the engine does not have it.

        Raises:
            StartFailure: No engine answers, the image cannot be pulled, or the engine refuses.
        """
        loop = asyncio.get_running_loop()
        started = asyncio.ensure_future(
            self._run(lambda: self._start(loop, replica, container, output))
        )
        try:
            run: ContainerRun = await asyncio.shield(started)
        except asyncio.CancelledError:
            # The thread goes on; what it started must not.
            with contextlib.suppress(StartFailure):
                await (await started).stop(0)
            raise
        return run

    async def release(self, replica: ReplicaSpec) -> None:
        """Remove the replica's volumes."""
        if replica.name in self._volumes:
            self._volumes.discard(replica.name)
            await self._run(lambda: self._remove_volumes("replica", replica.name))

    async def reap(self, marks: Mapping[str, Iterable[str]]) -> int:
        """Remove what an earlier server on this state folder left on the engine."""

        def reap() -> int:
            with self._client() as client:
                return self._sweep(client)

        try:
            return int(await self._run(reap))
        except StartFailure as failure:
            # It is done before the first container starts: an engine has to answer then.
            _log.warning("containers of an earlier server were not removed: %s", failure.message)
            return 0

    # ------------------------------------------------------------------ in threads

    async def _run(self, work: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _start(
        self,
        loop: asyncio.AbstractEventLoop,
        replica: ReplicaSpec,
        container: ContainerSpec,
        output: Output,
    ) -> ContainerRun:
        errors = engine_errors()
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._client())
            self._sweep(client)
            image = self._image(client, container.image)
            config = image.get("Config") or {}
            try:
                identity = self._create(client, replica, container, config)
            except errors as error:
                raise _failure(container, "ContainerCreateFailure", error) from error
            run = ContainerRun(
                loop,
                client,
                identity,
                output,
                memory=container.memory if "memory" not in self.unenforced else None,
                signal=config.get("StopSignal") or "SIGTERM",
                ended=lambda run: self._own.discard(run.identity),
            )
            try:
                run.start()
            except errors as error:
                with contextlib.suppress(*errors):
                    client.remove_container(identity, force=True, v=True)
                self._own.discard(identity)
                raise _failure(container, "ContainerStartFailure", error) from error
            stack.pop_all()  # the client is the container's now
            return run

    @contextlib.contextmanager
    def _client(self) -> Iterator[docker.APIClient]:
        try:
            client = connect()
        except EngineUnavailable as error:
            raise StartFailure(
                "ContainerCreateFailure", f"{error.message} {error.hint}", permanent=False
            ) from error
        try:
            yield client
        finally:
            client.close()

    def _image(self, client: docker.APIClient, reference: str) -> dict[str, Any]:
        """What the engine knows of an image, after a pull if need be."""
        import docker.errors

        errors = engine_errors()
        try:
            found: dict[str, Any] = client.inspect_image(reference)
            return found
        except docker.errors.ImageNotFound:
            pass
        except errors as error:
            raise _pull_failure(reference, said(error), permanent=False) from error
        name, _, digest = reference.partition("@")
        _, _, last = name.rpartition("/")
        tag = digest or (None if ":" in last else "latest")
        try:
            for step in client.pull(reference.split("@")[0], tag=tag, stream=True, decode=True):
                if "error" in step:
                    raise _pull_failure(reference, str(step["error"]))
            found = client.inspect_image(reference)
        except errors as error:
            raise _pull_failure(reference, said(error)) from error
        return found

    def _create(
        self,
        client: docker.APIClient,
        replica: ReplicaSpec,
        container: ContainerSpec,
        config: dict[str, Any],
    ) -> str:
        env = dict(container.env)
        inner = dict(text.partition("=")[::2] for text in config.get("Env") or ())
        files = container_files.platform_files(env, self._shared, inner.get("PYTHONPATH", ""))
        files |= container_files.secret_files(container)
        folders = [mount for mount in container.mounts if mount.secrets is None]
        labels = self._labels(replica, container)
        created = client.create_container(
            container.image,
            name=f"{replica.name}-{container.name}-{container.id[:8]}",
            entrypoint=list(container.command) or None,
            command=list(container.args) or None,
            environment=env,
            labels=labels,
            host_config=self._host_config(client, container, self._mounts(client, folders, labels)),
        )
        identity = str(created["Id"])
        with self._lock:
            self._own.add(identity)
        try:
            if files:
                client.put_archive(identity, "/", container_files.archive(files))
            for mount in folders:
                _open_to_all(client, identity, mount.path)
        except engine_errors():
            with contextlib.suppress(*engine_errors()):
                client.remove_container(identity, force=True, v=True)
            self._own.discard(identity)
            raise
        return identity

    def _labels(self, replica: ReplicaSpec, container: ContainerSpec) -> dict[str, str]:
        return {
            f"{LABEL}.state": self._state,
            f"{LABEL}.job": replica.job,
            f"{LABEL}.execution": replica.execution,
            f"{LABEL}.replica": replica.name,
            f"{LABEL}.container": container.name,
        }

    def _mounts(
        self, client: docker.APIClient, folders: Sequence[Mount], labels: Mapping[str, str]
    ) -> list[Any]:
        import docker.types

        replica = labels[f"{LABEL}.replica"]
        mounts = []
        for mount in folders:
            if mount.sub_path:
                raise StartFailure(
                    "ContainerCreateFailure",
                    f"The volume '{mount.volume}' has the sub path '{mount.sub_path}', which only "
                    'the executor "process" knows for an EmptyDir. Mount the whole volume.',
                    permanent=True,
                )
            name = f"{replica}-{mount.volume}"
            # Made before: it is labelled then, and one for all containers of the replica.
            self._volumes.add(replica)
            client.create_volume(
                name,
                labels={key: labels[key] for key in (f"{LABEL}.state", f"{LABEL}.replica")},
            )
            mounts.append(docker.types.Mount(mount.path, name, type="volume", no_copy=True))
        return mounts

    def _host_config(
        self, client: docker.APIClient, container: ContainerSpec, mounts: list[Any]
    ) -> Any:
        import docker.types

        if self._limits is None:
            # Rootless engines and old kernels cannot limit everything.
            info = client.info()
            quota = bool(info.get("CpuCfsQuota", info.get("CPUCfsQuota", True)))
            self._limits = (quota, bool(info.get("MemoryLimit", True)))
            names = ("cpu", "memory")
            self.unenforced = tuple(
                name for name, can in zip(names, self._limits, strict=True) if not can
            )
        nano_cpus = (
            int(container.cpu * 1_000_000_000) if container.cpu and self._limits[0] else None
        )
        memory = container.memory if self._limits[1] else None
        return client.create_host_config(
            network_mode="host",
            mounts=mounts,
            # The lines are read as they are written; the engine need not keep them as well.
            log_config=docker.types.LogConfig(type=docker.types.LogConfig.types.NONE),
            nano_cpus=nano_cpus,
            mem_limit=memory,
            memswap_limit=memory,  # as much swap in addition as on Azure: none
        )

    def _sweep(self, client: docker.APIClient) -> int:
        """Once: remove what is labelled with our state folder and is not this server's."""
        with self._lock:
            if self._swept:
                return 0
            errors = engine_errors()
            ended = 0
            try:
                found = client.containers(
                    all=True, filters={"label": f"{LABEL}.state={self._state}"}
                )
                for container in found:
                    if container["Id"] not in self._own:
                        ended += container.get("State") == "running"
                        client.remove_container(container["Id"], force=True, v=True)
                self._remove_volumes("state", self._state, client)
            except errors as error:
                raise StartFailure(
                    "ContainerCreateFailure",
                    f"What an earlier local cloud left on the engine cannot be removed: "
                    f"{said(error)}.",
                    permanent=False,
                ) from error
            self._swept = True
            return ended

    def _remove_volumes(
        self, label: str, value: str, client: docker.APIClient | None = None
    ) -> None:
        errors: tuple[type[Exception], ...] = (*engine_errors(), StartFailure)
        try:
            with contextlib.ExitStack() as stack:
                engine = client or stack.enter_context(self._client())
                found = engine.volumes(filters={"label": f"{LABEL}.{label}={value}"})
                for volume in found.get("Volumes") or ():
                    engine.remove_volume(volume["Name"], force=True)
        except errors as error:
            # The next server on this state folder removes them.
            _log.warning("volumes of %s were not removed: %s", value, said(error))


def _open_to_all(client: docker.APIClient, identity: str, path: str) -> None:
    """Let every user write to an EmptyDir, as Kubernetes does."""
    errors = engine_errors()
    # Docker sees the volume from the folder above it, Podman from within.
    for folder, name in ((posixpath.dirname(path), posixpath.basename(path)), (path, ".")):
        with contextlib.suppress(*errors):
            client.put_archive(identity, folder, container_files.open_folder(name))


def _failure(container: ContainerSpec, reason: str, error: Exception) -> StartFailure:
    text = said(error)
    status = getattr(error, "status_code", None)
    what = "created" if reason == "ContainerCreateFailure" else "started"
    return StartFailure(
        reason,
        f"Container '{container.name}' could not be {what}: {text}",
        permanent=status == 400 or any(word in text.lower() for word in _NEVER),
    )


_AWAY = ("timeout", "timed out", "connection refused", "no such host", "unreachable", "tls", "eof")


def _pull_failure(reference: str, text: str, *, permanent: bool | None = None) -> StartFailure:
    away = any(word in text.lower() for word in _AWAY)
    return StartFailure(
        "ImagePullFailure",
        f'Failed to pull image "{reference}": {text.rstrip(".")}. Build it with '
        "`orchestrator images build`, or correct the job's image.",
        permanent=not away if permanent is None else permanent,
    )
