"""Microsoft.Storage: accounts, as far as Resource Manager knows them: addresses and keys.

Templates of others give jobs a share or a connection string; nothing is stored behind it here.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)
from orchestrator.localcloud.providers.availability import (
    asked_name,
    available,
    is_taken,
    unavailable,
)
from orchestrator.localcloud.providers.storage.services import service_types

ACCOUNTS = "Microsoft.Storage/storageAccounts"
_NAME = re.compile(r"[a-z0-9]{3,24}")
_RULE = (
    "is not a valid storage account name. Storage account name must be between 3 and 24 characters "
    "in length and use numbers and lower-case letters only."
)
_KINDS = ("StorageV2", "Storage", "BlobStorage", "FileStorage", "BlockBlobStorage")
_SERVICES = ("blob", "dfs", "file", "queue", "table", "web")
_KEYS = "accountKeys"
_DEFAULTS: Mapping[str, object] = {
    "accessTier": "Hot",
    "allowBlobPublicAccess": False,
    "minimumTlsVersion": "TLS1_2",
    "supportsHttpsTrafficOnly": True,
}


class Storage(Provider):
    """Microsoft.Storage."""

    namespace: ClassVar[str] = "Microsoft.Storage"

    def types(self) -> Iterable[ResourceType]:
        """Accounts, their services and what lies in these."""
        return [Accounts(), *service_types()]

    def actions(self) -> Mapping[str, Handler]:
        """checkNameAvailability."""
        return {"checkNameAvailability": self._check_name}

    async def _check_name(self, call: Call) -> Answer:
        name = asked_name(call)
        if not _NAME.fullmatch(name):
            return unavailable("AccountNameInvalid", f"{name} {_RULE}")
        if is_taken(call, ACCOUNTS, name):
            message = f"The storage account named {name} is already taken."
            return unavailable("AlreadyExists", message)
        return available()


class Accounts(ResourceType):
    """A storage account."""

    type: ClassVar[str] = ACCOUNTS
    named_in_cloud: ClassVar[bool] = True
    tracked: ClassVar[bool] = True

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check name, sku and kind; fill in what the service fills in."""
        name = call.id.name
        if old is None:
            if not _NAME.fullmatch(name):
                raise ArmError("AccountNameInvalid", f"{name} {_RULE}", target="name")
            if is_taken(call, ACCOUNTS, name):
                raise ArmError(
                    "StorageAccountAlreadyTaken",
                    f"The storage account named {name} is already taken.",
                    409,
                )
        # As before the api-version 2016-01-01, whose accounts are all of the first kind.
        given = resource["properties"].pop("accountType", None)
        if isinstance(given, str) and "sku" not in resource:
            resource["sku"] = {"name": given}
        sku = resource.get("sku") or (old or {}).get("sku")
        if not isinstance(sku, dict) or not isinstance(sku.get("name"), str):
            raise ArmError(
                "InvalidValuesForRequestParameters",
                "Values for request parameters are invalid: sku.",
                target="sku.name",
            )
        tier = sku["name"].partition("_")[0].capitalize()
        resource["sku"] = {"name": sku["name"], "tier": tier}
        # Required by the reference; templates without one are deployed as accounts of this kind.
        kind = resource.get("kind") or (old or {}).get("kind") or "Storage"
        if kind not in _KINDS:
            raise ArmError(
                "InvalidValuesForRequestParameters",
                f"Values for request parameters are invalid: kind. Allowed: {', '.join(_KINDS)}.",
                target="kind",
            )
        resource["kind"] = kind
        properties = resource["properties"]
        for key, value in _DEFAULTS.items():
            properties.setdefault(key, value)
        properties["networkAcls"] = _acls(properties.get("networkAcls"))
        before = (old or {}).get("properties") or {}
        properties["creationTime"] = before.get("creationTime") or iso(call.arm.clock.time())
        properties["primaryEndpoints"] = {
            service: f"https://{name}.{service}.core.windows.net/" for service in _SERVICES
        }
        properties["primaryLocation"] = resource["location"]
        properties["statusOfPrimary"] = "available"
        resource[_KEYS] = (old or {}).get(_KEYS) or [_key(), _key()]
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its keys."""
        resource.pop(_KEYS, None)
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Its keys."""
        return {"listKeys": self._keys, "regenerateKey": self._regenerate}

    async def _keys(self, call: Call) -> Answer:
        resource = call.arm.store.get(call.id)
        if resource is None:
            raise missing(call.id)
        if _KEYS not in resource:
            # It was made before accounts had keys here.
            resource = await call.arm.changes.alter(call, _give_keys)
        if "" < call.query.get("api-version", "") < "2016":
            return {f"key{number}": value for number, value in enumerate(resource[_KEYS], 1)}
        return {
            "keys": [
                {"keyName": f"key{number}", "value": value, "permissions": "FULL"}
                for number, value in enumerate(resource[_KEYS], 1)
            ]
        }

    async def _regenerate(self, call: Call) -> Answer:
        which = str(call.object().get("keyName", "")).lower()
        if which not in ("key1", "key2"):
            raise ArmError("BadRequest", "'keyName' must be key1 or key2.", target="keyName")

        def change(resource: JSON) -> None:
            _give_keys(resource)
            resource[_KEYS][which == "key2"] = _key()

        await call.arm.changes.alter(call, change)
        return await self._keys(call)


def _acls(given: object) -> JSON:
    """The firewall, with what was not said of it."""
    return {
        "bypass": "AzureServices",
        "defaultAction": "Allow",
        "ipRules": [],
        "virtualNetworkRules": [],
        **(given if isinstance(given, dict) else {}),
    }


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def _give_keys(resource: JSON) -> None:
    resource.setdefault(_KEYS, [_key(), _key()])
