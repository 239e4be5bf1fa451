"""Modules: their parameters, their scope."""

from __future__ import annotations

from orchestrator.bicep import kinds, scopes
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.resources import chosen_late, depends_on, is_true, spelled, text_of
from orchestrator.bicep.checks.values import check_value
from orchestrator.bicep.config import not_built_in
from orchestrator.bicep.diagnostics import UNSUPPORTED, nearest
from orchestrator.bicep.inference import Typing, parameter_type
from orchestrator.bicep.interface import Parameter, parameters
from orchestrator.bicep.kinds import Kind, Property
from orchestrator.bicep.model import ArmFile, Model
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.type_kinds import of_schema

# Source: Bicep's documentation of modules
_IDENTITY = Kind(
    "object",
    props={
        "type": Property(lambda: kinds.union(map(kinds.literal, ("None", "UserAssigned")))),
        "userAssignedIdentities": Property(lambda: kinds.OBJECT, required=False),
    },
    closed=True,
)
_PROPERTIES = ("name", "scope", "params", "dependsOn", "identity")
# from which target scope which scopes can be reached: without naming one, and by name
_REACH = {
    scopes.TENANT: ({"tenant"}, {"tenant", "managementGroup", "subscription", "resourceGroup"}),
    scopes.MANAGEMENT_GROUP: (
        {"tenant", "managementGroup"},
        {"tenant", "managementGroup", "subscription", "resourceGroup"},
    ),
    scopes.SUBSCRIPTION: (
        {"tenant", "subscription"},
        {"tenant", "subscription", "resourceGroup"},
    ),
    scopes.RESOURCE_GROUP: (
        {"tenant", "subscription", "resourceGroup"},
        {"tenant", "subscription", "resourceGroup"},
    ),
}


def check(model: Model, typing: Typing) -> None:
    names: dict[tuple[str, str], list[tuple[Symbol, s.Node]]] = {}
    for symbol in model.of(sym.MODULE):
        body = symbol.body
        if body is None:
            continue
        assert isinstance(symbol.decl, s.ModuleDecl)
        _body(model, typing, body)
        if symbol.file is not None:
            check_arguments(model, typing, symbol, body)
            _scope(model, symbol, body)
        depends_on(model, typing, body)
        name = body.value("name")
        condition = s.condition_of(symbol.decl.value)
        text = text_of(typing, name)
        if (
            name is not None
            and text is not None
            and (condition is None or is_true(typing, condition))
        ):
            place = spelled(model, body.value("scope"))
            own = {"resourceGroup()", "subscription()", "managementGroup()", "tenant()"}
            key = ("" if place in own else place, text.lower())
            names.setdefault(key, []).append((symbol, name))
    for same in names.values():
        if len(same) > 1:
            spoken = ", ".join(f'"{symbol.name}"' for symbol, _ in same)
            for _, node in same:
                model.error(node, "BCP122", f"These modules have the same name: {spoken}.")


def _body(model: Model, typing: Typing, body: s.Object) -> None:
    for prop in body.props:
        if prop.name == "extensionConfigs":
            spoken = not_built_in('"extensionConfigs" is of', "moduleExtensionConfigs")
            model.error(prop.key, UNSUPPORTED, spoken)
        elif prop.name is not None and prop.name not in _PROPERTIES:
            meant = nearest(prop.name, _PROPERTIES)
            model.error(
                prop.key,
                "BCP037",
                f'A module has no "{prop.name}"; it has {", ".join(_PROPERTIES)}.'
                + (f' Did you mean "{meant}"?' if meant else ""),
            )
    identity = body.value("identity")
    if identity is not None:
        check_value(model, typing, identity, _IDENTITY, "The identity", "BCP036")
    name = body.value("name")
    if name is not None:
        found = typing.of(name)
        if not kinds.fits(found, kinds.STRING) or found.name == "null":
            model.error(name, "BCP036", f"A name is a string; this is {found.spell()}.")


def parameter_kind(file: Model | ArmFile, parameter: Parameter) -> Kind:
    """What a template takes for a parameter."""
    if isinstance(file, ArmFile):
        found = of_schema(file, parameter.schema)
    elif isinstance(file, Model) and parameter.decl is not None:
        found = parameter_type(file, parameter.decl)
    else:
        return kinds.ANY
    # what may be left out may be null
    return found if parameter.required else kinds.union([found, kinds.NULL])


def check_arguments(model: Model, typing: Typing, symbol: Symbol, body: s.Object) -> None:
    """What a body gives for the parameters of its symbol's file."""
    assert symbol.file is not None
    assert isinstance(symbol.decl, (s.ModuleDecl, s.TestDecl))
    declared = parameters(symbol.file)
    required = [name for name, one in declared.items() if one.required]
    prop = body.prop("params")
    value = s.unwrap(prop.value) if prop is not None else None
    if prop is not None and not isinstance(value, s.Object):
        model.error(prop.value, "BCP183", "params is written out as an object: { name: value }.")
        return
    given: dict[str, s.Prop] = {}
    if isinstance(value, s.Object):
        for item in value.items:
            if isinstance(item, s.Spread):
                model.error(item, "BCP401", "... can't stand in a module's params.")
        for one in value.props:
            if one.name is None:
                model.error(one.key, "BCP183", "A parameter's name has no holes.")
            else:
                given[one.name] = one
    missing = [name for name in required if name not in given]
    if missing:
        names = ", ".join(f'"{name}"' for name in missing)
        at = value if isinstance(value, s.Object) else symbol.decl.name
        model.error(at, "BCP035", f"The module needs values for {names}.")
    for name, one in given.items():
        parameter = declared.get(name)
        if parameter is None:
            meant = nearest(name, declared)
            model.error(
                one.key,
                "BCP037",
                f'The module has no parameter "{name}".'
                + (f' Did you mean "{meant}"?' if meant else f" It has: {', '.join(declared)}."),
            )
            continue
        inner = s.unwrap(one.value)
        if isinstance(inner, s.MethodCall) and inner.name.name == "getSecret":
            continue
        check_value(
            model,
            typing,
            one.value,
            parameter_kind(symbol.file, parameter),
            f'The parameter "{name}"',
            "BCP036",
        )


def _scope(model: Model, symbol: Symbol, body: s.Object) -> None:
    assert symbol.file is not None
    assert isinstance(symbol.decl, s.ModuleDecl)
    prop = body.prop("scope")
    wanted = symbol.file.target_scope
    if prop is None:
        if wanted != model.target_scope:
            model.error(
                symbol.decl.name,
                "BCP134",
                f"The module is for the scope {wanted}, this file for {model.target_scope}: "
                "say where with scope:.",
            )
        return
    found = scopes.read_scope(model, prop.value)
    if found is None and chosen_late(model, prop.value):
        return
    if found is None or found.kind == scopes.RESOURCE:
        inner = s.unwrap(prop.value)
        if isinstance(inner, s.Index):
            inner = s.unwrap(inner.base)
        if isinstance(inner, s.Name) and inner.symbol is None:
            return
        model.error(
            prop.value,
            "BCP036",
            "A module's scope is resourceGroup(…), subscription(…), managementGroup(…), tenant() "
            "or a resource group of this file.",
        )
        return
    if found.kind != wanted:
        model.error(
            prop.value, "BCP134", f"The module is for the scope {wanted}, not {found.kind}."
        )
        return
    plain, named = _REACH[model.target_scope]
    if found.kind not in (plain if found.is_default else named):
        model.error(
            prop.value,
            "BCP115",
            f"From the scope {model.target_scope} this scope can't be reached.",
        )
