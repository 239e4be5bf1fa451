"""`onErrorDeployment`: which earlier deployment is run again when one fails.

Only root deployments to a resource group may ask for it, the earlier one must have succeeded, and
it runs again with its own template and parameters, but in the mode Complete ("Rollback on error to
successful deployment"). Azure finds the last successful one when the new one is accepted, and shows
its name. Two things are not documented and assumed: that the earlier deployment runs again under
its own name, and the code of a refusal where there is none to go back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, resource_id
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.deployments import records
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_LAST, _NAMED = "LastSuccessful", "SpecificDeployment"
_TARGET = "properties.onErrorDeployment"


def on_error(arm: ResourceManager, id: ResourceId, body: Any) -> JSON | None:
    """`onErrorDeployment` of a request with the name of the deployment to go back to.

    Args:
        arm: Has the deployments.
        id: Of the deployment that is asked for.
        body: The request, which was read before.

    Raises:
        ArmError: 400; it is of another form, or there is nothing to go back to.
    """
    given = member(member(body, "properties"), "onErrorDeployment")
    if given is None:
        return None
    if id.group is None:
        raise _refused("is for deployments to a resource group only")
    kind = str(member(given, "type") or "").lower() if isinstance(given, dict) else ""
    name = member(given, "deploymentName") if isinstance(given, dict) else None
    if kind == _NAMED.lower():
        if not isinstance(name, str) or not name:
            raise _refused(f"of the type '{_NAMED}' needs a 'deploymentName'")
        return {"type": _NAMED, "deploymentName": _succeeded(arm, id, name)}
    if kind != _LAST.lower():
        raise _refused(f"needs the 'type' '{_LAST}' or '{_NAMED}'")
    if name is not None:
        raise _refused(f"of the type '{_LAST}' takes no 'deploymentName'")
    return {"type": _LAST, "deploymentName": _last(arm, id)}


def only_at_the_root(body: JSON) -> None:
    """A nested deployment goes back to nothing. Raises ArmError where it asks for it."""
    if member(member(body, "properties"), "onErrorDeployment") is not None:
        raise _refused("is for root deployments only, not for nested ones")


def earlier(id: ResourceId, chosen: JSON) -> ResourceId:
    """The id of the deployment that `on_error` has found for another one."""
    return resource_id(id.scope, records.DEPLOYMENTS, chosen["deploymentName"])


def _refused(what: str) -> ArmError:
    return ArmError("InvalidOnErrorDeployment", f"'onErrorDeployment' {what}.", target=_TARGET)


def _beside(arm: ResourceManager, id: ResourceId) -> list[JSON]:
    """The root deployments to the same group that have succeeded, without this one."""
    nested = {
        str(target.get("id", "")).lower()
        for record in arm.store.records(records.OPERATIONS)
        if (target := record.read()["properties"].get("targetResource"))
    }
    nested.add(id.key)
    return [
        found
        for record in arm.store.records(records.DEPLOYMENTS)
        if record.id.scope.lower() == id.scope.lower()
        and record.id.key not in nested
        and (found := record.read())["properties"]["provisioningState"] == "Succeeded"
    ]


def _succeeded(arm: ResourceManager, id: ResourceId, name: str) -> str:
    for found in _beside(arm, id):
        if found["name"].lower() == name.lower():
            return str(found["name"])
    raise _refused(
        f"names the deployment '{name}', which is none that has succeeded: it must be another root "
        f"deployment to the resource group '{id.group}'"
    )


def _last(arm: ResourceManager, id: ResourceId) -> str:
    found = _beside(arm, id)
    if not found:
        raise _refused(f"finds no deployment to the resource group '{id.group}' that has succeeded")
    return str(max(found, key=lambda item: item["properties"]["timestamp"])["name"])
