"""The local cloud's time under control: what steering the clock means for everything that uses it.

* How the clock stands is kept in `clock.json`, so that time does not jump when the server starts
  again; the time while it was stopped counts, at the clock's rate, unless it was frozen.
* `advance` waits, at each moment at which something happens, for the programs of the replicas that
  were started on the way; they run in no time at all as their clock sees it. One that ran before,
  and one that takes longer than `patience` seconds of the machine, is not waited for.
* A step back lets schedules and polls begin anew, and shortens locks to what they may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.clock import Clock, SystemClock
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.state import write_private
from orchestrator.localcloud.steering.clock import LATEST, MAX_RATE, SteerableClock
from orchestrator.localcloud.steering.refusal import SteeringRefused

if TYPE_CHECKING:
    from orchestrator.localcloud.runtime.runtime import Runtime
    from orchestrator.localcloud.servicebus.broker import Broker

_log = logging.getLogger(__name__)

FILE = "clock.json"
PATIENCE = 30.0
"""Seconds of the machine's time that a replica's program is waited for while time is advanced."""


class TimeControl:
    """Steers the clock of one local cloud.

    Args:
        clock: The clock; only a `SteerableClock` can be steered.
        file: Where its state is kept.
    """

    def __init__(self, clock: Clock, file: Path) -> None:
        self._clock = clock
        self._file = file
        self._machine = SystemClock()
        self._advances: set[asyncio.Task[bool]] = set()
        self._taken: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._left: set[str] | None = None  # replicas that the present advance does not wait for
        self._waits_since = 0.0  # since when it waits at this moment, by the machine
        # Whoever has something to do at a moment, before time goes on.
        self.settling: list[Callable[[], Awaitable[None]]] = []
        self.runtime: Runtime | None = None
        self.broker: Broker | None = None

    def restore(self) -> None:
        """Let the clock go on where an earlier server left it."""
        if not isinstance(self._clock, SteerableClock):
            return
        try:
            kept = json.loads(self._file.read_text("utf-8"))
            then, rate = float(kept["time"]), float(kept["rate"])
            frozen, machine = bool(kept["frozen"]), float(kept["machine"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Not worth failing a start for: the machine's time is always right.
            _log.warning("%s is damaged and not used: %s", self._file, error)
            return
        since = 0.0 if frozen else max(0.0, self._machine.time() - machine) * rate
        if 0 < rate <= MAX_RATE and 0 <= then + since <= LATEST:
            self._clock.restore(then + since, rate, frozen=frozen)

    def show(self) -> dict[str, Any]:
        """How the clock stands, as the API shows it."""
        clock, machine = self._clock, self._machine.time()
        if not isinstance(clock, SteerableClock):
            return {"time": iso(clock.time()), "machine": iso(machine), "steerable": False}
        now, waiting = clock.steering, self._awaited()
        return {
            "time": iso(now.time),
            "machine": iso(machine),
            # Nought is not negative, whichever of the two was looked at first.
            "ahead": round(now.time - machine, 3) + 0.0 if now.steered else 0.0,
            "rate": now.rate,
            "frozen": now.frozen,
            "steered": now.steered,
            "advancing_to": None if now.target is None else iso(now.target),
            "waiting_for": waiting,
            "waiting": round(machine - self._waits_since, 3) if waiting else 0.0,
            "steerable": True,
        }

    def _awaited(self) -> list[str]:
        """The replicas that an advance waits for now."""
        return [] if self._left is None else sorted(self._busy() - self._left)

    def begin_advance(
        self, seconds: float, patience: float = PATIENCE, timeout: float | None = None
    ) -> asyncio.Task[bool]:
        """Begin to move time on, whoever waits for it; `advance` in a task of its own."""
        task = asyncio.create_task(self.advance(seconds, patience, timeout), name="clock")
        self._advances.add(task)
        task.add_done_callback(self._advances.discard)
        return task

    async def close(self) -> None:
        """End an advance that is under way; time stays where it got to."""
        for task in list(self._advances):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, SteeringRefused):
                await task

    async def advance(
        self, seconds: float, patience: float = PATIENCE, timeout: float | None = None
    ) -> bool:
        """Move time on; False if somebody else took the clock over on the way.

        Args:
            seconds: By how much.
            patience: Seconds of the machine's for which one replica's program is waited for.
            timeout: Seconds of the machine's for all of it; None: as long as it takes.

        Raises:
            SteeringRefused: It is being advanced already, or not by a time that is to come; or
                the time-out has come (408): the clock is where it got to, and runs on as before.
        """
        clock = self._steerable()
        before = self._busy()
        left: set[str] = set(before)

        async def settled() -> None:
            self._waits_since = self._machine.time()
            if self.runtime is not None:
                left.update(await self.runtime.activity.quiet(left, patience))
            if self.broker is not None:
                # What became due is written first: a message that was scheduled for now waits in
                # its queue before the next poll looks for it.
                await self.broker.written()
            for settle in self.settling:
                await settle()

        if clock.steering.target is not None:
            raise SteeringRefused(
                "The clock is being advanced already: wait until it is there "
                "(orchestrator local clock show).",
                409,
            )
        # Were the server killed on the way, time would have passed while it was away.
        self._keep(clock, ahead=seconds if 0 <= seconds < LATEST else 0.0)
        self._left, awaited = left, ""
        try:
            async with asyncio.timeout(timeout):
                try:
                    return await clock.advance(seconds, settled)
                finally:
                    awaited = ", ".join(self._awaited())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task not in self._taken:
                raise
            task.uncancel()
            return False
        except TimeoutError:
            raise SteeringRefused(_given_up(clock.time(), timeout or 0.0, awaited), 408) from None
        except ValueError as error:
            raise SteeringRefused(str(error)) from error
        except RuntimeError as error:
            raise SteeringRefused(str(error), 409) from error
        finally:
            if self._left is left:
                self._left = None
            self._keep(clock)

    def _take(self) -> None:
        """Somebody else puts the clock where it is to be: what advances it waits no longer."""
        for task in self._advances:
            self._taken.add(task)
            task.cancel()

    def set_rate(self, rate: float) -> None:
        """Let time pass `rate` times as fast. Raises SteeringRefused."""
        clock = self._steerable()
        try:
            clock.set_rate(rate)
        except ValueError as error:
            raise SteeringRefused(str(error)) from error
        self._take()
        self._keep(clock)

    def freeze(self) -> None:
        """Stop the clock. Raises SteeringRefused."""
        clock = self._steerable()
        clock.freeze()
        self._take()
        self._keep(clock)

    def reset(self) -> None:
        """Go back to the machine's time. Raises SteeringRefused."""
        clock = self._steerable()
        before = clock.time()
        clock.reset()
        self._take()
        self._keep(clock)
        if clock.time() < before:
            if self.broker is not None:
                self.broker.clock_set_back()
            if self.runtime is not None:
                self.runtime.clock_changed()

    def _busy(self) -> frozenset[str]:
        return frozenset() if self.runtime is None else self.runtime.activity.busy

    def _steerable(self) -> SteerableClock:
        if not isinstance(self._clock, SteerableClock):
            raise SteeringRefused(
                "This local cloud was given a clock of its own by the program it runs in, which "
                "alone can move it.",
                409,
            )
        return self._clock

    def _keep(self, clock: SteerableClock, ahead: float = 0.0) -> None:
        now = clock.steering
        if not now.steered and not ahead:
            self._file.unlink(missing_ok=True)
            return
        kept = {
            "time": now.time + ahead,
            "machine": self._machine.time(),
            "rate": now.rate,
            "frozen": now.frozen,
        }
        try:
            write_private(self._file, (json.dumps(kept) + "\n").encode())
        except OSError as error:
            _log.warning("%s cannot be written; a restart sets the clock back: %s", FILE, error)


def _given_up(time: float, timeout: float, awaited: str) -> str:
    why = f" It waited for {awaited}." if awaited else ""
    return f"The clock got to {iso(time)} in {timeout:g} s and goes on from there.{why}"
