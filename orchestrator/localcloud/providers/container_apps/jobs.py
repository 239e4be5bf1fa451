"""Microsoft.App: jobs and their executions, managed environments.

The jobs in the resource store are what the runtime runs (`JobSource`); executions live in the
runtime and are only shown here.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.identity import Identity
from orchestrator.localcloud.providers.container_apps.app_parts import (
    AuthConfigs,
    HttpRoutes,
    MaintenanceConfigurations,
    ResiliencyPolicies,
    SourceControls,
)
from orchestrator.localcloud.providers.container_apps.app_revisions import (
    DiagnosedRevisions,
    Revisions,
    RevisionsApi,
)
from orchestrator.localcloud.providers.container_apps.apps import Apps, verification_id
from orchestrator.localcloud.providers.container_apps.configuration_rules import check_name
from orchestrator.localcloud.providers.container_apps.connected_environments import (
    ConnectedCertificates,
    ConnectedDaprComponents,
    ConnectedEnvironments,
    ConnectedStorages,
)
from orchestrator.localcloud.providers.container_apps.environment_parts import (
    Storages,
    profile_types,
    region_meters,
    region_modes,
    region_usages,
)
from orchestrator.localcloud.providers.container_apps.environment_secrets import (
    Certificates,
    DaprComponents,
)
from orchestrator.localcloud.providers.container_apps.environments import (
    ManagedEnvironments,
    environment_of,
    surroundings,
)
from orchestrator.localcloud.providers.container_apps.job_rules import READ_ONLY, check_properties
from orchestrator.localcloud.providers.container_apps.stream_token import stream_token
from orchestrator.localcloud.providers.spelling import respell
from orchestrator.localcloud.runtime.model import RuntimeFault

JOBS = "Microsoft.App/jobs"
SUSPENDED = "Suspended"

_T = TypeVar("_T")


class JobRuntime(Protocol):
    """What is needed of the runtime."""

    async def start_execution(self, job_id: str, override: JSON | None = None) -> JSON: ...
    async def stop_execution(self, job_id: str, execution: str) -> JSON: ...
    async def stop_all(self, job_id: str) -> list[JSON]: ...
    def executions(self, job_id: str) -> list[JSON]: ...
    def execution(self, job_id: str, name: str) -> JSON | None: ...
    def replicas(self, job_id: str, name: str) -> list[JSON]: ...
    def job_changed(self, job_id: str) -> None: ...
    def job_deleted(self, job_id: str) -> None: ...


class StoredJobs:
    """The jobs as the runtime reads them: whole resources, with the values of their secrets."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store
        self._read: dict[str, tuple[str, JSON]] = {}

    def jobs(self) -> Iterable[JSON]:
        """Every job."""
        records = self._store.records(JOBS)
        known = {record.id.key for record in records}
        self._read = {key: value for key, value in self._read.items() if key in known}
        return [job for record in records if (job := self.job(record.id.text)) is not None]

    def job(self, job_id: str) -> JSON | None:
        """The job with this id; None when there is none."""
        try:
            record = self._store.record(job_id)
        except ArmError:
            return None
        if record is None or record.id.type.lower() != JOBS.lower():
            return None
        known = self._read.get(record.id.key)
        if known is None or known[0] != record.etag:
            known = self._read[record.id.key] = (record.etag, record.read())
        return known[1]


class ContainerApps(Provider):
    """Microsoft.App.

    Attributes:
        runtime: Set when the runtime is there; until then starts are answered with 503.
    """

    namespace: ClassVar[str] = "Microsoft.App"

    def __init__(self, identity: Identity) -> None:
        self.runtime: JobRuntime | None = None
        self.identity = identity

    def types(self) -> Iterable[ResourceType]:
        """Jobs, their executions, environments, apps, their revisions."""
        environments = ManagedEnvironments(self.identity)
        parts = [Storages(), Certificates(), DaprComponents()]
        return [
            Jobs(self),
            Executions(self),
            environments,
            *parts,
            *[HttpRoutes(), MaintenanceConfigurations(), ResiliencyPolicies()],
            *[ConnectedEnvironments(), ConnectedStorages(), ConnectedCertificates()],
            ConnectedDaprComponents(),
            *[Apps(self.identity), AuthConfigs(), SourceControls()],
            *[Revisions(), RevisionsApi(), DiagnosedRevisions()],
        ]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """What a region offers."""
        at = "/subscriptions/{}/providers/Microsoft.App/locations/{}/"
        return {
            ("POST", "/subscriptions/{}/providers/Microsoft.App/getCustomDomainVerificationId"): (
                _verification_id
            ),
            ("GET", at + "usages"): region_usages,
            ("GET", at + "availableManagedEnvironmentsWorkloadProfileTypes"): profile_types,
            ("GET", at + "availableManagedEnvironmentsModes"): region_modes,
            ("GET", at + "billingMeters"): region_meters,
        }

    def running(self) -> JobRuntime:
        """The runtime.

        Raises:
            ArmError: 503 while there is none.
        """
        if self.runtime is None:
            raise ArmError(
                "ServiceUnavailable", "The local cloud is starting or stopping; try again.", 503
            )
        return self.runtime


