"""What `deploy` would do to each job, and doing it; what differs between settings and live jobs.

A plan reads every live job and sends nothing. Its `version` tells two things apart: what the live
jobs were like, and what is wanted of them; `deploy` with a version refuses when either has changed
since, so that what was looked at is what is done.

A job carries the tag `orchestrator-project`, so that `prune` removes only what this project made.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.azure.failures import told
from orchestrator.errors import BadInput, Conflict, OrchestratorError
from orchestrator.jobs import diff as job_diff
from orchestrator.jobs.body import job_resource, secret_values
from orchestrator.planning.foresight import image_note, lacks
from orchestrator.records import Column, Kind, Records, show
from orchestrator.results import Change, Changes, FieldChange, Record, Step
from orchestrator.waiting import SystemTime, backoff

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients
    from orchestrator.doctor.patient import Ward
    from orchestrator.jobs.body import Surroundings
    from orchestrator.jobs.verbs import JobVerbs
    from orchestrator.settings import JobSpec, Settings
    from orchestrator.waiting import Time

PROJECT_TAG = "orchestrator-project"

# What Container Apps lets nobody change on a job that is there: it must be made anew.
IMMUTABLE = ("environment",)

_BUSY = "ContainerAppsJobOperationInProgress"  # somebody else is changing the job right now
_PATIENCE = 60.0  # seconds that such a change is waited for

Progress = Callable[[Step], None]
PlanAction = Literal["created", "updated", "replaced", "deleted", "unchanged"]
DriftState = Literal["in step", "drifted", "missing", "not in the settings"]


class PlannedJob(Record, frozen=True, kw_only=True):
    """What `deploy` would do to one job.

    `fields`: field by field, old (live) and new (settings); a secret's values are "(hidden)".
    `changed_at`, `changed_by`: when and by whom the live job was changed last, where known.
    `notes`: what nothing refuses and will not do: an identity that is not there or lacks a role, an
    image that is probably misspelt.
    """

    name: str
    action: PlanAction
    fields: tuple[FieldChange, ...] = ()
    changed_at: datetime | None = None
    changed_by: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<PlannedJob {self.name}: {self.action}>"


class Plan(Records[PlannedJob]):
    """The jobs in the order of the settings, then those that `prune` would delete.

    `version`: what to give to `deploy(plan_version=…)`.
    """

    noun = "jobs"
    columns = (
        Column("name", "job"),
        Column("action", "action", "status"),
        Column("fields", "what changes", "text", lambda j: "; ".join(str(f) for f in j.fields)),
        Column("changed_at", "last changed", "time"),
        Column("changed_by", "by"),
    )

    def __init__(self, items: Sequence[PlannedJob] = (), *, version: str = "") -> None:
        super().__init__(items)
        self.version = version

    @property
    def changes(self) -> list[PlannedJob]:
        """Those that `deploy` would touch."""
        return [job for job in self if job.action != "unchanged"]


class Drifted(Record, frozen=True, kw_only=True):
    """How one live job stands to its settings.

    `fields`: where they differ; `old` is the settings' value, `new` the live one.
    """

    name: str
    state: DriftState
    fields: tuple[FieldChange, ...] = ()
    changed_at: datetime | None = None
    changed_by: str = ""

    def details(self) -> list[tuple[str, Any, Kind]]:
        shown: list[tuple[str, Any, Kind]] = [
            ("job", self.name, "text"),
            ("state", self.state, "status"),
        ]
        return [*shown, *((f.path, f"{show(f.old)} → {show(f.new)}", "text") for f in self.fields)]


class Drift(Records[Drifted]):
    """The jobs of the settings, then live ones of this project that the settings do not name."""

    noun = "jobs"
    columns = (
        Column("name", "job"),
        Column("state", "state", "status"),
        Column("fields", "settings -> live", "text", lambda j: "; ".join(str(f) for f in j.fields)),
        Column("changed_at", "last changed", "time"),
        Column("changed_by", "by"),
    )

    @property
    def drifted(self) -> list[Drifted]:
        """Those that are not in step."""
        return [job for job in self if job.state != "in step"]


class _Planned:
    """A planned job with what carries it out: the body to send, None to delete."""

    __slots__ = ("body", "job", "mark")

    def __init__(self, job: PlannedJob, body: dict[str, Any] | None, mark: str) -> None:
        self.job = job
        self.body = body
        self.mark = mark  # changes when the live job does


class PlanVerbs:
    """Plan, deploy and drift of one profile."""

    def __init__(self, clients: Clients, jobs: JobVerbs, time: Time | None = None) -> None:
        self._time = time or SystemTime()
        self._clients = clients
        self._jobs = jobs

    # ---------------------------------------------------------------- plan

    def plan(
        self,
        settings: Settings,
        names: Sequence[str] = (),
        *,
        prune: bool = False,
        version: str | None = None,
        ward: Callable[[], Ward] | None = None,
    ) -> Plan:
        """What `deploy` would do; nothing is sent. Raises what `deploy` raises before it sends:
        Conflict where `version` is given and is not this plan's. `ward`: what identities and roles
        are read from, to foresee those that are missing; None: that is not looked at."""
        planned = self._planned(settings, names, prune, ward)
        if version is not None:
            _check_version(version, planned, self._clients.profile.resource_group)
        return _plan_of(planned)

    def _planned(
        self,
        settings: Settings,
        names: Sequence[str],
        prune: bool,
        ward: Callable[[], Ward] | None = None,
    ) -> list[_Planned]:
        """Nothing is sent before every secret is found and every job's difference is known."""
        specs = {name: settings.job(name) for name in names or settings.jobs}
        secrets = secret_values(settings, specs)
        planned: list[_Planned] = []
        if specs:
            place = self._jobs.surroundings()
            for name, spec in specs.items():
                planned.append(self._one(name, spec, place, secrets, settings, ward))
        if prune:
            planned += [_deleted(live) for live in self._forgotten(settings)]
        return planned

    def _one(
        self,
        name: str,
        spec: JobSpec,
        place: Surroundings,
        secrets: Mapping[tuple[str, str], str],
        settings: Settings,
        ward: Callable[[], Ward] | None,
    ) -> _Planned:
        wanted = job_resource(name, spec, place, secrets)
        wanted["tags"] = {PROJECT_TAG: settings.project}
        live = self._jobs.find(name)
        image = image_note(spec.image, settings, self._clients.profile)
        notes = [image] if image else []
        if ward is not None:
            notes += lacks(name, wanted, live, spec, ward)
        if live is None:
            job = PlannedJob(name=name, action="created", notes=tuple(notes))
            return _Planned(job, wanted, "")
        # A PUT without them would take them away.
        wanted["tags"] = {**(live.get("tags") or {}), **wanted["tags"]}
        configuration = (live.get("properties") or {}).get("configuration") or {}
        if configuration.get("secrets") or any(job == name for job, _ in secrets):
            configuration["secrets"] = self._jobs.secrets(name)
        fields = job_diff.changes(live, wanted)
        action: PlanAction = "updated" if fields else "unchanged"
        if any(field.path in IMMUTABLE for field in fields):
            action = "replaced"
        at, by = _last_change(live)
        job = PlannedJob(
            name=name,
            action=action,
            fields=fields,
            changed_at=at,
            changed_by=by,
            notes=tuple(notes),
        )
        return _Planned(job, wanted, _mark(live))

    def _forgotten(self, settings: Settings) -> list[dict[str, Any]]:
        """Live jobs with this project's tag that the settings name no more, by name."""
        named = {name.lower() for name in settings.jobs}
        return [
            job.raw
            for job in self._jobs.every()
            if job.name.lower() not in named
            and (job.raw.get("tags") or {}).get(PROJECT_TAG) == settings.project
        ]

    # ---------------------------------------------------------------- deploy

    def deploy(
        self,
        settings: Settings,
        names: Sequence[str] = (),
        *,
        plan_version: str | None = None,
        prune: bool = False,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Changes:
        """Create or update these jobs of the settings (none named: all of them).

        Raises Conflict when `plan_version` is given and is not this plan's, or when a job must be
        replaced and `replace` is false: then nothing was sent. BadInput for one that is no
        version.
        """
        planned = self._planned(settings, names, prune)
        if plan_version is not None:
            _check_version(plan_version, planned, self._clients.profile.resource_group)
        if not replace:
            _refuse_to_replace(planned)
        return self._carry_out(planned, progress)

    def _carry_out(self, planned: Sequence[_Planned], progress: Progress | None) -> Changes:
        """Send them all, then wait for each: the service works on several at a time."""
        tell = progress or (lambda step: None)
        total = len(planned)
        pollers: dict[str, Any] = {}
        failed: list[tuple[str, OrchestratorError]] = []
        for number, one in enumerate(planned, 1):
            name = one.job.name
            tell(Step(title=f"job {name}", number=number, total=total))
            if one.job.action == "unchanged":
                continue
            try:
                with told(self._clients.profile, f"{_DOING[one.job.action]} the job {name}"):
                    if one.job.action in ("replaced", "deleted"):
                        self._jobs.delete(name)
                    if one.body is not None:
                        pollers[name] = self._put(name, one.body)
            except OrchestratorError as error:
                failed.append((name, error))
        done: list[Change] = []
        for number, one in enumerate(planned, 1):
            name, action = one.job.name, one.job.action
            change = Change(name=name, kind="job", action=action, fields=one.job.fields)
            if name in pollers:
                try:
                    with told(self._clients.profile, f"deploy the job {name}"):
                        pollers[name].result()
                except OrchestratorError as error:
                    failed.append((name, error))
                    continue
            elif action in ("created", "updated", "replaced"):
                continue  # it was never sent
            done.append(change)
            tell(Step(title=f"job {name}", number=number, total=total, change=change))
        if failed:
            raise _all_of(failed, done)
        return Changes(
            done, notes=[f"{one.job.name}: {note}" for one in planned for note in one.job.notes]
        )

    def _put(self, name: str, body: Mapping[str, Any]) -> Any:
        """Begin to create or replace a job; who else is changing it is waited for."""
        end = self._time.time() + _PATIENCE
        for pause in backoff(0.2, 2.0):
            try:
                with told(self._clients.profile, f"deploy the job {name}"):
                    return self._jobs.put(name, body)
            except Conflict as error:
                if error.code != _BUSY or self._time.time() > end:
                    raise
            self._time.sleep(pause)
        raise AssertionError

    # ---------------------------------------------------------------- drift

    def drift(self, settings: Settings, names: Sequence[str] = ()) -> Drift:
        """How the live jobs stand to the settings."""
        found = []
        for one in self._planned(settings, names, prune=not names):
            job = one.job
            found.append(
                Drifted(
                    name=job.name,
                    state=_STATES[job.action],
                    fields=tuple(
                        FieldChange(path=f.path, old=f.new, new=f.old) for f in job.fields
                    ),
                    changed_at=job.changed_at,
                    changed_by=job.changed_by,
                )
            )
        return Drift(found)


_DOING = {"created": "deploy", "updated": "deploy", "replaced": "replace", "deleted": "delete"}
_STATES: dict[PlanAction, DriftState] = {
    "created": "missing",
    "updated": "drifted",
    "replaced": "drifted",
    "deleted": "not in the settings",
    "unchanged": "in step",
}


def _plan_of(planned: Sequence[_Planned]) -> Plan:
    return Plan([one.job for one in planned], version=_version(planned))


def _deleted(live: Mapping[str, Any]) -> _Planned:
    at, by = _last_change(live)
    name = str(live.get("name") or "")
    job = PlannedJob(name=name, action="deleted", changed_at=at, changed_by=by)
    return _Planned(job, None, _mark(live))


# ------------------------------------------------------------------------------- versions


def _mark(live: Mapping[str, Any]) -> str:
    """Text that is another one after any change of the live job; without its secrets' values.

    `systemData` says when a resource was written last (Resource Manager, common types v5); the
    fields are for a service that leaves it out.
    """
    at, _ = _last_change(live)
    fields = {path: repr(value) for path, value in job_diff.fields(live).items()}
    return json.dumps([str(live.get("name")).lower(), str(at), sorted(fields.items())])


def _version(planned: Sequence[_Planned]) -> str:
    """`<live>-<wanted>-<which>`: digests of what is, of what would be done to it, of which jobs."""
    live = [[one.job.name.lower(), one.mark] for one in planned]
    wanted = [
        [one.job.name.lower(), one.job.action, [str(field) for field in one.job.fields]]
        if one.body is None
        else [
            one.job.name.lower(),
            sorted(_wanted_words(one.body).items()),
            # A secret's value is in no version; whether it changes is.
            sorted(field.path for field in one.job.fields),
        ]
        for one in planned
    ]
    which = sorted(one.job.name.lower() for one in planned)
    return f"{_digest(live)}-{_digest(wanted)}-{_digest(which)[:4]}"


def _wanted_words(body: Mapping[str, Any]) -> dict[str, str]:
    return {path: repr(value) for path, value in job_diff.fields(body).items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:10]


def _check_version(given: str, planned: Sequence[_Planned], group: str) -> None:
    now = _version(planned)
    if given.strip().lower() == now:
        return
    parts = given.strip().lower().split("-")
    if [len(part) for part in parts] != [10, 10, 4]:
        raise BadInput(
            f'"{given}" is not the version of a plan, such as {now}.',
            "Plan again, and give the version it ends with: orchestrator plan",
        )
    again = "Nothing was sent. Plan again, and look at it: orchestrator plan"
    live, _, which = parts
    if which != now.rpartition("-")[2]:
        raise Conflict(
            "That plan was of other jobs: the settings have changed since that plan, or other jobs "
            "or options were given with it.",
            again,
        )
    if live == now.partition("-")[0]:
        raise Conflict("The settings have changed since that plan.", again)
    touched = [(one.job.changed_at, one.job) for one in planned if one.job.changed_at is not None]
    newest = ""
    if touched:
        at, job = max(touched, key=lambda pair: pair[0])
        by = f" by {job.changed_by}" if job.changed_by else ""
        newest = f" The latest change is of {job.name}, at {show(at)} UTC{by}."
    raise Conflict(
        f"The jobs in the resource group {group} have changed since that plan.{newest}", again
    )


def _last_change(live: Mapping[str, Any]) -> tuple[datetime | None, str]:
    system = live.get("systemData") or {}
    text = str(system.get("lastModifiedAt") or system.get("createdAt") or "")
    by = str(system.get("lastModifiedBy") or system.get("createdBy") or "")
    try:
        return datetime.fromisoformat(text), by
    except ValueError:
        return None, by


# ------------------------------------------------------------------------------- refusals


def _refuse_to_replace(planned: Sequence[_Planned]) -> None:
    replaced = [one.job for one in planned if one.job.action == "replaced"]
    if replaced:
        names = ", ".join(job.name for job in replaced)
        what = ", ".join(f.path for f in replaced[0].fields if f.path in IMMUTABLE)
        raise Conflict(
            f"Container Apps lets nobody change the {what} of a job: {names} would have to be "
            "deleted and made anew, and its executions would be lost.",
            "If that is meant: orchestrator deploy --replace",
        )


def _all_of(
    failed: Sequence[tuple[str, OrchestratorError]], done: Sequence[Change]
) -> OrchestratorError:
    """One error for all of them; what several jobs have in common is said once."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for name, error in failed:
        without = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", error.message)
        alike.setdefault(without, []).append((name, error.message))
    first = failed[0][1]
    first.message = "\n".join(_told_once(group) for group in alike.values())
    changed = [change.name for change in done if change.action != "unchanged"]
    if changed:
        deployed = f"Deployed all the same: {', '.join(changed)}."
        first.hint = f"{first.hint} {deployed}".strip()
    return first


def _told_once(group: Sequence[tuple[str, str]]) -> str:
    """The message of the first job, for all of them. Each is (name, message)."""
    name, message = group[0]
    if len(group) == 1:
        return message
    jobs = f"the jobs {', '.join(name for name, _ in group)}:"
    told = {text.replace(f"the job {name}:", jobs, 1) for name, text in group}
    likewise = " Likewise for each of the others." if len(told) > 1 else ""
    return message.replace(f"the job {name}:", jobs, 1) + likewise
