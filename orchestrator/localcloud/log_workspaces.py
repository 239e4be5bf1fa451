"""Which workspace a job's logs go to, and who may read them: Resource Manager seen by the logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.http import authenticate
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.identity import LOG_STREAM_AUDIENCE, LOGS_AUDIENCES, Identity
from orchestrator.localcloud.logs.api import Workspace
from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.tables import Scope
from orchestrator.localcloud.providers.container_apps.jobs import StoredJobs
from orchestrator.localcloud.providers.insights.log_analytics import WORKSPACES

_QUERY = "Microsoft.OperationalInsights/workspaces/query/read"
_READ = "Microsoft.Insights/logs/read"


class LogWorkspaces:
    """Reads the resource store for the log rooms.

    Attributes:
        access: Decides who may query what; None: everybody everything.
    """

    def __init__(self, store: ResourceStore, jobs: StoredJobs, identity: Identity) -> None:
        self._store = store
        self._jobs = jobs
        self._identity = identity
        self.access: Access | None = None
        self._destinations: dict[str, tuple[str, str | None]] = {}

    def workspace_of(self, job_id: str) -> str | None:
        """Customer id of the workspace that a job's environment logs to; None: to none.

        A job that is gone answers "", which leaves its last lines without a workspace.
        """
        job = self._jobs.job(job_id)
        if job is None:
            return ""
        environment = self._store.record(str(job["properties"].get("environmentId", "/")))
        if environment is None:
            return ""
        known = self._destinations.get(environment.id.key)
        if known is None or known[0] != environment.etag:
            known = (environment.etag, _destination(environment.read()))
            self._destinations[environment.id.key] = known
        return known[1]

    def workspaces(self) -> list[Workspace]:
        """All workspaces there are now."""
        return [
            Workspace(str(record.read()["properties"]["customerId"]), record.id.text)
            for record in self._store.records(WORKSPACES)
        ]

    def scope_of(self, resources: tuple[str, ...]) -> Scope:
        """The rows that a log query about these resources sees: of a workspace its rows, of any
        other resource, group or subscription the rows of what lies in it."""
        known = {one.resource_id.lower(): one.customer_id.lower() for one in self.workspaces()}
        ids = [resource.rstrip("/").lower() for resource in resources]
        workspaces = tuple(known[one] for one in ids if one in known)
        return Scope(workspaces=workspaces) if workspaces else Scope(resources=tuple(ids))

    def authorize_query(self, request: web.Request) -> Mapping[str, Any]:
        """Let a Log Analytics query in. Raises ArmError (401)."""
        return authenticate(self._identity, request, LOGS_AUDIENCES)

    def permit_query(self, claims: Mapping[str, Any], scope: Scope) -> None:
        """Refuse a query about what its caller has no role to read.

        Raises:
            QueryError: 403 `InsufficientAccessError`.
        """
        access = self.access
        if access is None:
            return
        known = {one.customer_id.lower(): one.resource_id for one in self.workspaces()}
        who = str(claims.get("oid", ""))
        asked = [(_QUERY, known.get(one.lower(), "")) for one in scope.workspaces or ()]
        asked += [(_READ, one) for one in scope.resources or ()]
        if not all(access.allows(who, action, where) for action, where in asked):
            raise QueryError(
                403,
                {
                    "code": "InsufficientAccessError",
                    "message": "The provided credentials have insufficient access to perform the "
                    "requested operation",
                },
            )

    def authorize_stream(self, request: web.Request) -> object:
        """Let a reader of a job's or an environment's stream in: with the token that its
        `getAuthToken` gave.

        Raises:
            ArmError: 401 for no such token, 403 for one of another resource.
        """
        claims = authenticate(self._identity, request, (LOG_STREAM_AUDIENCE,), own=False)
        names = request.match_info
        kind, name = "jobs", names.get("job", "")
        if not name:
            kind, name = "managedEnvironments", names["environment"]
        wanted = (
            f"/subscriptions/{names['subscription']}/resourceGroups/{names['group']}"
            f"/providers/Microsoft.App/{kind}/{name}"
        ).lower()
        if str(claims.get("resource", "")).lower() != wanted:
            raise ArmError(
                "AuthorizationFailed",
                f"The token does not open the log streams of '{name}'.",
                403,
            )
        return claims


def _destination(environment: dict[str, Any]) -> str | None:
    logs = environment["properties"].get("appLogsConfiguration", {})
    if str(logs.get("destination", "")).lower() != "log-analytics":
        return None
    return str(logs.get("logAnalyticsConfiguration", {}).get("customerId", "")) or None
