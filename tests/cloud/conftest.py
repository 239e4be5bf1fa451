"""Fixtures of the tests that speak to a server over the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cloud.payloads import Place
    from tests.cloud.servicebus_bus import Bus
    from tests.conftest import CloudInThread


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A Service Bus of its own for each module."""
    from tests.cloud.servicebus_bus import Bus

    running = Bus(tmp_path_factory.mktemp("bus"))
    yield running
    running.close()


@pytest.fixture
def place(cloud: CloudInThread) -> Iterator[Callable[..., Place]]:
    """Makes places where payloads run; with the test, those end that it started."""
    from tests.cloud.payloads import Place

    places: list[Place] = []

    def make(*, lock: float = 300, unique_parameters: bool = False) -> Place:
        places.append(Place(cloud, lock=lock, unique_parameters=unique_parameters))
        return places[-1]

    yield make
    for one in places:
        one.close()
