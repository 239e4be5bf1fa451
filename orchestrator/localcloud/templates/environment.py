"""Where and when a template is evaluated: given by whoever evaluates it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from orchestrator.localcloud.templates.errors import ExpressionError

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a deployment deploys into: a resource group, a subscription, a management group, the
    tenant."""

    subscription: str | None = None
    group: str | None = None
    management_group: str | None = None

    @property
    def id(self) -> str:
        """The scope's id; "" for the tenant."""
        if self.subscription is not None:
            base = f"/subscriptions/{self.subscription}"
            return base if self.group is None else f"{base}/resourceGroups/{self.group}"
        if self.management_group is not None:
            return f"/providers/Microsoft.Management/managementGroups/{self.management_group}"
        return ""


def _no_provider(namespace: str) -> JSON:
    raise ExpressionError(f"The provider '{namespace}' is not known.")


@dataclass(frozen=True, slots=True)
class Environment:
    """The facts that functions tell a template.

    Attributes:
        scope: Where it is deployed.
        now: The moment, for `utcNow`.
        new_guid: For `newGuid`.
        tenant_id, tenant, subscription, group: As `tenant()`, `subscription()` and
            `resourceGroup()` give them; None where the scope has none.
        cloud: `environment()`.
        deployment: `deployment()`.
        deployer: `deployer()`.
        provider: `providers(namespace)`.
        management_group_name: The display name of a management group, by its name.
        external_inputs: Values that `externalInputs` names.
    """

    scope: Scope
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    new_guid: Callable[[], str] = lambda: str(uuid4())
    tenant_id: str = ""
    management_group_name: Callable[[str], str] = str
    tenant: JSON = field(default_factory=dict)
    subscription: JSON | None = None
    group: JSON | None = None
    cloud: JSON = field(default_factory=dict)
    deployment: JSON = field(default_factory=dict)
    deployer: JSON = field(default_factory=dict)
    provider: Callable[[str], JSON] = _no_provider
    external_inputs: Mapping[str, Any] = field(default_factory=dict)
