"""Files and what is declared in them: the model that everything else asks.

A `Compilation` loads each file once. A `Model` is a Bicep file, an `ArmFile` a template that was
compiled before (a module given as JSON, or one of a registry's).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.azure_types import spelling
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.compiled import template_fault
from orchestrator.bicep.config import experimental, not_built_in
from orchestrator.bicep.diagnostics import UNSUPPORTED, Diagnostics, SourceText
from orchestrator.bicep.loading import read_json
from orchestrator.bicep.paths import reading_fault
from orchestrator.bicep.registry import ModuleNotFound, resolve_reference
from orchestrator.bicep.resource_types import is_resource_type
from orchestrator.bicep.statements import parse
from orchestrator.bicep.symbols import Resource, Symbol, Target

if TYPE_CHECKING:
    from orchestrator.bicep.imports import Closure
    from orchestrator.bicep.kinds import Kind
    from orchestrator.bicep.type_library import Library, ResourceType
    from orchestrator.bicep.unit import Unit

Json = Any

EXPORT_MARK = "__bicep_export!"
EXPORTED_VARIABLES = "__bicep_exported_variables!"
SCOPES = {
    "resourceGroup": "resourceGroup",
    "subscription": "subscription",
    "managementGroup": "managementGroup",
    "tenant": "tenant",
}
SCHEMAS = {
    "resourceGroup": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "subscription": "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#",
    "managementGroup": "https://schema.management.azure.com/schemas/2019-08-01/managementGroupDeploymentTemplate.json#",
    "tenant": "https://schema.management.azure.com/schemas/2019-08-01/tenantDeploymentTemplate.json#",
}
_KINDS: dict[type[s.Decl], str] = {
    s.ParamDecl: sym.PARAM,
    s.VarDecl: sym.VAR,
    s.FuncDecl: sym.FUNC,
    s.TypeDecl: sym.TYPE,
    s.ResourceDecl: sym.RESOURCE,
    s.ModuleDecl: sym.MODULE,
    s.OutputDecl: sym.OUTPUT,
    s.MetadataDecl: sym.METADATA,
    s.AssertDecl: sym.ASSERT,
    s.TestDecl: sym.TEST,
    s.ParamAssign: sym.ASSIGNMENT,
}

_D = TypeVar("_D", bound=s.Decl)


class ArmFile:
    """A compiled template: its parameters, outputs and exports, read from its JSON."""

    def __init__(
        self, path: Path, reference: str, template: dict[str, Json], spec: str = ""
    ) -> None:
        self.path = path
        self.reference = reference  # "" for a file named by its path
        self.template = template
        self.spec = spec  # the id of the template spec that it is a version of, or ""

    @property
    def target_scope(self) -> str:
        schema = str(self.template.get("$schema", "")).lower()
        for scope, word in (
            ("tenant", "tenantdeployment"),
            ("managementGroup", "managementgroupdeployment"),
            ("subscription", "subscriptiondeployment"),
        ):
            if word in schema:
                return scope
        return "resourceGroup"

    def resolve(self, schema: Json) -> Json:
        """A parameter's or output's description, `$ref` followed."""
        seen = set()
        while isinstance(schema, dict) and "$ref" in schema and schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            found: Json = self.template
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                key = part.replace("~1", "/").replace("~0", "~")
                if isinstance(found, dict):
                    found = found.get(key, {})
                elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                    found = found[int(key)]
                else:
                    found = {}
            nullable = schema.get("nullable")
            schema = {**found, **({"nullable": nullable} if nullable is not None else {})}
        return schema

    @cached_property
    def exported_twice(self) -> list[str]:
        """Names that a type, a variable or a function share: a wildcard can't tell them apart."""
        counted = Counter(name for name, _ in self._exported())
        return [name for name, count in counted.items() if count > 1]

    @cached_property
    def exports(self) -> dict[str, Target]:
        return dict(self._exported())

    def _exported(self) -> Iterator[tuple[str, Target]]:
        for name, schema in self.template.get("definitions", {}).items():
            if schema.get("metadata", {}).get(EXPORT_MARK):
                yield name, Target(self, sym.TYPE, name)
        for entry in self.template.get("metadata", {}).get(EXPORTED_VARIABLES, []):
            yield entry["name"], Target(self, sym.VAR, entry["name"])
        for namespace in self.template.get("functions", []):
            prefix = namespace["namespace"]
            for name, body in namespace.get("members", {}).items():
                if body.get("metadata", {}).get(EXPORT_MARK):
                    full = name if prefix == "__bicep" else f"{prefix}.{name}"
                    yield full, Target(self, sym.FUNC, full)


