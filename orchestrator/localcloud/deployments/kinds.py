"""The resource types of deployments and of their operations: how they are shown and listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.deployments import records
from orchestrator.localcloud.deployments.records import PRIVATE, shown
from orchestrator.localcloud.deployments.request import parse_body

if TYPE_CHECKING:
    from orchestrator.localcloud.deployments.provider import Deployments


class DeploymentType(ResourceType):
    """A deployment: kept, shown, listed, deleted; made by `Deployments`."""

    type: ClassVar[str] = records.DEPLOYMENTS
    provisioning: ClassVar[bool] = False
    delete_status: ClassVar[int] = 202

    def __init__(self, owner: Deployments) -> None:
        self._owner = owner

    def parse(self, raw: bytes) -> Any:
        """`az` sends template files as they are."""
        return parse_body(raw)

    async def get(self, call: Call) -> JSON | None:
        """The deployment. Raises ArmError in the words of deployments where there is none."""
        found = call.arm.store.get(call.id)
        if found is None:
            raise ArmError(
                "DeploymentNotFound", f"Deployment '{call.id.name}' could not be found.", 404
            )
        return found

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without what only the engine needs."""
        return shown(resource)

    async def members(self, call: Call) -> Iterable[JSON]:
        """The deployments at exactly this scope, the latest first."""
        own = call.id.key + "/"
        found = [
            record.read()
            for record in call.arm.store.records(self.type)
            if record.id.key.startswith(own) and "/" not in record.id.key[len(own) :]
        ]
        return sorted(found, key=lambda item: item["properties"]["timestamp"], reverse=True)

    async def deleting(self, call: Call, resource: JSON) -> None:
        """What runs is stopped, and writes no more."""
        self._owner.abandon(call.id)

    def actions(self) -> Mapping[str, Handler]:
        """Cancel, export, and the outputs that are secret."""
        return {
            "cancel": self._owner.cancel,
            "exportTemplate": self._export,
            "listOutputsWithSecureValues": self._secure_outputs,
        }

    async def _export(self, call: Call) -> Answer:
        template: JSON = stored_deployment(call)[PRIVATE]["template"]
        return {"template": template}

    async def _secure_outputs(self, call: Call) -> Answer:
        resource = stored_deployment(call)
        outputs = resource["properties"].get("outputs", {})
        found = {name: item["value"] for name, item in outputs.items() if "value" in item}
        found.update(resource[PRIVATE].get("secureOutputs", {}))
        return found


class OperationType(ResourceType):
    """What a deployment did: one for each resource, and one for its outputs."""

    type: ClassVar[str] = records.OPERATIONS
    provisioning: ClassVar[bool] = False

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without what only the engine needs."""
        return shown(resource)

    async def members(self, call: Call) -> Iterable[JSON]:
        """The latest first."""
        found = call.arm.store.collection(call.id)
        return sorted(found, key=lambda item: item["properties"]["timestamp"], reverse=True)

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Nobody writes them from outside."""
        raise ArmError("MethodNotAllowed", "The operations of a deployment can only be read.", 405)


def stored_deployment(call: Call) -> JSON:
    record = call.arm.store.get(call.id)
    if record is None:
        raise missing(call.id)
    return record
