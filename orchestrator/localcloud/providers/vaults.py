"""Microsoft.KeyVault: vaults, as far as Resource Manager knows them; no secret is kept or told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)

VAULTS = "Microsoft.KeyVault/vaults"
_NAME = re.compile(r"[A-Za-z](?!.*--)[-A-Za-z0-9]{1,22}[A-Za-z0-9]")
_DEFAULTS: Mapping[str, object] = {
    "accessPolicies": [],
    "enabledForDeployment": False,
    "enableSoftDelete": True,
    "softDeleteRetentionInDays": 90,
    "enableRbacAuthorization": False,
    "publicNetworkAccess": "Enabled",
}


class KeyVault(Provider):
    """Microsoft.KeyVault."""

    namespace: ClassVar[str] = "Microsoft.KeyVault"

    def types(self) -> Iterable[ResourceType]:
        """Vaults."""
        return [Vaults()]

    def actions(self) -> Mapping[str, Handler]:
        """checkNameAvailability."""
        return {"checkNameAvailability": self._check_name}

    async def _check_name(self, call: Call) -> Answer:
        name = str(call.object().get("name", ""))
        if not _NAME.fullmatch(name):
            return {
                "nameAvailable": False,
                "reason": "AccountNameInvalid",
                "message": "Vault name must be between 3-24 alphanumeric characters. The name must "
                "begin with a letter, end with a letter or digit, and not contain consecutive "
                "hyphens.",
            }
        if _taken(call, name):
            return {
                "nameAvailable": False,
                "reason": "AlreadyExists",
                "message": f"The vault name '{name}' is already in use.",
            }
        return {"nameAvailable": True}


class Vaults(ResourceType):
    """A vault."""

    type: ClassVar[str] = VAULTS
    tracked: ClassVar[bool] = True

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check its name, fill in what the service fills in."""
        if old is None:
            if not _NAME.fullmatch(call.id.name):
                raise ArmError(
                    "VaultNameNotValid",
                    f"The vault name '{call.id.name}' is invalid. A vault's name must be between "
                    "3-24 alphanumeric characters. The name must begin with a letter, end with a "
                    "letter or digit, and not contain consecutive hyphens.",
                    target="name",
                )
            if _taken(call, call.id.name):
                raise ArmError(
                    "VaultAlreadyExists",
                    f"The vault name '{call.id.name}' is already in use.",
                    409,
                )
        properties = resource["properties"]
        for key, value in _DEFAULTS.items():
            properties.setdefault(key, value)
        properties.setdefault("tenantId", call.arm.tenant)
        sku = properties.setdefault("sku", {"family": "A", "name": "standard"})
        if str(sku.get("name", "") if isinstance(sku, dict) else "").lower() not in (
            "standard",
            "premium",
        ):
            raise ArmError(
                "BadRequest",
                "'properties.sku.name' must be standard or premium.",
                target="properties.sku.name",
            )
        properties["vaultUri"] = f"https://{call.id.name.lower()}.vault.azure.net/"
        return resource


def _taken(call: Call, name: str) -> bool:
    return any(record.id.name.lower() == name.lower() for record in call.arm.store.records(VAULTS))
