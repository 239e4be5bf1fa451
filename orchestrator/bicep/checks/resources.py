"""Bodies of resources: names, parents, scopes, dependencies."""

from __future__ import annotations

from orchestrator import azure_types
from orchestrator.bicep import kinds, scopes
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.described import lacking
from orchestrator.bicep.config import experimental
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model
from orchestrator.bicep.resource_types import ONLY_SCOPE
from orchestrator.bicep.symbols import Resource, Symbol
from orchestrator.bicep.unit import built_in_name

_BITS = {
    scopes.TENANT: azure_types.TENANT,
    scopes.MANAGEMENT_GROUP: azure_types.MANAGEMENT_GROUP,
    scopes.SUBSCRIPTION: azure_types.SUBSCRIPTION,
    scopes.RESOURCE_GROUP: azure_types.RESOURCE_GROUP,
}
_EXISTING = ("name", "parent", "scope", "dependsOn")
_READ_ONLY = ("id", "type", "apiVersion")
_SPOKEN = {
    scopes.TENANT: "the tenant",
    scopes.MANAGEMENT_GROUP: "a management group",
    scopes.SUBSCRIPTION: "a subscription",
    scopes.RESOURCE_GROUP: "a resource group",
}


def check(model: Model, typing: Typing) -> None:
    names: dict[tuple[object, ...], list[tuple[Resource, s.Node]]] = {}
    for resource in model.resources:
        _body(model, typing, resource)
        _parent(model, resource)
        _scope(model, resource)
        _only_scope(model, resource)
        depends_on(model, typing, resource.body)
        _collect(names, typing, resource)
    for same in names.values():
        if len(same) > 1:
            spoken = ", ".join(f'"{resource.name}"' for resource, _ in same)
            for _, node in same:
                model.error(node, "BCP121", f"These resources have the same name: {spoken}.")


def _collect(
    names: dict[tuple[object, ...], list[tuple[Resource, s.Node]]],
    typing: Typing,
    resource: Resource,
) -> None:
    """Resources by type, place and name, where the file alone says the name."""
    value = resource.body.value("name")
    name = text_of(typing, value)
    if resource.existing or value is None or name is None:
        return
    condition = s.condition_of(resource.decl.value)
    if condition is not None and not is_true(typing, condition):
        return
    parent = resource.parent.symbol if resource.parent is not None else None
    index = resource.parent_index
    place = spelled(resource.symbol.model, index) + spelled(
        resource.symbol.model, resource.body.value("scope")
    )
    key = (resource.type.lower(), parent, place, name.lower())
    names.setdefault(key, []).append((resource, value))


def text_of(typing: Typing, node: s.Node | None) -> str | None:
    """The text that an expression always is, None when only a deployment knows."""
    kind = typing.of(node) if node is not None else kinds.ANY
    return str(kind.value) if kind.name == "string" and kind.is_literal else None


def is_true(typing: Typing, node: s.Node) -> bool:
    return typing.of(node).value is True


def spelled(model: Model, node: s.Node | None) -> str:
    """An expression as the file has it, without blanks."""
    return "" if node is None else "".join(model.source.text[node.start : node.end].split())


def _body(model: Model, typing: Typing, resource: Resource) -> None:
    body = resource.body
    name = body.prop("name")
    if name is None:
        if not any(isinstance(item, s.Spread) for item in body.items):
            others = _lacking(typing, resource)
            names = ", ".join(f'"{one}"' for one in sorted({"name", *others}))
            plural = "properties" if others else "property"
            model.error(resource.decl.name, "BCP035", f"A resource needs the {plural} {names}.")
    else:
        found = typing.of(name.value)
        if not kinds.fits(found, kinds.STRING) or found.name == "null":
            model.error(name.value, "BCP036", f"A name is a string; this is {found.spell()}.")
        _segments(model, resource, name.value)
    for item in body.items:
        if isinstance(item, s.Spread):
            model.error(item, "BCP402", "... can't stand at the top of a resource's body.")
    for prop in body.props:
        if prop.name == "asserts" and not experimental(model.path.parent, "assertions"):
            model.error(
                prop.key,
                "BCP349",
                "asserts is experimental: enable it in bicepconfig.json "
                '({"experimentalFeaturesEnabled": {"assertions": true}}).',
            )
        elif prop.name in _READ_ONLY:
            model.error(prop.key, "BCP073", f'"{prop.name}" can\'t be given: Azure sets it.')
        elif resource.existing and prop.name not in _EXISTING:
            model.error(
                prop.key, "BCP173", f'An existing resource has no "{prop.name}" to be given.'
            )


