"""Which variables and existing resources are written where they are used.

The deployment engine evaluates a template's variables before it deploys anything. A variable that
needs what only a deployed resource knows (`reference`, a module's output) can't be one of them.
"""

from __future__ import annotations

from orchestrator.bicep import functions
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Resource, Symbol

# what is known of a resource or a module before it is deployed
KNOWN_EARLY = frozenset({"id", "name", "type", "apiVersion"})
_BODY_APART = frozenset({"dependsOn", "parent", "scope"})


def member_of(node: s.Node) -> s.Node:
    """A resource or module by its name, also one of a collection: `name[index]`."""
    node = s.unwrap(node)
    if isinstance(node, s.Index):
        base = s.unwrap(node.base)
        symbol = getattr(base, "symbol", None)
        if isinstance(symbol, Symbol) and symbol.is_collection:
            return base
    return node


def _of_import(node: s.Node) -> bool:
    """Whether what is called is a function of an imported file, however it is named."""
    symbol = getattr(s.unwrap(node), "symbol", None)
    return isinstance(symbol, Symbol) and symbol.kind == sym.WILDCARD


class Inlining:
    def __init__(self, model: Model) -> None:
        self.model = model
        self._decided: dict[Symbol, bool] = {}
        self.variables: set[Symbol] = set()
        self.resources: set[Symbol] = set()
        for symbol in (*model.of(sym.VAR), *model.of(sym.ASSIGNMENT)):
            if self.is_inlined(symbol):
                self.variables.add(symbol)
        for resource in model.resources:
            if resource.existing and self.is_inlined(resource.symbol):
                self.resources.add(resource.symbol)

    def is_inlined(self, symbol: Symbol) -> bool:
        if symbol not in self._decided:
            self._decided[symbol] = False  # a circle is said elsewhere
            decl = symbol.decl
            if isinstance(decl, s.ResourceDecl):
                decided = decl.existing and self._existing(self.model.resource_of.get(symbol))
            elif isinstance(decl, (s.VarDecl, s.NamedValue)):
                decided = self._late(decl.value)
            else:
                decided = False
            self._decided[symbol] = decided
        return self._decided[symbol]

    def _existing(self, resource: Resource | None) -> bool:
        if resource is None:
            return False
        inlined = False
        for ancestor in resource.ancestors():
            inlined = ancestor.existing and (inlined or self.is_inlined(ancestor.symbol))
        scope = resource.body.value("scope")
        if scope is not None:
            node = s.unwrap(scope)
            if isinstance(node, s.Index):
                node = s.unwrap(node.base)
            if isinstance(node, (s.Name, s.Nested)) and isinstance(node.symbol, Symbol):
                inlined = inlined or self.is_inlined(node.symbol)
        if inlined:
            return True
        if not isinstance(resource.decl.value, s.Object):
            return False
        return any(
            self._late(prop.value)
            for prop in resource.decl.value.props
            if prop.name not in _BODY_APART
        )

    def _late(self, node: s.Node) -> bool:
        """Whether the expression needs what only a deployment knows."""
        match node:
            case s.Name() | s.Nested():
                return isinstance(node.symbol, Symbol) and self._late_name(node.symbol)
            case s.Member():
                base = member_of(node.base)
                if isinstance(base, (s.Name, s.Nested)) and isinstance(base.symbol, Symbol):
                    if base.symbol.kind == sym.RESOURCE:
                        if node.name.name in ("id", "name"):
                            return self.is_inlined(base.symbol)
                        return node.name.name not in KNOWN_EARLY
                    if base.symbol.kind == sym.MODULE:
                        return node.name.name != "name"
                return self._late(node.base)
            case s.Call():
                if node.symbol is None:
                    if functions.needs_inlining(node.name.name):
                        return True
                    if node.name.name == "nameof":
                        return False
            case s.MethodCall():
                if not _of_import(node.base) and functions.needs_inlining(node.name.name):
                    return True
        return any(self._late(child) for child in node.children())

    def _late_name(self, symbol: Symbol) -> bool:
        if symbol.kind in (sym.VAR, sym.ASSIGNMENT):
            return self.is_inlined(symbol)
        return symbol.kind in (sym.RESOURCE, sym.MODULE)
