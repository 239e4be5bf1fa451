"""Values that are outside of what @minValue, @maxValue, @minLength and @maxLength allow.

Only what is certain is said: a value that is written out, or an array whose items are.
"""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.interface import Parameter, parameters
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.literals import alias
from orchestrator.bicep.model import ArmFile, Model, decorator

_NAMES = ("minValue", "maxValue", "minLength", "maxLength")
Bounds = dict[str, int]


def check(model: Model, typing: Typing) -> None:
    for decl in model.decls:
        for node in s.walk(decl):
            _order(model, node)
        if isinstance(decl, s.ParamDecl) and decl.default is not None:
            _value(model, typing, decl.default, declared(model, decl, decl.type))
        elif isinstance(decl, s.OutputDecl):
            _value(model, typing, decl.value, declared(model, decl, decl.type))
        elif isinstance(decl, s.VarDecl) and decl.type is not None:
            _value(model, typing, decl.value, declared(model, None, decl.type))
    for symbol in model.of(sym.MODULE):
        params = symbol.body.value("params") if symbol.body is not None else None
        if symbol.file is None or not isinstance(params, s.Object):
            continue
        wanted = parameters(symbol.file)
        for prop in params.props:
            parameter = wanted.get(prop.name or "")
            if parameter is not None:
                _value(model, typing, prop.value, _of_parameter(symbol.file, parameter))


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


def declared(model: Model, decl: s.Node | None, type_: s.Node) -> Bounds:
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
        further = alias(model, type_)
        if isinstance(further, tuple):
            model, type_, decl = further
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


def _of_parameter(file: Model | ArmFile, parameter: Parameter) -> Bounds:
    if isinstance(file, ArmFile):
        return _of_schema(parameter.schema)
    symbol = file.symbols.get(parameter.name)
    if symbol is None or not isinstance(symbol.decl, s.ParamDecl):
        return {}
    return declared(file, symbol.decl, symbol.decl.type)


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
