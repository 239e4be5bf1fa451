"""What lies in container apps and environments beside what runs: sign-in, source control, routes.

All of it is kept and shown as its models in the REST reference (2026-07-01) have it; nothing signs
anybody in, builds anything or routes here. Secrets are written and never shown.
"""

from __future__ import annotations

from typing import Any, ClassVar

from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.providers.container_apps.app_revisions import APPS
from orchestrator.localcloud.providers.container_apps.environment_parts import ENVIRONMENTS
from orchestrator.localcloud.providers.faults import Faults

_SECRET_PARTS = (
    ("githubPersonalAccessToken",),
    ("registryInfo", "registryPassword"),
    ("azureCredentials", "clientSecret"),
)


class AuthConfigs(ResourceType):
    """How an app signs its users in: secrets are named, and lie in the app."""

    type: ClassVar[str] = f"{APPS}/authConfigs"
    provisioning: ClassVar[bool] = False


class SourceControls(ResourceType):
    """From where an app is built, by GitHub Actions."""

    type: ClassVar[str] = f"{APPS}/sourcecontrols"
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """A repository and a branch; secrets that are not given again stay."""
        faults = Faults()
        properties = resource["properties"]
        for name in ("repoUrl", "branch"):
            faults.text(properties.get(name), f"properties.{name}", required=True)
        path = "properties.githubActionConfiguration"
        new = faults.object(properties.get("githubActionConfiguration"), path)
        before = ((old or {}).get("properties") or {}).get("githubActionConfiguration") or {}
        for *outer, last in _SECRET_PARTS:
            holder, known = _inside(new, outer), _inside(before, outer)
            if holder is not None and known is not None and last in known:
                holder.setdefault(last, known[last])
        faults.raise_any()
        properties["operationState"] = "Succeeded"
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its secrets."""
        shown = resource["properties"].get("githubActionConfiguration")
        for *outer, last in _SECRET_PARTS:
            holder = _inside(shown, outer)
            if holder is not None:
                holder.pop(last, None)
        return resource


def _inside(value: Any, path: list[str]) -> JSON | None:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


class ResiliencyPolicies(ResourceType):
    """What happens to calls to a Dapr component that fail."""

    type: ClassVar[str] = f"{ENVIRONMENTS}/daprComponents/resiliencyPolicies"
    provisioning: ClassVar[bool] = False


class MaintenanceConfigurations(ResourceType):
    """When an environment may be serviced."""

    type: ClassVar[str] = f"{ENVIRONMENTS}/maintenanceConfigurations"
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Entries of a day, an hour and a length each."""
        faults = Faults()
        path = "properties.scheduledEntries"
        entries = resource["properties"].get("scheduledEntries")
        if not entries:
            faults.add(path, f"'{path}' is missing.")
        for at, entry in faults.objects(entries, path):
            faults.text(entry.get("weekDay"), f"{at}.weekDay", required=True)
            for name, most in (("startHourUtc", 23), ("durationHours", 24)):
                if faults.whole(entry, name, at, least=0) > most:
                    faults.add(f"{at}.{name}", f"'{at}.{name}' must be at most {most}.")
        faults.raise_any()
        return resource


class HttpRoutes(ResourceType):
    """Paths of a host name of the environment, and the apps that answer them."""

    type: ClassVar[str] = f"{ENVIRONMENTS}/httpRouteConfigs"
    delete_status: ClassVar[int] = 202

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Its address."""
        parent = call.id.parent
        assert parent is not None
        environment = call.arm.store.get(parse(parent.text)) or {}
        domain = (environment.get("properties") or {}).get("defaultDomain")
        if domain:
            resource["properties"]["fqdn"] = f"{call.id.name}.{domain}"
        return resource
