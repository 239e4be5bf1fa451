"""The world that jobs live in, made by `up`: resource group, log workspace, identity, registry,
Service Bus namespace and queues, roles, environment.

Each step looks first and makes or changes only what is missing or different, so that `up` can be
run again at any time. Nothing is ever deleted here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.azure import Clients
from orchestrator.errors import Conflict
from orchestrator.failures import told
from orchestrator.jobs import IDENTITIES, IDENTITY_VERSION
from orchestrator.queue_body import queue_changes, queue_properties
from orchestrator.results import Change, Changes, FieldChange, Step

if TYPE_CHECKING:
    from orchestrator.settings import QueueSpec, Settings

WORKSPACES = "Microsoft.OperationalInsights/workspaces"
WORKSPACE_VERSION = "2023-09-01"
REGISTRIES = "Microsoft.ContainerRegistry/registries"
REGISTRY_VERSION = "2023-07-01"
NAMESPACES = "Microsoft.ServiceBus/namespaces"
ROLE_VERSION = "2022-04-01"

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
SERVICE_BUS_DATA_OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"

# A role assignment's name is a GUID of one's own choice; made from its contents, `up` finds it
# again and never assigns twice.
_NAMES = uuid.UUID("5d9b1f4e-30c5-4f0d-9a3e-6f2f3d0c8a51")

Progress = Callable[[Step], None]


class World:
    """Makes what one profile needs."""

    def __init__(self, clients: Clients, settings: Settings) -> None:
        self._clients = clients
        self._settings = settings
        self._profile = clients.profile
        self._group = clients.profile.resource_group
        self._location = clients.profile.location or ""
        self._principal = ""
        self._customer = ""

    def steps(self) -> list[tuple[str, Callable[[], Change]]]:
        """(title, what does it) in the order in which they must be done."""
        profile = self._profile
        steps: list[tuple[str, Callable[[], Change]]] = [
            (f"resource group {self._group}", self.resource_group)
        ]
        if profile.workspace:
            steps.append((f"workspace {profile.workspace}", self.workspace))
        if profile.identity:
            steps.append((f"identity {profile.identity}", self.identity))
        if self._registry_name():
            steps.append((f"registry {self._registry_name()}", self.registry))
        if profile.namespace or self._settings.queues:
            namespace = self._clients.names.need("namespace")
            steps.append((f"namespace {namespace}", self.namespace))
            for name, spec in self._settings.queues.items():
                steps.append((f"queue {name}", _queue_step(self, name, spec)))
            if profile.identity:
                steps.append((f"role on {namespace}", self.service_bus_role))
        if self._registry_name() and profile.identity:
            steps.append((f"role on {self._registry_name()}", self.registry_role))
        steps.append((f"environment {profile.environment}", self.environment))
        return steps

    def make(self, progress: Progress | None = None, *, more: int = 0) -> Changes:
        """Do all steps. `more`: how many steps of others follow, for the count."""
        tell = progress or (lambda step: None)
        steps = self.steps()
        total = len(steps) + more
        done: list[Change] = []
        for number, (title, step) in enumerate(steps, 1):
            tell(Step(title=title, number=number, total=total))
            change = step()
            done.append(change)
            tell(Step(title=title, number=number, total=total, change=change))
        return Changes(done)

    # ---------------------------------------------------------------- the steps

    def resource_group(self) -> Change:
        groups = self._clients.resources.resource_groups
        with told(self._profile, f"make the resource group {self._group}"):
            live = self._found(lambda: groups.get(self._group))
            if live is not None:
                self._location = self._location or str(live.location or "")
                return _change("resource group", self._group, "unchanged")
            location = self._clients.names.need("location")
            groups.create_or_update(self._group, {"location": location})
        return _change("resource group", self._group, "created")

    def workspace(self) -> Change:
        name = self._clients.names.need("workspace")
        body = {
            "location": self._location,
            "properties": {"sku": {"name": "PerGB2018"}, "retentionInDays": 30},
        }
        live, action = self._generic(WORKSPACES, name, WORKSPACE_VERSION, body, "workspace")
        self._customer = str((live.get("properties") or {}).get("customerId") or "")
        return _change("workspace", name, action)

    def identity(self) -> Change:
        name = self._clients.names.need("identity")
        body = {"location": self._location}
        live, action = self._generic(IDENTITIES, name, IDENTITY_VERSION, body, "identity")
        self._principal = str((live.get("properties") or {}).get("principalId") or "")
        return _change("identity", name, action)

    def registry(self) -> Change:
        name = self._registry_name()
        if self._registry_elsewhere() is not None:
            return _change("registry", name, "unchanged")
        body = {
            "location": self._location,
            "sku": {"name": "Basic"},
            "properties": {"adminUserEnabled": False},
        }
        _, action = self._generic(REGISTRIES, name, REGISTRY_VERSION, body, "registry")
        return _change("registry", name, action)

    def namespace(self) -> Change:
        name = self._clients.names.need("namespace")
        namespaces = self._clients.service_bus.namespaces
        with told(self._profile, f"make the namespace {name}"):
            if self._found(lambda: namespaces.get(self._group, name)) is not None:
                return _change("namespace", name, "unchanged")
            from azure.mgmt.servicebus.models import SBNamespace

            body = {
                "location": self._location,
                "sku": {"name": "Standard", "tier": "Standard"},
                "properties": {"minimumTlsVersion": "1.2"},
            }
            namespaces.begin_create_or_update(self._group, name, SBNamespace(body)).result()
        return _change("namespace", name, "created")

    def queue(self, name: str, spec: QueueSpec) -> Change:
        from azure.mgmt.servicebus.models import SBQueue

        namespace = self._clients.names.need("namespace")
        queues = self._clients.service_bus.queues
        wanted = queue_properties(spec)
        with told(self._profile, f"make the queue {name}"):
            live = self._found(lambda: queues.get(self._group, namespace, name))
            if live is None:
                queues.create_or_update(
                    self._group, namespace, name, SBQueue({"properties": wanted})
                )
                return _change("queue", name, "created")
            properties = dict(live.as_dict().get("properties") or {})
            fields = queue_changes(name, properties, wanted)
            if not fields:
                return _change("queue", name, "unchanged")
            # PUT replaces the whole: what the settings don't speak of is sent as it is.
            body = SBQueue({"properties": {**_writable(properties), **wanted}})
            queues.create_or_update(self._group, namespace, name, body)
        return Change(name=name, kind="queue", action="updated", fields=fields)

    def service_bus_role(self) -> Change:
        """The jobs send and receive, and the scaler reads the queues' depths."""
        scope = self._clients.resource_id(NAMESPACES, self._clients.names.need("namespace"))
        return self._role(scope, SERVICE_BUS_DATA_OWNER, "Azure Service Bus Data Owner")

    def registry_role(self) -> Change:
        scope = self._registry_elsewhere() or self._clients.resource_id(
            REGISTRIES, self._registry_name()
        )
        return self._role(scope, ACR_PULL, "AcrPull")

    def environment(self) -> Change:
        name = self._clients.names.need("environment")
        environments = self._clients.containers.managed_environments
        with told(self._profile, f"make the environment {name}"):
            live = self._found(lambda: environments.get(self._group, name))
            if live is None:
                from azure.mgmt.appcontainers.models import ManagedEnvironment

                properties: dict[str, Any] = {
                    "workloadProfiles": [
                        {"name": "Consumption", "workloadProfileType": "Consumption"}
                    ]
                }
                if self._profile.workspace:
                    properties["appLogsConfiguration"] = self._wiring()
                body = {"location": self._location, "properties": properties}
                environments.begin_create_or_update(
                    self._group, name, ManagedEnvironment(body)
                ).result()
                return _change("environment", name, "created")
            wired = _wired_to(live.as_dict())
            if not self._profile.workspace or wired == self._customer:
                return _change("environment", name, "unchanged")
            from azure.mgmt.appcontainers.models import ManagedEnvironment

            body = {
                "location": live.location,
                "properties": {"appLogsConfiguration": self._wiring()},
            }
            environments.begin_update(self._group, name, ManagedEnvironment(body)).result()
        field = FieldChange(path="workspace", old=wired or None, new=self._customer)
        return Change(name=name, kind="environment", action="updated", fields=(field,))

    # ---------------------------------------------------------------- what they share

    def _found(self, get: Callable[[], Any]) -> Any | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return get()
        except ResourceNotFoundError:
            return None

    def _generic(
        self, kind: str, name: str, version: str, body: dict[str, Any], noun: str
    ) -> tuple[dict[str, Any], Any]:
        """A resource that no SDK of ours knows more of: found, or made of `body`."""
        from azure.mgmt.resource.resources.models import GenericResource

        resources = self._clients.resources.resources
        resource_id = self._clients.resource_id(kind, name)
        with told(self._profile, f"make the {noun} {name}"):
            live = self._found(lambda: resources.get_by_id(resource_id, api_version=version))
            if live is not None:
                return dict(live.as_dict()), "unchanged"
            resources.begin_create_or_update_by_id(
                resource_id, GenericResource(body), api_version=version
            ).result()
            # What a PUT answers may lack what is made later, such as an identity's ids.
            made = resources.get_by_id(resource_id, api_version=version)
        return dict(made.as_dict()), "created"

    def _role(self, scope: str, role: str, title: str) -> Change:
        from azure.mgmt.resource.resources.models import GenericResource

        resources = self._clients.resources.resources
        name = str(uuid.uuid5(_NAMES, f"{scope}|{self._principal}|{role}".lower()))
        assignment = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        definition = (
            f"/subscriptions/{self._clients.endpoints.subscription}"
            f"/providers/Microsoft.Authorization/roleDefinitions/{role}"
        )
        body = {
            "properties": {
                "roleDefinitionId": definition,
                "principalId": self._principal,
                # Lets the assignment be made before the directory has spread a new identity.
                "principalType": "ServicePrincipal",
            }
        }
        try:
            with told(self._profile, f"give {self._profile.identity} the role {title}"):
                found = self._found(
                    lambda: resources.get_by_id(assignment, api_version=ROLE_VERSION)
                )
                if found is not None:
                    return _change("role", title, "unchanged")
                resources.begin_create_or_update_by_id(
                    assignment, GenericResource(body), api_version=ROLE_VERSION
                ).result()
        except Conflict as error:
            if error.code != "RoleAssignmentExists":  # the same one under another name
                raise
            return _change("role", title, "unchanged")
        return _change("role", title, "created")

    def _wiring(self) -> dict[str, Any]:
        return {
            "destination": "log-analytics",
            "logAnalyticsConfiguration": {
                "customerId": self._customer,
                "sharedKey": self._shared_key(),
            },
        }

    def _shared_key(self) -> str:
        """The key by which the environment writes to the workspace. No SDK here has the action."""
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        workspace = self._clients.names.need("workspace")
        url = f"{self._clients.resource_id(WORKSPACES, workspace)}/sharedKeys"
        request = HttpRequest("POST", url, params={"api-version": "2020-08-01"})
        response = self._clients.resources.send_request(request)
        if response.status_code != 200:
            raise HttpResponseError(response=response)
        return str(response.json().get("primarySharedKey") or "")

    def _registry_name(self) -> str:
        """The registry's own name where it is Azure's, "" for others."""
        name, dot, rest = (self._profile.registry or "").partition(".")
        return name if dot and rest.startswith("azurecr.") else ""

    def _registry_elsewhere(self) -> str | None:
        """The id of the registry when it is in another resource group of the subscription."""
        name = self._registry_name().lower()
        listing = self._clients.resources.resources.list(filter=f"resourceType eq '{REGISTRIES}'")
        with told(self._profile, f"look for the registry {name}"):
            ids = [str(r.id) for r in listing if str(r.name).lower() == name]
        here = f"/resourcegroups/{self._group}/".lower()
        return next((i for i in ids if here not in i.lower()), None)


def _queue_step(world: World, name: str, spec: QueueSpec) -> Callable[[], Change]:
    return lambda: world.queue(name, spec)


def _change(kind: str, name: str, action: Any) -> Change:
    return Change(name=name, kind=kind, action=action)


def _wired_to(environment: Mapping[str, Any]) -> str:
    logs = (environment.get("properties") or {}).get("appLogsConfiguration") or {}
    return str((logs.get("logAnalyticsConfiguration") or {}).get("customerId") or "")


_READ_ONLY = ("countDetails", "createdAt", "updatedAt", "accessedAt", "sizeInBytes", "messageCount")


def _writable(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if key not in _READ_ONLY}
