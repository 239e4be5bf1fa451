"""Values that must be known before anything is deployed, and use what is known only after."""

from __future__ import annotations

from orchestrator.bicep import functions, scopes
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import experimental
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.inlining import KNOWN_EARLY, member_of
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Resource, Symbol
from orchestrator.bicep.unit import built_in_name

_EARLY_PROPERTIES = (
    "name",
    "location",
    "kind",
    "managedBy",
    "extendedLocation",
    "zones",
    "plan",
    "sku",
    "identity",
    "tags",
)
_RUNTIME_ALLOWED = frozenset({"tags", "sku"})  # with runtimeValuesInTagsAndSku
_REASON = "it must be known when the deployment starts"


class _Timing:
    def __init__(self, model: Model, typing: Typing) -> None:
        self.typing = typing
        self.model = model
        self.inlining = model.unit.inlining
        self.within: list[Symbol] = []
        self.early = frozenset(_EARLY_PROPERTIES)
        if experimental(model.path.parent, "runtimeValuesInTagsAndSku"):
            self.early -= _RUNTIME_ALLOWED

    # --- what is late

    def late(self, node: s.Node) -> tuple[s.Node, str] | None:
        """The first part that is known only after a deployment, and why."""
        match node:
            case s.Name() | s.Nested():
                symbol = node.symbol
                if isinstance(symbol, Symbol):
                    if symbol.kind == sym.VAR and self.inlining.is_inlined(symbol):
                        assert isinstance(symbol.decl, s.VarDecl)
                        if symbol in self.within:
                            return None
                        self.within.append(symbol)
                        inner = self.late(symbol.decl.value)
                        self.within.pop()
                        return node, f'"{symbol.name}" uses {inner[1]}' if inner else symbol.name
                    if symbol.kind in (sym.RESOURCE, sym.MODULE):
                        return node, f'"{symbol.name}"'
                return None
            case s.Member() | s.Index():
                return self._access(node)
            case s.Call() | s.MethodCall():
                name = built_in_name(node)
                if name and functions.needs_inlining(name):
                    return node, f"{name}()"
                if name == "nameof":
                    return None
                if not name and isinstance(node, s.MethodCall):
                    base = s.unwrap(node.base)
                    while isinstance(base, s.Index):
                        base = s.unwrap(base.base)
                    symbol = getattr(base, "symbol", None)
                    if isinstance(symbol, Symbol) and symbol.kind == sym.RESOURCE:
                        return node, f"{node.name.name}()"
        for child in node.children():
            found = self.late(child)
            if found is not None:
                return found
        return None

    def _access(self, node: s.Member | s.Index) -> tuple[s.Node, str] | None:
        if isinstance(node, s.Member):
            name: str | None = node.name.name
        else:
            index = s.unwrap(node.index)
            kind = self.typing.of(index)
            members = kind.members or (kind,)
            texts = [one.value for one in members if one.is_literal and isinstance(one.value, str)]
            # of several that it may be, one that is late decides
            late = [text for text in texts if text not in KNOWN_EARLY]
            name = (late or texts)[0] if texts and len(texts) == len(members) else None
        plain = member_of(node.base)
        symbol = getattr(plain, "symbol", None)
        if isinstance(plain, (s.Name, s.Nested)) and isinstance(symbol, Symbol):
            known = KNOWN_EARLY if symbol.kind == sym.RESOURCE else ("name",)
            if symbol.kind in (sym.RESOURCE, sym.MODULE) and name is not None:
                if name in known and not self._late_existing(symbol):
                    return None
                return node, f'"{symbol.name}.{name}"'
        for child in node.children():
            found = self.late(child)
            if found is not None:
                return found
        return None

    def _late_existing(self, symbol: Symbol) -> bool:
        return symbol.kind == sym.RESOURCE and self.inlining.is_inlined(symbol)

    # --- where it matters

    def require(self, node: s.Node | None, what: str, code: str) -> None:
        if node is None:
            return
        if isinstance(node, (s.Object, s.Array, s.Prop)):
            for child in node.children():
                self.require(child, what, code)
            return
        found = self.late(node)
        if found is not None:
            self.model.error(found[0], code, f"{what} can't use {found[1]}: {_REASON}.")

    def run(self) -> None:
        self._reads_of_inlined()
        for resource in self.model.resources:
            self._inlined(resource)
            for prop in resource.body.props:
                if prop.name not in self.early:
                    continue
                if resource.existing and prop.name == "name":
                    # such a resource is written where it is used
                    continue
                self.require(prop.value, f'The property "{prop.name}"', "BCP120")
            self._head(resource.decl.value)
        for symbol in self.model.of(sym.MODULE):
            body = symbol.body
            if body is not None and isinstance(symbol.decl, s.ModuleDecl):
                for name in ("name", "identity"):
                    self.require(body.value(name), f'The property "{name}"', "BCP120")
                self._scope(body.value("scope"))
                self._head(symbol.decl.value)
        for decl in self.model.decls:
            self._arguments(decl)
        for function in self.model.declarations(s.FuncDecl):
            self.require(function.body, "A function", "BCP341")
        for symbol in self.model.of(sym.VAR):
            if isinstance(symbol.decl, s.VarDecl) and isinstance(symbol.decl.value, s.For):
                self.require(symbol.decl.value.array, "A loop", "BCP178")
                self.require(symbol.decl.value.body, "The loop of a variable", "BCP182")
        for symbol in self.model.of(sym.OUTPUT):
            if isinstance(symbol.decl, s.OutputDecl) and isinstance(symbol.decl.value, s.For):
                self.require(symbol.decl.value.array, "A loop", "BCP178")

    def _arguments(self, node: s.Node) -> None:
        """What is asked of the service while deploying is named before."""
        if isinstance(node, s.ResourceDecl) and node.existing:
            body = s.body_of(node.value)
            for child in s.nested_resources(body) if body is not None else ():
                self._arguments(child)
            return
        if isinstance(node, (s.Call, s.MethodCall)):
            name = built_in_name(node) or self._of_resource(node)
            if functions.needs_inlining(name):
                for arg in node.args:
                    self.require(arg, f"An argument of {name}()", "BCP181")
        for inner in node.children():
            self._arguments(inner)

    def _of_resource(self, node: s.Call | s.MethodCall) -> str:
        """The function that a resource has, or ""."""
        called = isinstance(node, s.MethodCall) and self.typing.of(node.base).name == "resource"
        return node.name.name if called else ""

    def _inlined(self, resource: Resource) -> None:
        """An existing resource that is written where it is used can't be waited for.

        Nor can anything be deployed below or onto it: that place must be known at the start.
        """
        if not resource.existing:
            for name in ("parent", "scope"):
                value = resource.body.value(name)
                symbol = getattr(member_of(value), "symbol", None) if value is not None else None
                if resource.nested and name == "parent" and resource.parent is not None:
                    value, symbol = resource.decl.name, resource.parent.symbol
                if value is not None and symbol in self.inlining.resources:
                    self.model.error(
                        value,
                        "BCP120",
                        f'"{symbol.name}" has a name that is known late: nothing can be deployed '
                        "there from this file.",
                    )
        depends = resource.body.prop("dependsOn")
        if depends is None:
            return
        if resource.symbol in self.inlining.resources:
            self.model.error(
                depends, "BCP421", "A resource whose name is known late has no dependsOn."
            )
        for node in s.walk(depends.value):
            symbol = getattr(node, "symbol", None)
            if isinstance(symbol, Symbol) and symbol in self.inlining.resources:
                self.model.error(
                    node, "BCP422", f'"{symbol.name}" has a name that is known late: name it not.'
                )

    def _reads_of_inlined(self) -> None:
        """Of an existing resource whose name is known late only its name and id can be read."""
        if not self.inlining.resources:
            return
        for node in self.model.nodes:
            if not isinstance(node, (s.Member, s.Index, s.MethodCall)):
                continue
            base = s.unwrap(node.base) if isinstance(node, s.Index) else member_of(node.base)
            symbol = getattr(base, "symbol", None)
            if not isinstance(symbol, Symbol) or symbol not in self.inlining.resources:
                continue
            name: str | None = None
            if isinstance(node, s.Index):
                index = s.unwrap(node.index)
                if not isinstance(index, s.Str):
                    continue
                name = index.literal
            else:
                name = node.name.name
            if name not in KNOWN_EARLY and name != "getSecret":
                self.model.error(
                    node,
                    "BCP307",
                    f'"{symbol.name}" has a name that is known only while deploying: of it '
                    "only id, name, type and apiVersion can be read.",
                    "Give the name as a parameter of a module that reads the resource.",
                )

    def _head(self, value: s.Node) -> None:
        if isinstance(value, s.For):
            self.require(value.array, "A loop", "BCP178")
            value = value.body
        if isinstance(value, s.If):
            self.require(value.condition, "A condition", "BCP177")

    def _scope(self, node: s.Node | None) -> None:
        if node is None:
            return
        inner = scopes.variable_value(node)
        args = inner.args if isinstance(inner, (s.Call, s.MethodCall)) else []
        for arg in args:
            self.require(arg, 'The property "scope"', "BCP120")


def check(model: Model, typing: Typing) -> None:
    _Timing(model, typing).run()
