"""What only a running cloud can tell: `reference`, `references` and the `list…` functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.templates.errors import ExpressionError, Request
from orchestrator.localcloud.templates.functions.registry import special, text
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node


@special("reference", 1, 3)
def reference(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """The properties of a resource, or with 'Full' all of it."""
    values = [evaluation.value(argument) for argument in arguments]
    target = evaluation.target(text("reference", values[0]))
    version = text("reference", values[1]) if len(values) > 1 and values[1] else ""
    full = len(values) > 2 and str(values[2]).lower() == "full"
    if target.absent:
        # Nothing is known of it, and `.?` finds nothing in it.
        return {}
    resource = evaluation.ask(Request("reference", target.id, version or target.api_version))
    return view(resource, target.id, version or target.api_version, full=full)


def view(resource: Any, id: str, api_version: str, *, full: bool) -> Any:
    """What `reference` gives of a resource; null of one that is allowed to be missing."""
    if resource is None:
        return None
    if not full:
        return member(resource, "properties", {}) if isinstance(resource, dict) else resource
    from orchestrator.localcloud.arm.ids import parse

    parsed = parse(id)
    whole: dict[str, Any] = {"apiVersion": api_version} if api_version else {}
    whole |= {key: value for key, value in resource.items() if key not in ("name", "type", "id")}
    whole |= {
        "deploymentResourceLineInfo": {},
        "resourceId": "/".join(part for part in parsed.text.split("/providers/")[-1:]),
        "scope": "",
        "isConditionTrue": True,
        "isTemplateResource": False,
        "isAction": False,
        "provisioningOperation": "Read",
        "id": resource.get("id", id),
        "name": resource.get("name", parsed.name),
        "type": resource.get("type", parsed.type),
    }
    if parsed.subscription:
        whole["subscriptionId"] = parsed.subscription
    if parsed.group:
        whole["resourceGroupName"] = parsed.group
    return whole


@special("references", 1, 2)
def references(evaluation: Evaluation, arguments: tuple[Node, ...]) -> list[Any]:
    """As reference, for every resource of a loop."""
    values = [text("references", evaluation.value(argument)) for argument in arguments]
    full = len(values) > 1 and values[1].lower() == "full"
    return [
        view(
            evaluation.ask(Request("reference", target.id, target.api_version)),
            target.id,
            target.api_version,
            full=full,
        )
        for target in evaluation.targets(values[0])
        if not target.absent
    ]


def list_action(evaluation: Evaluation, name: str, arguments: tuple[Node, ...]) -> Any:
    """`listKeys(resource, [api version], [body], ['Full'])`: what a POST action answers."""
    if not 1 <= len(arguments) <= 4:
        raise ExpressionError(
            f"Unable to evaluate template language function '{name}': function requires 1 to 4 "
            f"arguments while '{len(arguments)}' were provided."
        )
    values = [evaluation.value(argument) for argument in arguments]
    target = evaluation.target(text(name, values[0]))
    version = text(name, values[1]) if len(values) > 1 and values[1] else target.api_version
    body = json.dumps(values[2], sort_keys=True) if len(values) > 2 and values[2] else ""
    return evaluation.ask(Request("list", target.id, version, name, body))


@special("resourceInfo", 1)
def resource_info(evaluation: Evaluation, arguments: tuple[Node, ...]) -> Any:
    """Id, name, type and version of a resource of this template, known before it exists."""
    target = evaluation.target(text("resourceInfo", evaluation.value(arguments[0])))
    from orchestrator.localcloud.arm.ids import parse

    parsed = parse(target.id)
    return {
        "id": target.id,
        "name": "/".join(parsed.names),
        "type": parsed.type,
        "apiVersion": target.api_version,
    }
