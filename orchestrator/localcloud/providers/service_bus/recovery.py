"""Geo-disaster recovery and migration of namespaces: asked for properly, refused truly.

Both pair two namespaces, of which one takes over the other's entities, name or place. Here all
namespaces are in one broker, and none of them takes over anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.providers.service_bus.properties import refusal

NAMESPACES = "Microsoft.ServiceBus/namespaces"
_NO_RECOVERY = (
    "Geo-disaster recovery is not available in this local cloud: its namespaces have one place, "
    "and nothing to fail over to. Use the namespace's own name and keys."
)
_NO_MIGRATION = (
    "Migration from Standard to Premium is not available in this local cloud. Create a namespace "
    "of the tier Premium with the same entities."
)


class RecoveryAliases(ResourceType):
    """`disasterRecoveryConfigs`: there are none, and none can be made."""

    type: ClassVar[str] = f"{NAMESPACES}/disasterRecoveryConfigs"

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Refused. Raises ArmError (400)."""
        raise refusal(_NO_RECOVERY)

    def actions(self) -> Mapping[str, Handler]:
        """Those of an alias that was stored before it was refused."""
        return dict.fromkeys(("breakPairing", "failover"), refuse_recovery)


class Migrations(ResourceType):
    """`migrationConfigurations`: there are none, and none can be made."""

    type: ClassVar[str] = f"{NAMESPACES}/migrationConfigurations"

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Refused. Raises ArmError (400)."""
        raise refusal(_NO_MIGRATION)

    def actions(self) -> Mapping[str, Handler]:
        """Those of a migration that was stored before it was refused."""
        return dict.fromkeys(("upgrade", "revert"), _refuse_migration)


async def refuse_recovery(call: Call) -> Answer:
    """A failover. Raises ArmError (400)."""
    raise refusal(_NO_RECOVERY)


async def _refuse_migration(call: Call) -> Answer:
    raise refusal(_NO_MIGRATION)


async def check_alias(call: Call) -> Answer:
    """Whether a name is free for an alias: where there are no aliases, every name of a namespace
    that is not taken is."""
    name = str(call.object().get("name", ""))
    taken = any(
        record.id.name.lower() == name.lower() for record in call.arm.store.records(NAMESPACES)
    )
    if taken:
        message = f"The specified name '{name}' is not available."
        return {"nameAvailable": False, "reason": "NameInUse", "message": message}
    return {"nameAvailable": True, "reason": "None", "message": ""}
