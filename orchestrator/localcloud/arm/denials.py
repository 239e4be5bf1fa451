"""Deny settings of deployment stacks: what they keep from everybody, owners included.

A stack denies deletions (`denyDelete`), or changes too (`denyWriteAndDelete`), of the resources it
has made; with `applyToChildScopes` also of what lies in them. The stack itself may, and so may
`excludedPrincipals`; `excludedActions` are not denied ("Protect managed resources", deployment
stacks). Actions by POST are not denied. What contains a protected resource cannot be deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.access import named, operation
from orchestrator.localcloud.arm.errors import ArmError

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.provider import Call

STACKS = "Microsoft.Resources/deploymentStacks"
DENY_DELETE, DENY_ALL = "denyDelete", "denyWriteAndDelete"
MODES = {mode.lower(): mode for mode in ("none", DENY_DELETE, DENY_ALL)}
_DENIED = {"DELETE": (DENY_DELETE, DENY_ALL), "PUT": (DENY_ALL,), "PATCH": (DENY_ALL,)}


def mode_of(stack: Mapping[str, Any]) -> str:
    """`none`, `denyDelete` or `denyWriteAndDelete`, as `denySettings.mode` of a stack says."""
    settings = stack["properties"].get("denySettings") or {}
    return MODES.get(str(settings.get("mode", "none")).lower(), "none")


def check(call: Call) -> None:
    """Refuse what a stack denies.

    Raises:
        ArmError: 403 `DenyAssignmentAuthorizationFailed`, naming the stack.
    """
    if call.method not in _DENIED:
        return
    records = call.arm.store.records(STACKS)
    if not records:
        return
    action, scope = operation(call.method, call.id)
    for record in records:
        if record.id.key == call.stack:
            continue
        stack = record.read()
        if mode_of(stack) not in _DENIED[call.method]:
            continue
        if (at := _protected(stack, call.method, scope.key)) and not _excluded(stack, call, action):
            raise _denied(call, action, scope.text, at, stack)


def _protected(stack: Mapping[str, Any], method: str, where: str) -> str | None:
    below = bool(stack["properties"]["denySettings"].get("applyToChildScopes"))
    for item in stack["properties"].get("resources", []):
        own = str(item["id"]).lower()
        if (
            where == own
            or (below and where.startswith(own + "/"))
            or (method == "DELETE" and own.startswith(where + "/"))
        ):
            return str(item["id"])
    return None


def mark_of(stack: Mapping[str, Any], at: str) -> uuid.UUID:
    """The guid of the deny assignment that a stack has made for one of its resources."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{stack['id']}{at}".lower())


def name_of(stack: Mapping[str, Any], mark: uuid.UUID) -> str:
    """How such a deny assignment is called."""
    return f"Deny assignment '{mark}' created by Deployment Stack '{stack['id']}'."


def _excluded(stack: Mapping[str, Any], call: Call, action: str) -> bool:
    settings = stack["properties"]["denySettings"]
    who = str(call.claims.get("oid", "")).lower()
    principals = [str(one).lower() for one in settings.get("excludedPrincipals") or ()]
    return who in principals or named(settings.get("excludedActions"), action.lower())


def _denied(call: Call, action: str, scope: str, at: str, stack: Mapping[str, Any]) -> ArmError:
    who = str(call.claims.get("oid", ""))
    mark = mark_of(stack, at)
    return ArmError(
        "DenyAssignmentAuthorizationFailed",
        f"The client '{call.claims.get('appid') or who}' with object id '{who}' has permission to "
        f"perform action '{action}' on scope '{scope}'; however, the access is denied because of "
        f"the deny assignment with name '{name_of(stack, mark)}' and Id '{mark.hex}' at scope "
        f"'{at}'.",
        403,
    )
