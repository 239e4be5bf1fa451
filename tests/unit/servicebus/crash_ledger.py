"""What a client of the broker knows of its messages, and what it may therefore expect of them.

Unlike a model of the engine it predicts nothing: it notes what was asked for and what was
acknowledged, and checks what is found against that, so that it holds at every instant, whatever is
under way. The total-queue property: what was acknowledged is in exactly one place, or it was
completed, taken or cancelled; what was not acknowledged is in at most one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from orchestrator.localcloud.servicebus.model import MessageState, StoredMessage


class Fate(Enum):
    """What has become of a message, as far as its client knows."""

    SENT = auto()  # … and the acknowledgement has not come
    THERE = auto()
    GOING = auto()  # its removal was asked for and not acknowledged
    GONE = auto()  # for good


@dataclass(slots=True)
class Copy:
    """A message; of one sent to a topic, what one subscription has of it (its lane).

    serial: ascending in order of sending. home: the entity it was sent to. batch: what was sent
    with it, all or none. dead: its dead-lettering was acknowledged. deferred_at: where its
    deferral was. deliveries: where so many were acknowledged.
    """

    text: str
    serial: int
    home: str
    lane: str
    session: str | None
    batch: int
    due: float | None = None
    fate: Fate = Fate.SENT
    dead: bool = False
    deferred_at: str | None = None
    deliveries: tuple[str, int] = ("", 0)


@dataclass(frozen=True, slots=True)
class Found:
    """A message where it was found."""

    place: str
    message: StoredMessage


Census = dict[tuple[str, str], list[Found]]
"""By text and lane, where a message was found."""


@dataclass
class Ledger:
    """All messages, by text and lane."""

    copies: dict[tuple[str, str], Copy] = field(default_factory=dict)
    # The highest sequence number seen in each place, and what had which.
    numbers: dict[str, int] = field(default_factory=dict)
    seen: dict[tuple[str, int], str] = field(default_factory=dict)

    def of(self, text: str) -> list[Copy]:
        return [copy for (name, _), copy in self.copies.items() if name == text]

    def settle(self, copies: Iterable[Copy], fate: Fate) -> None:
        for copy in copies:
            copy.fate = fate

    def forget(self, copies: Iterable[Copy]) -> None:
        """They were refused."""
        for copy in copies:
            assert copy.fate is Fate.SENT, f"{copy} was refused after it was accepted"
            del self.copies[copy.text, copy.lane]

    # -- what is found ---------------------------------------------------------------------------

    def check(self, census: Census, now: float) -> None:
        """What must hold at any instant."""
        strange = census.keys() - self.copies.keys()
        assert not strange, f"nobody sent {strange}, or it was refused"
        for key, copy in self.copies.items():
            found = census.get(key, [])
            assert len(found) <= 1, f"{copy} is there more than once: {found}"
            if not found:
                assert copy.fate is not Fate.THERE, f"{copy} is lost"
                continue
            assert copy.fate is not Fate.GONE, f"{copy} is back: {found}"
            self._check_found(copy, found[0], now)
        self._check_numbers(census)

    def _check_found(self, copy: Copy, found: Found, now: float) -> None:
        message, place = found.message, found.place
        in_grave = place.lower().endswith("deadletterqueue") or place == "graves"
        if copy.dead:
            assert in_grave, f"{copy} was dead-lettered and is in {place}"
        if copy.deferred_at == place:
            assert message.state is MessageState.DEFERRED, f"{copy} was deferred: {message}"
        elif copy.deferred_at is not None:
            assert in_grave, f"{copy} was deferred and is in {place}"
        if copy.due is not None and now < copy.due:
            assert (place, message.state) == (copy.home, MessageState.SCHEDULED), (copy, found)
        where, count = copy.deliveries
        if where == place:
            assert message.delivery_count >= count, f"{copy} has a lower count: {message}"

    def _check_numbers(self, census: Census) -> None:
        """What comes anew has a higher number than all that was there before, crash or not."""
        places: dict[str, dict[int, str]] = {}
        for (text, _), founds in census.items():
            for found in founds:
                places.setdefault(found.place, {})[found.message.sequence] = text
        for place, numbers in places.items():
            before = self.numbers.get(place, 0)
            for number, text in numbers.items():
                known = self.seen.get((place, number))
                if known is None:
                    assert number > before, f"{place} gave the number {number} after {before}"
                    self.seen[place, number] = text
                else:
                    assert known == text, f"{place} gave {number} to {text}, which was {known}'s"
            self.numbers[place] = max(before, *numbers)

    def recover(self, census: Census) -> None:
        """After a crash, what was under way was done or not; which, is what is found."""
        for batch in self._under_way():
            there = [copy for copy in batch if census.get((copy.text, copy.lane))]
            assert len(there) in (0, len(batch)), f"of what was sent at once some is lost: {batch}"
            if there:
                self.settle(there, Fate.THERE)
            else:
                self.forget(batch)
        for key, copy in self.copies.items():
            if copy.fate is Fate.GOING:
                copy.fate = Fate.THERE if census.get(key) else Fate.GONE

    def _under_way(self) -> list[list[Copy]]:
        batches: dict[int, list[Copy]] = {}
        for copy in self.copies.values():
            if copy.fate is Fate.SENT:
                batches.setdefault(copy.batch, []).append(copy)
        return list(batches.values())

    def check_order(self, place: str, census: Census) -> None:
        """Of each session and way there, messages lie in the order in which they were sent."""
        lying: dict[tuple[str, str | None], list[tuple[int, int]]] = {}
        for key, founds in census.items():
            copy = self.copies[key]
            for found in founds:
                if found.place == place and copy.due is None:
                    way = lying.setdefault((copy.home, copy.session), [])
                    way.append((found.message.sequence, copy.serial))
        for way, pairs in lying.items():
            serials = [serial for _, serial in sorted(pairs)]
            assert serials == sorted(serials), f"{place}: {way} came in the order {serials}"
