"""How a job runs: starts that were due, what waits, executions that fail, stick, or overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from textwrap import shorten

from orchestrator.doctor.findings import Finding
from orchestrator.doctor.patient import Patient
from orchestrator.errors import NotReachable, OrchestratorError
from orchestrator.quantities import short_duration
from orchestrator.records import show
from orchestrator.results import Execution

DUE = timedelta(minutes=2)  # a start that is later than this is missing
NEAR = 0.8  # of the replica time-out
ENOUGH = 5  # executions from which a percentile says something
SERVICE_BUS_MESSAGES = 5  # KEDA's default of messageCount


def schedule(patient: Patient) -> Iterator[Finding]:
    """The cron expression's last moment brought an execution."""
    if patient.trigger != "schedule":
        return
    expression = str(patient.details.get("cronExpression") or "")
    due, upcoming = _around(expression, patient.now)
    if upcoming is None:
        yield Finding(
            level="problem",
            check="schedule",
            what=f'The cron expression "{expression}" never comes true, or is none.',
            evidence="It wants five fields, in UTC.",
            next=f"Correct [jobs.{patient.name}] cron, then: orchestrator deploy {patient.name}",
        )
        return
    system = patient.resource.get("systemData") or {}
    created = _moment(system.get("createdAt"))
    changed = _moment(system.get("lastModifiedAt")) or created
    newest = max((e.start for e in patient.executions if e.start), default=None)
    first = created or changed
    missed = (
        due is not None
        and patient.now - due > DUE
        and first is not None
        and first < due
        and (newest is None or newest < due - DUE)
    )
    evidence = (
        f"The newest execution started at {show(newest)} UTC."
        if newest
        else "There is no execution yet."
    )
    if not missed or patient.suspended:
        yield Finding(
            level="fine", check="schedule", what=f"The next start is due at {show(upcoming)} UTC."
        )
    elif changed is not None and due is not None and changed >= due:
        # It may have been suspended, or had another schedule: nobody tells any more.
        yield Finding(
            level="note",
            check="schedule",
            what=f"By its schedule of now a start was due at {show(due)} UTC, and did not happen.",
            evidence=f"{evidence} The job was changed at {show(changed)} UTC, after that.",
            next="If it had this schedule before the change, see why: "
            f"orchestrator logs --job {patient.name} --system",
        )
    else:
        yield Finding(
            level="problem",
            check="schedule",
            what=f"The start that was due at {show(due)} UTC did not happen.",
            evidence=evidence,
            next=f"See why: orchestrator logs --job {patient.name} --system; start it by hand: "
            f"orchestrator start {patient.name}",
        )


