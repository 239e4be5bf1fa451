"""What a lambda's variables can't be used for.

The engine looks up which resources a template refers to before it evaluates any lambda.
"""

from __future__ import annotations

from orchestrator.bicep import functions
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Local, Symbol
from orchestrator.bicep.unit import built_in_name


def check(model: Model) -> None:
    for node in model.nodes:
        if isinstance(node, s.Index) and _collection(node.base):
            names = _variables(node.index)
            if names:
                model.error(
                    node.index,
                    "BCP247",
                    f"The variable {names} of a lambda can't choose a resource or module.",
                )
            if node.safe:
                model.error(node, "BCP323", "A collection's member is read by [ ], not [? ].")
        elif isinstance(node, (s.Call, s.MethodCall)):
            name = built_in_name(node)
            method = not name and isinstance(node, s.MethodCall) and _resource(node.base)
            if (name and functions.needs_inlining(name)) or method:
                names = ", ".join(filter(None, (_variables(arg) for arg in node.args)))
                if names:
                    model.error(
                        node,
                        "BCP248",
                        f"The variable {names} of a lambda can't be given to {node.name.name}().",
                    )


def _resource(node: s.Node) -> bool:
    base = s.unwrap(node)
    while isinstance(base, s.Index):
        base = s.unwrap(base.base)
    symbol = getattr(base, "symbol", None)
    return isinstance(symbol, Symbol) and symbol.kind == sym.RESOURCE


def _collection(node: s.Node) -> bool:
    symbol = getattr(s.unwrap(node), "symbol", None)
    return (
        isinstance(symbol, Symbol)
        and symbol.kind in (sym.RESOURCE, sym.MODULE)
        and symbol.is_collection
    )


def _variables(node: s.Node) -> str:
    found = {
        inner.name: None
        for inner in s.walk(node)
        if isinstance(inner, s.Name)
        and isinstance(inner.symbol, Local)
        and inner.symbol.kind == "lambda"
    }
    return ", ".join(f'"{name}"' for name in found)