def _lacking(typing: Typing, resource: Resource) -> list[str]:
    """What a resource's type requires and its body has not, where a library says it."""
    wanted = typing.body(kinds.Kind(sym.RESOURCE, source=resource.symbol))
    if wanted is None or resource.existing:
        return []
    return lacking(wanted, {prop.name or "" for prop in resource.body.props})


def _segments(model: Model, resource: Resource, node: s.Node) -> None:
    """A name has as many parts as its type."""
    inner = s.unwrap(node)
    if not isinstance(inner, s.Str):
        return
    slashes = sum(part.count("/") for part in inner.parts)
    if resource.parent is not None:
        if slashes:
            model.error(
                node, "BCP170", "A child's name is its own part only: without / and its parent's."
            )
        return
    wanted = len(resource.type_segments) - 2
    if slashes != wanted and (not inner.holes or slashes > wanted):
        model.error(
            node,
            "BCP169",
            f'A name of the type {resource.type} has {wanted} "/", but this one has {slashes}.',
        )


def _parent(model: Model, resource: Resource) -> None:
    prop = resource.body.prop("parent")
    if prop is None:
        return
    if resource.nested:
        model.error(prop.key, "BCP037", "A nested resource's parent is the one around it.")
        return
    node = s.unwrap(prop.value)
    indexed = isinstance(node, s.Index)
    if isinstance(node, s.Index):
        node = s.unwrap(node.base)
    if not isinstance(node, (s.Name, s.Nested)):
        model.error(prop.value, "BCP240", "A parent is named directly: parent: theResource.")
        return
    if resource.parent is None:
        if node.symbol is not None:
            model.error(prop.value, "BCP036", "A parent is a resource of this file.")
        return
    parent = resource.parent
    if parent.symbol.is_collection != indexed:
        what = "one of its members: name[index]" if not indexed else "no collection"
        model.error(prop.value, "BCP144", f'"{parent.name}" is {what}.')
    depth = len(parent.type_segments)
    own = [segment.lower() for segment in resource.type_segments]
    if own[:depth] != [segment.lower() for segment in parent.type_segments] or (
        len(own) != depth + 1
    ):
        model.error(
            prop.value,
            "BCP036",
            f"A parent of {resource.type} is {'/'.join(resource.type_segments[:-1])}, "
            f"but this is {parent.type}.",
        )


def _scope(model: Model, resource: Resource) -> None:
    prop = resource.body.prop("scope")
    if prop is None:
        return
    if resource.parent is not None:
        model.error(prop.value, "BCP164", "A child has the scope of its parent: give none.")
        return
    found = scopes.read_scope(model, prop.value)
    if found is None:
        if not chosen_late(model, prop.value):
            _no_scope(model, prop.value)
        return
    if resource.existing or _deployable(model, found):
        return
    where = _SPOKEN.get(found.kind, "elsewhere")
    model.error(
        prop.value,
        "BCP139",
        f"A resource is deployed where its file is; for {where} elsewhere use a module.",
    )


def _only_scope(model: Model, resource: Resource) -> None:
    """Some types are deployed in one scope only, and a child where its parent is."""
    chain = resource.ancestors()
    root = chain[0] if chain else resource
    place = scopes.read_scope(model, root.body.value("scope"))
    if place is None:
        return
    only = ONLY_SCOPE.get(resource.type.lower())
    known = azure_types.scopes(resource.type)
    allowed = [only] if only else [kind for kind, bit in _BITS.items() if known & bit]
    if place.kind in _BITS and allowed and place.kind not in allowed:
        model.error(
            resource.decl.name,
            "BCP135",
            f"{resource.type} is for the scope {' or '.join(allowed)}, not {place.kind}.",
        )
    elif chain and not resource.existing and not _deployable(model, place):
        where = _SPOKEN.get(place.kind, "elsewhere")
        model.error(
            resource.decl.name,
            "BCP165",
            f"A child is deployed where its parent is: {where} elsewhere; use a module for it.",
        )


