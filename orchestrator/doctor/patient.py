"""What is known of one job: read when a check first wants it, and once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from orchestrator import kql
from orchestrator.errors import OrchestratorError
from orchestrator.failures import told
from orchestrator.waiting import now as time_now

if TYPE_CHECKING:
    from orchestrator.azure import Clients
    from orchestrator.executions import ExecutionVerbs
    from orchestrator.jobs import JobVerbs
    from orchestrator.logs import LogVerbs
    from orchestrator.planning import PlanVerbs
    from orchestrator.queues import QueueVerbs
    from orchestrator.results import Execution, Queue
    from orchestrator.system_log import SystemEvent, SystemLog
    from orchestrator.waiting import Time

RECENT = timedelta(hours=24)  # how far back events are read
MANY = 100  # executions that are looked at


@dataclass(frozen=True)
class Rooms:
    """What a visit asks: the verbs of each noun."""

    clients: Clients
    jobs: JobVerbs
    executions: ExecutionVerbs
    queues: QueueVerbs
    logs: LogVerbs
    system_log: SystemLog
    plans: PlanVerbs
    time: Time


class Ward:
    """What several jobs share, read once a visit: queues, roles, identities."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._roles: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self._identities: dict[str, Mapping[str, Any] | None] = {}

    @cached_property
    def queues(self) -> dict[str, Queue]:
        """Name in lower case -> queue. Raises OrchestratorError."""
        return {queue.name.lower(): queue for queue in self.rooms.queues.every()}

    def identity(self, resource_id: str) -> Mapping[str, Any] | None:
        """A user-assigned identity, None when there is none of that id."""
        from azure.core.exceptions import ResourceNotFoundError

        from orchestrator.jobs import IDENTITY_VERSION

        key = resource_id.lower()
        if key not in self._identities:
            clients = self.rooms.clients
            with told(clients.profile, "read the job's identity"):
                try:
                    found = clients.resources.resources.get_by_id(
                        resource_id, api_version=IDENTITY_VERSION
                    ).as_dict()
                except ResourceNotFoundError:
                    found = None
            self._identities[key] = found
        return self._identities[key]

    def roles(self, principal: str, scope: str) -> tuple[str, ...]:
        """The ids (guids) of the roles that a principal has at a scope or above it."""
        key = (principal, scope.lower())
        if key not in self._roles:
            clients = self.rooms.clients
            with told(clients.profile, "list the role assignments"):
                listed = clients.authorization.role_assignments.list_for_scope(
                    scope, filter=f"assignedTo('{principal}')"
                )
                self._roles[key] = tuple(
                    str(a.role_definition_id).rpartition("/")[2].lower() for a in listed
                )
        return self._roles[key] or ()


class Patient:
    """One job, with all that the checks want to know of it."""

    def __init__(self, ward: Ward, resource: Mapping[str, Any]) -> None:
        self.ward = ward
        self.resource = resource
        self.name = str(resource.get("name") or "")
        self.properties: Mapping[str, Any] = resource.get("properties") or {}
        self.configuration: Mapping[str, Any] = self.properties.get("configuration") or {}
        self.trigger = str(self.configuration.get("triggerType") or "Manual").lower()
        self.details: Mapping[str, Any] = (
            self.configuration.get(f"{self.trigger}TriggerConfig") or {}
        )

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

    @cached_property
    def now(self) -> datetime:
        return time_now(self.ward.rooms.time)

    @cached_property
    def executions(self) -> Sequence[Execution]:
        """The newest ones, newest first."""
        return self.ward.rooms.executions.every(self.name, limit=MANY, history=False)

    @property
    def running(self) -> list[Execution]:
        return [e for e in self.executions if not e.finished]

    @property
    def finished(self) -> list[Execution]:
        return [e for e in self.executions if e.finished]

    @cached_property
    def events(self) -> Sequence[SystemEvent]:
        """What the system log has of the last day, oldest first; [] while there is no table."""
        after = (self.now - RECENT).timestamp()
        return self.ward.rooms.system_log.events(
            kql.system_events(self.name, after=after, tail=1000)
        )

    def lines_of(self, execution: Execution) -> int:
        """How many stored lines an execution has, at most 1."""
        query = kql.console_lines(self.name, execution=execution.name, tail=1)
        try:
            return len(self.ward.rooms.logs.stored(query, execution.name))
        except OrchestratorError as error:
            if type(error).__name__ == "TableNotFound":
                return 0
            raise

    # ---------------------------------------------------------------- identities

    @property
    def identities(self) -> list[str]:
        """Resource ids of the job's user-assigned identities."""
        return list((self.resource.get("identity") or {}).get("userAssignedIdentities") or {})

    @property
    def has_identity(self) -> bool:
        kind = str((self.resource.get("identity") or {}).get("type") or "None")
        return kind.lower() != "none"

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
