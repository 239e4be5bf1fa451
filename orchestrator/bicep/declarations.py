"""The tree of declarations: what a file is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.bicep.nodes import Decorator, For, Ident, If, Node, Object, Str

if TYPE_CHECKING:
    from orchestrator.bicep.symbols import Local


@dataclass(slots=True, eq=False)
class Decl(Node):
    decorators: list[Decorator]

    def children(self) -> Iterator[Node]:
        return iter(self.decorators)


@dataclass(slots=True, eq=False)
class TargetScope(Decl):
    value: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.value


@dataclass(slots=True, eq=False)
class NamedValue(Decl):
    name: Ident
    value: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.value


class MetadataDecl(NamedValue):
    __slots__ = ()


class AssertDecl(NamedValue):
    __slots__ = ()


class ParamAssign(NamedValue):
    """`param name = value` of a `.bicepparam` file."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class TypeDecl(Decl):
    name: Ident
    type: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.type


@dataclass(slots=True, eq=False)
class ParamDecl(Decl):
    name: Ident
    type: Node
    default: Node | None

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.type
        if self.default is not None:
            yield self.default


@dataclass(slots=True, eq=False)
class VarDecl(Decl):
    name: Ident
    type: Node | None
    value: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        if self.type is not None:
            yield self.type
        yield self.value


@dataclass(slots=True, eq=False)
class FuncParam(Node):
    name: Ident
    type: Node

    def children(self) -> Iterator[Node]:
        yield self.type


@dataclass(slots=True, eq=False)
class FuncDecl(Decl):
    name: Ident
    params: list[FuncParam]
    result: Node
    body: Node
    locals: list[Local] = field(default_factory=list, init=False)

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield from self.params
        yield self.result
        yield self.body


@dataclass(slots=True, eq=False)
class ResourceDecl(Decl):
    name: Ident
    type: Str
    existing: bool
    value: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.value


@dataclass(slots=True, eq=False)
class ModuleDecl(Decl):
    name: Ident
    path: Str
    value: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.value


@dataclass(slots=True, eq=False)
class TestDecl(Decl):
    """`test name 'file.bicep' = { params: … }`"""

    name: Ident
    path: Str
    value: Object

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.value


@dataclass(slots=True, eq=False)
class OutputDecl(Decl):
    name: Ident
    type: Node
    value: Node

    def children(self) -> Iterator[Node]:
        yield from self.decorators
        yield self.type
        yield self.value


@dataclass(slots=True, eq=False)
class ImportItem(Node):
    original: str
    name: Ident


@dataclass(slots=True, eq=False)
class ImportDecl(Decl):
    """`import {a, b as c} from 'file'`; with `wildcard`, `import * as name from 'file'`."""

    items: list[ImportItem]
    wildcard: Ident | None
    path: Str


@dataclass(slots=True, eq=False)
class UsingDecl(Decl):
    """`using 'main.bicep'`; `path` None is `using none`."""

    path: Str | None


@dataclass(slots=True, eq=False)
class ExtendsDecl(Decl):
    path: Str


def body_of(value: Node) -> Object | None:
    """The object of a resource's or module's body, out of its loop and condition."""
    if isinstance(value, For):
        value = value.body
    if isinstance(value, If):
        value = value.body
    return value if isinstance(value, Object) else None


def loop_of(value: Node) -> For | None:
    return value if isinstance(value, For) else None


def condition_of(value: Node) -> Node | None:
    if isinstance(value, For):
        value = value.body
    return value.condition if isinstance(value, If) else None


def nested_resources(body: Object) -> Iterator[ResourceDecl]:
    """The resources that are declared in a resource's body."""
    return (item for item in body.items if isinstance(item, ResourceDecl))
