"""The payloads, while the broker they talk to goes away and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud.payloads import Place, processed, received, sent
from tests.conftest import CloudInThread


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[CloudInThread]:
    """A cloud of the test's own; it comes back on the ports it had."""
    running = CloudInThread(tmp_path / "cloud")
    yield running
    running.stop()


def restart(cloud: CloudInThread) -> None:
    cloud.stop()
    cloud.start()


def test_a_processor_goes_on_after_the_broker_was_restarted(
    cloud: CloudInThread, place: Callable[..., Place]
) -> None:
    # What was on its way when the connection broke comes again when its lock has expired.
    here = place(lock=5, unique_parameters=False)
    total = 6000
    here.put(*["7"] * total)
    process = here.start("processor", MAX_WAIT_TIME="6")
    process.until("Processed message")
    restart(cloud)
    process.wait(100)
    assert "Traceback" not in process.stderr
    assert here.active(here.parameters) == here.dead(here.parameters) == 0, process.stderr
    assert here.active(here.results) == total
    assert {one for one, _, _ in processed(process.stdout)} <= {f"put-{n}" for n in range(total)}


def test_a_receiver_that_waits_goes_on_after_the_broker_was_restarted(
    cloud: CloudInThread, place: Callable[..., Place]
) -> None:
    here = place(lock=300, unique_parameters=False)
    here.put("7", "8")
    process = here.start("receiver", MAX_WAIT_TIME="8")
    process.until("Receiving results")
    restart(cloud)
    assert here.run("processor").returncode == 0
    process.wait(100)
    assert process.returncode == 0, process.stderr
    assert set(received(process.stdout)) == {("put-0-result", "8"), ("put-1-result", "13")}


def test_a_sender_sends_everything_though_the_broker_was_restarted(
    cloud: CloudInThread, place: Callable[..., Place]
) -> None:
    here = place(lock=300, unique_parameters=True)
    process = here.start("sender", MESSAGE_COUNT="40000")
    process.until("Sent message")
    restart(cloud)
    process.wait(100)
    assert process.returncode == 0, process.stderr
    assert len({one for one, _ in sent(process.stdout)}) == 40_000
    assert here.active(here.parameters) == 40_000