class Jobs(ResourceType):
    """`Microsoft.App/jobs`."""

    type: ClassVar[str] = JOBS
    read_only: ClassVar[tuple[str, ...]] = READ_ONLY
    # "… using JSON Merge Patch", says the reference of its PATCH.
    patch_merges_tags: ClassVar[bool] = True
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    def __init__(self, apps: ContainerApps) -> None:
        self._apps = apps

    def parse(self, raw: bytes) -> Any:
        """The body, its names in the API's spelling."""
        return respell(super().parse(raw))

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check everything that Container Apps checks, and fill in its defaults."""
        if old is None:
            check_name(call.id.name)
        properties = resource["properties"]
        before = old["properties"] if old else {}
        environment = environment_of(call, properties, before, "job")
        check_properties(properties, surroundings(resource, environment, "job"))
        resource.setdefault("identity", {"type": "None"})
        properties["runningState"] = before.get("runningState", "Ready")
        properties["outboundIpAddresses"] = ["127.0.0.1"]
        return resource

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """Plan its trigger anew."""
        if self._apps.runtime is not None:
            self._apps.runtime.job_changed(resource["id"])

    async def deleted(self, call: Call, resource: JSON) -> None:
        """Stop what runs of it."""
        if self._apps.runtime is not None:
            self._apps.runtime.job_deleted(resource["id"])

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without the values of secrets, with where its logs stream from."""
        properties = resource["properties"]
        for secret in properties.get("configuration", {}).get("secrets", []):
            secret.pop("value", None)
        # What the service calls it on the wire up to 2025-10-02-preview at least.
        properties["runningStatus"] = properties.setdefault("runningState", "Ready")
        properties["eventStreamEndpoint"] = f"{_stream_base(call, resource['id'])}/eventstream"
        return resource

    def busy(self, call: Call) -> ArmError:
        """Container Apps takes one change of a job at a time."""
        return ArmError(
            "ContainerAppsJobOperationInProgress",
            f"Cannot modify the Container Apps Job '{call.id.name}' because there is an active "
            "provisioning operation in progress. Wait for it to end, then send the request again.",
            409,
        )

    def reads(self) -> Mapping[str, Handler]:
        """Itself, as diagnostics read it."""
        return {"detectorProperties/rootApi": self._root}

    async def _root(self, call: Call) -> Answer:
        return await self.show(call, _stored(call))

    def actions(self) -> Mapping[str, Handler]:
        """Everything that can be done to a job."""
        return {
            "start": self._start,
            "stop": self._stop,
            # The path of `az`, and of versions before executions had an action of their own.
            "stop/{}": self._stop_one,
            "suspend": self._suspend,
            "resume": self._resume,
            "listSecrets": self._list_secrets,
            "getAuthToken": self._token,
        }

    async def _start(self, call: Call) -> Answer:
        override = call.object()
        inner = override.get("template", override)
        if not isinstance(inner, dict):
            raise ArmError("InvalidRequestContent", "'template' must be an object.")
        execution = await _asked(
            self._apps.running().start_execution(self._id(call), inner or None)
        )
        # `az` reads id and name from the first answer and never polls.
        return {"id": execution["id"], "name": execution["name"]}

    async def _stop(self, call: Call) -> Answer:
        runtime, job = self._apps.running(), self._id(call)
        named = call.object().get("value", call.object().get("executions"))
        if named is None:
            return {"value": await _asked(runtime.stop_all(job))}
        if not isinstance(named, list):
            raise ArmError("InvalidRequestContent", "'value' must be an array of executions.")
        names = [
            str(item.get("name", "")) if isinstance(item, dict) else str(item) for item in named
        ]
        for name in names:
            _execution(runtime, call.id, name)
        return {"value": [await _asked(runtime.stop_execution(job, name)) for name in names]}

    async def _stop_one(self, call: Call) -> Answer:
        runtime = self._apps.running()
        _execution(runtime, call.id, call.arguments[0])
        return await _asked(runtime.stop_execution(self._id(call), call.arguments[0]))

    async def _suspend(self, call: Call) -> Answer:
        return await self._set_state(call, SUSPENDED)

    async def _resume(self, call: Call) -> Answer:
        return await self._set_state(call, "Ready")

    async def _set_state(self, call: Call, state: str) -> Answer:
        def change(job: JSON) -> None:
            job["properties"]["runningState"] = state

        job = await call.arm.changes.alter(call, change)
        if self._apps.runtime is not None:
            self._apps.runtime.job_changed(job["id"])
        return await self.show(call, job)

    async def _list_secrets(self, call: Call) -> Answer:
        job = _stored(call)
        secrets = job["properties"].get("configuration", {}).get("secrets", [])
        return {"value": copy.deepcopy(secrets)}

    async def _token(self, call: Call) -> Answer:
        job = _stored(call)
        return stream_token(self._apps.identity, call, job)

    def _id(self, call: Call) -> str:
        return str(_stored(call)["id"])


