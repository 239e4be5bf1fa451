"""A Resource Manager with deployments and stacks, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import JSON, Call, Provider, ResourceType
from orchestrator.localcloud.deployments.provider import Deployments
from orchestrator.localcloud.deployments.stacks import DeploymentStacks
from tests.unit.arm.world import GROUP, SUBSCRIPTION, World, world

DEPLOYMENTS = f"{GROUP}/providers/Microsoft.Resources/deployments"
STACKS = f"{GROUP}/providers/Microsoft.Resources/deploymentStacks"
LAB = f"{GROUP}/providers/Contoso.Lab"


class Machine(ResourceType):
    """A type that fills in defaults, keeps a secret, may break, may need another resource by its
    id, and can be held up."""

    type: ClassVar[str] = "Contoso.Lab/machines"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.puts: list[str] = []
        self.looks = 0

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """`broken`, `wrong` and a missing `needs` refuse; `speed` has a default."""
        if resource["properties"].get("broken"):
            raise ArmError("MachineBroken", "The machine is broken.", 409)
        if resource["properties"].get("wrong"):
            raise ArmError("MachineWrong", "The machine is not valid.")
        if "secret" in resource["properties"].get("wants", ()) and (
            "secret" not in resource["properties"]
        ):
            raise ArmError("SecretMissing", "The machine wants its secret at each write.")
        if (needed := resource["properties"].get("needs")) and parse(needed) not in call.arm.store:
            raise ArmError("InvalidResourceReference", f"Resource {needed} was not found.")
        resource["properties"].setdefault("speed", 5)
        # A property that is the service's, whatever is said.
        resource["properties"]["serial"] = "s-1"
        # As some services do: other values at every look.
        resource["properties"]["seen"] = self.looks = self.looks + 1
        for part in resource["properties"].get("parts", []):
            part["mark"] = part["etag"] = self.looks
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """Wait at the gate."""
        await self.gate.wait()
        self.puts.append(call.id.name)

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without the secret."""
        resource["properties"].pop("secret", None)
        return resource

    def actions(self) -> dict[str, Any]:
        """`listKeys`."""
        return {"listKeys": self._keys}

    async def _keys(self, call: Call) -> JSON:
        return {"key": f"key-of-{call.id.name}"}


class Lab(Provider):
    """Contoso.Lab."""

    namespace: ClassVar[str] = "Contoso.Lab"

    def __init__(self) -> None:
        self.machine = Machine()

    def types(self) -> list[ResourceType]:
        """Machines."""
        return [self.machine]


class Deploying:
    """Deploys templates as a client would."""

    def __init__(self, world: World, lab: Lab) -> None:
        self.world = world
        self.lab = lab

    async def begin(self, name: str, template: JSON, **options: Any) -> JSON:
        """PUT; the answer's body."""
        at = options.pop("at", DEPLOYMENTS)
        location = options.pop("location", None)
        parameters = {k: {"value": v} for k, v in options.pop("parameters", {}).items()}
        body: JSON = {"properties": {"mode": "Incremental", "template": template, **options}}
        body["properties"]["parameters"] = parameters
        if location:
            body["location"] = location
        return (await self.world.ask("PUT", f"{at}/{name}", body)).body

    async def ended(self, path: str) -> JSON:
        """The deployment or stack, once it has ended."""
        for _ in range(2000):
            found: JSON = await self.world.get(path)
            if found["properties"]["provisioningState"].lower() in (
                "succeeded",
                "failed",
                "canceled",
            ):
                return found["properties"]
            await asyncio.sleep(0.005)
        raise AssertionError(f"{path} does not end")

    async def run(self, name: str, template: JSON, **options: Any) -> JSON:
        """PUT and wait; the deployment's properties."""
        at = options.get("at", DEPLOYMENTS)
        await self.begin(name, template, **options)
        return await self.ended(f"{at}/{name}")

    async def what_if(self, template: JSON, **options: Any) -> list[JSON]:
        """The changes that are predicted."""
        body = {"properties": {"mode": "Incremental", "template": template, **options}}
        reply = await self.world.ask("POST", f"{DEPLOYMENTS}/w/whatIf", body)
        path = reply.headers["Location"].removeprefix("https://here")
        changes: list[JSON] = (await self.world.get(path))["properties"]["changes"]
        return changes


@asynccontextmanager
async def deploying(folder: Path, *providers: Provider) -> AsyncIterator[Deploying]:
    """A world with the group `g`, and with `providers` beside the usual ones."""
    lab = Lab()
    async with world(folder, Deployments(), DeploymentStacks(), lab, *providers) as made:
        await made.group()
        yield Deploying(made, lab)


def machine(name: str, **properties: Any) -> JSON:
    """A machine of a template."""
    members = {k: properties.pop(k) for k in ("dependsOn", "condition") if k in properties}
    return {
        "type": "Contoso.Lab/machines",
        "apiVersion": "2024-01-01",
        "name": name,
        "properties": properties,
        **members,
    }


SUBSCRIPTION_SCHEMA = (
    "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#"
)


ID_OF_A = {"id": {"type": "string", "value": "[resourceId('Contoso.Lab/machines', 'a')]"}}


def module(name: str, inner: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A nested deployment as Bicep writes modules."""
    parameters = members.pop("parameters", {})
    return {
        "type": "Microsoft.Resources/deployments",
        "apiVersion": "2024-03-01",
        "name": name,
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "parameters": parameters,
            "template": inner,
        },
        **members,
    }


__all__ = ["GROUP", "SUBSCRIPTION", "deploying", "machine", "module"]
