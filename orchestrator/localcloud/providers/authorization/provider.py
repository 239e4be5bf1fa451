"""Microsoft.Authorization: role definitions and assignments, locks.

Assignments are always kept and checked; whether they are obeyed is the local cloud's `rbac` setting
(`arm/access.py`). Locks are always obeyed (`arm/locks.py`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.access import ASSIGNMENTS, DEFINITIONS, EVERYTHING, PERMISSIONS
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.locks import LOCKS
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call, Handler, Provider, ResourceType
from orchestrator.localcloud.providers.authorization.provider_operations import operation_routes
from orchestrator.localcloud.providers.authorization.roles import BUILT_IN
from orchestrator.localcloud.providers.authorization.unassignable import (
    PRIVILEGED,
    DenyAssignments,
    licensed,
)

PrincipalType = Callable[[str], str | None]
"""Object id -> `User` or `ServicePrincipal`; None when the directory does not have it."""

PRINCIPAL_TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
LOCK_LEVELS = ("CanNotDelete", "ReadOnly", "NotSpecified")
_LOCK_NAME = re.compile(r"[^<>%&:?/\\]{1,260}")


class Authorization(Provider):
    """Microsoft.Authorization; `principals` is asked whom an assignment is for."""

    namespace: ClassVar[str] = "Microsoft.Authorization"

    def __init__(self, principals: PrincipalType = lambda object_id: "ServicePrincipal") -> None:
        self._principals = principals

    def types(self) -> Iterable[ResourceType]:
        """Role assignments and definitions, permissions, locks; what is not to be had."""
        return [
            RoleAssignments(self._principals),
            RoleDefinitions(),
            Permissions(),
            Locks(),
            DenyAssignments(),
            *(licensed(name) for name in PRIVILEGED),
        ]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """What roles may allow, of each provider."""
        return operation_routes()


def built_in(guid: str) -> JSON | None:
    """The definition of a built-in role; None for any other guid."""
    role = BUILT_IN.get(guid.lower())
    return None if role is None else role.resource()


class RoleDefinitions(ResourceType):
    """Built-in roles at every scope, and custom ones."""

    type: ClassVar[str] = DEFINITIONS
    # Azure gives all of them at once, and scripts look for a name in what they get.
    page_size: ClassVar[int] = 5000
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False
    delete_shows: ClassVar[bool] = True

    def put_status(self, id: ResourceId, created: bool) -> int:
        """201 for a change as well ("Role Definitions - Create Or Update", Responses)."""
        return 201

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without `systemData`: this provider says who and when among the properties.

        azure-mgmt-authorization 5 takes what is in both for the same, and shows no role's name.
        """
        resource.pop("systemData", None)
        return resource

    async def get(self, call: Call) -> JSON | None:
        """A role by its guid, at any scope."""
        found = built_in(call.id.name) or _custom(call, call.id.name)
        if found is not None and call.id.scope and found["id"].startswith("/providers"):
            found["id"] = f"/subscriptions/{call.arm.subscription}{found['id']}"
        return found

    async def members(self, call: Call) -> Iterable[JSON]:
        """Built-in roles, then custom ones that can be assigned here."""
        prefix = f"/subscriptions/{call.arm.subscription}" if call.id.scope else ""
        roles = [role.resource() for role in BUILT_IN.values()]
        for role in roles:
            role["id"] = prefix + role["id"]
        where = call.id.scope.lower() + "/"
        custom = [
            role
            for role in call.arm.store.of_type(DEFINITIONS)
            if any(
                where.startswith(str(scope).lower().rstrip("/") + "/")
                or (str(scope).lower() + "/").startswith(where)
                for scope in role["properties"]["assignableScopes"]
            )
        ]
        return [*roles, *custom]

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check a custom role; built-in ones cannot be changed."""
        guid = call.id.name.lower()
        if guid in BUILT_IN:
            raise ArmError(
                "RoleDefinitionCannotBeChanged", "A built-in role cannot be changed.", 403
            )
        if not _is_guid(guid):
            raise ArmError(
                "InvalidRoleDefinitionId",
                f"The role definition ID '{call.id.name}' is not valid. It must be a GUID.",
            )
        properties = resource["properties"]
        name = properties.get("roleName")
        if not isinstance(name, str) or not name.strip():
            raise ArmError(
                "RoleDefinitionNameNullOrEmpty",
                "The role definition name is missing ('properties.roleName').",
                target="properties.roleName",
            )
        others = [role.resource() for role in BUILT_IN.values()]
        others += call.arm.store.of_type(DEFINITIONS)
        for other in others:
            if other["name"].lower() != guid and (
                str(other["properties"]["roleName"]).lower() == name.lower()
            ):
                raise ArmError(
                    "RoleDefinitionWithSameNameExists",
                    f"A custom role definition named '{name}' already exists with the ID "
                    f"'{other['name']}'.",
                    409,
                )
        properties["type"] = "CustomRole"
        properties["assignableScopes"] = _scopes(properties, call)
        properties["permissions"] = _permissions(properties)
        now = iso(call.arm.clock.time())
        before = old["properties"] if old else {}
        who = str(call.claims.get("oid") or "")
        properties |= {
            "createdOn": before.get("createdOn", now),
            "updatedOn": now,
            "createdBy": before.get("createdBy", who),
            "updatedBy": who,
        }
        return resource

    def for_filter(self, resource: JSON) -> JSON:
        """`type` is the role's, BuiltInRole or CustomRole."""
        return {**resource["properties"], "name": resource["name"], "id": resource["id"]}

    async def deleting(self, call: Call, resource: JSON) -> None:
        """A role that somebody has stays."""
        for item in call.arm.store.of_type(ASSIGNMENTS):
            role = parse(item["properties"]["roleDefinitionId"]).name
            if role.lower() == call.id.name.lower():
                raise ArmError(
                    "RoleDefinitionHasAssignments",
                    "There are existing role assignments referencing role (code: "
                    f"'{call.id.name}'). Remove them first.",
                    400,
                )


