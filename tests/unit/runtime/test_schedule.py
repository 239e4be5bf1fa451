"""Cron: on time, once, in UTC, over restarts and clock jumps."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.runtime.schedule import CronInvalid, check_cron, due, next_time
from tests.unit.runtime.doubles import START, Act, House


def cron(expression: str) -> dict[str, object]:
    return {"cronExpression": expression, "parallelism": 1, "replicaCompletionCount": 1}


def start_times(house: House, job: str) -> list[str]:
    return [e["properties"]["startTime"][:16] for e in house.runtime.executions(job)][::-1]


async def test_a_day_of_every_five_minutes_fires_288_times_in_order(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/5 * * * *"))
    house.executor.script = lambda replica, container, run: Act(after=30)
    await house.advance(86_400)
    starts = [at for _, _, at in house.executor.starts]
    assert starts == [START + 300 * n for n in range(1, 289)]
    # ARM keeps the last 100 that are over; the one that just started runs.
    assert len(house.runtime.executions(job)) == 101
    assert house.statuses(job) == ["Running"] + ["Succeeded"] * 100
    await house.advance(30)
    assert len(house.runtime.executions(job)) == 100


async def test_names_are_as_those_of_any_execution(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("* * * * *"))
    await house.advance(60)
    [execution] = house.runtime.executions(job)
    assert re.fullmatch(r"sender-[a-z0-9]{7}", execution["name"])


async def test_nothing_fires_at_the_moment_of_creation(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("* * * * *"))
    await house.settle()
    assert house.runtime.executions(job) == []


async def test_executions_overlap_when_they_take_longer_than_the_interval(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("* * * * *"))
    house.executor.script = lambda replica, container, run: Act(after=150)
    await house.advance(180)
    assert house.statuses(job) == ["Running"] * 3


async def test_a_restart_neither_fires_twice_nor_loses_the_next_fire(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(600)
    assert len(house.runtime.executions(job)) == 1
    for _ in range(3):
        await house.die()
        await house.restart()
        await house.settle()
    assert len(house.runtime.executions(job)) == 1
    await house.advance(599)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(1)
    assert start_times(house, job) == ["2026-01-01T00:10", "2026-01-01T00:20"]


async def test_times_missed_while_down_are_made_up_by_one_execution(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(600)
    await house.die()
    house.clock.jump(35 * 60)  # 00:45: 00:20, 00:30 and 00:40 have passed
    await house.restart()
    await house.settle()
    assert start_times(house, job) == ["2026-01-01T00:10", "2026-01-01T00:45"]
    assert house.sink.texts("MissedSchedule") == [
        "2 scheduled times were missed; one execution starts for the latest time, "
        "2026-01-01T00:40:00+00:00"
    ]
    await house.advance(5 * 60)
    assert start_times(house, job)[2:] == ["2026-01-01T00:50"]


async def test_a_year_of_missed_minutes_is_told_as_the_controller_tells_it(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("* * * * *"))
    await house.settle()
    await house.die()
    house.clock.jump(365 * 86_400)
    await house.restart()
    await house.settle()
    assert len(house.runtime.executions(job)) == 1
    assert house.sink.texts("TooManyMissedTimes")[0].startswith("more than 100 scheduled times")


async def test_a_machine_that_slept_makes_up_once_and_goes_on(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.settle()
    house.clock.jump(3 * 3600 + 60)
    await house.advance(0)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(9 * 60)
    assert start_times(house, job) == ["2026-01-01T03:01", "2026-01-01T03:10"]


async def test_a_clock_corrected_backwards_fires_nothing_again(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(600)
    house.clock.jump(-120)
    await house.die()
    await house.restart()
    await house.advance(120)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(600)
    assert len(house.runtime.executions(job)) == 2


async def test_a_clock_set_back_by_a_day_does_not_silence_the_schedule(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(86_400)
    before = len(house.executor.starts)
    house.clock.jump(-86_400)
    house.runtime.clock_changed()
    await house.advance(600)
    assert len(house.executor.starts) == before + 1
    assert house.statuses(job)


async def test_a_suspended_job_fires_nothing_and_makes_up_for_nothing(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(600)
    house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"), suspended=True)
    await house.advance(3600)
    assert len(house.runtime.executions(job)) == 1
    house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(599)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(1)
    assert start_times(house, job) == ["2026-01-01T00:10", "2026-01-01T01:20"]


async def test_a_changed_expression_counts_from_the_change(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("0 12 * * *"))
    await house.advance(3000)
    house.add(trigger="Schedule", trigger_config=cron("*/15 * * * *"))
    await house.settle()
    assert house.runtime.executions(job) == []
    await house.advance(600)
    assert start_times(house, job) == ["2026-01-01T01:00"]


async def test_changing_something_else_neither_fires_nor_skips(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"))
    await house.advance(600)
    for _ in range(5):
        house.add(trigger="Schedule", trigger_config=cron("*/10 * * * *"), retries=3)
        await house.advance(60)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(300)
    assert start_times(house, job) == ["2026-01-01T00:10", "2026-01-01T00:20"]


async def test_a_deleted_job_fires_nothing(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("* * * * *"))
    await house.settle()
    del house.jobs.resources[job.lower()]
    house.runtime.job_deleted(job)
    await house.advance(600)
    assert not house.executor.starts


async def test_a_bad_expression_is_told_and_the_other_jobs_fire(house: House) -> None:
    house.add("bad", trigger="Schedule", trigger_config=cron("0 0 * * * *"))
    good = house.add("good", trigger="Schedule", trigger_config=cron("* * * * *"))
    await house.advance(120)
    assert len(house.runtime.executions(good)) == 2
    [text] = house.sink.texts("UnparseableSchedule")
    assert "has 6 fields" in text


async def test_a_full_disk_delays_the_fire_and_tells_it_once(house: House) -> None:
    job = house.add(trigger="Schedule", trigger_config=cron("* * * * *"))
    await house.settle()
    connection = house.runtime._store._database
    connection.execute("PRAGMA query_only = 1")
    await house.advance(85)
    assert len(house.sink.texts("FailedCreate")) == 1
    connection.execute("PRAGMA query_only = 0")
    await house.advance(5)
    assert len(house.runtime.executions(job)) == 1
    await house.advance(30)
    assert len(house.runtime.executions(job)) == 2


async def test_a_summer_time_night_has_no_missing_and_no_double_hour(house: House) -> None:
    # 2026-03-29 and 2026-10-25 are the changes in Europe; UTC knows neither.
    for day in ((2026, 3, 29), (2026, 10, 25)):
        begin = datetime(*day, tzinfo=UTC).timestamp()
        moments = []
        moment = begin - 1
        while (following := next_time("30 2 * * *", moment)) is not None:
            if following > begin + 2 * 86_400:
                break
            moments.append(following - begin)
            moment = following
        assert moments == [2.5 * 3600, 26.5 * 3600]
    assert house.clock.time() == START


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("* * * *", "4 fields"),
        ("0 * * * * *", "6 fields"),
        ("61 * * * *", "Bad minute"),
        ("* * * * MOO", "Bad day-of-week"),
        ("", "0 fields"),
        ("@hourly", "1 fields"),
    ],
)
def test_what_is_not_five_fields_is_refused(expression: str, why: str) -> None:
    with pytest.raises(CronInvalid, match=why):
        check_cron(expression)


EXPRESSIONS = ["* * * * *", "*/5 * * * *", "7 3 * * *", "0 0 1 * *", "30 6 * * 1-5", "0 0 29 2 *"]


@settings(max_examples=200)
@example(expression="* * * * *", settled=START + 0.9999998, past=2699.0)
@given(
    expression=st.sampled_from(EXPRESSIONS),
    settled=st.floats(START, START + 4 * 86_400),
    past=st.floats(0, 3 * 86_400),
)
def test_due_is_the_latest_moment_not_settled(expression: str, settled: float, past: float) -> None:
    now = settled + past
    moments = []
    moment = settled
    while (following := next_time(expression, moment)) is not None and following <= now:
        moments.append(following)
        moment = following
    latest, earlier = due(expression, settled, now)
    assert latest == (moments[-1] if moments else None)
    assert earlier == min(100, max(0, len(moments) - 1))
