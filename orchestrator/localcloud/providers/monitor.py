"""Microsoft.OperationalInsights: Log Analytics workspaces."""

from __future__ import annotations

import base64
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)
from orchestrator.localcloud.arm.store import ResourceStore

WORKSPACES = "Microsoft.OperationalInsights/workspaces"
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]{2,61}[A-Za-z0-9]")
_KEYS = "sharedKeys"


class OperationalInsights(Provider):
    """Microsoft.OperationalInsights."""

    namespace: ClassVar[str] = "Microsoft.OperationalInsights"

    def types(self) -> Iterable[ResourceType]:
        """Workspaces."""
        return [Workspaces()]


class Workspaces(ResourceType):
    """A workspace; its keys are told only by `sharedKeys`."""

    type: ClassVar[str] = WORKSPACES
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
        properties.setdefault("sku", {"name": "PerGB2018"})
        properties.setdefault("retentionInDays", 30)
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


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


def workspace_by_customer_id(store: ResourceStore, customer_id: str) -> ResourceId | None:
    """The workspace with this `customerId` (any case); None when there is none."""
    wanted = customer_id.lower()
    for record in store.records(WORKSPACES):
        if str(record.read()["properties"]["customerId"]).lower() == wanted:
            return record.id
    return None
