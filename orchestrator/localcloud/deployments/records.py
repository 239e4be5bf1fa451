"""How a deployment and its operations look: what is stored, and what a caller sees of it."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.azure_values.hashes import hash64
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.durations import write_duration
from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown
from orchestrator.localcloud.templates.plan import Instance, Plan

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

DEPLOYMENTS = "Microsoft.Resources/deployments"
OPERATIONS = f"{DEPLOYMENTS}/operations"
PRIVATE = "private"
"""The member of a stored deployment that nobody is shown: the template and what it was given."""

TERMINAL = ("Succeeded", "Failed", "Canceled")


def shown(resource: JSON) -> JSON:
    """A stored thing without its private member."""
    return {name: item for name, item in resource.items() if name != PRIVATE}


def details(deployment: JSON) -> frozenset[str]:
    """What the operations of a deployment keep: `requestContent`, `responseContent`, or neither."""
    debug = deployment["properties"].get("debugSetting") or {}
    return frozenset(word.strip() for word in str(debug.get("detailLevel", "")).split(","))


def template_hash(template: Any) -> str:
    """A number that is the same for the same template."""
    text = json.dumps(template, ensure_ascii=False, separators=(",", ":"))
    return str(hash64(text.encode()))


def reference_to(instance: Instance) -> JSON:
    """A resource in a deployment's `dependencies`."""
    return {"id": instance.id, "resourceType": instance.type, "resourceName": instance.name}


def dependencies(plan: Plan) -> list[JSON]:
    """Which resource waits for which."""
    return [
        {
            "dependsOn": [
                reference_to(plan.instances[key])
                for key in plan.instances
                if key in item.depends and plan.instances[key].condition
            ],
            **reference_to(item),
        }
        for item in plan.instances.values()
        if item.condition and not item.existing and item.depends
    ]


def providers(plan: Plan) -> list[JSON]:
    """The namespaces and types that are deployed, with their locations."""
    found: dict[str, dict[str, set[str]]] = {}
    for item in plan.instances.values():
        if not item.condition or item.existing:
            continue
        namespace, _, rest = item.type.partition("/")
        locations = found.setdefault(namespace, {}).setdefault(rest, set())
        location = item.raw.get("location")
        if isinstance(location, str):
            try:
                value = item.evaluation.resolve(location)
            except (ExpressionError, NotYetKnown):
                continue
            if isinstance(value, str):
                locations.add(value.replace(" ", "").lower())
    return [
        {
            "namespace": namespace,
            "resourceTypes": [
                {"resourceType": name, "locations": sorted(where) or [None]}
                for name, where in types.items()
            ],
        }
        for namespace, types in found.items()
    ]


def operation_id(deployment: ResourceId, what: str) -> str:
    """The same for the same resource of a deployment: 16 hexadecimal digits."""
    return hashlib.sha256(f"{deployment.key}|{what.lower()}".encode()).hexdigest()[:16].upper()


class Ledger:
    """The operations of one deployment, each written before anybody is told of it."""

    def __init__(self, arm: ResourceManager, deployment: ResourceId) -> None:
        self._arm = arm
        self._deployment = deployment
        self.open = True

    def find(self, what: str) -> JSON | None:
        """The operation about a resource (or another thing), where there is one."""
        return self._arm.store.get(self._id(what))

    def _id(self, what: str) -> ResourceId:
        return self._deployment.child("operations", operation_id(self._deployment, what))

    async def begin(self, what: str, provisioning: str, target: JSON | None) -> JSON:
        """An operation that runs."""
        id = self._id(what)
        now = self._arm.clock.time()
        record: JSON = {
            "id": id.text,
            "operationId": id.name,
            "properties": {
                "provisioningOperation": provisioning,
                "provisioningState": "Running",
                "timestamp": iso(now),
                "duration": "PT0S",
                "trackingId": _guid(id.key),
            },
            PRIVATE: {"began": now},
        }
        if target is not None:
            record["properties"]["targetResource"] = target
        await self._write(id, record)
        return record

    async def end(self, record: JSON, status: str, error: ArmError | None = None) -> None:
        """An operation that is over. `status` is the HTTP status as a word: `Created`."""
        now = self._arm.clock.time()
        properties = record["properties"]
        properties["provisioningState"] = "Failed" if error else "Succeeded"
        properties["timestamp"] = iso(now)
        properties["duration"] = write_duration(now - record[PRIVATE]["began"])
        properties["statusCode"] = status
        if error is not None:
            properties["statusMessage"] = {"status": "Failed", "error": error.inner()}
        await self._write(parse(record["id"]), record)

    async def _write(self, id: ResourceId, record: JSON) -> None:
        if self.open:
            await self._arm.store.write(put=[(id, record, secrets.token_hex(8))])


def _guid(text: str) -> str:
    digits = hashlib.sha256(text.encode()).hexdigest()
    return "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


STATUS_WORDS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "NoContent",
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalServerError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    507: "InsufficientStorage",
}


def failure(id: ResourceId, errors: Iterable[ArmError]) -> ArmError:
    """What a deployment ends with when resources failed."""
    return ArmError(
        "DeploymentFailed",
        "At least one resource deployment operation failed. Please list deployment operations for "
        "details. Please see https://aka.ms/arm-deployment-operations for usage details.",
        409,
        target=id.text,
        details=list(errors),
    )
