"""A Bicep file as a template: the parts put together."""

from __future__ import annotations

from typing import Any

from orchestrator.bicep import arm, scopes
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Arm, Fn, Lit, fn, read
from orchestrator.bicep.convert import Converter
from orchestrator.bicep.dependencies import Dependencies, Uses
from orchestrator.bicep.imports import _LOADED, Closure
from orchestrator.bicep.model import (
    EXPORTED_VARIABLES,
    SCHEMAS,
    ArmFile,
    Model,
    decorator,
    has_decorator,
)
from orchestrator.bicep.naming import NAMESPACE, Naming
from orchestrator.bicep.references import Env, Reference
from orchestrator.bicep.schema import Schemas, describe, merge
from orchestrator.bicep.symbols import Resource, Symbol
from orchestrator.bicep.unit import DEPLOYMENT_API, DEPLOYMENT_TYPE
from orchestrator.bicep.writer import Writer

Template = dict[str, Any]

IMPORTED_MARK = "__bicep_imported_from!"
_OPTIONS = ("waitUntil", "retryOn", "onlyIfNotExists", "nullIfNotFound")
_RESOURCE_APART = frozenset({"name", "scope", "parent", "dependsOn"})
_MODULE_APART = frozenset({"name", "scope", "params", "dependsOn", "extensionConfigs"})
_EXPERIMENTAL = (
    "This template uses ARM features that are experimental. Experimental features should be "
    "enabled for testing purposes only, as there are no guarantees about the quality or stability "
    "of these features. Do not enable these settings for any production usage, or your production "
    "environment may be subject to breaking."
)


