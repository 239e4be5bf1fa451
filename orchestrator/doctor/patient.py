"""What is known of one job: read when a check first wants it, and once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.azure.failures import told
from orchestrator.queries import kql
from orchestrator.records import one_line
from orchestrator.waiting import now as time_now

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients
    from orchestrator.executions.verbs import ExecutionVerbs
    from orchestrator.jobs.verbs import JobVerbs
    from orchestrator.logs.system_log import SystemEvent, SystemLog
    from orchestrator.logs.verbs import LogVerbs
    from orchestrator.metrics.verbs import MetricVerbs
    from orchestrator.planning.verbs import PlanVerbs
    from orchestrator.queues.records import Queue
    from orchestrator.queues.verbs import QueueVerbs
    from orchestrator.results import Execution
    from orchestrator.settings import JobSpec
    from orchestrator.waiting import Time

RECENT = timedelta(hours=24)  # how far back events are read
MANY = 100  # executions that are looked at
IMAGE_REASONS = ("ImagePull", "ErrImage", "InvalidImageName", "PullingImageFailed")
START_FAILURE = "ContainerStartFailure"  # the image was there, its command was not


@dataclass(frozen=True)
class Rooms:
    """What a visit asks: the verbs of each noun."""

    clients: Clients
    jobs: JobVerbs
    executions: ExecutionVerbs
    queues: QueueVerbs
    logs: LogVerbs
    system_log: SystemLog
    metrics: MetricVerbs
    plans: PlanVerbs
    time: Time


class Ward:
    """What several jobs share, read once a visit: queues, roles, identities.

    Jobs are looked at beside each other; who comes second waits for what the first one asked for,
    and has its answer, or its error. `ahead`: how far the service's clock is before this machine's.
    """

    def __init__(self, rooms: Rooms, ahead: timedelta = timedelta(0)) -> None:
        self.rooms = rooms
        self.ahead = ahead
        self._lock = threading.Lock()
        self._known: dict[Hashable, Future[Any]] = {}

    def _once(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        with self._lock:
            first = key not in self._known
            answer = self._known.setdefault(key, Future())
        if first:
            try:
                answer.set_result(ask())
            except BaseException as error:  # noqa: BLE001 -- whoever waits must not for ever
                answer.set_exception(error)
        return answer.result()

    @property
    def queues(self) -> dict[str, Queue]:
        """Name in lower case -> queue. Raises OrchestratorError."""

        def ask() -> dict[str, Queue]:
            return {queue.name.lower(): queue for queue in self.rooms.queues.every()}

        found: dict[str, Queue] = self._once("queues", ask)
        return found

    def identity(self, resource_id: str) -> Mapping[str, Any] | None:
        """A user-assigned identity, None when there is none of that id."""
        from orchestrator.jobs.verbs import IDENTITY_VERSION

        return self.resource(resource_id, IDENTITY_VERSION)

    def resource(self, resource_id: str, version: str) -> Mapping[str, Any] | None:
        """A resource as the service sends it, None when there is none of that id."""
        from azure.core.exceptions import ResourceNotFoundError

        def ask() -> Mapping[str, Any] | None:
            clients = self.rooms.clients
            with told(clients.profile, f"read {'/'.join(resource_id.split('/')[-2:])}"):
                try:
                    read: Mapping[str, Any] = clients.resources.resources.get_by_id(
                        resource_id, api_version=version
                    ).as_dict()
                except ResourceNotFoundError:
                    return None
            return read

        found: Mapping[str, Any] | None = self._once(("resource", resource_id.lower()), ask)
        return found

    def roles(self, principal: str, scope: str) -> tuple[str, ...]:
        """The ids (guids) of the roles that a principal has at a scope or above it."""

        def ask() -> tuple[str, ...]:
            clients = self.rooms.clients
            with told(clients.profile, "list the role assignments"):
                return tuple(
                    str(a.role_definition_id).rpartition("/")[2].lower()
                    for a in clients.authorization.role_assignments.list_for_scope(
                        scope, filter=f"assignedTo('{principal}')"
                    )
                )

        found: tuple[str, ...] = self._once(("roles", principal, scope.lower()), ask)
        return found


class Patient:
    """One job, with all that the checks want to know of it."""

    def __init__(
        self, ward: Ward, resource: Mapping[str, Any], spec: JobSpec | None = None
    ) -> None:
        self.ward = ward
        self.spec = spec  # what the settings say of it, if they do
        self.resource = resource
        self.name = str(resource.get("name") or "")
        self.properties: Mapping[str, Any] = resource.get("properties") or {}
        self.configuration: Mapping[str, Any] = self.properties.get("configuration") or {}
        self.trigger = str(self.configuration.get("triggerType") or "Manual").lower()
        self.details: Mapping[str, Any] = (
            self.configuration.get(f"{self.trigger}TriggerConfig") or {}
        )
        self._last_lines: dict[str, str] = {}
        self._known: dict[str, Any] = {}

    def _once(self, what: str, ask: Callable[[], Any]) -> Any:
        # Not functools.cached_property: before Python 3.12 that lets one patient at a time ask.
        if what not in self._known:
            self._known[what] = ask()
        return self._known[what]

    @property
    def suspended(self) -> bool:
        return self.properties.get("runningState") == "Suspended"

    @property
    def timeout(self) -> timedelta:
        """The replica time-out."""
        return timedelta(seconds=float(self.configuration.get("replicaTimeout") or 1800))

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """Init containers and containers."""
        template = self.properties.get("template") or {}
        return [*(template.get("initContainers") or ()), *(template.get("containers") or ())]

    @property
    def variables(self) -> list[Mapping[str, Any]]:
        return [variable for c in self.containers for variable in c.get("env") or ()]

    @property
    def rules(self) -> list[Mapping[str, Any]]:
        """The scale rules of an event-driven job."""
        return list((self.details.get("scale") or {}).get("rules") or ())

    @property
    def now(self) -> datetime:
        """The service's time: executions and events are told by its clock."""
        found: datetime = self._once(
            "now", lambda: time_now(self.ward.rooms.time) + self.ward.ahead
        )
        return found

    @property
    def executions(self) -> Sequence[Execution]:
        """The newest ones, newest first."""
        verbs = self.ward.rooms.executions
        found: Sequence[Execution] = self._once(
            "executions", lambda: verbs.every(self.name, limit=MANY, history=False)
        )
        return found

    @property
    def running(self) -> list[Execution]:
        return [e for e in self.executions if not e.finished]

    @property
    def finished(self) -> list[Execution]:
        return [e for e in self.executions if e.finished]

    @property
    def events(self) -> Sequence[SystemEvent]:
        """What the system log has of the last day, oldest first; [] while there is no table."""
        query = kql.system_events(self.name, after=(self.now - RECENT).timestamp(), tail=1000)
        found: Sequence[SystemEvent] = self._once(
            "events", lambda: self.ward.rooms.system_log.events(query)
        )
        return found

    @property
    def image_failures(self) -> Sequence[SystemEvent]:
        """Events of images that could not be pulled, unless a later execution had its image."""
        failed = [e for e in self.events if e.reason.startswith(IMAGE_REASONS)]
        without = {e.execution for e in failed}
        for execution in self.finished if failed else ():
            ran = execution.status in ("Succeeded", "Failed") and execution.name not in without
            if ran and execution.start and execution.start > failed[-1].time:
                return []
        return failed

    @property
    def has_another_image(self) -> bool:
        """Whether the execution whose image failed last had another one than the job has now."""
        name = self.image_failures[-1].execution if self.image_failures else ""
        had = next((e.image for e in self.executions if e.name == name), "")
        images = [str(container.get("image") or "") for container in self.containers]
        return bool(had) and len(images) == 1 and had not in images

    def had_no_image(self, execution: Execution) -> bool:
        """Whether it never ran, since its image could not be pulled."""
        return any(e.execution == execution.name for e in self.image_failures)

    def never_ran(self, execution: Execution) -> bool:
        """Whether its program never began: no image, or a command that could not be started."""
        return self.had_no_image(execution) or any(
            e.execution == execution.name and e.reason == START_FAILURE for e in self.events
        )

    def last_line(self, execution: Execution) -> str:
        """The newest stored line of an execution, "" when there is none."""
        if execution.name not in self._last_lines:
            query = kql.console_lines(self.name, execution=execution.name, tail=1)
            lines = self.ward.rooms.logs.stored(query, execution.name)
            self._last_lines[execution.name] = one_line(lines[0].text) or "(empty)" if lines else ""
        return self._last_lines[execution.name]

    # ---------------------------------------------------------------- identities

    @property
    def identities(self) -> list[str]:
        """Resource ids of the job's user-assigned identities."""
        return list((self.resource.get("identity") or {}).get("userAssignedIdentities") or {})

    @property
    def has_identity(self) -> bool:
        kind = str((self.resource.get("identity") or {}).get("type") or "None")
        return kind.lower() != "none"

    def own_principals(self) -> list[str]:
        """Principal ids of the identities that its program may use: not those that only the scaler
        or the registry is asked with; where a variable names one, that one alone."""
        named = {
            str(variable.get("value") or "").lower()
            for variable in self.variables
            if variable.get("name") == "AZURE_CLIENT_ID"
        } - {""}
        others = {str(rule.get("identity") or "").lower() for rule in self.rules}
        others |= {
            str(registry.get("identity") or "").lower()
            for registry in self.configuration.get("registries") or ()
        }
        for resource_id in self.identities if named else ():
            properties = (self.ward.identity(resource_id) or {}).get("properties") or {}
            if str(properties.get("clientId") or "").lower() in named:
                return self.principals(resource_id)
        own = [one for one in self.identities if one.lower() not in others]
        found = self.principals("system")
        for resource_id in own or self.identities:
            found += self.principals(resource_id)
        return found

    def principals(self, identity: str | None = None) -> list[str]:
        """Principal ids: of one identity ("system" or a resource id), or of all that it has."""
        own = self.resource.get("identity") or {}
        found: list[str] = []
        if identity in (None, "system") and own.get("principalId"):
            found.append(str(own["principalId"]))
        wanted = self.identities if identity is None else [identity]
        for resource_id in wanted:
            if resource_id == "system":
                continue
            resource = self.ward.identity(resource_id)
            principal = ((resource or {}).get("properties") or {}).get("principalId")
            if principal:
                found.append(str(principal))
        return found
