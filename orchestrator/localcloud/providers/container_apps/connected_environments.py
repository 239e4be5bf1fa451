"""`Microsoft.App/connectedEnvironments`: environments on a Kubernetes of one's own, by Azure Arc.

Kept and shown with what is in them, which is as in a managed environment; no cluster is behind them
and nothing runs there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.provider import JSON, Call, Handler, ResourceType
from orchestrator.localcloud.providers.container_apps.environment_parts import (
    Storages,
    check_certificate_name,
)
from orchestrator.localcloud.providers.container_apps.environment_secrets import (
    Certificates,
    DaprComponents,
    keep_secrets,
    withhold_secrets,
)
from orchestrator.localcloud.providers.spelling import respell

CONNECTED = "Microsoft.App/connectedEnvironments"


class ConnectedEnvironments(ResourceType):
    """An environment; its secrets are write-only."""

    type: ClassVar[str] = CONNECTED
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201
    delete_status: ClassVar[int] = 202

    def parse(self, raw: bytes) -> Any:
        """The body, its names in the API's spelling."""
        return respell(super().parse(raw))

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Its domain, which is its own custom one where it has one."""
        properties = resource["properties"]
        keep_secrets(properties, (old or {}).get("properties") or {})
        custom = properties.get("customDomainConfiguration")
        suffix = custom.get("dnsSuffix") if isinstance(custom, dict) else None
        region = f"{call.id.name.lower()}.{resource['location']}.k4apps.io"
        properties["defaultDomain"] = suffix or region
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its secrets."""
        withhold_secrets(resource["properties"])
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Whether a certificate's name is free."""
        return {"checkNameAvailability": check_certificate_name}


class ConnectedStorages(Storages):
    """File shares that it may mount."""

    type: ClassVar[str] = f"{CONNECTED}/storages"
    delete_status: ClassVar[int] = 202


class ConnectedCertificates(Certificates):
    """Certificates that were uploaded to it."""

    type: ClassVar[str] = f"{CONNECTED}/certificates"
    delete_status: ClassVar[int] = 202


class ConnectedDaprComponents(DaprComponents):
    """Its Dapr components; the values of their secrets are told by `listSecrets`."""

    type: ClassVar[str] = f"{CONNECTED}/daprComponents"
    delete_status: ClassVar[int] = 202
