"""A topic and its subscriptions: one message in, a copy for each subscription that wants it.

A topic is a queue whose messages leave it as they come: the copies are put in the transaction that
accepts the message, so that an acknowledged message is in every subscription that it belongs to.
Only scheduled messages wait in the topic itself, and are given out when their time comes, by the
rules of that moment.

Which copies a subscription gets
(https://learn.microsoft.com/azure/service-bus-messaging/topic-filters): one, unchanged, if any rule
without an action matches; besides, one for each matching rule with an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.localcloud.servicebus.arrivals import Arrivals
from orchestrator.localcloud.servicebus.content import MessageContent
from orchestrator.localcloud.servicebus.errors import BrokerError, EntityDisabled, InvalidOperation
from orchestrator.localcloud.servicebus.forwarding import SESSION_ID_IS_NULL
from orchestrator.localcloud.servicebus.limits import FOREVER
from orchestrator.localcloud.servicebus.model import (
    NEVER,
    MessageState,
    QueueCounts,
    StoredMessage,
)
from orchestrator.localcloud.servicebus.queue import Queue
from orchestrator.localcloud.servicebus.topics.rules import CompiledRule, Rule
from orchestrator.localcloud.servicebus.topics.sql.values import EvaluationError

FILTER_EXCEPTION = "FilterEvaluationException"


class Subscription(Queue):
    """A subscription's queue. rules: its rules, compiled. dead_letter_on_filter_errors: whether a
    message that a rule fails on becomes a dead letter here, or is passed over by that rule."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.rules: tuple[CompiledRule, ...] = ()
        self.dead_letter_on_filter_errors = True

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """These rules hold from now on. Raises InvalidOperation; then the former ones do."""
        self.rules = tuple(CompiledRule(rule) for rule in rules)

    def check_send(self) -> None:
        self._check_exists()
        raise InvalidOperation(
            f"{self.path} takes no messages from senders: send them to its topic."
        )

    def take_copies(self, message: StoredMessage, reader: _Reader, arrivals: Arrivals) -> None:
        """Plan what this subscription gets of a message that its topic has accepted."""
        plain = False
        for rule in self.rules:
            if plain and not rule.changes:
                continue
            try:
                if not rule.always and not rule.matches(reader.content()):
                    continue
                if rule.changes:
                    changed = rule.act(message.payload, reader.content(), self._context.content)
                    self._take_copy(message, changed, arrivals)
                else:
                    plain = True
            except (EvaluationError, BrokerError) as error:
                if self.dead_letter_on_filter_errors:
                    description = f"The rule '{rule.rule.name}' failed: {error}"
                    self._bury(message, arrivals, FILTER_EXCEPTION, description)
        if plain:
            self._take_copy(message, message.payload, arrivals)

    def _take_copy(self, message: StoredMessage, payload: bytes, arrivals: Arrivals) -> None:
        session_id = message.details.session_id
        if payload is not message.payload:
            named = self._context.content.read(payload).system.get("SessionId")
            session_id = str(named) if isinstance(named, str) else None
        if self.properties.requires_session and session_id is None:
            self._bury(
                message,
                arrivals,
                SESSION_ID_IS_NULL,
                "Session enabled entity doesn't allow a message whose session identifier is null.",
            )
            return
        ttl = self.properties.default_message_ttl
        ends = NEVER if ttl >= FOREVER else message.enqueued_at + ttl
        arrivals.put(
            self,
            StoredMessage(
                self.next_sequence(),
                payload,
                message.enqueued_at,
                min(message.expires_at, ends),
                replace(
                    message.details,
                    session_id=session_id,
                    enqueued_sequence=self.first_number_of(message),
                ),
            ),
        )

    def _bury(
        self, message: StoredMessage, arrivals: Arrivals, reason: str, description: str
    ) -> None:
        grave = self.dead_letter
        number = grave.next_sequence()
        first = self.first_number_of(message)
        arrivals.put(grave, message.buried(number, first, self.path, reason, description))


class _Reader:
    """A message's content, read when the first rule asks for it."""

    def __init__(self, topic: Topic, message: StoredMessage) -> None:
        self._topic = topic
        self._message = message
        self._content: MessageContent | None = None

    def content(self) -> MessageContent:
        if self._content is None:
            self._content = self._topic.read(self._message)
        return self._content


class Topic(Queue):
    """See the module. subscriptions: by their names in small letters."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.subscriptions: dict[str, Subscription] = {}

    def check_receive(self) -> None:
        self._check_exists()
        raise InvalidOperation(
            f"{self.namespace}/{self.path} is a topic: receive from one of its subscriptions."
        )

    def check_send(self) -> None:
        self._check_exists()
        if not self.properties.status.can_send:
            raise EntityDisabled(
                f"The messaging entity {self.namespace}/{self.path} is disabled for sending "
                f"(status {self.properties.status})."
            )

    def read(self, message: StoredMessage) -> MessageContent:
        """What rules see of it. Raises BrokerError."""
        content = self._context.content.read(message.payload)
        content.system["SequenceNumber"] = self.number_of(message)
        content.system["EnqueuedSequenceNumber"] = self.first_number_of(message)
        content.system["EnqueuedTimeUtc"] = int(message.enqueued_at * 1000)
        content.system["DeliveryCount"] = 0
        if message.expires_at != NEVER:
            content.system["ExpiresAtUtc"] = int(message.expires_at * 1000)
        return content

    def unused_since(self, now: float) -> float:
        used = [one.unused_since(now) for one in self.subscriptions.values()]
        return max([super().unused_since(now), *used])

    def counts(self) -> QueueCounts:
        return QueueCounts(scheduled=self._shelf.scheduled, size_in_bytes=self._held())

    def _held(self) -> int:
        return self._shelf.size + sum(one._held() for one in self.subscriptions.values())

    def _place(self, messages: Sequence[StoredMessage], arrivals: Arrivals, now: float) -> None:
        for message in messages:
            if message.state is MessageState.SCHEDULED:
                super()._place([message], arrivals, now)
                continue
            arrivals.change.note_sequence(self.number, message.sequence)
            reader = _Reader(self, message)
            for subscription in self.subscriptions.values():
                if not subscription.deleted:
                    subscription.take_copies(message, reader, arrivals)
