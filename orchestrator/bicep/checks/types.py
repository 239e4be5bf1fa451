"""User-defined types that can't be."""

from __future__ import annotations

from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.decorators import derived
from orchestrator.bicep.config import not_built_in
from orchestrator.bicep.derived import described_part
from orchestrator.bicep.diagnostics import UNSUPPORTED, misspelt
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.literals import alias, is_literal, leaves, spelled
from orchestrator.bicep.model import Model, decorator, has_decorator
from orchestrator.bicep.resource_types import is_resource_type
from orchestrator.bicep.schema import tag_of

# types that have no name
_WRITTEN_OUT = (s.TypeObject, s.TypeArray, s.TypeTuple, s.TypeUnion, s.TypeLiteral)


def check(model: Model) -> None:
    for node in model.nodes:
        match node:
            case s.TypeResource():
                model.error(
                    node,
                    UNSUPPORTED,
                    not_built_in(
                        "Resources as parameters or outputs are of",
                        "resourceTypedParamsAndOutputs",
                    ),
                    "Pass the id as a string.",
                )
            case s.TypeLiteral(value=None) if not isinstance(node.parent, s.TypeUnion):
                model.error(node, "BCP289", "null alone is no type; write ? after one.")
            case s.TypeName() if _is_namespace(node):
                model.error(node, "BCP306", f'"{node.name}" is a namespace, not a type.')
            case s.TypeUnion():
                _union(model, node)
            case s.TypeObject():
                _object(model, node)
            case s.TypeDerived():
                _derived(model, node)
            case s.TypeMember() | s.TypeItems() | s.TypeRest() | s.TypeIndex():
                _access(model, node)
        if has_decorator(node, "discriminator"):
            _discriminator(model, node)


def _is_namespace(node: s.TypeName) -> bool:
    if node.symbol is None or node.symbol.kind not in (sym.NAMESPACE, sym.WILDCARD):
        return False
    parent = node.parent
    return not (isinstance(parent, s.TypeMember) and parent.base is node)


def _discriminated(node: s.Node) -> bool:
    parent = node.parent
    while isinstance(parent, (s.TypeNullable, s.TypeNonNull, s.TypeUnion)):
        node, parent = parent, parent.parent
    return parent is not None and has_decorator(parent, "discriminator")


def _union(model: Model, node: s.TypeUnion) -> None:
    if _discriminated(node):
        return
    kinds = set()
    for leaf in leaves(model, node):
        if (
            leaf.node is not None
            and leaf.model is not None
            and not is_literal(leaf.model, leaf.node)
        ):
            model.error(
                node,
                "BCP286",
                "A union's members are values ('a' | 'b' | 3); for objects use @discriminator, "
                "for null a ? after the type.",
            )
            return
        if not leaf.is_null:
            kinds.add(leaf.kind)
    in_array = isinstance(node.parent, s.TypeArray)
    if not kinds:
        model.error(node, "BCP294", "A union of nothing but null is no type.")
    if len(kinds) > 1 and not in_array:
        model.error(
            node,
            "BCP294",
            f"A union's members are of one kind, not {' and '.join(sorted(map(str, kinds)))}.",
        )


def _object(model: Model, node: s.TypeObject) -> None:
    seen: set[str] = set()
    for prop in node.props:
        key = prop.name if prop.name is not None else "*"
        if key in seen:
            model.error(prop, "BCP025", f'"{key}" is declared twice here.')
        seen.add(key)


def _derived(model: Model, node: s.TypeDerived) -> None:
    if len(node.args) != 1:
        model.error(node, "BCP071", f"{node.name.name}<…> takes 1 argument, not {len(node.args)}.")
        return
    argument = node.args[0]
    text = argument.value if isinstance(argument, s.TypeLiteral) else None
    if not isinstance(text, str):
        model.error(argument, "BCP070", f"{node.name.name}<…> takes a string: 'type@version'.")
        return
    prefix, colon, rest = text.rpartition(":")
    if colon and prefix not in ("az", ""):
        model.error(argument, "BCP208", f'There is no namespace "{prefix}" of types; it is az.')
    elif (colon and not prefix) or not is_resource_type(rest):
        model.error(
            argument, "BCP029", f'"{text}" is no resource type; write "Provider/type@2024-01-01".'
        )
    elif not isinstance(node.parent, (s.TypeMember, s.TypeItems, s.TypeRest, s.TypeIndex)):
        model.error(
            node,
            "BCP394",
            "A type is a part of a resource, not all of it.",
            f"Name the part, for instance {node.name.name}<'{rest}'>.properties.",
        )


def _may_lack(node: s.TypeObject, key: str) -> bool:
    return any(isinstance(prop.type, s.TypeNullable) for prop in node.props if prop.name == key)