class Executions(ResourceType):
    """`Microsoft.App/jobs/executions`: the runtime's, newest first."""

    type: ClassVar[str] = f"{JOBS}/executions"
    stored: ClassVar[bool] = False

    def __init__(self, apps: ContainerApps) -> None:
        self._apps = apps

    async def get(self, call: Call) -> JSON | None:
        """One execution."""
        job = call.id.parent
        record = call.arm.store.record(job) if job else None
        if record is None:
            return None
        return self._apps.running().execution(record.id.text, call.id.name)

    async def members(self, call: Call) -> Iterable[JSON]:
        """All executions of a job."""
        job = call.id.parent
        assert job is not None
        record = call.arm.store.record(job)
        if record is None:
            raise missing(job)
        return self._apps.running().executions(record.id.text)

    def actions(self) -> Mapping[str, Handler]:
        """Stop it."""
        return {"stop": self._stop}

    def reads(self) -> Mapping[str, Handler]:
        """Its replicas (api-version 2023-11-02-preview)."""
        return {"replicas": self._replicas, "replicas/{}": self._replica}

    async def _stop(self, call: Call) -> Answer:
        job = call.id.parent
        assert job is not None
        record = call.arm.store.record(job)
        assert record is not None
        runtime = self._apps.running()
        return await _asked(runtime.stop_execution(record.id.text, call.id.name))

    async def _replicas(self, call: Call) -> Answer:
        return self._replicas_of(call)

    async def _replica(self, call: Call) -> Answer:
        wanted = call.arguments[0].lower()
        for replica in self._replicas_of(call):
            if str(replica.get("name", "")).lower() == wanted:
                return replica
        raise missing(call.id.child("replicas", call.arguments[0]))

    def _replicas_of(self, call: Call) -> list[JSON]:
        job = call.id.parent
        assert job is not None
        record = call.arm.store.record(job)
        runtime = self._apps.running()
        if record is None:
            raise missing(job)
        execution = _execution(runtime, record.id, call.id.name)
        base = f"{_stream_base(call, record.id.text)}/executions/{execution['name']}"
        replicas = runtime.replicas(record.id.text, call.id.name)
        for replica in replicas:
            properties = replica["properties"]
            for container in (*properties["containers"], *properties["initContainers"]):
                container["logStreamEndpoint"] = (
                    f"{base}/replicas/{replica['name']}/containers/{container['name']}/logstream"
                )
        return replicas


def _stream_base(call: Call, job: str) -> str:
    """Where the streams of a job begin; they have paths of their own, without a provider."""
    id = parse(job)
    return f"{call.base}/subscriptions/{id.subscription}/resourceGroups/{id.group}/jobs/{id.name}"


async def _asked(work: Awaitable[_T]) -> _T:
    """Await the runtime; its refusals become ARM's."""
    try:
        return await work
    except RuntimeFault as fault:
        raise ArmError(fault.code, fault.message, fault.status) from fault


def _stored(call: Call) -> JSON:
    resource = call.arm.store.get(call.id)
    if resource is None:
        raise missing(call.id)
    return resource


def _execution(runtime: JobRuntime, job: ResourceId, name: str) -> JSON:
    execution = runtime.execution(job.text, name)
    if execution is None:
        raise ArmError(
            "JobExecutionNotFound",
            f"The job '{job.name}' has no execution '{name}'.",
            404,
        )
    return execution


async def _verification_id(call: Call) -> Answer:
    """What the TXT record of a custom domain must hold."""
    return Reply(verification_id(call))
