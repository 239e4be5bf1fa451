"""The processor: turns each integer n on INPUT_QUEUE_NAME into the nth Fibonacci number on
OUTPUT_QUEUE_NAME.

Run by hand, or as a job with a schedule or an event trigger: `python processor.py`. It takes at
most MAX_MESSAGE_COUNT messages and ends earlier when none has come for MAX_WAIT_TIME seconds.

An input is completed only after its result was accepted, and a result's message id derives from
its input's. So nothing is lost when this process dies between the two, and the result that is then
sent a second time is dropped by a queue with duplicate detection.
"""

import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage
from azure.servicebus.aio import AutoLockRenewer, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError

from environment import Connection, integer, queue, seconds
from fibonacci import StoppedError, count_digits, fibonacci
from servicebus import (
    SEND_TIMEOUT,
    Stop,
    abbreviated,
    arrivals,
    attempting,
    complain,
    connected,
    derived_id,
    id_of,
    new_batch,
    opened,
    packed,
    run,
    say,
    text_of,
)
from settlement import give_back, report, settle

QUICK = 20_000
"""Up to this n a result takes well under a millisecond. Larger ones are computed one by one in a
thread, with their locks renewed."""

LONGEST_WORK = 24 * 3600.0
"""Seconds for which a lock is renewed at most; the job's time-out ends the work much earlier."""

_INTEGER = re.compile(r"\s*\+?0*([0-9]+)\s*", re.ASCII)
_SHOWN = 80  # characters of a body in a dead-letter description


@dataclass(frozen=True)
class Settings:
    connection: Connection
    input_queue: str
    output_queue: str
    at_most: int
    patience: float

    @classmethod
    def from_environment(cls) -> Self:
        return cls(
            connection=Connection.from_environment(),
            input_queue=queue("INPUT_QUEUE_NAME"),
            output_queue=queue("OUTPUT_QUEUE_NAME"),
            at_most=integer("MAX_MESSAGE_COUNT", 20, minimum=1),
            patience=seconds("MAX_WAIT_TIME", 5),
        )


class Poison(NamedTuple):
    """Why no attempt can process a message: it goes to the dead-letter queue with this."""

    reason: str
    description: str


class Task(NamedTuple):
    message: ServiceBusReceivedMessage
    id: str
    n: int


class Answer(NamedTuple):
    task: Task
    result: str


class Poisoned(NamedTuple):
    message: ServiceBusReceivedMessage
    poison: Poison


def read(body: str, largest: int) -> int | Poison:
    """The n in the body of a message, if its result may fit in a message of `largest` bytes."""
    match = _INTEGER.fullmatch(body)
    if match is None or match[1] == "0":
        shown = abbreviated(body, _SHOWN)
        return Poison("NotAPositiveInteger", f"the body {shown!r} is not a positive integer")
    digits = match[1]
    # 18 digits are far beyond any message; beyond 4,300 Python would not even convert them.
    if len(digits) > 18 or count_digits(int(digits)) > largest:
        return too_large(digits, largest)
    return int(digits)


def too_large(n: str, largest: int) -> Poison:
    """The poison of an n whose result does not fit in a message of `largest` bytes."""
    return Poison(
        "ResultTooLarge",
        f"fibonacci({abbreviated(n, _SHOWN)}) does not fit in a message of {largest} bytes",
    )


def message_of(answer: Answer) -> ServiceBusMessage:
    """The message that carries a result."""
    return ServiceBusMessage(
        answer.result,
        message_id=derived_id(answer.task.id, "result"),
        correlation_id=answer.task.id,
    )


