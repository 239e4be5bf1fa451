"""The broker's own code alone, without sockets: `python -m tests.benchmarks.broker_code`.

The bytes that a client would send go straight into the front and what it answers is thrown away,
message after message, so that the caches are warm and the kernel has no part but the store's. The
difference to `broker_cpu` is what an exchange costs whatever is said in it. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import struct
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.localcloud.__main__ import YOUNG
from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.framing import AMQP_HEADER, SASL_FRAME, SASL_HEADER, frame
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
from orchestrator.localcloud.servicebus.front.messages import BATCH_FORMAT
from orchestrator.localcloud.servicebus.front.peer import Peer
from orchestrator.localcloud.servicebus.model import QueueProperties
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from tests.benchmarks.broker_process import NAMESPACE, QUEUE, RULE
from tests.benchmarks.measuring import Row, table

SIZE = 200
ALONE, LISTED = 200, 100
HELD = ALONE + LISTED
WINDOW = t.UInt(2**31 - 1)
_SENDS, _RECEIVES = t.UInt(0), t.UInt(1)  # handles


class Nowhere(asyncio.Transport):
    """A transport that is always ready and writes nothing."""

    def write(self, data: object) -> None:
        pass

    def close(self) -> None:
        pass

    abort = pause_reading = resume_reading = close

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Client:
    """The other end: what it says, as bytes, in the order of the protocol."""

    def __init__(self, peer: Peer, key: str) -> None:
        self._peer = peer
        self._sent = self._received = 0
        peer.connection_made(Nowhere())
        peer.data_received(SASL_HEADER)
        login = t.Described(t.ULong(p.SASL_INIT), [t.Symbol("PLAIN"), f"\0{RULE}\0{key}".encode()])
        peer.data_received(frame(0, encode(login), SASL_FRAME))
        peer.data_received(AMQP_HEADER)
        self.say(p.OPEN, "client", NAMESPACE, t.UInt(65536))
        self.say(p.BEGIN, None, t.UInt(0), WINDOW, WINDOW)
        here = encode(t.Described(t.ULong(p.SOURCE), ["client"]))
        for handle, receives, kind in ((_SENDS, False, p.TARGET), (_RECEIVES, True, p.SOURCE)):
            queue = encode(t.Described(t.ULong(kind), [QUEUE]))
            ends = (queue, here) if receives else (here, queue)
            modes = t.UByte(0), t.UByte(int(receives))
            first = None if receives else t.UInt(0)
            self.say(p.ATTACH, f"link {handle}", handle, receives, *modes, *ends, None, None, first)

    def say(self, code: int, *fields: Any) -> None:
        self._peer.data_received(frame(0, p.body(code, *fields)))

    def transfer(self, payload: bytes, message_format: int = 0) -> bytes:
        tag = encode(struct.pack(">I", self._sent))
        fields = (_SENDS, t.UInt(self._sent), tag, t.UInt(message_format), False)
        self._sent += 1
        return frame(0, p.body(p.TRANSFER, *fields) + payload)

    def credit(self, count: int) -> bytes:
        said = t.UInt(self._received), t.UInt(count)
        self._received += count
        known = WINDOW, t.UInt(self._sent), WINDOW
        return frame(0, p.body(p.FLOW, t.UInt(0), *known, _RECEIVES, *said))

    def completions(self, count: int) -> list[bytes]:
        """Of the last so many deliveries, one by one."""
        accepted = encode(t.Described(t.ULong(p.ACCEPTED), []))
        numbers = range(self._received - count, self._received)
        return [
            frame(0, p.body(p.DISPOSITION, True, t.UInt(n), t.UInt(n), False, accepted))
            for n in numbers
        ]


def message() -> bytes:
    """As the SDK writes one: an id and a data section."""
    properties = t.Described(t.ULong(0x73), [os.urandom(16).hex()])
    return encode(properties) + encode(t.Described(t.ULong(0x75), os.urandom(SIZE)))


async def said(peer: Peer, chunks: Sequence[bytes], queue: Queue, until: int) -> float:
    """Seconds of CPU, of all threads, until so many messages are in the queue without a lock."""
    began = time.process_time()
    for chunk in chunks:
        peer.data_received(chunk)
    while queue._shelf.ready != until:
        await asyncio.sleep(0)
    return time.process_time() - began


async def measure(rounds: int) -> list[Row]:
    """The best of so many rounds: what else the machine does can only add to it."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        broker = Broker(SqliteStore(Path(folder) / "broker.sqlite"), SystemClock())
        await broker.open()
        await broker.put_namespace(NAMESPACE)
        await broker.put_queue(NAMESPACE, QUEUE, QueueProperties(lock_duration=300.0))
        front = ServiceBusFront(broker, lambda token, audiences: {}, SystemClock())
        queue, rule = broker.queue(NAMESPACE, QUEUE), broker.rule(NAMESPACE, RULE)
        assert queue is not None
        assert rule is not None
        peer = Peer(front)
        client = Client(peer, rule.primary_key)
        gc.freeze()  # as the server does
        gc.set_threshold(*YOUNG)
        for _ in range(rounds):
            flight = [b"".join(client.transfer(message()) for _ in range(50)) for _ in range(4)]
            batch = b"".join(encode(t.Described(t.ULong(0x75), message())) for _ in range(LISTED))
            steps = (
                ("sent in flight", ALONE, flight, ALONE),
                ("of a list of 100, sent", LISTED, [client.transfer(batch, BATCH_FORMAT)], HELD),
                ("delivered", HELD, [client.credit(HELD)], 0),
                ("completed by itself", HELD, client.completions(HELD), 0),
            )
            for what, count, chunks, until in steps:
                took = await said(peer, chunks, queue, until)
                found.setdefault(what, []).append(took / count * 1e6)
            began = time.process_time()
            await broker.written()
            took = time.process_time() - began
            found.setdefault("its deletion, written behind", []).append(took / HELD * 1e6)
        await broker.close()
    return [Row(f"a message {what}", min(times), "µs") for what, times in found.items()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.broker_code")
    parser.add_argument("--rounds", type=int, default=60, help="of which the best counts (60)")
    print(table(asyncio.run(measure(parser.parse_args().rounds))))


if __name__ == "__main__":
    main()
