"""`orchestrator demo`, and how it leaves the machine when it is interrupted."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.failures import INTERRUPTED, end_line
from orchestrator.cli.grammar import command
from orchestrator.cli.parameters import Duration
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.cli.demo.stages import Demo
    from orchestrator.cli.demo.summary import Summary
    from orchestrator.display.progress import Progress
    from orchestrator.localcloud.process import CloudConfig


@command(
    "demo",
    statuses={0: "every message is accounted for", 1: "one is lost"},
    examples=[
        ("from nothing", "orchestrator init fibonacci && cd fibonacci && orchestrator demo"),
        ("more messages", "orchestrator demo --messages 500"),
    ],
)
@click.option(
    "--messages",
    type=click.IntRange(min=1, max=100_000),
    default=100,
    show_default=True,
    metavar="N",
    help="How many the sender sends.",
)
@click.option(
    "--timeout",
    type=Duration(),
    default="3m",
    show_default=True,
    help="Give up then; what is missing counts as lost.",
)
def demo(messages: int, timeout: timedelta) -> None:
    """Run sender, processor and receiver on a local cloud, and account for every message.

    Starts the local cloud if none runs, makes the world of orchestrator.toml, and waits until
    each message is received or dead-lettered.

    Ctrl-C stops what the demo has started.
    """
    from orchestrator.cli.demo.stages import check_settings

    session = current()
    orc = session.connect()
    if orc.profile.kind != "local":
        raise NotHere(orc.profile.name)
    check_settings(orc)

    from orchestrator.cli.local import config_of
    from orchestrator.display.progress import Progress

    house = House(config_of(session))
    with Progress() as progress, _interruptible():
        try:
            summary = _run(session, house, progress, messages, timeout)
        except KeyboardInterrupt:
            progress.clear()
            end_line()
            with _uninterruptible():
                house.leave_nothing(progress)
            session.hint("Interrupted; what the demo had started is stopped again.")
            click.get_current_context().exit(INTERRUPTED)
    if session.plain:
        from orchestrator.cli.demo.summary import write_summary

        write_summary(summary, sys.stdout)
    else:
        from orchestrator.display.views import of_data

        session.show(of_data(summary.as_json()))
    missing = len(summary.account.missing)
    if missing or len(summary.account.sent) != messages:
        raise Lost(
            messages, len(summary.account.sent), missing, waiting=len(summary.account.waiting)
        )


def _run(
    session: Session, house: House, progress: Progress, messages: int, timeout: timedelta
) -> Summary:
    from orchestrator.cli.demo.stages import Demo, DemoError
    from orchestrator.cli.local_clock import steering
    from orchestrator.cli.world import shown_in

    orc = session.connect()
    demo = Demo(orc, progress, messages=messages, limit=timeout)
    house.demo = demo
    if house.was_running:
        demo.note("the local cloud runs already; using it")
    else:
        with demo.stage("starting the local cloud", "local cloud started"):
            house.open()
    with demo.stage("making queues, identity and jobs", "queues, identity and jobs are there"):
        orc.up(progress=shown_in(progress))
    if steering(session, None).clock().get("frozen"):
        raise DemoError(
            "The local cloud's clock stands still, so that neither cron nor a scaler would start "
            "anything.",
            "Let it pass: orchestrator local clock rate 1",
        )
    account = demo.send()
    demo.process_and_receive(account)
    executions = demo.settle()
    return demo.summary(account, executions, started_here=not house.was_running)


class House:
    """The local cloud of the demo: found running or started, and what to undo."""

    def __init__(self, config: CloudConfig) -> None:
        from orchestrator.localcloud import process

        self.config = config
        self.was_running = process.status(config.state).state == "running"
        self.was_there = config.state.exists()
        self.demo: Demo | None = None
        self._started = threading.Event()
        self._started.set()

    def open(self) -> None:
        """Start the local cloud. A Ctrl-C while it starts is obeyed once it has."""
        from orchestrator.localcloud import process

        failure: list[BaseException] = []
        # Not Thread.join: interrupted once, CPython takes the thread for ended from then on.
        self._started = threading.Event()

        def start() -> None:
            try:
                process.up(self.config)
            except BaseException as error:  # noqa: BLE001 - raised again below
                failure.append(error)
            finally:
                self._started.set()

        threading.Thread(target=start, name="start local cloud").start()
        self._started.wait()
        if failure:
            raise failure[0]

    def leave_nothing(self, progress: Progress) -> None:
        """Stop what the demo has started: the local cloud, or else its executions on it.

        A state folder that the demo made goes as well; one that was there before stays.
        """
        from orchestrator.localcloud import process

        progress.begin("interrupted; stopping what the demo has started")
        # A server that is half started can be neither found nor stopped; `process.up` gives up
        # after 15 s.
        self._started.wait(20)
        state = self.config.state
        if self.was_running:
            for run in self.demo.runs if self.demo else ():
                with suppress(Exception):  # the next one is to be stopped all the same
                    run.stop()
        elif self.was_there:
            process.down(state)
        else:
            process.reset(state)
            with suppress(OSError):  # .orchestrator, unless there is something else in it
                state.parent.rmdir()
        progress.clear()


class NotHere(click.UsageError):
    """The demo was asked of Azure."""

    def __init__(self, profile: str) -> None:
        super().__init__(f"The demo runs on a local cloud; the profile '{profile}' is on Azure.")
        self.hint = "orchestrator --profile local demo"


class Lost(click.ClickException):
    """Not every message is accounted for."""

    exit_code = 1

    def __init__(self, wanted: int, sent: int, missing: int, *, waiting: int = 0) -> None:
        if missing and missing == waiting:
            text = f"The time was over while {waiting:,} of {sent:,} messages waited on a queue."
        elif missing:
            text = f"{missing:,} of {sent:,} messages were neither received nor dead-lettered."
        else:
            text = f"The log names {sent:,} of the {wanted:,} messages as sent."
        super().__init__(text)
        self.hint = "orchestrator status, and orchestrator logs --job processor"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    names = [n for n in ("SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {n: signal.signal(getattr(signal, n), interrupt) for n in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@contextmanager
def _uninterruptible() -> Iterator[None]:
    """A second Ctrl-C must not leave half of the cleaning undone."""
    names = [n for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
    before = {n: signal.signal(getattr(signal, n), signal.SIG_IGN) for n in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