class Compilation:
    """Everything that belongs to one entry file."""

    def __init__(self) -> None:
        self.diagnostics = Diagnostics()
        self.models: dict[Path, Model | ArmFile | None] = {}
        self.loading: list[Path] = []
        self.faults: dict[Path, str] = {}  # why a JSON file is no template
        self.silent_registries: dict[str, str] = {}

    def load(self, path: Path, reference: str = "") -> Model | ArmFile | None:
        """The file's model; None when it can't be read as what it is (it has been said why).

        Raises: OSError when it can't be read at all.
        """
        key = Path(os.path.abspath(path))  # noqa: PTH100 -- resolve() would follow links
        if key not in self.models:
            if key.suffix in (".bicep", ".bicepparam"):
                source = SourceText(key, key.read_bytes().decode("utf-8-sig"))
                model = Model(self, source)
                self.models[key] = model
                self.loading.append(key)
                model.declare()
                self.loading.pop()
            else:
                template = read_json(key.read_bytes().decode("utf-8-sig"))
                spec = ""
                if reference.startswith("ts:"):
                    spec, template = _of_spec(template)
                fault = template_fault(template)
                self.models[key] = None if fault else ArmFile(key, reference, template, spec)
                if fault:
                    self.faults[key] = fault
        return self.models[key]

    def check(self) -> None:
        """Find what is wrong in all files that were loaded."""
        from orchestrator.bicep.checks import check
        from orchestrator.bicep.linter import lint

        for model in list(self.models.values()):
            if isinstance(model, Model):
                check(model)
        if not self.diagnostics.errors:
            for model in list(self.models.values()):
                if isinstance(model, Model):
                    lint(model)


