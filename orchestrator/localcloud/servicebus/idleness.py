"""When an entity was last used (`accessedAt`), and its deletion once nobody has used it for a while
(`autoDeleteOnIdle`).

What is a use (https://learn.microsoft.com/azure/service-bus-messaging/message-expiration#idleness):
of a queue, a send, a receive, a peek, an update; of a topic, a send, an update, any use of one of
its subscriptions; of a subscription, a receive, a peek, an update, a new rule. Who waits for
messages is receiving. Scheduled messages and automatic forwarding keep an entity in use.

When an entity was last used is stored now and then, not with each use: after a crash it counts as
used for a tenth of the interval longer than it may have been, never shorter. Where nothing hangs
on it, it is stored when the broker closes.
"""

from __future__ import annotations

from orchestrator.localcloud.servicebus.definitions import USE, UseRecord, encode
from orchestrator.localcloud.servicebus.lifecycle import NOTE_PATIENCE, RETRY_DELAY
from orchestrator.localcloud.servicebus.limits import FOREVER
from orchestrator.localcloud.servicebus.model import NEVER
from orchestrator.localcloud.servicebus.session_keeping import SessionKeeping
from orchestrator.localcloud.servicebus.store.contract import Change
from orchestrator.localcloud.servicebus.structures.session_shelf import SessionShelf

_GRAIN = 0.1
"""How old the stored moment of the last use may become, as a part of the interval."""


class Idleness(SessionKeeping):
    """Adds to a queue that it may be deleted for want of use."""

    _last_used = 0.0
    _accessed: float | None = None
    # When a use is to be stored; before that, what is stored is good enough.
    _note_use_at = NEVER

    @property
    def _deletes_itself(self) -> bool:
        return self.properties.auto_delete_on_idle < FOREVER

    def watch_idleness(self, last_used: float, noted_until: float = 0.0) -> None:
        """From now on, with the settings of now. noted_until: what is stored of its use is good
        until then."""
        self._last_used = max(last_used, self._last_used)
        self._note_use_at = noted_until if self._deletes_itself else NEVER
        self.tick()

    def restore_use(self, record: UseRecord) -> None:
        """Take in from the store when it was last used."""
        self._accessed = record.accessed
        grain = self.properties.auto_delete_on_idle * _GRAIN
        now = self._context.clock.time()
        last_used = record.last_used if record.exact else min(record.last_used + grain, now)
        if last_used > self._last_used:
            self.watch_idleness(last_used, record.last_used + grain)

    def _use(self, now: float) -> None:
        self._last_used = self._accessed = now
        if now >= self._note_use_at:
            self._note_use_at = now + self.properties.auto_delete_on_idle * _GRAIN
            self._store_use(UseRecord(now, accessed=now))

    def note_last_use(self) -> None:
        """The broker is closing: store the very moment."""
        if (self._deletes_itself or self._accessed is not None) and not self.deleted:
            self._store_use(UseRecord(self._last_used, exact=True, accessed=self._accessed))

    def _store_use(self, record: UseRecord) -> None:
        change = Change()
        change.define(USE, str(self.number), encode(record))
        self._context.store.commit(change, None, patience=NOTE_PATIENCE)

    def accessed_at(self) -> float | None:
        """When a client last sent, received or peeked (epoch seconds), now if one waits for
        messages; None: never. Updates of the settings do not count."""
        if len(self._line) or self._waiting_for_sessions:
            return self._context.clock.time()
        return self._accessed

    def unused_since(self, now: float) -> float:
        """When it was last used; now, if it is in use."""
        busy = self._shelf.scheduled or (self.forwards_to is not None and not self.is_dead_letter)
        if busy or len(self._line) or self._waiting_for_sessions:
            return now
        if isinstance(self._shelf, SessionShelf) and self._shelf.locks:
            return now
        return self._last_used

    def is_idle(self) -> bool:
        """Whether it is to be deleted now for want of use."""
        now = self._context.clock.time()
        longest = self.properties.auto_delete_on_idle
        return longest < FOREVER and self.unused_since(now) + longest <= now

    def tick(self) -> None:
        super().tick()
        if self.deleted or self.is_dead_letter or not self._deletes_itself:
            return
        if self.is_idle():
            self._context.delete_idle(self)
            # Should the deletion fail, it is tried again.
            self._remind(self._context.clock.time() + RETRY_DELAY)
            return
        now = self._context.clock.time()
        self._remind(self.unused_since(now) + self.properties.auto_delete_on_idle)

    def clock_set_back(self) -> None:
        super().clock_set_back()
        now = self._context.clock.time()
        self._last_used = min(self._last_used, now)
        if self._accessed is not None:
            self._accessed = min(self._accessed, now)
        self._note_use_at = min(self._note_use_at, now) if self._deletes_itself else NEVER
