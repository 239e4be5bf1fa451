"""The demo's stages: the local cloud, the world, send, process, receive."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from orchestrator.cli.demo.account import Account, kql
from orchestrator.cli.demo.summary import Summary
from orchestrator.errors import OrchestratorError, TableNotFound, WaitTimeout
from orchestrator.results import Executions
from orchestrator.waiting import SystemTime

if TYPE_CHECKING:
    from orchestrator.client import Orchestrator
    from orchestrator.display.progress import Progress
    from orchestrator.executions.run import Run
    from orchestrator.results import Execution

PATIENCE = timedelta(seconds=20)  # a cron fire further away is not waited for
GRACE = 8.0  # seconds after a due cron fire in which its execution must have shown up
SETTLING = 12.0  # seconds for which executions that have nothing left to do may still run
LOOK = 0.4  # seconds between two looks
JOBS = ("sender", "processor", "receiver")
SHOWN_LINES = 5


class DemoError(OrchestratorError):
    """A stage did not do what it is for."""


class Demo:
    """One run of the demo on a world that is up.

    `runs` holds what was started by hand here, for whoever has to clean up after a Ctrl-C.
    `began`: when it began to send, by the local cloud's clock: where that was moved on, what ran
    before is ahead of this machine's.
    """

    began: datetime

    def __init__(
        self, orc: Orchestrator, progress: Progress, *, messages: int, limit: timedelta
    ) -> None:
        self.orc = orc
        self.progress = progress
        self.messages = messages
        self.time = SystemTime()
        self.end = time.monotonic() + limit.total_seconds()
        self.stages: list[tuple[str, float]] = []
        self.notes: list[str] = []
        self.runs: list[Run] = []
        self.look = LOOK

    @contextmanager
    def stage(
        self,
        doing: str,
        done: str | Callable[[], str],
        whole: Callable[[], bool] = lambda: True,
    ) -> Iterator[None]:
        """Time a stage and show it; `done` says, when it is over, what it has come to, and `whole`
        whether that is all."""
        self.progress.begin(doing)
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        done = done if isinstance(done, str) else done()
        self.stages.append((done, seconds))
        self.progress.done(done, seconds=seconds, whole=whole())

    def note(self, text: str) -> None:
        if text in self.notes:  # once is enough
            return
        self.notes.append(text)
        self.progress.note(text)

    # --------------------------------------------------------------------------- the stages

    def send(self) -> Account:
        """Start the sender and wait for it."""
        account = Account("")
        self.began = self._now()
        with self.stage(
            "the sender sends",
            lambda: f"{len(account.sent):,} messages sent",
            lambda: len(account.sent) == self.messages,
        ):
            run = self.orc.start("sender", env={"MESSAGE_COUNT": str(self.messages)})
            self.runs.append(run)
            try:
                ended = run.wait(self._left())
            except WaitTimeout:
                self._too_late("the sender")
                ended = run.execution
            if ended.finished and not ended.succeeded:
                raise DemoError(
                    f"The sender's execution {run.name} ended as {ended.status}.",
                    f"orchestrator logs --execution {run.name}",
                )
            account.execution = run.name
            while len(account.sent) < self.messages and self._look():
                self._count(account)
        return account

    def process_and_receive(self, account: Account) -> None:
        """Wait for the processor's cron, or start it; then until every id is accounted for."""
        with self.stage(
            "the processor works",
            lambda: f"{len(account.processed):,} messages processed",
            lambda: bool(account.sent) and self._processed(account),
        ):
            if self._left() > 0:
                self._start_processor()
            while not self._processed(account) and self._look():
                self._count(account)
                self._again_if_idle(account)
                self.progress.update(self._told(account))
        with self.stage(
            "the receiver receives",
            lambda: f"{len(account.received):,} results received",
            lambda: bool(account.sent) and not account.missing,
        ):
            while account.missing and self._look():
                self._count(account)
                self._again_if_idle(account)
                self.progress.update(self._told(account))

    def settle(self) -> Executions:
        """Wait a little for executions that have done their work; then list this demo's own."""
        own = Executions()

        def running() -> int:
            return sum(not e.finished for e in own)

        def come_to() -> str:
            ended = len(own) - running()
            return "executions ended" if ended == len(own) else f"{ended} executions ended"

        with self.stage("the executions end", come_to, lambda: not running()):
            until = min(time.monotonic() + SETTLING, self.end)
            while True:
                own = self._own_executions()
                if not running() or time.monotonic() > until:
                    return own
                self.time.sleep(LOOK)

    def summary(self, account: Account, executions: Executions, *, started_here: bool) -> Summary:
        wrote = f"Received result {re.escape(account.execution)}-"
        lines = list(self.orc.logs("receiver", since=self.began, grep=wrote))
        if account.missing:
            self._look_on_queues(account)
        return Summary(
            account=account,
            executions=executions,
            lines=lines[:SHOWN_LINES],
            queues=self.orc.queues(),
            stages=self.stages,
            notes=self.notes,
            started_here=started_here,
        )

    def _look_on_queues(self, account: Account) -> None:
        """See whether what is missing waits, behind a backlog for instance, or is lost."""
        for variable, job in (("INPUT_QUEUE_NAME", "processor"), ("OUTPUT_QUEUE_NAME", "receiver")):
            name = self.orc.settings.jobs[job].env.get(variable)
            if isinstance(name, str) and account.lost:
                account.add_queued(m.id for m in self.orc.queues[name].peek(None))
        self._count(account)  # what left its queue just before the look is in the log by now

    # --------------------------------------------------------------------------- the processor

    def _start_processor(self) -> None:
        if any(not e.finished for e in self._processors()):
            self.note("the processor is running already, started by its cron")
            return
        due = self._next_fire()
        if due is not None and due - self._now() <= PATIENCE:
            self.note("the processor's cron is due in a moment; waiting for it")
            while self._now() < due + timedelta(seconds=GRACE) and self._look():
                if any((e.start or due) >= due for e in self._processors()):
                    return
                seconds = (due - self._now()).total_seconds()
                self.progress.update(f"cron fires in {seconds:.0f} s" if seconds > 0 else "")
        elif due is not None:
            seconds = (due - self._now()).total_seconds()
            self.note(f"the processor's cron is {seconds:.0f} s away; started by hand instead")
        self.runs.append(self.orc.start("processor"))

    def _next_fire(self) -> datetime | None:
        cron = self.orc.settings.jobs["processor"].cron
        if not cron:
            return None
        from cronsim import CronSim

        fire: datetime = next(CronSim(cron, self._now()))
        return fire

    def _again_if_idle(self, account: Account) -> None:
        """Messages that one execution left (it takes so many at most) are taken by a next one."""
        if self._processed(account) or any(not e.finished for e in self._processors()):
            return
        if self._depth("INPUT_QUEUE_NAME", "processor"):
            self.runs.append(self.orc.start("processor"))
            self.note("the processor left messages on the queue; started again")

    def _processed(self, account: Account) -> bool:
        return account.sent <= account.processed | account.dead_lettered | account.received

    def _depth(self, variable: str, job: str) -> int:
        name = self.orc.settings.jobs[job].env.get(variable)
        return sum(q.active for q in self.orc.queues() if q.name == name)

    # --------------------------------------------------------------------------- looking

    def _processors(self) -> Executions:
        return self.orc.executions("processor", since=self.began)

    def _own_executions(self) -> Executions:
        own: list[Execution] = [
            execution for job in JOBS for execution in self.orc.executions(job, since=self.began)
        ]
        return Executions(sorted(own, key=lambda e: e.start or self.began))

    def _count(self, account: Account) -> None:
        started = time.monotonic()
        try:
            account.add(self.orc.query(kql(self.began)))
        except TableNotFound:  # nobody has written a line yet
            pass
        # With many messages the answer is long: don't ask all the time.
        self.look = max(LOOK, time.monotonic() - started)

    def _told(self, account: Account) -> str:
        return (
            f"{len(account.processed)} of {len(account.sent)} processed, "
            f"{len(account.received)} received"
        )

    def _now(self) -> datetime:
        """The time by which cron fires and executions are told: the local cloud's."""
        return self.orc.now()

    def _look(self) -> bool:
        """Wait until the next look; False when the time is over."""
        if self._left() <= 0:
            return False
        self.time.sleep(self.look)
        return True

    def _too_late(self, who: str) -> None:
        self.note(f"the time was over before {who} had ended")

    def _left(self) -> float:
        return max(0.0, self.end - time.monotonic())


def check_settings(orc: Orchestrator) -> None:
    """Raises UsageError if the settings lack one of the three sample jobs."""
    lacking = [name for name in JOBS if name not in orc.settings.jobs]
    if not lacking:
        return
    needed = f"the demo needs the jobs {', '.join(JOBS)}"
    failure = click.UsageError(
        f"{orc.settings.path} has no job '{lacking[0]}', and {needed}."
        if orc.settings.path
        else f"There is no orchestrator.toml here or in a parent folder, and {needed}."
    )
    failure.hint = "orchestrator init FOLDER, and run the demo there."  # type: ignore[attr-defined]
    raise failure
