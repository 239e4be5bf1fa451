"""The pytest plugin: fixtures for tests of Container Apps jobs. See docs/testing.md.

Cheap to load: nothing of the library is imported until a fixture is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

if TYPE_CHECKING:
    from orchestrator.testing.cloud import IsolatedCloud

Factory: TypeAlias = "Callable[..., IsolatedCloud]"


@pytest.fixture
def local_cloud_settings() -> str | os.PathLike[str] | None:
    """The orchestrator.toml that `local_cloud` begins with; override it to name yours."""
    return None


@pytest.fixture(scope="session")
def local_cloud_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    """Makes isolated local clouds that live until the session ends: `factory(settings=…, clock=…)`.

    For one that several tests share, put it into a fixture of a wider scope.
    """
    from orchestrator.testing.cloud import IsolatedCloud

    with contextlib.ExitStack() as open_:

        def make(**options: Any) -> IsolatedCloud:
            cloud = IsolatedCloud(tmp_path_factory.mktemp("local-cloud"), **options)
            return open_.enter_context(cloud)

        yield make


@pytest.fixture
def local_cloud(
    tmp_path_factory: pytest.TempPathFactory,
    local_cloud_settings: str | os.PathLike[str] | None,
) -> Iterator[IsolatedCloud]:
    """A local cloud for this test alone: its own ports, state and time."""
    from orchestrator.testing.cloud import IsolatedCloud

    folder = tmp_path_factory.mktemp("local-cloud")
    with IsolatedCloud(folder, settings=local_cloud_settings) as cloud:
        yield cloud
