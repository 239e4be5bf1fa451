"""Bicep expressions into expressions of the template language.

`env` holds what loop variables stand for when an expression is used outside of its loop (a resource
of a collection, read by index): the template language has no other means to carry them there.
"""

from __future__ import annotations

from orchestrator.bicep import arm, functions
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Arm, Fn, Lit, fn, read
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.naming import Naming
from orchestrator.bicep.references import At, Env, Reference, Value
from orchestrator.bicep.symbols import Local, Symbol
from orchestrator.bicep.unit import Unit, built_in_name

_BINARY = {
    "||": "or",
    "&&": "and",
    "==": "equals",
    "<": "less",
    "<=": "lessOrEquals",
    ">": "greater",
    ">=": "greaterOrEquals",
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "%": "mod",
    "??": "coalesce",
}
_SAFE = ("tryget", "tryindexfromend")
_OTHER_SCOPES = ("resourceGroup", "subscription", "managementGroup")


class Converter:
    """`ids` (resources.py) writes what resources are called, `reading` what is read of them."""

    def __init__(self, unit: Unit, naming: Naming) -> None:
        from orchestrator.bicep.reading import Reading
        from orchestrator.bicep.resources import Ids

        self.unit = unit
        self.model = unit.model
        self.naming = naming
        self.ids = Ids(self)
        self.typing = Typing(self.model)
        self.reading = Reading(self)

    # --- what a node really is

    def resolve(self, node: s.Node, env: Env) -> tuple[s.Node | Value, Env]:
        """Without parentheses, `!` and any(); an inlined variable as its value; what was read."""
        while True:
            node = s.unwrap(node)
            if isinstance(node, (s.Call, s.MethodCall)):
                loaded = self._loaded(node)
                if loaded is not None:
                    return loaded, env
                name = self.built_in(node)
                if name == "any" and len(node.args) == 1:
                    node = node.args[0]
                    continue
                if name == "nameof" and len(node.args) == 1:
                    return Value(name_of(node.args[0])), env
                if name in _OTHER_SCOPES and node.args:
                    return Value({}), env  # another scope's properties are not known here
            elif isinstance(node, s.Name) and isinstance(node.symbol, Symbol):
                symbol = node.symbol
                if symbol in self.unit.inlining.variables:
                    assert isinstance(symbol.decl, (s.VarDecl, s.NamedValue))
                    node = symbol.decl.value
                    continue
            return node, env

    def _loaded(self, node: s.Node) -> Value | None:
        if node in self.unit.loaded and node not in self.unit.load_variables:
            return Value(self.unit.loaded[node])
        return None

    def built_in(self, node: s.Node) -> str:
        return built_in_name(node)

    def reference(self, node: s.Node, env: Env) -> Reference | None:
        """The resource or module that an expression is."""
        found, env = self.resolve(node, env)
        index = None
        if isinstance(found, s.Index) and not found.safe and not found.from_end:
            base, _ = self.resolve(found.base, env)
            if not (
                isinstance(base, (s.Name, s.Nested))
                and isinstance(base.symbol, Symbol)
                and base.symbol.is_collection
            ):
                return None
            index = found.index
            found = base
        if not isinstance(found, (s.Name, s.Nested)) or not isinstance(found.symbol, Symbol):
            return None
        symbol = found.symbol
        if symbol.kind not in (sym.RESOURCE, sym.MODULE):
            return None
        return Reference(symbol, self.at(symbol, index, env) if index is not None else None)

    def at(self, symbol: Symbol, index: s.Node, env: Env) -> At:
        converted = self.convert(index, env)
        return At(self.loop_env(symbol.loop, converted, env), converted)

    def loop_env(self, loop: s.For | None, index: Arm, env: Env) -> Env:
        if loop is None:
            return env
        changed = dict(env)
        for local in loop.locals:
            if local.kind == "index":
                changed[local] = index
            else:
                changed[local] = read(self.convert(loop.array, env), index)
        return changed

    # --- expressions

    def convert(self, node: s.Node, env: Env) -> Arm:
        found, env = self.resolve(node, env)
        match found:
            case Value():
                return arm.from_json(found.json)
            case s.Str():
                return self._string(found, env)
            case s.Int():
                return arm.number(found.value)
            case s.Bool():
                return fn("true" if found.value else "false")
            case s.Null():
                return fn("null")
            case s.Array():
                return self._array(found, env)
            case s.Object():
                return self._object(found, env)
            case s.Ternary():
                return fn(
                    "if",
                    self.convert(found.condition, env),
                    self.convert(found.yes, env),
                    self.convert(found.no, env),
                )
            case s.Binary():
                return self._binary(found, env)
            case s.Unary():
                if found.op == "!":
                    return fn("not", self.convert(found.operand, env))
                if isinstance(found.operand, s.Int):
                    return arm.number(-found.operand.value)
                return fn("sub", Lit(0), self.convert(found.operand, env))
            case s.Call():
                return self._call(found, env)
            case s.MethodCall():
                return self._method(found, env)
            case s.Index():
                return self._index(found, env)
            case s.Member():
                return self._member(found.base, found.name.name, found.safe, env)
            case s.Name():
                return self._name(found, env)
            case s.Nested():
                return self.reading.whole(self._required_reference(found, env), env)
            case s.Lambda():
                names = [Lit(param.name) for param in found.params]
                return fn("lambda", *names, self.convert(found.body, env))
        raise AssertionError(f"no expression: {type(found).__name__}")

    def _string(self, node: s.Str, env: Env) -> Arm:
        if node.literal is not None:
            return Lit(node.literal)
        parts = [part.replace("{", "{{").replace("}", "}}") for part in node.parts]
        text = parts[0] + "".join(f"{{{i}}}{part}" for i, part in enumerate(parts[1:]))
        return fn("format", Lit(text), *(self.convert(hole, env) for hole in node.holes))

    def _array(self, node: s.Array, env: Env) -> Arm:
        chunks: list[Arm] = []
        run: list[Arm] = []
        for item in node.items:
            if isinstance(item, s.Spread):
                if run:
                    chunks.append(fn("createArray", *run))
                    run = []
                chunks.append(self.convert(item.value, env))
            else:
                run.append(self.convert(item, env))
        if not chunks:
            return fn("createArray", *run)
        if run:
            chunks.append(fn("createArray", *run))
        return fn("flatten", fn("createArray", *chunks))

    def _object(self, node: s.Object, env: Env) -> Arm:
        chunks: list[Arm] = []
        run: list[Arm] = []
        for item in node.items:
            if isinstance(item, s.Spread):
                if run:
                    chunks.append(fn("createObject", *run))
                    run = []
                chunks.append(self.convert(item.value, env))
            elif isinstance(item, s.Prop):
                run.append(self._string(item.key, env))
                run.append(self.convert(item.value, env))
        if not chunks:
            return fn("createObject", *run)
        if run:
            chunks.append(fn("createObject", *run))
        return fn("shallowMerge", fn("createArray", *chunks))

    def _binary(self, node: s.Binary, env: Env) -> Arm:
        left, right = self.convert(node.left, env), self.convert(node.right, env)
        if node.op == "!=":
            return fn("not", fn("equals", left, right))
        if node.op in ("=~", "!~"):
            same = fn("equals", fn("toLower", left), fn("toLower", right))
            return same if node.op == "=~" else fn("not", same)
        return fn(_BINARY[node.op], left, right)

    def _args(self, args: list[s.Node], env: Env) -> list[Arm]:
        return [self.convert(arg, env) for arg in args]

    def _call(self, node: s.Call, env: Env) -> Arm:
        if node in self.unit.load_variables:
            return fn("variables", Lit(self.naming.loaded(self.unit.load_variables[node])))
        if node.symbol is not None:
            return fn(self.naming.function(node.symbol), *self._args(node.args, env))
        return fn(node.name.name, *self._args(node.args, env))

    def _method(self, node: s.MethodCall, env: Env) -> Arm:
        if node in self.unit.load_variables:
            return fn("variables", Lit(self.naming.loaded(self.unit.load_variables[node])))
        base = s.unwrap(node.base)
        if isinstance(base, s.Name) and isinstance(base.symbol, Symbol):
            if base.symbol.kind == sym.NAMESPACE:
                if base.symbol.name == functions.THIS:
                    before = fn("target", Lit("full"))
                    return fn("not", fn("empty", before)) if node.name.name == "exists" else before
                return fn(node.name.name, *self._args(node.args, env))
            if base.symbol.kind == sym.WILDCARD:
                name = self.naming.member_function(base.symbol, node.name.name)
                return fn(name, *self._args(node.args, env))
        found = self._required_reference(node.base, env)
        resource = self.model.resource_of[found.symbol]
        if self.unit.symbolic:
            target = self.reading.symbolic(found)
        else:
            target = self.ids.resource_id(resource, found.at.env if found.at else env)
        if node.args:
            return fn(node.name.name, target, *self._args(node.args, env))
        return fn(node.name.name, target, Lit(resource.api_version))

    # --- names

    def _name(self, node: s.Name, env: Env) -> Arm:
        symbol = node.symbol
        if isinstance(symbol, Local):
            return self._local(symbol, env)
        assert symbol is not None
        match symbol.kind:
            case sym.PARAM | sym.ASSIGNMENT:
                return fn("parameters", Lit(symbol.name))
            case sym.VAR | sym.IMPORT:
                return fn("variables", Lit(self.naming.variable(symbol)))
            case sym.RESOURCE | sym.MODULE:
                return self.reading.whole(Reference(symbol, None), env)
        raise AssertionError(f"{symbol.kind} is no value")

    def _local(self, local: Local, env: Env) -> Arm:
        if local in env:
            return env[local]
        if local.kind == "lambda":
            return fn("lambdaVariables", Lit(local.name))
        if local.kind == "function":
            return fn("parameters", Lit(local.name))
        assert isinstance(local.scope, s.For)
        name = self.copy_name(local.scope)
        index = fn("copyIndex") if name is None else fn("copyIndex", Lit(name))
        if local.kind == "index":
            return index
        return read(self.convert(local.scope.array, env), index)

    def copy_name(self, loop: s.For) -> str | None:
        parent = loop.parent
        if isinstance(parent, s.VarDecl):
            return self.naming.copy(parent.name.name)
        if isinstance(parent, s.ParamAssign):
            return parent.name.name
        if isinstance(parent, s.Prop):
            return parent.name
        return None

    # --- reading properties

    def _chained(self, base: s.Node) -> bool:
        """Whether this access goes on where `.?` may have stopped."""
        while True:
            if isinstance(base, s.NonNull):
                base = base.base
            elif self.built_in(base) == "any" and isinstance(base, (s.Call, s.MethodCall)):
                base = base.args[0]
            else:
                return isinstance(base, (s.Member, s.Index))

    def _index(self, node: s.Index, env: Env) -> Arm:
        index = s.unwrap(node.index)
        if isinstance(index, s.Str) and index.literal is not None and not node.from_end:
            return self._member(node.base, index.literal, node.safe, env)
        found = self.reference(node, env)
        if found is not None:
            return self.reading.whole(found, env)
        return self._access(
            self.convert(node.base, env),
            self.convert(node.index, env),
            safe=node.safe,
            from_end=node.from_end,
            chained=self._chained(node.base),
        )

    def _access(
        self, base: Arm, accessor: Arm, *, safe: bool, from_end: bool, chained: bool
    ) -> Arm:
        if safe:
            return fn("tryIndexFromEnd" if from_end else "tryGet", base, accessor)
        if chained and isinstance(base, Fn) and not base.props and base.name.lower() in _SAFE:
            extra = accessor
            if from_end:
                extra = fn("createObject", Lit("value"), accessor, Lit("fromEnd"), fn("true"))
            return fn(base.name, *base.args, extra)
        if from_end:
            return fn("indexFromEnd", base, accessor)
        return read(base, accessor)

    def _member(self, base: s.Node, name: str, safe: bool, env: Env) -> Arm:
        found = self.reference(base, env)
        if found is not None:
            if found.symbol.kind == sym.RESOURCE:
                return self.reading.resource_property(found, name, safe, env)
            return self.reading.module_property(found, name, safe, env, None)
        inner, inner_env = self.resolve(base, env)
        if isinstance(inner, s.Member) and inner.name.name == "outputs":
            module = self.reference(inner.base, inner_env)
            if module is not None and module.symbol.kind == sym.MODULE:
                return self.reading.module_output(module, inner, name, safe, inner_env)
            if self.typing.of(inner.base).name == "module":
                # one of a collection, by way of a variable
                outputs = arm.as_fn(self.convert(inner, inner_env))
                return self.reading.output_of(outputs, [Lit(name), Lit("value")], safe)
        if (
            isinstance(inner, s.Name)
            and isinstance(inner.symbol, Symbol)
            and inner.symbol.kind == sym.WILDCARD
        ):
            return fn("variables", Lit(self.naming.member_variable(inner.symbol, name)))
        return self._access(
            self.convert(base, env),
            Lit(name),
            safe=safe,
            from_end=False,
            chained=self._chained(base),
        )

    def _required_reference(self, node: s.Node, env: Env) -> Reference:
        found = self.reference(node, env)
        assert found is not None
        return found


def name_of(node: s.Node) -> str:
    """What `nameof` gives: the last name of an expression."""
    node = s.unwrap(node)
    if isinstance(node, s.Name):
        return node.name
    if isinstance(node, (s.Member, s.Nested)):
        return node.name.name
    if isinstance(node, s.Index):
        index = s.unwrap(node.index)
        if isinstance(index, s.Str) and index.literal is not None:
            return index.literal
        return name_of(node.base)
    return ""
