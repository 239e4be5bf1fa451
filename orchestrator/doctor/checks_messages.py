"""Whether an event-driven job takes the messages for which it is started.

A scaler counts messages and starts executions; what they read is another matter. A job whose
executions succeed again and again while the same messages wait looks well everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from orchestrator.doctor.checks_configuration import watches_another_namespace
from orchestrator.doctor.findings import Finding
from orchestrator.doctor.patient import RECENT, Patient
from orchestrator.errors import NotReachable, OrchestratorError
from orchestrator.queues.records import Queue
from orchestrator.records import show
from orchestrator.results import Execution

AGAIN_AND_AGAIN = 3  # executions in a row that succeeded
LATE = timedelta(minutes=5)  # what Azure's metrics may not tell yet
_SAMPLE = 20  # messages that are looked at

_LOOK = "orchestrator queues peek {queue}"


def taken(patient: Patient) -> Iterator[Finding]:
    """Executions that succeed take what waits in the queue of the scale rule."""
    if patient.trigger != "event":
        return
    row = patient.finished[:AGAIN_AND_AGAIN]
    succeeded = len(row) == AGAIN_AND_AGAIN and all(e.succeeded and e.start for e in row)
    began = row[-1].start if row else None
    if not succeeded or began is None or patient.now - began > RECENT:
        return
    for rule in patient.rules:
        name = str((rule.get("metadata") or {}).get("queueName") or "")
        if rule.get("type") != "azure-servicebus" or watches_another_namespace(patient, rule):
            continue
        queue = patient.ward.queues.get(name.lower())
        if queue is None or not queue.active:
            continue
        received, completed = _traffic(patient, queue, patient.now - began)
        if received and not completed:
            yield from _given_back(patient, queue, row, received)
        elif not received:
            yield _nothing_received(patient, queue, row)


def _traffic(patient: Patient, queue: Queue, span: timedelta) -> tuple[float, float]:
    """How many messages of the queue were received and completed since so long ago, by whomever."""
    # Metrics come by the minute; one minute more is looked at rather than one less.
    back = timedelta(minutes=span // timedelta(minutes=1) + 2)
    table = patient.ward.rooms.metrics.queue(
        queue.name, "OutgoingMessages", "CompleteMessage", since=back, interval="1m"
    )
    found = {series.metric: series.total or 0.0 for series in table}
    return found.get("OutgoingMessages", 0.0), found.get("CompleteMessage", 0.0)


def _sample(patient: Patient, queue: Queue) -> list[Any]:
    """The first messages of the queue; [] where they may not be seen, or belong to sessions."""
    try:
        return list(patient.ward.rooms.queues[queue.name].peek(_SAMPLE))
    except NotReachable:
        raise
    except OrchestratorError:
        return []


def _given_back(
    patient: Patient, queue: Queue, row: list[Execution], received: float
) -> Iterator[Finding]:
    """Received and never completed: unless they were deleted on receipt, they are back."""
    first = next(iter(_sample(patient, queue)), None)
    if first is None or not first.deliveries:
        return
    times = "once" if first.deliveries == 1 else f"{first.deliveries} times"
    most = (queue.raw.get("properties") or {}).get("maxDeliveryCount")
    yield Finding(
        level="warning",
        check="messages",
        what=f"Messages of {queue.name} are received and come back: none is completed.",
        evidence=f"{received:,.0f} received since {show(row[-1].start)} UTC, 0 completed; the "
        f"first that waits was received {times} before"
        + (f", and is dead-lettered after {most}." if most else "."),
        next="Let the program complete a message when its work is done, within the lock: "
        f"orchestrator logs --execution {row[0].name}",
    )


def _nothing_received(patient: Patient, queue: Queue, row: list[Execution]) -> Finding:
    what, why, step, certain = _cause(patient, queue)
    wait = "message waits" if queue.active == 1 else "messages wait"
    evidence = (
        f"{queue.active:,} {wait} there, and none was received since {show(row[-1].start)} UTC, in "
        f"which time {row[-1].name} and the {AGAIN_AND_AGAIN - 1} after it succeeded."
    )
    newest = row[0].end or row[0].start
    if not certain and newest is not None and patient.now - newest < LATE:
        evidence += " On Azure metrics are some minutes late, so look again then."
    else:
        certain = True
    return Finding(
        level="problem" if certain else "warning",
        check="messages",
        what=what,
        evidence=f"{evidence} {why}".strip(),
        next=step.format(queue=queue.name, job=patient.name, execution=row[0].name),
    )


def _cause(patient: Patient, queue: Queue) -> tuple[str, str, str, bool]:
    """(what is so, what shows it, the next step, whether that is certain without metrics)."""
    again = f"Executions succeed again and again, and receive nothing from {queue.name}"
    sample = _sample(patient, queue)
    if sample and all(message.state == "deferred" for message in sample):
        # "ActiveMessageCount … includes deferred messages":
        # https://learn.microsoft.com/azure/service-bus-messaging/message-counters
        return (
            f"What waits in {queue.name} is deferred: it starts executions, and none receives it.",
            f"{'That one is' if len(sample) == 1 else f'The first {len(sample)} are'} deferred; "
            "the service counts such as active, and gives them only to who asks by number.",
            f"Let the program receive them by their sequence numbers, or see them: {_LOOK}",
            True,
        )
    named = queues_named(patient)
    if elsewhere := _another_namespace(patient):
        variable, host = elsewhere
        return (
            f"{again}: the job is given another namespace than its scale rule watches.",
            f"Its variable {variable} is {host}.",
            f"Correct it, or the rule's namespace, then: orchestrator deploy {{job}}; {_LOOK}",
            True,
        )
    if named and queue.name.lower() not in named:
        other, where = next(iter(named.items()))
        return (
            f"{again}: nothing that the job is given names that queue.",
            f"{where} names {other}.",
            "Let the program read {queue}, or the rule watch "
            f"{other}, then: orchestrator deploy {{job}}",
            True,
        )
    if (queue.raw.get("properties") or {}).get("requiresSession"):
        return (
            f"{again}, which has sessions.",
            "Its messages are received by who accepts a session, and by nobody else.",
            "Let the program receive by session; what it says: "
            "orchestrator logs --execution {execution}",
            False,
        )
    return (
        f"{again}.",
        "Another receiver may hold them locked, or the program reads another queue.",
        f"See what it says: orchestrator logs --execution {{execution}}; see them: {_LOOK}",
        False,
    )


def queues_named(patient: Patient) -> dict[str, str]:
    """Queue, in small letters -> what of the job's variables, arguments and command names it."""
    given = [
        (f"The variable {variable.get('name')}", str(variable.get("value") or ""))
        for variable in patient.variables
    ]
    for container in patient.containers:
        given += [("An argument", str(word)) for word in container.get("args") or ()]
        given += [("Its command", str(word)) for word in container.get("command") or ()]
    found: dict[str, str] = {}
    for name in sorted(patient.ward.queues):
        # As a word of its own: `--queue=results`, `EntityPath=results`; not in `results-old`.
        pattern = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w./-])", re.IGNORECASE)
        if where := next((place for place, text in given if pattern.search(text)), None):
            found[name] = where
    return found


def _another_namespace(patient: Patient) -> tuple[str, str] | None:
    """(variable, host) of a Service Bus namespace that is not the profile's, where that is the
    only one that the job is given."""
    clients = patient.ward.rooms.clients
    suffix = clients.endpoints.service_bus_suffix.lower()
    own = f"{clients.names.namespace}.{suffix}".lower()
    hosts = [
        (str(variable.get("name")), match[0])
        for variable in patient.variables
        if (match := _host(variable, suffix)) is not None
    ]
    return hosts[0] if hosts and all(host.lower() != own for _, host in hosts) else None


def _host(variable: Mapping[str, Any], suffix: str) -> re.Match[str] | None:
    text = str(variable.get("value") or "")
    return re.search(rf"[a-z0-9-]+\.{re.escape(suffix)}", text, re.IGNORECASE)
