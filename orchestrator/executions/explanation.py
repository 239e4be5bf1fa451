"""Why an execution ended as it did, from all that tells of it, in one paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError
from orchestrator.logs.system_log import ENDINGS, SystemEvents
from orchestrator.queries import kql
from orchestrator.records import Kind, show
from orchestrator.results import Execution, Logs, Record, Replica

if TYPE_CHECKING:
    from orchestrator.logs.system_log import SystemLog
    from orchestrator.logs.verbs import LogVerbs

_LAST = 5  # lines that are told
_WIDEST = 300  # characters of a line that are told


class Explanation(Record, frozen=True, kw_only=True):
    """What is known of an execution's end.

    `lines`: the last ones it wrote. `events`: all that the system log has of it. `missing`: why
    lines or events may not be all there is, "" when they are.
    """

    execution: Execution
    lines: Logs
    events: SystemEvents
    missing: str = ""

    @property
    def paragraph(self) -> str:
        """Status, exit codes, what the platform says, the last lines: one paragraph of text."""
        return " ".join(_sentences(self))

    def details(self) -> list[tuple[str, Any, Kind]]:
        return [("execution", self.execution.name, "text"), ("why", self.paragraph, "text")]

    def as_json(self) -> dict[str, Any]:
        return {
            "execution": self.execution.as_json(),
            "lines": self.lines.as_json(),
            "events": self.events.as_json(),
            "missing": self.missing,
            "why": self.paragraph,
        }

    def __str__(self) -> str:
        return self.paragraph


def explain(execution: Execution, logs: LogVerbs, system_log: SystemLog) -> Explanation:
    """Ask the logs. When they cannot be read, that is said, and the rest is told all the same."""
    lines, events, missing = Logs(), SystemEvents(), ""
    try:
        events = system_log.of(execution)
        query = kql.console_lines(
            execution.job, execution=execution.name, container=_culprit(execution), tail=_LAST
        )
        lines = logs.stored(query, execution.name)
    except OrchestratorError as error:
        missing = f"The logs could not be read: {error.message}"
    if not missing and execution.finished and not any(e.reason in ENDINGS for e in events):
        missing = (
            "Not everything is ingested into the log workspace yet (that takes minutes on Azure), "
            "so there may be more to it."
        )
    return Explanation(execution=execution, lines=lines, events=events, missing=missing)


def _culprit(execution: Execution) -> str | None:
    """The container whose last lines tell why: the one that failed, where there are several."""
    for replica in execution.replicas:
        if len(replica.containers) > 1 and replica.failed:
            return replica.failed[0].name
    return None


def _ended(replica: Replica) -> str:
    if len(replica.containers) < 2 or not replica.failed:
        return f"ended with exit code {replica.exit_code}{_why(replica.reason)}"
    first, *others = replica.failed
    told = f"ended as its container {first.name} did with exit code {first.exit_code}"
    more = "".join(f", {c.name} with {c.exit_code}{_why(c.reason)}" for c in others)
    return f"{told}{_why(first.reason)}{more}"


def _why(reason: str) -> str:
    return f" ({reason.rstrip('.')})" if reason else ""


def _sentences(found: Explanation) -> list[str]:
    execution = found.execution
    told = [_outcome(execution)]
    for replica in execution.replicas:
        if replica.exit_code is not None and (replica.exit_code or len(execution.replicas) == 1):
            told.append(f"Replica {replica.name} {_ended(replica)}.")
    message = _cut(execution.message).rstrip(".")
    said = _distinct(found.events, f"{execution.message} {execution.reason}", message)
    if said:
        told.append(f"The system log says: {'; '.join(said)}.")
    if found.lines:
        whose = f"The container {culprit}'s" if (culprit := _culprit(execution)) else "Its"
        many = f"{whose} last line was" if len(found.lines) == 1 else f"{whose} last lines were"
        shown = " / ".join(f"“{_cut(line.text)}”" for line in found.lines)
        told.append(f"{many} {shown}.")
    elif not found.missing:
        told.append("It wrote nothing." if execution.finished else "It has written nothing yet.")
    if found.missing:
        told.append(found.missing)
    return told


def _outcome(execution: Execution) -> str:
    after = f" after {show(execution.duration)}" if execution.duration is not None else ""
    what = {
        "Succeeded": f"succeeded{after}",
        "Failed": f"failed{after}",
        "Stopped": f"was stopped{after}",
        "Degraded": f"ended degraded{after}",
    }.get(execution.status, f"is {execution.status.lower()}")
    if execution.timed_out:
        what = f"exceeded its replica time-out and was ended{after}"
    why = (execution.message or execution.reason).rstrip(".")
    gone = " Resource Manager no longer lists it." if execution.kept else ""
    return f"{execution.name} {what}{f': {why}' if why else ''}.{gone}"


def _distinct(events: SystemEvents, already: str, message: str) -> list[str]:
    """The warnings, each once, in order, with how often; not what has been said already."""
    counts: dict[str, int] = {}
    for event in events:
        text = _cut(event.text).rstrip(".")
        said = text in already or (bool(message) and text.endswith(message))
        if event.type == "Warning" and not said:
            counts[text] = counts.get(text, 0) + 1
    return [f"{text} ({n} times)" if n > 1 else text for text, n in counts.items()]


def _cut(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
