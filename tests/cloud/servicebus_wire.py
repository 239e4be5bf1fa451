"""A raw AMQP client on a socket, for what no decent client does."""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.framing import AMQP_HEADER, SASL_HEADER, frame
from tests.cloud.servicebus_bus import RULE, Bus


def terminus(kind: int, address: str) -> bytes:
    return encode(t.Described(t.ULong(kind), [address]))


class Wire:
    """One connection; `opened` has said everything up to a session on channel 1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def dialled(cls, bus: Bus) -> Wire:
        host, _, port = bus.plain.partition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    @classmethod
    async def opened(
        cls, bus: Bus, key: str | None = None, idle_ms: int | None = None, rule: str = RULE
    ) -> Wire:
        wire = await cls.dialled(bus)
        response = f"\0{rule}\0{key or bus.key}".encode()
        wire.write(
            SASL_HEADER + frame(0, p.body(p.SASL_INIT, t.Symbol("PLAIN"), encode(response)), 1)
        )
        wire.write(AMQP_HEADER)
        idle = None if idle_ms is None else t.UInt(idle_ms)
        wire.send(0, p.OPEN, "wire", "127.0.0.1", t.UInt(65536), None, idle)
        wire.send(1, p.BEGIN, None, t.UInt(0), t.UInt(10_000), t.UInt(10_000))
        try:
            await wire.until(p.BEGIN)
        except BaseException:
            await wire.drop()
            raise
        return wire

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def send(self, channel: int, code: int, *fields: Any, payload: bytes = b"") -> None:
        self.write(frame(channel, p.body(code, *fields) + payload))

    def attach(self, handle: int, address: str, *, receive: bool, name: str | None = None) -> None:
        self.send(
            1, p.ATTACH, name or f"link-{handle}", t.UInt(handle), receive, t.UByte(0), t.UByte(0),
            terminus(p.SOURCE, address if receive else "me"),
            terminus(p.TARGET, "me" if receive else address), None, None, t.UInt(0),
        )  # fmt: skip

    def transfer(self, handle: int, number: int, payload: bytes, *, more: bool = False) -> None:
        self.send(
            1, p.TRANSFER, t.UInt(handle), t.UInt(number), encode(number.to_bytes(4, "big")),
            t.UInt(0), False, more, payload=payload,
        )  # fmt: skip

    def credit(self, handle: int, credit: int) -> None:
        self.send(
            1, p.FLOW, t.UInt(0), t.UInt(10_000), t.UInt(0), t.UInt(10_000), t.UInt(handle),
            t.UInt(0), t.UInt(credit),
        )  # fmt: skip

    async def read(self) -> tuple[int, list[Any]]:
        """`(code, fields)` of the next frame; code 0 for a protocol header or an empty frame.

        Raises `IncompleteReadError` when the server has closed.
        """
        code, fields, _ = await self.frame()
        return code, fields

    async def frame(self) -> tuple[int, list[Any], bytes]:
        """As `read`, and the payload."""
        head = await asyncio.wait_for(self.reader.readexactly(8), 10)
        if head[:4] == b"AMQP" or head[:4] == b"\0\0\0\x08":
            return 0, [], b""
        rest = await asyncio.wait_for(
            self.reader.readexactly(int.from_bytes(head[:4], "big") - 8), 10
        )
        code, fields, end = p.decode_fields(rest, 0)
        return code, fields, rest[end:]

    async def ask(self, node: str, *asked: tuple[str, dict[Any, Any]]) -> list[tuple[int, Any]]:
        """Status and body of each request's answer, by one pair of links (handles 0 and 1)."""
        self.attach(0, node, receive=True)
        self.attach(1, node, receive=False)
        self.credit(0, 1000)
        await self.until(p.FLOW)
        found = []
        for number, (name, body) in enumerate(asked):
            self.transfer(1, number, request(name, body, number))
            code = 0
            while code != p.TRANSFER:
                code, fields, payload = await self.frame()
                assert code not in (p.CLOSE, p.DETACH), (fields, asked[: number + 1])
            parts = s.split(payload)
            status = s.map_of(parts.application_properties)["statusCode"]
            found.append((int(status), s.value_of(parts.body)))
        return found

    async def until(self, code: int) -> list[Any]:
        """The fields of the next frame of that kind."""
        while True:
            found, fields = await self.read()
            if found == code:
                return fields
            assert found != p.CLOSE, f"closed: {fields}"

    async def closed_with(self) -> str | None:
        """The condition with which the server closes the connection."""
        (error, *_) = await self.until(p.CLOSE)
        return None if error is None else p.read_error(error).condition

    async def drop(self) -> None:
        """Go without a word."""
        self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


def request(operation: str, body: dict[Any, Any], number: int = 1) -> bytes:
    """A $management request."""
    return (
        s.section(s.PROPERTIES, [t.ULong(number), None, None, None, "me"])
        + s.section(s.APPLICATION_PROPERTIES, {"operation": f"com.microsoft:{operation}"})
        + s.section(s.VALUE, body)
    )