def _custom(call: Call, guid: str) -> JSON | None:
    for record in call.arm.store.records(DEFINITIONS):
        if record.id.name.lower() == guid.lower():
            return record.read()
    return None


def _scopes(properties: JSON, call: Call) -> list[str]:
    given = properties.get("assignableScopes", [call.id.scope or "/"])
    if not isinstance(given, list) or not given or not all(isinstance(it, str) for it in given):
        raise ArmError(
            "InvalidAssignableScopes",
            "'properties.assignableScopes' must be a list of scopes.",
            target="properties.assignableScopes",
        )
    return given


def _permissions(properties: JSON) -> list[JSON]:
    given = properties.get("permissions", [])
    result = []
    for item in given if isinstance(given, list) else [None]:
        if not isinstance(item, dict):
            raise ArmError(
                "InvalidRequestContent",
                "'properties.permissions' must be a list of objects.",
                target="properties.permissions",
            )
        permission = {}
        for key in ("actions", "notActions", "dataActions", "notDataActions"):
            names = item.get(key, [])
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ArmError(
                    "InvalidActionOrNotAction",
                    f"'{key}' of a permission must be a list of operations.",
                    target="properties.permissions",
                )
            permission[key] = names
        result.append(permission)
    return result


class Permissions(ResourceType):
    """`{scope}/providers/Microsoft.Authorization/permissions`: what the caller may do there."""

    type: ClassVar[str] = PERMISSIONS
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """They are asked for all at once."""
        return None

    async def members(self, call: Call) -> Iterable[JSON]:
        """One for each role; those of an owner where roles are not obeyed."""
        access = call.arm.access
        if access is None:
            return [dict(EVERYTHING)]
        who = str(call.claims.get("oid", ""))
        return [dict(item) for item in access.permissions(who, call.id.scope)]


