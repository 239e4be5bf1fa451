"""`orchestrator metrics`: what was measured of a job or a queue."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.completers import complete_queues
from orchestrator.cli.grammar import OneOf, command
from orchestrator.cli.parameters import Duration, job_or_option
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from orchestrator.metrics.series import MetricTable

TREND = 24
"""Columns of a terminal that the trend has at least."""

SPARE = ("aggregation", "low", "total", "last")
"""What a narrow terminal does without, in this order."""


class Reach(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks
    """How far back (`2h`, by the service's clock), or since when; kept as it is written."""

    name = "WHEN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from orchestrator.quantities import as_moment
        from orchestrator.waiting import SystemTime, now

        try:
            as_moment(str(value), now(SystemTime()))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)
        return str(value)


def _complete_metrics(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Azure Monitor's names, of the job or of the queue that is named."""
    from click.shell_completion import CompletionItem

    from orchestrator.metrics.verbs import JOB_METRICS, QUEUE_METRICS

    known = {**({} if ctx.params.get("queue") else JOB_METRICS)}
    known |= {} if ctx.params.get("named") or ctx.params.get("job") else QUEUE_METRICS
    return [CompletionItem(n) for n in known if n.lower().startswith(incomplete.lower())]


@command(
    "metrics",
    examples=[
        ("executions by state, cpu, memory", "orchestrator metrics processor"),
        ("a queue's depth over a day", "orchestrator metrics --queue results --since 1d"),
        (
            "every value of one metric as CSV",
            "orchestrator metrics --queue results --metric ActiveMessages --points -o csv",
        ),
        ("a picture", "orchestrator metrics processor --plot processor.png"),
    ],
)
@job_or_option("Metrics of this job.")
@click.option(
    "--queue",
    metavar="QUEUE",
    shell_complete=complete_queues,
    help="Metrics of this queue or topic.",
)
@click.option(
    "-m",
    "--metric",
    "metrics_",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_metrics,
    help="This metric only, by Azure Monitor's name (Executions, ActiveMessages); repeatable.",
)
@click.option(
    "--aggregation",
    type=OneOf(("Average", "Minimum", "Maximum", "Total", "Count")),
    metavar="NAME",
    help="Average, Minimum, Maximum, Total or Count. [default: what says most of each]",
)
@click.option("--since", type=Reach(), default="1h", help="How far back (2h), or since a time.")
@click.option(
    "--interval",
    type=Duration(),
    help="Between two points: 1m, 5m, 15m, 30m, 1h, 6h, 12h or 1d. [default: by --since]",
)
@click.option("--points", is_flag=True, help="Every value on a line of its own.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE",
    help="Draw it into this file (.png, .svg, .pdf) instead.",
)
def metrics(
    job: str | None,
    queue: str | None,
    metrics_: tuple[str, ...],
    aggregation: str | None,
    since: str,
    interval: timedelta | None,
    points: bool,
    plot: str | None,
) -> None:
    """Show what was measured of a job or a queue over time, one row per metric.

    On Azure a value is there some minutes after the fact. CSV and TSV have every
    value, as with --points.
    """
    if (job is None) == (queue is None):
        raise click.UsageError("Name what to show: either JOB or --queue QUEUE.")
    session = current()
    verbs = session.connect().metrics
    asked: dict[str, Any] = {"since": since, "interval": interval, "aggregation": aggregation}
    found = (
        verbs.job(job, *metrics_, **asked)
        if job is not None
        else verbs.queue(str(queue), *metrics_, **asked)
    )
    if plot is not None:
        found.plot(plot)
        if session.plain:
            session.say(f"Drawn: {plot}")
        else:
            session.show_data({"file": plot})
    elif points or session.format in ("csv", "tsv"):
        session.show(found.points, empty=found.silence)
    elif session.plain and found.silent:
        from orchestrator.metrics.series import MetricTable

        session.show(MetricTable(), empty=found.silence)
        return
    elif session.plain:
        _table(session, found)
    else:
        session.show(found)
    if found.silence and not (points and session.plain and found.silent):
        session.say(found.silence)


def _table(session: Session, found: MetricTable) -> None:
    """The table, with as much of the trend as the terminal has room for."""
    import sys

    from orchestrator.display.terminal import can_encode, is_terminal, width
    from orchestrator.display.views import View, of_records

    view = of_records(found)
    keep = [i for i, heading in enumerate(view.headings) if _tells(heading.key, found)]
    if not can_encode(sys.stdout, "█"):
        keep = [i for i in keep if view.headings[i].key != "trend"]

    def room() -> int:
        """What the columns before the trend leave of the terminal."""
        shown = [i for i in keep if view.headings[i].key != "trend"]
        return width() - sum(
            max([len(view.headings[i].title), *(len(str(row[i])) for row in view.cells)]) + 2
            for i in shown
        )

    if is_terminal(sys.stdout) and view.headings[keep[-1]].key == "trend":
        # The course says more than a number: numbers go where there is no room for both.
        for spare in SPARE:
            if room() < TREND:
                keep = [i for i in keep if view.headings[i].key != spare]
    rows = [[row[i] for i in keep] for row in view.cells]
    headings = [view.headings[i] for i in keep]
    if is_terminal(sys.stdout) and headings[-1].key == "trend":
        for row, series in zip(rows, found, strict=True):
            row[-1] = series.sparkline(max(8, min(90, room())))
    session.show(View(data=view.data, headings=headings, cells=rows, empty=view.empty))
    if found and found[0].points:
        from orchestrator.quantities import short_duration

        first, last = found[0].points[0][0], found[0].points[-1][0]
        session.hint(
            f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, a point every "
            f"{short_duration(found[0].interval)}"
        )


def _tells(key: str, found: MetricTable) -> bool:
    """Whether a column says anything in some row."""
    if key == "split":
        return any(series.split for series in found)
    return key != "total" or any(series.total is not None for series in found)
