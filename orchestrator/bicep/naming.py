"""How declared things are called in the template that is being written.

In the file's own template each keeps its name. What was imported has the name that the importing
file's closure gave it (imports.py); inside of an imported declaration everything has such a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bicep import symbols as sym
from orchestrator.bicep.symbols import Symbol

if TYPE_CHECKING:
    from orchestrator.bicep.imports import Closure
    from orchestrator.bicep.model import Model

NAMESPACE = "__bicep"


class Naming:
    """`source`: the file whose declarations are written, the closure's own or an imported one."""

    def __init__(self, closure: Closure, source: Model) -> None:
        self.closure = closure
        self.source = source
        self.foreign = source is not closure.model
        self._copy = ""

    def within(self, name: str) -> Naming:
        """The same, inside of the imported variable that is now called `name`."""
        inner = Naming(self.closure, self.source)
        inner._copy = name
        return inner

    def declared(self, symbol: Symbol) -> str:
        if symbol.kind == sym.IMPORT:
            assert symbol.target is not None
            return self.closure.name(symbol.target)
        if self.foreign:
            return self.closure.own_name(self.source, symbol.name)
        return symbol.name

    def variable(self, symbol: Symbol) -> str:
        return self.declared(symbol)

    def function(self, symbol: Symbol) -> str:
        return qualified(self.declared(symbol))

    def type(self, symbol: Symbol) -> str:
        return self.declared(symbol)

    def member(self, wildcard: Symbol, name: str) -> str:
        return self.closure.name(wildcard.members[name])

    def member_variable(self, wildcard: Symbol, name: str) -> str:
        return self.member(wildcard, name)

    def member_function(self, wildcard: Symbol, name: str) -> str:
        return qualified(self.member(wildcard, name))

    def loaded(self, name: str) -> str:
        """The variable that keeps what was read while compiling."""
        return self.closure.own_name(self.source, name) if self.foreign else name

    def copy(self, name: str) -> str:
        return self._copy or name


def qualified(name: str) -> str:
    return name if "." in name else f"{NAMESPACE}.{name}"