class TemplateWriter:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.unit = model.unit
        self.closure: Closure = model.closure
        self.naming = Naming(self.closure, model)
        self.converter = Converter(self.unit, self.naming)
        self.writer = Writer(self.converter)
        self.schemas = Schemas(model, self.naming, self.converter)
        self.dependencies = Dependencies(self.converter, Uses(model))

    def write(self) -> Template:
        template: Template = {"$schema": SCHEMAS[self.model.target_scope]}
        if self.unit.experimental:
            template["languageVersion"] = "2.1-experimental"
        elif self.unit.symbolic:
            template["languageVersion"] = "2.0"
        template["contentVersion"] = "1.0.0.0"
        template["metadata"] = self._metadata()
        parts = {
            "definitions": self._definitions(),
            "functions": self._functions(),
            "parameters": self._parameters(),
            "variables": self._variables(),
        }
        template.update({name: part for name, part in parts.items() if part})
        template["resources"] = self._resources()
        outputs = {symbol.name: self._output(symbol) for symbol in self.model.of(sym.OUTPUT)}
        if outputs:
            template["outputs"] = outputs
        asserts = {
            symbol.name: self._value(symbol.decl.value)
            for symbol in self.model.of(sym.ASSERT)
            if isinstance(symbol.decl, s.NamedValue)
        }
        if asserts:
            template["asserts"] = asserts
        return template

    def _value(self, node: s.Node) -> Any:
        return self.writer.emit(node, {})

    # --- head

    def _metadata(self) -> Template:
        from orchestrator import __version__

        found: Template = {}
        if self.unit.experimental:
            found["_EXPERIMENTAL_WARNING"] = _EXPERIMENTAL
            found["_EXPERIMENTAL_FEATURES_ENABLED"] = list(self.unit.features)
        found["_generator"] = {"name": "orchestrator", "version": __version__}
        exported = []
        for symbol in self.model.of(sym.VAR):
            decl = symbol.decl
            if not isinstance(decl, s.VarDecl) or not has_decorator(decl, "export"):
                continue
            entry: Template = {"name": symbol.name}
            text = describe(decl, self.converter)
            if text is not None:
                entry["description"] = text
            if decl.type is not None:
                entry["type"] = self.schemas.schema(decl.type)
            exported.append(entry)
        exported.sort(key=lambda entry: str(entry["name"]))
        if exported:
            found[EXPORTED_VARIABLES] = exported
        for symbol in self.model.of(sym.METADATA):
            if isinstance(symbol.decl, s.NamedValue):
                found[symbol.name] = self._value(symbol.decl.value)
        return found

    # --- what is declared, here and in the imported files

    def _foreign(self, model: Model) -> tuple[Schemas, Converter]:
        naming = Naming(self.closure, model)
        converter = Converter(self.closure.unit(model), naming)
        return Schemas(model, naming, converter), converter

    def _definitions(self) -> Template:
        found: Template = {}
        for symbol in self.model.of(sym.TYPE):
            if isinstance(symbol.decl, s.TypeDecl):
                found[symbol.name] = self.schemas.declared(
                    symbol.decl, symbol.decl.type, export=True
                )
        for key, entry in self.closure.entries.items():
            if entry.kind != sym.TYPE:
                continue
            name = self.closure.names[key]
            if isinstance(entry.file, ArmFile):
                schema = self.closure.arm_type(entry.file, entry.name)
            else:
                assert entry.symbol is not None
                decl = entry.symbol.decl
                assert isinstance(decl, s.TypeDecl)
                schema = self._foreign(entry.file)[0].declared(decl, decl.type)
            origin = self.closure.origin(key, name, suffix=True)
            found[name] = merge(schema, {"metadata": {IMPORTED_MARK: origin}})
        return found

    def _functions(self) -> list[Template]:
        spaces: dict[str, Template] = {}
        for symbol in self.model.of(sym.FUNC):
            assert isinstance(symbol.decl, s.FuncDecl)
            body = self._function(symbol.decl, self.schemas, self.converter)
            if has_decorator(symbol.decl, "export"):
                body.setdefault("metadata", {})["__bicep_export!"] = True
            spaces.setdefault(NAMESPACE, {})[symbol.name] = body
        for key, entry in self.closure.entries.items():
            if entry.kind != sym.FUNC:
                continue
            space, _, name = self.closure.names[key].rpartition(".")
            if isinstance(entry.file, ArmFile):
                body = self.closure.arm_function(entry.file, entry.name)
            else:
                assert entry.symbol is not None
                assert isinstance(entry.symbol.decl, s.FuncDecl)
                schemas, converter = self._foreign(entry.file)
                body = self._function(entry.symbol.decl, schemas, converter)
            origin = self.closure.origin(key, name, suffix=False)
            body.setdefault("metadata", {})[IMPORTED_MARK] = origin
            spaces.setdefault(space or NAMESPACE, {})[name] = body
        return [{"namespace": space, "members": members} for space, members in spaces.items()]

    def _function(self, decl: s.FuncDecl, schemas: Schemas, converter: Converter) -> Template:
        body: Template = {
            "parameters": [
                {**schemas.schema(param.type), "name": param.name.name} for param in decl.params
            ],
            "output": {
                **schemas.schema(decl.result),
                "value": Writer(converter).emit(decl.body, {}),
            },
        }
        text = describe(decl, converter)
        if text is not None:
            body["metadata"] = {"description": text}
        return body

    def _parameters(self) -> Template:
        found: Template = {}
        for symbol in self.model.of(sym.PARAM):
            decl = symbol.decl
            assert isinstance(decl, s.ParamDecl)
            schema = self.schemas.declared(decl, decl.type)
            if decl.default is not None:
                schema["defaultValue"] = self._value(decl.default)
            allowed = decorator(decl, "allowed")
            if allowed is not None and allowed.args:
                schema["allowedValues"] = self._value(allowed.args[0])
            found[symbol.name] = schema
        return found

    def _variables(self) -> Template:
        found: Template = {}
        loops: list[Template] = []
        for node, name in self.unit.load_variables.items():
            found[name] = self.writer.json(self.unit.loaded[node])
        for symbol in self.model.of(sym.VAR):
            if symbol not in self.unit.inlining.variables:
                assert isinstance(symbol.decl, s.VarDecl)
                self._variable(symbol.decl, symbol.name, self.writer, found, loops)
        for key, entry in self.closure.entries.items():
            name = self.closure.names[key]
            if entry.kind == _LOADED:
                found[name] = self.writer.json(entry.value)
            elif entry.kind != sym.VAR:
                continue
            elif isinstance(entry.file, ArmFile):
                value, loop = self.closure.arm_variable(entry.file, entry.name, name)
                if loop is not None:
                    loops.append(loop)
                else:
                    found[name] = value
            else:
                assert entry.symbol is not None
                assert isinstance(entry.symbol.decl, s.VarDecl)
                naming = Naming(self.closure, entry.file).within(name)
                writer = Writer(Converter(self.closure.unit(entry.file), naming))
                self._variable(entry.symbol.decl, name, writer, found, loops)
        return {"copy": loops, **found} if loops else found

    @staticmethod
    def _variable(
        decl: s.VarDecl, name: str, writer: Writer, found: Template, loops: list[Template]
    ) -> None:
        value = s.unwrap(decl.value)
        if isinstance(value, s.For):
            loops.append(writer.copy(name, value, {}, body=True))
        else:
            found[name] = writer.emit(value, {})

    # --- resources

    def _resources(self) -> Any:
        written = [
            (resource.symbolic_name, self._resource(resource))
            for resource in self.model.resources
            if (self.unit.symbolic and resource.symbol not in self.unit.inlining.resources)
            or not resource.existing
        ]
        written += [(symbol.name, self._module(symbol)) for symbol in self.model.of(sym.MODULE)]
        return dict(written) if self.unit.symbolic else [body for _, body in written]

    def _batch(self, decl: s.Node) -> int | None:
        found = decorator(decl, "batchSize")
        if found is None or not found.args or not isinstance(found.args[0], s.Int):
            return None
        return found.args[0].value

    def _resource(self, resource: Resource) -> Template:
        decl = resource.decl
        found: Template = {}
        loop = s.loop_of(decl.value)
        if loop is not None:
            found["copy"] = self.writer.copy(
                resource.symbolic_name, loop, {}, batch=self._batch(decl)
            )
        condition = self._condition(resource)
        if condition is not None:
            found["condition"] = condition
        if self.unit.symbolic and resource.existing:
            found["existing"] = True
        options = self._options(decl)
        if options:
            found["@options"] = options
        found["type"] = resource.type
        found["apiVersion"] = resource.api_version
        found.update(self._scope(resource))
        found["name"] = arm.to_text(self.converter.ids.full_name(resource, {}))
        props = [prop for prop in resource.body.props if prop.name not in _RESOURCE_APART]
        found.update(self._body(props))
        self._finish(found, resource.symbol)
        return found

    def _body(self, props: list[s.Prop]) -> Template:
        return self.writer.properties(props, {})

    def _condition(self, resource: Resource) -> Any:
        chain: list[Resource] = [resource]
        while chain[0].nested and chain[0].parent is not None:
            chain.insert(0, chain[0].parent)
        nodes = [node for one in chain if (node := s.condition_of(one.decl.value)) is not None]
        if not nodes:
            return None
        if len(nodes) == 1:
            return self._value(nodes[0])
        converted = self.converter.reading.condition(resource, {})
        assert converted is not None
        return arm.to_text(converted)

    def _options(self, decl: s.ResourceDecl) -> Template:
        found: Template = {}
        for one in decl.decorators:
            if one.name.name in _OPTIONS:
                found[one.name.name] = [self._value(arg) for arg in one.args]
        return found

    def _finish(self, found: Template, symbol: Symbol) -> None:
        depends = [
            arm.to_text(self.dependencies.entry(dependency))
            for dependency in self.dependencies.of(symbol)
        ]
        if depends:
            found["dependsOn"] = depends
        text = describe(symbol.decl, self.converter)
        if text is not None:
            found["metadata"] = {"description": text}

    def _scope(self, resource: Resource) -> Template:
        scope, root = self.converter.ids.scope(resource)
        env: Env = {}
        for ancestor, ancestor_env in self.converter.ids.ancestor_envs(resource, {}):
            if ancestor is root:
                env = ancestor_env
        if scope.kind == scopes.RESOURCE:
            assert scope.resource is not None
            if scope.index is not None:
                env = self.converter.at(scope.resource.symbol, scope.index, env).env
            return {"scope": arm.to_text(self.converter.ids.resource_id(scope.resource, env))}
        return self._scope_properties(scope, env)

    def _scope_properties(self, scope: scopes.Scope, env: Env) -> Template:
        here = self.model.target_scope
        env = self.converter.ids.scope_env(scope, env)
        if scope.kind == scopes.TENANT:
            return {} if here == scopes.TENANT else {"scope": "/"}
        if scope.kind == scopes.MANAGEMENT_GROUP:
            if scope.management_group is None:
                return {}
            full = here not in (scopes.TENANT, scopes.MANAGEMENT_GROUP)
            group = self.converter.ids.management_group_id(scope, env, full=full)
            return {"scope": arm.to_text(group)}
        if scope.kind == scopes.SUBSCRIPTION:
            if scope.subscription is not None:
                return {"subscriptionId": self.writer.emit(scope.subscription, env)}
            if here == scopes.RESOURCE_GROUP:
                own = read(fn("subscription"), Lit("subscriptionId"))
                return {"subscriptionId": arm.to_text(own)}
            return {}
        found: Template = {}
        if scope.subscription is not None:
            found["subscriptionId"] = self._text(scope.subscription, env)
        if scope.resource_group is not None:
            found["resourceGroup"] = self._text(scope.resource_group, env)
        return found

    def _text(self, node: s.Node, env: Env) -> str:
        return arm.to_text(self.converter.convert(node, env))

    # --- modules

    def _module(self, symbol: Symbol) -> Template:
        decl = symbol.decl
        body = symbol.body
        assert isinstance(decl, s.ModuleDecl)
        assert body is not None
        assert symbol.file is not None
        found: Template = {}
        loop = s.loop_of(decl.value)
        if loop is not None:
            found["copy"] = self.writer.copy(symbol.name, loop, {}, batch=self._batch(decl))
        condition = s.condition_of(decl.value)
        if condition is not None:
            found["condition"] = self._value(condition)
        found["type"] = DEPLOYMENT_TYPE
        found["apiVersion"] = DEPLOYMENT_API
        props = [prop for prop in body.props if prop.name not in _MODULE_APART]
        found.update(self.writer.properties(props, {}))
        found["name"] = arm.to_text(self.converter.reading.module_name(symbol, None, {}))
        scope = self.converter.ids.module_scope(symbol)
        found.update(self._scope_properties(scope, {}))
        if scope.kind != scopes.RESOURCE_GROUP:
            in_group = self.model.target_scope == scopes.RESOURCE_GROUP
            found["location"] = f"[{'resourceGroup' if in_group else 'deployment'}().location]"
        properties: Template = {
            "expressionEvaluationOptions": {"scope": "inner"},
            "mode": "Incremental",
        }
        params = body.value("params")
        if isinstance(params, s.Object):
            properties["parameters"] = self._arguments(params)
        if isinstance(symbol.file, ArmFile) and symbol.file.spec:
            properties["templateLink"] = {"id": symbol.file.spec}
        else:
            properties["template"] = template_of(symbol.file)
        found["properties"] = properties
        self._finish(found, symbol)
        return found

    def _arguments(self, params: s.Object) -> Template:
        found: Template = {}
        for prop in params.props:
            value = s.unwrap(prop.value)
            name = prop.name or ""
            if isinstance(value, s.For):
                loop = self.writer.copy("value", value, {})
                loop["input"] = self._looped_argument(value.body)
                found[name] = {"copy": [loop]}
            else:
                found[name] = self._argument(prop.value)
        return found

    def _looped_argument(self, body: s.Node) -> str:
        converted = self.converter.convert(body, {})
        inner, _ = self.converter.resolve(body, {})
        if not (isinstance(inner, s.Str) and inner.literal is not None):
            converted = arm.as_fn(converted)
        return arm.to_text(arm.rewrite(converted, _copy_of_value))

    def _argument(self, node: s.Node) -> Any:
        inner, _ = self.converter.resolve(node, {})
        if isinstance(inner, s.MethodCall) and self._secret(inner) is not None:
            return {"reference": self._key_vault(inner)}
        if isinstance(inner, s.Ternary):
            return arm.to_text(self._choice_arm(inner))
        return {"value": self.writer.emit(node, {})}

    def _choice_arm(self, node: s.Node) -> Arm:
        """condition ? a : b of parameters: each side says whether it is a value or a secret."""
        inner, env = self.converter.resolve(node, {})
        if isinstance(inner, s.Ternary):
            return fn(
                "if",
                self.converter.convert(inner.condition, env),
                self._choice_arm(inner.yes),
                self._choice_arm(inner.no),
            )
        if isinstance(inner, s.MethodCall) and self._secret(inner) is not None:
            return fn("createObject", Lit("reference"), self._key_vault_arm(inner))
        return fn("createObject", Lit("value"), self.converter.convert(node, env))

    def _secret(self, node: s.MethodCall) -> Reference | None:
        if node.name.name != "getSecret":
            return None
        return self.converter.reference(node.base, {})

    def _key_vault(self, node: s.MethodCall) -> Template:
        found = self._secret(node)
        assert found is not None
        resource = self.model.resource_of[found.symbol]
        vault = self.converter.ids.resource_id(resource, found.at.env if found.at else {})
        reference: Template = {
            "keyVault": {"id": arm.to_text(vault)},
            "secretName": self._value(node.args[0]),
        }
        if len(node.args) > 1:
            reference["secretVersion"] = self._value(node.args[1])
        return reference

    def _key_vault_arm(self, node: s.MethodCall) -> Arm:
        found = self._secret(node)
        assert found is not None
        resource = self.model.resource_of[found.symbol]
        vault = self.converter.ids.resource_id(resource, found.at.env if found.at else {})
        args: list[Arm] = [
            Lit("keyVault"),
            fn("createObject", Lit("id"), vault),
            Lit("secretName"),
            self.converter.convert(node.args[0], {}),
        ]
        if len(node.args) > 1:
            args += [Lit("secretVersion"), self.converter.convert(node.args[1], {})]
        return Fn("createObject", tuple(args))

    # --- outputs

    def _output(self, symbol: Symbol) -> Template:
        decl = symbol.decl
        assert isinstance(decl, s.OutputDecl)
        found = self.schemas.declared(decl, decl.type)
        value = s.unwrap(decl.value)
        if isinstance(value, s.For):
            found["copy"] = self.writer.copy(None, value, {}, body=True)
        else:
            found["value"] = self._value(decl.value)
        return found


def _copy_of_value(call: Fn) -> Fn:
    """A parameter's loop is called "value" in the template, whatever the parameter's name is."""
    if call.name == "copyIndex" and len(call.args) == 1 and isinstance(call.args[0], Lit):
        return Fn("copyIndex", (Lit("value"),), call.props)
    return call


def template_of(file: Model | ArmFile) -> Template:
    """A file's template; a compiled one as it is."""
    if isinstance(file, ArmFile):
        return file.template
    if file.template is None:
        file.template = TemplateWriter(file).write()
    return file.template
