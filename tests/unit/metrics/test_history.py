"""The history of metrics, by the minute: counts, samples, levels, restarts, bounds."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.clock import ManualClock
from orchestrator.localcloud.metrics import history as module
from orchestrator.localcloud.metrics.answer import MetricReader
from orchestrator.localcloud.metrics.history import MetricHistory
from orchestrator.localcloud.metrics.question import read_question

JOB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/sender"
BUS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ServiceBus/namespaces/bus"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
RESULTS = (("EntityName", "results"),)


class Lab:
    """A history on a clock that stands still until it is moved."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.path = folder / "metrics.sqlite"
        self.open()

    def open(self) -> None:
        self.history = MetricHistory(self.path, self.clock)
        self.history.open()

    def restart(self) -> None:
        self.history.close()
        self.open()

    def pass_minutes(self, minutes: float) -> None:
        self.clock.jump(minutes * 60)

    def ask(self, resource: str, **query: str) -> list[dict[str, float | None]]:
        """The data points of the one series of an answer, without their times."""
        kind = "Microsoft.App/jobs" if resource == JOB else "Microsoft.ServiceBus/namespaces"
        question = read_question(kind, query, self.clock.now())
        self.history.flush()
        answer = MetricReader(self.history).answer(question, resource, "westeurope")
        [series] = answer["value"][0]["timeseries"]
        return [{k: v for k, v in p.items() if k != "timeStamp"} for p in series["data"]]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    built = Lab(tmp_path)
    yield built
    built.history.close()


async def test_a_level_holds_until_it_changes_also_over_a_restart(lab: Lab) -> None:
    def depth(minutes: int) -> list[float | None]:
        points = lab.ask(
            BUS, metricnames="ActiveMessages", aggregation="Maximum", timespan=f"PT{minutes}M"
        )
        return [point.get("maximum") for point in points]

    lab.history.level(BUS, "ActiveMessages", RESULTS, 5)
    lab.pass_minutes(3)
    assert depth(3) == [5, 5, 5]
    lab.restart()
    lab.pass_minutes(2)
    lab.history.level(BUS, "ActiveMessages", RESULTS, 1)
    # In the minute of the change it was five, and then one.
    assert depth(2) == [5, 5]
    lab.pass_minutes(1)
    assert depth(2) == [5, 1]
    lab.history.level(BUS, "ActiveMessages", RESULTS, None)
    lab.pass_minutes(2)
    assert depth(3) == [1, None, None], "what is gone has no depth"


async def test_a_level_that_does_not_change_writes_nothing(lab: Lab) -> None:
    lab.history.level(BUS, "ActiveMessages", RESULTS, 5)
    for _ in range(100):
        lab.pass_minutes(1)
        lab.history.level(BUS, "ActiveMessages", RESULTS, 5)
    lab.history.close()
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM points").fetchone() == (1,)


async def test_minutes_are_joined_to_grains(lab: Lab) -> None:
    for _ in range(10):
        lab.history.add(JOB, "Executions", (("state", "Failed"),))
        lab.pass_minutes(1)
    asked = {
        "metricnames": "Executions",
        "interval": "PT5M",
        "aggregation": "Total,Average,Minimum,Maximum,Count",
        "timespan": "2026-01-01T12:00:00Z/2026-01-01T12:10:00Z",
    }
    five = {"total": 5, "average": 1, "minimum": 1, "maximum": 1, "count": 5}
    assert lab.ask(JOB, **asked) == [five, five]
    assert lab.ask(JOB, **asked | {"interval": "FULL"}) == [five | {"total": 10, "count": 10}]


async def test_before_its_history_there_is_no_data_and_after_a_count_is_zero(lab: Lab) -> None:
    lab.history.add(JOB, "Executions", (("state", "Failed"),))
    lab.pass_minutes(2)
    span = "2026-01-01T11:58:00Z/2026-01-01T12:10:00Z"
    points = lab.ask(JOB, metricnames="Executions", timespan=span)
    assert points == [{}, {}, {"total": 1}, {"total": 0}, {"total": 0}], "and none to come"


async def test_what_is_older_than_93_days_is_dropped_but_a_level_that_holds(lab: Lab) -> None:
    lab.history.level(BUS, "ActiveMessages", RESULTS, 7)
    lab.history.add(JOB, "Executions", (("state", "Failed"),))
    lab.pass_minutes(94 * 1440)
    lab.history.add(JOB, "Executions", (("state", "Succeeded"),))
    lab.restart()
    lab.history.flush()
    kept = lab.history.points(JOB, "Executions", 0, 10**9)
    assert list(kept) == [(JOB.lower(), "Executions", (("state", "Succeeded"),))]
    assert lab.ask(BUS, metricnames="ActiveMessages", timespan="PT1M")[-1] == {"average": 7}


async def test_rows_are_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 50)
    for _ in range(120):
        lab.history.add(JOB, "Executions", (("state", "Failed"),))
        lab.pass_minutes(10)
    lab.restart()
    lab.history.add(JOB, "Executions", (("state", "Failed"),))
    lab.history.close()
    with closing(sqlite3.connect(lab.path)) as connection, connection:
        [rows] = connection.execute("SELECT count(*) FROM points").fetchone()
    assert 40 <= rows <= 50


async def test_a_full_disk_costs_only_what_could_not_be_written(lab: Lab) -> None:
    connection = lab.history._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    lab.history.add(JOB, "Executions", (("state", "Failed"),))
    lab.history.add(BUS, "Size", (("EntityName", "x" * 100_000),))
    lab.history.flush()
    connection.execute(f"PRAGMA max_page_count = {pages * 1000}")
    lab.history.add(BUS, "IncomingMessages", RESULTS)
    lab.history.add(JOB, "Executions", (("state", "Failed"),))
    assert lab.ask(BUS, metricnames="IncomingMessages")[-1] == {"total": 1}
    assert lab.ask(JOB, metricnames="Executions")[-1] == {"total": 1}


async def test_a_damaged_file_is_put_aside(lab: Lab) -> None:
    lab.history.close()
    lab.path.write_bytes(b"no database at all" * 100)
    lab.open()
    lab.history.add(JOB, "Executions", (("state", "Failed"),))
    assert lab.ask(JOB, metricnames="Executions")[-1] == {"total": 1}
    assert lab.path.with_name("metrics.sqlite.damaged").exists()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("level"), st.integers(0, 5)),
        st.tuples(st.just("gone"), st.none()),
        st.tuples(st.just("pass"), st.integers(1, 4)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=25,
)
_folders = itertools.count()


@given(steps=steps)
@settings(max_examples=40)
async def test_any_level_is_told_as_it_was(
    steps: list[tuple[str, int | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Against a model that writes down, for each minute, every value that it had."""
    lab = Lab(tmp_path_factory.mktemp(f"any{next(_folders)}"))
    seen: list[set[int]] = [set()]
    now: int | None = None
    for step, value in steps:
        if step == "pass":
            assert value is not None
            lab.pass_minutes(value)
            seen += [set() if now is None else {now} for _ in range(value)]
        elif step == "restart":
            lab.restart()
        else:
            lab.history.level(BUS, "Size", RESULTS, value)
            now = value
            if value is not None:
                seen[-1].add(value)
    points = lab.ask(
        BUS,
        metricnames="Size",
        aggregation="Minimum,Maximum",
        timespan=f"2026-01-01T12:00:00Z/{lab.clock.now().isoformat()}",
    )
    lab.history.close()
    expected = [{"minimum": min(s), "maximum": max(s)} if s else {} for s in seen]
    assert points == expected[: len(points)]
    assert len(points) in (len(expected), len(expected) - 1)
