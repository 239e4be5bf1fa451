"""Several jobs that could not be deployed: one error, and what they have in common is said once."""

from __future__ import annotations

from orchestrator.errors import InvalidRequest
from orchestrator.planning.verbs import _all_of
from orchestrator.results import Change


def refused(name: str, why: str) -> tuple[str, InvalidRequest]:
    return name, InvalidRequest(f"Could not deploy the job {name}: {why}", "Make it.")


def test_the_same_reason_is_said_once() -> None:
    why = "The environment 'env' was not found."
    error = _all_of([refused(name, why) for name in ("one", "two", "three")], [])
    assert error.message == f"Could not deploy the jobs one, two, three: {why}"
    assert error.hint == "Make it."


def test_a_reason_that_differs_by_the_jobs_name_is_said_of_the_first() -> None:
    error = _all_of(
        [refused(n, f"The identity 'id-jobs-{n}' was not found.") for n in ("one", "two")], []
    )
    assert error.message == (
        "Could not deploy the jobs one, two: The identity 'id-jobs-one' was not found. "
        "Likewise for each of the others."
    )


def test_other_reasons_stand_below_and_what_was_deployed_is_told() -> None:
    done = [Change(name="four", kind="job", action="updated")]
    failed = [refused("one", "No."), refused("two", "Never."), refused("three", "No.")]
    error = _all_of(failed, done)
    assert error.message.splitlines() == [
        "Could not deploy the jobs one, three: No.",
        "Could not deploy the job two: Never.",
    ]
    assert error.hint == "Make it. Deployed all the same: four."
