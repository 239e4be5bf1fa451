"""Microsoft.KeyVault: vaults and their secrets, as far as Resource Manager knows them.

A secret's value is write-only: a template makes it, and a deployment's parameter may refer to it
(`deployments/vault_references.py`); nothing answers at the vault's own address.
"""

from __future__ import annotations

import re
import secrets
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
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.providers.availability import (
    asked_name,
    available,
    is_taken,
    unavailable,
)

VAULTS = "Microsoft.KeyVault/vaults"
_NAME = re.compile(r"[A-Za-z](?!.*--)[-A-Za-z0-9]{1,22}[A-Za-z0-9]")
_SECRET_NAME = re.compile(r"[-A-Za-z0-9]{1,127}")
_DEFAULTS: Mapping[str, object] = {
    "accessPolicies": [],
    "enabledForDeployment": False,
    "enabledForDiskEncryption": False,
    "enabledForTemplateDeployment": False,
    "enableSoftDelete": True,
    "softDeleteRetentionInDays": 90,
    "enableRbacAuthorization": False,
    "publicNetworkAccess": "Enabled",
}


class KeyVault(Provider):
    """Microsoft.KeyVault."""

    namespace: ClassVar[str] = "Microsoft.KeyVault"

    def types(self) -> Iterable[ResourceType]:
        """Vaults and their secrets."""
        return [Vaults(), Secrets()]

    def actions(self) -> Mapping[str, Handler]:
        """checkNameAvailability."""
        return {"checkNameAvailability": self._check_name}

    async def _check_name(self, call: Call) -> Answer:
        name = asked_name(call)
        if not _NAME.fullmatch(name):
            return unavailable(
                "AccountNameInvalid",
                "Vault name must be between 3-24 alphanumeric characters. The name must begin with "
                "a letter, end with a letter or digit, and not contain consecutive hyphens.",
            )
        if is_taken(call, VAULTS, name):
            return unavailable("AlreadyExists", f"The vault name '{name}' is already in use.")
        return available()


class Vaults(ResourceType):
    """A vault."""

    type: ClassVar[str] = VAULTS
    named_in_cloud: ClassVar[bool] = True
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
            if is_taken(call, VAULTS, call.id.name):
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


class Secrets(ResourceType):
    """A secret: a new version with each new value."""

    type: ClassVar[str] = f"{VAULTS}/secrets"
    shape: ClassVar[Shape] = {"properties": {"attributes": {}}}
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check that it has a value; give it its addresses."""
        properties = resource["properties"]
        before = (old or {}).get("properties", {})
        if old is None and not _SECRET_NAME.fullmatch(call.id.name):
            raise ArmError(
                "BadRequest",
                f"The secret name '{call.id.name}' is invalid: 1 to 127 letters, digits and '-'.",
                target="name",
            )
        value = properties.setdefault("value", before.get("value"))
        if not isinstance(value, str):
            raise ArmError(
                "BadRequest",
                f"The secret '{call.id.name}' needs a value, which is a text.",
                target="properties.value",
            )
        vault = call.arm.store.get(call.id.top) or {"properties": {"vaultUri": ""}}
        address = f"{vault['properties']['vaultUri']}secrets/{call.id.name}"
        same = before.get("value") == value
        version = (current_version(old) if old and same else "") or secrets.token_hex(16)
        now = int(call.arm.clock.time())
        known = before.get("attributes") or {}
        attributes = properties.get("attributes") or {}
        properties["attributes"] = {
            "enabled": attributes.get("enabled", True),
            **{name: attributes[name] for name in ("exp", "nbf") if name in attributes},
            "created": known.get("created", now),
            "updated": known.get("updated", now) if same else now,
        }
        properties["secretUri"] = address
        properties["secretUriWithVersion"] = f"{address}/{version}"
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its value."""
        resource["properties"].pop("value", None)
        return resource


def current_version(secret: JSON) -> str:
    """The version of a stored secret's value."""
    address = str(secret["properties"].get("secretUriWithVersion", ""))
    return address.rpartition("/")[2].lower()
