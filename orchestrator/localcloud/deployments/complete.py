"""Complete mode: what a resource group holds and its template does not have is deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, group_id, parse
from orchestrator.localcloud.deployments.calls import Client
from orchestrator.localcloud.templates.environment import Scope

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

TRIES = 3
_OWN = "microsoft.resources/"


def beyond(arm: ResourceManager, scope: Scope, kept: Iterable[str]) -> list[ResourceId]:
    """The outermost resources of a group that are not among those to keep."""
    group = group_id(str(scope.subscription), str(scope.group))
    keys = {id.lower() for id in kept}
    tops = {parse(key).top.key for key in keys}
    found = []
    for record in arm.store.inside(group):
        id = record.id
        if len(id.names) != 1 or parse(id.scope).is_resource:
            continue
        if id.type.lower().startswith(_OWN) or id.key in keys or id.key in tops:
            continue
        # What extends the group (locks, role assignments) is not in it.
        if id.namespace and id.namespace.lower() == "microsoft.authorization":
            continue
        found.append(id)
    return sorted(found, key=lambda id: id.key)


async def remove(client: Client, ids: Iterable[ResourceId]) -> list[tuple[ResourceId, ArmError]]:
    """Delete resources; what another still uses is tried again after it. Gives what refused."""
    rest = list(ids)
    for tries in range(TRIES):
        refused: list[tuple[ResourceId, ArmError]] = []
        for id in rest:
            try:
                await client.finish("DELETE", id, None, "")
            except ArmError as error:
                if error.status != 404:
                    refused.append((id, error))
        if not refused or len(refused) == len(rest) or tries == TRIES - 1:
            return refused
        rest = [id for id, _ in refused]
    return []


async def remove_the_rest(
    arm: ResourceManager, client: Client, scope: Scope, kept: Iterable[str]
) -> None:
    """Delete what is beyond the template.

    Raises:
        ArmError: Something cannot be deleted.
    """
    refused = await remove(client, beyond(arm, scope, kept))
    if refused:
        raise ArmError(
            "DeploymentFailed",
            "At least one resource could not be deleted in the mode 'Complete'.",
            409,
            details=[
                ArmError(error.code, error.message, error.status, target=id.text)
                for id, error in refused
            ],
        )
