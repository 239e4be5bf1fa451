"""The `identity` block that any resource may carry.

System-assigned: the resource gets a principal of its own, kept for as long as it has the block.
User-assigned: each named identity must exist; its client and principal id are filled in (ARM RPC,
"managed identity").
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.store import ResourceStore

USER_ASSIGNED = "microsoft.managedidentity/userassignedidentities"
_KINDS = {"none": "None", "systemassigned": "SystemAssigned", "userassigned": "UserAssigned"}


def assign(
    resource: dict[str, Any], old: dict[str, Any] | None, store: ResourceStore, tenant: str
) -> None:
    """Check `resource["identity"]` and fill in its read-only ids.

    Raises:
        ArmError: 400 for an unknown type or an identity that does not exist.
    """
    block = resource["identity"]
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise ArmError(
            "InvalidIdentityType",
            "'identity' must be an object with a 'type': None, SystemAssigned, UserAssigned or "
            "'SystemAssigned, UserAssigned'.",
            target="identity",
        )
    words = [word.strip().lower() for word in block["type"].split(",")]
    if not all(word in _KINDS for word in words) or ("none" in words and len(words) > 1):
        raise ArmError(
            "InvalidIdentityType",
            f"'{block['type']}' is no identity type: None, SystemAssigned, UserAssigned or "
            "'SystemAssigned, UserAssigned' are.",
            target="identity.type",
        )
    kinds = [_KINDS[word] for word in ("systemassigned", "userassigned", "none") if word in words]
    result: dict[str, Any] = {"type": ", ".join(kinds)}
    if "SystemAssigned" in kinds:
        before = (old or {}).get("identity", {})
        result["principalId"] = before.get("principalId") or str(uuid.uuid4())
        result["tenantId"] = tenant
    if "UserAssigned" in kinds:
        named = block.get("userAssignedIdentities", {})
        if isinstance(named, list):
            named = {name: {} for name in named}
        if not isinstance(named, dict) or not named:
            raise ArmError(
                "InvalidUserAssignedIdentities",
                "The identity type UserAssigned needs 'userAssignedIdentities': at least one "
                "resource id of an identity.",
                target="identity.userAssignedIdentities",
            )
        result["userAssignedIdentities"] = dict(_assigned(str(name), store) for name in named)
    resource["identity"] = result


def _assigned(name: str, store: ResourceStore) -> tuple[str, dict[str, str]]:
    """An identity's own spelling of its resource id, and its ids."""
    id = parse(name)
    found = store.get(id) if id.type.lower() == USER_ASSIGNED else None
    if found is None:
        raise ArmError(
            "FailedIdentityOperation",
            f"The user-assigned identity '{name}' was not found. Create it first, or correct the "
            "resource id.",
            400,
            target="identity.userAssignedIdentities",
        )
    properties = found["properties"]
    ids = {"principalId": properties["principalId"], "clientId": properties["clientId"]}
    return found["id"], ids
