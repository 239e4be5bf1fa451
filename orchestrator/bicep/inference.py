"""Declared types and expressions as kinds (kinds.py)."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from orchestrator.bicep import functions, kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.folding import LONGEST, fold_call, fold_not, fold_operator
from orchestrator.bicep.interface import output_names
from orchestrator.bicep.kinds import ANY, Kind, Property, array_of, literal, union
from orchestrator.bicep.model import ArmFile, Model, decorator
from orchestrator.bicep.scope_kinds import SCOPE_PROPERTIES, scope_kind
from orchestrator.bicep.symbols import Local, Resource, Symbol
from orchestrator.bicep.type_kinds import declared_kind, of_schema, type_kind
from orchestrator.bicep.type_library.bodies import body_kind
from orchestrator.bicep.unit import built_in_name

if TYPE_CHECKING:
    from orchestrator.bicep.symbols import Target

# functions that go over an array, and which variables of their lambdas are its items
_ITEM_PLACES = {
    "map": (0,),
    "filter": (0,),
    "sort": (0, 1),
    "reduce": (1,),
    "toObject": (0,),
    "groupBy": (0,),
}
# functions that give some of an array's items
_LAMBDA_ITEMS = {"map": "array", "mapValues": "object"}
# functions that give arrays of one kind
_ITEMS = {
    "range": kinds.INT,
    "split": kinds.STRING,
    "objectKeys": kinds.STRING,
    "items": kinds.ENTRY,
    "loadDirectoryFileInfo": kinds.OBJECT,
}
_READ_VALUES = ("loadJsonContent", "loadYamlContent")
_SAME_ITEMS = ("filter", "sort", "skip", "take", "distinct")


class Typing:
    """The kinds of one file's types and expressions."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._symbols: dict[Symbol, Kind] = {}
        self._kinds: dict[s.Node, Kind] = {}
        self._running: set[Symbol] = set()
        self._bodies: dict[Symbol, Kind | None] = {}

    # --- types

    def type(self, node: s.Node, depth: int = 0) -> Kind:
        return type_kind(self.model, node, depth)

    # --- symbols

    def symbol(self, symbol: Symbol) -> Kind:
        if symbol in self._running:
            return ANY
        if symbol not in self._symbols:
            self._running.add(symbol)
            self._symbols[symbol] = self._declared(symbol)
            self._running.discard(symbol)
        return self._symbols[symbol]

    def _declared(self, symbol: Symbol) -> Kind:
        decl = symbol.decl
        if isinstance(decl, s.ParamDecl):
            return parameter_type(self.model, decl)
        if isinstance(decl, s.VarDecl):
            return self.type(decl.type) if decl.type is not None else self.of(decl.value)
        if isinstance(decl, s.ParamAssign):
            return self.of(decl.value)
        if symbol.kind == sym.IMPORT and symbol.target is not None:
            return _imported(symbol.target)
        if symbol.kind in (sym.RESOURCE, sym.MODULE):
            one = Kind(symbol.kind, source=symbol)
            return array_of(one) if symbol.is_collection else one
        return ANY

    def _local(self, local: Local) -> Kind:
        if local.kind == "index":
            return kinds.INT
        if local.kind == "function" and local.type is not None:
            return self.type(local.type)
        if local.kind == "item" and isinstance(local.scope, s.For):
            return item_of(self.of(local.scope.array))
        if isinstance(local.scope, s.Lambda):
            return self._lambda_variable(local, local.scope)
        return ANY

    def _lambda_variable(self, local: Local, scope: s.Lambda) -> Kind:
        """A variable of a lambda that goes over an array."""
        call = scope.parent
        while isinstance(call, s.Paren):
            call = call.parent
        if not isinstance(call, (s.Call, s.MethodCall)) or not call.args:
            return ANY
        place = scope.locals.index(local)
        if built_in_name(call) not in _ITEM_PLACES:
            return ANY
        if place in _ITEM_PLACES[built_in_name(call)]:
            return item_of(self.of(call.args[0]))
        return ANY

    # --- expressions

    def of(self, node: s.Node) -> Kind:
        found = self._kinds.get(node)
        if found is None:
            found = self._of(node)
            if not self._running:
                self._kinds[node] = found
        return found

    def _of(self, node: s.Node) -> Kind:
        match node:
            case s.Str():
                return self._string(node)
            case s.Int() | s.Bool():
                return literal(node.value)
            case s.Null():
                return kinds.NULL
            case s.Paren():
                return self.of(node.inner)
            case s.NonNull():
                return kinds.without_null(self.of(node.base))
            case s.Array():
                return self._array(node)
            case s.Object():
                return self._object(node)
            case s.Ternary():
                condition = self.of(node.condition)
                if condition.name == "bool" and condition.is_literal:
                    return self.of(node.yes if condition.value else node.no)
                return union([self.of(node.yes), self.of(node.no)])
            case s.Unary():
                return self._unary(node)
            case s.Binary():
                return self._binary(node)
            case s.Lambda():
                return kinds.LAMBDA
            case s.For():
                return array_of(self.of(node.body))
            case s.Name():
                if isinstance(node.symbol, Local):
                    return self._local(node.symbol)
                return self.symbol(node.symbol) if node.symbol is not None else ANY
            case s.Nested():
                return self.symbol(node.symbol) if node.symbol is not None else ANY
            case s.Call() | s.MethodCall():
                return self._call(node)
            case s.Index():
                return self._index(node)
            case s.Member():
                return self._member(node)
        return ANY

    def _string(self, node: s.Str) -> Kind:
        """A string whose holes are literals is one, too."""
        found = node.parts[0]
        for hole, text in zip(node.holes, node.parts[1:], strict=True):
            kind = self.of(hole)
            if not kind.is_literal or not isinstance(kind.value, (str, int)):
                return kinds.STRING
            shown = str(kind.value)
            found += (shown.capitalize() if isinstance(kind.value, bool) else shown) + text
            if len(found) > LONGEST:
                return kinds.STRING
        return literal(found)

    def _array(self, node: s.Array) -> Kind:
        if any(isinstance(item, s.Spread) for item in node.items):
            return kinds.ARRAY
        items = tuple(self.of(item) for item in node.items)
        return Kind("array", items=items, item=lambda: union(items), literal=True)

    def _object(self, node: s.Object) -> Kind:
        spread = any(isinstance(item, s.Spread) for item in node.items)
        open_ = spread or any(prop.name is None for prop in node.props)
        props = {
            prop.name: Property(partial(self.of, prop.value))
            for prop in node.props
            if prop.name is not None
        }
        return Kind("object", props=props, closed=not open_, literal=True)

    def _unary(self, node: s.Unary) -> Kind:
        if node.op == "!":
            return fold_not(self.of(node.operand)) or kinds.BOOL
        if isinstance(node.operand, s.Int):
            return literal(-node.operand.value)
        return kinds.INT

    def _binary(self, node: s.Binary) -> Kind:
        left, right = self.of(node.left), self.of(node.right)
        if node.op in ("+", "-", "*", "/", "%"):
            # what does not fit is said where it stands, and nothing is concluded from it
            if not all(kinds.fits(side, kinds.INT) for side in (left, right)):
                return ANY
            return fold_operator(node.op, left, right) or kinds.INT
        if node.op == "??":
            return union([kinds.without_null(left), right])
        return fold_operator(node.op, left, right) or kinds.BOOL

    def _call(self, node: s.Call | s.MethodCall) -> Kind:
        name = built_in_name(node)
        if name:
            return self._built_in(name, node)
        if isinstance(node, s.Call) and node.symbol is not None:
            return _function_result(node.symbol)
        if isinstance(node, s.MethodCall):
            base = s.unwrap(node.base)
            given = self.of(base)
            if given.name == "resource":
                return self._of_function(given, node.name.name)
            if (
                isinstance(base, s.Name)
                and isinstance(base.symbol, Symbol)
                and base.symbol.kind == sym.WILDCARD
            ):
                target = base.symbol.members.get(node.name.name)
                return _target_result(target) if target is not None else ANY
        return ANY

    def _built_in(self, name: str, node: s.Call | s.MethodCall) -> Kind:
        if name in SCOPE_PROPERTIES and not node.args:
            return scope_kind(name, self.model.target_scope)
        if name in _READ_VALUES and self.model.is_read and node in self.model.unit.loaded:
            return kinds.of_value(self.model.unit.loaded[node])
        if name == "parseUri":
            return kinds.URI
        if name == "json":
            return self._parsed(node.args)
        folded = fold_call(name, map(self.of, node.args))
        if folded is not None:
            return folded
        found = functions.signatures(name)
        results = {one.result for one in found if one.accepts_count(len(node.args))}
        if name == "any" or not results:
            return ANY
        if name in ("first", "last") and len(node.args) == 1:
            given = kinds.without_null(self.of(node.args[0]))
            if given.items:
                return given.items[0 if name == "first" else -1]
            if given.name == "array":
                return item_of(given)
        if name in _ITEMS:
            return array_of(_ITEMS[name])
        if name in _LAMBDA_ITEMS and len(node.args) == 2:
            return self._mapped(name, s.unwrap(node.args[1]))
        if name in _SAME_ITEMS and node.args:
            given = kinds.without_null(self.of(node.args[0]))
            if given.name == "array":
                return array_of(item_of(given))
        if len(results) > 1 and node.args:
            first = self.of(node.args[0])
            fitting = [
                one.result
                for one in found
                if one.accepts_count(len(node.args)) and self.accepts(first, one.parameter(0))
            ]
            results = set(fitting) or results
        if len(results) > 1:
            return ANY
        return kinds.NAMED[results.pop()]

    def _parsed(self, args: list[s.Node]) -> Kind:
        """The kind of a JSON text that the file alone says."""
        given = self.of(args[0]) if len(args) == 1 else ANY
        if given.name != "string" or not given.is_literal:
            return ANY
        try:
            return kinds.of_value(json.loads(str(given.value)))
        except (ValueError, RecursionError):
            return ANY  # the service reads more than strict JSON

    def _mapped(self, name: str, given: s.Node) -> Kind:
        if not isinstance(given, s.Lambda):
            return kinds.NAMED[_LAMBDA_ITEMS[name]]
        if name == "map":
            return Kind("array", item=lambda: self.of(given.body))
        return Kind("object", rest=lambda: self.of(given.body))

    @staticmethod
    def accepts(kind: Kind, parameter: functions.Parameter | None) -> bool:
        if parameter is None or kind.name == "any":
            return True
        if parameter.types == ("lambda",):
            return kind.name == "lambda"
        if "any" in parameter.types:
            return kind.name != "lambda"
        wanted = union(kinds.NAMED[one] for one in parameter.types)
        return kinds.fits(kind, wanted)

    def _index(self, node: s.Index) -> Kind:
        base = kinds.without_null(self.of(node.base))
        index = s.unwrap(node.index)
        name = self.of(index)
        if name.name == "string" and name.is_literal:
            if base.name == "resource":
                return self._of_resource(base, str(name.value), safe=node.safe)
            return self.read(base, str(name.value), safe=node.safe)
        if base.name == "array":
            found = self._item_at(base, index, from_end=node.from_end)
            return union([found, kinds.NULL]) if node.safe else found
        return ANY

    def _item_at(self, base: Kind, index: s.Node, *, from_end: bool) -> Kind:
        """An item of an array; of a tuple those that a literal index, or one of several, means."""
        kind = self.of(index)
        wanted = [one.value for one in kind.members or (kind,) if one.is_literal]
        if not base.items or not wanted or len(wanted) < len(kind.members):
            return item_of(base)
        count = len(base.items)
        places = [count - int(one) if from_end else int(one) for one in wanted if _is_int(one)]
        if len(places) < len(wanted) or any(not 0 <= place < count for place in places):
            return item_of(base)
        return union(base.items[place] for place in places)

    def _member(self, node: s.Member) -> Kind:
        module = self.module_of(node.base)
        if module is not None:
            if node.name.name == "outputs":
                return _outputs(module)
            return kinds.STRING if node.name.name == "name" else ANY
        base = kinds.without_null(self.of(node.base))
        if base.name == "resource":
            return self._of_resource(base, node.name.name, safe=node.safe)
        return self.read(base, node.name.name, safe=node.safe)

    def body(self, kind: Kind) -> Kind | None:
        """What Azure's types say of a resource; None where no library is asked, or it has not the
        type and is not whole."""
        symbol = kind.source
        found = symbol.model.resource_of.get(symbol) if symbol is not None else None
        if symbol is None or found is None or symbol.model.library is None:
            return None
        if symbol not in self._bodies:
            described = symbol.model.described(found.type, found.api_version)
            self._bodies[symbol] = None
            if symbol.model.library.is_whole:
                self._bodies[symbol] = body_kind(described, found, partial(self._said, found))
        return self._bodies[symbol]

    def _of_function(self, kind: Kind, name: str) -> Kind:
        """What a function of a resource gives: `storage.listKeys()`."""
        resource = self.model.resource_of.get(kind.source) if kind.source is not None else None
        if resource is None:
            return ANY
        described = self.model.described(resource.type, resource.api_version)
        found = described.functions.get(name) if described is not None else None
        return found() if found is not None else ANY

    def _told(self, kind: Kind, name: str, found: Kind) -> Kind:
        """Of several descriptions of a property the one that the resource's body means."""
        resource = self.model.resource_of.get(kind.source) if kind.source is not None else None
        if found.azure is None or not found.azure.tag or resource is None:
            return found
        written = resource.body.value(name)
        tag = written.value(found.azure.tag) if isinstance(written, s.Object) else None
        case = found.azure.cases.get(str(self.of(tag).value)) if tag is not None else None
        return case() if case is not None else found

    def _said(self, resource: Resource, name: str) -> object:
        """The value of a property of a resource's body, where the file says it."""
        written = resource.body.value(name)
        found = self.of(written) if written is not None else ANY
        return found.value if found.is_literal else None

    def _of_resource(self, kind: Kind, name: str, *, safe: bool = False) -> Kind:
        """What the file says of a resource, and what Azure's types do."""
        if name not in ("id", "name", "type", "apiVersion"):
            body = self.body(kind)
            if body is None:
                return ANY
            return self._told(kind, name, self.read(body, name, safe=safe))
        found = self.model.resource_of.get(kind.source) if kind.source is not None else None
        if found is None or name == "id":
            return kinds.STRING
        if name == "name":
            written = found.body.value("name")
            given = self.of(written) if written is not None else ANY
            single = given.is_literal and found.parent is None
            return given if single and given.name == "string" else kinds.STRING
        return literal(found.type if name == "type" else found.api_version)

    def module_of(self, node: s.Node) -> Symbol | None:
        """The module that an expression is, one of a collection included."""
        node = s.unwrap(node)
        if isinstance(node, s.Index):
            base = s.unwrap(node.base)
            found = base.symbol if isinstance(base, s.Name) else None
            single = isinstance(found, Symbol) and found.is_collection
        else:
            found = node.symbol if isinstance(node, s.Name) else None
            single = isinstance(found, Symbol) and not found.is_collection
        if isinstance(found, Symbol) and found.kind == sym.MODULE and single:
            return found
        return None

    @staticmethod
    def read(base: Kind, name: str, *, safe: bool = False) -> Kind:
        if base.name == "union":
            return union(Typing.read(one, name, safe=safe) for one in base.members)
        if base.name != "object":
            return ANY
        prop = base.prop(name)
        rest = base.rest() if base.rest is not None else ANY
        found = prop.kind if prop is not None else rest
        return union([found, kinds.NULL]) if safe else found


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def item_of(kind: Kind) -> Kind:
    kind = kinds.without_null(kind)
    if kind.name != "array" or kind.item is None:
        return ANY
    return kind.item()


