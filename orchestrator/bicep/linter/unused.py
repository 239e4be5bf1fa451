"""Declarations that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model, has_decorator
from orchestrator.bicep.symbols import Symbol

Found = Iterator[tuple[s.Node, str]]


def _unused(model: Model, symbols: list[Symbol], what: str) -> Found:
    for symbol in symbols:
        if symbol not in model.uses and not has_decorator(symbol.decl, "export"):
            yield _named(symbol), f'The {what} "{symbol.name}" is declared but never used.'


def _named(symbol: Symbol) -> s.Node:
    """Where a symbol gets its name."""
    decl = symbol.decl
    if isinstance(decl, s.ImportDecl):
        if decl.wildcard is not None:
            return decl.wildcard
        return next(item.name for item in decl.items if item.name.name == symbol.name)
    name = getattr(decl, "name", decl)
    return name if isinstance(name, s.Node) else decl


def parameters(model: Model, _: Typing) -> Found:
    return _unused(model, model.of(sym.PARAM), "parameter")


def variables(model: Model, _: Typing) -> Found:
    return _unused(model, model.of(sym.VAR), "variable")


def types(model: Model, _: Typing) -> Found:
    return _unused(model, model.of(sym.TYPE), "type")


def imports(model: Model, _: Typing) -> Found:
    return _unused(model, [*model.import_symbols, *model.wildcards], "import")


def existing_resources(model: Model, _: Typing) -> Found:
    existing = [
        resource.symbol
        for resource in model.resources
        if resource.existing and not resource.nested and not resource.children
    ]
    return _unused(model, existing, "existing resource")
