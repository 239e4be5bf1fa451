"""Types that are values: `'a' | 'b' | 3 | null`, also through names, ordered by how they read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.model import ArmFile, Model
from orchestrator.bicep.symbols import Symbol


@dataclass(slots=True, frozen=True)
class Leaf:
    """A member of a union that is no union itself: a type's node, or a value of a template."""

    node: s.Node | None
    model: Model | None
    json: Any = None

    @property
    def is_null(self) -> bool:
        if self.node is None:
            return self.json is None
        return isinstance(self.node, s.TypeLiteral) and self.node.value is None

    @property
    def kind(self) -> str | None:
        """string, int, bool, object or array."""
        value: Any = self.json
        match self.node:
            case s.TypeLiteral():
                value = self.node.value
            case s.TypeObject():
                return "object"
            case s.TypeTuple() | s.TypeArray():
                return "array"
            case s.TypeName(symbol=None, name=name):
                return name
            case s.Node():
                return None
        if isinstance(value, bool):
            return "bool"
        if isinstance(value, int):
            return "int"
        if isinstance(value, str):
            return "string"
        if isinstance(value, dict):
            return "object"
        return "array" if isinstance(value, list) else None


def alias(node: s.Node) -> tuple[Model, s.Node, s.Node] | sym.Target | None:
    """What a type's name means: its declaration (file, type, declaration), or a template's."""
    target: sym.Target | None = None
    if isinstance(node, s.TypeName) and isinstance(node.symbol, Symbol):
        if isinstance(node.symbol.decl, s.TypeDecl):
            return node.symbol.model, node.symbol.decl.type, node.symbol.decl
        target = node.symbol.target
    elif (
        isinstance(node, s.TypeMember)
        and isinstance(node.base, s.TypeName)
        and node.base.symbol is not None
        and node.base.symbol.kind == sym.WILDCARD
    ):
        target = node.base.symbol.members.get(node.name.name)
    if target is None:
        return None
    if target.symbol is not None and isinstance(target.symbol.decl, s.TypeDecl):
        return target.symbol.model, target.symbol.decl.type, target.symbol.decl
    return target if isinstance(target.file, ArmFile) else None


def part(model: Model, node: s.Node) -> tuple[Model, s.Node] | None:
    """What `base.name`, `base[*]`, `base.*` and `base[0]` mean."""
    if not isinstance(node, (s.TypeMember, s.TypeItems, s.TypeRest, s.TypeIndex)):
        return None
    where = spelled(model, node.base)
    if where is None:
        return None
    owner, base = where
    found: s.Node | None = None
    if isinstance(node, s.TypeMember) and isinstance(base, s.TypeObject):
        found = next((prop.type for prop in base.props if prop.name == node.name.name), None)
    elif isinstance(node, s.TypeRest) and isinstance(base, s.TypeObject):
        found = next((prop.type for prop in base.props if prop.name is None), None)
    elif isinstance(node, s.TypeItems) and isinstance(base, s.TypeArray):
        found = base.item
    elif isinstance(node, s.TypeIndex) and isinstance(base, s.TypeTuple):
        found = base.items[node.index].type if node.index < len(base.items) else None
    return (owner, found) if found is not None else None


def spelled(model: Model, node: s.Node) -> tuple[Model, s.Node] | None:
    """A type through its names to where it is written out; None in a compiled template."""
    for _ in range(64):
        if isinstance(node, (s.TypeNullable, s.TypeNonNull)):
            node = node.base
            continue
        found = alias(node)
        if isinstance(found, tuple):
            model, node = found[0], found[1]
            continue
        if found is not None:
            return None
        inner = part(model, node)
        if inner is None:
            return model, node
        model, node = inner
    return None


def _flatten(model: Model, node: s.Node, seen: set[s.Node]) -> Iterator[Leaf]:
    """`seen`: the declarations whose members are already there, or are a circle."""
    if isinstance(node, s.TypeUnion):
        for member in node.members:
            yield from _flatten(model, member, seen)
        return
    if isinstance(node, s.TypeNullable):
        yield from _flatten(model, node.base, seen)
        yield Leaf(None, None, None)
        return
    if isinstance(node, s.TypeNonNull):
        # what is seen here without null may come again with it
        yield from (leaf for leaf in _flatten(model, node.base, set(seen)) if not leaf.is_null)
        return
    found = alias(node)
    if isinstance(found, tuple):
        if found[2] not in seen:
            seen.add(found[2])
            yield from _flatten(found[0], found[1], seen)
        return
    if found is not None and isinstance(found.file, ArmFile):
        schema = found.file.resolve(found.file.template["definitions"][found.name])
        for value in schema.get("allowedValues", ()):
            yield Leaf(None, None, value)
        if schema.get("nullable"):
            yield Leaf(None, None, None)
        return
    inner = part(model, node)
    if inner is not None:
        if node not in seen:
            seen.add(node)
            yield from _flatten(inner[0], inner[1], seen)
        return
    yield Leaf(node, model)


def leaves(model: Model, node: s.Node) -> list[Leaf]:
    """The members of a union, each once, ordered by their names as the real compiler does."""
    found: dict[str, Leaf] = {}
    for leaf in _flatten(model, node, set()):
        found.setdefault(_spell(leaf), leaf)
    return [found[name] for name in sorted(found)]


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return "'" + escaped.replace("\r", "\\r").replace("\t", "\\t").replace("${", "\\${") + "'"


def spell_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {spell_value(item)}" for key, item in value.items())
        return "{ " + inner + " }"
    if isinstance(value, list):
        return "[" + ", ".join(spell_value(item) for item in value) + "]"
    return str(value)


def _spell(leaf: Leaf) -> str:
    if leaf.node is None:
        return spell_value(leaf.json)
    assert leaf.model is not None
    if is_literal(leaf.model, leaf.node):
        return spell_value(literal_value(leaf))
    return f"{type(leaf.node).__name__} {leaf.model.path} {leaf.node.start}"


def is_literal(model: Model, node: s.Node, within: frozenset[s.Node] = frozenset()) -> bool:
    """Whether a type has exactly one value."""
    where = spelled(model, node)
    if where is None or where[1] in within:
        return False
    model, node = where
    within |= {node}
    match node:
        case s.TypeLiteral():
            return True
        case s.TypeTuple():
            return all(is_literal(model, item.type, within) for item in node.items)
        case s.TypeObject():
            return all(
                prop.name is not None
                and not isinstance(prop.type, s.TypeNullable)
                and is_literal(model, prop.type, within)
                for prop in node.props
            )
    return False


def literal_value(leaf: Leaf) -> Any:
    if leaf.node is None:
        return leaf.json
    assert leaf.model is not None
    where = spelled(leaf.model, leaf.node)
    if where is None:
        return None
    model, node = where
    match node:
        case s.TypeLiteral():
            return node.value
        case s.TypeTuple():
            return [literal_value(Leaf(item.type, model)) for item in node.items]
        case s.TypeObject():
            return {
                prop.name: literal_value(Leaf(prop.type, model))
                for prop in node.props
                if prop.name is not None
            }
    return None
