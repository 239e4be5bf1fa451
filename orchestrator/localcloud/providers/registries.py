"""Microsoft.ContainerRegistry: registries, as far as Resource Manager knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)

REGISTRIES = "Microsoft.ContainerRegistry/registries"
_NAME = re.compile(r"[A-Za-z0-9]{5,50}")


class ContainerRegistry(Provider):
    """Microsoft.ContainerRegistry."""

    namespace: ClassVar[str] = "Microsoft.ContainerRegistry"

    def types(self) -> Iterable[ResourceType]:
        """Registries."""
        return [Registries()]

    def actions(self) -> Mapping[str, Handler]:
        """checkNameAvailability, which `az acr create` asks first."""
        return {"checkNameAvailability": self._check_name}

    async def _check_name(self, call: Call) -> Answer:
        name = str(call.object().get("name", ""))
        if not _NAME.fullmatch(name):
            return {
                "nameAvailable": False,
                "reason": "Invalid",
                "message": "Registry names may contain only alpha numeric characters and must be "
                "between 5 and 50 characters",
            }
        taken = any(
            record.id.name.lower() == name.lower() for record in call.arm.store.records(REGISTRIES)
        )
        if taken:
            return {
                "nameAvailable": False,
                "reason": "AlreadyExists",
                "message": f"The registry {name} is already in use.",
            }
        return {"nameAvailable": True}


class Registries(ResourceType):
    """A registry; no image lies in it yet."""

    type: ClassVar[str] = REGISTRIES
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Give it its login server."""
        if old is None and not _NAME.fullmatch(call.id.name):
            raise ArmError(
                "InvalidResourceName",
                "Registry names may contain only alpha numeric characters and must be between 5 "
                "and 50 characters.",
                target="name",
            )
        before = old["properties"] if old else {}
        properties = resource["properties"]
        resource.setdefault("sku", {"name": "Basic"})
        resource["sku"]["tier"] = resource["sku"].get("name", "Basic")
        properties.setdefault("adminUserEnabled", False)
        properties.setdefault("publicNetworkAccess", "Enabled")
        properties["loginServer"] = f"{call.id.name.lower()}.azurecr.io"
        properties["creationDate"] = before.get("creationDate") or iso(call.arm.clock.time())
        return resource
