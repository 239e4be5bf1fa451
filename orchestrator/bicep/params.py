"""A `.bicepparam` file as the parameters of a deployment: values, checked against the template."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from orchestrator.bicep import arm
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks import bounds
from orchestrator.bicep.checks.decorators import constant
from orchestrator.bicep.checks.modules import parameter_kind
from orchestrator.bicep.checks.values import check_value
from orchestrator.bicep.config import experimental, not_built_in
from orchestrator.bicep.convert import Converter
from orchestrator.bicep.diagnostics import UNSUPPORTED, nearest
from orchestrator.bicep.evaluate import EvaluationFault, Scope, evaluate
from orchestrator.bicep.external_inputs import FUNCTION, Expressions, ExternalInputs, vault_id
from orchestrator.bicep.imports import _LOADED, Closure
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.interface import parameters
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.model import ArmFile, Compilation, Model
from orchestrator.bicep.naming import Naming
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.unit import built_in_name

Json = Any

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"


@dataclass(slots=True)
class Evaluated:
    """`values`: each parameter as `{"value": …}`, `{"reference": …}` or `{"expression": …}`.

    `external_inputs`: what the expressions ask for, by key.
    """

    values: dict[str, dict[str, Json]] = field(default_factory=dict)
    external_inputs: dict[str, dict[str, Json]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Json]:
        return parameters_document(self.values, self.external_inputs)


def parameters_document(
    values: dict[str, dict[str, Json]], external_inputs: dict[str, dict[str, Json]]
) -> dict[str, Json]:
    """Values as ARM's own parameters file."""
    found = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "parameters": values}
    if external_inputs:
        found["externalInputDefinitions"] = external_inputs
    return found