def _around(expression: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The last moment of a cron expression within 400 days, and the next one."""
    from cronsim import CronSim, CronSimError

    try:
        upcoming = next(CronSim(expression, now), None)
        latest = next(CronSim(expression, now, reverse=True), None)
    except CronSimError:
        return None, None
    return latest, upcoming


def waiting(patient: Patient) -> Iterator[Finding]:
    """What waits in the queues of its scale rules, beside what runs and may run."""
    if patient.trigger != "event":
        return
    scale = patient.details.get("scale") or {}
    most = scale.get("maxExecutions")
    most = 100 if most is None else int(most)
    interval = float(scale.get("pollingInterval") or 30)
    running = len(patient.running)
    for rule in patient.rules:
        metadata = rule.get("metadata") or {}
        queue = patient.ward.queues.get(str(metadata.get("queueName") or "").lower())
        if rule.get("type") != "azure-servicebus" or queue is None:
            continue
        counts = {
            "messageCount": metadata.get("messageCount") or SERVICE_BUS_MESSAGES,
            "activationMessageCount": metadata.get("activationMessageCount") or 0,
        }
        wrong = {key: value for key, value in counts.items() if not str(value).strip().isdecimal()}
        if wrong:
            words = ", ".join(f'{key} is "{value}"' for key, value in wrong.items())
            yield Finding(
                level="problem",
                check="scale rule",
                what=f"The scale rule {rule.get('name')} cannot be read, so it starts nothing.",
                evidence=f"{words}, which is no whole number.",
                next="Correct the rule's metadata: orchestrator deploy",
            )
            continue
        wanted, threshold = (int(value) for value in counts.values())
        wait = "message waits" if queue.active == 1 else "messages wait"
        waits = f"{queue.active:,} {wait} in {queue.name}"
        if queue.active <= threshold:
            if queue.active:
                yield Finding(
                    level="note",
                    check="queue depth",
                    what=f"{waits}, which is not more than activationMessageCount, so that nothing "
                    "is started.",
                    evidence=f"activationMessageCount is {threshold}.",
                    next="Lower it in the rule's metadata, if they should.",
                )
            elif queue.scheduled:
                yield Finding(
                    level="note",
                    check="queue depth",
                    what=f"Nothing waits in {queue.name} now, so that nothing is started.",
                    evidence=f"{queue.scheduled:,} scheduled for later; a scaler counts them from "
                    "their time on.",
                    next=f"See when: orchestrator queues peek {queue.name}",
                )
            else:
                yield Finding(
                    level="fine", check="queue depth", what=f"Nothing waits in {queue.name}."
                )
        elif running >= most:
            yield Finding(
                level="warning",
                check="queue depth",
                what=f"{waits}, and the job runs as many executions as it may.",
                evidence=f"{running} run, max_executions is {most}; one is started for {wanted} "
                f"message{'' if wanted == 1 else 's'}.",
                next=f"Wait, or raise [jobs.{patient.name}.scale] max_executions.",
            )
        elif not running and not patient.suspended and _since_last(patient) > 2 * interval + 30:
            yield Finding(
                level="problem",
                check="queue depth",
                what=f"{waits}, and no execution of the job runs.",
                evidence=f"It is polled each {short_duration(timedelta(seconds=interval))}; the "
                f"last execution started {_ago(patient)}.",
                next=f"See what the scaler says: orchestrator logs --job {patient.name} --system",
            )
        else:
            yield Finding(level="fine", check="queue depth", what=f"{waits}; {running} run.")


def dead_letters(patient: Patient) -> Iterator[Finding]:
    """What lies in the dead-letter queues of those that it takes its messages from."""
    names = {str((rule.get("metadata") or {}).get("queueName") or "") for rule in patient.rules}
    names |= set((patient.spec.receives if patient.spec is not None else None) or ())
    for name in sorted(names - {""}):
        queue = patient.ward.queues.get(name.lower())
        if queue is None:
            continue
        for count, what, option in (
            (queue.dead_letter, "dead-lettered in", ""),
            (queue.transfer_dead_letter, "not forwarded from", " --transfer"),
        ):
            if not count:
                continue
            one = count == 1
            yield Finding(
                level="warning",
                check="dead letters",
                what=f"{count:,} message{' is' if one else 's are'} {what} {queue.name}.",
                evidence=f"Nobody receives {'it' if one else 'them'} until sent again.",
                next=f"Look why: orchestrator queues dead-letters list {queue.name}{option}",
            )


def _since_last(patient: Patient) -> float:
    newest = max((e.start for e in patient.executions if e.start), default=None)
    made = _moment((patient.resource.get("systemData") or {}).get("lastModifiedAt"))
    last = max((m for m in (newest, made) if m is not None), default=None)
    return (patient.now - last).total_seconds() if last else float("inf")


def _ago(patient: Patient) -> str:
    newest = max((e.start for e in patient.executions if e.start), default=None)
    if newest is None:
        return "never"
    return f"{show(patient.now - newest)} ago"


NEVER_RAN = "The job has never run to an end."


def failures(patient: Patient) -> Iterator[Finding]:
    """Executions that failed, and why; of those that the time-out ended, `durations` tells."""
    ended = patient.finished
    failed = [e for e in ended if e.status == "Failed" and not e.timed_out]
    if not ended:
        yield Finding(
            level="note",
            check="executions",
            what=NEVER_RAN,
            evidence="No execution is listed as over.",
            next=f"Start one: orchestrator start {patient.name} --follow"
            if patient.trigger == "manual"
            else "",
        )
    elif ended[0].status == "Failed":
        if ended[0].timed_out:
            return
        row = _leading(ended)
        latest = ended[0]
        why = _why(patient, latest)
        yield Finding(
            level="problem",
            check="executions",
            what=f"The last {row} executions failed." if row > 1 else "The last execution failed.",
            evidence=f"{latest.name}: {why.rstrip('.')}.",
            next=f"Why, in one paragraph: orchestrator executions show {latest.name}",
        )
    elif failed:
        reasons = Counter(e.reason or _codes(e) for e in failed).most_common()
        words = ", ".join(f"{reason} ({n})" for reason, n in reasons[:3])
        if rest := sum(n for _, n in reasons[3:]):
            words += f", others ({rest})"
        yield Finding(
            level="note",
            check="executions",
            what=f"{len(failed)} of the last {len(ended)} executions failed.",
            evidence=f"{words}; the last one {ended[0].status.lower()}.",
            next=f"See them: orchestrator executions list --job {patient.name} --status failed",
        )
    else:
        yield Finding(
            level="fine",
            check="executions",
            what="The one execution that is over did not fail."
            if len(ended) == 1
            else f"None of the last {len(ended)} executions failed.",
        )


def _why(patient: Patient, latest: Execution) -> str:
    """What is known of an execution's failure; what the log has of it, where that can be read."""
    why = latest.message or latest.reason or _codes(latest)
    try:
        if patient.had_no_image(latest):
            return "its image could not be pulled"  # the finding about the image tells the rest
    except NotReachable:
        raise
    except OrchestratorError:  # that it cannot be read is the finding of another check
        return why
    last = _last_line(patient, latest)
    return f"{why.rstrip('.')}. Its last line: {shorten(last, 160)}" if last else why


def _last_line(patient: Patient, execution: Execution) -> str:
    try:
        return patient.last_line(execution)
    except NotReachable:
        raise
    except OrchestratorError:
        return ""


def _leading(ended: Sequence[Execution]) -> int:
    count = 0
    for execution in ended:
        if execution.status != "Failed":
            break
        count += 1
    return count


def _codes(execution: Execution) -> str:
    codes = sorted({r.exit_code for r in execution.replicas if r.exit_code})
    return f"exit code {', '.join(map(str, codes))}" if codes else "no reason is given"


def durations(patient: Patient) -> Iterator[Finding]:
    """How near the executions come to the replica time-out."""
    limit = patient.timeout
    exceeded = [e for e in patient.finished if e.timed_out]
    took = sorted(e.duration for e in patient.finished if e.succeeded and e.duration)
    p95 = percentile(took, 0.95)
    if exceeded:
        latest = patient.finished[0]
        yield Finding(
            level="problem" if latest.timed_out else "warning",
            check="time-out",
            what=_ended_by_time_out(len(exceeded), len(patient.finished), latest.timed_out),
            evidence=_of_time_out(patient, exceeded[0]),
            next=f"Raise [jobs.{patient.name}] timeout, or let an execution do less.",
        )
    elif p95 is not None and len(took) >= ENOUGH and p95 >= limit * NEAR:
        yield Finding(
            level="warning",
            check="time-out",
            what="Executions come near the replica time-out.",
            evidence=f"95 % of {len(took)} took up to {show(p95)}; the time-out is "
            f"{short_duration(limit)}.",
            next=f"Raise [jobs.{patient.name}] timeout.",
        )
    elif p95 is not None:
        yield Finding(
            level="fine",
            check="time-out",
            what=f"95 % took up to {show(p95)} of {short_duration(limit)}.",
        )


def _ended_by_time_out(count: int, of: int, latest: bool) -> str:
    if of == 1 or (count == 1 and latest):
        return "The last execution was ended by the replica time-out."
    verb = "was" if count == 1 else "were"
    return f"{count} of the last {of} executions {verb} ended by the replica time-out."


def _of_time_out(patient: Patient, newest: Execution) -> str:
    """How long it is, and how far the newest execution came that it ended."""
    row = _leading(patient.finished)
    said = f"It is {short_duration(patient.timeout)}; "
    if newest is patient.finished[0] and row > 1:
        said += f"the last {row} executions failed, the newest is {newest.name}."
    else:
        said += f"the newest one is {newest.name}."
    last = _last_line(patient, newest)
    return f"{said} Its last line: {shorten(last, 160)}" if last else said


def percentile(values: Sequence[timedelta], share: float) -> timedelta | None:
    """The value below or at which this share of the sorted values lies (nearest rank)."""
    if not values:
        return None
    rank = max(1, -(-len(values) * share // 1))
    return values[int(rank) - 1]


def stuck(patient: Patient) -> Iterator[Finding]:
    """Executions that should be over, and those that run beside each other."""
    retries = int(patient.configuration.get("replicaRetryLimit") or 0)
    took = sorted(e.duration for e in patient.finished if e.succeeded and e.duration)
    usual = percentile(took, 0.95)
    unusual = max(usual * 3, timedelta(minutes=1)) if usual and len(took) >= ENOUGH else None
    for execution in patient.running:
        if execution.start is None:
            continue
        age = patient.now - execution.start
        if age > patient.timeout + timedelta(minutes=1):
            yield Finding(
                level="problem",
                check="stuck",
                what=f"{execution.name} is {execution.status.lower()} for longer than its "
                "replica time-out allows.",
                evidence=f"{show(age)}; the time-out is {short_duration(patient.timeout)}, with "
                f"{retries} retries.",
                next=f"Stop it: orchestrator stop {execution.name}",
            )
        elif unusual is not None and age > unusual:
            yield Finding(
                level="warning",
                check="stuck",
                what=f"{execution.name} runs much longer than is usual.",
                evidence=f"{show(age)}; 95 % of {len(took)} took up to {show(usual)}.",
                next=f"See what it does: orchestrator logs --follow {execution.name}",
            )
    yield from _overlap(patient, usual)


def _overlap(patient: Patient, usual: timedelta | None) -> Iterator[Finding]:
    if patient.trigger != "schedule":
        return
    if len(patient.running) > 1:
        yield Finding(
            level="warning",
            check="overlap",
            what=f"{len(patient.running)} executions of a scheduled job run at the same time.",
            evidence=", ".join(e.name for e in patient.running[:5]),
            next="Let cron start it less often, or let an execution do less.",
        )
        return
    expression = str(patient.details.get("cronExpression") or "")
    before, after = _around(expression, patient.now)
    if usual is not None and before is not None and after is not None and usual > after - before:
        yield Finding(
            level="warning",
            check="overlap",
            what="Executions take longer than the time between two starts.",
            evidence=f"95 % took up to {show(usual)}; cron starts one each {show(after - before)}.",
            next="Let cron start it less often: Container Apps starts them beside each other.",
        )


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text or ""))
    except ValueError:
        return None
