"""Ending what was received: completing, dead-lettering or giving back many messages, and saying
what could not be ended."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import MessageLockLostError, MessageNotFoundError

from servicebus import brief, complain

_TOGETHER = 0.25  # seconds; see `settle`
_GIVE_BACK_TIMEOUT = 10.0  # seconds; Container Apps kills a replica 30 s after SIGTERM

Operation = Callable[[ServiceBusReceivedMessage], Awaitable[None]]


async def settle(
    operation: Operation, messages: Sequence[ServiceBusReceivedMessage]
) -> list[Exception | None]:
    """Complete, abandon or dead-letter messages; what went wrong with each, in their order.

    One after the other, or the rest of them at the same time where the first one's answer took so
    long that this is sooner: at the same time, the SDK's waits read each other's answers, and the
    last of them waits for 0.2 s for an answer that is already there.
    """
    if not messages:
        return []
    now = asyncio.get_running_loop().time
    began = now()
    first = await _outcome(operation(messages[0]))
    rest = messages[1:]
    if first is not None or len(rest) * (now() - began) <= _TOGETHER:
        return [first, *await _one_by_one(operation, rest)]
    results = [first, *await asyncio.gather(*(_outcome(operation(one)) for one in rest))]
    # A connection that broke meanwhile took all of them with it. Their locks do not depend on it.
    again = [place for place, result in enumerate(results) if _of_connection(result)]
    retried = await _one_by_one(operation, [messages[place] for place in again])
    for place, result in zip(again, retried, strict=True):
        results[place] = result
    return results


async def _one_by_one(
    operation: Operation, messages: Sequence[ServiceBusReceivedMessage]
) -> list[Exception | None]:
    """Stops trying when the SDK has given up reconnecting: each of the rest would take as long."""
    results: list[Exception | None] = []
    for message in messages:
        result = await _outcome(operation(message))
        results.append(result)
        if _of_connection(result):
            break
    return results + [results[-1]] * (len(messages) - len(results)) if results else []


async def _outcome(settling: Awaitable[None]) -> Exception | None:
    try:
        await settling
    except (AzureError, ValueError) as error:  # ValueError: settled already, or the link is closed
        return error
    return None


def _of_connection(problem: Exception | None) -> bool:
    own = MessageLockLostError | MessageNotFoundError | ValueError
    return problem is not None and not isinstance(problem, own)


async def give_back(
    receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]
) -> None:
    """Abandon messages that are locked and unfinished, so that others get them at once."""
    if not messages:
        return
    try:
        async with asyncio.timeout(_GIVE_BACK_TIMEOUT):
            back = (await settle(receiver.abandon_message, messages)).count(None)
    except TimeoutError:
        back = 0
    complain(f"{back} unfinished messages were given back to the queue")
    if back < len(messages):
        complain(f"{len(messages) - back} more return to it when their locks expire")


def report(problems: Sequence[Exception | None], what: str) -> int:
    """Say how many messages could not be `what` ("completed") and why; how many those are."""
    reasons = Counter(brief(problem) for problem in problems if problem is not None)
    for reason, count in reasons.items():
        messages = "message" if count == 1 else "messages"
        complain(f"error: {count} {messages} could not be {what}: {reason}; to be delivered again")
    return reasons.total()
