"""Whether what a job writes arrives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from orchestrator.doctor.findings import Finding
from orchestrator.doctor.patient import RECENT, Patient
from orchestrator.logs.system_log import ENDINGS
from orchestrator.records import show

USUAL = timedelta(minutes=10)  # Azure says "a few minutes"; longer than this is not usual


def arrival(patient: Patient) -> Iterator[Finding]:
    """The end of the newest execution can be read; and it wrote something."""
    ended = [e for e in patient.finished if e.end is not None]
    if not ended or ended[0].end is None:
        return
    newest = ended[0]
    known = {e.execution for e in patient.events if e.reason in ENDINGS}
    late = [e for e in ended if e.name not in known and e.end and patient.now - e.end < RECENT]
    since = patient.now - ended[0].end
    if newest in late and since > USUAL:
        yield Finding(
            level="problem",
            check="ingestion",
            what="The log workspace has nothing of the newest execution.",
            evidence=f"{newest.name} ended {show(since)} ago; usual are a few minutes.",
            next="See where the environment sends its logs, and the workspace's daily cap.",
        )
        return
    if newest in late:
        yield Finding(
            level="note",
            check="ingestion",
            what="The newest execution is still on its way into the log workspace.",
            evidence=f"{newest.name} ended {show(since)} ago.",
            next="Until then its lines come live: orchestrator logs --follow",
        )
        return
    if newest.name in known and patient.never_ran(newest):
        return  # it never ran, so that it wrote nothing
    if newest.name in known and not patient.last_line(newest):
        yield Finding(
            level="note",
            check="output",
            what="The newest execution wrote nothing.",
            evidence=f"The end of {newest.name} is in the log, and no line of it.",
            next="A Python program that buffers its output wants PYTHONUNBUFFERED=1.",
        )
    elif newest.name in known:
        yield Finding(
            level="fine", check="ingestion", what="The newest execution's lines have arrived."
        )