class ParameterFile:
    """One file and those that it extends."""

    def __init__(self, model: Model, inputs: ExternalInputs) -> None:
        self.model = model
        self.inputs = inputs
        self.unit = model.unit
        self.closure: Closure = model.closure
        self.converter = Converter(self.unit, Naming(self.closure, model))
        self.base = ParameterFile(model.extends, inputs) if model.extends is not None else None
        self._variables: dict[str, Json] = {}
        self._running: list[str] = []
        self.own: dict[str, s.ParamAssign] = {}
        for symbol in model.of(sym.ASSIGNMENT):
            if isinstance(symbol.decl, s.ParamAssign):
                self.own.setdefault(symbol.name, symbol.decl)
        self._imported = {
            self.closure.names[key]: entry for key, entry in self.closure.entries.items()
        }
        self.expressions = Expressions(
            inputs, self._variable_meaning, self._parameter_meaning, self._evaluated
        )

    @property
    def assignments(self) -> dict[str, ParameterFile]:
        """Each parameter, and the file that gives its value: the nearest one."""
        found = dict(self.base.assignments) if self.base is not None else {}
        found.update(dict.fromkeys(self.own, self))
        return found

    # --- values

    def scope(self) -> Scope:
        return Scope(self._parameter, self._variable, self._function)

    def _parameter(self, name: str) -> Json:
        if name not in self.own:
            raise EvaluationFault(f'The parameter "{name}" has no value here.')
        value = self._value_of(f"parameters {name}", self.own[name].value)
        using = self.model.using
        declared = parameters(using).get(name) if value is None and using is not None else None
        if declared is not None and declared.has_default:
            raise EvaluationFault(f'"{name}" is null: its value is the template\'s default, later.')
        return value

    def _value_of(self, key: str, node: s.Node, converter: Converter | None = None) -> Json:
        if key in self._running:
            raise EvaluationFault("This value needs itself.")
        self._running.append(key)
        try:
            return self.value(node, converter)
        finally:
            self._running.pop()

    def value(self, node: s.Node, converter: Converter | None = None) -> Json:
        converter = converter or self.converter
        inner = s.unwrap(node)
        if isinstance(inner, s.For):
            return self._loop(inner, converter)
        converter = _WithBase(self, converter) if self.base is not None else converter
        return evaluate(converter.convert(node, {}), self.scope())

    def _loop(self, loop: s.For, converter: Converter) -> list[Json]:
        items = evaluate(converter.convert(loop.array, {}), self.scope())
        name = converter.copy_name(loop) or ""
        found = []
        body = converter.convert(loop.body, {})
        for index in range(len(items)):
            scope = self.scope()
            scope.copy_indexes = {name: index}
            found.append(evaluate(body, scope))
        return found

    def _variable(self, name: str) -> Json:
        if name in self._variables:
            return self._variables[name]
        for node, loaded in self.unit.load_variables.items():
            if loaded == name:
                return self.unit.loaded[node]
        symbol = self.model.symbols.get(name)
        if symbol is not None and isinstance(symbol.decl, s.VarDecl):
            value = self._value_of(f"variables {name}", symbol.decl.value)
        else:
            value = self._imported_variable(name)
        self._variables[name] = value
        return value

    def _imported_variable(self, name: str) -> Json:
        entry = self._imported[name]
        if entry.kind == _LOADED:
            return entry.value
        if isinstance(entry.file, ArmFile):
            value, loop = self.closure.arm_variable(entry.file, entry.name, name)
            if loop is not None:
                return self._arm_loop(name, loop)
            return self._template_value(value)
        assert entry.symbol is not None
        assert isinstance(entry.symbol.decl, s.VarDecl)
        naming = Naming(self.closure, entry.file).within(name)
        converter = Converter(self.closure.unit(entry.file), naming)
        return self._value_of(f"variables {name}", entry.symbol.decl.value, converter)

    def _arm_loop(self, name: str, loop: dict[str, Json]) -> list[Json]:
        count = evaluate(arm.parse(loop["count"]), self.scope())
        found = []
        for index in range(count):
            scope = self.scope()
            scope.copy_indexes = {name: index}
            found.append(self._template_value(loop["input"], scope))
        return found

    def _template_value(self, value: Json, scope: Scope | None = None) -> Json:
        scope = scope or self.scope()
        if isinstance(value, str):
            return evaluate(arm.parse(value), scope)
        if isinstance(value, list):
            return [self._template_value(item, scope) for item in value]
        if isinstance(value, dict):
            return {key: self._template_value(item, scope) for key, item in value.items()}
        return value

    def _function(self, name: str, args: list[Json]) -> Json:
        short = name.removeprefix("__bicep.")
        symbol = self.model.symbols.get(short)
        scope = self.scope()
        if symbol is not None and isinstance(symbol.decl, s.FuncDecl):
            decl, converter = symbol.decl, self.converter
        else:
            entry = self._imported[short]
            if isinstance(entry.file, ArmFile):
                body = self.closure.arm_function(entry.file, entry.name)
                names = [parameter["name"] for parameter in body["parameters"]]
                scope.arguments = dict(zip(names, args, strict=False))
                return self._template_value(body["output"]["value"], scope)
            assert entry.symbol is not None
            assert isinstance(entry.symbol.decl, s.FuncDecl)
            decl = entry.symbol.decl
            converter = Converter(self.closure.unit(entry.file), Naming(self.closure, entry.file))
        scope.arguments = dict(zip((one.name.name for one in decl.params), args, strict=False))
        return evaluate(converter.convert(decl.body, {}), scope)

    # --- what needs an input of whoever deploys

    def _variable_meaning(self, name: str) -> arm.Arm | None:
        symbol = self.model.symbols.get(name)
        if symbol is None or not isinstance(symbol.decl, s.VarDecl):
            return None
        return self._meaning(symbol.decl.value)

    def _parameter_meaning(self, name: str) -> arm.Arm | None:
        return self._meaning(self.own[name].value) if name in self.own else None

    def _meaning(self, node: s.Node) -> arm.Arm | None:
        if isinstance(s.unwrap(node), s.For):
            return None
        converter = self.converter if self.base is None else _WithBase(self, self.converter)
        return converter.convert(node, {})

    def _evaluated(self, expression: arm.Arm) -> Json:
        return evaluate(expression, self.scope())

    def find_inputs(self) -> None:
        """Give each input its key: those of parameters first, in the order of the file."""
        decls = [*self.model.of(sym.ASSIGNMENT), *self.model.of(sym.VAR)]
        for node in (inner for symbol in decls for inner in s.walk(symbol.decl)):
            if isinstance(node, (s.Call, s.MethodCall)) and built_in_name(node) == FUNCTION:
                self.inputs.key(arm.as_fn(self.converter.convert(node, {})), self._evaluated)

    # --- a parameter

    def argument(self, decl: s.ParamAssign) -> dict[str, Json]:
        inner, _ = self.converter.resolve(decl.value, {})
        if isinstance(inner, (s.Call, s.MethodCall)) and built_in_name(inner) == "getSecret":
            return {"reference": self._secret(inner.args)}
        external = self.external(decl.name.name)
        if external is not None:
            return {"expression": arm.to_text(external)}
        return {"value": self._value_of(f"parameters {decl.name.name}", decl.value)}

    def external(self, name: str) -> arm.Arm | None:
        """A parameter's value as an expression, when it needs an input."""
        meaning = self._parameter_meaning(name)
        if meaning is None or not self.expressions.needs_input(meaning):
            return None
        return self.expressions.write(meaning)

    def _secret_part(self, node: s.Node) -> Json:
        meaning = self._meaning(node)
        if meaning is not None and self.expressions.needs_input(meaning):
            return arm.to_text(self.expressions.write(meaning))
        return self.value(node)

    def _secret(self, args: list[s.Node]) -> dict[str, Json]:
        places = [self.converter.convert(arg, {}) for arg in args[:3]]
        if any(map(self.expressions.needs_input, places)):
            id_ = arm.to_text(vault_id(*map(self.expressions.write, places)))
        else:
            subscription, group, vault = (self.value(arg) for arg in args[:3])
            id_ = (
                f"/subscriptions/{subscription}/resourceGroups/{group}"
                f"/providers/Microsoft.KeyVault/vaults/{vault}"
            )
        name, *version = map(self._secret_part, args[3:])
        found = {"keyVault": {"id": id_}, "secretName": name}
        if version:
            found["secretVersion"] = version[0]
        return found


