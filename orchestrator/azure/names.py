"""The names of what the jobs use: the profile's own, else those that its deployment gave.

`orchestrator infra deploy` leaves its outputs in the deployment stack of the resource group. A
profile that names no environment, namespace, identity or registry has them from there, and
`${outputs.…}` in the settings is any output of it. Nothing is read before a name is wanted that the
profile does not give.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.azure.failures import told
from orchestrator.errors import NotFound, PermissionDenied, Problem, ProfileError

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients

STACK = "infra"  # the deployment stack that `infra deploy` makes, and these names are read from

# Key of a profile -> the output that stands for it.
OUTPUTS = {
    "environment": "environmentName",
    "namespace": "serviceBusNamespaceName",
    "identity": "sharedIdentityName",
    "workspace": "workspaceName",
    "registry": "registryLoginServer",
    "location": "location",
}


class Names:
    """The names of one profile's things; safe to use from several threads."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._profile = clients.profile
        self._lock = threading.Lock()
        self._outputs: dict[str, Any] | None = None

    @property
    def environment(self) -> str | None:
        """The Container Apps environment."""
        return self.find("environment")

    @property
    def namespace(self) -> str | None:
        """The Service Bus namespace, without its domain."""
        return self.find("namespace")

    @property
    def identity(self) -> str | None:
        """The identity of the jobs that have none of their own."""
        return self.find("identity")

    @property
    def registry(self) -> str | None:
        """The server put before an image that names none.

        Images of a local cloud come from no registry, so that a local profile has the one that its
        settings name, or none.
        """
        return self._profile.registry if self._profile.kind == "local" else self.find("registry")

    def find(self, key: str) -> str | None:
        """A name, None where neither the profile nor a deployment has one."""
        value = getattr(self._profile, key) or self.outputs.get(OUTPUTS[key])
        return str(value) if value else None

    def need(self, key: str) -> str:
        """A name that must be there for what is being done. Raises ProfileError."""
        value = self.find(key)
        if value is None:
            name = self._profile.name
            raise ProfileError(
                f'The profile "{name}" has no {key}, nothing that it deployed tells one, and this '
                "needs one.",
                f"Make it: orchestrator --profile {name} infra deploy; or name what there is: "
                f"{key} in [profiles.{name}], or ORCHESTRATOR_{key.upper()}.",
                problems=[Problem(f"profiles.{name}.{key}", "it is missing")],
            )
        return value

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs of the profile's deployment by name, {} when there is none."""
        with self._lock:
            if self._outputs is None:
                self._outputs = self._read()
            return self._outputs

    @property
    def identities(self) -> dict[str, tuple[str, str]]:
        """job -> (resource id, client id), of the jobs with an identity of their own."""
        entries = self.outputs.get("identities")
        return {
            str(entry["job"]): (str(entry["id"]), str(entry["clientId"]))
            for entry in (entries if isinstance(entries, list) else ())
            if isinstance(entry, Mapping) and {"job", "id", "clientId"} <= entry.keys()
        }

    def forget(self) -> None:
        """Read the outputs again when they are next wanted: there was a deployment."""
        with self._lock:
            self._outputs = None

    def _read(self) -> dict[str, Any]:
        group = self._profile.resource_group
        try:
            with told(
                self._profile, f"read what was deployed to {group}", lambda r: NotFound(r.message)
            ):
                stack = self._clients.stacks.get_at_resource_group(group, STACK)
        except (NotFound, PermissionDenied):
            # Whoever may not read deployments has all names in the profile, or is told which lacks.
            return {}
        found = plain_outputs(stack.as_dict())
        # A stack whose last deployment failed tells none; what was made before still has its names.
        return found or self._last_good()

    def _last_good(self) -> dict[str, Any]:
        """The outputs of the stack's last deployment that succeeded, {} when none did."""
        group = self._profile.resource_group
        with told(self._profile, f"read what was deployed to {group}"):
            listing = self._clients.deployments.deployments.list_by_resource_group(group)
            every = [deployment.as_dict() for deployment in listing]
        good = [
            one
            for one in every
            # "Deployment stacks": a stack names its deployments after itself.
            if str(one.get("name")).lower().startswith(f"{STACK}-")
            and (one.get("properties") or {}).get("provisioningState") == "Succeeded"
        ]
        newest = max(good, key=lambda one: str(one["properties"].get("timestamp")), default={})
        return plain_outputs(newest)


def plain_outputs(resource: Mapping[str, Any]) -> dict[str, Any]:
    """name -> value, of a deployment or a stack as the service sends it."""
    outputs = (resource.get("properties") or {}).get("outputs") or {}
    return {
        name: output.get("value") for name, output in outputs.items() if isinstance(output, Mapping)
    }
