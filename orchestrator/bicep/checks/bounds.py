"""Values that are outside of what @minValue, @maxValue, @minLength and @maxLength allow.

Only what is certain is said: of a value that is written out, or of its parts.
"""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.interface import Parameter, parameters
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.literals import alias, spelled
from orchestrator.bicep.model import ArmFile, Model, decorator
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.unit import built_in_name

_NAMES = ("minValue", "maxValue", "minLength", "maxLength")
Bounds = dict[str, int]


def check(model: Model, typing: Typing) -> None:
    _Bounds(model, typing).run()


def check_argument(
    model: Model, typing: Typing, node: s.Node, file: Model | ArmFile, parameter: Parameter
) -> None:
    """A value that a parameters file gives for a template's parameter."""
    _Bounds(model, typing).argument(node, file, parameter)


class _Bounds:
    def __init__(self, model: Model, typing: Typing) -> None:
        self.model = model
        self.typing = typing

    def run(self) -> None:
        model = self.model
        for decl in model.decls:
            for node in s.walk(decl):
                _order(model, node)
                if isinstance(node, (s.Call, s.MethodCall)):
                    self._call(node)
            if isinstance(decl, s.ParamDecl) and decl.default is not None:
                self._typed(decl.default, model, decl, decl.type)
            elif isinstance(decl, s.OutputDecl):
                self._typed(decl.value, model, decl, decl.type)
            elif isinstance(decl, s.VarDecl) and decl.type is not None:
                self._typed(decl.value, model, None, decl.type)
        for symbol in model.of(sym.MODULE):
            params = symbol.body.value("params") if symbol.body is not None else None
            if symbol.file is not None and isinstance(params, s.Object):
                self._arguments(symbol.file, params)

    def _arguments(self, file: Model | ArmFile, params: s.Object) -> None:
        wanted = parameters(file)
        for prop in params.props:
            parameter = wanted.get(prop.name or "")
            if parameter is not None:
                self.argument(prop.value, file, parameter)

    def argument(self, node: s.Node, file: Model | ArmFile, parameter: Parameter) -> None:
        if isinstance(file, Model) and parameter.decl is not None:
            self._typed(node, file, parameter.decl, parameter.decl.type)
        elif isinstance(file, ArmFile):
            self._described(node, file, parameter.schema)

    def _typed(self, node: s.Node, owner: Model, decl: s.Node | None, type_: s.Node) -> None:
        """A value, and what it is made of, against a type of a file."""
        self._value(node, declared(decl, type_))
        where = spelled(owner, type_)
        if where is None:
            return
        owner, plain = where
        inner = s.unwrap(node)
        if isinstance(inner, s.For) and isinstance(plain, s.TypeArray):
            self._typed(inner.body, owner, None, plain.item)
        elif isinstance(inner, s.Array) and isinstance(plain, s.TypeArray):
            for item in inner.items:
                if not isinstance(item, s.Spread):
                    self._typed(item, owner, None, plain.item)
        elif isinstance(inner, s.Array) and isinstance(plain, s.TypeTuple):
            for item, one in zip(inner.items, plain.items, strict=False):
                if isinstance(item, s.Spread):
                    break
                self._typed(item, owner, one, one.type)
        elif isinstance(inner, s.Object) and isinstance(plain, s.TypeObject):
            known = {(one.name or "*").lower(): one for one in plain.props}
            for prop in inner.props:
                found = known.get((prop.name or "*").lower(), known.get("*"))
                if found is not None:
                    self._typed(prop.value, owner, found, found.type)

    def _described(self, node: s.Node, file: ArmFile, schema: object) -> None:
        """A value, and what it is made of, against a description in a template."""
        found = file.resolve(schema)
        self._value(node, _of_schema(found))
        inner = s.unwrap(node)
        if not isinstance(found, dict):
            return
        if isinstance(inner, s.Array):
            for item in inner.items:
                self._described(item, file, found.get("items"))
        elif isinstance(inner, s.Object):
            known = found.get("properties", {})
            for prop in inner.props:
                self._described(prop.value, file, known.get(prop.name))

    def _call(self, node: s.Call | s.MethodCall) -> None:
        if isinstance(node, s.Call) and node.symbol is not None:
            decl = node.symbol.decl
            if isinstance(decl, s.FuncDecl):
                for arg, param in zip(node.args, decl.params, strict=False):
                    self._typed(arg, node.symbol.model, None, param.type)
        elif built_in_name(node) == "substring" and len(node.args) > 1:
            self._substring(node.args)

    def _substring(self, args: list[s.Node]) -> None:
        """substring() of a text that is known: where the part begins, and how long it is."""
        size = _length(self.typing.of(args[0]))
        if size is None:
            return
        for arg in args[1:3]:
            least = self._least(arg)
            if least is None:
                return
            self._value(arg, {"minValue": 0})
            if least > size:
                self.model.error(
                    arg, "BCP327", f"The value is at least {least}; the text has {size} left."
                )
                return
            size -= least

    def _least(self, node: s.Node) -> int | None:
        """The least value that an int can have, where the file says one."""
        kind = self.typing.of(node)
        if kind.is_literal and isinstance(kind.value, int):
            return kind.value
        symbol = node.symbol if isinstance(node, s.Name) else None
        decl = symbol.decl if isinstance(symbol, Symbol) else None
        if isinstance(decl, s.ParamDecl):
            return declared(decl, decl.type).get("minValue", 0)
        return None

    def _value(self, node: s.Node, bounds: Bounds) -> None:
        _value(self.model, self.typing, node, bounds)


