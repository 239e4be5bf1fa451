"""Executions drawn with matplotlib, which is imported when something is drawn.

A timeline has a lane for each job, and in it a bar for each execution; executions of a job that run
beside each other are drawn below one another. A histogram tells how long executions took.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.drawing import COLOURS, MEANT, QUIET, check_kind, figure_type
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.results import Execution

PlotKind = Literal["timeline", "histogram"]


def draw(
    executions: Sequence[Execution],
    kind: PlotKind,
    path: str | os.PathLike[str] | None,
    now: datetime,
) -> Any:
    """The figure; see `Executions.plot`. `now`: where what still runs ends."""
    figure_of = figure_type()
    if path is not None:
        check_kind(path)
    started = [e for e in executions if e.start is not None]
    if not started:
        raise BadInput("There are no executions to draw.", "Look further back, or at more jobs.")
    if kind == "histogram":
        figure = _histogram(figure_of, [e for e in started if e.duration is not None])
    elif kind == "timeline":
        figure = _timeline(figure_of, started, now)
    else:
        raise BadInput(f'"{kind}" is no kind of plot.', "There are: timeline, histogram.")
    if path is not None:
        figure.savefig(path)
    return figure


def rows_of(executions: Sequence[Execution], now: datetime) -> list[int]:
    """The row of each execution of one job: the first in which nothing else runs by then."""
    ends: list[datetime] = []
    rows = [0] * len(executions)
    order = sorted(range(len(executions)), key=lambda i: executions[i].start or now)
    for i in order:
        start, end = executions[i].start or now, executions[i].end or now
        row = next((n for n, free in enumerate(ends) if free <= start), len(ends))
        if row == len(ends):
            ends.append(end)
        else:
            ends[row] = end
        rows[i] = row
    return rows


def _timeline(figure_of: Any, executions: Sequence[Execution], now: datetime) -> Any:
    from matplotlib import dates

    untyped: Any = dates
    jobs = sorted({e.job for e in executions})
    lanes = {job: [e for e in executions if e.job == job] for job in jobs}
    rows = {job: rows_of(lane, now) for job, lane in lanes.items()}
    heights = {job: max(rows[job]) + 1 for job in jobs}
    total = sum(heights.values())
    height = min(12.0, 1.1 + 0.42 * total + 0.2 * len(jobs))
    figure = figure_of(figsize=(9, height), dpi=120, layout="constrained")
    axis = figure.subplots()
    first = min(e.start for e in executions if e.start)
    last = max(e.end or now for e in executions)
    # What is shorter than a hair is drawn as one.
    hair = (last - first) / 400
    base, ticks = 0.0, []
    for job in jobs:
        for execution, row in zip(lanes[job], rows[job], strict=True):
            start = execution.start or now
            end = max(execution.end or now, start + hair)
            axis.barh(
                base + row,
                untyped.date2num(end) - untyped.date2num(start),
                left=untyped.date2num(start),
                height=0.78,
                color=MEANT.get(execution.status, "#999999"),
            )
        ticks.append(base + (heights[job] - 1) / 2)
        base += heights[job] + 0.5
    axis.set_yticks(ticks, jobs)
    axis.set_ylim(base - 0.9, -0.6)
    locator = untyped.AutoDateLocator(maxticks=8)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
    axis.xaxis_date()
    axis.xaxis.get_offset_text().set(size=8, color=QUIET)
    axis.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    _calm(axis)
    axis.tick_params(axis="y", labelsize=9, colors="#222222")
    _legend(axis, [s for s in MEANT if any(e.status == s for e in executions)])
    figure.suptitle(_title(executions), x=0.01, ha="left", fontsize=11)
    return figure


def _histogram(figure_of: Any, executions: Sequence[Execution]) -> Any:
    if not executions:
        raise BadInput("No execution has ended yet, so there is no duration to draw.", "Wait.")
    jobs = sorted({e.job for e in executions})
    figure = figure_of(figsize=(9, 0.9 + 1.5 * len(jobs)), dpi=120, layout="constrained")
    axes = figure.subplots(len(jobs), 1, sharex=True, squeeze=False)[:, 0]
    unit, name = _unit(max(e.duration for e in executions if e.duration is not None))
    longest = max(e.duration / unit for e in executions if e.duration is not None)
    bins = [longest * n / 30 for n in range(31)] if longest else [0.0, 1.0]
    for axis, job, colour in zip(axes, jobs, COLOURS * len(jobs), strict=False):
        took = [e.duration / unit for e in executions if e.job == job and e.duration is not None]
        axis.hist(took, bins=bins, color=colour, rwidth=0.9)
        middle = sorted(took)[len(took) // 2]
        axis.axvline(middle, color="#222222", linewidth=1, linestyle=(0, (2, 2)))
        axis.set_title(
            f"{job}  ·  {len(took)} execution{'' if len(took) == 1 else 's'}, "
            f"half within {middle:.3g} {name}",
            loc="left", fontsize=9, color=QUIET,
        )  # fmt: skip
        axis.grid(axis="y", color="#e6e6e6", linewidth=0.8)
        axis.yaxis.get_major_locator().set_params(nbins=3, integer=True)
        _calm(axis)
    axes[-1].set_xlabel(f"duration in {name}", fontsize=9, color=QUIET)
    return figure


def _unit(longest: timedelta) -> tuple[timedelta, str]:
    if longest < timedelta(minutes=3):
        return timedelta(seconds=1), "seconds"
    if longest < timedelta(hours=3):
        return timedelta(minutes=1), "minutes"
    return timedelta(hours=1), "hours"


def _title(executions: Sequence[Execution]) -> str:
    count = len(executions)
    return f"{count} execution{'' if count == 1 else 's'} (UTC)"


def _calm(axis: Any) -> None:
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=8, colors=QUIET, length=0)


def _legend(axis: Any, statuses: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=MEANT[status], label=status) for status in statuses]
    axis.legend(
        handles=patches, loc="lower right", bbox_to_anchor=(1, 1.0), ncols=max(1, len(patches)),
        fontsize=8, frameon=False, borderaxespad=0,
    )  # fmt: skip
