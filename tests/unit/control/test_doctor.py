"""The doctor's judgement of how a job runs, on what a job may look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.doctor import checks_configuration, checks_logs, checks_running
from orchestrator.doctor.findings import Finding, Findings
from orchestrator.doctor.patient import Patient
from orchestrator.logs.system_log import SystemEvent
from orchestrator.queues.records import Queue
from orchestrator.results import Execution

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)


class Case(Patient):
    """A patient of whom everything is known beforehand."""

    now = NOW
    executions: Sequence[Execution] = ()  # type: ignore[assignment]
    line = ""
    events = ()  # type: ignore[assignment]

    def __init__(self, executions: Sequence[Execution] = (), **configuration: Any) -> None:
        resource = {
            "name": "job",
            "systemData": {"createdAt": "2026-11-01T00:00:00+00:00"},
            "properties": {
                "provisioningState": "Succeeded",
                "configuration": {"triggerType": "Manual", "replicaTimeout": 600, **configuration},
                "template": {"containers": [{"name": "job", "image": "an:1", "env": []}]},
            },
        }
        super().__init__(None, resource)  # type: ignore[arg-type]
        self.executions = list(executions)

    def last_line(self, execution: Execution) -> str:
        return self.line


def ran(
    status: str, start: float, took: float | None = None, *, reason: str = "", name: str = ""
) -> Execution:
    """An execution that started so many seconds before now."""
    begin = NOW - timedelta(seconds=start)
    return Execution(
        name=name or f"job-{start:g}",
        job="job",
        status=status,
        start=begin,
        end=None if took is None else begin + timedelta(seconds=took),
        reason=reason,
    )


def scheduled(cron: str, executions: Sequence[Execution] = ()) -> Case:
    return Case(executions, triggerType="Schedule", scheduleTriggerConfig={"cronExpression": cron})


def told(found: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(f.level, f.what) for f in found]


def test_a_start_that_was_due_and_did_not_happen_is_a_problem() -> None:
    patient = scheduled("*/15 * * * *", [ran("Succeeded", 3600, 10)])
    patient.now = NOW + timedelta(minutes=5)
    (finding,) = checks_running.schedule(patient)
    assert (finding.level, finding.what) == (
        "problem",
        "The start that was due at 2026-11-24 12:00:00 UTC did not happen.",
    )
    assert finding.evidence == "The newest execution started at 2026-11-24 11:00:30 UTC."


@pytest.mark.parametrize(
    "executions",
    [
        pytest.param([ran("Running", 25)], id="it did"),
        pytest.param([ran("Succeeded", 900, 10)], id="it is only just due"),
    ],
)
def test_a_start_that_happened_or_may_still_come_is_none(executions: list[Execution]) -> None:
    (finding,) = checks_running.schedule(scheduled("*/15 * * * *", executions))
    assert (finding.level, finding.what) == (
        "fine",
        "The next start is due at 2026-11-24 12:15:00 UTC.",
    )


def test_a_job_that_is_younger_than_its_moment_has_missed_nothing() -> None:
    patient = scheduled("0 3 1 1 *")
    assert [f.level for f in checks_running.schedule(patient)] == ["fine"]


def test_a_cron_expression_that_is_none_is_a_problem() -> None:
    assert [f.level for f in checks_running.schedule(scheduled("every day"))] == ["problem"]


@pytest.mark.parametrize(
    ("count", "share", "rank"), [(1, 0.95, 1), (20, 0.95, 19), (21, 0.95, 20), (100, 0.5, 50)]
)
def test_a_percentile_is_the_nearest_rank(count: int, share: float, rank: int) -> None:
    values = [timedelta(seconds=n) for n in range(1, count + 1)]
    assert checks_running.percentile(values, share) == timedelta(seconds=rank)
    assert checks_running.percentile([], share) is None


def test_executions_near_the_time_out_are_a_warning() -> None:
    near = [ran("Succeeded", 10_000 + n, 500) for n in range(5)]
    (finding,) = checks_running.durations(Case(near))
    assert (finding.level, finding.what) == (
        "warning",
        "Executions come near the replica time-out.",
    )
    assert finding.evidence == "95 % of 5 took up to 8m 20s; the time-out is 10m."
    far = [ran("Succeeded", 10_000 + n, 100) for n in range(5)]
    assert [f.level for f in checks_running.durations(Case(far))] == ["fine"]


def test_executions_that_the_time_out_ended_are_named() -> None:
    ended = [ran("Failed", 900, 600, reason="DeadlineExceeded"), ran("Succeeded", 5000, 10)]
    (finding,) = checks_running.durations(Case(ended))
    assert (finding.level, finding.what) == (
        "problem",
        "The last execution was ended by the replica time-out.",
    )
    assert finding.evidence == "It is 10m; the newest one is job-900."


@pytest.mark.parametrize(
    ("executions", "told_of"),
    [
        ("t", [("problem", "The last execution was ended by the replica time-out.")]),
        ("ttf", [("problem", "2 of the last 3 executions were ended by the replica time-out.")]),
        ("sts", [("warning", "1 of the last 3 executions was ended by the replica time-out.")]),
        (
            "stf",
            [
                ("note", "1 of the last 3 executions failed."),
                ("warning", "1 of the last 3 executions was ended by the replica time-out."),
            ],
        ),
        (
            "fts",
            [
                ("problem", "The last 2 executions failed."),
                ("warning", "1 of the last 3 executions was ended by the replica time-out."),
            ],
        ),
    ],
)
def test_a_time_out_is_told_once(executions: str, told_of: list[tuple[str, str]]) -> None:
    kinds = {
        "t": ("Failed", "DeadlineExceeded"),
        "f": ("Failed", "BackoffLimitExceeded"),
        "s": ("Succeeded", ""),
    }
    patient = Case(
        [ran(kinds[k][0], 100 * n, 1, reason=kinds[k][1]) for n, k in enumerate(executions, 1)]
    )
    found = [*checks_running.failures(patient), *checks_running.durations(patient)]
    assert [(f.level, f.what) for f in found if f.level != "fine"] == told_of


def test_a_time_out_is_told_with_how_far_it_came() -> None:
    timed_out = [ran("Failed", n, 5, reason="DeadlineExceeded") for n in (10, 20)]
    patient = Case(timed_out)
    patient.line = "row 17 of 90"
    (finding,) = checks_running.durations(patient)
    assert finding.evidence == (
        "It is 10m; the last 2 executions failed, the newest is job-10. Its last line: row 17 of 90"
    )


def test_an_execution_that_outlived_its_time_out_is_stuck() -> None:
    (finding,) = checks_running.stuck(Case([ran("Running", 700)]))
    assert (finding.level, finding.next) == ("problem", "Stop it: orchestrator stop job-700")
    assert told(checks_running.stuck(Case([ran("Running", 600)]))) == []


def test_an_execution_that_runs_far_longer_than_usual_is_told() -> None:
    usual = [ran("Succeeded", 10_000 + n, 30) for n in range(5)]
    (finding,) = checks_running.stuck(Case([ran("Running", 100), *usual]))
    assert (finding.level, finding.what) == (
        "warning",
        "job-100 runs much longer than is usual.",
    )
    assert told(checks_running.stuck(Case([ran("Running", 80), *usual]))) == []


def test_scheduled_executions_beside_each_other_are_told() -> None:
    two = scheduled("* * * * *", [ran("Running", 20), ran("Running", 80)])
    assert told(checks_running.stuck(two)) == [
        ("warning", "2 executions of a scheduled job run at the same time.")
    ]
    slow = scheduled("* * * * *", [ran("Succeeded", 1000 + n, 90) for n in range(3)])
    assert told(checks_running.stuck(slow)) == [
        ("warning", "Executions take longer than the time between two starts.")
    ]


def test_a_row_of_failures_is_a_problem_and_an_old_one_a_note() -> None:
    failed = [ran("Failed", n, 1, reason="BackoffLimitExceeded") for n in (10, 20)]
    (finding,) = checks_running.failures(Case([*failed, ran("Succeeded", 30, 1)]))
    assert (finding.level, finding.what) == ("problem", "The last 2 executions failed.")
    assert finding.evidence == "job-10: BackoffLimitExceeded."
    (finding,) = checks_running.failures(Case([ran("Succeeded", 5, 1), *failed]))
    assert (finding.level, finding.what) == ("note", "2 of the last 3 executions failed.")
    assert finding.evidence == "BackoffLimitExceeded (2); the last one succeeded."


def test_a_secret_that_is_referred_to_and_is_not_there_is_a_problem() -> None:
    patient = Case(secrets=[{"name": "other"}])
    patient.variables.append({"name": "WORD"})
    container = patient.properties["template"]["containers"][0]
    container["env"] = [{"name": "WORD", "secretRef": "word"}]
    (finding,) = checks_configuration.secrets(patient)
    assert (finding.level, finding.what) == (
        "problem",
        "There is no secret word, to which the variable WORD refers.",
    )
    assert finding.evidence == "The job's secrets: other."


def test_a_tag_that_moves_is_a_note() -> None:
    patient = Case()
    patient.properties["template"]["containers"][0]["image"] = "host:5000/an:latest"
    assert [f.level for f in checks_configuration.image(patient)] == ["note", "fine"]
    patient.properties["template"]["containers"][0]["image"] = "host:5000/an@sha256:00"
    assert [f.level for f in checks_configuration.image(patient)] == ["fine"]


def test_the_gravest_comes_first() -> None:
    levels = ("fine", "note", "problem", "warning")
    found = Findings(Finding(level=level, check="x", what=level) for level in levels)
    assert [f.level for f in found] == ["problem", "warning", "note", "fine"]
    assert [f.level for f in found.problems] == ["problem"]
    assert len(found.worth_telling) == 3


def test_a_start_missed_after_the_last_change_is_a_problem() -> None:
    patient = scheduled("0 3 * * *", [ran("Succeeded", 86_400 * 3, 10)])
    assert told(checks_running.schedule(patient))[0][0] == "problem"
    patient.resource["systemData"]["lastModifiedAt"] = "2026-11-24T02:00:00+00:00"  # type: ignore[index]
    assert told(checks_running.schedule(patient))[0][0] == "problem"


def test_a_job_changed_after_a_missed_start_does_not_hide_it() -> None:
    """It may have had another schedule then, or not: both are said."""
    patient = scheduled("0 3 * * *", [ran("Succeeded", 86_400 * 3, 10)])
    patient.resource["systemData"]["lastModifiedAt"] = "2026-11-24T11:00:00+00:00"  # type: ignore[index]
    (finding,) = checks_running.schedule(patient)
    assert (finding.level, finding.what) == (
        "note",
        "By its schedule of now a start was due at 2026-11-24 03:00:00 UTC, and did not happen.",
    )
    assert "The job was changed at 2026-11-24 11:00:00 UTC, after that." in finding.evidence
    patient.executions = [ran("Succeeded", 9 * 3600, 10)]  # it did happen
    assert told(checks_running.schedule(patient))[0][0] == "fine"


@pytest.mark.parametrize(
    ("active", "words"), [(1, "1 message waits in q; 0 run."), (2, "2 messages wait in q; 0 run.")]
)
def test_what_waits_is_counted_as_one_says_it(active: int, words: str) -> None:
    metadata = {"queueName": "q", "messageCount": "1"}
    rule = {"name": "r", "type": "azure-servicebus", "metadata": metadata}
    patient = Case(
        [ran("Succeeded", 5, 1)],
        triggerType="Event",
        eventTriggerConfig={"scale": {"rules": [rule]}},
    )
    patient.ward = SimpleNamespace(queues={"q": Queue(name="q", active=active)})  # type: ignore[assignment]
    assert told(checks_running.waiting(patient)) == [("fine", words)]


def test_a_failure_is_told_with_the_last_line_that_was_written() -> None:
    patient = Case([ran("Failed", 10, 1, reason="BackoffLimitExceeded", name="job-1")])
    patient.line = "ValueError: no database"
    (finding,) = checks_running.failures(patient)
    assert finding.evidence == (
        "job-1: BackoffLimitExceeded. Its last line: ValueError: no database."
    )


def pull_failed(execution: str, before: float) -> SystemEvent:
    return SystemEvent(
        time=NOW - timedelta(seconds=before),
        reason="ImagePullBackOff",
        text="Failed to pull image an:1",
        execution=execution,
        job="job",
        type="Warning",
    )


def test_an_image_that_cannot_be_pulled_is_one_cause_told_once() -> None:
    patient = Case([ran("Failed", 100, 5, reason="BackoffLimitExceeded", name="job-1")])
    patient.events = (pull_failed("job-1", 98),)  # type: ignore[assignment]
    assert told(checks_configuration.image(patient))[0][0] == "problem"
    (finding,) = checks_running.failures(patient)
    assert finding.evidence == "job-1: its image could not be pulled."
    ended = pull_failed("job-1", 95)
    patient.events = (*patient.events, replace(ended, reason="BackoffLimitExceeded"))  # type: ignore[assignment]
    assert list(checks_logs.arrival(patient)) == []  # nothing of a program that never ran


def test_an_image_that_the_job_has_no_more_is_not_its_problem() -> None:
    failed = ran("Failed", 100, 5, reason="BackoffLimitExceeded", name="job-1")
    for image, level in (("an:1", "problem"), ("", "problem"), ("another:1", "note")):
        patient = Case([replace(failed, image=image)])
        patient.events = (pull_failed("job-1", 98),)  # type: ignore[assignment]
        (finding,) = checks_configuration.image(patient)
        assert (finding.level, finding.check) == (level, "image")


def test_a_command_that_cannot_be_started_is_not_told_to_write_unbuffered() -> None:
    patient = Case([ran("Failed", 100, 5, name="job-1")])
    refused = replace(pull_failed("job-1", 98), reason="ContainerStartFailure")
    patient.events = (refused, replace(refused, reason="Failed"))  # type: ignore[assignment]
    assert list(checks_logs.arrival(patient)) == []


def test_an_image_that_a_later_execution_had_is_well_even_if_that_failed_otherwise() -> None:
    later = ran("Failed", 50, 5, name="job-2")
    patient = Case([later, ran("Failed", 100, 5, name="job-1")])
    patient.events = (pull_failed("job-1", 98),)  # type: ignore[assignment]
    assert "problem" not in [level for level, _ in told(checks_configuration.image(patient))]
    assert not patient.had_no_image(later)
