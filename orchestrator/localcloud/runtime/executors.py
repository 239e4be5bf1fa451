"""Which executor a local cloud runs its containers with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.container_engine import EngineUnavailable
from orchestrator.localcloud.config import CloudConfig
from orchestrator.localcloud.runtime.executor_process import ProcessExecutor
from orchestrator.localcloud.runtime.model import Executor
from orchestrator.localcloud.state import LocalCloudError


async def executor_of(config: CloudConfig, state: Path, shared: Sequence[Path]) -> Executor:
    """The executor that the settings ask for.

    Args:
        config: What the local cloud was started with.
        state: Its state folder.
        shared: Files that variables of replicas name.

    Raises:
        LocalCloudError: It is the container executor, and no engine answers.
    """
    if config.executor == "process":
        return ProcessExecutor(config.project, state)
    # Imported here: who runs processes needs nothing of it.
    from orchestrator.localcloud.runtime.executor_container import ContainerExecutor

    executor = ContainerExecutor(state, shared)
    try:
        await executor.check()
    except EngineUnavailable as error:
        raise LocalCloudError(
            error.message, f'{error.hint} Or run jobs as processes: executor = "process".'
        ) from error
    return executor
