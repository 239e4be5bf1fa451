"""A log store of its own for each test, and short ways to write to it and to ask it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.logs.model import ConsoleLine, SystemEvent
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.logs.store import LogStore
from orchestrator.localcloud.logs.tables import Scope

WORKSPACE = "6a0e2c36-5c1a-4d0e-9f5e-0d6f6b0f7a11"
GROUP = "/subscriptions/0F0F/resourceGroups/Local"
ENVIRONMENT = "local"


def job_id(job: str) -> str:
    return f"{GROUP}/providers/Microsoft.App/jobs/{job}"


class Logs:
    """A store and an engine over it, with a clock that stands still."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.clock = ManualClock()
        workspace_of = options.pop("workspace_of", lambda _: WORKSPACE)
        limits = options.pop("limits", None)
        self.store = LogStore(path, self.clock, workspace_of=workspace_of, **options)
        self.engine = QueryEngine(self.store, self.clock, limits=limits)

    async def start(self) -> Logs:
        await self.store.start()
        return self

    async def close(self) -> None:
        await self.engine.close()
        await self.store.close()

    def line(self, text: str, **fields: Any) -> None:
        given: dict[str, Any] = {
            "time": self.clock.time(),
            "stream": "stdout",
            "job": "sender",
            "execution": "sender-abc1234",
            "replica": "sender-abc1234-x1y2z",
            "container": "sender",
            "image": "sender:latest",
            "environment": ENVIRONMENT,
        } | fields
        self.store.console(ConsoleLine(text=text, **{"resource_id": job_id(given["job"])} | given))

    def event(self, reason: str, text: str = "", **fields: Any) -> None:
        given: dict[str, Any] = {
            "time": self.clock.time(),
            "job": "sender",
            "execution": "sender-abc1234",
            "replica": "sender-abc1234-x1y2z",
            "type": "Normal",
            "environment": ENVIRONMENT,
        } | fields
        self.store.system(
            SystemEvent(reason=reason, text=text, **{"resource_id": job_id(given["job"])} | given)
        )

    async def answer(self, query: str, **options: Any) -> dict[str, Any]:
        """The whole JSON answer."""
        options.setdefault("scope", Scope(workspaces=(WORKSPACE,)))
        result = await self.engine.execute(query, **options)
        answer: dict[str, Any] = json.loads(result.json(statistics=True, render=True))
        return answer

    async def rows(self, query: str, **options: Any) -> list[list[Any]]:
        """The rows of the first table."""
        answer = await self.answer(query, **options)
        rows: list[list[Any]] = answer["tables"][0]["rows"]
        return rows

    async def texts(self, query: str = "ContainerAppConsoleLogs_CL") -> list[str]:
        """All lines in order."""
        rows = await self.rows(f"{query} | order by _timestamp_d asc | project Log_s")
        return [row[0] for row in rows]


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[Logs]:
    opened = await Logs(tmp_path / "logs.duckdb").start()
    yield opened
    await opened.close()
