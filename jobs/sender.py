"""The sender: puts MESSAGE_COUNT random integers on the queue INPUT_QUEUE_NAME.

Run by hand, or as a job with a manual trigger: `python sender.py`.
"""

import random
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusSender

from environment import Connection, VariableError, choice, integer, queue, run_id
from servicebus import (
    SEND_TIMEOUT,
    Stop,
    attempting,
    complain,
    connected,
    new_batch,
    opened,
    packed,
    run,
    say,
)


@dataclass(frozen=True)
class Settings:
    connection: Connection
    queue: str
    lowest: int
    highest: int
    count: int
    send_type: str
    run_id: str

    @classmethod
    def from_environment(cls) -> Self:
        lowest, highest = integer("MIN_NUMBER", 1), integer("MAX_NUMBER", 10)
        if highest < lowest:
            raise VariableError(
                "MAX_NUMBER", f"is {highest}", f"an integer of MIN_NUMBER ({lowest}) or more"
            )
        return cls(
            connection=Connection.from_environment(),
            queue=queue("INPUT_QUEUE_NAME"),
            lowest=lowest,
            highest=highest,
            count=integer("MESSAGE_COUNT", 100, minimum=0),
            send_type=choice("SEND_TYPE", "list", ("list", "batch")),
            run_id=run_id(),
        )


class Parameter(NamedTuple):
    """One message to send: its place in the run, counted from 1, its id and its number."""

    place: int
    id: str
    number: int


def parameters(settings: Settings) -> Iterator[Parameter]:
    """What one run sends. The same run sends the same each time, should it be tried again."""
    numbers = random.Random(settings.run_id)  # noqa: S311 - sample data, not a secret
    for place in range(1, settings.count + 1):
        number = numbers.randint(settings.lowest, settings.highest)
        yield Parameter(place, f"{settings.run_id}-{place}", number)


def message_of(parameter: Parameter) -> ServiceBusMessage:
    """The message that carries a parameter: its number in decimal."""
    return ServiceBusMessage(str(parameter.number), message_id=parameter.id)


async def deliveries(
    sender: ServiceBusSender, settings: Settings
) -> AsyncIterator[list[Parameter]]:
    """Send everything; yields what the broker has accepted, as it accepts it.

    A list goes out with one call if one batch can hold it, which is what the SDK makes of a list;
    it refuses a larger one. That one is sent as batches, and it is said.
    """
    batches = packed(parameters(settings), message_of, lambda: new_batch(sender))
    one_call = settings.send_type == "list"
    async for batch, inside in batches:
        if one_call and len(inside) < settings.count:
            say([f"{settings.count} messages are too many for one call; sending them as batches"])
            one_call = False
        await sender.send_messages(batch, timeout=SEND_TIMEOUT)
        yield inside


async def send(settings: Settings, stop: Stop) -> bool:
    """Send all messages, logging each that was accepted. True if that is all of them."""
    say(
        [
            f"Sending {settings.count} integers from {settings.lowest} to {settings.highest} "
            f"to the {settings.queue} queue"
        ]
    )
    sent = 0
    namespace = settings.connection.namespace
    doing = f"sending to the {settings.queue} queue"
    try:
        async with connected(settings.connection) as client:
            sender = client.get_queue_sender(settings.queue)
            async with opened((sender, doing), namespace=namespace):
                with attempting(doing, namespace):
                    async for accepted in deliveries(sender, settings):
                        sent += len(accepted)
                        say(
                            f"[{one.place}] Sent message {one.id}: {one.number}" for one in accepted
                        )
                        if stop:
                            break
    finally:
        if sent < settings.count:
            complain(f"{sent} of {settings.count} messages were sent")
    if sent < settings.count:
        return False
    say([f"Sent {sent} messages to the {settings.queue} queue"])
    return True


if __name__ == "__main__":
    sys.exit(run(Settings.from_environment, send))