def parameter_type(model: Model, decl: s.ParamDecl) -> Kind:
    """What a parameter takes: its type, or of that what `@allowed` lists."""
    kind = declared_kind(model, decl, decl.type)
    mark = decorator(decl, "allowed")
    values = s.unwrap(mark.args[0]) if mark is not None and mark.args else None
    if not isinstance(values, s.Array):
        return kind
    return kinds.among(kind, [_constant(s.unwrap(item)) for item in values.items])


def _constant(node: s.Node) -> Kind:
    """The kind of a value that is written out; what else stands there is said elsewhere."""
    match node:
        case s.Str(literal=str() as text):
            return literal(text)
        case s.Int() | s.Bool():
            return literal(node.value)
        case s.Unary(op="-", operand=s.Int() as number):
            return literal(-number.value)
    return ANY


def _imported(target: Target) -> Kind:
    if target.symbol is not None and isinstance(target.symbol.decl, s.VarDecl):
        decl = target.symbol.decl
        owner = target.symbol.model
        if decl.type is not None:
            return type_kind(owner, decl.type)
        return Typing(owner).of(decl.value)
    return ANY


def _function_result(symbol: Symbol) -> Kind:
    if isinstance(symbol.decl, s.FuncDecl):
        return type_kind(symbol.model, symbol.decl.result)
    return _target_result(symbol.target) if symbol.target is not None else ANY


def _target_result(target: Target) -> Kind:
    if target.symbol is not None and isinstance(target.symbol.decl, s.FuncDecl):
        return type_kind(target.symbol.model, target.symbol.decl.result)
    return ANY


def _outputs(module: Symbol) -> Kind:
    file = module.file
    if file is None:
        return ANY
    props: dict[str, Property] = {}
    if isinstance(file, ArmFile):
        for name, schema in file.template.get("outputs", {}).items():
            props[name] = Property(partial(of_schema, file, schema))
    else:
        for name in output_names(file):
            decl = file.outputs[name].decl
            assert isinstance(decl, s.OutputDecl)
            props[name] = Property(partial(type_kind, file, decl.type))
    return Kind("object", props=props, closed=True)
