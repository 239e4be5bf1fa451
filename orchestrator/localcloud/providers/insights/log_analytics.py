"""Microsoft.OperationalInsights: Log Analytics workspaces."""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.entity_tags import WEAK, tagged
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.logs.tables import COLUMNS, column_type

WORKSPACES = "Microsoft.OperationalInsights/workspaces"
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]{2,61}[A-Za-z0-9]")
_KEYS = "sharedKeys"
SKUS = (
    *("PerGB2018", "Free", "Standard", "Premium", "PerNode", "Standalone"),
    *("CapacityReservation", "LACluster"),
)

# New workspaces are offered these; the others are of older agreements.
_OFFERED = ("PerGB2018", "CapacityReservation")


class OperationalInsights(Provider):
    """Microsoft.OperationalInsights."""

    namespace: ClassVar[str] = "Microsoft.OperationalInsights"

    def types(self) -> Iterable[ResourceType]:
        """Workspaces, their tables and saved searches."""
        return [Workspaces(), Tables(), SavedSearches()]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Deleted workspaces that could be recovered."""
        tail = f"providers/{self.namespace}/deletedWorkspaces"
        return {
            ("GET", f"/subscriptions/{{}}/{tail}"): self._deleted,
            ("GET", f"/subscriptions/{{}}/resourceGroups/{{}}/{tail}"): self._deleted,
        }

    async def _deleted(self, call: Call) -> Answer:
        return []  # What is deleted here is gone at once, so that there is none to recover.


class Workspaces(ResourceType):
    """A workspace; its keys are told only by `sharedKeys`."""

    type: ClassVar[str] = WORKSPACES
    read_only: ClassVar[tuple[str, ...]] = (
        *("customerId", "createdDate", "modifiedDate", "sku.lastSkuUpdate"),
        *("workspaceCapping.quotaNextResetTime", "workspaceCapping.dataIngestionStatus"),
    )
    shape: ClassVar[Shape] = {"properties": {"features": {}, "sku": {}, "workspaceCapping": {}}}
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Give it its id and keys."""
        if old is None and not _NAME.fullmatch(call.id.name):
            raise ArmError(
                "InvalidResourceName",
                f"Invalid workspace name '{call.id.name}': 4 to 63 letters, digits and '-', "
                "beginning and ending with a letter or a digit.",
                target="name",
            )
        before = old["properties"] if old else {}
        properties = resource["properties"]
        now = iso(call.arm.clock.time())
        sku = properties.setdefault("sku", before.get("sku", {"name": "PerGB2018"}))
        if isinstance(sku, dict):
            found = next((it for it in SKUS if it.lower() == str(sku.get("name")).lower()), None)
            if found is None:
                raise ArmError(
                    "InvalidParameter",
                    f"The sku '{sku.get('name')}' is not valid: {', '.join(SKUS)} are.",
                    target="properties.sku.name",
                )
            sku |= {"name": found, "lastSkuUpdate": before.get("createdDate") or now}
        if properties.get("retentionInDays") == 0:
            # What Terraform's azurerm provider sends for a retention that is not configured.
            del properties["retentionInDays"]
        days = properties.setdefault("retentionInDays", before.get("retentionInDays", 30))
        if isinstance(days, bool) or not isinstance(days, int) or not (7 <= days <= 730):
            raise ArmError(
                "InvalidParameter",
                f"'retentionInDays' is {days}; 30 to 730 days are possible (7 with the free tier).",
                target="properties.retentionInDays",
            )
        features = properties.setdefault("features", {})
        features.setdefault("legacy", 0)
        features.setdefault("searchVersion", 1)
        features.setdefault("enableLogAccessUsingOnlyResourcePermissions", True)
        capping = before.get("workspaceCapping", {})
        properties["workspaceCapping"] = {
            "dailyQuotaGb": -1.0,
            **properties.get("workspaceCapping", {}),
            "quotaNextResetTime": capping.get("quotaNextResetTime", now),
            "dataIngestionStatus": "RespectQuota",
        }
        properties.setdefault("publicNetworkAccessForIngestion", "Enabled")
        properties.setdefault("publicNetworkAccessForQuery", "Enabled")
        properties["customerId"] = before.get("customerId") or str(uuid.uuid4())
        properties["createdDate"] = before.get("createdDate") or now
        properties["modifiedDate"] = now
        resource[_KEYS] = (old or {}).get(_KEYS) or [_key(), _key()]
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its keys."""
        resource.pop(_KEYS, None)
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Its keys, under both names they have."""
        return {
            "sharedKeys": self._shared_keys,
            "listKeys": self._shared_keys,
            "regenerateSharedKey": self._regenerate,
        }

    def reads(self) -> Mapping[str, Handler]:
        """Lists that are bare arrays, unlike all others."""
        return {"availableServiceTiers": self._tiers, "intelligencePacks": self._packs}

    async def _tiers(self, call: Call) -> Answer:
        workspace = call.arm.store.get(call.id) or {"properties": {}}
        own = str(workspace["properties"].get("sku", {}).get("name", ""))
        return Reply(
            [
                {
                    "serviceTier": name,
                    "enabled": name == own or name in _OFFERED,
                    "minimumRetention": 30,
                    "maximumRetention": 730,
                    "defaultRetention": 30,
                    "capacityReservationLevel": 0,
                }
                for name in dict.fromkeys((*_OFFERED, own))
            ]
        )

    async def _packs(self, call: Call) -> Answer:
        return Reply([])

    async def _shared_keys(self, call: Call) -> Answer:
        resource = call.arm.store.get(call.id)
        if resource is None:
            raise missing(call.id)
        primary, secondary = resource[_KEYS]
        return {"primarySharedKey": primary, "secondarySharedKey": secondary}

    async def _regenerate(self, call: Call) -> Answer:
        def change(resource: JSON) -> None:
            resource[_KEYS] = [_key(), _key()]

        await call.arm.changes.alter(call, change)
        return await self._shared_keys(call)


