"""Operators, calls, what is read of a value, and values that have a declared type."""

from __future__ import annotations

from orchestrator.bicep import functions, kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.calls import Calls
from orchestrator.bicep.checks.values import check_value
from orchestrator.bicep.diagnostics import misspelt, nearest
from orchestrator.bicep.folding import operator_fault
from orchestrator.bicep.inference import Typing, parameter_type
from orchestrator.bicep.interface import is_nullable, secure_outputs
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.type_kinds import declared_kind
from orchestrator.bicep.unit import built_in_name

_NO_VALUE = {
    sym.TYPE: "a type",
    sym.FUNC: "a function",
    sym.NAMESPACE: "a namespace",
    sym.WILDCARD: "an import",
    sym.TEST: "a test",
}
_ALWAYS = ("id", "name", "type", "apiVersion")  # that each resource has
_WRITE_ONLY = ("dependsOn", "scope", "parent")
_SCALARS = frozenset({"string", "int", "bool", "null"})
_NOT_INDEXED = ("string", "int", "bool", "null")
_MAX_INT = 2**63 - 1
_NUMBERS = ("+", "-", "*", "/", "%")
_ORDER = ("<", "<=", ">", ">=")


class Checker:
    def __init__(self, model: Model, typing: Typing) -> None:
        self.model = model
        self.typing = typing
        self.calls = Calls(model, typing)

    # --- declarations

    def run(self) -> None:
        for decl in self.model.decls:
            for node in s.walk(decl):
                self._node(node, decl)
            match decl:
                case s.ParamDecl(default=s.Node() as default):
                    wanted = parameter_type(self.model, decl)
                    if is_nullable(decl.type):
                        self.model.error(
                            default, "BCP326", "What may be null has null as its default value."
                        )
                    check_value(self.model, self.typing, default, wanted, "The default value")
                    self._defaults(default)
                case s.OutputDecl():
                    wanted = declared_kind(self.model, decl, decl.type)
                    check_value(self.model, self.typing, decl.value, wanted, "The output")
                case s.VarDecl(type=s.Node() as type_):
                    wanted = self.typing.type(type_)
                    check_value(self.model, self.typing, decl.value, wanted, "The variable")
                case s.FuncDecl():
                    wanted = self.typing.type(decl.result)
                    check_value(self.model, self.typing, decl.body, wanted, "The result")
                    self._function_body(decl)
                case s.AssertDecl():
                    check_value(self.model, self.typing, decl.value, kinds.BOOL, "The assertion")

    def _defaults(self, default: s.Node) -> None:
        for node in s.walk(default):
            symbol = getattr(node, "symbol", None)
            if isinstance(symbol, Symbol) and symbol.kind in (sym.VAR, sym.RESOURCE, sym.MODULE):
                self.model.error(
                    node,
                    "BCP072",
                    f'"{symbol.name}" can\'t stand here: a default value uses parameters only.',
                )
            elif functions.needs_inlining(built_in_name(node)):
                self.model.error(
                    node,
                    "BCP066",
                    "This can't stand here: it is known only while deploying, a default value "
                    "before.",
                )

    def _function_body(self, decl: s.FuncDecl) -> None:
        for node in s.walk(decl.body):
            symbol = getattr(node, "symbol", None)
            if isinstance(symbol, Symbol) and symbol.kind in (sym.PARAM, sym.MODULE):
                self.model.error(
                    node,
                    "BCP057",
                    f'"{symbol.name}" can\'t stand here: a function uses its own parameters, '
                    "and variables of the file.",
                )

    # --- nodes

    def _node(self, node: s.Node, decl: s.Decl) -> None:
        match node:
            case s.Int():
                self._int(node)
            case s.Unary():
                self._unary(node)
            case s.Binary():
                self._binary(node)
            case s.Ternary():
                self._bool(node.condition, "The condition")
            case s.If():
                self._bool(node.condition, "The condition")
            case s.Call() | s.MethodCall():
                self.calls.check(node, decl)
            case s.Member():
                self._member(node)
            case s.Index():
                self._index(node)
            case s.Lambda():
                self._lambda(node)
            case s.Object():
                self._object(node)
            case s.Name():
                self._name(node)
            case s.For():
                self._for(node)
            case s.Spread():
                self._spread(node)

    def _int(self, node: s.Int) -> None:
        negative = isinstance(node.parent, s.Unary) and node.parent.op == "-"
        if node.value > _MAX_INT + negative:
            self.model.error(node, "BCP010", "This number does not fit in 64 bits.")

    def _bool(self, node: s.Node, what: str) -> None:
        found = self.typing.of(node)
        if not kinds.fits(found, kinds.BOOL):
            self.model.error(node, "BCP046", f"{what} is wanted as bool; this is {found.spell()}.")

    def _unary(self, node: s.Unary) -> None:
        wanted = kinds.BOOL if node.op == "!" else kinds.INT
        found = self.typing.of(node.operand)
        if not kinds.fits(found, wanted) or self._lacks_value(node, found):
            self.model.error(
                node, "BCP044", f"{node.op} takes {wanted.name}, but this is {found.spell()}."
            )

    def _binary(self, node: s.Binary) -> None:
        left, right = self.typing.of(node.left), self.typing.of(node.right)

        def both(wanted: Kind) -> bool:
            return all(
                kinds.fits(one, wanted) and not self._lacks_value(node, one)
                for one in (left, right)
            )

        if node.op in _NUMBERS:
            good = both(kinds.INT)
        elif node.op in ("&&", "||"):
            good = both(kinds.BOOL)
        elif node.op in ("=~", "!~"):
            good = both(kinds.STRING)
        elif node.op in _ORDER:
            good = both(kinds.INT) or both(kinds.STRING)
        else:
            return
        if not good:
            hint = ""
            if node.op == "+" and "string" in (left.name, right.name):
                hint = "Join strings by interpolation: '${a}${b}'"
            self.model.error(
                node,
                "BCP045",
                f"{node.op} can't be used with {left.spell()} and {right.spell()}.",
                hint,
            )
        elif node.op == "%" and right.is_literal and right.value == 0:
            self.model.error(node, "BCP410", "Nothing can be divided by 0.")
        elif not self.model.is_params and (why := operator_fault(node.op, left, right)):
            self.model.warning(node, "BCP234", f"{node.op} fails with these values: {why}.")

    @staticmethod
    def _lacks_value(node: s.Node, operand: Kind) -> bool:
        """Whether an operand may be null where nothing has asked for that before.

        In a side of a ternary the condition may have: there the real compiler warns only.
        """
        if operand.name == "null":
            return True
        if operand.name == "any" or not kinds.may_be_null(operand):
            return False
        current: s.Node | None = node
        while current is not None:
            parent = current.parent
            if isinstance(parent, s.Ternary) and parent.condition is not current:
                return False
            current = parent
        return True

    def _name(self, node: s.Name) -> None:
        symbol = node.symbol
        if not isinstance(symbol, Symbol):
            return
        what = _NO_VALUE.get(symbol.kind)
        if symbol.kind == sym.IMPORT and symbol.target is not None:
            what = {sym.TYPE: "a type", sym.FUNC: "a function"}.get(symbol.target.kind)
        parent = node.parent
        reads = isinstance(parent, (s.Member, s.MethodCall, s.Index)) and parent.base is node
        if what is None or (reads and symbol.kind in (sym.NAMESPACE, sym.WILDCARD)):
            return
        if isinstance(parent, s.Call) and parent.name.name == "nameof":
            return
        self.model.error(node, "BCP063", f'"{symbol.name}" is {what} and has no value.')

    def _lambda(self, node: s.Lambda) -> None:
        parent = node.parent
        child: s.Node = node
        while isinstance(parent, s.Paren):
            child, parent = parent, parent.parent
        if isinstance(parent, (s.Call, s.MethodCall)) and child in parent.args:
            return
        if isinstance(parent, s.Decorator):
            return
        self.model.error(node, "BCP242", "A lambda stands only as an argument of a function.")

    def _object(self, node: s.Object) -> None:
        seen: set[str] = set()
        for prop in node.props:
            if prop.name is None:
                continue
            if prop.name in seen:
                self.model.error(prop.key, "BCP025", f'"{prop.name}" is given twice here.')
            seen.add(prop.name)

    def _for(self, node: s.For) -> None:
        found = kinds.without_null(self.typing.of(node.array))
        if not kinds.fits(found, kinds.ARRAY) or found.name == "null":
            self.model.error(
                node.array, "BCP137", f"A loop goes over an array; this is {found.spell()}."
            )

    def _spread(self, node: s.Spread) -> None:
        wanted = kinds.ARRAY if isinstance(node.parent, s.Array) else kinds.OBJECT
        found = self.typing.of(node.value)
        if not kinds.fits(found, wanted):
            self.model.error(
                node, "BCP401", f"... takes {wanted.name} here; this is {found.spell()}."
            )
        if isinstance(node.parent, s.Object) and any(
            isinstance(inner, s.For) and isinstance(inner.parent, s.Prop)
            for inner in s.walk(node.parent)
        ):
            self.model.error(
                node,
                "BCP417",
                "... can't stand in an object that has a property with a loop.",
                "Give the loop a name with var, or use map().",
            )

    # --- reading

    def _member(self, node: s.Member) -> None:
        base = s.unwrap(node.base)
        name = node.name.name
        if isinstance(base, s.Name) and isinstance(base.symbol, Symbol):
            symbol = base.symbol
            if symbol.kind == sym.NAMESPACE:
                self.model.error(node.name, "BCP052", f'"{symbol.name}" has no property "{name}".')
                return
            if symbol.kind == sym.WILDCARD:
                target = symbol.members.get(name)
                if symbol.file is not None and (target is None or target.kind != sym.VAR):
                    self.model.error(
                        node.name, "BCP052", f'"{symbol.name}" has no variable "{name}".'
                    )
                return
        self._indirect_secret(node, name)
        if self._module_member(node, name):
            return
        found = kinds.without_null(self.typing.of(node.base))
        if node.safe and found.name not in ("array", "object", "union"):
            return
        if found.name == "resource" and name in _WRITE_ONLY:
            self.model.error(node.name, "BCP077", f'"{name}" of a resource can\'t be read.')
        elif found.name == "resource":
            body = self.typing.body(found)
            if body is not None and name not in _ALWAYS:
                self._known_property(node.name, body, name, node.safe)
        elif found.name in _SCALARS or found.name in ("array", "lambda"):
            self.model.error(
                node.name, "BCP055", f"This is {found.spell()}, which has no properties."
            )
        elif found.name == "object":
            self._known_property(node.name, found, name, node.safe)
        elif found.members and not node.safe and all(m.name in _SCALARS for m in found.members):
            self.model.error(
                node.name, "BCP055", f"This is {found.spell()}, which has no properties."
            )
        elif found.name == "union" and not any(may_have(one, name) for one in found.members):
            self._known_property(node.name, found.members[0], name, node.safe)

    def _indirect_secret(self, node: s.Member, name: str) -> None:
        """A secret output is asked for by its module's name, which a variable hides."""
        outputs = s.unwrap(node.base)
        if not isinstance(outputs, s.Member) or outputs.name.name != "outputs":
            return
        if self.typing.module_of(outputs.base) is not None:
            return
        found = self.typing.of(outputs.base)
        for module in (one.source for one in found.members or (found,)):
            if module is None or module.kind != sym.MODULE or module.file is None:
                continue
            if name not in secure_outputs(module.file):
                continue
            self.model.error(
                node.name,
                "BCP426",
                f'The secret output "{name}" is read of the module itself only: '
                f"{module.name}[index].outputs.{name}.",
            )

    def _known_property(self, at: s.Node, found: Kind, name: str, safe: bool) -> None:
        if found.azure is not None:
            self._described_property(at, found, name, safe)
            return
        if found.rest is not None or name in found.props or safe:
            return
        meant = nearest(name, found.props)
        known = ", ".join(sorted(found.props)) or "none"
        if not found.closed:
            if found.props:  # the type declares them, and a value may have others
                self.model.warning(
                    at,
                    "BCP187",
                    f'"{name}" is no property that the type declares.'
                    + (f' Did you mean "{meant}"?' if meant else f" It has: {known}."),
                )
            return
        self.model.error(
            at,
            "BCP083" if meant else "BCP053",
            f'There is no property "{name}" here.'
            + (f' Did you mean "{meant}"?' if meant else f" There are: {known}."),
        )

    def _described_property(self, at: s.Node, found: Kind, name: str, safe: bool) -> None:
        """What is read of a part of a resource: its description may be wrong."""
        described = found.azure
        assert described is not None
        say = self.model.error if described.body and not safe else self.model.warning
        known = found.props.get(name)
        if known is not None and known.write_only:
            say(at, "BCP077", f'"{name}" of {described.label} can\'t be read: Azure hides it.')
        elif known is not None and known.common and not safe:
            self.model.warning(
                at,
                "BCP187",
                f'"{name}" is no property of {described.label}, as far as Azure describes it.',
            )
        elif known is None and found.closed and found.rest is None:
            names = sorted(one for one, prop in found.props.items() if not prop.write_only)
            meant = misspelt(name, names)
            say(
                at,
                "BCP083" if meant else "BCP053",
                f'{described.label} has no property "{name}".'
                + (f' Did you mean "{meant}"?' if meant else f" There are: {', '.join(names)}."),
            )

    def _module_member(self, node: s.Member, name: str) -> bool:
        module = self.typing.module_of(node.base)
        if module is None:
            return False
        if name == "params":
            self.model.error(node.name, "BCP077", "A module's params can't be read.")
        elif name not in ("name", "outputs", "identity"):
            self.model.error(
                node.name,
                "BCP053",
                f'A module has no property "{name}"; it has name and outputs.',
            )
        return True

    def _index(self, node: s.Index) -> None:
        base = kinds.without_null(self.typing.of(node.base))
        index = self.typing.of(node.index)
        if base.name == "any" and index.name not in ("any", "string", "int", "union"):
            self.model.error(
                node.index, "BCP049", f"An index is an int or a string; this is {index.spell()}."
            )
        elif any(one.name in _NOT_INDEXED for one in base.members or (base,)):
            self.model.error(
                node.index, "BCP076", f"{base.spell()} can't be indexed; an array or object can."
            )
        elif node.from_end and base.name == "object":
            self.model.error(node, "BCP414", "^ counts from an array's end; this is object.")
        elif node.from_end and index.name != "any" and not kinds.fits(index, kinds.INT):
            self.model.error(
                node.index, "BCP415", f"^ counts from the end by an int; this is {index.spell()}."
            )
        elif base.name == "array" and not kinds.fits(index, kinds.INT):
            self.model.error(
                node.index, "BCP074", f"An array's index is an int; this is {index.spell()}."
            )
        elif base.name == "array" and base.items is None and _is_negative(index):
            self.model.error(node.index, "BCP339", "An array's index is at least 0.")
        elif base.name in ("object", "module", "resource") and not kinds.fits(index, kinds.STRING):
            self.model.error(
                node.index, "BCP075", f"An object's index is a string; this is {index.spell()}."
            )
        elif (
            base.items is not None
            and index.is_literal
            and isinstance(index.value, int)
            and not node.safe
            and not 0 <= index.value - node.from_end < len(base.items)
        ):
            self.model.error(
                node.index,
                "BCP311",
                f"There is no item {index.value}; there are {len(base.items)}.",
            )
        elif base.name == "object" and index.name == "string" and index.is_literal:
            self._known_property(node.index, base, str(index.value), node.safe)


def _is_negative(kind: Kind) -> bool:
    return kind.name == "int" and kind.is_literal and kind.value < 0


def may_have(kind: Kind, name: str) -> bool:
    """Whether an object that is one of several may have a property."""
    if kind.name != "object" or not kind.closed or kind.rest is not None:
        return True
    return kind.prop(name) is not None


def check(model: Model, typing: Typing) -> None:
    Checker(model, typing).run()
