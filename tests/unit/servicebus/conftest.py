from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.servicebus.world import World, world_of


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A broker on each kind of store: what holds on one must hold on the other."""
    world = await world_of(request.param, tmp_path).start()
    yield world
    await world.broker.close()


@pytest.fixture
async def memory_world(tmp_path: Path) -> AsyncIterator[World]:
    """For what does not touch the store."""
    world = await world_of("memory", tmp_path).start()
    yield world
    await world.broker.close()
