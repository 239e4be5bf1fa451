"""Role-based access control: may a principal do something somewhere?

Reads role assignments and definitions from the resource store, so that a new assignment holds from
the next request on (Azure takes minutes). An action is allowed when an assignment at the scope, or
above it, has a role one of whose permissions names it in `actions` and not in `notActions`; data
actions likewise ("Understand Azure role definitions").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.provider import Call
    from orchestrator.localcloud.arm.store import ResourceStore

ASSIGNMENTS = "Microsoft.Authorization/roleAssignments"
DEFINITIONS = "Microsoft.Authorization/roleDefinitions"
PERMISSIONS = "Microsoft.Authorization/permissions"

EVERYTHING: Mapping[str, Any] = {
    "actions": ["*"],
    "notActions": [],
    "dataActions": [],
    "notDataActions": [],
}
"""The permission of an owner, and of everybody where roles are not obeyed."""

_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_MANAGED = "/providers/microsoft.management/managementgroups/"
_SUBSCRIPTION = "Microsoft.Resources/subscriptions"


class Access:
    """Decides by the role assignments of a resource store.

    Args:
        store: Where assignments and custom roles are kept.
        built_in: Guid -> role definition of the built-in roles, or None.
        owners: Object ids of principals that may do everything.
        above: Scope, in small letters -> the management groups that it lies in, likewise.
    """

    def __init__(
        self,
        store: ResourceStore,
        built_in: Callable[[str], Mapping[str, Any] | None],
        owners: Collection[str] = (),
        above: Callable[[str], Collection[str]] = lambda scope: (),
    ) -> None:
        self._store = store
        self._built_in = built_in
        self._owners = frozenset(owner.lower() for owner in owners)
        self._above = above
        self._known: tuple[int, int] = (-1, -1)
        self._roles: dict[str, list[tuple[str, str]]] = {}
        self._permissions: dict[str, list[Mapping[str, Any]]] = {}

    def allows(self, principal: str, action: str, scope: str, *, data: bool = False) -> bool:
        """Whether the principal with this object id may do `action` at `scope`.

        Args:
            principal: Object id, any case.
            action: `Microsoft.App/jobs/start/action`.
            scope: Resource id, any case; "" is the tenant.
            data: Whether it is a data action.
        """
        who = principal.lower()
        if who in self._owners:
            return True
        self._refresh()
        where = scope.lower().rstrip("/")
        wanted = action.lower()
        plus, minus = ("dataActions", "notDataActions") if data else ("actions", "notActions")
        return any(
            self._holds(at, where)
            and any(
                named(permission.get(plus), wanted) and not named(permission.get(minus), wanted)
                for permission in self._of_role(role)
            )
            for at, role in self._roles.get(who, ())
        )

    def permissions(self, principal: str, scope: str) -> list[Mapping[str, Any]]:
        """What the principal's roles at `scope` and above it allow, role by role."""
        who = principal.lower()
        if who in self._owners:
            return [EVERYTHING]
        self._refresh()
        where = scope.lower().rstrip("/")
        return [
            permission
            for at, role in self._roles.get(who, ())
            if self._holds(at, where)
            for permission in self._of_role(role)
        ]

    def has_any(self, principal: str, scope: str) -> bool:
        """Whether the principal has a role at `scope`, above or below it."""
        who = principal.lower()
        if who in self._owners:
            return True
        self._refresh()
        where = scope.lower().rstrip("/")
        return any(
            self._holds(at, where) or (at + "/").startswith(where + "/")
            for at, _ in self._roles.get(who, ())
        )

    def _holds(self, at: str, where: str) -> bool:
        """Whether what is assigned at one scope holds at the other: that one, or one below it."""
        if not at or where == at or where.startswith(at + "/"):
            return True
        return at.startswith(_MANAGED) and at in self._above(where)

    def _refresh(self) -> None:
        """Read the assignments anew when one has changed."""
        versions = (self._store.version(ASSIGNMENTS), self._store.version(DEFINITIONS))
        if versions == self._known:
            return
        self._known = versions
        self._permissions.clear()
        self._roles = {}
        for record in self._store.records(ASSIGNMENTS):
            properties = record.read()["properties"]
            self._roles.setdefault(str(properties["principalId"]).lower(), []).append(
                (
                    str(properties["scope"]).lower().rstrip("/"),
                    parse(properties["roleDefinitionId"]).name.lower(),
                )
            )

    def _of_role(self, guid: str) -> list[Mapping[str, Any]]:
        found = self._permissions.get(guid)
        if found is None:
            role = self._built_in(guid)
            if role is None:
                role = next(
                    (
                        record.read()
                        for record in self._store.records(DEFINITIONS)
                        if record.id.name.lower() == guid
                    ),
                    {},
                )
            found = list(role.get("properties", {}).get("permissions", []))
            self._permissions[guid] = found
        return found


