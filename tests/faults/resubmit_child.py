"""Resubmits a queue's dead letters; `tests/faults/test_resubmit.py` ends it at random moments."""

from __future__ import annotations

import sys

import orchestrator
from tests.cloud.servicebus_pace import brisk_sdk

if __name__ == "__main__":
    settings, queue = sys.argv[1:]
    with brisk_sdk(), orchestrator.connect(settings=settings) as orc:
        print("ready", flush=True)
        outcome = orc.queues[queue].dead_letters.resubmit(
            on_progress=lambda done, total: print(done, total, flush=True)
        )
    print("left", outcome.left, flush=True)
