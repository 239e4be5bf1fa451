"""The kind of a parameter whose type does not say it: from its values, and where it is used.

Only what is certain counts: a value that the declared type has to take, or a place that takes one
kind only, where the real compiler refuses every other.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.bicep import functions, kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing, parameter_type
from orchestrator.bicep.interface import parameters
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.model import ArmFile, Model
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.type_kinds import of_schema, type_kind
from orchestrator.bicep.unit import built_in_name

_NAMED = frozenset({"string", "int", "bool", "object", "array"})
# what all resource types take at the top of their bodies
_OF_RESOURCES = {"name": "string", "location": "string", "kind": "string", "tags": "object"}
_OF_OPERATORS = {
    **dict.fromkeys(("=~", "!~"), "string"),
    **dict.fromkeys(("+", "-", "*", "/", "%"), "int"),
    **dict.fromkeys(("&&", "||"), "bool"),
}


def used_kind(model: Model, decl: s.ParamDecl) -> str | None:
    """string, int, bool, object or array; None when nothing says it, or not all say the same."""
    found = set(_Uses().of_parameter(model, decl))
    return found.pop() if len(found) == 1 else None


def _name(kind: Kind) -> str | None:
    """The one kind that all values of a kind have."""
    plain = kinds.without_null(kind)
    names = {one.name for one in plain.members or (plain,)}
    only = names.pop() if len(names) == 1 else ""
    return only if only in _NAMED else None


class _Uses:
    def __init__(self) -> None:
        self.seen: set[Symbol] = set()
        self.typings: dict[Model, Typing] = {}

    def of_parameter(self, model: Model, decl: s.ParamDecl) -> Iterator[str]:
        symbol = model.symbols.get(decl.name.name)
        if symbol is None or symbol.decl is not decl or symbol in self.seen:
            return
        given = [(model, decl.default)] if decl.default is not None else []
        for owner, value in (*given, *_values(model, symbol.name)):
            found = _name(self._typing(owner).of(value))
            if found is not None:
                yield found
        yield from self._of_symbol(symbol)

    def _typing(self, model: Model) -> Typing:
        return self.typings.setdefault(model, Typing(model))

    def _of_symbol(self, symbol: Symbol) -> Iterator[str]:
        self.seen.add(symbol)
        for node in symbol.model.uses.get(symbol, ()):
            yield from self._wanted(symbol.model, node)

    def _wanted(self, model: Model, node: s.Node) -> Iterator[str]:
        """What the place of an expression takes."""
        parent = node.parent
        found: str | None = None
        match parent:
            case s.Paren() | s.NonNull():
                yield from self._wanted(model, parent)
            case s.Ternary():
                if node is parent.condition:
                    found = "bool"
                else:
                    yield from self._wanted(model, parent)
            case s.Binary(op="??"):
                yield from self._wanted(model, parent)
            case s.Binary():
                found = _OF_OPERATORS.get(parent.op)
            case s.Unary():
                found = "bool" if parent.op == "!" else "int"
            case s.Member():
                found = "object"
            case s.Index() if parent.base is node:
                found = _indexed(s.unwrap(parent.index))
            case s.For() if parent.array is node:
                found = "array"
            case s.If() if parent.condition is node:
                found = "bool"
            case s.Spread():
                found = "array" if isinstance(parent.parent, s.Array) else "object"
            case s.Call() | s.MethodCall():
                found = _argument(parent, node)
            case s.ParamDecl() | s.OutputDecl():
                found = _name(type_kind(model, parent.type))
            case s.VarDecl():
                if parent.type is not None:
                    found = _name(type_kind(model, parent.type))
                else:
                    symbol = model.symbols.get(parent.name.name)
                    if symbol is not None and symbol not in self.seen:
                        yield from self._of_symbol(symbol)
            case s.Prop() if parent.value is node:
                yield from self._property(model, parent)
        if found is not None:
            yield found

    def _property(self, model: Model, prop: s.Prop) -> Iterator[str]:
        """A property at the top of a resource's body, or a parameter of a module."""
        holder = prop.parent
        owner = holder.parent if holder is not None else None
        name = prop.name or ""
        if isinstance(owner, s.Prop) and owner.name == "params":
            body = owner.parent.parent if owner.parent is not None else None
            file = _module_file(model, _declaration(body))
            parameter = parameters(file).get(name) if file is not None else None
            if isinstance(file, ArmFile) and parameter is not None:
                found = _name(of_schema(file, parameter.schema))
            elif isinstance(file, Model) and parameter is not None and parameter.decl is not None:
                found = _name(parameter_type(file, parameter.decl))
                if found is None:
                    yield from self.of_parameter(file, parameter.decl)
            else:
                return
        elif isinstance(_declaration(owner), s.ResourceDecl):
            found = _OF_RESOURCES.get(name)
        else:
            return
        if found is not None:
            yield found


def _declaration(node: s.Node | None) -> s.Node | None:
    """The declaration whose body this is the parent of."""
    while isinstance(node, (s.If, s.For)):
        node = node.parent
    return node


def _module_file(model: Model, decl: s.Node | None) -> Model | ArmFile | None:
    symbol = model.symbols.get(decl.name.name) if isinstance(decl, s.ModuleDecl) else None
    return symbol.file if symbol is not None else None


def _values(model: Model, name: str) -> Iterator[tuple[Model, s.Node]]:
    """What other files of the compilation give for a parameter."""
    for other in model.compilation.models.values():
        if not isinstance(other, Model):
            continue
        if other.using is model:
            given = other.symbols.get(name)
            if given is not None and isinstance(given.decl, s.ParamAssign):
                yield other, given.decl.value
        for symbol in other.of(sym.MODULE):
            params = symbol.body.value("params") if symbol.body is not None else None
            value = params.value(name) if isinstance(params, s.Object) else None
            if symbol.file is model and value is not None:
                yield other, value


def _indexed(index: s.Node) -> str | None:
    if isinstance(index, s.Int):
        return "array"
    return "object" if isinstance(index, s.Str) else None


def _argument(call: s.Call | s.MethodCall, node: s.Node) -> str | None:
    if node not in call.args:
        return None
    index = call.args.index(node)
    if isinstance(call, s.Call) and call.symbol is not None:
        decl = call.symbol.decl
        if isinstance(decl, s.FuncDecl) and index < len(decl.params):
            return _name(type_kind(call.symbol.model, decl.params[index].type))
        return None
    found: set[str] = set()
    for one in functions.signatures(built_in_name(call)):
        parameter = one.parameter(index) if one.accepts_count(len(call.args)) else None
        if parameter is not None:
            found.update(parameter.types)
    only = found.pop() if len(found) == 1 else ""
    return only if only in _NAMED else None
