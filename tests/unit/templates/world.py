"""A template evaluated on paper: no cloud, no sockets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from orchestrator.localcloud.templates.document import Document
from orchestrator.localcloud.templates.environment import Environment, Scope
from orchestrator.localcloud.templates.graph import connect
from orchestrator.localcloud.templates.plan import Plan

S = "00000000-0000-0000-0000-000000000001"
GROUP = f"/subscriptions/{S}/resourceGroups/rg"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"

ENVIRONMENT = Environment(
    Scope(S, "rg"),
    now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    new_guid=lambda: "11111111-2222-3333-4444-555555555555",
    tenant_id="t",
    tenant={"tenantId": "t"},
    subscription={"id": f"/subscriptions/{S}", "subscriptionId": S, "tenantId": "t"},
    group={"id": GROUP, "name": "rg", "location": "westeurope", "tags": {}},
    cloud={"suffixes": {"storage": "core.windows.net"}},
    deployment={"name": "d"},
)


def template(**members: Any) -> dict[str, Any]:
    """A template with nothing but what is given."""
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": [], **members}


def plan(raw: dict[str, Any], environment: Environment = ENVIRONMENT, **given: Any) -> Plan:
    """A checked and connected plan."""
    made = Plan(Document(raw), given, environment)
    connect(made)
    return made


def value(expression: str, **members: Any) -> Any:
    """What an expression is worth, as the output of a template."""
    output = {"type": "object", "value": [expression]}
    made = plan(template(**members))
    return made.evaluation.resolve(output["value"])[0]  # type: ignore[index]


def thing(name: str, **members: Any) -> dict[str, Any]:
    """A resource of a template."""
    return {"type": "Contoso.Lab/things", "apiVersion": "2024-01-01", "name": name, **members}
