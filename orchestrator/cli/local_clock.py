"""`orchestrator local clock show | advance | rate | freeze | reset`: the local cloud's time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

import click

from orchestrator.cli.grammar import Entry, LazyGroup, command
from orchestrator.cli.local import config_of, state_option
from orchestrator.cli.parameters import Duration
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.display.progress import Progress
    from orchestrator.localcloud.steering.client import SteeringClient
    from orchestrator.records import Kind

_HERE = "local_clock"
_WORTH_A_WORD = 1.0  # seconds of waiting after which it is said for whom
_NAMED = 3  # replicas that are named
_SILENCE = 15.0  # seconds after which a word is said where no spinner is


@click.group(
    "clock",
    cls=LazyGroup,
    entries={
        "show": Entry(_HERE, "show", "What time it is there."),
        "advance": Entry(_HERE, "advance", "Move time on; everything due on the way happens."),
        "rate": Entry(_HERE, "rate", "Let time pass faster, or slower."),
        "freeze": Entry(_HERE, "freeze", "Let no time pass."),
        "reset": Entry(_HERE, "reset", "Go back to the machine's time."),
    },
    examples=[("a day of a schedule, now", "orchestrator local clock advance 1d")],
)
def clock() -> None:
    """The local cloud's time: cron, scaler polls, locks, time to live, time-outs, log times."""


def steering(session: Session, state: str | None) -> SteeringClient:
    """The running local cloud, to be steered. Raises NotReachable."""
    import json

    from orchestrator.azure.profile import CONNECTION_FILE, connection
    from orchestrator.localcloud.steering.client import SteeringClient

    folder = config_of(session, state).state
    connection(folder)  # raises NotReachable if the file is missing, damaged or of a dead process
    return SteeringClient(json.loads((folder / CONNECTION_FILE).read_text(encoding="utf-8")))


def _show(session: Session, found: dict[str, Any]) -> None:
    from orchestrator.display.views import Heading, View

    rows: list[tuple[str, Any, Kind]] = [("time", datetime.fromisoformat(found["time"]), "time")]
    if found["steerable"]:
        rows += [
            ("ahead", timedelta(seconds=found["ahead"]), "duration"),
            ("rate", found["rate"], "number"),
            ("frozen", "yes" if found["frozen"] else "no", "text"),
        ]
    rows.append(("machine", datetime.fromisoformat(found["machine"]), "time"))
    session.show(
        View(
            data=found,
            headings=[Heading(key, key, kind) for key, _, kind in rows],
            cells=[[value for _, value, _ in rows]],
            single=True,
        )
    )


@command("show", examples=[("the time alone", "orchestrator local clock show --query time -o tsv")])
@state_option
def show(state: str | None) -> None:
    """Show the local cloud's time, and how it passes."""
    session = current()
    _show(session, steering(session, state).clock())


@command(
    "advance",
    statuses={124: "--timeout ran out; the clock goes on from where it got to"},
    examples=[
        ("five minutes", "orchestrator local clock advance 5m"),
        ("a day, waiting for no program", "orchestrator local clock advance 1d --patience 0s"),
        ("a day, as far as it gets", "orchestrator local clock advance 1d --timeout 2m"),
    ],
)
@click.argument("duration", type=Duration())
@click.option(
    "--patience",
    type=Duration(),
    default="30s",
    show_default=True,
    metavar="DURATION",
    help="How long, in this machine's time, to wait for a replica that starts on the way.",
)
@click.option(
    "--timeout",
    type=Duration(),
    help="Take no longer than this, in this machine's time, for all of it.",
)
@state_option
def advance(
    duration: timedelta, patience: timedelta, timeout: timedelta | None, state: str | None
) -> None:
    """Move time on by DURATION.

    Time stops at every moment at which something is due, and waits there for the replicas that
    start: they run to their end, in order, whatever the distance. So it takes as long as these
    programs do, one fire after the other; with a shorter --patience they are left to run side by
    side, and see time jump, as replicas do that run already. What it waits for is shown. Ctrl-C
    ends it where it is; the clock then runs on as it ran before.
    """
    from orchestrator.display.progress import Progress
    from orchestrator.errors import WaitTimeout
    from orchestrator.localcloud.steering.client import AdvanceTimeout

    session = current()
    client = steering(session, state)
    with Progress() as progress:
        progress.begin("moving time on")
        told = _Told(session, progress)
        try:
            found = client.advance(
                duration.total_seconds(),
                patience=patience.total_seconds(),
                timeout=None if timeout is None else timeout.total_seconds(),
                progress=told.update,
            )
        except AdvanceTimeout as error:
            raise WaitTimeout(error.message, error.hint) from error
        except KeyboardInterrupt:
            progress.clear()
            _ended(client)
    _show(session, found)


class _Told:
    """What is said of an advance that takes its time: beside the spinner, or a line now and then
    where there is none."""

    def __init__(self, session: Session, progress: Progress) -> None:
        self._session = session
        self._progress = progress
        self._next = monotonic() + _SILENCE

    def update(self, now: Mapping[str, Any]) -> None:
        """Say how the clock stands."""
        from orchestrator.display.moments import exact
        from orchestrator.records import show_duration

        text = exact(datetime.fromisoformat(now["time"]))
        if (names := now["waiting_for"]) and now["waiting"] >= _WORTH_A_WORD:
            shown = ", ".join(names[:_NAMED])
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            text += f", waiting for {shown}{more} ({show_duration(now['waiting'])})"
        self._progress.update(text)
        if not self._progress.shown and monotonic() >= self._next:
            self._next = monotonic() + _SILENCE
            self._session.say(f"Moving time on: {text}")


def _ended(client: SteeringClient) -> NoReturn:
    """Ctrl-C: say where the clock was left."""
    from orchestrator.cli.failures import INTERRUPTED, end_line, report
    from orchestrator.display.moments import exact

    end_line()
    now = client.clock()
    how = "stands still" if now["frozen"] else "runs on"
    if not now["frozen"] and now["rate"] != 1:
        how += f" at {now['rate']:g} times this machine's"
    report(
        f"Ended; the local cloud's time is {exact(datetime.fromisoformat(now['time']))} and {how}.",
        "Back to this machine's time: orchestrator local clock reset",
        error=False,
    )
    raise click.exceptions.Exit(INTERRUPTED)


@command(
    "rate",
    examples=[
        ("an hour in a minute", "orchestrator local clock rate 60"),
        ("real time from here on", "orchestrator local clock rate 1"),
    ],
)
@click.argument("rate", type=float)
@state_option
def rate(rate: float, state: str | None) -> None:
    """Let RATE seconds pass there in each second here; starts a frozen clock, too."""
    session = current()
    _show(session, steering(session, state).rate(rate))


@command("freeze", examples=[("stop the clock", "orchestrator local clock freeze")])
@state_option
def freeze(state: str | None) -> None:
    """Let no time pass until `rate` or `reset`; `advance` moves it still."""
    session = current()
    _show(session, steering(session, state).freeze())


@command("reset", examples=[("real time", "orchestrator local clock reset")])
@state_option
def reset(state: str | None) -> None:
    """Go back to the machine's time. Schedules begin anew; what has a time keeps it."""
    session = current()
    _show(session, steering(session, state).reset())
