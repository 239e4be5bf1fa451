"""What kind of value an expression has: literals, declared types, functions, parts of resources.

What a template's parameter leaves open is `any`, and so is what is read of a resource whose type
no library describes (type_library). `any` fits everywhere, so a check speaks only where it is
certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.bicep.symbols import Symbol

_NONE = object()
_MOST_ITEMS = 100  # of longer arrays in files it is not said what their items are


@dataclass(slots=True, frozen=True, eq=False)
class Property:
    """A property's kind, found when it is asked for (types may contain themselves).

    `common`: all resources may have it, and this one's description does not name it.
    """

    find: Callable[[], Kind]
    required: bool = True
    read_only: bool = False
    write_only: bool = False
    common: bool = False

    @property
    def kind(self) -> Kind:
        return self.find()


@dataclass(slots=True, frozen=True, eq=False)
class Described:
    """What Azure's types say of a kind, beyond what a Bicep file can say.

    `label`: what Azure calls an object. `least`, `most`: of a number, of the length of a text or
    an array. `tag`: the property that tells which of `cases` an object is. `body`: of a whole
    resource.
    """

    label: str = ""
    least: int | None = None
    most: int | None = None
    pattern: str = ""
    secure: bool = False
    tag: str = ""
    cases: Mapping[str, Callable[[], Kind]] = field(default_factory=dict)
    body: bool = False


@dataclass(slots=True, frozen=True, eq=False)
class Kind:
    """`name`: any, string, int, bool, object, array, null, union, lambda, resource, module.

    `value`: of a literal. `members`: of a union. `item`: of an array whose items are alike;
    `items`: of one whose items are known singly. `props`: of an object, with `closed` when it has
    no others, and with `rest` what these are. `azure`: of a kind that Azure's types describe, which
    may be wrong: what does not fit there is warned of.
    """

    name: str
    value: Any = _NONE
    members: tuple[Kind, ...] = ()
    item: Callable[[], Kind] | None = None
    items: tuple[Kind, ...] | None = None
    props: Mapping[str, Property] = field(default_factory=dict)
    rest: Callable[[], Kind] | None = None
    closed: bool = False
    literal: bool = False  # an object or array that is written out
    source: Symbol | None = None  # a resource's or module's declaration
    azure: Described | None = None

    @property
    def is_azure(self) -> bool:
        """Whether Azure's types describe the kind, or a member of it."""
        return self.azure is not None or any(one.azure is not None for one in self.members)

    @property
    def is_literal(self) -> bool:
        return self.value is not _NONE

    def prop(self, name: str) -> Property | None:
        found = self.props.get(name)
        if found is None:
            for key, value in self.props.items():
                if key.lower() == name.lower():
                    return value
        return found

    def spell(self) -> str:
        """The kind for people: `string`, `'a' | 'b'`, `int[]`."""
        if self.name == "union":
            return " | ".join(sorted({member.spell() for member in self.members}))
        if self.is_literal:
            if isinstance(self.value, bool):
                return "true" if self.value else "false"
            return f"'{self.value}'" if isinstance(self.value, str) else str(self.value)
        if self.azure is not None and self.azure.label:
            return self.azure.label
        if self.name == "array" and self.item is not None and self.items is None:
            inner = self.item()
            if inner.name != "any":
                spelled = inner.spell()
                return f"({spelled})[]" if " " in spelled else f"{spelled}[]"
        return self.name


ANY = Kind("any")
STRING = Kind("string")
INT = Kind("int")
BOOL = Kind("bool")
OBJECT = Kind("object")
ARRAY = Kind("array")
NULL = Kind("null")
LAMBDA = Kind("lambda")
# of what items() gives
ENTRY = Kind(
    "object",
    props={"key": Property(lambda: STRING), "value": Property(lambda: ANY)},
    closed=True,
)
# what parseUri() gives and buildUri() takes
URI = Kind(
    "object",
    props={
        "scheme": Property(lambda: STRING),
        "host": Property(lambda: STRING),
        "port": Property(lambda: INT, required=False),
        "path": Property(lambda: STRING, required=False),
        "query": Property(lambda: STRING, required=False),
    },
    closed=True,
)