def _access(model: Model, node: s.TypeMember | s.TypeItems | s.TypeRest | s.TypeIndex) -> None:
    if isinstance(node.base, _WRITTEN_OUT):
        model.error(node, "BCP391", "Only of a type that has a name a part can be named.")
        return
    where = spelled(model, node.base)
    if where is None:
        return
    described = described_part(model, node.base)
    if described is not None:
        _described_access(model, node, kinds.without_null(described))
        return
    base = where[1]
    if isinstance(base, (s.TypeDerived, s.TypeMember, s.TypeItems, s.TypeRest, s.TypeIndex)):
        return
    match node:
        case s.TypeMember():
            if isinstance(base, s.TypeName) and base.symbol is not None:
                return
            if not isinstance(base, s.TypeObject):
                model.error(node.name, "BCP055", "Only an object type has properties.")
            elif all(prop.name != node.name.name for prop in base.props):
                known = ", ".join(prop.name or "*" for prop in base.props)
                model.error(
                    node.name,
                    "BCP053",
                    f'The type has no property "{node.name.name}"; it has: {known}.',
                )
        case s.TypeItems():
            if not isinstance(base, s.TypeArray):
                model.error(node, "BCP390", "[*] is the item type of an array type.")
        case s.TypeRest():
            if not isinstance(base, s.TypeObject) or all(
                prop.name is not None for prop in base.props
            ):
                model.error(node, "BCP389", "The type has no further properties (*).")
        case s.TypeIndex():
            if not isinstance(base, s.TypeTuple) or node.index >= len(base.items):
                model.error(node, "BCP311", f"The type has no item {node.index}.")


def _described_access(
    model: Model, node: s.TypeMember | s.TypeItems | s.TypeRest | s.TypeIndex, base: Kind
) -> None:
    """A part of what Azure's types describe."""
    if base.name == "any":
        return
    match node:
        case s.TypeMember() if base.name != "object":
            model.error(node.name, "BCP055", "Only an object type has properties.")
        case s.TypeMember() if base.closed and node.name.name not in base.props:
            names = sorted(base.props)
            meant = misspelt(node.name.name, names)
            hint = f' Did you mean "{meant}"?' if meant else f" There are: {', '.join(names)}."
            model.error(
                node.name,
                "BCP083" if meant else "BCP053",
                f'{base.spell()} has no property "{node.name.name}".{hint}',
            )
        case s.TypeItems() if base.name != "array":
            model.error(node, "BCP390", "[*] is the item type of an array type.")
        case s.TypeRest() if base.rest is None:
            model.error(node, "BCP389", "The type has no further properties (*).")


def _tag_name(decl: s.Node) -> str | None:
    found = decorator(decl, "discriminator")
    name = found.args[0] if found is not None and found.args else None
    return name.literal if isinstance(name, s.Str) else None


def _same_tag(node: s.Node, key: str) -> bool:
    """Whether the unions that a type names have the same tag."""
    seen: set[s.Node] = set()
    while isinstance(found := alias(node), tuple) and found[2] not in seen:
        _, node, decl = found
        seen.add(decl)
        if _tag_name(decl) not in (key, None):
            return False
        while isinstance(node, (s.TypeNullable, s.TypeNonNull)):
            node = node.base
    return True


def _discriminator(model: Model, decl: s.Node) -> None:
    found = decorator(decl, "discriminator")
    type_ = getattr(decl, "type", None)
    if found is None or not found.args or not isinstance(type_, s.Node):
        return
    key = _tag_name(decl)
    if key is None:
        return
    while isinstance(type_, (s.TypeNullable, s.TypeNonNull)):
        type_ = type_.base
    seen: set[str] = set()
    members = type_.members if isinstance(type_, s.TypeUnion) else [type_]
    if not isinstance(type_, s.TypeUnion):
        where = spelled(model, type_)
        if where is not None and not isinstance(where[1], s.TypeUnion):
            model.error(found, "BCP363", "@discriminator is for a union of object types.")
        elif not _same_tag(type_, key):
            model.error(found, "BCP366", f'The union\'s members have another tag than "{key}".')
        return
    for member in members:
        where = spelled(model, member)
        if where is None:
            continue
        owner, base = where
        if isinstance(base, s.TypeUnion):
            if not _same_tag(member, key):
                model.error(member, "BCP366", f'This union has another tag than "{key}".')
            continue
        if derived(owner, base):
            model.error(
                member,
                UNSUPPORTED,
                "Without Azure's types it is not known which tags this part of a resource has.",
                "Write the members out as object types.",
            )
            continue
        if not isinstance(base, s.TypeObject):
            model.error(member, "BCP363", "A tagged union's members are object types.")
            continue
        tag = tag_of(owner, base, key)
        if tag is None or _may_lack(base, key):
            model.error(
                member, "BCP364", f'This member needs a property "{key}" that is a string literal.'
            )
        elif tag.lower() in seen:
            model.error(member, "BCP365", f"Another member has the tag '{tag}', too.")
        seen.add((tag or "").lower())
