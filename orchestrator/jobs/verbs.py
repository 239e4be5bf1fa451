"""Jobs: show, delete, suspend, resume. How they are deployed is in `planning`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from orchestrator.azure.clients import CONTAINERS_VERSION, Clients
from orchestrator.azure.failures import Refusal, told
from orchestrator.azure.resource_lists import listed
from orchestrator.errors import JobNotFound, NotFound, OrchestratorError
from orchestrator.jobs.body import Surroundings, job_record
from orchestrator.results import Change, Job, Jobs

JOBS = "Microsoft.App/jobs"
ENVIRONMENTS = "Microsoft.App/managedEnvironments"
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
IDENTITY_VERSION = "2023-01-31"


class JobVerbs:
    """The verbs on jobs of one profile."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._group = clients.profile.resource_group

    # ---------------------------------------------------------------- reading

    def every(self) -> Jobs:
        """The jobs of the resource group, by name."""
        path = self._clients.resource_id(JOBS, "").rstrip("/")
        with told(self._clients.profile, "list the jobs", self._no_group):
            resources = listed(self._clients, path, CONTAINERS_VERSION, "list the jobs")
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
        from difflib import get_close_matches

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

    def put(self, name: str, resource: Mapping[str, Any]) -> Any:
        """Begin to create or replace the job; a poller."""
        from azure.mgmt.appcontainers.models import Job as Resource

        jobs = self._clients.containers.jobs
        return jobs.begin_create_or_update(self._group, name, Resource(resource))

    def secrets(self, name: str) -> list[dict[str, Any]]:
        """The job's secrets with their values, as the service sends them."""
        with told(self._clients.profile, f"read the secrets of the job {name}"):
            found = self._clients.containers.jobs.list_secrets(self._group, name)
            return [secret.as_dict() for secret in found.value or ()]

    # ---------------------------------------------------------------- the place they are put in

    def surroundings(self) -> Surroundings:
        """What the jobs' resources need to know of this profile; reads the environment."""
        profile, endpoints, names = (
            self._clients.profile,
            self._clients.endpoints,
            self._clients.names,
        )
        environment_name = names.need("environment")
        with told(profile, "read the environment", self._no_environment):
            environment = self._clients.containers.managed_environments.get(
                self._group, environment_name
            )
        namespace, registry = names.namespace, names.registry
        location = (environment.location or profile.location or "").replace(" ", "").lower()
        suffix = endpoints.service_bus_suffix
        return Surroundings(
            location=location,
            environment_id=self._clients.resource_id(ENVIRONMENTS, environment_name),
            identity_id=self.identity_id(),
            registry=registry,
            namespace=namespace,
            own=names.identities,
            pull_identity_id=names.outputs.get("pullIdentityId") or None,
            scaler_identity_id=names.outputs.get("scalerIdentityId") or None,
            outputs=lambda: names.outputs,
            values={
                "servicebus": f"{namespace}.{suffix}" if namespace else None,
                "namespace": namespace,
                "identity.client_id": cache(self._client_id) if names.identity else None,
                "subscription": endpoints.subscription,
                "resource_group": profile.resource_group,
                "location": location,
                "registry": registry,
            },
        )

    def identity_id(self) -> str | None:
        """The resource id of the identity that the jobs run as, None when the profile has none."""
        identity = self._clients.names.identity
        return self._clients.resource_id(IDENTITIES, identity) if identity else None

    def _client_id(self) -> str:
        profile = self._clients.profile

        def missing(refusal: Refusal) -> NotFound:
            return NotFound(
                f"There is no identity {self._clients.names.identity} in the resource group "
                f"{self._group}.",
                "Make it: orchestrator up",
                status=404,
            )

        with told(profile, "read the identity of the jobs", missing):
            identity = self._clients.resources.resources.get_by_id(
                self.identity_id() or "", api_version=IDENTITY_VERSION
            ).as_dict()
        return str((identity.get("properties") or {}).get("clientId") or "")

    def _no_environment(self, refusal: Refusal) -> NotFound:
        return NotFound(
            f"There is no environment {self._clients.names.environment} in the resource group "
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
