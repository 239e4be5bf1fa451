"""Starts that change the template; executions read, sorted, filtered, waited for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.arguments import moment_of, seconds_of, statuses
from orchestrator.errors import BadInput
from orchestrator.executions.record import execution_record, job_of_id, moment, start_template
from orchestrator.executions.verbs import newest_first
from orchestrator.results import Execution
from orchestrator.waiting import backoff

JOB = {
    "properties": {
        "template": {
            "containers": [
                {
                    "name": "sender",
                    "image": "sender:1",
                    "imageType": "ContainerImage",
                    "command": ["python"],
                    "args": ["a"],
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "TOKEN", "secretRef": "token"},
                        {"name": "B", "value": "2"},
                    ],
                    "resources": {"cpu": 0.25, "memory": "0.5Gi", "ephemeralStorage": "1Gi"},
                    "volumeMounts": [],
                    "probes": [],
                },
                {"name": "helper", "image": "helper:1"},
            ],
            "initContainers": [{"name": "init", "image": "init:1", "args": None}],
            "volumes": None,
        }
    }
}


def test_env_changes_what_it_names_and_keeps_the_rest() -> None:
    started = start_template(JOB, env={"B": "20", "TOKEN": "plain", "NEW": ""})
    assert started == {
        "containers": [
            {
                "name": "sender",
                "image": "sender:1",
                "command": ["python"],
                "args": ["a"],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "TOKEN", "value": "plain"},
                    {"name": "B", "value": "20"},
                    {"name": "NEW", "value": ""},
                ],
                "resources": {"cpu": 0.25, "memory": "0.5Gi"},
            },
            {"name": "helper", "image": "helper:1"},
        ],
        "initContainers": [{"name": "init", "image": "init:1"}],
    }


def test_args_command_and_image_replace_those_of_the_first_container() -> None:
    started = start_template(JOB, args=[], command=["sh", "-c"], image="sender:2")
    first, second = started["containers"]
    assert (first["args"], first["command"], first["image"]) == ([], ["sh", "-c"], "sender:2")
    assert {"name": "TOKEN", "secretRef": "token"} in first["env"]
    assert second["image"] == "helper:1"


def test_the_job_itself_is_left_alone() -> None:
    start_template(JOB, env={"A": "changed"}, image="x")
    container = JOB["properties"]["template"]["containers"][0]  # type: ignore[index]
    assert container["env"][0]["value"] == "1"
    assert container["image"] == "sender:1"


@pytest.mark.parametrize("name", ["", "A B", "A=B", "1A", "Ä"])
def test_what_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is not the name of a variable"):
        start_template(JOB, env={name: "x"})


def test_a_value_that_is_no_text_is_refused_with_the_text_it_would_be() -> None:
    env: Any = {"MESSAGE_COUNT": 500}
    with pytest.raises(BadInput) as caught:
        start_template(JOB, env=env)
    assert '"500"' in caught.value.hint


def test_an_execution_is_read_from_what_the_service_sends() -> None:
    execution = execution_record(
        {
            "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.App/jobs/sender"
            "/executions/sender-abc1234",
            "name": "sender-abc1234",
            "properties": {
                "status": "Failed",
                "startTime": "2026-11-23T20:00:00.1234567Z",
                "endTime": "2026-11-23T20:00:09+00:00",
                "reason": "BackoffLimitExceeded",
                "template": {"containers": [{"image": "sender:1"}]},
                "detailedStatus": {
                    "replicas": [
                        {
                            "name": "sender-abc1234-x",
                            "containers": [
                                {"name": "a", "status": "Succeeded", "code": 0},
                                {
                                    "name": "b",
                                    "status": "Failed",
                                    "code": 137,
                                    "additionalInformation": "OOMKilled",
                                },
                            ],
                        }
                    ]
                },
            },
        },
        "sender",
    )
    assert execution.start == datetime(2026, 11, 23, 20, 0, 0, 123456, tzinfo=UTC)
    assert execution.resource_group == "rg"
    assert execution.exit_code == 3
    assert execution.replicas[0].exit_code == 137
    assert execution.replicas[0].reason == "OOMKilled"


def test_a_bare_execution_is_read_without_a_crash() -> None:
    execution = execution_record({"name": "x", "properties": None}, "sender")
    assert (execution.job, execution.status, execution.start) == ("sender", "Unknown", None)


def test_a_replica_that_has_not_ended_has_no_exit_code() -> None:
    raw = {"detailedStatus": {"replicas": [{"name": "r", "containers": [{"status": "Running"}]}]}}
    assert execution_record({"properties": raw}, "j").replicas[0].exit_code is None


@pytest.mark.parametrize("text", [None, "", "soon", "2026-99-99T00:00:00Z"])
def test_a_time_that_is_none_is_none(text: object) -> None:
    assert moment(text) is None


def test_the_job_is_in_the_id() -> None:
    assert job_of_id("/…/jobs/my-job/executions/e") == "my-job"
    assert job_of_id("/…/JOBS/my-job/Executions/e") == "my-job"
    assert job_of_id("nothing") == ""


def test_what_has_not_begun_is_the_newest() -> None:
    def at(hour: int | None) -> Execution:
        start = datetime(2026, 1, 1, hour, tzinfo=UTC) if hour is not None else None
        return Execution(name=str(hour), job="j", status="Running", start=start)

    assert [e.name for e in newest_first([at(1), at(None), at(3)])] == ["None", "3", "1"]


def test_statuses_are_taken_in_any_case_and_several_at_once() -> None:
    assert statuses("running,FAILED") == {"Running", "Failed"}
    assert statuses(["Stopped"]) == {"Stopped"}
    assert statuses(None) == frozenset()
    with pytest.raises(BadInput) as caught:
        statuses("fialed")
    assert '"Failed"' in caught.value.hint


class At:
    """A clock that stands still."""

    def time(self) -> float:
        return 1_000_000.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


@pytest.mark.parametrize("since", ["2 hours", "tomorrow"])
def test_a_since_that_is_none_is_bad_input(since: str) -> None:
    with pytest.raises(BadInput) as caught:
        moment_of(since, At())
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("timeout", ["ten", "-5", -1, float("nan")])
def test_a_timeout_that_is_none_is_bad_input(timeout: Any) -> None:
    with pytest.raises(BadInput):
        seconds_of(timeout)


def test_waits_grow_to_a_limit() -> None:
    delays = backoff(0.2, 5.0)
    taken = [next(delays) for _ in range(12)]
    assert taken[0] == 0.2
    assert taken == sorted(taken)
    assert taken[-1] == 5.0