class Processor:
    """One execution: what it has in hand, and what became of it."""

    def __init__(
        self,
        settings: Settings,
        receiver: ServiceBusReceiver,
        sender: ServiceBusSender,
        largest: int,
        stop: Stop,
    ) -> None:
        self.settings = settings
        self.receiver = receiver
        self.sender = sender
        self.largest = largest
        self.stop = stop
        # Never closed: that would wait for its tasks, each asleep for up to a second. They end
        # with the event loop.
        self.renewer = AutoLockRenewer(max_lock_renewal_duration=LONGEST_WORK)
        self.unfinished: dict[int, ServiceBusReceivedMessage] = {}  # by identity
        self.completed = self.dead_lettered = self.failed = 0

    async def handle(self, messages: Sequence[ServiceBusReceivedMessage]) -> None:
        """Process some messages. When told to stop, it leaves the rest of them in `unfinished`."""
        self.unfinished = {id(message): message for message in messages}
        quick, slow, poisoned = list[Task](), list[Task](), list[Poisoned]()
        for message in messages:
            n = read(text_of(message), self.largest)
            if isinstance(n, Poison):
                poisoned.append(Poisoned(message, n))
            else:
                (quick if n <= QUICK else slow).append(Task(message, id_of(message), n))
        for task in slow:
            self.renewer.register(self.receiver, task.message)
        if self.stop:
            return
        await self.dead_letter(poisoned)
        await self.deliver([Answer(task, fibonacci(task.n)) for task in quick])
        for task in slow:
            if self.stop:
                return
            await self.handle_slow(task)

    async def handle_slow(self, task: Task) -> None:
        """Process one message whose result takes a while."""
        try:
            result = await asyncio.to_thread(fibonacci, task.n, interrupted=self.stop.__bool__)
            await self.deliver([Answer(task, result)])
        except StoppedError:
            pass
        except MessageSizeExceededError:
            await self.dead_letter([Poisoned(task.message, too_large(str(task.n), self.largest))])

    async def deliver(self, answers: Sequence[Answer]) -> None:
        """Send results, and complete each input whose result was accepted."""
        async for batch, inside in packed(answers, message_of, lambda: new_batch(self.sender)):
            with attempting(
                f"sending to the {self.settings.output_queue} queue",
                self.settings.connection.namespace,
            ):
                await self.sender.send_messages(batch, timeout=SEND_TIMEOUT)
            outcomes = await settle(
                self.receiver.complete_message, [answer.task.message for answer in inside]
            )
            lines = []
            for (task, result), problem in zip(inside, outcomes, strict=True):
                self.unfinished.pop(id(task.message), None)
                if problem is None:
                    self.completed += 1
                    lines.append(
                        f"[{self.completed}] Processed message {task.id}: "
                        f"fibonacci({task.n}) = {abbreviated(result)}"
                    )
            say(lines)
            self.failed += report(outcomes, "completed")

    async def dead_letter(self, poisoned: Sequence[Poisoned]) -> None:
        """Move messages to the dead-letter queue, each with its reason."""
        poisons = {id(one.message): one.poison for one in poisoned}

        async def move(message: ServiceBusReceivedMessage) -> None:
            poison = poisons[id(message)]
            await self.receiver.dead_letter_message(
                message, reason=poison.reason, error_description=poison.description
            )

        outcomes = await settle(move, [one.message for one in poisoned])
        for (message, poison), problem in zip(poisoned, outcomes, strict=True):
            self.unfinished.pop(id(message), None)
            if problem is None:
                self.dead_lettered += 1
                complain(f"Dead-lettered message {id_of(message)}: {': '.join(poison)}")
        self.failed += report(outcomes, "dead-lettered")

    def summary(self) -> str:
        total = self.completed + self.dead_lettered + self.failed
        return (
            f"Processed {total} messages: {self.completed} completed, "
            f"{self.dead_lettered} dead-lettered, {self.failed} failed"
        )


async def process(settings: Settings, stop: Stop) -> bool:
    """Process messages until there are no more, or enough. True if none of them failed."""
    say(
        [
            f"Processing at most {settings.at_most} messages from the {settings.input_queue} "
            f"queue, until none comes for {settings.patience:g} s"
        ]
    )
    namespace = settings.connection.namespace
    receiving = f"receiving from the {settings.input_queue} queue"
    async with connected(settings.connection) as client:
        sender = client.get_queue_sender(settings.output_queue)
        receiver = client.get_queue_receiver(settings.input_queue)
        async with opened(
            (sender, f"sending to the {settings.output_queue} queue"),
            (receiver, receiving),
            namespace=namespace,
        ):
            largest = (await new_batch(sender)).max_size_in_bytes
            processor = Processor(settings, receiver, sender, largest, stop)
            try:
                with attempting(receiving, namespace):
                    async for messages in arrivals(
                        receiver,
                        stop,
                        per_call=settings.at_most,
                        at_most=settings.at_most,
                        patience=settings.patience,
                    ):
                        await processor.handle(messages)
            finally:
                await give_back(receiver, list(processor.unfinished.values()))
                say([processor.summary()])
    return processor.failed == 0


if __name__ == "__main__":
    sys.exit(run(Settings.from_environment, process))
