"""The tree of types: aliases, objects, unions, tuples, parts of types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.bicep.nodes import Decorator, Ident, Node, Str

if TYPE_CHECKING:
    from orchestrator.bicep.symbols import Symbol


@dataclass(slots=True, eq=False)
class TypeName(Node):
    name: str
    symbol: Symbol | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class TypeLiteral(Node):
    """A string, whole number, bool or null as a type."""

    value: str | int | bool | None


@dataclass(slots=True, eq=False)
class TypeMember(Node):
    base: Node
    name: Ident

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class TypeIndex(Node):
    """`base[2]`: the third item of a tuple."""

    base: Node
    index: int

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class TypeItems(Node):
    """`base[*]`: the type of an array's items."""

    base: Node

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class TypeRest(Node):
    """`base.*`: the type of an object's further properties."""

    base: Node

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class TypeArray(Node):
    item: Node

    def children(self) -> Iterator[Node]:
        yield self.item


@dataclass(slots=True, eq=False)
class TypeNullable(Node):
    base: Node

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class TypeNonNull(Node):
    base: Node

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class TypeUnion(Node):
    members: list[Node]

    def children(self) -> Iterator[Node]:
        return iter(self.members)


@dataclass(slots=True, eq=False)
class TypeProp(Node):
    """A property of an object type; `name` None is `*`, the type of all further properties."""

    decorators: list[Decorator]
    name: str | None
    type: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.type


@dataclass(slots=True, eq=False)
class TypeObject(Node):
    props: list[TypeProp]

    def children(self) -> Iterator[Node]:
        return iter(self.props)


@dataclass(slots=True, eq=False)
class TypeTuple(Node):
    """Items are TypeProp without a name."""

    items: list[TypeProp]

    def children(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(slots=True, eq=False)
class TypeDerived(Node):
    """`resourceInput<'type@version'>`, `resourceOutput<…>`, `resource<…>`."""

    name: Ident
    args: list[Node]


@dataclass(slots=True, eq=False)
class TypeResource(Node):
    """`resource 'type@version'` as the type of a parameter or output."""

    type: Str | None
