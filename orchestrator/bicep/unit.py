"""What must be known of a whole file before any part of its template is written."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from orchestrator.bicep import functions
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import experimental
from orchestrator.bicep.inlining import Inlining
from orchestrator.bicep.interface import secure_outputs
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.loading import LoadFault, load_content
from orchestrator.bicep.model import Model, has_decorator
from orchestrator.bicep.symbols import Symbol

_TYPE_SYNTAX = (s.TypeObject, s.TypeArray, s.TypeTuple, s.TypeUnion, s.TypeNullable)
# as bicepconfig.json names them, and as a template does
_FEATURES = {
    "assertions": "Asserts",
    "waitUntil": "Enable waitUntil feature on resource bicep types",
    "localDeploy": "Enable local deploy",
    "moduleExtensionConfigs": "Enable defining extension configs for modules",
    "userDefinedConstraints": "Enable @validate() decorator",
    "deployCommands": "Enable deploy commands",
    "runtimeValuesInTagsAndSku": "Enable runtime values in tags and SKU",
    "azExtensionConfig": "Enable configuration for the built-in 'az' extension",
}
DEPLOYMENT_TYPE = "Microsoft.Resources/deployments"
DEPLOYMENT_API = "2025-04-01"


class Unit:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.inlining = Inlining(model)
        # calls whose result was read while compiling; those of `variables` are kept in one
        self.loaded: dict[s.Node, Any] = {}
        self.load_variables: dict[s.Node, str] = {}
        for decl in model.decls:
            self._load(decl, in_function=isinstance(decl, s.FuncDecl))

    def _load(self, root: s.Node, *, in_function: bool) -> None:
        from orchestrator.bicep.inference import Typing

        typing = Typing(self.model)
        for node in s.walk(root):
            if not isinstance(node, (s.Call, s.MethodCall)):
                continue
            name = built_in_name(node)
            flag = functions.flag(name)
            if flag not in (functions.LOADS, functions.LOADS_INDIRECT):
                continue
            try:
                args = [_folded(typing.of(arg), arg) for arg in node.args]
                self.loaded[node] = load_content(name, args, self.model.path.parent)
            except LoadFault as fault:
                self.model.error(fault.node or node, fault.code, fault.message)
                continue
            direct = isinstance(node.parent, s.VarDecl)
            if not in_function and (flag == functions.LOADS or not direct):
                self.load_variables[node] = f"$fxv#{len(self.load_variables)}"

    @cached_property
    def features(self) -> list[str]:
        """Enabled features that need the service's experimental version of the language."""
        folder = self.model.path.parent
        return [spoken for name, spoken in _FEATURES.items() if experimental(folder, name)]

    @cached_property
    def experimental(self) -> bool:
        """Whether the template needs the service's experimental version of the language."""
        return (
            bool(self.features)
            or any(has_decorator(found.decl, "nullIfNotFound") for found in self.model.resources)
            or any(_asks_what_was(decl) for decl in self.model.declarations(s.ResourceDecl))
        )

    @cached_property
    def symbolic(self) -> bool:
        """Whether resources are written by name (languageVersion 2.0), as the real one decides."""
        model = self.model
        if (
            self.experimental
            or experimental(model.path.parent, "symbolicNameCodegen")
            or model.of(sym.TYPE)
            or model.of(sym.FUNC)
            or any(isinstance(decl, s.ImportDecl) for decl in model.decls)
        ):
            return True
        if any(isinstance(var.decl, s.VarDecl) and var.decl.type for var in model.of(sym.VAR)):
            return True
        if secure_outputs(model):
            return True
        for module in model.of(sym.MODULE):
            body = module.body
            if module.file is not None and secure_outputs(module.file):
                return True
            if body is not None and body.value("name") is None:
                return True
        for resource in model.resources:
            decl = resource.decl
            if decl.existing and resource.body.prop("dependsOn") is not None:
                return True
            if has_decorator(decl, "onlyIfNotExists") or has_decorator(decl, "retryOn"):
                return True
        return any(self._needs_symbols(decl) for decl in model.decls)

    def _needs_symbols(self, decl: s.Node) -> bool:
        """Type syntax, or a collection used as a whole outside of dependsOn."""
        depends: set[s.Node] = set()
        for node in s.walk(decl):
            if isinstance(node, (s.ResourceDecl, s.ModuleDecl)):
                body = s.body_of(node.value)
                prop = body.prop("dependsOn") if body is not None else None
                if prop is not None:
                    depends.update(s.walk(prop))
            elif isinstance(node, _TYPE_SYNTAX):
                return True
            elif (
                isinstance(node, s.Name)
                and node not in depends
                and isinstance(node.symbol, Symbol)
                and node.symbol.kind in (sym.RESOURCE, sym.MODULE)
                and node.symbol.is_collection
            ):
                parent = node.parent
                while isinstance(parent, s.Paren):
                    parent = parent.parent
                if not isinstance(parent, (s.Member, s.Index)):
                    return True
        return False


def _folded(kind: Kind, node: s.Node) -> s.Node:
    """A string that is known from the file alone, as if it were written out."""
    if kind.name != "string" or not kind.is_literal:
        return node
    return s.Str(node.start, node.end, [str(kind.value)], [])


def _asks_what_was(decl: s.ResourceDecl) -> bool:
    """Whether `this.exists()` or `this.existingResource()` is called in a resource."""
    return any(
        isinstance(node, s.MethodCall) and namespace_of(node.base) == functions.THIS
        for node in s.walk(decl)
    )


def namespace_of(node: s.Node) -> str:
    """The namespace that an expression is, or ""."""
    base = s.unwrap(node)
    if (
        isinstance(base, s.Name)
        and isinstance(base.symbol, Symbol)
        and base.symbol.kind == sym.NAMESPACE
    ):
        return base.symbol.name
    return ""


def is_namespace(node: s.Node) -> bool:
    return bool(namespace_of(node))


def built_in_name(node: s.Node) -> str:
    """The name of the built-in function that is called, or ""."""
    if isinstance(node, s.Call) and node.symbol is None:
        return node.name.name
    if isinstance(node, s.MethodCall) and is_namespace(node.base):
        return node.name.name
    return ""
