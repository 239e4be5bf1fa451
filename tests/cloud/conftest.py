"""Fixtures of the tests that speak to a server over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cloud.servicebus_bus import Bus


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A Service Bus of its own for each module."""
    from tests.cloud.servicebus_bus import Bus

    running = Bus(tmp_path_factory.mktemp("bus"))
    yield running
    running.close()