class Model:
    """A Bicep file: its declarations by kind, its symbols, its resources."""

    def __init__(self, compilation: Compilation, source: SourceText) -> None:
        self.compilation = compilation
        self.source = source
        self.path = source.path
        self.diagnostics = compilation.diagnostics
        self.is_params = source.path.suffix == ".bicepparam"
        self.template: dict[str, Json] | None = None  # once it is written (`emit.template_of`)
        # `broken`: names whose declarations could not be read; nothing is said of their uses
        self.decls, self.broken, self.foreign = parse(source, self.diagnostics)
        self.symbols: dict[str, Symbol] = {}
        self.outputs: dict[str, Symbol] = {}
        self.resources: list[Resource] = []
        self.resource_of: dict[Symbol, Resource] = {}
        self.by_kind: dict[str, list[Symbol]] = {}
        self.import_symbols: list[Symbol] = []  # imported by name
        self.wildcards: list[Symbol] = []
        self.alias_kinds: dict[s.Node, Kind] = {}  # of declared types, as they are found
        self.using: Model | ArmFile | None = None
        self.extends: Model | None = None

    # --- saying what is wrong

    def error(self, node: s.Node, code: str, message: str, hint: str = "") -> None:
        self.diagnostics.error(self.source, node.start, node.end, code, message, hint)

    def warning(self, node: s.Node, code: str, message: str, hint: str = "") -> None:
        self.diagnostics.warning(self.source, node.start, node.end, code, message, hint)

    # --- declarations

    def of(self, kind: str) -> list[Symbol]:
        return self.by_kind.get(kind, [])

    def declarations(self, form: type[_D]) -> Iterator[_D]:
        return (decl for decl in self.decls if isinstance(decl, form))

    def declare(self) -> None:
        """Make the symbols of the file, load the files it names, and bind its names."""
        for decl in self.decls:
            if isinstance(decl, s.ImportDecl):
                self._import(decl)
                continue
            kind = _KINDS.get(type(decl))
            if kind is None:
                continue
            name: s.Ident = decl.name  # type: ignore[attr-defined]
            symbol = Symbol(kind, name.name, decl, self)
            self.by_kind.setdefault(kind, []).append(symbol)
            self._enter(symbol, name)
            if isinstance(decl, s.ResourceDecl):
                self._resource(symbol, decl, None)
            elif isinstance(decl, s.ModuleDecl):
                symbol.file = self._file(decl.path, "module")
            elif isinstance(decl, s.TestDecl) and experimental(self.path.parent, "testFramework"):
                symbol.file = self._file(decl.path, "test")
        roots = [self.resource_of[one] for one in self.of(sym.RESOURCE) if one in self.resource_of]
        self.resources = list(_inner_first(roots))
        for using in self.declarations(s.UsingDecl):
            if using.path is not None:
                self.using = self._file(using.path, "using")
        for extends in self.declarations(s.ExtendsDecl):
            found = self._file(extends.path, "extends")
            if isinstance(found, Model) and found.is_params:
                self.extends = found
                self.symbols.setdefault("base", Symbol(sym.BASE, "base", extends, self))
            elif found is not None:
                self.error(extends.path, "BCP405", "Only a .bicepparam file can be extended.")
        from orchestrator.bicep.bind import Binder

        Binder(self).run()

    def _enter(self, symbol: Symbol, name: s.Ident) -> None:
        """Symbols share one space; outputs, metadata and assertions have spaces of their own."""
        if symbol.kind == sym.OUTPUT:
            space = self.outputs
        elif symbol.kind in (sym.METADATA, sym.ASSERT):
            taken = [other for other in self.of(symbol.kind) if other.name == symbol.name]
            if len(taken) > 1:
                self.error(name, "BCP028", f'"{symbol.name}" is declared twice.')
            return
        else:
            space = self.symbols
        if symbol.name in space:
            self.error(
                name, "BCP028", f'"{symbol.name}" is declared twice; rename or remove one of them.'
            )
        else:
            space[symbol.name] = symbol

    def _resource(self, symbol: Symbol, decl: s.ResourceDecl, outer: Resource | None) -> None:
        text = decl.type.literal
        if text is None:
            self.error(decl.type, "BCP047", "A resource's type can't have holes.")
            return
        type_, _, version = text.removeprefix("az:").partition("@")
        if outer is not None:
            if "/" in type_:
                self.error(
                    decl.type,
                    "BCP156",
                    f'A nested resource names only its own part of the type, not "{type_}".',
                )
                return
            type_ = f"{outer.type}/{type_}"
            version = version or outer.api_version
        if not is_resource_type(f"{type_}@{version}"):
            if self.foreign:
                return  # an extension's: that was said
            self.error(
                decl.type,
                "BCP029",
                f'"{text}" is no resource type; write "Provider.Name/type@2024-01-01".',
            )
            return
        if s.body_of(decl.value) is None:
            return
        type_ = spelling(type_, version)
        # the order of a template's resources: those of inner scopes come first
        resource = Resource(symbol, decl, type_, version, parent=outer, nested=outer is not None)
        self.resource_of[symbol] = resource
        for child in s.nested_resources(resource.body):
            if symbol.is_collection:
                self.error(
                    child.name, "BCP160", "A resource in a loop can't have nested resources."
                )
                continue
            nested = Symbol(sym.RESOURCE, child.name.name, child, self)
            if nested.name in resource.children:
                self.error(child.name, "BCP028", f'"{nested.name}" is declared twice.')
                continue
            self._resource(nested, child, resource)
            if nested in self.resource_of:
                resource.children[nested.name] = self.resource_of[nested]

    # --- other files

    def _file(self, path: s.Str, purpose: str) -> Model | ArmFile | None:
        reference = path.literal
        if reference is None:
            self.error(path, "BCP092", "A path can't have holes: it is read before anything runs.")
            return None
        try:
            silent = self.compilation.silent_registries
            where, full = resolve_reference(reference, self.path.parent, silent)
        except ModuleNotFound as fault:
            self.error(path, fault.code, fault.message, fault.hint)
            return None
        if where in self.compilation.loading:
            chain = " → ".join(step.name for step in [*self.compilation.loading, where])
            self.error(path, "BCP095", f"These files need each other in a circle: {chain}.")
            return None
        try:
            found = self.compilation.load(where, full)
        except FileNotFoundError:
            self.error(path, "BCP091", f'There is no file "{reference}" ({where}).')
            return None
        except (OSError, UnicodeDecodeError) as fault:
            why = reading_fault(fault)
            self.error(path, "BCP091", f'"{reference}" can\'t be read: {why}.')
            return None
        except json.JSONDecodeError as fault:
            self.error(path, "BCP188", f'"{reference}" is no JSON: {fault}.')
            return None
        if found is None:
            why = self.compilation.faults.get(Path(os.path.abspath(where)), "")  # noqa: PTH100
            self.error(path, "BCP188", f'"{reference}" is no template: {why}.')
        elif isinstance(found, Model) and found.is_params and purpose != "extends":
            self.error(path, "BCP337", f'"{reference}" holds parameters and is no module.')
            return None
        return found

    def _import(self, decl: s.ImportDecl) -> None:
        file = self._file(decl.path, "import")
        exports = file.exports if file is not None else {}
        if decl.wildcard is not None:
            if isinstance(file, ArmFile) and file.exported_twice:
                names = ", ".join(f'"{name}"' for name in file.exported_twice)
                self.error(decl, "BCP374", f"The template exports several things as {names}.")
            symbol = Symbol(sym.WILDCARD, decl.wildcard.name, decl, self, file=file)
            symbol.members = dict(exports)
            self.wildcards.append(symbol)
            self._enter(symbol, decl.wildcard)
            return
        for item in decl.items:
            target = exports.get(item.original)
            symbol = Symbol(sym.IMPORT, item.name.name, decl, self, target=target, file=file)
            if target is None and file is not None:
                known = ", ".join(sorted(exports)) or "nothing"
                self.error(
                    item,
                    "BCP360",
                    f'"{item.original}" is not exported there; exported: {known}.',
                    "Put @export() before its declaration in the other file.",
                )
            if target is not None:
                self.import_symbols.append(symbol)
            self._enter(symbol, item.name)

    @cached_property
    def exports(self) -> dict[str, Target]:
        found = {}
        for kind in (sym.TYPE, sym.VAR, sym.FUNC):
            for symbol in self.of(kind):
                if has_decorator(symbol.decl, "export"):
                    found[symbol.name] = Target(self, kind, symbol.name, symbol)
        return found

    @cached_property
    def nodes(self) -> list[s.Node]:
        """All that the file is made of, in the order of the text."""
        return [node for decl in self.decls for node in s.walk(decl)]

    @cached_property
    def uses(self) -> dict[Symbol, list[s.Node]]:
        """Where the file uses a symbol by its name. Once its names are bound."""
        found: dict[Symbol, list[s.Node]] = {}
        for node in self.nodes:
            symbol = getattr(node, "symbol", None)
            if isinstance(symbol, Symbol):
                found.setdefault(symbol, []).append(node)
        return found

    @cached_property
    def closure(self) -> Closure:
        from orchestrator.bicep.imports import Closure

        return Closure(self)

    @property
    def is_read(self) -> bool:
        """Whether the files that this one loads have been read."""
        return "unit" in self.__dict__

    @cached_property
    def unit(self) -> Unit:
        from orchestrator.bicep.unit import Unit

        return Unit(self)

    @cached_property
    def library(self) -> Library | None:
        """What knows Azure's types, for this file."""
        from orchestrator.bicep.type_library import library_for

        return library_for(self.path.parent)

    def described(self, type_: str, version: str) -> ResourceType | None:
        """A resource type, where the library has it."""
        return self.library.find(type_, version) if self.library is not None else None

    @cached_property
    def target_scope(self) -> str:
        for decl in self.declarations(s.TargetScope):
            if isinstance(decl.value, s.Str) and decl.value.literal in SCOPES:
                return decl.value.literal
            if isinstance(decl.value, s.Str) and decl.value.literal == "local":
                spoken = not_built_in("The target scope 'local' is of", "localDeploy")
                self.error(decl.value, UNSUPPORTED, spoken)
                break
            allowed = ", ".join(f"'{name}'" for name in SCOPES)
            self.error(decl.value, "BCP033", f"The target scope is one of {allowed}.")
        return "resourceGroup"


def _of_spec(document: Json) -> tuple[str, Json]:
    """A version of a template spec, as Resource Manager has it: its id and its template."""
    found = document if isinstance(document, dict) else {}
    properties = found.get("properties")
    template = properties.get("mainTemplate") if isinstance(properties, dict) else None
    return str(found.get("id", "")), template


def _inner_first(scope: list[Resource]) -> Iterator[Resource]:
    """The resources of a scope; those of the scopes in it before its own."""
    for resource in scope:
        yield from _inner_first(list(resource.children.values()))
    yield from scope


def decorator(decl: s.Node, name: str) -> s.Decorator | None:
    for found in getattr(decl, "decorators", ()):
        if found.name.name == name:
            assert isinstance(found, s.Decorator)
            return found
    return None


def has_decorator(decl: s.Node, name: str) -> bool:
    return decorator(decl, name) is not None
