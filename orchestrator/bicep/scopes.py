"""Where resources and modules are deployed: what `scope:` means.

The scope is read from the expression itself (`subscription('…')`, a resource group that is declared
in the file, a resource that is extended): only such expressions can be a scope.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Resource, Symbol
from orchestrator.bicep.unit import built_in_name

TENANT = "tenant"
MANAGEMENT_GROUP = "managementGroup"
SUBSCRIPTION = "subscription"
RESOURCE_GROUP = "resourceGroup"
RESOURCE = "resource"

_GROUPS = "microsoft.resources/resourcegroups"
_MANAGEMENT_GROUPS = "microsoft.management/managementgroups"


@dataclass(slots=True, frozen=True)
class Scope:
    """`kind` and what names it. With `owner`, the expressions stand in that resource's body."""

    kind: str
    management_group: s.Node | None = None
    subscription: s.Node | None = None
    resource_group: s.Node | None = None
    resource: Resource | None = None  # the resource that is extended
    owner: Resource | None = None
    index: s.Node | None = None

    @property
    def is_default(self) -> bool:
        return not (self.management_group or self.subscription or self.resource_group)


def scope_call(node: s.Node) -> tuple[str, list[s.Node]] | None:
    """`resourceGroup(…)`, `az.subscription()`, …: its name and arguments."""
    node = s.unwrap(node)
    if not isinstance(node, (s.Call, s.MethodCall)):
        return None
    name = built_in_name(node)
    if name in (TENANT, MANAGEMENT_GROUP, SUBSCRIPTION, RESOURCE_GROUP):
        return name, node.args
    return None


def variable_value(node: s.Node) -> s.Node:
    """Through variables to what they are."""
    for _ in range(64):
        node = s.unwrap(node)
        symbol = node.symbol if isinstance(node, s.Name) else None
        decl = symbol.decl if isinstance(symbol, Symbol) else None
        if not isinstance(decl, s.VarDecl) or isinstance(decl.value, s.For):
            break
        node = decl.value
    return node


def chosen_late(node: s.Node) -> bool:
    """Whether a condition that only a deployment knows chooses the scope."""
    node = variable_value(node)
    return isinstance(node, s.Ternary) and not isinstance(variable_value(node.condition), s.Bool)


def read_scope(model: Model, node: s.Node | None) -> Scope | None:
    """The scope that an expression means; None when it means none."""
    if node is None:
        return Scope(model.target_scope)
    node = variable_value(node)
    if isinstance(node, s.Ternary):
        condition = variable_value(node.condition)
        if not isinstance(condition, s.Bool):
            return None
        return read_scope(model, node.yes if condition.value else node.no)
    called = scope_call(node)
    if called is not None:
        kind, args = called
        if kind == TENANT:
            return Scope(TENANT)
        if kind == MANAGEMENT_GROUP:
            return Scope(kind, management_group=args[0] if args else None)
        if kind == SUBSCRIPTION:
            return Scope(kind, subscription=args[0] if args else None)
        if len(args) > 1:
            return Scope(kind, subscription=args[0], resource_group=args[1])
        return Scope(kind, resource_group=args[0] if args else None)
    node = s.unwrap(node)
    index = None
    if isinstance(node, s.Index):
        index = node.index
        node = s.unwrap(node.base)
    if not isinstance(node, (s.Name, s.Nested)) or not isinstance(node.symbol, Symbol):
        return None
    target = model.resource_of.get(node.symbol)
    if node.symbol.kind != sym.RESOURCE or target is None:
        return None
    name = target.body.value("name")
    if target.type.lower() == _GROUPS:
        own = read_scope(model, target.body.value("scope"))
        return Scope(
            RESOURCE_GROUP,
            subscription=own.subscription if own is not None else None,
            resource_group=name,
            owner=target,
            index=index,
        )
    if target.type.lower() == _MANAGEMENT_GROUPS:
        return Scope(MANAGEMENT_GROUP, management_group=name, owner=target, index=index)
    return Scope(RESOURCE, resource=target, index=index)
