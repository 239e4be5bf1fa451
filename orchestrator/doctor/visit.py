"""The visit: the place first, then each job; what cannot be read is told, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.azure.failures import told
from orchestrator.doctor import (
    checks_configuration,
    checks_logs,
    checks_messages,
    checks_running,
)
from orchestrator.doctor.findings import Finding, Findings
from orchestrator.doctor.patient import Patient, Rooms, Ward
from orchestrator.errors import NotFound, NotReachable, OrchestratorError, SettingsError
from orchestrator.records import show

if TYPE_CHECKING:
    from orchestrator.planning.verbs import Drifted
    from orchestrator.settings import Settings

# Tokens are refused by a service whose clock is further away (Microsoft Entra allows 5 minutes).
SKEW = timedelta(minutes=5)
_NOTABLE = timedelta(seconds=30)
# Log Analytics answers so many queries of one user at a time
# (https://learn.microsoft.com/azure/azure-monitor/service-limits#log-queries-and-language).
_AT_ONCE = 5

Check = Callable[[Patient], Iterator[Finding]]
CHECKS: tuple[tuple[str, Check], ...] = (
    ("state", checks_configuration.state),
    ("identity", checks_configuration.identity),
    ("permissions", checks_configuration.permissions),
    ("image", checks_configuration.image),
    ("secrets", checks_configuration.secrets),
    ("scale rule", checks_configuration.scale_rules),
    ("schedule", checks_running.schedule),
    ("queue depth", checks_running.waiting),
    ("messages", checks_messages.taken),
    ("dead letters", checks_running.dead_letters),
    ("executions", checks_running.failures),
    ("time-out", checks_running.durations),
    ("stuck", checks_running.stuck),
    ("ingestion", checks_logs.arrival),
)


class Visit:
    """One look at one profile."""

    def __init__(self, rooms: Rooms, settings: Settings) -> None:
        self._rooms = rooms
        self._settings = settings
        self._date: datetime | None = None
        self._ahead = timedelta(0)  # the service's clock before this machine's

    def findings(
        self, jobs: Sequence[str] = (), progress: Callable[[str], None] | None = None
    ) -> Findings:
        """Look at these jobs, or at all. Raises JobNotFound, NotReachable."""
        tell = progress or (lambda what: None)
        tell("the environment")
        found = list(self._place())
        ward = Ward(self._rooms, self._ahead)
        specs = {name.lower(): spec for name, spec in self._settings.jobs.items()}
        patients = [
            Patient(ward, each, specs.get(str(each.get("name") or "").lower()))
            for each in self._resources(jobs)
        ]
        of_jobs = list(self._patients(patients, tell))
        found += of_jobs if jobs else _never_ran_once(of_jobs)
        tell("the settings")
        found += self._against_settings(jobs)
        return Findings(found)

    @staticmethod
    def _patients(patients: Sequence[Patient], tell: Callable[[str], None]) -> Iterable[Finding]:
        """Several jobs at a time; the findings in the order of the jobs."""
        if not patients:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(patients)), "doctor") as pool:
            try:
                asked = [pool.submit(_examined, patient) for patient in patients]
                tell(patients[0].name if len(patients) == 1 else f"{len(patients)} jobs")
                for count, each in enumerate(as_completed(asked), 1):
                    each.result()
                    if len(patients) > 1:
                        tell(f"{count} of {len(patients)} jobs")
            except BaseException:  # such as Ctrl-C, or nothing answers: the rest is not asked for
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [finding for each in asked for finding in each.result()]

    def _resources(self, jobs: Sequence[str]) -> list[dict[str, Any]]:
        if jobs:
            return [self._rooms.jobs.resource(job) for job in jobs]
        try:
            return [job.raw for job in self._rooms.jobs.every()]
        except NotFound:
            return []  # no resource group: the environment's finding has said so

    # ---------------------------------------------------------------- the place

    def _place(self) -> Iterator[Finding]:
        try:
            environment = self._environment()
        except NotReachable:
            raise
        except OrchestratorError as error:
            yield Finding(level="problem", check="environment", what=error.message, next=error.hint)
            return
        yield from self._clock()
        state = str((environment.get("properties") or {}).get("provisioningState") or "")
        name = str(environment.get("name") or "")
        if state not in ("", "Succeeded"):
            yield Finding(
                level="problem",
                check="environment",
                what=f"The environment {name} is {state}.",
                evidence="Jobs in it neither start nor change until it is well.",
                next="Repair it: orchestrator up",
            )
        else:
            yield Finding(
                level="fine", check="environment", what=f"The environment {name} is there."
            )
        logs = (environment.get("properties") or {}).get("appLogsConfiguration") or {}
        if str(logs.get("destination") or "none").lower() in ("none", ""):
            yield Finding(
                level="problem",
                check="logs",
                what=f"The environment {name} keeps no logs.",
                evidence="Its appLogsConfiguration has no destination.",
                next="Give the profile a workspace, then: orchestrator up",
            )

    def _environment(self) -> Mapping[str, Any]:
        clients = self._rooms.clients
        name = clients.names.need("environment")

        def keep(response: Any) -> None:
            date = response.http_response.headers.get("Date")
            try:
                self._date = parsedate_to_datetime(date) if date else None
            except ValueError:
                self._date = None

        def missing(refusal: Any) -> NotFound:
            return NotFound(
                f"There is no environment {name} in the resource group "
                f"{clients.profile.resource_group}.",
                "Make it: orchestrator up",
                status=404,
            )

        with told(clients.profile, "read the environment", missing):
            environment: Mapping[str, Any] = clients.containers.managed_environments.get(
                clients.profile.resource_group, name, raw_response_hook=keep
            ).as_dict()
        return environment

    def _clock(self) -> Iterator[Finding]:
        """This machine's clock beside the service's (the Date of its answer, to the second)."""
        if self._date is None:
            return
        here = datetime.fromtimestamp(self._rooms.time.time(), UTC)
        apart = abs(here - self._date)
        if apart > _NOTABLE:
            self._ahead = self._date - here
            fast = "ahead of" if here > self._date else "behind"
            yield Finding(
                level="warning",
                check="clock",
                what=f"This machine's clock is {show(apart)} {fast} the service's.",
                evidence=f"Here it is {show(here)} UTC, there {show(self._date)}."
                + (" Tokens may be refused." if apart > SKEW else ""),
                next="Set it (NTP), for --since and tokens depend on it; a local cloud's clock "
                "that was moved: orchestrator local clock reset",
            )
        else:
            yield Finding(
                level="fine", check="clock", what="This machine's clock is the service's."
            )

    # ---------------------------------------------------------------- the settings

    def _against_settings(self, jobs: Sequence[str]) -> Iterator[Finding]:
        if self._settings.path is None or not self._settings.jobs:
            return
        named = [job for job in jobs if job in self._settings.jobs]
        if jobs and not named:
            return
        drifted: list[Drifted] = []
        try:
            drifted = self._rooms.plans.drift(self._settings, named).drifted
        except SettingsError:  # a secret's variable that is not set: the other jobs can be compared
            for name in named or self._settings.jobs:
                try:
                    drifted += self._rooms.plans.drift(self._settings, [name]).drifted
                except OrchestratorError as error:
                    yield _not_compared(error, f"The job {name} and its settings", name)
        except OrchestratorError as error:
            yield _not_compared(error, "Settings and jobs")
        for job in drifted:
            evidence = "; ".join(str(field) for field in job.fields[:3])
            more = len(job.fields) - 3
            yield Finding(
                level="problem" if job.state == "missing" else "note",
                check="settings",
                job=job.name,
                what="The job is in the settings, and is not deployed."
                if job.state == "missing"
                else "The job is deployed, and the settings name it no more."
                if job.state == "not in the settings"
                else "The live job is not as the settings say.",
                evidence=(evidence + (f"; {more} more" if more > 0 else "") + ".").lstrip("."),
                next="Deploy it: orchestrator deploy"
                if job.state == "missing"
                else "Look: orchestrator drift",
            )


def _not_compared(error: OrchestratorError, what: str, job: str = "") -> Finding:
    return Finding(
        level="note",
        check="settings",
        job=job,
        what=f"{what} could not be compared: {error.message}",
        next=error.hint,
    )


def _never_ran_once(found: Sequence[Finding]) -> list[Finding]:
    """Of jobs that have not run yet one finding, where nobody asked about each of them."""
    silent = [f for f in found if f.what == checks_running.NEVER_RAN]
    if len(silent) < 2:
        return list(found)
    told = Finding(
        level="note",
        check="executions",
        what=f"{len(silent)} jobs have never run to an end.",
        evidence=f"{', '.join(f.job for f in silent)}.",
    )
    return [*(f for f in found if f not in silent), told]


def _examined(patient: Patient) -> list[Finding]:
    return [finding for name, check in CHECKS for finding in _of(patient, name, check)]


def _of(patient: Patient, name: str, check: Check) -> list[Finding]:
    """A check's findings; one that could not be made is a finding."""
    try:
        found = list(check(patient))
    except NotReachable:
        raise
    except OrchestratorError as error:
        found = [
            Finding(
                level="warning",
                check=name,
                what=f"This could not be looked at: {error.message}",
                next=error.hint,
            )
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # A live job may hold anything; the other checks and jobs are looked at all the same.
        found = [
            Finding(
                level="warning",
                check=name,
                what="This could not be looked at: the job holds something unexpected "
                f"({type(error).__name__}: {error}).",
                next=f"Look at it: orchestrator jobs show {patient.name} -o json",
            )
        ]
    return [msgspec.structs.replace(finding, job=patient.name) for finding in found]
