"""A broker behind its AMQP front, in a process of its own.

`python -m tests.benchmarks.broker_process FOLDER` says on a line where it listens and with which
key, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.localcloud.__main__ import YOUNG
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore

NAMESPACE = "bench"
RULE = "RootManageSharedAccessKey"
QUEUE = "measured"


def _nobody(token: str, audiences: object) -> dict[str, Any]:
    raise PermissionError("only keys are accepted here")


async def main(folder: Path) -> None:
    broker = Broker(SqliteStore(folder / "broker.sqlite"), SystemClock())
    await broker.open()
    await broker.put_namespace(NAMESPACE)
    await broker.put_queue(NAMESPACE, QUEUE, QueueProperties(lock_duration=300.0))
    front = ServiceBusFront(broker, _nobody, SystemClock())
    ports = await front.start("127.0.0.1", 0)
    rule = broker.rule(NAMESPACE, RULE)
    assert rule is not None
    gc.freeze()  # as the server does
    gc.set_threshold(*YOUNG)
    print(json.dumps({"port": ports.plain, "key": rule.primary_key}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await front.stop()
    await broker.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