class _WithBase(Converter):
    """`base.name`: the value that the extended file gives."""

    def __init__(self, file: ParameterFile, converter: Converter) -> None:
        super().__init__(converter.unit, converter.naming)
        self.file = file

    def convert(self, node: s.Node, env: Any) -> arm.Arm:
        inner = s.unwrap(node)
        if isinstance(inner, s.Member) and _is_base(inner.base):
            return self._inherited(inner.name.name)
        if isinstance(inner, s.Index) and _is_base(inner.base):
            index = s.unwrap(inner.index)
            if isinstance(index, s.Str) and index.literal is not None:
                return self._inherited(index.literal)
        if isinstance(inner, s.Name) and _is_base(inner):
            assert self.file.base is not None
            pairs = [
                part
                for name in self.file.base.assignments
                for part in (arm.Lit(name), self._inherited(name))
            ]
            return arm.fn("createObject", *pairs)
        return super().convert(node, env)

    def _inherited(self, name: str) -> arm.Arm:
        assert self.file.base is not None
        owner = self.file.base.assignments.get(name)
        if owner is None:
            raise EvaluationFault(f'The extended file gives no "{name}".')
        found = owner.external(name)
        return found if found is not None else arm.from_json(owner._parameter(name))


def _is_base(node: s.Node) -> bool:
    inner = s.unwrap(node)
    return (
        isinstance(inner, s.Name)
        and isinstance(inner.symbol, Symbol)
        and inner.symbol.kind == sym.BASE
    )


def read_environment(model: Model, node: s.Node, args: list[s.Node]) -> str:
    """readEnvironmentVariable(name, default?)."""
    name = args[0].literal if args and isinstance(args[0], s.Str) else None
    if name is None:
        raise EvaluationFault("The variable's name is a plain string.")
    value = os.environ.get(name)
    if value is not None:
        return value
    if len(args) > 1 and isinstance(args[1], s.Str) and args[1].literal is not None:
        return args[1].literal
    raise EvaluationFault(f'The environment has no variable "{name}", and no default is given.')


