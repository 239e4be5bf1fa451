"""Fixtures for every suite."""

from __future__ import annotations

import gc
import json
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import hypothesis
import pytest

from orchestrator.clock import Clock
from orchestrator.localcloud.server import LocalCloud
from orchestrator.testing.host import Host
from tests.left_open import close_what_azure_servicebus_does_not, left_open

T = TypeVar("T")

# No timing is asserted: how long an example takes depends on what else the machine does.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

# A shell starts what runs in its background with SIGINT ignored, and children inherit that: the
# programs of the tests that press Ctrl-C would never hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_UNIT = Path(__file__).parent / "unit"


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there before the first test stays; the collector need not look at it again."""
    if any(_UNIT not in item.path.parents for item in session.items):
        close_what_azure_servicebus_does_not()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _everything_is_closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each module closes what it opens. One that failed has told enough."""
    failed = request.session.testsfailed
    yield
    left = left_open()
    if request.session.testsfailed == failed:
        assert not left, "\n".join(["this module left open:", *left])


class Token:
    """A TokenCredential (sync) over the managed-identity endpoint, as the SDKs want it."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._identity = connection["identity"]

    def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        answer = self._fetch(scopes[0])
        return AccessToken(answer["access_token"], int(answer["expires_on"]))

    def text(self, resource: str = "https://management.azure.com") -> str:
        """A bare token for an audience."""
        return str(self._fetch(resource)["access_token"])

    def _fetch(self, scope: str) -> dict[str, Any]:
        query = urllib.parse.urlencode(
            {"api-version": "2019-08-01", "resource": scope.removesuffix("/.default")}
        )
        request = urllib.request.Request(
            f"{self._identity['endpoint']}?{query}",
            headers={"X-IDENTITY-HEADER": self._identity["header"]},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


class CloudInThread:
    """A LocalCloud that lives in a thread with a loop of its own.

    Attributes:
        connection: What cloud.json holds.
        server: The LocalCloud; touch it only inside `call`.
        credential: A TokenCredential for its SDK clients.
        ca: Path of its CA certificate, for `connection_verify`.
        project: The folder whose orchestrator.toml names the images.
        rbac: Whether its role assignments are obeyed.
    """

    rbac: ClassVar[Literal["off", "enforce"]] = "off"

    def __init__(
        self, state: Path, project: Path | None = None, clock: Clock | None = None
    ) -> None:
        self.state = state
        self.project = project
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Start (again) on the same state folder."""
        self._host = Host(self.state, self.project, self._clock, self.rbac)
        self.server: LocalCloud = self._host.server
        self.connection: dict[str, Any] = self._host.connection
        self.credential = Token(self.connection)
        self.ca = self.connection["ca"]

    def call(self, work: Coroutine[Any, Any, T], timeout: float = 60) -> T:
        """Run a coroutine in the cloud's loop and wait for its result."""
        return self._host.call(work, timeout)

    def stop(self) -> None:
        """Stop it as SIGTERM would."""
        self._host.stop()

    def until(self, test: Any, timeout: float = 20, interval: float = 0.02) -> Any:
        """Ask `test` again and again until it gives something true, and return that."""
        end = time.monotonic() + timeout
        while not (value := test()):
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout} s: {test}")
            time.sleep(interval)
        return value


PROJECT = """\
# The image `python` runs what a container's args say: args = ["-c", "print(1)"].
[images.python]
process = ["{python}"]
"""


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudInThread]:
    """One local cloud for the whole session; use names of your own in it.

    Its project knows the image `python`, which is this interpreter without arguments.
    """
    project = tmp_path_factory.mktemp("project")
    (project / "orchestrator.toml").write_text(PROJECT, "utf-8")
    running = CloudInThread(tmp_path_factory.mktemp("cloud"), project)
    yield running
    running.stop()
