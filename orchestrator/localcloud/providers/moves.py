"""Moving resources to another group: asked for properly, refused truly.

None of the resource types here keeps what it does under another id: a job's executions, a
namespace's messages, an identity's tokens all hang on it. Container Apps jobs cannot be moved on
Azure either ("Move operation support for resources").
"""

from __future__ import annotations

from orchestrator.localcloud.arm.errors import ArmError, group_not_found
from orchestrator.localcloud.arm.ids import group_id, missing, parse
from orchestrator.localcloud.arm.provider import Answer, Call


async def refuse_move(call: Call) -> Answer:
    """`moveResources` and `validateMoveResources`.

    Raises:
        ArmError: 404 for a group or a resource that is not there, 400 for a bad request, else 409.
    """
    store, body = call.arm.store, call.object()
    source = group_id(call.arm.subscription, str(call.id.group))
    if source not in store:
        raise group_not_found(str(call.id.group))
    named, target = body.get("resources"), body.get("targetResourceGroup")
    if not isinstance(named, list) or not named or not all(isinstance(it, str) for it in named):
        raise ArmError(
            "InvalidRequestContent",
            "'resources' must be the ids of the resources to move.",
            target="resources",
        )
    if not isinstance(target, str) or not target:
        raise ArmError(
            "InvalidRequestContent",
            "'targetResourceGroup' must be the id of a resource group.",
            target="targetResourceGroup",
        )
    place = parse(target)
    if place.group is None or place not in store:
        raise group_not_found(str(place.group or target))
    if place.key == source.key:
        raise ArmError(
            "InvalidResourceMoveRequest",
            "The source and the target resource group must not be the same.",
        )
    types = set()
    for name in named:
        record = store.record(parse(name))
        if record is None:
            raise missing(parse(name))
        if not record.id.key.startswith(source.key + "/"):
            raise ArmError(
                "InvalidResourceMoveRequest",
                f"The resource '{name}' does not lie in the resource group '{call.id.group}'.",
            )
        types.add(str(record.read()["type"]))
    raise ArmError(
        "ResourceMoveNotSupported",
        f"Resource move is not supported for resource types '{','.join(sorted(types))}'.",
        409,
    )
