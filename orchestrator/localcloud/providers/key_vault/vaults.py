"""Microsoft.KeyVault: vaults and their secrets, as far as Resource Manager knows them.

A secret's value is write-only: a template makes it, and a deployment's parameter may refer to it
(`deployments/vault_references.py`); nothing answers at the vault's own address.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing, parse
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
from orchestrator.localcloud.providers.key_vault import deleted_vaults

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
        """Vaults, their secrets, changes of their access policies, and deleted vaults."""
        return [Vaults(), Secrets(), AccessPolicies(), deleted_vaults.DeletedVaults()]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """All deleted vaults."""
        path = "/subscriptions/{}/providers/Microsoft.KeyVault/deletedVaults"
        return {("GET", path): deleted_vaults.everywhere}

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
        if deleted_vaults.find(call, name) is not None:
            return unavailable("AlreadyExists", f"{_IN_THE_WAY} ('{name}')")
        return available()


class Vaults(ResourceType):
    """A vault."""

    type: ClassVar[str] = VAULTS
    named_in_cloud: ClassVar[bool] = True
    tracked: ClassVar[bool] = True

    def __init__(self) -> None:
        self._inside: dict[str, list[JSON]] = {}

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check its name, fill in what the service fills in; recover it where that is asked for."""
        mode = str(resource["properties"].pop("createMode", "default"))
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
            _recover(call, resource, wanted=mode.lower() == "recover")
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

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """What lay in a recovered vault is there again."""
        deleted = deleted_vaults.find(call, call.id.name) if old is None else None
        if deleted is not None:
            await deleted_vaults.recover(call, deleted)

    async def deleting(self, call: Call, resource: JSON) -> None:
        """Remember what lies in it, which goes with it."""
        inside = call.arm.store.inside(call.id)
        self._inside[call.id.key] = [item.read() for item in inside]

    async def deleted(self, call: Call, resource: JSON) -> None:
        """Keep it until it is recovered or purged."""
        await deleted_vaults.keep(call, resource, self._inside.pop(call.id.key, []))


_IN_THE_WAY = (
    "A vault with the same name already exists in deleted state. You need to either recover or "
    "purge existing key vault."
)


def _recover(call: Call, resource: JSON, *, wanted: bool) -> None:
    """Take what a deleted vault was. Raises ArmError: it is in the way, or there is none."""
    deleted = deleted_vaults.find(call, call.id.name)
    if not wanted:
        if deleted is not None:
            raise ArmError("ConflictError", _IN_THE_WAY, 409)
        return
    before = None if deleted is None else deleted_vaults.kept_vault(deleted)
    if before is None or parse(before["id"]).key != call.id.key:
        raise ArmError(
            "VaultNotFound",
            f"There is no deleted vault '{call.id.text}' that could be recovered.",
            404,
        )
    resource["properties"] = dict(before["properties"])
    resource["location"] = before["location"]
    resource["tags"] = before.get("tags", {})


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


class AccessPolicies(ResourceType):
    """`accessPolicies/add`, `/replace` and `/remove`: what a vault's own policies are changed by.

    "Vaults - Update Access Policy". The change is kept under its name, so that a deployment finds
    again what it has made; what holds is what stands in the vault.
    """

    type: ClassVar[str] = f"{VAULTS}/accessPolicies"
    shape: ClassVar[Shape] = {"properties": {}}
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check the operation and its policies."""
        if call.id.name.lower() not in _CHANGES:
            raise ArmError(
                "BadRequest",
                f"'{call.id.name}' is no change of access policies: {', '.join(_CHANGES)} are.",
            )
        policies = resource["properties"].get("accessPolicies")
        if not isinstance(policies, list) or not all(_is_policy(policy) for policy in policies):
            raise ArmError(
                "BadRequest",
                "'properties.accessPolicies' must be a list of objects with 'objectId', 'tenantId' "
                "and 'permissions'.",
                target="properties.accessPolicies",
            )
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """Change the vault; whoever keeps this holds the turn to."""
        vault = call.arm.store.get(call.id.top)
        if vault is None:
            raise missing(call.id.top)
        properties = vault["properties"]
        properties["accessPolicies"] = _changed(
            properties.get("accessPolicies") or [],
            resource["properties"]["accessPolicies"],
            call.id.name.lower(),
        )
        await call.arm.store.write(put=[(call.id.top, vault, secrets.token_hex(8))])


_CHANGES = ("add", "replace", "remove")
_KINDS = ("certificates", "keys", "secrets", "storage")


def _is_policy(policy: Any) -> bool:
    return (
        isinstance(policy, dict)
        and all(isinstance(policy.get(name), str) for name in ("objectId", "tenantId"))
        and isinstance(policy.get("permissions"), dict)
    )


def _whose(policy: Any) -> tuple[str, ...]:
    names = ("tenantId", "objectId", "applicationId")
    return tuple(str(policy.get(name, "")).lower() for name in names)


def _changed(policies: list[Any], given: list[JSON], change: str) -> list[Any]:
    """The policies of a vault after a change; who has no permission left has no policy."""
    found = {_whose(policy): policy for policy in policies if isinstance(policy, dict)}
    for policy in given:
        known = found.get(_whose(policy))
        permissions = policy["permissions"]
        if known is not None and change != "replace":
            permissions = {
                kind: _joined(known["permissions"].get(kind), permissions.get(kind), change)
                for kind in _KINDS
                if kind in known["permissions"] or kind in permissions
            }
        elif change == "remove":
            continue
        found[_whose(policy)] = {**(known or policy), "permissions": permissions}
        if change == "remove" and not any(permissions.values()):
            del found[_whose(policy)]
    return list(found.values())


def _joined(known: Any, given: Any, change: str) -> list[Any]:
    """Permissions in any case, each once; removed ones are away, `all` takes all."""
    before = known if isinstance(known, list) else []
    asked = given if isinstance(given, list) else []
    names = {str(name).lower() for name in asked}
    if change == "remove":
        return [] if "all" in names else [n for n in before if str(n).lower() not in names]
    had = {str(name).lower() for name in before}
    return [*before, *(name for name in asked if str(name).lower() not in had)]
