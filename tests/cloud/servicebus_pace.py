"""The SDK at a test's pace.

Opening a link it looks for the next step every 50 ms, and closing one it waits for a thread that
sleeps whole seconds. Neither is what a test of ours is about, and there are hundreds of links.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

LONGEST = 0.01  # seconds


@contextmanager
def brisk_sdk() -> Iterator[None]:
    """For the length of the block the SDK's links sleep only for moments."""
    from azure.servicebus import _servicebus_receiver, _servicebus_sender
    from azure.servicebus._pyamqp import client

    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, LONGEST))

    brisk = SimpleNamespace(**{**vars(time), "sleep": sleep})
    with pytest.MonkeyPatch.context() as patch:
        for module in (client, _servicebus_receiver, _servicebus_sender):
            patch.setattr(module, "time", brisk)
        yield
