"""Resource ids: `resourceId` and its family ("Resource functions for ARM templates").

The pure part: ids from types and names, relative to where a template is deployed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import plain, special, text

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node

_RESOURCE_GROUPS = "microsoft.resources/resourcegroups"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def path(function: str, resource_type: str, names: list[str]) -> str:
    """`/providers/{namespace}/{type}/{name}…`.

    Raises:
        ExpressionError: There are more or fewer names than types.
    """
    namespace, *types = resource_type.strip("/").split("/")
    parts = [part for name in names for part in name.split("/")] if len(names) == 1 else names
    if not types or len(types) != len(parts):
        raise ExpressionError(
            f"Unable to evaluate template language function '{function}': the type "
            f"'{resource_type}' requires '{len(types)}' resource name argument(s). Please see "
            "https://aka.ms/arm-template-expressions/#resourceid for usage details."
        )
    pairs = "".join(f"/{type_}/{name}" for type_, name in zip(types, parts, strict=True))
    return f"/providers/{namespace}{pairs}"


def _typed(function: str, values: list[str]) -> int:
    """Where the type stands: the first argument with a namespace in it."""
    for at, value in enumerate(values):
        if "/" in value and "." in value.split("/")[0]:
            return at
    for at, value in enumerate(values):
        if "/" in value:
            return at
    raise ExpressionError(
        f"Unable to evaluate template language function '{function}': a fully qualified resource "
        "type such as 'Microsoft.App/jobs' is expected."
    )


def _is_group(resource_type: str, names: list[str]) -> bool:
    """Whether a resource of a subscription is a resource group, whose id is the group's own.

    Bicep writes `group.id` by such a function, and Azure Verified Modules take the fifth segment of
    it for its name.
    """
    return resource_type.lower() == _RESOURCE_GROUPS and len(names) == 1


def _texts(function: str, evaluation: Evaluation, arguments: tuple[Node, ...]) -> list[str]:
    return [text(function, evaluation.value(argument)) for argument in arguments]


@special("resourceId", 1, None)
def resource_id(evaluation: Evaluation, arguments: tuple[Node, ...]) -> str:
    """`resourceId([subscription], [group], type, names…)`, where the template is deployed."""
    values = _texts("resourceId", evaluation, arguments)
    at = _typed("resourceId", values)
    scope = evaluation.environment.scope
    before, resource_type, names = values[:at], values[at], values[at + 1 :]
    if not names:
        raise ExpressionError(
            "Unable to evaluate template language function 'resourceId': the name of the resource "
            "is missing."
        )
    tail = path("resourceId", resource_type, names)
    if len(before) > 2:
        raise ExpressionError(
            "Unable to evaluate template language function 'resourceId': at most a subscription "
            "and a resource group may stand before the type."
        )
    subscription, group = scope.subscription, scope.group
    if len(before) == 2:
        subscription, group = before
    elif len(before) == 1:
        if group is None and _GUID.fullmatch(before[0]):
            subscription = before[0]
        else:
            group = before[0]
    if subscription is None:
        return tail
    if group is None and _is_group(resource_type, names):
        return f"/subscriptions/{subscription}/resourceGroups/{names[0]}"
    if group is None:
        return f"/subscriptions/{subscription}{tail}"
    return f"/subscriptions/{subscription}/resourceGroups/{group}{tail}"


@special("subscriptionResourceId", 2, None)
def subscription_resource_id(evaluation: Evaluation, arguments: tuple[Node, ...]) -> str:
    """The id of a resource at a subscription."""
    values = _texts("subscriptionResourceId", evaluation, arguments)
    at = _typed("subscriptionResourceId", values)
    subscription = values[0] if at else evaluation.environment.scope.subscription
    if subscription is None:
        raise ExpressionError(
            "Unable to evaluate template language function 'subscriptionResourceId': the "
            "deployment is not in a subscription, so one must be given."
        )
    if _is_group(values[at], values[at + 1 :]):
        return f"/subscriptions/{subscription}/resourceGroups/{values[-1]}"
    tail = path("subscriptionResourceId", values[at], values[at + 1 :])
    return f"/subscriptions/{subscription}{tail}"


@plain("tenantResourceId", 2, None)
def tenant_resource_id(resource_type: Any, *names: Any) -> str:
    """The id of a resource at the tenant."""
    return path(
        "tenantResourceId",
        text("tenantResourceId", resource_type),
        [text("tenantResourceId", name) for name in names],
    )


@special("managementGroupResourceId", 2, None)
def management_group_resource_id(evaluation: Evaluation, arguments: tuple[Node, ...]) -> str:
    """The id of a resource at a management group."""
    values = _texts("managementGroupResourceId", evaluation, arguments)
    at = _typed("managementGroupResourceId", values)
    group = values[0] if at else evaluation.environment.scope.management_group
    if group is None:
        group = evaluation.environment.tenant_id
    tail = path("managementGroupResourceId", values[at], values[at + 1 :])
    return f"/providers/Microsoft.Management/managementGroups/{group}{tail}"


@plain("extensionResourceId", 3, None)
def extension_resource_id(base: Any, resource_type: Any, *names: Any) -> str:
    """The id of a resource that extends another."""
    tail = path(
        "extensionResourceId",
        text("extensionResourceId", resource_type),
        [text("extensionResourceId", name) for name in names],
    )
    return text("extensionResourceId", base).rstrip("/") + tail
