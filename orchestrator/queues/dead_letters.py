"""Dead letters: look at them, send them again, or delete them.

**Resubmission loses nothing.** A dead letter is locked, its copy is sent to the queue, and only
when the broker has accepted the copy is the dead letter completed. Killed at any moment, it leaves
every message in the queue, in the dead-letter queue, or (between those two steps) in both; doing
it again finishes the work. Ctrl-C waits until a batch is in one of them alone; a second one does
not.

**Message ids.** A queue with duplicate detection silently drops an id that it has seen within its
window, so a copy under the same id would be lost. There a copy gets the id
`<id>~resubmitted-<sequence number of the dead letter>`: new to the queue, and the same again when
the resubmission is repeated, so that within the window the queue keeps one copy. A queue without
duplicate detection gets the id unchanged; a copy made twice by a kill stays twice (at most
`PLAIN_BATCH` of them). A queue that forwards elsewhere counts as one that detects, since the
queue behind it may.

**Transfer dead letters** are messages that a queue could not forward: its target was gone, disabled
or full, or they had been forwarded too often. Resubmitted, they are forwarded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.arguments import check_limit, since_of
from orchestrator.errors import OrchestratorError, QueueNotFound
from orchestrator.queues import bus, interrupts
from orchestrator.queues.handle import drained, give_back, look
from orchestrator.queues.message_copy import copy_of
from orchestrator.queues.messages import DeadLetterMessages, Filter, Outcome, pattern_of

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiver

    from orchestrator.azure.clients import Clients
    from orchestrator.quantities import Since
    from orchestrator.queues.handle import OnLook, OnProgress, QueueHandle
    from orchestrator.queues.records import Queue
    from orchestrator.waiting import Time

BATCH = 100  # dead letters dealt with at once
PLAIN_BATCH = 10  # … where a kill would double them
WAIT = 5.0  # seconds without a message after which the rest is taken to be out of reach


class DeadLetters:
    """The dead letters of one queue: `orc.queues["results"].dead_letters`, or with `transfer`
    its `.transfer_dead_letters`."""

    def __init__(
        self, queue: QueueHandle, clients: Clients, time: Time, *, transfer: bool = False
    ) -> None:
        self._queue = queue
        self._clients = clients
        self._time = time
        self._transfer = transfer
        self._sub_queue: bus.SubQueue = "transferdeadletter" if transfer else "deadletter"

    @property
    def noun(self) -> str:
        """What one of them is called."""
        return "transfer dead letter" if self._transfer else "dead letter"

    def count(self) -> int:
        """How many there are, as the service says. Raises QueueNotFound."""
        return self._count(self._queue.show())

    def _count(self, queue: Queue) -> int:
        return queue.transfer_dead_letter if self._transfer else queue.dead_letter

    def __repr__(self) -> str:
        kind = "transfer DeadLetters" if self._transfer else "DeadLetters"
        return f"<{kind} of {self._queue.name}>"

    def list(
        self,
        *,
        reason: str | Sequence[str] | None = None,
        since: Since = None,
        grep: str | None = None,
        limit: int | None = None,
        on_look: OnLook | None = None,
    ) -> DeadLetterMessages:
        """Those that match, in order; nothing is locked or taken.

        `reason`: of the dead-lettering, one or several, in any case. `since`: enqueued since then
        (when a message was dead-lettered, Service Bus does not say). `grep`: a regular expression
        found in the body, the id, a property, the reason or its description. `limit`: at most so
        many; the result's `more` tells whether there are others. `on_look`: called now and then
        with how many dead letters were looked at so far.
        """
        return self._list(self._filter(reason, since, grep), limit, on_look)

    def resubmit(
        self,
        *,
        reason: str | Sequence[str] | None = None,
        since: Since = None,
        grep: str | None = None,
        limit: int | None = None,
        dry_run: bool = False,
        on_progress: OnProgress | None = None,
        on_look: OnLook | None = None,
    ) -> Outcome:
        """Send those that match to their queue again, then take them out of the dead letters.

        A copy keeps body, content type, correlation id, session id, subject, time to live and
        properties, loses the dead-letter reason and description, and starts anew as to deliveries.
        Its id: see this module. The other arguments are those of `list`; what is dead-lettered
        after the beginning is not touched. `dry_run`: only look.
        """
        wanted = self._filter(reason, since, grep)
        found = self._list(wanted, limit, on_look)
        new_ids = self._new_ids()
        outcome = Outcome(
            queue=self._queue.name,
            action="resubmitted",
            matched=len(found),
            done=0,
            dry_run=dry_run,
            messages=found,
        )
        if dry_run or not found:
            return outcome
        with (
            self._queue.opened(f"resubmit the {self.noun}s of") as links,
            links.sender() as sender,
            links.receiver(sub_queue=self._sub_queue) as receiver,
        ):

            def again(batch: Sequence[ServiceBusReceivedMessage]) -> int:
                now = self._time.time()
                copies = [copy_of(message, new_id=new_ids, now=now) for message in batch]
                accepted = 0

                def sent(count: int) -> None:
                    nonlocal accepted
                    accepted += count

                try:
                    bus.send_all(sender, copies, sent)
                finally:  # whatever ends it: what was accepted is settled, so that it is not twice
                    done = _completed(receiver, batch[:accepted])
                    give_back(receiver, [*batch[accepted:]])
                return done

            size = BATCH if new_ids else PLAIN_BATCH
            done = _each(receiver, found, again, size, on_progress)
        return _with(outcome, done)

    def purge(
        self,
        *,
        reason: str | Sequence[str] | None = None,
        since: Since = None,
        grep: str | None = None,
        dry_run: bool = False,
        on_progress: OnProgress | None = None,
        on_look: OnLook | None = None,
    ) -> Outcome:
        """Delete those that match (without a filter: all there are when it begins).

        The arguments are those of `list`. `dry_run`: only look.
        """
        wanted = self._filter(reason, since, grep)
        if wanted.everything and not dry_run:
            return self._purge_all(on_progress)
        found = self._list(wanted, None, on_look)
        outcome = Outcome(
            queue=self._queue.name,
            action="purged",
            matched=len(found),
            done=0,
            dry_run=dry_run,
            messages=found,
        )
        if dry_run or not found:
            return outcome
        with (
            self._queue.opened(f"purge the {self.noun}s of") as links,
            links.receiver(sub_queue=self._sub_queue) as receiver,
        ):
            done = _each(
                receiver, found, lambda batch: _completed(receiver, batch), BATCH, on_progress
            )
        return _with(outcome, done)

    def _purge_all(self, on_progress: OnProgress | None) -> Outcome:
        queue = self._queue.show()
        count, done = self._count(queue), 0
        if count:
            with (
                self._queue.opened(f"purge the {self.noun}s of") as links,
                links.receiver(sub_queue=self._sub_queue, delete=True) as receiver,
            ):
                # Their own sizes are not told: that of the whole queue is more than enough.
                size = queue.size // (count + queue.active + queue.scheduled)
                done = drained(receiver, count, size, self.count, on_progress)
        return Outcome(
            queue=self._queue.name, action="purged", matched=count, done=done, left=count - done
        )

    def _list(
        self, wanted: Filter, limit: int | None, on_look: OnLook | None
    ) -> DeadLetterMessages:
        check_limit(limit)
        with (
            self._queue.opened(f"look at the {self.noun}s of") as links,
            links.receiver(sub_queue=self._sub_queue) as receiver,
        ):
            items, more = look(receiver, wanted, limit, on_look=on_look)
        return DeadLetterMessages(items, more=more)

    def _filter(self, reason: str | Sequence[str] | None, since: Since, grep: str | None) -> Filter:
        reasons = (reason,) if isinstance(reason, str) else tuple(reason or ())
        return Filter(reasons, since_of(since, self._time, self._clients), pattern_of(grep))

    def _new_ids(self) -> bool:
        """Whether the queue, or one it forwards to, may drop an id that it has seen."""
        try:
            properties: dict[str, Any] = self._queue.show().raw.get("properties") or {}
        except QueueNotFound:
            raise
        except OrchestratorError:
            return True  # who may only see the messages is on the safe side with new ones
        return bool(properties.get("requiresDuplicateDetection") or properties.get("forwardTo"))


def _with(outcome: Outcome, done: int) -> Outcome:
    import msgspec

    return msgspec.structs.replace(outcome, done=done, left=outcome.matched - done)


def _each(
    receiver: ServiceBusReceiver,
    found: DeadLetterMessages,
    handle: Callable[[Sequence[ServiceBusReceivedMessage]], int],
    size: int,
    on_progress: OnProgress | None,
) -> int:
    """Lock the messages of `found`, hand them to `handle` in batches; how many it dealt with.

    Service Bus gives messages in its own order, so others come between: they are held until the
    end, lest they come again, and then given back (which counts as a delivery). Ends when all were
    met, when nothing more comes (somebody else has the rest), or when only messages met before
    come: then the locks end faster than the queue can be gone through.
    """
    wanted = {message.sequence_number for message in found}
    deferred = [m.sequence_number for m in found if m.state == "deferred"]
    met: set[int] = set()
    others: dict[int, ServiceBusReceivedMessage] = {}
    mine: list[ServiceBusReceivedMessage] = []
    done = 0
    try:
        while wanted:
            if deferred:  # these come only when called by their numbers
                batch = _called(receiver, deferred.pop())
            else:
                # A few more than wanted only once others were seen to be in the way.
                most = BATCH if others else min(BATCH, len(wanted))
                batch = receiver.receive_messages(most, max_wait_time=WAIT)
                if not batch:
                    break
            numbers = [message.sequence_number or 0 for message in batch]
            mine = [m for m, number in zip(batch, numbers, strict=True) if number in wanted]
            others |= {n: m for n, m in zip(numbers, batch, strict=True) if n not in wanted}
            if not mine and not deferred and met.issuperset(numbers):
                break
            met.update(numbers)
            wanted.difference_update(numbers)
            while mine:
                with interrupts.held():  # between a copy and the end of its dead letter
                    part, mine = mine[:size], mine[size:]
                    done += handle(part)
                    if on_progress:
                        on_progress(done, len(found))
    finally:
        give_back(receiver, [*mine, *others.values()])
    return done


def _called(receiver: ServiceBusReceiver, number: int) -> Sequence[ServiceBusReceivedMessage]:
    """The deferred message of that number; nothing if it is gone."""
    from azure.servicebus.exceptions import MessageNotFoundError

    try:
        return receiver.receive_deferred_messages(number)
    except MessageNotFoundError:
        return []


def _completed(receiver: ServiceBusReceiver, batch: Sequence[ServiceBusReceivedMessage]) -> int:
    """Complete them; how many still could be."""
    from azure.servicebus.exceptions import MessageLockLostError

    done = 0
    for message in batch:
        try:
            receiver.complete_message(message)
        except MessageLockLostError:
            continue
        done += 1
    return done