def evaluate_file(compilation: Compilation, model: Model) -> Evaluated:
    """All values of a parameters file; what is wrong goes to the compilation's diagnostics."""
    inputs = ExternalInputs()
    file = ParameterFile(model, inputs)
    _read_environment(file)
    found = Evaluated()
    if compilation.diagnostics.errors:
        _check(file)
        return found
    file.find_inputs()
    for name, owner in file.assignments.items():
        decl = owner.own[name]
        try:
            found.values[name] = owner.argument(decl)
        except EvaluationFault as fault:
            owner.model.error(decl.value, "BCP338", str(fault))
    found.external_inputs = inputs.definitions
    _check(file)
    return found


def _read_environment(file: ParameterFile | None) -> None:
    while file is not None:
        for decl in file.model.decls:
            for node in s.walk(decl):
                if not isinstance(node, (s.Call, s.MethodCall)):
                    continue
                name = built_in_name(node)
                if name == FUNCTION:
                    for arg in node.args:
                        constant(file.model, arg)
                elif name == "readEnvironmentVariable":
                    try:
                        value = read_environment(file.model, node, node.args)
                    except EvaluationFault as fault:
                        file.model.error(node, "BCP427", str(fault))
                        value = ""
                    file.unit.loaded[node] = value
        file = file.base


def _check_form(model: Model) -> None:
    """What a parameters file has once, and without decorators."""
    for kind, code, spoken in (
        (s.UsingDecl, "BCP262", "using"),
        (s.ExtendsDecl, "BCP405", "extends"),
    ):
        for extra in list(model.declarations(kind))[1:]:
            model.error(extra, code, f"A .bicepparam file has one {spoken}.")
    for decl in model.decls:
        if isinstance(decl, (s.UsingDecl, s.ExtendsDecl, s.ParamAssign)):
            for decorator in decl.decorators[:1]:
                model.error(decorator, "BCP130", "No decorator stands here in a .bicepparam file.")
    if model.extends is not None:
        for symbol in (*model.of(sym.VAR), *model.of(sym.ASSIGNMENT), *model.of(sym.FUNC)):
            if symbol.name == "base":
                model.error(
                    symbol.decl, "BCP438", '"base" is the extended file: take another name.'
                )


def _check(file: ParameterFile) -> None:
    """Against the template's own parameters: none too many, none missing."""
    model = file.model
    _check_form(model)
    if experimental(model.path.parent, "deployCommands"):
        for using in model.declarations(s.UsingDecl):
            if using.path is not None:
                model.error(using, UNSUPPORTED, not_built_in("This file is of", "deployCommands"))
    if model.using is None:
        if not any(model.declarations(s.UsingDecl)):
            model.diagnostics.error(
                model.source, 0, 0, "BCP261", "A .bicepparam file begins with: using 'main.bicep'"
            )
        return
    declared = parameters(model.using)
    for name, owner in file.assignments.items():
        if name not in declared:
            meant = nearest(name, declared)
            owner.model.error(
                owner.own[name].name,
                "BCP259",
                f'The template has no parameter "{name}".'
                + (f' Did you mean "{meant}"?' if meant else ""),
            )
        else:
            _fits(owner, name, parameter_kind(model.using, declared[name]))
            bounds.check_argument(
                owner.model, Typing(owner.model), owner.own[name].value, model.using, declared[name]
            )
    missing = [
        name for name, one in declared.items() if one.required and name not in file.assignments
    ]
    if missing:
        using = next(model.declarations(s.UsingDecl))
        names = ", ".join(f'"{name}"' for name in missing)
        model.error(using, "BCP258", f"The template needs values for {names}.")


def _fits(owner: ParameterFile, name: str, wanted: Kind) -> None:
    value = owner.own[name].value
    inner = s.unwrap(value)
    if isinstance(inner, (s.Call, s.MethodCall)) and built_in_name(inner) == "getSecret":
        return
    check_value(
        owner.model, Typing(owner.model), value, wanted, f'The parameter "{name}"', "BCP033"
    )
