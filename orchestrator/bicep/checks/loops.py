"""Where loops may stand."""

from __future__ import annotations

from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import Model


def check(model: Model) -> None:
    for decl in model.decls:
        for node in s.walk(decl):
            if isinstance(node, s.For):
                _loop(model, node)


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
