"""Executions as pictures, and progress as a line of HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import orchestrator
from orchestrator.errors import BadInput
from orchestrator.executions.plot import rows_of
from orchestrator.notebook import ProgressBar
from orchestrator.queries.parts import PartsProgress
from orchestrator.results import Change, Execution, Executions, Step

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ran(begin: int, end: int | None, *, job: str = "a", status: str = "Succeeded") -> Execution:
    return Execution(
        name=f"{job}-{begin}",
        job=job,
        status=status,
        start=NOW + timedelta(seconds=begin),
        end=None if end is None else NOW + timedelta(seconds=end),
    )


def test_what_runs_beside_each_other_is_drawn_below_each_other() -> None:
    executions = [ran(20, 30), ran(0, 15), ran(10, 25), ran(26, None), ran(27, 28)]
    assert rows_of(executions, NOW + timedelta(seconds=60)) == [0, 0, 1, 1, 2]


def test_a_timeline_has_a_bar_for_each_execution_and_a_lane_for_each_job() -> None:
    executions = Executions([ran(0, 5), ran(2, None, status="Running"), ran(1, 4, job="b")])
    (axis,) = executions.plot().axes
    assert len(axis.patches) == 3
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]
    assert [t.get_text() for t in axis.get_legend().get_texts()] == ["Succeeded", "Running"]


def test_a_histogram_has_a_panel_for_each_job_and_counts_what_has_ended() -> None:
    executions = Executions([ran(0, 5), ran(2, None), ran(0, 90), ran(1, 4, job="b")])
    first, second = executions.plot("histogram").axes
    assert sum(bar.get_height() for bar in first.patches) == 2
    assert sum(bar.get_height() for bar in second.patches) == 1
    assert second.get_xlabel() == "duration in seconds"


def test_a_figure_shows_itself_and_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    figure = Executions([ran(0, 5)]).plot(path=tmp_path / "day.svg")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "day.svg").read_text()


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(BadInput, match="no executions to draw"):
        Executions().plot()
    with pytest.raises(BadInput, match="no kind of picture"):
        Executions([ran(0, 5)]).plot(path="day.doc")
    with pytest.raises(BadInput, match='"pie" is no kind of plot'):
        Executions([ran(0, 5)]).plot("pie")  # type: ignore[arg-type]


def test_a_bar_takes_what_every_long_call_tells() -> None:
    bar = ProgressBar("waiting")
    assert bar.words == "waiting"
    bar(3, 1200)
    assert bar.words == "waiting  3 of 1,200"
    bar(Step(title="queue <in>", number=2, total=12))
    assert bar.words == "queue <in>  1 of 12"
    change = Change(name="in", kind="queue", action="created")
    bar(Step(title="queue <in>", number=2, total=12, change=change))
    assert bar.words == "queue <in>  2 of 12"
    assert 'value="2" max="12"' in bar.as_html()
    assert "queue &lt;in&gt;" in bar.as_html()
    bar(PartsProgress(rows=500, total=900, parts=1))
    assert (bar.done, bar.total) == (500, 900)
    bar("asking again")
    assert bar.words == "asking again  500 of 900"


def test_outside_of_a_notebook_and_a_terminal_a_bar_is_silent(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with orchestrator.progress("deploying") as bar:
        bar(1, 2)
    assert capsys.readouterr() == ("", "")
