"""The receiver: logs each result on OUTPUT_QUEUE_NAME, until none has come for MAX_WAIT_TIME
seconds.

Run by hand, or as a job with an event trigger: `python receiver.py`. A result is completed only
after its line was written: should this process die in between, the line is written again, and no
result is lost.
"""

import re
import sys
from dataclasses import dataclass
from typing import Self

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

from environment import Connection, integer, queue, seconds
from servicebus import (
    Stop,
    abbreviated,
    arrivals,
    attempting,
    complain,
    connected,
    id_of,
    opened,
    run,
    say,
    text_of,
)
from settlement import give_back, report, settle

_INTEGER = re.compile(r"\s*([+-]?[0-9]+)\s*", re.ASCII)


@dataclass(frozen=True)
class Settings:
    connection: Connection
    queue: str
    per_call: int
    patience: float

    @classmethod
    def from_environment(cls) -> Self:
        return cls(
            connection=Connection.from_environment(),
            queue=queue("OUTPUT_QUEUE_NAME"),
            per_call=integer("MAX_MESSAGE_COUNT", 20, minimum=1),
            patience=seconds("MAX_WAIT_TIME", 5),
        )


def number_in(message: ServiceBusReceivedMessage) -> str | None:
    """The integer in the body of a message, in decimal; None if there is none."""
    match = _INTEGER.fullmatch(text_of(message))
    return match[1] if match else None


class Receiver:
    """One execution: what it has in hand, and what became of it."""

    def __init__(self, receiver: ServiceBusReceiver, stop: Stop) -> None:
        self.receiver = receiver
        self.stop = stop
        self.unfinished: list[ServiceBusReceivedMessage] = []
        self.received = self.failed = 0

    async def handle(self, messages: list[ServiceBusReceivedMessage]) -> None:
        """Log some results, then complete them. When told to stop, it leaves them as they are."""
        self.unfinished = messages
        if self.stop:
            return
        results, others = list[ServiceBusReceivedMessage](), list[ServiceBusReceivedMessage]()
        lines = []
        for message in messages:
            number = number_in(message)
            if number is None:
                others.append(message)
                continue
            self.received += 1
            results.append(message)
            lines.append(
                f"[{self.received}] Received result {id_of(message)}: {abbreviated(number)}"
            )
        say(lines)
        self.unfinished = []
        completing = await settle(self.receiver.complete_message, results)
        dead_lettering = await settle(self.dead_letter, others)
        self.failed += report(completing, "completed") + report(dead_lettering, "dead-lettered")

    async def dead_letter(self, message: ServiceBusReceivedMessage) -> None:
        """Move a message that holds no number to the dead-letter queue."""
        await self.receiver.dead_letter_message(
            message, reason="NotAnInteger", error_description="the body is not an integer"
        )
        complain(f"Dead-lettered message {id_of(message)}: NotAnInteger")


async def receive(settings: Settings, stop: Stop) -> bool:
    """Log and complete results until there are no more. True if none of them failed."""
    say(
        [
            f"Receiving results from the {settings.queue} queue, "
            f"until none comes for {settings.patience:g} s"
        ]
    )
    namespace = settings.connection.namespace
    receiving = f"receiving from the {settings.queue} queue"
    async with connected(settings.connection) as client:
        link = client.get_queue_receiver(settings.queue)
        async with opened((link, receiving), namespace=namespace):
            receiver = Receiver(link, stop)
            try:
                with attempting(receiving, namespace):
                    async for messages in arrivals(
                        link,
                        stop,
                        per_call=settings.per_call,
                        at_most=None,
                        patience=settings.patience,
                    ):
                        await receiver.handle(messages)
            finally:
                await give_back(link, receiver.unfinished)
                say([f"Received {receiver.received} results from the {settings.queue} queue"])
    return receiver.failed == 0


if __name__ == "__main__":
    sys.exit(run(Settings.from_environment, receive))