class RoleAssignments(ResourceType):
    """Who has which role at which scope."""

    type: ClassVar[str] = ASSIGNMENTS
    read_only: ClassVar[tuple[str, ...]] = (
        *("scope", "createdOn", "updatedOn", "createdBy", "updatedBy"),
    )
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False
    delete_shows: ClassVar[bool] = True

    def __init__(self, principals: PrincipalType) -> None:
        self._principals = principals

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without `systemData`, as a role definition."""
        resource.pop("systemData", None)
        return resource

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check it; the same role is given to the same principal at one scope only once."""
        if not _is_guid(call.id.name):
            raise ArmError(
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{call.id.name}' is not valid. It must be a GUID.",
            )
        properties = resource["properties"]
        for name in ("roleDefinitionId", "principalId"):
            if not isinstance(properties.get(name), str) or not properties[name]:
                raise ArmError(
                    "InvalidCreateRoleAssignmentRequest",
                    f"The request to create role assignment '{call.id.name}' is not valid. Role "
                    "assignment scope, role definition ID and principal ID must be given: "
                    f"'properties.{name}' is missing.",
                    target=f"properties.{name}",
                )
        role = _role(call, properties["roleDefinitionId"])
        scope = call.id.scope or "/"
        before = old["properties"] if old else {}
        if before and (
            before["principalId"].lower() != properties["principalId"].lower()
            or parse(before["roleDefinitionId"]).name.lower() != role.name.lower()
        ):
            raise ArmError(
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        properties["principalType"] = self._kind_of(call, properties, before)
        _check_single(call, properties, role, scope)
        now = iso(call.arm.clock.time())
        who = str(call.claims.get("oid") or "")
        properties |= {
            "roleDefinitionId": role.text,
            "scope": scope,
            "createdOn": before.get("createdOn", now),
            "updatedOn": now,
            "createdBy": before.get("createdBy", who),
            "updatedBy": who,
        }
        return resource

    def _kind_of(self, call: Call, properties: JSON, before: JSON) -> str:
        """The principal's type, by what the directory knows."""
        principal = properties["principalId"]
        if not _is_guid(principal):
            raise ArmError(
                "InvalidPrincipalId",
                f"A valid principal ID must be provided for role assignment: '{principal}' is no "
                "GUID.",
                target="properties.principalId",
            )
        # An empty one says nothing: templates have it as the default of a parameter.
        given = properties.get("principalType") or None
        known = self._principals(principal)
        if given is None:
            kind = known or before.get("principalType")
            if kind is None:
                raise ArmError(
                    "PrincipalNotFound",
                    f"Principal {principal.replace('-', '')} does not exist in the directory "
                    f"{call.arm.tenant}. Check that you have the correct principal ID. If you are "
                    "creating this principal and then immediately assigning a role, this error "
                    "might be related to a replication delay. In this case, set the role "
                    "assignment principalType property to a value, such as ServicePrincipal, User, "
                    "or Group.",
                )
            return str(kind)
        kind = next((it for it in PRINCIPAL_TYPES if it.lower() == str(given).lower()), None)
        if kind is None:
            raise ArmError(
                "InvalidPrincipalType",
                f"'{given}' is no principal type; {', '.join(PRINCIPAL_TYPES)} are.",
                target="properties.principalType",
            )
        if known is not None and known != kind:
            raise ArmError(
                "UnmatchedPrincipalType",
                f"The PrincipalId '{principal.replace('-', '')}' has type '{known}', which is "
                f"different from specified PrincipalType '{kind}'.",
            )
        return kind

    async def members(self, call: Call) -> Iterable[JSON]:
        """Assignments at the scope and above; below it, too, unless `atScope()` is asked for."""
        scope = (call.id.scope or "").lower()
        below = "atscope()" not in call.query.get("$filter", "").replace(" ", "").lower()
        found = []
        for item in call.arm.store.of_type(ASSIGNMENTS):
            theirs = item["properties"]["scope"].lower().rstrip("/")
            if (
                theirs == scope
                or not theirs
                or scope.startswith(theirs + "/")
                or (below and theirs.startswith(scope + "/"))
            ):
                found.append(item)
        return found


def _role(call: Call, given: str) -> ResourceId:
    role = parse(given)
    known = role.name.lower() in BUILT_IN or _custom(call, role.name) is not None
    if role.type.lower() != DEFINITIONS.lower() or not known:
        raise ArmError(
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{role.name}' does not exist.",
            404,
        )
    # The service tells a role by one id, also where a template has made it up in a resource group.
    where = f"/subscriptions/{call.arm.subscription}" if role.subscription or call.id.scope else ""
    return parse(f"{where}/providers/{DEFINITIONS}/{role.name}")


def _check_single(call: Call, properties: JSON, role: ResourceId, scope: str) -> None:
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


class Locks(ResourceType):
    """A lock on a subscription, a group or a resource."""

    type: ClassVar[str] = LOCKS
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check its name and level."""
        if not _LOCK_NAME.fullmatch(call.id.name):
            raise ArmError(
                "InvalidLockName",
                f"The lock name '{call.id.name}' has characters that are not allowed.",
                target="name",
            )
        properties = resource["properties"]
        given = str(properties.get("level", ""))
        level = next((it for it in LOCK_LEVELS if it.lower() == given.lower()), None)
        if level is None:
            raise ArmError(
                "InvalidLockLevel",
                f"The lock level '{given}' is not valid: CanNotDelete and ReadOnly are.",
                target="properties.level",
            )
        notes = properties.get("notes", "")
        if not isinstance(notes, str) or len(notes) > 512:
            raise ArmError(
                "InvalidLockNotes",
                "'properties.notes' must be a text of at most 512 characters.",
                target="properties.notes",
            )
        properties["level"] = level
        return resource

    async def members(self, call: Call) -> Iterable[JSON]:
        """The locks at the scope, above it and below it."""
        scope = (call.id.scope or "").lower() + "/"
        return [
            record.read()
            for record in call.arm.store.records(LOCKS)
            if (at := record.id.scope.lower() + "/").startswith(scope) or scope.startswith(at)
        ]


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return len(text) in (32, 36)
