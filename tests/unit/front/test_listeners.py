"""Which ports the listeners get, and what yields where one is taken."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from orchestrator.localcloud import listeners
from orchestrator.localcloud.state import PORTS, LocalCloudError, Settings

NONE: dict[str, int | None] = dict.fromkeys(PORTS)
ANY: dict[str, int | None] = dict.fromkeys(PORTS, 0)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind((listeners.HOST, 0))
        other.listen()
        yield int(other.getsockname()[1])


def bound(settings: Settings, pinned: dict[str, int | None]) -> dict[str, int]:
    for opened in listeners.bind(settings, pinned).values():
        opened.close()
    return dict(settings.ports)


def test_any_free_port_is_remembered() -> None:
    settings = Settings()
    first = bound(settings, ANY)
    assert all(first.values())
    assert bound(settings, ANY) == first
    assert bound(settings, NONE) == first


def test_a_remembered_port_that_is_taken_is_refused(taken: int) -> None:
    """Jobs hold it; the way out that is told works."""
    settings = Settings()
    bound(settings, ANY)
    settings.ports["https"] = taken
    with pytest.raises(LocalCloudError, match=f"Port {taken} for Resource Manager") as refusal:
        bound(settings, NONE)
    assert "--port N" in (refusal.value.hint or "")
    assert settings.ports["https"] == taken
    assert bound(settings, NONE | {"https": 0})["https"] not in (0, taken)


def test_a_port_that_is_asked_for_by_number_is_not_replaced(taken: int) -> None:
    with pytest.raises(LocalCloudError, match=f"Port {taken} for Service Bus"):
        bound(Settings(), ANY | {"amqps": taken})
