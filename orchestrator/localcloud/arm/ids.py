"""Resource ids: what a Resource Manager path addresses.

Ids are case-insensitive and keep the case they were written in; doubled slashes collapse (`az`
sends `Microsoft.App//jobs/x`). A path is read from the left, so that a resource may be called
`providers`.

    /                                                               the tenant
    /subscriptions/{s}                                              a subscription
    /subscriptions/{s}/resourceGroups/{g}                           a resource group
    {scope}/providers/{namespace}/{type}/{name}[/{type}/{name}…]    a resource
    {resource}/providers/{namespace}/{type}/{name}                  an extension of a resource

Without the last name a path addresses a collection; a POST may put an action there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from orchestrator.localcloud.arm.errors import ArmError, not_found

_ILLEGAL = frozenset("<>%&?\\\x00")


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A parsed path. Compare by `key`, show `text`.

    Attributes:
        scope: What stands before the last `/providers/` ("" for the tenant), or the whole path
            where there is none.
        subscription, group: Of the scope, where it has them.
        namespace: The resource provider, `Microsoft.App`; None for tenants, subscriptions, groups.
        types, names: `("jobs", "executions")`, `("sender", "sender-ab12")`; one type more than
            names means a collection (or, in a POST, an action).
        rest: What follows a subscription or group outside any provider: `("locations",)`.
    """

    scope: str
    subscription: str | None = None
    group: str | None = None
    namespace: str | None = None
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The id as Azure writes it, in the case it was given."""
        if self.namespace is None:
            return "/".join((self.scope, *self.rest)) or "/"
        parts = [self.scope, "providers", self.namespace]
        for index, type_name in enumerate(self.types):
            parts.append(type_name)
            if index < len(self.names):
                parts.append(self.names[index])
        return "/".join(parts)

    @property
    def key(self) -> str:
        """The id in lower case: what is equal for Resource Manager."""
        return self.text.lower()

    @property
    def type(self) -> str:
        """`Microsoft.App/jobs/executions`; "" outside any provider."""
        return "/".join((self.namespace, *self.types)) if self.namespace else ""

    @property
    def name(self) -> str:
        """The last name; "" where there is none."""
        return self.names[-1] if self.names else (self.group or "")

    @property
    def is_resource(self) -> bool:
        """Whether this addresses one resource of a provider."""
        return bool(self.names) and len(self.types) == len(self.names)

    @property
    def is_collection(self) -> bool:
        """Whether the last segment is a type without a name."""
        return len(self.types) == len(self.names) + 1

    @property
    def parent(self) -> ResourceId | None:
        """The resource that this one (or this collection) lies in; None at the top of a scope."""
        if not self.names or (self.is_resource and len(self.names) == 1):
            return None
        keep = len(self.names) - 1 if self.is_resource else len(self.names)
        return ResourceId(
            self.scope,
            self.subscription,
            self.group,
            self.namespace,
            self.types[:keep],
            self.names[:keep],
        )

    @property
    def top(self) -> ResourceId:
        """The outermost resource of this id's last provider."""
        return ResourceId(
            self.scope,
            self.subscription,
            self.group,
            self.namespace,
            self.types[:1],
            self.names[:1],
        )

    def child(self, type_name: str, name: str) -> ResourceId:
        """The id of a resource inside this one."""
        return ResourceId(
            self.scope,
            self.subscription,
            self.group,
            self.namespace,
            (*self.types, type_name),
            (*self.names, name),
        )

    def __str__(self) -> str:
        return self.text


def missing(id: ResourceId) -> ArmError:
    """404 for the resource `id`."""
    path = "/".join(f"{type_}/{name}" for type_, name in zip(id.types, id.names, strict=False))
    return not_found(f"{id.namespace}/{path}", group=id.group)


def group_id(subscription: str, group: str) -> ResourceId:
    """The id of a resource group."""
    return ResourceId(f"/subscriptions/{subscription}/resourceGroups/{group}", subscription, group)


def resource_id(scope: ResourceId | str, resource_type: str, *names: str) -> ResourceId:
    """The id of a resource: `resource_id(group, "Microsoft.App/jobs", "sender")`."""
    base = parse(scope) if isinstance(scope, str) else scope
    namespace, *types = resource_type.split("/")
    return ResourceId(
        "" if base.text == "/" else base.text,
        base.subscription,
        base.group,
        namespace,
        tuple(types),
        names,
    )


@lru_cache(maxsize=4096)
def parse(path: str) -> ResourceId:
    """Read a path (percent-encoded or not).

    Raises:
        ArmError: 400 for characters that no id may hold, 404 for a path of no known form.
    """
    # Clients also encode the slashes of a scope, as a part of the path.
    parts = tuple(part for part in unquote(path).split("/") if part)
    for part in parts:
        if not _ILLEGAL.isdisjoint(part) or len(part) > 260:
            raise ArmError(
                "InvalidResourceName", f"The path segment '{part[:80]}' is not allowed in an id."
            )
    lower = tuple(part.lower() for part in parts)
    subscription = group = None
    at = 0
    scope = ""
    if lower[:1] == ("subscriptions",) and len(parts) > 1:
        subscription = parts[1]
        scope, at = f"/subscriptions/{subscription}", 2
        if lower[2:3] == ("resourcegroups",) and len(parts) > 3:
            group = parts[3]
            scope, at = f"{scope}/resourceGroups/{group}", 4
    # Old deployment paths leave the provider out, and `az` still sends them.
    if group and lower[at : at + 1] == ("deployments",):
        parts = (*parts[:at], "providers", "Microsoft.Resources", *parts[at:])
        lower = tuple(part.lower() for part in parts)
    while lower[at : at + 1] == ("providers",) and len(parts) > at + 1:
        namespace = parts[at + 1]
        types: list[str] = []
        names: list[str] = []
        at += 2
        while at < len(parts) and (lower[at] != "providers" or not names):
            types.append(parts[at])
            at += 1
            if at < len(parts):
                names.append(parts[at])
                at += 1
        if at >= len(parts):
            return ResourceId(scope, subscription, group, namespace, tuple(types), tuple(names))
        inner = ResourceId(scope, subscription, group, namespace, tuple(types), tuple(names))
        scope = inner.text
    return ResourceId(scope, subscription, group, rest=parts[at:])
