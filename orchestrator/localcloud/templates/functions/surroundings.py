"""What a template can ask about where it stands: parameters, variables, scopes, cloud, copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import (
    array,
    integer,
    plain,
    special,
    text,
)
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node


@special("parameters", 1)
def parameters(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The value of a parameter."""
    return evaluation.parameter(text("parameters", evaluation.value(arguments[0])))


@special("variables", 1)
def variables(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The value of a variable."""
    return evaluation.variable(text("variables", evaluation.value(arguments[0])))


@special("copyIndex", 0, 2)
def copy_index(evaluation: Evaluation, arguments: tuple[Node, ...]) -> int:
    """The turn of a loop, from 0 or an offset: `copyIndex([loop], [offset])`."""
    values = [evaluation.value(argument) for argument in arguments]
    name, offset = "", 0
    if values and isinstance(values[0], str):
        name = values.pop(0)
    if values:
        offset = integer("copyIndex", values[0])
    found = evaluation.copies.get(name.lower())
    if found is None:
        raise ExpressionError(
            "The template function 'copyIndex' is not expected at this location. The function can "
            "only be used in a resource, property, variable or output with copy specified"
            + (f", and there is no loop '{name}' around it." if name else ".")
        )
    return found + offset


@special("deployment", 0)
def deployment(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The deployment itself."""
    return evaluation.environment.deployment


@special("deployer", 0)
def deployer(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """Who deploys."""
    return evaluation.environment.deployer


@special("environment", 0)
def environment(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The cloud's endpoints."""
    return evaluation.environment.cloud


@special("subscription", 0, 1)
def subscription(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The subscription of the deployment."""
    if arguments:
        name = text("subscription", evaluation.value(arguments[0]))
        return {"id": f"/subscriptions/{name}", "subscriptionId": name}
    if evaluation.environment.subscription is None:
        raise ExpressionError(
            "The template function 'subscription' is not expected at this location: the deployment "
            "is not in a subscription."
        )
    return evaluation.environment.subscription


@special("resourceGroup", 0, 2)
def resource_group(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The resource group of the deployment."""
    if arguments:
        values = [text("resourceGroup", evaluation.value(item)) for item in arguments]
        owner = values[0] if len(values) == 2 else evaluation.environment.scope.subscription
        return {"id": f"/subscriptions/{owner}/resourceGroups/{values[-1]}", "name": values[-1]}
    if evaluation.environment.group is None:
        raise ExpressionError(
            "The template function 'resourceGroup' is not expected at this location: the "
            "deployment is not in a resource group."
        )
    return evaluation.environment.group


@special("managementGroup", 0, 1)
def management_group(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The management group of the deployment."""
    name = evaluation.environment.scope.management_group
    if arguments:
        name = text("managementGroup", evaluation.value(arguments[0]))
    if name is None:
        raise ExpressionError(
            "The template function 'managementGroup' is not expected at this location: the "
            "deployment is not in a management group."
        )
    return {
        "id": f"/providers/Microsoft.Management/managementGroups/{name}",
        "name": name,
        "type": "Microsoft.Management/managementGroups",
        "properties": {
            "displayName": evaluation.environment.management_group_name(name),
            "tenantId": evaluation.environment.tenant_id,
        },
    }


@special("tenant", 0)
def tenant(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The tenant."""
    return evaluation.environment.tenant


@special("providers", 1, 2)
def providers(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """What a resource provider has (deprecated on Azure)."""
    values = [text("providers", evaluation.value(argument)) for argument in arguments]
    found = evaluation.environment.provider(values[0])
    if len(values) == 1:
        return {"namespace": found["namespace"], "resourceTypes": found["resourceTypes"]}
    for item in found["resourceTypes"]:
        if item["resourceType"].lower() == values[1].lower():
            return {name: item.get(name) for name in ("resourceType", "locations", "apiVersions")}
    raise ExpressionError(
        f"The provider '{values[0]}' has no resource type '{values[1]}' in this cloud."
    )


# --------------------------------------------------------------------- zones ----


@plain("pickZones", 3, 5)
def pick_zones(
    namespace: Any, resource_type: Any, location: Any, count: Any = 1, offset: Any = 0
) -> list[str]:
    """Availability zones: every region here has the zones 1, 2 and 3."""
    count, offset = integer("pickZones", count), integer("pickZones", offset)
    if count < 1 or offset < 0 or offset + count > 3:
        raise ExpressionError(
            f"The template language function 'pickZones': the location '{location}' has the zones "
            f"1 to 3, not '{count}' of them from '{offset}' on."
        )
    return [str(number + 1) for number in range(offset, offset + count)]


def _zone(function: str, location: Any, zone: Any, prefix: str) -> str:
    location, zone = text(function, location).replace(" ", "").lower(), text(function, zone)
    number = zone.rpartition("az")[2] if prefix == "" else zone
    if number not in ("1", "2", "3"):
        raise ExpressionError(
            f"The template language function '{function}': '{location}' has no zone '{zone}'."
        )
    return number if prefix == "" else f"{location}-{prefix}{number}"


@plain("toPhysicalZone", 3)
def to_physical_zone(owner: Any, location: Any, zone: Any) -> str:
    """The physical zone behind a logical one."""
    return _zone("toPhysicalZone", location, zone, "az")


@plain("toPhysicalZones", 3)
def to_physical_zones(owner: Any, location: Any, zones: Any) -> list[str]:
    """The physical zones behind logical ones."""
    return [
        _zone("toPhysicalZones", location, zone, "az") for zone in array("toPhysicalZones", zones)
    ]


@plain("toLogicalZone", 3)
def to_logical_zone(owner: Any, location: Any, zone: Any) -> str:
    """The logical zone of a physical one."""
    return _zone("toLogicalZone", location, zone, "")


@plain("toLogicalZones", 3)
def to_logical_zones(owner: Any, location: Any, zones: Any) -> list[str]:
    """The logical zones of physical ones."""
    wanted = array("toLogicalZones", zones)
    return [_zone("toLogicalZones", location, zone, "") for zone in wanted]


@special("externalInputs", 1)
def external_inputs(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """A value that the tool which sent the deployment has put beside the parameters."""
    name = text("externalInputs", evaluation.value(arguments[0]))
    found = member(evaluation.environment.external_inputs, name)
    if not isinstance(found, dict):
        raise ExpressionError(f"The external input '{name}' is not provided.")
    return member(found, "value")