def _order(model: Model, node: s.Node) -> None:
    """A least value above the greatest one."""
    if not getattr(node, "decorators", None):
        return
    for least, most in (("minValue", "maxValue"), ("minLength", "maxLength")):
        low, high = decorator(node, least), decorator(node, most)
        if low is None or high is None or not low.args or not high.args:
            continue
        small, great = _number(low.args[0]), _number(high.args[0])
        if small is not None and great is not None and small > great:
            model.error(low, "BCP331", f"@{least}({small}) is above @{most}({great}).")


def declared(decl: s.Node | None, type_: s.Node) -> Bounds:
    """The bounds of a declaration: its own, and those of the types that it is by name."""
    found: Bounds = {}
    for _ in range(64):
        for name in _NAMES:
            mark = decorator(decl, name) if decl is not None else None
            value = _number(mark.args[0]) if mark is not None and mark.args else None
            if value is not None:
                found.setdefault(name, value)
        while isinstance(type_, (s.TypeNullable, s.TypeNonNull)):
            type_ = type_.base
        further = alias(type_)
        if isinstance(further, tuple):
            _, type_, decl = further
            continue
        if further is not None and isinstance(further.file, ArmFile):
            schema = further.file.resolve(further.file.template["definitions"][further.name])
            return {**_of_schema(schema), **found}
        break
    return found


def _number(node: s.Node) -> int | None:
    if isinstance(node, s.Unary) and isinstance(node.operand, s.Int):
        return -node.operand.value
    return node.value if isinstance(node, s.Int) else None


def _of_schema(schema: object) -> Bounds:
    given = schema if isinstance(schema, dict) else {}
    return {name: given[name] for name in _NAMES if isinstance(given.get(name), int)}


def _length(kind: Kind) -> int | None:
    if kind.is_literal and isinstance(kind.value, str):
        # as the service counts: in UTF-16
        return len(kind.value.encode("utf-16-le", "surrogatepass")) // 2
    return len(kind.items) if kind.name == "array" and kind.items is not None else None


def _value(model: Model, typing: Typing, node: s.Node, bounds: Bounds) -> None:
    if not bounds:
        return
    kind = typing.of(node)
    if kind.is_literal and isinstance(kind.value, int) and not isinstance(kind.value, bool):
        size, what, low, high = kind.value, "value", "minValue", "maxValue"
        codes = ("BCP328", "BCP327")
    else:
        length = _length(kind)
        if length is None:
            return
        size, what, low, high = length, "length", "minLength", "maxLength"
        codes = ("BCP333", "BCP332")
    if low in bounds and size < bounds[low]:
        model.error(node, codes[0], f"The {what} is {size}, and at least {bounds[low]} is wanted.")
    elif high in bounds and size > bounds[high]:
        model.error(node, codes[1], f"The {what} is {size}, and at most {bounds[high]} is wanted.")
