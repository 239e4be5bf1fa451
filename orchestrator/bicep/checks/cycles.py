"""Declarations that need themselves."""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.interface import is_nullable
from orchestrator.bicep.literals import part
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
    """Types that must hold themselves: no value could ever be one."""
    for symbol in model.of(sym.TYPE):
        if not isinstance(symbol.decl, s.TypeDecl):
            continue
        seen = [symbol]
        for node, used in _direct(model, symbol.decl.type):
            if _leads_to(used, symbol, seen):
                model.error(node, "BCP298", f'The type "{symbol.name}" is nothing but itself.')
                break


def _direct(model: Model, node: s.Node) -> list[tuple[s.Node, Symbol]]:
    """The names of types that a type is, or must hold: not behind what may be null, nor a rest."""
    if isinstance(node, s.TypeName):
        return [(node, node.symbol)] if isinstance(node.symbol, Symbol) else []
    held: list[s.Node] = []
    match node:
        case s.TypeNullable() | s.TypeNonNull() | s.TypeMember() | s.TypeItems():
            held = [node.base]
        case s.TypeRest() | s.TypeIndex():
            held = [node.base]
        case s.TypeUnion():
            held = list(node.members)
        case s.TypeArray():
            held = [node.item] if not _nullable(model, node.item) else []
        case s.TypeObject():
            types = [prop.type for prop in node.props if prop.name is not None]
            held = [type_ for type_ in types if not _nullable(model, type_)]
        case s.TypeTuple():
            held = [item.type for item in node.items if not _nullable(model, item.type)]
    return [found for one in held for found in _direct(model, one)]


def _nullable(model: Model, node: s.Node) -> bool:
    for _ in range(64):
        inner = part(model, node)
        if inner is None:
            return is_nullable(node)
        model, node = inner
    return False


def _leads_to(symbol: Symbol, goal: Symbol, seen: list[Symbol]) -> bool:
    if symbol is goal:
        return True
    if symbol in seen or not isinstance(symbol.decl, s.TypeDecl):
        return False
    seen.append(symbol)
    return any(_leads_to(used, goal, seen) for _, used in _direct(symbol.model, symbol.decl.type))
