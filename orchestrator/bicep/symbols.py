"""What names mean: the symbols of a file and of the scopes in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.bicep import syntax as s

if TYPE_CHECKING:
    from orchestrator.bicep.model import ArmFile, Model

PARAM = "param"
VAR = "var"
FUNC = "func"
TYPE = "type"
RESOURCE = "resource"
MODULE = "module"
OUTPUT = "output"
METADATA = "metadata"
ASSERT = "assert"
TEST = "test"
IMPORT = "import"
WILDCARD = "wildcard"
NAMESPACE = "namespace"
ASSIGNMENT = "assignment"  # `param x = …` of a .bicepparam file
BASE = "base"  # `base.x` in a .bicepparam file that extends another

SPOKEN = {
    PARAM: "a parameter",
    VAR: "a variable",
    FUNC: "a function",
    TYPE: "a type",
    RESOURCE: "a resource",
    MODULE: "a module",
    TEST: "a test",
    IMPORT: "an import",
    WILDCARD: "an import",
    NAMESPACE: "a namespace",
    ASSIGNMENT: "a parameter",
    BASE: "the extended file",
}


@dataclass(slots=True, eq=False)
class Local:
    """A variable of a loop ("item", "index"), of a lambda or of a function's parameters."""

    name: str
    kind: str
    scope: s.For | s.Lambda | s.FuncDecl
    type: s.Node | None = None  # of a function's parameter


@dataclass(slots=True, eq=False)
class Target:
    """What an import means: a declaration of a Bicep file, or one of an ARM template."""

    file: Model | ArmFile
    kind: str  # TYPE, VAR or FUNC
    name: str  # as the exporting file calls it
    symbol: Symbol | None = None  # in a Bicep file


@dataclass(slots=True, eq=False)
class Symbol:
    kind: str
    name: str
    decl: s.Node
    model: Model
    # an import's
    target: Target | None = None
    file: Model | ArmFile | None = None  # a wildcard's, or a module's
    members: dict[str, Target] = field(default_factory=dict)  # a wildcard's

    @property
    def loop(self) -> s.For | None:
        decl = self.decl
        if isinstance(decl, (s.ResourceDecl, s.ModuleDecl, s.VarDecl, s.OutputDecl)):
            return s.loop_of(decl.value)
        return None

    @property
    def is_collection(self) -> bool:
        return self.loop is not None

    @property
    def body(self) -> s.Object | None:
        decl = self.decl
        if isinstance(decl, (s.ResourceDecl, s.ModuleDecl)):
            return s.body_of(decl.value)
        return None

    def __repr__(self) -> str:
        return f"Symbol({self.kind}, {self.name})"


@dataclass(slots=True, eq=False)
class Resource:
    """A resource's type, version, and where it hangs."""

    symbol: Symbol
    decl: s.ResourceDecl
    type: str
    api_version: str
    parent: Resource | None = None
    nested: bool = False  # declared in its parent's body
    parent_index: s.Node | None = None  # `parent: name[index]`
    children: dict[str, Resource] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.symbol.name

    @property
    def existing(self) -> bool:
        return self.decl.existing

    @property
    def body(self) -> s.Object:
        found = s.body_of(self.decl.value)
        assert found is not None
        return found

    @property
    def type_segments(self) -> list[str]:
        return self.type.split("/")

    def ancestors(self) -> list[Resource]:
        """From the oldest to the parent."""
        found: list[Resource] = []
        current = self.parent
        while current is not None and current not in found:
            found.append(current)
            current = current.parent
        found.reverse()
        return found

    @property
    def symbolic_name(self) -> str:
        if self.nested and self.parent is not None:
            return f"{self.parent.symbolic_name}::{self.name}"
        return self.name
