from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.runtime.doubles import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A running runtime in a ManualClock's time."""
    built = House(tmp_path)
    await built.runtime.start()
    yield built
    await built.runtime.stop()
