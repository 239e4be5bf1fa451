"""Microsoft.Authorization: what nobody can write here, told in words.

Deny assignments are made by Azure alone, here by deployment stacks ("Understand Azure deny
assignments"). Roles that somebody may ask for, or has for a while (Privileged Identity Management),
need a licence that this tenant does not have, and the service says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from orchestrator.localcloud.arm import denials
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType

_NAMESPACE = "Microsoft.Authorization"
PRIVILEGED = (
    *("roleEligibilityScheduleRequests", "roleEligibilitySchedules"),
    *("roleEligibilityScheduleInstances", "roleAssignmentScheduleRequests"),
    *("roleAssignmentSchedules", "roleAssignmentScheduleInstances"),
    *("roleManagementPolicies", "roleManagementPolicyAssignments"),
)


class _Licensed(ResourceType):
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Nobody can write it. Raises ArmError."""
        raise ArmError(
            "AadPremiumLicenseRequired",
            "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance "
            "license.",
        )


def licensed(name: str) -> ResourceType:
    """A type that needs a licence: its lists are empty, and nobody can write to it."""
    made: ResourceType = type(name, (_Licensed,), {"type": f"{_NAMESPACE}/{name}"})()
    return made


class DenyAssignments(ResourceType):
    """What the deny settings of deployment stacks keep from others, resource by resource."""

    type: ClassVar[str] = f"{_NAMESPACE}/denyAssignments"
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """One, by its guid."""
        wanted = call.id.name.lower()
        return next((it for it in _all(call) if it["name"].lower() == wanted), None)

    async def members(self, call: Call) -> Iterable[JSON]:
        """Those at the scope, above and below it."""
        where = f"{call.id.scope.lower()}/"
        return [
            item
            for item in _all(call)
            if (at := f"{item['properties']['scope'].lower()}/").startswith(where)
            or where.startswith(at)
        ]

    def for_filter(self, resource: JSON) -> JSON:
        """By what is among its properties, too."""
        return {**resource, **resource["properties"]}


def _all(call: Call) -> Iterator[JSON]:
    for record in call.arm.store.records(denials.STACKS):
        stack = record.read()
        if denials.mode_of(stack) == "none":
            continue
        settings = stack["properties"]["denySettings"]
        actions = ["*/delete"]
        if denials.mode_of(stack) == denials.DENY_ALL:
            actions = ["*/write", "*/delete"]
        for item in stack["properties"].get("resources", []):
            mark = denials.mark_of(stack, item["id"])
            yield {
                "id": f"{item['id']}/providers/{DenyAssignments.type}/{mark}",
                "name": str(mark),
                "type": DenyAssignments.type,
                "properties": {
                    "denyAssignmentName": denials.name_of(stack, mark),
                    "description": "",
                    "permissions": [
                        {
                            "actions": actions,
                            "notActions": settings.get("excludedActions") or [],
                            "dataActions": [],
                            "notDataActions": [],
                        }
                    ],
                    "scope": parse(item["id"]).text,
                    "doNotApplyToChildScopes": not settings.get("applyToChildScopes"),
                    "principals": [
                        {
                            "id": "00000000-0000-0000-0000-000000000000",
                            "type": "SystemDefined",
                            "displayName": "All Principals",
                        }
                    ],
                    "excludePrincipals": [
                        {"id": one} for one in settings.get("excludedPrincipals") or ()
                    ],
                    "isSystemProtected": True,
                },
            }
