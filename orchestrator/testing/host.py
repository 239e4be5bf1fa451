"""A local cloud in a thread of this process, with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from orchestrator.clock import Clock
    from orchestrator.localcloud.server import LocalCloud

T = TypeVar("T")


class Host:
    """Runs a `LocalCloud` on free ports.

    Args:
        state: Its state folder.
        project: The folder of the orchestrator.toml that says how images run; None: no image does.
        clock: Its time; None: the machine's, which can be steered.
        rbac: Whether it obeys role assignments.

    Attributes:
        server: The `LocalCloud`; touch it only inside `call`.
        connection: What its cloud.json holds.
    """

    def __init__(
        self,
        state: Path,
        project: Path | None,
        clock: Clock | None = None,
        rbac: Literal["off", "enforce"] = "off",
    ) -> None:
        from orchestrator.localcloud.config import CloudConfig
        from orchestrator.localcloud.server import LocalCloud

        config = CloudConfig(
            state, project, port=0, identity_port=0, amqp_port=0, amqps_port=0, rbac=rbac
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="local cloud", daemon=True
        )
        self._thread.start()
        self.server: LocalCloud = LocalCloud(config, clock)
        try:
            self.connection: dict[str, Any] = self.call(self.server.start())
        except BaseException:
            self._end_loop()
            raise

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 60.0) -> T:
        """Run a coroutine in its loop and wait for its result; at most `timeout` seconds."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def stop(self) -> None:
        """Stop it and its replicas."""
        try:
            self.call(self.server.stop())
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        async def drop_connections() -> None:
            # TLS waits for its peer's goodbye, and the peer is a client in this very process.
            for transport in list(getattr(self._loop, "_transports", {}).values()):
                transport.abort()
            await asyncio.sleep(0)

        self.call(drop_connections())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
