"""Where a template's resource lies: its id from type, name and the scope it is deployed to."""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.templates.environment import Scope
from orchestrator.localcloud.templates.errors import not_valid
from orchestrator.localcloud.templates.values import member

JSON = dict[str, Any]

GROUP = "microsoft.resources/resourcegroups"
DEPLOYMENT = "microsoft.resources/deployments"
_OF_TENANT = ("microsoft.management/managementgroups", "microsoft.subscription/aliases")


def scope_id(resource: JSON, own: Scope, value: Any) -> str:
    """The scope that a resource is put into; "" for the tenant.

    Args:
        resource: With `subscriptionId` and `resourceGroup` evaluated, where it has them.
        own: Of the deployment.
        value: Of the member `scope`, evaluated; None where there is none.
    """
    if isinstance(value, str):
        text = value.strip().strip("/")
        if value.strip() == "/":
            return ""
        lower = text.lower()
        if lower.startswith(("subscriptions/", "providers/")):
            return f"/{text}"
        if lower.startswith("microsoft.management/managementgroups/"):
            return f"/providers/{text}"
        return f"{own.id}{relative(text)}"
    subscription = member(resource, "subscriptionId") or own.subscription
    group = member(resource, "resourceGroup") or own.group
    if member(resource, "subscriptionId") and not member(resource, "resourceGroup"):
        group = None  # `scope: subscription()`, of a module or of what exists there
    if subscription is None:
        return own.id
    if group is None or (own.group is None and not member(resource, "resourceGroup")):
        return f"/subscriptions/{subscription}"
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def relative(text: str) -> str:
    """`Microsoft.X/types/name` as a path: `/providers/Microsoft.X/types/name`.

    Names and types may stand in turn, or (as older templates write it) all types first.
    """
    parts = text.split("/")
    return "/providers/" + "/".join(parts)


def resource_path(scope: str, resource_type: str, name: str) -> str:
    """The id of a resource.

    Raises:
        TemplateError: Type and name have not the same number of segments.
    """
    if resource_type.lower() == GROUP:
        return f"{scope}/resourceGroups/{name}"
    namespace, *types = resource_type.split("/")
    names = name.split("/")
    if not types or len(types) != len(names) or not all(names):
        raise not_valid(
            f"The template resource '{name}' for type '{resource_type}' has incorrect segment "
            "lengths. A nested resource type must have identical number of segments as its "
            "resource name. A root resource type must have segment length one greater than its "
            "resource name. Please see https://aka.ms/arm-syntax-resources for usage details."
        )
    pairs = "".join(f"/{type_}/{part}" for type_, part in zip(types, names, strict=True))
    if resource_type.lower() in _OF_TENANT:
        scope = ""
    return f"{scope}/providers/{namespace}{pairs}"
