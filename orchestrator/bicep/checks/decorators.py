"""Decorators: which there are, what they stand before, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import experimental, not_built_in
from orchestrator.bicep.diagnostics import UNSUPPORTED, nearest
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.literals import is_literal, spelled
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol

PARAM = "parameter"
VAR = "variable"
TYPE = "type"
FUNC = "function"
RESOURCE = "resource"
MODULE = "module"
OUTPUT = "output"
METADATA = "metadata"
IMPORT = "import"
OTHER = "declaration"

_TYPED = (PARAM, OUTPUT, TYPE)
_ANY = (PARAM, VAR, TYPE, FUNC, RESOURCE, MODULE, OUTPUT, METADATA, IMPORT, OTHER)


@dataclass(slots=True, frozen=True)
class Rule:
    """`on`: what it stands before; `args`: their kinds; `optional`: how many may be left out.

    `target`: the kinds of a value that it can describe.
    """

    on: tuple[str, ...]
    args: tuple[Kind, ...] = ()
    optional: int = 0
    target: tuple[str, ...] = ()
    constant: bool = True


_RULES = {
    "description": Rule(_ANY, (kinds.STRING,)),
    "secure": Rule(_TYPED, target=("string", "object")),
    "allowed": Rule((PARAM,), (kinds.ARRAY,)),
    "minValue": Rule(_TYPED, (kinds.INT,), target=("int",)),
    "maxValue": Rule(_TYPED, (kinds.INT,), target=("int",)),
    "minLength": Rule(_TYPED, (kinds.INT,), target=("string", "array")),
    "maxLength": Rule(_TYPED, (kinds.INT,), target=("string", "array")),
    "metadata": Rule(_TYPED, (kinds.OBJECT,)),
    "sealed": Rule(_TYPED, target=("object",)),
    "discriminator": Rule(_TYPED, (kinds.STRING,), target=("object",)),
    "export": Rule((TYPE, VAR, FUNC)),
    "batchSize": Rule((RESOURCE, MODULE), (kinds.INT,)),
    "onlyIfNotExists": Rule((RESOURCE,)),
    "nullIfNotFound": Rule((RESOURCE,)),
    "retryOn": Rule((RESOURCE,), (kinds.ARRAY, kinds.INT), optional=1),
    "waitUntil": Rule((RESOURCE,), (kinds.LAMBDA, kinds.STRING), constant=False),
}
# these say more of a type, and are part of it
_NARROWING = ("secure", "allowed", "minValue", "maxValue", "minLength", "maxLength")
# decorators of experimental features that are left out
_UNSUPPORTED = {"validate": "userDefinedConstraints", "patch": "patch"}


_COMPUTED = (
    s.Call,
    s.MethodCall,
    s.For,
    s.Binary,
    s.Ternary,
    s.Paren,
    s.Member,
    s.Index,
    s.Nested,
    s.NonNull,
    s.Spread,
)


def _what(node: s.Node) -> str:
    names: list[tuple[type[s.Node], str]] = [
        (s.ParamDecl, PARAM),
        (s.VarDecl, VAR),
        (s.TypeDecl, TYPE),
        (s.TypeProp, TYPE),
        (s.FuncDecl, FUNC),
        (s.ResourceDecl, RESOURCE),
        (s.ModuleDecl, MODULE),
        (s.OutputDecl, OUTPUT),
        (s.MetadataDecl, METADATA),
        (s.ImportDecl, IMPORT),
    ]
    return next((name for form, name in names if isinstance(node, form)), OTHER)


def check(model: Model, typing: Typing) -> None:
    for node in model.nodes:
        decorators = getattr(node, "decorators", ())
        seen: set[str] = set()
        for decorator in decorators:
            _decorator(model, typing, node, decorator, seen)


def _decorator(
    model: Model, typing: Typing, node: s.Node, decorator: s.Decorator, seen: set[str]
) -> None:
    name = decorator.name.name
    rule = _RULES.get(name)
    if name == "waitUntil" and not experimental(model.path.parent, "waitUntil"):
        model.error(
            decorator.name,
            "BCP057",
            "@waitUntil is experimental: enable it in bicepconfig.json "
            '({"experimentalFeaturesEnabled": {"waitUntil": true}}).',
        )
        return
    if rule is not None and decorator.namespace is None and name in model.symbols:
        model.error(
            decorator.name,
            "BCP265",
            f'"{name}" is {sym.SPOKEN[model.symbols[name].kind]} here; write @sys.{name}(…).',
        )
        return
    if rule is None:
        if name in _UNSUPPORTED:
            model.error(decorator, UNSUPPORTED, not_built_in(f"@{name} is of", _UNSUPPORTED[name]))
            return
        meant = nearest(name, _RULES)
        model.error(
            decorator.name,
            "BCP057",
            f'There is no decorator "{name}".' + (f' Did you mean "{meant}"?' if meant else ""),
        )
        return
    if name in seen:
        model.error(decorator, "BCP166", f"@{name} stands here twice.")
    seen.add(name)
    what = _what(node)
    if name == "allowed" and what == TYPE:
        # the real compiler takes @sys.allowed before a property, and writes nothing of it
        lenient = isinstance(node, s.TypeProp) and decorator.namespace is not None
        say = model.warning if lenient else model.error
        say(decorator, "BCP297", "@allowed has no effect on a type; use a union: 'a' | 'b'.")
        return
    if what not in rule.on:
        model.error(
            decorator,
            "BCP130",
            f"@{name} can't stand before a {what}; only before a {_list(rule.on)}.",
        )
        return
    if not decorator.called:
        model.error(decorator, "BCP150", f"Write @{name}(…) with parentheses.")
        return
    least = len(rule.args) - rule.optional
    if not least <= len(decorator.args) <= len(rule.args):
        many = str(least) if not rule.optional else f"{least} to {len(rule.args)}"
        model.error(
            decorator, "BCP071", f"@{name} takes {many} arguments, not {len(decorator.args)}."
        )
        return
    for arg, wanted in zip(decorator.args, rule.args, strict=False):
        found = typing.of(arg)
        if not kinds.fits(found, wanted):
            model.error(arg, "BCP070", f"@{name} wants {wanted.name}, but this is {found.spell()}.")
        elif rule.constant:
            constant(model, arg)
    _target(model, typing, node, decorator, rule)
    _named_type(model, node, decorator)
    _special(model, typing, node, decorator)


def _list(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def constant(model: Model, node: s.Node) -> None:
    """Decorators are read while compiling: no name, no call, no hole."""
    for inner in s.walk(node):
        if (
            (isinstance(inner, s.Name) and isinstance(inner.symbol, Symbol))
            or isinstance(inner, _COMPUTED)
            or (isinstance(inner, s.Unary) and inner.op != "-")
            or (isinstance(inner, s.Str) and inner.holes)
        ):
            model.error(inner, "BCP032", "This is read while compiling: write the value itself.")
            return


def _declared_type(node: s.Node) -> s.Node | None:
    return getattr(node, "type", None) if _what(node) in _TYPED else None


def _target(model: Model, typing: Typing, node: s.Node, decorator: s.Decorator, rule: Rule) -> None:
    type_ = _declared_type(node)
    if not rule.target or type_ is None or isinstance(type_, s.Str):
        return
    kind = kinds.without_null(typing.type(type_))
    if kind.name == "any":
        return
    members = kind.members if kind.name == "union" else (kind,)
    if any(member.name not in rule.target for member in members):
        model.error(
            decorator,
            "BCP124",
            f"@{decorator.name.name} is for {_list(rule.target)}, but this is {kind.spell()}.",
        )


def _refers_to_type(node: s.Node) -> bool:
    """Whether a type is a declared one, or a part of one."""
    while isinstance(node, (s.TypeMember, s.TypeItems, s.TypeRest, s.TypeIndex)):
        node = node.base
    return (
        isinstance(node, s.TypeName)
        and isinstance(node.symbol, Symbol)
        and node.symbol.kind in (sym.TYPE, sym.IMPORT, sym.WILDCARD)
    )


def _named_type(model: Model, node: s.Node, decorator: s.Decorator) -> None:
    """What narrows a type stands where the type is declared."""
    name = decorator.name.name
    type_ = _declared_type(node)
    if type_ is None or name not in _NARROWING:
        return
    plain = type_.base if isinstance(type_, s.TypeNullable) else type_
    if _refers_to_type(plain):
        model.error(
            decorator,
            "BCP308",
            f"@{name} can't stand before what has a declared type; put it before the type.",
        )
    elif name in ("allowed", "minLength", "maxLength") and (
        isinstance(plain, (s.TypeLiteral, s.TypeUnion))
        or (isinstance(plain, (s.TypeObject, s.TypeTuple)) and is_literal(model, plain))
    ):
        model.error(decorator, "BCP295", f"@{name} is not for a type that names its values itself.")
    elif name == "secure" and _is_any(plain):
        model.error(decorator, "BCP440", "@secure is for string and object; any may be neither.")


def _is_any(node: s.Node) -> bool:
    if isinstance(node, s.TypeMember):
        base = node.base
        return (
            node.name.name == "any"
            and isinstance(base, s.TypeName)
            and base.symbol is not None
            and base.symbol.kind == sym.NAMESPACE
        )
    return isinstance(node, s.TypeName) and node.symbol is None and node.name == "any"


def _special(model: Model, typing: Typing, node: s.Node, decorator: s.Decorator) -> None:
    name = decorator.name.name
    if name == "batchSize":
        value = decorator.args[0]
        looped = isinstance(node, (s.ResourceDecl, s.ModuleDecl)) and isinstance(node.value, s.For)
        if not looped:
            model.error(decorator, "BCP155", "@batchSize is for a loop of resources or modules.")
        elif isinstance(value, s.Unary) or (isinstance(value, s.Int) and value.value < 1):
            model.error(value, "BCP154", "@batchSize wants at least 1.")
    elif name == "allowed" and isinstance(node, s.ParamDecl):
        _allowed(model, typing, node, decorator)
    elif name in ("minLength", "maxLength"):
        if isinstance(decorator.args[0], s.Unary):
            model.error(decorator.args[0], "BCP168", "A length is at least 0.")
    elif name == "nullIfNotFound" and isinstance(node, s.ResourceDecl) and not node.existing:
        model.error(decorator, "BCP443", "@nullIfNotFound is for existing resources.")
    elif name == "retryOn":
        _retries(model, typing, decorator)
    elif name == "waitUntil":
        _wait(model, typing, decorator)
    elif name == "metadata":
        _metadata(model, typing, decorator)
    elif name == "sealed":
        _sealed(model, node, decorator)
    elif name == "export" and isinstance(node, s.TypeProp):
        model.error(decorator, "BCP361", "@export stands before a whole declaration.")


def _retries(model: Model, typing: Typing, decorator: s.Decorator) -> None:
    codes = s.unwrap(decorator.args[0])
    for item in codes.items if isinstance(codes, s.Array) else ():
        found = typing.of(item)
        if found.name != "string":
            model.error(item, "BCP034", f"An error's code is a string; this is {found.spell()}.")
    for count in decorator.args[1:]:
        if isinstance(count, s.Unary) or (isinstance(count, s.Int) and count.value < 1):
            model.error(count, "BCP070", "@retryOn retries at least once.")


def _wait(model: Model, typing: Typing, decorator: s.Decorator) -> None:
    predicate = s.unwrap(decorator.args[0])
    if isinstance(predicate, s.Lambda):
        found = typing.of(predicate.body)
        if len(predicate.params) != 1 or not kinds.fits(found, kinds.BOOL):
            model.error(predicate, "BCP070", "@waitUntil wants a lambda of the resource to a bool.")
    constant(model, decorator.args[1])


def _metadata(model: Model, typing: Typing, decorator: s.Decorator) -> None:
    value = decorator.args[0]
    description = value.value("description") if isinstance(value, s.Object) else None
    if description is not None:
        found = typing.of(description)
        if not kinds.fits(found, kinds.STRING):
            model.error(
                description, "BCP036", f"A description is a string; this is {found.spell()}."
            )


def _sealed(model: Model, node: s.Node, decorator: s.Decorator) -> None:
    type_ = _declared_type(node)
    where = spelled(model, type_) if isinstance(type_, s.Node) else None
    if where is None:
        return
    if isinstance(where[1], s.TypeObject):
        if any(prop.name is None for prop in where[1].props):
            model.error(
                decorator, "BCP316", "A type that names its further properties can't be sealed."
            )
    elif derived(where[0], where[1]):
        model.error(decorator, "BCP386", "A part of a resource's type can't be sealed.")


def derived(model: Model, node: s.Node) -> bool:
    """Whether a type is a resource's, or a part of one."""
    while True:
        where = spelled(model, node)
        if where is None:
            return False
        model, node = where
        if isinstance(node, s.TypeDerived):
            return True
        if not isinstance(node, (s.TypeMember, s.TypeItems, s.TypeRest, s.TypeIndex)):
            return False
        node = node.base


def _allowed(model: Model, typing: Typing, node: s.ParamDecl, decorator: s.Decorator) -> None:
    values = decorator.args[0]
    if not isinstance(values, s.Array):
        return
    if not values.items:
        model.error(values, "BCP099", "@allowed needs at least one value.")
    wanted = kinds.without_null(typing.type(node.type))
    if wanted.name in ("array", "any"):
        return
    for item in values.items:
        found = typing.of(item)
        if not kinds.fits(found, wanted):
            model.error(
                item, "BCP034", f"The value is wanted as {wanted.spell()}; this is {found.spell()}."
            )
