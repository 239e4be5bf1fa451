"""The crash machine on the memory store, and on SQLite files copied as the crash left them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.unit.servicebus.crash_machine import CrashMachine
from tests.unit.servicebus.crashing import Disk, FileDisk


class FileCrashMachine(CrashMachine):
    """The same on SQLite."""

    def make_disk(self) -> Disk:
        self.folder = tempfile.TemporaryDirectory()
        return FileDisk(Path(self.folder.name))

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


_COMMON = {
    "stateful_step_count": 60,
    "deadline": None,
    "report_multiple_bugs": False,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
CrashMachine.TestCase.settings = settings(max_examples=200, **_COMMON)
FileCrashMachine.TestCase.settings = settings(max_examples=40, **_COMMON)


@pytest.mark.timeout(600)
class TestCrashesInMemory(CrashMachine.TestCase):  # type: ignore[misc,name-defined]
    """Runs the machine."""


@pytest.mark.timeout(600)
class TestCrashesOnDisk(FileCrashMachine.TestCase):  # type: ignore[misc,name-defined]
    """Runs the machine."""


def test_a_state_asked_for_later_may_be_what_a_crash_leaves() -> None:
    """The machine's own reckoning: the first is known to be kept, the second is written unheard."""
    machine = CrashMachine()
    machine.keep_state(name="b", state=b"1")
    machine.keep_state(name="b", state=None)
    machine.write(count=1)
    machine.crash(committed=1)
    machine.nothing_is_lost_and_nothing_is_twice()
    machine.teardown()
