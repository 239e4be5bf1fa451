"""What may not be there: read all the same, or made many times under one name."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator import azure_types
from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Local, Symbol

Found = Iterator[tuple[s.Node, str]]

_ALWAYS = {sym.RESOURCE: ("id", "name", "type", "apiVersion"), sym.MODULE: ("name",)}
# what tells the resources of a loop from each other
_TELLING = {s.ResourceDecl: ("name", "parent", "scope"), s.ModuleDecl: ("name", "scope")}


def reads(model: Model, typing: Typing) -> Found:
    """A property of what has a condition, or may be null, read with a plain dot."""
    for node in model.nodes:
        if not isinstance(node, s.Member) or node.safe:
            continue
        what = _absent(typing, node)
        if what:
            yield (
                s.Null(node.base.end, node.end),
                f"{what} may not be there: read it with .?{node.name.name}, or say with ! "
                "that it is.",
            )


def _absent(typing: Typing, node: s.Member) -> str:
    base = node.base
    while isinstance(base, s.Paren):
        base = base.inner
    if isinstance(base, s.NonNull):
        return ""
    named = base.base if isinstance(base, s.Index) else base
    symbol = named.symbol if isinstance(named, (s.Name, s.Nested)) else None
    if isinstance(symbol, Symbol) and symbol.kind in _ALWAYS:
        decl = symbol.decl
        assert isinstance(decl, (s.ResourceDecl, s.ModuleDecl))
        condition = s.condition_of(decl.value)
        if condition is None or node.name.name in _ALWAYS[symbol.kind]:
            return ""
        if symbol.kind == sym.RESOURCE and (named is not base or not _is_known(symbol)):
            return ""  # the real compiler says nothing of these
        return "" if typing.of(condition).value is True else f'"{symbol.name}"'
    if _is_skipped(base):
        return ""
    found = typing.of(base)
    return "This value" if found.name != "any" and kinds.may_be_null(found) else ""


def _is_known(symbol: Symbol) -> bool:
    resource = symbol.model.resource_of.get(symbol)
    return resource is not None and azure_types.is_known(resource.type)


def _is_skipped(node: s.Node) -> bool:
    """Whether an earlier .? ends the whole chain."""
    while isinstance(node, (s.Member, s.Index)):
        if node.safe:
            return True
        node = node.base
    return False


def loops(model: Model, _: Typing) -> Found:
    """A loop whose resources have all the same name."""
    for symbol in (*model.of(sym.RESOURCE), *model.of(sym.MODULE)):
        loop, body, decl = symbol.loop, symbol.body, symbol.decl
        assert isinstance(decl, (s.ResourceDecl, s.ModuleDecl))
        if loop is None or body is None or body.value("name") is None:
            continue
        if isinstance(decl, s.ResourceDecl) and decl.existing:
            continue
        values = [value for name in _TELLING[type(decl)] if (value := body.value(name))]
        used = {getattr(node, "symbol", None) for value in values for node in s.walk(value)}
        if not any(isinstance(one, Local) and one.scope is loop for one in used):
            variables = " or ".join(f'"{one.name}"' for one in loop.locals)
            yield decl.name, f"All of this loop have the same name: use {variables} in it."
