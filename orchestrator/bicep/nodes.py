"""The tree of a Bicep file: its expressions, one class for each form, with where it stands.

`start` and `end` are offsets into the file's text. Nodes are compared by identity. `parent` is set
when names are bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.bicep.symbols import Local, Symbol


@dataclass(slots=True, eq=False)
class Node:
    start: int
    end: int
    parent: Node | None = field(default=None, init=False, repr=False)

    def children(self) -> Iterator[Node]:
        return iter(())


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order of the text."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(list(current.children())))


# --- expressions


@dataclass(slots=True, eq=False)
class Ident(Node):
    name: str


@dataclass(slots=True, eq=False)
class Str(Node):
    """A string: `parts` has one more entry than `holes`."""

    parts: list[str]
    holes: list[Node]

    @property
    def literal(self) -> str | None:
        return self.parts[0] if not self.holes else None

    def children(self) -> Iterator[Node]:
        return iter(self.holes)


@dataclass(slots=True, eq=False)
class Int(Node):
    value: int


@dataclass(slots=True, eq=False)
class Bool(Node):
    value: bool


@dataclass(slots=True, eq=False)
class Null(Node):
    pass


@dataclass(slots=True, eq=False)
class Name(Node):
    """A use of a name; `symbol` is what it means, None when nothing does."""

    name: str
    symbol: Symbol | Local | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Array(Node):
    items: list[Node]

    def children(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(slots=True, eq=False)
class Spread(Node):
    value: Node

    def children(self) -> Iterator[Node]:
        yield self.value


@dataclass(slots=True, eq=False)
class Prop(Node):
    """`key: value` in an object. A key that is an identifier is a string without holes."""

    key: Str
    value: Node

    @property
    def name(self) -> str | None:
        return self.key.literal

    def children(self) -> Iterator[Node]:
        yield self.key
        yield self.value


@dataclass(slots=True, eq=False)
class Object(Node):
    """`items`: Prop, Spread and (in a resource's body) ResourceDecl."""

    items: list[Node]

    def children(self) -> Iterator[Node]:
        return iter(self.items)

    def prop(self, name: str) -> Prop | None:
        for item in self.items:
            if isinstance(item, Prop) and item.name == name:
                return item
        return None

    def value(self, name: str) -> Node | None:
        found = self.prop(name)
        return found.value if found is not None else None

    @property
    def props(self) -> Iterator[Prop]:
        return (item for item in self.items if isinstance(item, Prop))


@dataclass(slots=True, eq=False)
class Unary(Node):
    op: str
    operand: Node

    def children(self) -> Iterator[Node]:
        yield self.operand


@dataclass(slots=True, eq=False)
class Binary(Node):
    op: str
    left: Node
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(slots=True, eq=False)
class Ternary(Node):
    condition: Node
    yes: Node
    no: Node

    def children(self) -> Iterator[Node]:
        yield self.condition
        yield self.yes
        yield self.no


@dataclass(slots=True, eq=False)
class Paren(Node):
    inner: Node

    def children(self) -> Iterator[Node]:
        yield self.inner


@dataclass(slots=True, eq=False)
class NonNull(Node):
    base: Node

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class Call(Node):
    """`name(args)`; `symbol` is set when the name is declared in a file, None for built-in ones."""

    name: Ident
    args: list[Node]
    symbol: Symbol | None = field(default=None, init=False)

    def children(self) -> Iterator[Node]:
        return iter(self.args)


@dataclass(slots=True, eq=False)
class MethodCall(Node):
    """`base.name(args)`."""

    base: Node
    name: Ident
    args: list[Node]

    def children(self) -> Iterator[Node]:
        yield self.base
        yield from self.args


@dataclass(slots=True, eq=False)
class Index(Node):
    """`base[index]`, `base[?index]`, `base[^index]`."""

    base: Node
    index: Node
    safe: bool = False
    from_end: bool = False

    def children(self) -> Iterator[Node]:
        yield self.base
        yield self.index


@dataclass(slots=True, eq=False)
class Member(Node):
    """`base.name`, `base.?name`."""

    base: Node
    name: Ident
    safe: bool = False

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class Nested(Node):
    """`base::name`: a resource declared in another's body."""

    base: Node
    name: Ident
    symbol: Symbol | None = field(default=None, init=False)

    def children(self) -> Iterator[Node]:
        yield self.base


@dataclass(slots=True, eq=False)
class Lambda(Node):
    params: list[Ident]
    body: Node
    locals: list[Local] = field(default_factory=list, init=False)

    def children(self) -> Iterator[Node]:
        yield self.body


@dataclass(slots=True, eq=False)
class For(Node):
    """`[for item in array: body]`, `[for (item, index) in array: body]`."""

    item: Ident
    index: Ident | None
    array: Node
    body: Node
    locals: list[Local] = field(default_factory=list, init=False)

    def children(self) -> Iterator[Node]:
        yield self.array
        yield self.body


@dataclass(slots=True, eq=False)
class If(Node):
    condition: Node
    body: Node

    def children(self) -> Iterator[Node]:
        yield self.condition
        yield self.body


@dataclass(slots=True, eq=False)
class Decorator(Node):
    """`@name(args)`, `@sys.name(args)`."""

    name: Ident
    args: list[Node]
    called: bool
    namespace: Ident | None = None

    def children(self) -> Iterator[Node]:
        return iter(self.args)


def unwrap(node: Node) -> Node:
    """Without parentheses and `!`: neither has an effect at run time."""
    while True:
        if isinstance(node, Paren):
            node = node.inner
        elif isinstance(node, NonNull):
            node = node.base
        else:
            return node
