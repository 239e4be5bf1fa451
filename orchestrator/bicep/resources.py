"""What resources and modules are called: names, types and ids as expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bicep import scopes
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Arm, Lit, fn, read
from orchestrator.bicep.scopes import Scope
from orchestrator.bicep.symbols import Resource, Symbol
from orchestrator.bicep.unit import DEPLOYMENT_TYPE

if TYPE_CHECKING:
    from orchestrator.bicep.convert import Converter
from orchestrator.bicep.references import Env

_MANAGEMENT_GROUPS = "Microsoft.Management/managementGroups"


class Ids:
    def __init__(self, converter: Converter) -> None:
        self.converter = converter
        self.model = converter.model
        self._scopes: dict[s.Node, Scope] = {}

    # --- scopes

    def scope(self, resource: Resource) -> tuple[Scope, Resource]:
        """A resource's scope, which is that of its oldest ancestor; and that ancestor."""
        chain = resource.ancestors()
        root = chain[0] if chain else resource
        if root.decl not in self._scopes:
            found = scopes.read_scope(self.model, root.body.value("scope"))
            self._scopes[root.decl] = found or Scope(self.model.target_scope)
        return self._scopes[root.decl], root

    def module_scope(self, symbol: Symbol) -> Scope:
        if symbol.decl not in self._scopes:
            body = symbol.body
            assert body is not None
            found = scopes.read_scope(self.model, body.value("scope"))
            self._scopes[symbol.decl] = found or Scope(self.model.target_scope)
        return self._scopes[symbol.decl]

    def scope_env(self, scope: Scope, env: Env) -> Env:
        """The variables in which the names of a scope are to be read."""
        if scope.owner is not None and scope.index is not None:
            return self.converter.at(scope.owner.symbol, scope.index, env).env
        return env

    # --- names

    def ancestor_envs(self, resource: Resource, env: Env) -> list[tuple[Resource, Env]]:
        """Ancestors, oldest first, each with what its loop's variables are for this resource."""
        found: list[tuple[Resource, Env]] = []
        current, own = resource, env
        seen = {resource}
        while current.parent is not None and current.parent not in seen:
            parent = current.parent
            seen.add(parent)
            if not current.nested and current.parent_index is not None:
                own = self.converter.at(parent.symbol, current.parent_index, own).env
            found.append((parent, own))
            current = parent
        found.reverse()
        return found

    def _name(self, resource: Resource, env: Env) -> Arm:
        value = resource.body.value("name")
        return self.converter.convert(value, env) if value is not None else Lit("")

    def name_segments(self, resource: Resource, env: Env) -> list[Arm]:
        """One name for each part of the type."""
        ancestors = self.ancestor_envs(resource, env)
        own = self._name(resource, env)
        parts = len(resource.type_segments) - 1
        if not ancestors:
            return [own] if parts == 1 else _split(own, parts)
        names: list[Arm] = []
        first_parts = parts - len(ancestors)
        for index, (ancestor, ancestor_env) in enumerate(ancestors):
            name = self._name(ancestor, ancestor_env)
            if index == 0 and first_parts > 1:
                names += _split(name, first_parts)
            else:
                names.append(name)
        return [*names, own]

    def full_name(self, resource: Resource, env: Env) -> Arm:
        if resource.parent is None:
            return self._name(resource, env)
        segments = self.name_segments(resource, env)
        shape = "/".join(f"{{{index}}}" for index in range(len(segments)))
        return fn("format", Lit(shape), *segments)

    # --- ids

    def resource_id(self, resource: Resource, env: Env) -> Arm:
        scope, root = self.scope(resource)
        root_env = env
        for ancestor, ancestor_env in self.ancestor_envs(resource, env):
            if ancestor is root:
                root_env = ancestor_env
        segments = self.name_segments(resource, env)
        return self._id(scope, resource.type, segments, root_env)

    def module_id(self, symbol: Symbol, index: Arm | None, env: Env) -> Arm:
        name = self.converter.reading.module_name(symbol, index, env)
        return self._id(self.module_scope(symbol), DEPLOYMENT_TYPE, [name], env)

    def _id(self, scope: Scope, type_: str, names: list[Arm], env: Env) -> Arm:
        convert = self.converter.convert
        if scope.kind == scopes.TENANT:
            return fn("tenantResourceId", Lit(type_), *names)
        if scope.kind == scopes.RESOURCE:
            assert scope.resource is not None
            own = env
            if scope.index is not None:
                own = self.converter.at(scope.resource.symbol, scope.index, env).env
            extended = self.resource_id(scope.resource, own)
            return fn("extensionResourceId", extended, Lit(type_), *names)
        env = self.scope_env(scope, env)
        if scope.kind == scopes.SUBSCRIPTION:
            given = [convert(scope.subscription, env)] if scope.subscription is not None else []
            return fn("subscriptionResourceId", *given, Lit(type_), *names)
        if scope.kind == scopes.MANAGEMENT_GROUP:
            if scope.management_group is not None:
                group = self.management_group_id(scope, env, full=True)
            else:
                group = read(fn("managementGroup"), Lit("id"))
            return fn("extensionResourceId", group, Lit(type_), *names)
        if scope.resource_group is None:
            return fn("resourceId", Lit(type_), *names)
        if scope.subscription is not None:
            subscription = convert(scope.subscription, env)
        else:
            subscription = read(fn("subscription"), Lit("subscriptionId"))
        place = fn(
            "format",
            Lit("/subscriptions/{0}/resourceGroups/{1}"),
            subscription,
            convert(scope.resource_group, env),
        )
        return fn("extensionResourceId", place, Lit(type_), *names)

    def management_group_id(self, scope: Scope, env: Env, *, full: bool) -> Arm:
        assert scope.management_group is not None
        name = self.converter.convert(scope.management_group, env)
        if full:
            return fn("tenantResourceId", Lit(_MANAGEMENT_GROUPS), name)
        return fn("format", Lit("Microsoft.Management/managementGroups/{0}"), name)


def _split(name: Arm, parts: int) -> list[Arm]:
    return [read(fn("split", name, Lit("/")), Lit(index)) for index in range(parts)]