def chosen_late(model: Model, node: s.Node) -> bool:
    """Refuse a scope that a condition chooses; whether it is one."""
    late = scopes.chosen_late(node)
    if late:
        model.error(
            node,
            "BCP420",
            "A condition can't choose the scope: it must be known before the deployment.",
            "Choose the name, not the scope: scope: resourceGroup(condition ? 'a' : 'b')",
        )
    return late


def _no_scope(model: Model, node: s.Node) -> None:
    inner = s.unwrap(node)
    if isinstance(inner, s.Index):
        inner = s.unwrap(inner.base)
    if isinstance(inner, s.Name) and inner.symbol is None:
        return
    model.error(
        node,
        "BCP036",
        "A scope is resourceGroup(…), subscription(…), managementGroup(…), tenant() or a resource.",
    )


def _deployable(model: Model, scope: scopes.Scope) -> bool:
    if scope.kind == scopes.RESOURCE:
        resource = scope.resource
        for _ in range(8):
            if resource is None:
                return True
            chain = resource.ancestors()
            root = chain[0] if chain else resource
            inner = scopes.read_scope(model, root.body.value("scope"))
            if inner is None:
                return True
            if inner.kind != scopes.RESOURCE:
                return inner.kind == scopes.TENANT or (
                    inner.kind == model.target_scope and inner.is_default
                )
            resource = inner.resource
        return True
    if scope.kind == scopes.TENANT:
        return True
    return scope.kind == model.target_scope and scope.is_default


def depends_on(model: Model, typing: Typing, body: s.Object) -> None:
    """dependsOn lists resources and modules."""
    prop = body.prop("dependsOn")
    if prop is None:
        return
    value = s.unwrap(prop.value)
    if isinstance(value, s.Array):
        for item in value.items:
            _dependency(model, typing, item)
    elif isinstance(value, (s.Str, s.Int, s.Bool, s.Object, s.Null)) or (
        typing.of(value).name in ("resource", "module")
    ):
        model.error(value, "BCP036", "dependsOn is an array: [theResource].")
    elif _is_any(value):
        model.error(value, "BCP176", "dependsOn can't be any(…): name what it waits for.")


def _is_any(node: s.Node) -> bool:
    return isinstance(node, (s.Call, s.MethodCall)) and built_in_name(node) == "any"


def _dependency(model: Model, typing: Typing, item: s.Node) -> None:
    node = s.unwrap(item)
    if isinstance(node, s.Ternary):
        _dependency(model, typing, node.yes)
        _dependency(model, typing, node.no)
        return
    if isinstance(node, s.Index):
        node = s.unwrap(node.base)
    if isinstance(node, (s.Name, s.Nested)):
        symbol = node.symbol
        if symbol is None:
            return
        if isinstance(symbol, Symbol) and symbol.kind in (sym.RESOURCE, sym.MODULE):
            return
        if (
            isinstance(symbol, Symbol)
            and symbol.kind == sym.VAR
            and typing.of(item).name in ("any", "resource", "module", "array", "union")
        ):
            return
    elif _is_any(node):
        model.error(item, "BCP176", "dependsOn can't have any(…): name what it waits for.")
        return
    elif isinstance(node, s.Spread):
        return
    elif isinstance(node, (s.Call, s.MethodCall)) and built_in_name(node) != "fail":
        if typing.of(node).name == "any":
            return
    elif isinstance(node, s.Null) and isinstance(item.parent, s.Ternary):
        return  # what is chosen is waited for on either side
    if scopes.scope_call(scopes.variable_value(node)) is not None:
        return  # a scope is taken for what it is, and is there already: nothing is waited for
    model.error(item, "BCP034", "dependsOn lists resources and modules by their names.")
