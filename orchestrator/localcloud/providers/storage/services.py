"""The services of a storage account, and what Resource Manager knows of what lies in them.

Every account has its services, named `default`, without anybody having made them. Containers,
shares, queues and tables are kept with what the service says of a new one; no data lies in them.
https://learn.microsoft.com/rest/api/storagerp
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from orchestrator.localcloud.arm.entity_tags import tagged
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.arm.shapes import Shape

_ACCOUNTS = "Microsoft.Storage/storageAccounts"
_NO_CORS: Mapping[str, Any] = {"cors": {"corsRules": []}}
_SERVICES: Mapping[str, Mapping[str, Any]] = {
    "blobServices": {
        **_NO_CORS,
        "deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False},
    },
    "fileServices": {
        **_NO_CORS,
        "protocolSettings": {"smb": {}},
        "shareDeleteRetentionPolicy": {"enabled": True, "days": 7},
    },
    "queueServices": _NO_CORS,
    "tableServices": _NO_CORS,
}
_LEASE: Mapping[str, Any] = {"leaseStatus": "Unlocked", "leaseState": "Available"}
_CONTENTS: Mapping[str, Mapping[str, Any]] = {
    "blobServices/containers": {
        **_LEASE,
        "defaultEncryptionScope": "$account-encryption-key",
        "denyEncryptionScopeOverride": False,
        "deleted": False,
        "hasImmutabilityPolicy": False,
        "hasLegalHold": False,
        "publicAccess": "None",
        "remainingRetentionDays": 0,
    },
    "fileServices/shares": {
        **_LEASE,
        "accessTier": "TransactionOptimized",
        "enabledProtocols": "SMB",
        "shareQuota": 5120,
    },
    "queueServices/queues": {},
    "tableServices/tables": {},
}
_DELETE: Mapping[str, int] = {"queues": 204, "tables": 204}
_NAME = re.compile(r"\$?[a-z0-9](?:-?[a-z0-9])*")
_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")


def service_types() -> list[ResourceType]:
    """The four services and what lies in them."""
    made: list[ResourceType] = []
    for name, defaults in _SERVICES.items():
        made.append(_kind(_Service, name, defaults))
    for name, defaults in _CONTENTS.items():
        made.append(_kind(_Content, name, defaults))
    return made


def _kind(base: type[_Service | _Content], name: str, defaults: Mapping[str, Any]) -> ResourceType:
    own = {"type": f"{_ACCOUNTS}/{name}", "standing": defaults, "__doc__": base.__doc__}
    made: ResourceType = type(base.__name__, (base,), own)()
    return made


class _Service(ResourceType):
    """A service of an account: always there, and only ever `default`."""

    type: ClassVar[str] = ""
    shape: ClassVar[Shape] = {"properties": {}}
    provisioning: ClassVar[bool] = False
    tells_system_data: ClassVar[bool] = False
    standing: ClassVar[Mapping[str, Any]] = {}

    async def get(self, call: Call) -> JSON | None:
        """It, as it was set or as it is in a new account."""
        if call.id.name.lower() != "default" or call.id.top not in call.arm.store:
            return None
        stored = call.arm.store.get(call.id)
        if stored is not None:
            return stored
        named = self.type.rpartition("/")[2]
        return {
            "id": call.id.top.child(named, "default").text,
            "name": "default",
            "type": self.type,
            "properties": dict(self.standing),
        }

    async def members(self, call: Call) -> Iterable[JSON]:
        """It alone."""
        one = await self.get(replace(call, id=parse(f"{call.id.text}/default")))
        return [] if one is None else [one]

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Fill in what was not said."""
        if call.id.name.lower() != "default":
            raise ArmError(
                "InvalidResourceName", f"The only service is 'default', not '{call.id.name}'."
            )
        for name, value in self.standing.items():
            resource["properties"].setdefault(name, value)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With the sku of its account."""
        account = call.arm.store.get(call.id.top)
        if account is not None and "sku" in account:
            resource["sku"] = dict(account["sku"])
        return resource


class _Content(ResourceType):
    """A container, a share, a queue or a table."""

    type: ClassVar[str] = ""
    shape: ClassVar[Shape] = {"properties": {}}
    provisioning: ClassVar[bool] = False
    tells_system_data: ClassVar[bool] = False
    create_polled: ClassVar[bool] = False
    standing: ClassVar[Mapping[str, Any]] = {}

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check its name; fill in what the service says of a new one."""
        name, what = call.id.name, call.id.types[-1].lower()
        if old is None:
            _check(name, what)
        properties = resource["properties"]
        for key, value in self.standing.items():
            properties.setdefault(key, value)
        if what == "tables":
            properties["tableName"] = name
        elif what != "queues":
            properties["lastModifiedTime"] = iso(call.arm.clock.time())
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With its tag, where its service shows one."""
        if "lastModifiedTime" in resource["properties"]:
            return tagged(call, resource, '"{}"')
        return resource

    def put_status(self, id: ResourceId, created: bool) -> int:
        """Queues and tables are made with 200 alone."""
        return 201 if created and id.types[-1].lower() not in _DELETE else 200

    def gone_status(self, id: ResourceId) -> int:
        """Queues and tables go with 204 alone."""
        return _DELETE.get(id.types[-1].lower(), 200)


def _check(name: str, what: str) -> None:
    """See to it that a name is one ("Naming and Referencing Containers, Blobs, and Metadata", and
    the same for queues, shares and tables)."""
    right = (
        _TABLE_NAME.fullmatch(name)
        if what == "tables"
        else _NAME.fullmatch(name) and 3 <= len(name) <= 63
    )
    if not right:
        rule = (
            "letters and digits, beginning with a letter"
            if what == "tables"
            else "small letters, digits and single hyphens between them"
        )
        raise ArmError(
            "InvalidResourceName",
            f"The name '{name}' of {what} is invalid: 3 to 63 {rule}.",
            target="name",
        )
