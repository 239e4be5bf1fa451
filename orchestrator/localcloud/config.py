"""What a local cloud is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class CloudConfig:
    """How to start a local cloud.

    Attributes:
        state: Its state folder; made when it is not there.
        project: The folder whose `orchestrator.toml` says how images run as processes.
        port, identity_port, amqp_port, amqps_port: Ports to use; None: the remembered or preferred
            one; 0: any free one (remembered from then on).
        executor: What a replica is: a process of this machine, or containers on an engine.
        rbac: Whether role assignments are obeyed ("enforce"), or everybody may do everything.
        throttling: Whether Resource Manager refuses callers that ask more often than Azure allows.
        limits: Service Bus's quotas and sizes: those of Azure, or without what only protects it.
    """

    state: Path
    project: Path | None = None
    port: int | None = None
    identity_port: int | None = None
    amqp_port: int | None = None
    amqps_port: int | None = None
    executor: Literal["process", "container"] = "process"
    rbac: Literal["off", "enforce"] = "off"
    limits: Literal["strict", "relaxed"] = "strict"
    throttling: Literal["off", "enforce"] = "off"

    @property
    def pinned(self) -> dict[str, int | None]:
        """The ports by listener."""
        return {
            "https": self.port,
            "identity": self.identity_port,
            "amqp": self.amqp_port,
            "amqps": self.amqps_port,
        }
