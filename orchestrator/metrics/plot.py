"""Metrics drawn over time with matplotlib, which is imported when something is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.drawing import COLOURS, MEANT, QUIET, check_kind, figure_type
from orchestrator.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.metrics.series import MetricSeries, MetricTable


def draw(table: MetricTable, path: str | os.PathLike[str] | None = None) -> Any:
    """The figure; see `MetricTable.plot`."""
    figure_of = figure_type()
    from matplotlib import dates

    untyped: Any = dates
    if path is not None:
        check_kind(path)
    panels: dict[str, list[MetricSeries]] = {}
    for series in table:
        if series.values:
            panels.setdefault(series.metric, []).append(series)
    if not panels:
        raise BadInput(
            f"There is nothing to draw. {table.silence}".rstrip(),
            "Let it run first, or look further back with --since.",
        )
    figure = figure_of(figsize=(9, 1.0 + 1.7 * len(panels)), dpi=120, layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (metric, group) in zip(axes, panels.items(), strict=True):
        _draw_group(axis, group)
        _scale(axis, group)
        _dress(axis, f"{metric}  ·  {group[0].aggregation}", len(group))
    last = axes[-1]
    locator = untyped.AutoDateLocator(maxticks=8)
    last.xaxis.set_major_locator(locator)
    last.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
    names = list(dict.fromkeys(series.of for series in table))
    figure.suptitle(f"{', '.join(names)} (UTC)", x=0.01, ha="left", fontsize=11)
    if path is not None:
        figure.savefig(path)
    return figure


def _draw_group(axis: Any, group: Sequence[MetricSeries]) -> None:
    """The series of one metric: counts as bars on top of each other, levels as steps."""
    from matplotlib import dates

    untyped: Any = dates
    counted = group[0].aggregation in ("Total", "Count")
    spare = iter(COLOURS * 10)
    floor: list[float] = []
    for series in group:
        times = [time for time, _ in series.points]
        # A value holds for its interval, also one without neighbours, and the last one.
        edges = [untyped.date2num(time) for time in (*times, times[-1] + series.interval)]
        values = [float("nan") if value is None else value for _, value in series.points]
        heights = [value or 0.0 for _, value in series.points]
        colour = MEANT.get(series.split) or next(spare)
        label = series.split or series.of
        if not counted:
            axis.stairs(values, edges, baseline=None, color=colour, linewidth=1.6, label=label)
            axis.stairs(values, edges, fill=True, color=colour, alpha=0.12)
        elif series.split == "Running" and len(group) > 1:
            # Those that have ended are among those that have begun: drawn over, not on top.
            axis.stairs(heights, edges, color=colour, linewidth=1.2, label=label, zorder=3)
        else:
            floor = floor or [0.0] * len(heights)
            axis.bar(
                times, heights, bottom=floor, width=series.interval * 0.9, align="edge",
                color=colour, label=label,
            )  # fmt: skip
            floor = [a + b for a, b in zip(floor, heights, strict=True)]


def _scale(axis: Any, group: Sequence[MetricSeries]) -> None:
    """The upward axis: from nothing on, with few ticks that are round in the metric's unit."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    axis.set_ylim(bottom=0)
    unit = group[0].unit
    most = max((v for series in group for _, v in series.points if v), default=0.0)
    if (axis.get_ylim()[1] < 1 and unit == "Count") or not most:
        axis.set_ylim(0, 1)
    if unit == "Bytes" and most:
        axis.yaxis.set_major_locator(FixedLocator(_round_sizes(most)))
    else:
        integer = unit == "Count" or not most
        axis.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=integer))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, unit)))


def _dress(axis: Any, title: str, series: int) -> None:
    """Title, grid and, for several series, a legend; no frame."""
    axis.set_title(title, loc="left", fontsize=9, color=QUIET)
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(labelsize=8, colors=QUIET, length=0)
    if series > 1:
        axis.legend(
            loc="upper right", fontsize=8, frameon=False, ncols=series,
            bbox_to_anchor=(1, 1.28), borderaxespad=0,
        )  # fmt: skip


def _round_sizes(most: float) -> list[float]:
    """Ticks at sizes that are round in binary units, four at most."""
    step = 1.0
    while most / step > 4:
        step *= 2
    return [step * n for n in range(int(most / step) + 2)]


def _tick(value: float, unit: str) -> str:
    from orchestrator.metrics.series import amount

    return amount(value, unit).removesuffix(" cores")
