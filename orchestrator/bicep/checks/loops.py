"""Where loops may stand."""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol


def check(model: Model) -> None:
    for node in model.nodes:
        if isinstance(node, s.For):
            _loop(model, node)
        elif isinstance(node, s.Name):
            _whole_collection(model, node)


def _loop(model: Model, node: s.For) -> None:
    parent = node.parent
    if isinstance(parent, (s.ResourceDecl, s.ModuleDecl, s.VarDecl, s.OutputDecl, s.ParamAssign)):
        return
    if isinstance(parent, s.Prop) and parent.value is node and _in_properties(node):
        if parent.name is None:
            model.error(parent.key, "BCP143", "A property with a loop has a name without holes.")
        elif _outer_property_loop(node):
            model.error(node, "BCP142", "A property's loop can't stand inside another's.")
        return
    model.error(
        node,
        "BCP138",
        "A loop can't stand here: it is the whole value of a resource, module, variable or "
        "output, or of a property of a resource or module. Elsewhere use map().",
    )


def _collection_of(node: s.Node) -> Symbol | None:
    """The collection that a name means as a whole; None for a member of one, and else."""
    symbol = node.symbol if isinstance(node, (s.Name, s.Nested)) else None
    if not (
        isinstance(symbol, Symbol)
        and symbol.kind in (sym.RESOURCE, sym.MODULE)
        and symbol.is_collection
    ):
        return None
    child: s.Node = node
    parent = node.parent
    while isinstance(parent, s.Paren):
        child, parent = parent, parent.parent
    if isinstance(parent, (s.Member, s.Index)) and parent.base is child:
        return None
    return symbol


def _hidden_collection(model: Model, symbol: Symbol, seen: set[Symbol]) -> Symbol | None:
    """The collection that a variable is written as, where it is used."""
    if symbol in seen or symbol not in model.unit.inlining.variables:
        return None
    seen.add(symbol)
    for node in s.walk(symbol.decl):
        found = _collection_of(node)
        used = getattr(node, "symbol", None)
        if found is None and isinstance(used, Symbol):
            found = _hidden_collection(model, used, seen)
        if found is not None:
            return found
    return None


def _whole_collection(model: Model, node: s.Name) -> None:
    """A collection as a whole: in properties, params, outputs and variables, outside of loops."""
    symbol = _collection_of(node)
    if symbol is None and isinstance(node.symbol, Symbol):
        symbol = _hidden_collection(model, node.symbol, set())
    if symbol is None:
        return
    parent = node.parent
    allowed = False
    while parent is not None:
        if isinstance(parent, (s.OutputDecl, s.VarDecl)):
            allowed = True
        elif isinstance(parent, s.Prop) and _is_top_level(parent):
            if parent.name == "dependsOn":
                return
            allowed = parent.name in ("properties", "params")
        elif isinstance(parent, s.For):
            allowed = False
            break
        parent = parent.parent
    if not allowed:
        model.error(
            node, "BCP144", f'"{symbol.name}" is a collection; here name one of it: name[index].'
        )


def _is_top_level(prop: s.Prop) -> bool:
    body = prop.parent
    holder = body.parent if body is not None else None
    if isinstance(holder, s.If):
        holder = holder.parent
    if isinstance(holder, s.For):
        holder = holder.parent
    return isinstance(holder, (s.ResourceDecl, s.ModuleDecl))


def _in_properties(node: s.Node) -> bool:
    """Whether only objects lie between a loop and its resource or module."""
    current = node.parent
    while current is not None:
        if isinstance(current, (s.ResourceDecl, s.ModuleDecl)):
            return True
        if not isinstance(current, (s.Prop, s.Object, s.Array, s.For, s.If)):
            return False
        current = current.parent
    return False


def _outer_property_loop(node: s.For) -> bool:
    current = node.parent
    while current is not None:
        if isinstance(current, s.For) and isinstance(current.parent, s.Prop):
            return True
        current = current.parent
    return False