NAMED = {
    "any": ANY,
    "string": STRING,
    "int": INT,
    "bool": BOOL,
    "object": OBJECT,
    "array": ARRAY,
    "null": NULL,
}


def literal(value: str | int | bool | None) -> Kind:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return Kind("bool", value)
    return Kind("int", value) if isinstance(value, int) else Kind("string", value)


def of_value(value: Any) -> Kind:
    """The kind of a value that is known: what a file holds."""
    if isinstance(value, dict):
        props = {name: Property(partial(of_value, inner)) for name, inner in value.items()}
        return Kind("object", props=props, closed=True)
    if isinstance(value, list):
        few = len(value) <= _MOST_ITEMS
        return Kind("array", item=lambda: union(map(of_value, value))) if few else ARRAY
    return literal(value) if value is None or isinstance(value, (str, int)) else ANY


def array_of(item: Kind) -> Kind:
    return Kind("array", item=lambda: item)


def union(members: Iterable[Kind]) -> Kind:
    found: list[Kind] = []
    seen: set[tuple[str, object]] = set()
    for member in members:
        for one in member.members if member.name == "union" else (member,):
            if one.name == "any":
                return ANY
            key = (one.name, one.value if one.is_literal else id(one))
            if key not in seen:
                seen.add(key)
                found.append(one)
    return found[0] if len(found) == 1 else Kind("union", members=tuple(found)) if found else ANY


def among(kind: Kind, values: list[Kind]) -> Kind:
    """What `@allowed` leaves of a parameter's kind.

    An array that allows no arrays may have any of the values as its items.
    """
    plain = without_null(kind)
    if plain.name == "array" and values and all(one.is_literal for one in values):
        narrowed = array_of(union(values))
    elif plain.name in ("string", "int", "bool") and all(
        one.is_literal and one.name == plain.name for one in values
    ):
        narrowed = union(values) if values else plain
    else:
        return kind
    return union([narrowed, NULL]) if may_be_null(kind) else narrowed


def without_null(kind: Kind) -> Kind:
    if kind.name != "union":
        return kind
    return union(member for member in kind.members if member.name != "null")


def may_be_null(kind: Kind) -> bool:
    return kind.name in ("any", "null") or any(member.name == "null" for member in kind.members)


def fits(source: Kind, target: Kind, depth: int = 0) -> bool:
    """Whether a value of `source` may be given where `target` is wanted. In doubt: yes.

    That a value may be null is the real compiler's warning, no error; so it is here.
    """
    if source.name == "any" or target.name == "any" or depth > 8:
        return True
    if source.name == "union":
        rest = [member for member in source.members if member.name != "null"]
        return not rest or all(fits(member, target, depth) for member in rest)
    if target.name == "union":
        return any(fits(source, member, depth) for member in target.members)
    if source.name != target.name:
        return source.name in ("resource", "module") and target.name == "object"
    if target.is_literal:
        # a string that is not known may be the one that is wanted
        return not source.is_literal or source.value == target.value
    if source.azure is not None or target.azure is not None:
        return True  # of the parts of what Azure's types describe is warned, where they are given
    if source.name == "array":
        return _fits_array(source, target, depth)
    if source.name == "object":
        return _fits_object(source, target, depth)
    return True


def _fits_array(source: Kind, target: Kind, depth: int) -> bool:
    if target.items is not None and source.items is not None:
        return len(source.items) == len(target.items) and all(
            fits(one, other, depth + 1)
            for one, other in zip(source.items, target.items, strict=True)
        )
    if target.item is None:
        return True
    wanted = target.item()
    if source.items is not None:
        return all(fits(one, wanted, depth + 1) for one in source.items)
    return source.item is None or fits(source.item(), wanted, depth + 1)


def _fits_object(source: Kind, target: Kind, depth: int) -> bool:
    for name, wanted in target.props.items():
        own = source.prop(name)
        if own is None:
            if wanted.required and source.closed and not may_be_null(wanted.kind):
                return False
            continue
        if not fits(own.kind, wanted.kind, depth + 1):
            return False
    others = [prop for name, prop in source.props.items() if target.prop(name) is None]
    if target.rest is not None:
        rest = target.rest()
        return all(fits(prop.kind, rest, depth + 1) for prop in others)
    return not (target.closed and source.closed and others)
