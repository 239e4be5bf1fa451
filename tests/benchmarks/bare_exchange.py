"""What one exchange costs a server in asyncio that does nothing else: reads, and writes an answer.

Below this no broker in asyncio can be, whatever it does for a message that is sent and awaited, or
completed and awaited, by itself. `python -m tests.benchmarks.bare_exchange` is the server.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time

import psutil

EXCHANGES = 10_000
ANSWER = bytes(30)


class Answering(asyncio.BufferedProtocol):
    """Writes the same for whatever comes."""

    def __init__(self) -> None:
        self._buffer = bytearray(4096)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert self._transport is not None
        self._transport.write(ANSWER)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def exchange(busy: float) -> float:
    """Microseconds of the server's CPU for an exchange with a client that works for so many seconds
    after each, as one does that reads and writes messages in Python."""
    command = [sys.executable, "-m", "tests.benchmarks.bare_exchange"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = psutil.Process(process.pid)
            before = server.cpu_times()
            for _ in range(EXCHANGES):
                client.send(ANSWER)
                client.recv(100)
                until = time.perf_counter() + busy
                made: list[list[int]] = []
                while time.perf_counter() < until:
                    made.append([len(made)])
            after = server.cpu_times()
        process.communicate()
    used = after.user - before.user + after.system - before.system
    return used / EXCHANGES * 1e6


if __name__ == "__main__":
    asyncio.run(serve())
