"""How many deployments a scope remembers: 800; the oldest go by themselves before that.

Once there are 775, Azure deletes the oldest until 750 are left; a lock on the scope keeps them
all, and then the 801st is refused ("Automatic deletions from deployment history").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.localcloud.arm import locks
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId
from orchestrator.localcloud.arm.provider import Call
from orchestrator.localcloud.deployments.records import DEPLOYMENTS, TERMINAL

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

MOST, FULL, LEFT = 800, 775, 750


def require_room(arm: ResourceManager, id: ResourceId) -> None:
    """See to it that the scope has room for one more deployment.

    Args:
        id: Of the deployment that is asked for.

    Raises:
        ArmError: 409 `DeploymentQuotaExceeded`.
    """
    count = len(_beside(arm, id))
    if id not in arm.store and count >= MOST:
        raise ArmError(
            "DeploymentQuotaExceeded",
            f"Creating the deployment '{id.name}' would exceed the quota of '{MOST}'. The current "
            f"deployment count is '{count}'. Please delete some deployments before creating a new "
            "one, or see https://aka.ms/800LimitFix for information on managing deployment limits.",
            409,
        )


async def clean(arm: ResourceManager, id: ResourceId) -> None:
    """Forget the oldest deployments beside one where there are many, unless a lock keeps them."""
    there = _beside(arm, id)
    if len(there) < FULL:
        return
    ended = []
    for other in there:
        properties = (arm.store.get(other) or {}).get("properties", {})
        if other.key != id.key and properties.get("provisioningState") in TERMINAL:
            ended.append((str(properties.get("timestamp")), other))
    for _, other in sorted(ended, key=lambda item: item[0])[: len(there) - LEFT]:
        call = Call("DELETE", other, arm)
        try:
            locks.check(call)
        except ArmError:
            return
        await arm.changes.delete(call)


def _beside(arm: ResourceManager, id: ResourceId) -> list[ResourceId]:
    """The deployments at the same scope."""
    scope = id.scope.lower()
    return [
        record.id for record in arm.store.records(DEPLOYMENTS) if record.id.scope.lower() == scope
    ]
