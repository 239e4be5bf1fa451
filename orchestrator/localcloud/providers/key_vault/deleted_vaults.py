"""Key vaults that were deleted: kept until they are recovered or purged, or their time is up.

"Azure Key Vault soft-delete overview": the name stays taken, and it cannot be turned off.
https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Reply, ResourceType
from orchestrator.localcloud.arm.store import ResourceStore

DELETED = "Microsoft.KeyVault/locations/deletedVaults"
_KEPT = "kept"
"""The vault and what lay in it, as stored; shown to nobody."""
_DAY = 86400.0


class DeletedVaults(ResourceType):
    """A vault that was deleted, at its region."""

    type: ClassVar[str] = DELETED
    stored: ClassVar[bool] = False
    provisioning: ClassVar[bool] = False
    tells_system_data: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """One, as long as it can be recovered."""
        found = find(call, call.id.name)
        return found if found is not None and _id(found).key == call.id.key else None

    async def members(self, call: Call) -> Iterable[JSON]:
        """None: they are listed for a subscription as a whole (`everywhere`)."""
        return []

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without what is kept of it."""
        return _shown(resource)

    def actions(self) -> Mapping[str, Handler]:
        """Purging it."""
        return {"purge": self._purge}

    async def _purge(self, call: Call) -> Answer:
        found = await self.get(call)
        if found is None:
            raise missing(call.id)
        if found["properties"].get("purgeProtectionEnabled"):
            # Assumed: the reference names no code.
            raise ArmError(
                "OperationNotAllowed",
                f"The vault '{call.id.name}' is protected from purging until "
                f"{found['properties']['scheduledPurgeDate']}.",
                409,
            )
        await call.arm.store.write(delete=[_id(found)])
        return Reply(None, 200)


async def everywhere(call: Call) -> Answer:
    """`GET /subscriptions/{}/providers/Microsoft.KeyVault/deletedVaults`."""
    return [_shown(item) for item in _all(call)]


def find(call: Call, name: str) -> JSON | None:
    """The deleted vault of that name, as it is stored; None where there is none."""
    return next((item for item in _all(call) if item["name"].lower() == name.lower()), None)


async def keep(call: Call, vault: JSON, inside: list[JSON]) -> None:
    """A vault was deleted, with what lay in it."""
    properties = vault["properties"]
    now = call.arm.clock.time()
    days = properties.get("softDeleteRetentionInDays")
    until = now + (days if isinstance(days, int) else 90) * _DAY
    at = f"/subscriptions/{call.arm.subscription}/providers/Microsoft.KeyVault/locations"
    id = parse(f"{at}/{vault['location']}/deletedVaults/{vault['name']}")
    record = {
        "id": id.text,
        "name": vault["name"],
        "type": "Microsoft.KeyVault/deletedVaults",
        "properties": {
            "vaultId": vault["id"],
            "location": vault["location"],
            "tags": vault.get("tags", {}),
            "deletionDate": iso(now),
            "scheduledPurgeDate": iso(until),
        },
        _KEPT: {"until": until, "vault": vault, "inside": inside},
    }
    if properties.get("enablePurgeProtection") is True:
        record["properties"]["purgeProtectionEnabled"] = True
    await call.arm.store.write(put=[(id, record, secrets.token_hex(8))])


def kept_vault(deleted: JSON) -> JSON:
    """The vault that a deleted one was."""
    vault: JSON = deleted[_KEPT]["vault"]
    return vault


async def recover(call: Call, deleted: JSON) -> None:
    """The vault is there again: so is what lay in it."""
    inside = deleted[_KEPT]["inside"]
    await call.arm.store.write(
        put=[(parse(item["id"]), item, secrets.token_hex(8)) for item in inside],
        delete=[_id(deleted)],
    )


def _all(call: Call) -> list[JSON]:
    store: ResourceStore = call.arm.store
    now = call.arm.clock.time()
    found = [record.read() for record in store.records(DELETED)]
    return [item for item in found if item[_KEPT]["until"] > now]


def _id(deleted: JSON) -> ResourceId:
    return parse(deleted["id"])


def _shown(deleted: JSON) -> JSON:
    return {name: value for name, value in deleted.items() if name != _KEPT}