def named(patterns: Any, action: str) -> bool:
    """Whether one of the patterns is of the action, which is in small letters."""
    return any(_pattern(str(text)).fullmatch(action) for text in patterns or ())


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` stands for anything, slashes included; between two of them also for nothing at all:
    `userAssignedIdentities/*/read` is how roles name `userAssignedIdentities/read`."""
    parts = [".*".join(map(re.escape, part.split("*"))) for part in text.lower().split("/*/")]
    return re.compile("/(?:.*/)?".join(parts), re.DOTALL)


# -------------------------------------------------------------------- requests ----


def operation(method: str, id: ResourceId) -> tuple[str, ResourceId]:
    """What a request does, as roles and the activity log name it, and the resource it is done to.

    `("Microsoft.App/jobs/start/action", the job)`; `("Microsoft.App/jobs/read", the group)`.
    """
    verb = _VERBS.get(method, "action")
    if id.namespace is None or not id.types:
        if id.subscription is None:
            return f"Microsoft.Resources/{'/'.join(id.rest) or 'tenants'}/{verb}", id
        base = f"{_SUBSCRIPTION}/resourceGroups" if id.group else _SUBSCRIPTION
        tail = "".join(f"/{part}" for part in id.rest)
        scope = ResourceId(id.scope, id.subscription, id.group)
        if id.namespace:
            base, tail = f"{_SUBSCRIPTION}/providers", ""
        return f"{base}{tail}/{verb}", scope
    if method == "POST":
        words = list(id.types)
        return "/".join((id.namespace, *words, "action")), id.parent or _scope(id)
    if id.is_collection:
        return f"{id.type}/{verb}", id.parent or _scope(id)
    return f"{id.type}/{verb}", id


def _scope(id: ResourceId) -> ResourceId:
    return parse(id.scope or "/")


# What they show is what their caller may read.
_OPEN = (
    *("/", "/subscriptions", "/tenants", "/providers"),
    "/providers/microsoft.management/getentities",
    "/providers/microsoft.management/managementgroups",
    "/providers/microsoft.resourcegraph/resources",
)

_OPERATION_LISTS = ("operations", "provideroperations")


def guard(access: Access, call: Call) -> None:
    """Refuse what the caller has no role for.

    Raises:
        ArmError: 403 `AuthorizationFailed`.
    """
    if call.id.text.lower() in _OPEN or (call.method == "GET" and _operations(call.id)):
        return
    # Who asks for the regions or providers need not have a role on anything in it.
    if call.method == "GET" and call.id.subscription and not call.id.group and _metadata(call.id):
        return
    action, scope = operation(call.method, call.id)
    who = str(call.claims.get("oid", ""))
    if access.allows(who, action, scope.text):
        return
    if call.method == "GET" and call.id.type.lower() == PERMISSIONS.lower():
        return  # Everybody may ask what they themselves may do.
    if call.method in ("GET", "HEAD") and _listing(call.id) and access.has_any(who, scope.text):
        return
    raise unauthorized(call, action, scope.text)


def unauthorized(call: Call, action: str, scope: str) -> ArmError:
    """403 `AuthorizationFailed`: the caller may not do that there."""
    who = str(call.claims.get("oid", ""))
    return ArmError(
        "AuthorizationFailed",
        f"The client '{call.claims.get('appid') or who}' with object id '{who}' does not have "
        f"authorization to perform action '{action}' over scope '{scope}' or the scope is "
        "invalid. If access was recently granted, please refresh your credentials.",
        403,
    )


def _metadata(id: ResourceId) -> bool:
    words = [word.lower() for word in id.rest]
    return words in (["locations"], ["providers"]) or bool(
        id.namespace and (not id.types or id.types[0].lower() == "locations")
    )


def _operations(id: ResourceId) -> bool:
    """Whether it is a list of what roles may allow, which anybody reads."""
    return not id.scope and bool(id.types) and id.types[0].lower() in _OPERATION_LISTS


def _listing(id: ResourceId) -> bool:
    """A subscription, its groups and resources are listed for whoever has a role on some of it."""
    words = [word.lower() for word in id.rest]
    return id.namespace is None and words in ([], ["resourcegroups"], ["resources"])


def visible(access: Access | None, call: Call, id: str) -> bool:
    """Whether a list shows the resource `id` to the caller."""
    if access is None:
        return True
    who = str(call.claims.get("oid", ""))
    action, _ = operation("GET", parse(id))
    return access.allows(who, action, id) or (
        parse(id).namespace is None and access.has_any(who, id)
    )
