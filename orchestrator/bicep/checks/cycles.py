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
        if isinstance(node, s.ResourceDecl) and node is not symbol.decl and node not in resources:
            return  # nested in an extension's, of which nothing is known: no part of that
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
    held = {
        symbol: _direct(model, symbol.decl.type)
        for symbol in model.of(sym.TYPE)
        if isinstance(symbol.decl, s.TypeDecl)
    }
    circle = _circles(
        {
            symbol: [used for _, used in found if used in held and used is not symbol]
            for symbol, found in held.items()
        }
    )
    for symbol, found in held.items():
        for node, used in found:
            if used is symbol or (used in circle and circle[used] == circle[symbol]):
                model.error(node, "BCP298", f'The type "{symbol.name}" is nothing but itself.')
                break


def _circles(edges: dict[Symbol, list[Symbol]]) -> dict[Symbol, int]:
    """For each symbol a number that those share which lead to each other (Tarjan's way)."""
    found: dict[Symbol, int] = {}
    order: dict[Symbol, int] = {}
    low: dict[Symbol, int] = {}
    open_: list[Symbol] = []
    for start in edges:
        if start in order:
            continue
        work = [(start, iter(edges[start]))]
        order[start] = low[start] = len(order)
        open_.append(start)
        while work:
            symbol, rest = work[-1]
            for used in rest:
                if used not in order:
                    order[used] = low[used] = len(order)
                    open_.append(used)
                    work.append((used, iter(edges[used])))
                    break
                if used not in found:
                    low[symbol] = min(low[symbol], order[used])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[symbol])
                if low[symbol] == order[symbol]:
                    while symbol not in found:
                        found[open_.pop()] = order[symbol]
    return found


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
