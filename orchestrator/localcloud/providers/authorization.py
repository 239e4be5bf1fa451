"""Microsoft.Authorization: role definitions and assignments.

Assignments are kept and listed; that they are obeyed is a later matter. The ids of built-in roles
are Azure's ("Azure built-in roles").
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call, Provider, ResourceType

ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
DEFINITIONS = "Microsoft.Authorization/roleDefinitions"

_BUS = "Microsoft.ServiceBus/namespaces"
BUILT_IN: dict[str, tuple[str, list[str], list[str]]] = {
    # id: (name, actions, data actions)
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": ("Owner", ["*"], []),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": ("Contributor", ["*"], []),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", ["*/read"], []),
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": (
        "AcrPull",
        ["Microsoft.ContainerRegistry/registries/pull/read"],
        [],
    ),
    "8311e382-0749-4cb8-b61a-304f252e45ec": (
        "AcrPush",
        [
            "Microsoft.ContainerRegistry/registries/pull/read",
            "Microsoft.ContainerRegistry/registries/push/write",
        ],
        [],
    ),
    "090c5cfd-751d-490a-894a-3ce6f1109419": (
        "Azure Service Bus Data Owner",
        [f"{_BUS}/*"],
        [f"{_BUS}/*"],
    ),
    "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39": (
        "Azure Service Bus Data Sender",
        [f"{_BUS}/queues/read", f"{_BUS}/topics/read", f"{_BUS}/topics/subscriptions/read"],
        [f"{_BUS}/messages/send/action"],
    ),
    "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0": (
        "Azure Service Bus Data Receiver",
        [f"{_BUS}/queues/read", f"{_BUS}/topics/read", f"{_BUS}/topics/subscriptions/read"],
        [f"{_BUS}/messages/receive/action"],
    ),
    "f1a07417-d97a-45cb-824c-7a7467783830": (
        "Managed Identity Operator",
        [
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
        ],
        [],
    ),
    "73c42c96-874c-492b-b04d-ab87d138a893": (
        "Log Analytics Reader",
        ["*/read", "Microsoft.OperationalInsights/workspaces/analytics/query/action"],
        [],
    ),
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": ("Monitoring Reader", ["*/read"], []),
}


class Authorization(Provider):
    """Microsoft.Authorization."""

    namespace: ClassVar[str] = "Microsoft.Authorization"

    def types(self) -> Iterable[ResourceType]:
        """Role assignments and definitions."""
        return [RoleAssignments(), RoleDefinitions()]


def _built_in(guid: str) -> JSON | None:
    role = BUILT_IN.get(guid.lower())
    if role is None:
        return None
    name, actions, data_actions = role
    return {
        "id": f"/providers/{DEFINITIONS}/{guid.lower()}",
        "name": guid.lower(),
        "type": DEFINITIONS,
        "properties": {
            "roleName": name,
            "type": "BuiltInRole",
            "description": "",
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": actions,
                    "notActions": [],
                    "dataActions": data_actions,
                    "notDataActions": [],
                }
            ],
        },
    }


class RoleDefinitions(ResourceType):
    """Built-in roles at every scope, and custom ones."""

    type: ClassVar[str] = DEFINITIONS
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201

    async def get(self, call: Call) -> JSON | None:
        """A role by its guid, at any scope."""
        found = call.arm.store.get(call.id) or _built_in(call.id.name)
        if found is not None and call.id.scope and found["id"].startswith("/providers"):
            found["id"] = f"/subscriptions/{call.arm.subscription}{found['id']}"
        return found

    async def members(self, call: Call) -> Iterable[JSON]:
        """Built-in roles, then custom ones."""
        prefix = f"/subscriptions/{call.arm.subscription}" if call.id.scope else ""
        roles = [role for guid in BUILT_IN if (role := _built_in(guid))]
        for role in roles:
            role["id"] = prefix + role["id"]
        return [*roles, *call.arm.store.of_type(DEFINITIONS)]

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Built-in roles cannot be changed."""
        if call.id.name.lower() in BUILT_IN:
            raise ArmError(
                "RoleDefinitionCannotBeChanged", "A built-in role cannot be changed.", 403
            )
        resource["properties"].setdefault("type", "CustomRole")
        return resource


class RoleAssignments(ResourceType):
    """Who has which role at which scope."""

    type: ClassVar[str] = ASSIGNMENTS
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check it; the same role is given to the same principal at one scope only once."""
        try:
            uuid.UUID(call.id.name)
        except ValueError:
            raise ArmError(
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{call.id.name}' is not valid. It must be a GUID.",
            ) from None
        properties = resource["properties"]
        for name in ("roleDefinitionId", "principalId"):
            if not isinstance(properties.get(name), str) or not properties[name]:
                raise ArmError(
                    "InvalidCreateRoleAssignmentRequest",
                    f"'properties.{name}' is missing.",
                    target=f"properties.{name}",
                )
        role = parse(properties["roleDefinitionId"])
        known = role.name.lower() in BUILT_IN or any(
            record.id.name.lower() == role.name.lower()
            for record in call.arm.store.records(DEFINITIONS)
        )
        if role.type.lower() != DEFINITIONS.lower() or not known:
            raise ArmError(
                "RoleDefinitionDoesNotExist",
                f"The specified role definition with ID '{role.name}' does not exist.",
                404,
            )
        scope = call.id.scope or "/"
        for other in call.arm.store.of_type(ASSIGNMENTS):
            theirs = other["properties"]
            same = (
                theirs["scope"].lower() == scope.lower()
                and theirs["principalId"].lower() == properties["principalId"].lower()
                and parse(theirs["roleDefinitionId"]).name.lower() == role.name.lower()
            )
            if same and other["name"].lower() != call.id.name.lower():
                raise ArmError(
                    "RoleAssignmentExists",
                    "The role assignment already exists. The ID of the existing role assignment is "
                    f"{other['name'].replace('-', '')}.",
                    409,
                )
        now = iso(call.arm.clock.time())
        before = old["properties"] if old else {}
        properties["scope"] = scope
        properties.setdefault("principalType", before.get("principalType", "ServicePrincipal"))
        properties["createdOn"] = before.get("createdOn", now)
        properties["updatedOn"] = now
        return resource

    async def members(self, call: Call) -> Iterable[JSON]:
        """Assignments at the scope, below it, and inherited from above."""
        scope = (call.id.scope or "").lower()
        found = []
        for item in call.arm.store.of_type(ASSIGNMENTS):
            theirs = item["properties"]["scope"].lower().rstrip("/")
            if (
                theirs == scope
                or theirs.startswith(scope + "/")
                or scope.startswith(theirs + "/")
                or not theirs
            ):
                found.append(item)
        return found
