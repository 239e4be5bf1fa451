"""Taking down what a template has deployed: what goes, what stays, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.azure.failures import Refusal, told
from orchestrator.errors import Conflict, NotFound, OrchestratorError
from orchestrator.infra.changes import Deployed, Resource
from orchestrator.infra.following import Progress
from orchestrator.infra.stack import MADE_BY, kept_of
from orchestrator.results import Change, Changes, Record, Step

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients
    from orchestrator.settings import Settings

JOBS = "microsoft.app/jobs"
ENVIRONMENT = "microsoft.app/managedenvironments"


class Doomed(Record, frozen=True, kw_only=True):
    """What `destroy` would delete.

    Attributes:
        name: The deployment.
        resource_group: Where it is.
        jobs: The jobs that run in its environment.
        resources: What it made.
        kept: What was there before it, and stays.
        group: Whether the resource group goes too, once it is empty.
    """

    name: str
    resource_group: str
    jobs: tuple[str, ...] = ()
    resources: tuple[Resource, ...] = ()
    kept: tuple[Resource, ...] = ()
    group: bool = False


class Removal:
    """Works out what goes, and takes it down. `template`: gives a template that names api-versions
    of the types there may be."""

    def __init__(self, clients: Clients, template: Callable[[], Mapping[str, Any]]) -> None:
        self._clients = clients
        self._template = template
        self._profile = clients.profile
        self._group = clients.profile.resource_group

    def doomed(self, stack: Mapping[str, Any], deployed: Deployed, settings: Settings) -> Doomed:
        """What would go. Raises Conflict when the environment holds jobs of somebody else."""
        kept = {i.lower() for i in kept_of(stack)}
        environments = {r.id.lower() for r in deployed if r.type.lower() == ENVIRONMENT}
        environments -= kept
        jobs = self._jobs_in(environments)
        made = {r.name.lower() for r in deployed if r.type.lower() == JOBS}
        known = {job.lower() for job in settings.jobs} | made
        strangers = [job for job in jobs if job.lower() not in known]
        if strangers:
            raise Conflict(
                f"The environment runs jobs that are none of these settings: "
                f"{', '.join(strangers)}.",
                "Nothing was deleted. Delete them first: orchestrator jobs delete "
                + " ".join(strangers),
            )
        return Doomed(
            name=deployed.name,
            resource_group=self._group,
            jobs=tuple(job for job in jobs if job.lower() not in made),
            resources=tuple(r for r in deployed if r.id.lower() not in kept),
            kept=tuple(r for r in deployed if r.id.lower() in kept),
            group=self._made_group(),
        )

    def destroy(self, doom: Doomed, tell: Progress) -> Changes:
        """Take it down: the jobs, then the resources, then the group if it was made here."""
        total = len(doom.jobs) + 1
        done: list[Change] = []
        containers = self._clients.containers
        for number, job in enumerate(doom.jobs, 1):
            tell(Step(title=f"deleting the job {job}", number=number, total=total))
            with told(self._profile, f"delete the job {job}", _gone):
                containers.jobs.begin_delete(self._group, job).result()
            done.append(Change(name=job, kind="job", action="deleted"))
        title_ = f"deleting {len(doom.resources)} resources"
        tell(Step(title=title_, number=total, total=total))
        if doom.kept:
            self._delete_one_by_one(doom.resources)
        action = "detach" if doom.kept else "delete"
        with told(self._profile, f"delete what {doom.name} has deployed"):
            self._clients.stacks.begin_delete_at_resource_group(
                self._group,
                doom.name,
                unmanage_action_resources=action,
                unmanage_action_resource_groups="detach",
            ).result()
        done += [Change(name=r.name, kind=r.kind, action="deleted") for r in doom.resources]
        if doom.group and self._delete_group():
            done.append(Change(name=self._group, kind="resource group", action="deleted"))
        return Changes(done)

    def _jobs_in(self, environments: set[str]) -> list[str]:
        if not environments:
            return []
        with told(self._profile, "list the jobs"):
            found = self._clients.containers.jobs.list_by_resource_group(self._group)
            resources = [job.as_dict() for job in found]
        return [
            str(r.get("name"))
            for r in resources
            if str((r.get("properties") or {}).get("environmentId") or "").lower() in environments
        ]

    def _made_group(self) -> bool:
        with told(self._profile, f"read the resource group {self._group}"):
            group = self._clients.resources.resource_groups.get(self._group)
        return MADE_BY.items() <= dict(group.tags or {}).items()

    def _delete_group(self) -> bool:
        resources = self._clients.resources
        with told(self._profile, f"delete the resource group {self._group}"):
            if any(True for _ in resources.resources.list_by_resource_group(self._group)):
                return False
            resources.resource_groups.begin_delete(self._group).result()
        return True

    def _delete_one_by_one(self, doomed: tuple[Resource, ...]) -> None:
        """Delete these; what is refused because another one uses it is tried again after that."""
        left = sorted(doomed, key=lambda r: -len(r.id))
        versions = self._versions()
        while left:
            refused: list[tuple[Resource, OrchestratorError]] = []
            for resource in left:
                version = versions.get(resource.type.lower()) or "2022-04-01"
                try:
                    with told(self._profile, f"delete {resource.kind} {resource.name}", _gone):
                        self._clients.resources.resources.begin_delete_by_id(
                            resource.id, api_version=version
                        ).result()
                except NotFound:
                    continue
                except OrchestratorError as error:
                    refused.append((resource, error))
            if len(refused) == len(left):
                raise refused[0][1]
            left = [resource for resource, _ in refused]

    def _versions(self) -> dict[str, str]:
        """Resource type -> an api-version that it has, from the templates that come along."""
        found: dict[str, str] = {}

        def walk(value: Any) -> None:
            if isinstance(value, Mapping):
                if isinstance(value.get("apiVersion"), str) and isinstance(value.get("type"), str):
                    found[value["type"].lower()] = value["apiVersion"]
                for item in value.values():
                    walk(item)
            elif isinstance(value, list):
                for item in value:
                    walk(item)

        walk(self._template())
        return found


def _gone(refusal: Refusal) -> NotFound:
    return NotFound(refusal.message, status=404)