class Tables(ResourceType):
    """Tables of a workspace; those that Container Apps writes are there from the start."""

    type: ClassVar[str] = f"{WORKSPACES}/tables"

    async def get(self, call: Call) -> JSON | None:
        """A table."""
        stored = call.arm.store.get(call.id)
        if stored is not None:
            return stored
        for name in _TABLES:
            if name.lower() == call.id.name.lower() and call.id.top in call.arm.store:
                return self._table(call, name)
        return None

    async def members(self, call: Call) -> Iterable[JSON]:
        """All tables."""
        stored = call.arm.store.collection(call.id)
        known = {item["name"].lower() for item in stored}
        return [
            *(self._table(call, name) for name in _TABLES if name.lower() not in known),
            *stored,
        ]

    def _table(self, call: Call, name: str) -> JSON:
        parent = call.id.parent
        assert parent is not None
        workspace = call.arm.store.get(parent) or {"properties": {}}
        days = workspace["properties"].get("retentionInDays", 30)
        return {
            "id": parent.child("tables", name).text,
            "name": name,
            "type": self.type,
            "properties": {
                "retentionInDays": days,
                "totalRetentionInDays": days,
                "plan": "Analytics",
                "schema": {
                    "name": name,
                    "tableType": "CustomLog" if name.endswith("_CL") else "Microsoft",
                    "columns": [
                        {"name": column, "type": column_type(column)} for column in COLUMNS[name]
                    ],
                },
                "provisioningState": "Succeeded",
            },
        }


class SavedSearches(ResourceType):
    """Queries that are kept with a workspace."""

    type: ClassVar[str] = f"{WORKSPACES}/savedSearches"
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check that it has a category, a name and a query."""
        properties = resource["properties"]
        for name in ("category", "displayName", "query"):
            if not isinstance(properties.get(name), str) or not properties[name]:
                raise ArmError(
                    "InvalidParameter",
                    f"The saved search '{call.id.name}' needs a '{name}'.",
                    target=f"properties.{name}",
                )
        properties.setdefault("version", 2)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With its entity tag."""
        return tagged(call, resource, WEAK)


_TABLES = ("ContainerAppConsoleLogs_CL", "ContainerAppSystemLogs_CL")


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()
