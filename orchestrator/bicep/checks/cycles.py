"""Declarations that need themselves."""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol

_KINDS = (sym.PARAM, sym.VAR, sym.FUNC, sym.RESOURCE, sym.MODULE, sym.ASSIGNMENT)


def check(model: Model) -> None:
    """Report declarations that need themselves."""
    resources = {resource.decl: resource.symbol for resource in model.resources}
    edges: dict[Symbol, dict[Symbol, s.Node]] = {}

    def collect(symbol: Symbol, node: s.Node) -> None:
        if isinstance(node, s.ResourceDecl) and node in resources:
            inner = resources[node]
            if inner is not symbol:
                edges.setdefault(inner, {})
                # a nested resource waits for the one around it
                edges[inner].setdefault(symbol, node.name)
                for child in node.children():
                    collect(inner, child)
                return
        used = getattr(node, "symbol", None)
        if isinstance(used, Symbol) and used.kind in _KINDS and used.model is model:
            edges[symbol].setdefault(used, node)
        for child in node.children():
            collect(symbol, child)

    for kind in _KINDS:
        for symbol in model.of(kind):
            edges[symbol] = {}
            collect(symbol, symbol.decl)
    _report(model, edges)
    _types(model)


def _report(model: Model, edges: dict[Symbol, dict[Symbol, s.Node]]) -> None:
    done: set[Symbol] = set()
    for start in edges:
        _visit(model, start, edges, [], done)


def _visit(
    model: Model,
    symbol: Symbol,
    edges: dict[Symbol, dict[Symbol, s.Node]],
    path: list[Symbol],
    done: set[Symbol],
) -> None:
    if symbol in done:
        return
    path.append(symbol)
    for used, node in edges.get(symbol, {}).items():
        if used in path:
            circle = [*path[path.index(used) :], used]
            if len(circle) == 2:
                model.error(node, "BCP079", f'"{used.name}" needs itself.')
            else:
                chain = " → ".join(one.name for one in circle)
                model.error(node, "BCP080", f"These need each other in a circle: {chain}.")
            continue
        _visit(model, used, edges, path, done)
    path.pop()
    done.add(symbol)


def _types(model: Model) -> None:
    """Types that are nothing but each other. Through a property or an item they may meet again."""
    for symbol in model.of(sym.TYPE):
        if not isinstance(symbol.decl, s.TypeDecl):
            continue
        seen = [symbol]
        for node, used in _direct(symbol.decl.type):
            if _leads_to(used, symbol, seen):
                model.error(node, "BCP298", f'The type "{symbol.name}" is nothing but itself.')
                break


def _direct(node: s.Node, *, whole: bool = True) -> list[tuple[s.Node, Symbol]]:
    """The names of types that a type is, or must hold: not behind `?`, an array or a rest."""
    if isinstance(node, s.TypeName):
        return [(node, node.symbol)] if isinstance(node.symbol, Symbol) else []
    if isinstance(node, s.TypeArray):
        # an array of nothing but itself; below a property it may be empty
        return _direct(node.item) if whole else []
    if isinstance(node, (s.TypeNullable, s.TypeDerived, s.TypeMember)):
        return []
    found = []
    for child in node.children():
        if isinstance(child, s.Decorator) or (
            isinstance(child, s.TypeProp) and child.name is None and isinstance(node, s.TypeObject)
        ):
            continue
        found += _direct(child, whole=False)
    return found


def _leads_to(symbol: Symbol, goal: Symbol, seen: list[Symbol]) -> bool:
    if symbol is goal:
        return True
    if symbol in seen or not isinstance(symbol.decl, s.TypeDecl):
        return False
    seen.append(symbol)
    return any(_leads_to(used, goal, seen) for _, used in _direct(symbol.decl.type))
