"""Values where a certain kind is wanted: said at the innermost part that does not fit."""

from __future__ import annotations

from orchestrator.bicep import kinds
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.described import Place, Values
from orchestrator.bicep.diagnostics import nearest
from orchestrator.bicep.inference import Typing, item_of
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.model import Model


def check_value(
    model: Model, typing: Typing, node: s.Node, wanted: Kind, where: str, code: str = "BCP033"
) -> None:
    """`where`: what the value is for, as it is said ("The default value")."""
    if wanted.is_azure:
        Values(model, typing).check(node, wanted, Place(where, code))
        return
    inner = s.unwrap(node)
    if isinstance(inner, s.Ternary):
        _choice(model, typing, inner, wanted, where, code)
        return
    plain = kinds.without_null(wanted)
    shaped = plain.props or plain.rest is not None or plain.closed
    if isinstance(inner, s.Object) and plain.name == "object" and shaped:
        _object(model, typing, inner, plain)
        return
    if isinstance(inner, s.Array) and plain.name == "array":
        _array(model, typing, inner, plain)
        return
    if isinstance(inner, s.For) and plain.name == "array":
        check_value(model, typing, inner.body, item_of(plain), "The loop's value", "BCP034")
        return
    found = typing.of(node)
    if found.name == "null" and kinds.may_be_null(wanted):
        return
    if not kinds.fits(found, wanted) or (found.name == "null" and not kinds.may_be_null(wanted)):
        model.error(
            node, code, f"{where} is wanted as {wanted.spell()}, but this is {found.spell()}."
        )
    else:
        warn_of_null(model, node, found, wanted)


def warn_of_null(model: Model, node: s.Node, found: Kind, wanted: Kind) -> None:
    """A value that may be null where none is taken: that fails when it is."""
    if found.name != "union" or not kinds.may_be_null(found) or kinds.may_be_null(wanted):
        return
    model.warning(
        node,
        "BCP321",
        f"This is wanted as {wanted.spell()}, and may be null.",
        "Give another value with ??, or say with ! that it is there.",
    )


def _choice(
    model: Model, typing: Typing, node: s.Ternary, wanted: Kind, where: str, code: str
) -> None:
    """Of what one side may be only the kind counts: null and missing properties are warnings."""
    condition = typing.of(node.condition)
    if condition.name == "bool" and condition.is_literal:
        check_value(model, typing, node.yes if condition.value else node.no, wanted, where, code)
        return
    for side in (node.yes, node.no):
        inner = s.unwrap(side)
        if isinstance(inner, s.Ternary):
            _choice(model, typing, inner, wanted, where, code)
            continue
        found = typing.of(side)
        if found.name != "object" and not kinds.fits(kinds.without_null(found), wanted):
            if found.name != "null":
                check_value(model, typing, side, wanted, where, code)
        elif found.name == "object" and not kinds.fits(kinds.OBJECT, wanted):
            check_value(model, typing, side, wanted, where, code)


def _object(model: Model, typing: Typing, node: s.Object, wanted: Kind) -> None:
    given = {prop.name.lower() for prop in node.props if prop.name is not None}
    open_ = any(isinstance(item, s.Spread) for item in node.items) or any(
        prop.name is None for prop in node.props
    )
    missing = [
        name
        for name, prop in wanted.props.items()
        if prop.required and name.lower() not in given and not kinds.may_be_null(prop.kind)
    ]
    if missing and not open_:
        names = ", ".join(f'"{name}"' for name in missing)
        plural = "properties are" if len(missing) > 1 else "property is"
        model.error(node, "BCP035", f"The required {plural} missing here: {names}.")
    for prop in node.props:
        if prop.name is None:
            continue
        known = wanted.prop(prop.name)
        if known is not None:
            check_value(
                model, typing, prop.value, known.kind, f'The property "{prop.name}"', "BCP036"
            )
        elif wanted.rest is not None:
            check_value(
                model, typing, prop.value, wanted.rest(), f'The property "{prop.name}"', "BCP036"
            )
        elif wanted.closed or wanted.props:
            meant = nearest(prop.name, wanted.props)
            verb = "allowed" if wanted.closed else "declared"
            say = model.error if wanted.closed else model.warning
            say(
                prop.key,
                "BCP037",
                f'The property "{prop.name}" is not {verb} here.'
                + (f' Did you mean "{meant}"?' if meant else ""),
            )


def _array(model: Model, typing: Typing, node: s.Array, wanted: Kind) -> None:
    if any(isinstance(item, s.Spread) for item in node.items):
        return
    if wanted.items is not None:
        if len(wanted.items) != len(node.items):
            model.error(
                node,
                "BCP034",
                f"{len(wanted.items)} items are wanted here, but there are {len(node.items)}.",
            )
            return
        for item, kind in zip(node.items, wanted.items, strict=True):
            check_value(model, typing, item, kind, "The item", "BCP034")
        return
    inner = item_of(wanted)
    if inner.name == "any":
        return
    for item in node.items:
        check_value(model, typing, item, inner, "The item", "BCP034")
