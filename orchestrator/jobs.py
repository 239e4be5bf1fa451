"""Jobs: deploy, show, delete, suspend, resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator import job_diff
from orchestrator.azure import Clients
from orchestrator.errors import JobNotFound, NotFound, OrchestratorError
from orchestrator.failures import Refusal, told
from orchestrator.job_body import Surroundings, job_record, job_resource, secret_values
from orchestrator.results import Action, Change, Changes, Job, Jobs, Step

if TYPE_CHECKING:
    from orchestrator.settings import JobSpec, Settings

JOBS = "Microsoft.App/jobs"
ENVIRONMENTS = "Microsoft.App/managedEnvironments"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
IDENTITY_VERSION = "2023-01-31"

Progress = Callable[[Step], None]


class JobVerbs:
    """The verbs on jobs of one profile."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._group = clients.profile.resource_group

    # ---------------------------------------------------------------- reading

    def every(self) -> Jobs:
        """The jobs of the resource group, by name."""
        with told(self._clients.profile, "list the jobs", self._no_group):
            found = self._clients.containers.jobs.list_by_resource_group(self._group)
            resources = [job.as_dict() for job in found]
        return Jobs(sorted((job_record(r) for r in resources), key=lambda j: j.name))

    def names(self) -> Sequence[str]:
        return [job.name for job in self.every()]

    def show(self, name: str) -> Job:
        """One job. Raises JobNotFound."""
        return job_record(self.resource(name))

    def resource(self, name: str) -> dict[str, Any]:
        """One job as the service sends it. Raises JobNotFound."""
        with self.told(f"show the job {name}", name):
            resource: dict[str, Any] = self._clients.containers.jobs.get(
                self._group, name
            ).as_dict()
        return resource

    def find(self, name: str) -> dict[str, Any] | None:
        """One job as the service sends it, None when there is none."""
        try:
            with told(self._clients.profile, f"read the job {name}"):
                resource = self._clients.containers.jobs.get(self._group, name).as_dict()
        except NotFound as error:
            if error.code == "ResourceGroupNotFound":
                raise
            return None
        return dict(resource)

    def told(self, doing: str, name: str) -> Any:
        """`failures.told` for one job: a 404 becomes JobNotFound with a near miss."""
        return told(self._clients.profile, doing, lambda refusal: self.not_found(name))

    def not_found(self, name: str) -> JobNotFound:
        """The error for a job that is not there, with what was perhaps meant."""
        try:
            names = self.names()
        except OrchestratorError:
            names = []
        near = get_close_matches(name, names, 1)
        if near:
            hint = f'Did you mean "{near[0]}"?'
        elif names:
            hint = f"The jobs there are: {', '.join(names)}."
        else:
            hint = "There are no jobs there yet; make them: orchestrator deploy"
        return JobNotFound(
            f'There is no job "{name}" in the resource group {self._group}.', hint, status=404
        )

    def _no_group(self, refusal: Refusal) -> NotFound:
        return NotFound(
            f"There is no resource group {self._group}.", "Make it: orchestrator up", status=404
        )

    # ---------------------------------------------------------------- deploy

    def deploy(
        self, settings: Settings, names: Sequence[str], progress: Progress | None = None
    ) -> Changes:
        """Create or update these jobs of the settings (none named: all of them).

        Nothing is sent before every secret is found and every job's difference is known.
        """
        specs = {name: settings.job(name) for name in names or settings.jobs}
        secrets = secret_values(settings, specs)
        if not specs:
            return Changes()
        place = self.surroundings()
        planned = [self._plan(name, spec, place, secrets) for name, spec in specs.items()]
        return self._carry_out(planned, progress)

    def _plan(
        self,
        name: str,
        spec: JobSpec,
        place: Surroundings,
        secrets: Mapping[tuple[str, str], str],
    ) -> tuple[Change, dict[str, Any]]:
        wanted = job_resource(name, spec, place, secrets)
        live = self.find(name)
        if live is None:
            return Change(name=name, kind="job", action="created"), wanted
        if live.get("tags"):
            wanted["tags"] = live["tags"]  # a PUT without them would take them away
        configuration = (live.get("properties") or {}).get("configuration") or {}
        if configuration.get("secrets") or secrets:
            configuration["secrets"] = self._secrets(name)
        fields = job_diff.changes(live, wanted)
        action: Action = "updated" if fields else "unchanged"
        return Change(name=name, kind="job", action=action, fields=fields), wanted

    def _secrets(self, name: str) -> list[dict[str, Any]]:
        with told(self._clients.profile, f"read the secrets of the job {name}"):
            found = self._clients.containers.jobs.list_secrets(self._group, name)
            return [secret.as_dict() for secret in found.value or ()]

    def _carry_out(
        self, planned: Sequence[tuple[Change, dict[str, Any]]], progress: Progress | None
    ) -> Changes:
        """Send them all, then wait for each: the service works on several at a time."""
        tell = progress or (lambda step: None)
        total = len(planned)
        pollers: dict[str, Any] = {}
        failed: list[OrchestratorError] = []
        for number, (change, resource) in enumerate(planned, 1):
            tell(Step(title=f"job {change.name}", number=number, total=total))
            if change.action == "unchanged":
                continue
            try:
                with told(self._clients.profile, f"deploy the job {change.name}"):
                    pollers[change.name] = self._put(change.name, resource)
            except OrchestratorError as error:
                failed.append(error)
        done: list[Change] = []
        for number, (change, _) in enumerate(planned, 1):
            if change.name in pollers:
                try:
                    with told(self._clients.profile, f"deploy the job {change.name}"):
                        pollers[change.name].result()
                except OrchestratorError as error:
                    failed.append(error)
                    continue
            elif change.action != "unchanged":
                continue
            done.append(change)
            tell(Step(title=f"job {change.name}", number=number, total=total, change=change))
        if failed:
            raise self._all_of(failed, done)
        return Changes(done)

    def _put(self, name: str, resource: Mapping[str, Any]) -> Any:
        from azure.mgmt.appcontainers.models import Job as Resource

        jobs = self._clients.containers.jobs
        return jobs.begin_create_or_update(self._group, name, Resource(resource))

    @staticmethod
    def _all_of(failed: Sequence[OrchestratorError], done: Sequence[Change]) -> OrchestratorError:
        first = failed[0]
        if len(failed) > 1:
            first.message = "\n".join(error.message for error in failed)
        changed = [change.name for change in done if change.action != "unchanged"]
        if changed:
            deployed = f"Deployed all the same: {', '.join(changed)}."
            first.hint = f"{first.hint} {deployed}".strip()
        return first

    # ---------------------------------------------------------------- the place they are put in

    def surroundings(self) -> Surroundings:
        """What the jobs' resources need to know of this profile; reads the environment."""
        profile, endpoints = self._clients.profile, self._clients.endpoints
        with told(profile, "read the environment", self._no_environment):
            environment = self._clients.containers.managed_environments.get(
                self._group, profile.environment
            )
        location = (environment.location or profile.location or "").replace(" ", "").lower()
        suffix = endpoints.service_bus_suffix
        return Surroundings(
            location=location,
            environment_id=self._clients.resource_id(ENVIRONMENTS, profile.environment),
            identity_id=self.identity_id(),
            registry=profile.registry,
            namespace=profile.namespace,
            values={
                "servicebus": f"{profile.namespace}.{suffix}" if profile.namespace else None,
                "namespace": profile.namespace,
                "identity.client_id": cache(self._client_id) if profile.identity else None,
                "subscription": endpoints.subscription,
                "resource_group": profile.resource_group,
                "location": location,
                "registry": profile.registry,
            },
        )

    def identity_id(self) -> str | None:
        """The resource id of the identity that the jobs run as, None when the profile has none."""
        identity = self._clients.profile.identity
        return self._clients.resource_id(IDENTITIES, identity) if identity else None

    def _client_id(self) -> str:
        profile = self._clients.profile

        def missing(refusal: Refusal) -> NotFound:
            return NotFound(
                f"There is no identity {profile.identity} in the resource group {self._group}.",
                "Make it: orchestrator up",
                status=404,
            )

        with told(profile, f"read the identity {profile.identity}", missing):
            identity = self._clients.resources.resources.get_by_id(
                self.identity_id() or "", api_version=IDENTITY_VERSION
            ).as_dict()
        return str((identity.get("properties") or {}).get("clientId") or "")

    def _no_environment(self, refusal: Refusal) -> NotFound:
        return NotFound(
            f"There is no environment {self._clients.profile.environment} in the resource group "
            f"{self._group}.",
            "Make it: orchestrator up",
            code=refusal.code,
            status=404,
        )

    # ---------------------------------------------------------------- the others

    def delete(self, name: str) -> Change:
        """Delete the job. Raises JobNotFound."""
        self.resource(name)  # DELETE of what is not there is no error, and a typo would go unseen
        with self.told(f"delete the job {name}", name):
            self._clients.containers.jobs.begin_delete(self._group, name).result()
        return Change(name=name, kind="job", action="deleted")

    def suspend(self, name: str) -> Job:
        with self.told(f"suspend the job {name}", name):
            self._clients.containers.jobs.begin_suspend(self._group, name).result()
        return self.show(name)

    def resume(self, name: str) -> Job:
        with self.told(f"resume the job {name}", name):
            self._clients.containers.jobs.begin_resume(self._group, name).result()
        return self.show(name)
