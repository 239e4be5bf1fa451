"""The paragraph names the container that failed, where a replica has several."""

from __future__ import annotations

from typing import Any

from orchestrator.executions.explanation import Explanation
from orchestrator.executions.record import execution_record
from orchestrator.logs.system_log import SystemEvents
from orchestrator.results import Logs


def paragraph(*containers: dict[str, Any]) -> str:
    properties = {
        "status": "Failed",
        "detailedStatus": {"replicas": [{"name": "work-1-x", "containers": list(containers)}]},
    }
    execution = execution_record({"name": "work-1", "properties": properties}, "work")
    return Explanation(execution=execution, lines=Logs(), events=SystemEvents()).paragraph


def ended(name: str, code: int, why: str = "ProcessExited") -> dict[str, Any]:
    return {"name": name, "code": code, "status": "Failed", "additionalInformation": why}


def test_the_container_that_failed_is_named_before_those_that_were_told_to_end() -> None:
    told = paragraph(ended("web", 143), ended("worker", 3), ended("done", 0))
    assert "as its container worker did with exit code 3 (ProcessExited), web with 143" in told
    assert "done" not in told


def test_the_only_container_needs_no_name() -> None:
    assert "work-1-x ended with exit code 3 (ProcessExited)." in paragraph(ended("worker", 3))
