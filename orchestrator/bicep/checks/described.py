"""Values where Azure's types say what is wanted: properties of resources, and types made of them.

A description may be wrong, so that what does not fit is warned of; the top of a resource's body is
certain. The codes are the real compiler's, and so are the levels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.diagnostics import misspelt
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.kinds import Described, Kind, Property
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.type_library.described import ALMOST, OWN, SAME

_DEEPEST = 32
_MOST_SHOWN = 12
_NOTHING = Described()


@dataclass(slots=True, frozen=True)
class Place:
    """Where a value stands. `what`: as it is said. `origin`: what names the value there, when it is
    written elsewhere; `key`: what a finding about the value as a whole points at."""

    what: str
    code: str = "BCP036"
    origin: s.Node | None = None
    key: s.Node | None = None
    certain: bool = False  # what does not fit is an error
    partial: bool = False  # one of several values: what it lacks another may have
    depth: int = 0


# what can be said of a body by a description that is not Azure's own; of another version
_SAID = {
    SAME: frozenset({"BCP034", "BCP035", "BCP036", "BCP037", "BCP073", "BCP088", "BCP089"}),
    ALMOST: frozenset({"BCP088", "BCP089"}),
}


# what earlier versions had beside, or instead of, a property that is spelt almost so
_FORMERLY = frozenset({"action", "workloadProfileType"})


class Values:
    """`trust`: how sure the description is, which decides what is told, and how loudly."""

    def __init__(self, model: Model, typing: Typing, *, trust: str = OWN) -> None:
        self.model = model
        self.typing = typing
        self.trust = trust

    # --- saying it

    def _say(
        self, node: s.Node, code: str, message: str, hint: str = "", *, error: bool = False
    ) -> None:
        if self.trust in _SAID and code not in _SAID[self.trust]:
            return
        say = self.model.error if error and self.trust == OWN else self.model.warning
        say(node, code, message, hint)

    # --- values

    def check(self, node: s.Node, wanted: Kind, place: Place) -> None:
        """Tell what of a value does not fit, at its innermost part."""
        inner = s.unwrap(node)
        if wanted.name == "any" or place.depth > _DEEPEST:
            return
        deeper = replace(place, depth=place.depth + 1)
        plain = kinds.without_null(wanted)
        if isinstance(inner, s.For):
            if plain.name == "array" and plain.item is not None:
                self.check(inner.body, plain.item(), replace(deeper, code="BCP034"))
            return
        found = self.typing.of(node)
        at = place.origin or node
        strict = isinstance(inner, s.Str)  # a text that is put together is none that is wanted
        if not assignable(found, wanted, strict=strict):
            if not assignable(kinds.without_null(found), wanted, strict=strict):
                self._mismatch(at, found, plain, place)
                return
            if found.name == "union":
                self._say(
                    at,
                    "BCP321",
                    f"{place.what} is wanted as {spell(plain)}, and may be null.",
                    "Give another value with ??, or say with ! that it is there.",
                )
        if isinstance(inner, s.Ternary):
            # the real compiler points at all of it, and so do comments that quieten a finding
            deeper = replace(deeper, origin=at, partial=True)
            for side in (inner.yes, inner.no):
                if self.typing.of(side).name in ("object", "array"):
                    self.check(side, wanted, deeper)
            return
        self._parts(inner, kinds.without_null(found), plain, deeper)

    def _parts(self, node: s.Node | None, found: Kind, wanted: Kind, place: Place) -> None:
        """`node`: None of a value that is known by its kind only; then `place` has an origin."""
        if wanted.name == "union":
            shaped = [one for one in wanted.members if one.name == found.name]
            if len(shaped) == 1 and found.name in ("object", "array"):
                self._parts(node, found, shaped[0], place)
            return
        described = wanted.azure or _NOTHING
        if found.is_literal:
            self._limits(self._at(node, place), found.value, described)
        elif wanted.name in ("object", "array"):
            written = _written(node) if node is not None else None
            if written is not node:
                place = replace(place, origin=place.origin or node)
            node = written
            if wanted.name == "object":
                self.object(node, found, wanted, place)
            else:
                self._array(node, found, wanted, place)

    @staticmethod
    def _at(node: s.Node | None, place: Place) -> s.Node:
        at = place.origin or node
        assert at is not None, "a value that is not written has an origin"
        return at

    def _mismatch(self, at: s.Node, found: Kind, wanted: Kind, place: Place) -> None:
        code, meant = place.code, ""
        if found.is_literal and isinstance(found.value, str):
            known = [one.value for one in wanted.members or (wanted,) if isinstance(one.value, str)]
            if len(known) == len(wanted.members or (wanted,)):
                meant = misspelt(found.value, sorted(known))
        if meant and code == "BCP036":
            code = "BCP088"
        self._say(
            at,
            code,
            f"{place.what} is wanted as {spell(wanted)}; this is {spell(found)}."
            + (f" Did you mean '{meant}'?" if meant else ""),
            error=place.certain,
        )

    def _limits(self, at: s.Node, value: object, wanted: Described) -> None:
        if isinstance(value, str):
            size: int = len(value)
            what, codes = "characters", ("BCP333", "BCP332")
        elif isinstance(value, int) and not isinstance(value, bool):
            size = value
            what, codes = "", ("BCP328", "BCP327")
        else:
            return
        self._size(at, size, wanted, what, codes)
        if isinstance(value, str) and wanted.pattern and not _matches(wanted.pattern, value):
            self._say(at, "BCP416", f"This does not match the pattern /{wanted.pattern}/.")

    def _size(
        self, at: s.Node, size: int, wanted: Described, what: str, codes: tuple[str, str]
    ) -> None:
        unit = f" {what}" if what else ""
        if wanted.least is not None and size < wanted.least:
            self._say(at, codes[0], f"At least {wanted.least}{unit} wanted; this is {size}.")
        elif wanted.most is not None and size > wanted.most:
            self._say(at, codes[1], f"At most {wanted.most}{unit} wanted; this is {size}.")

    # --- arrays

    def _array(self, node: s.Node | None, found: Kind, wanted: Kind, place: Place) -> None:
        if wanted.item is None:
            return
        inner = wanted.item()
        place = replace(place, what="The item", code="BCP034", key=None)
        if isinstance(node, s.For):
            self.check(node.body, inner, place)
        elif isinstance(node, s.Array):
            spread = any(isinstance(item, s.Spread) for item in node.items)
            if not spread and wanted.azure is not None:
                at = place.origin or node
                self._size(at, len(node.items), wanted.azure, "items", ("BCP333", "BCP332"))
            for item in node.items:
                if isinstance(item, s.Spread):
                    continue
                self.check(item, inner, place)
        elif found.item is not None:
            self._value(found.item(), inner, place)

    def _value(self, found: Kind, wanted: Kind, place: Place) -> None:
        """A value that is known by its kind only."""
        if wanted.name == "any" or found.name == "any" or place.depth > _DEEPEST:
            return
        if not assignable(kinds.without_null(found), wanted):
            at = self._at(None, place)
            self._mismatch(at, found, kinds.without_null(wanted), place)
            return
        place = replace(place, depth=place.depth + 1)
        self._parts(None, kinds.without_null(found), kinds.without_null(wanted), place)

    # --- objects

    def object(
        self,
        node: s.Node | None,
        found: Kind,
        wanted: Kind,
        place: Place,
        aside: frozenset[str] = frozenset(),
    ) -> None:
        """`aside`: properties of which nothing is said."""
        described = wanted.azure or _NOTHING
        if described.tag:
            case = self._case(node, found, described, place)
            if case is not None:
                self.object(node, found, case, place, aside)
            return
        given = self._given(node, found)
        lacks = [] if place.partial or is_open(node, found) else lacking(wanted, {*given, *aside})
        if lacks:
            names = ", ".join(f'"{name}"' for name in lacks)
            plural = "properties are" if len(lacks) > 1 else "property is"
            at = place.origin or place.key or self._at(node, place)
            self._say(at, "BCP035", f"The required {plural} missing here: {names}.")
        for name, part in given.items():
            if name in aside:
                continue
            known = wanted.props.get(name)
            if known is not None:
                self._property(name, part, known, place, described)
            elif wanted.rest is not None:
                self._inside(name, part, wanted.rest(), place)
            elif wanted.closed:
                self._unknown(name, part, wanted, given, place)
        if wanted.closed and isinstance(node, s.Object):
            self._holes(node, described, place)

    def _holes(self, node: s.Object, wanted: Described, place: Place) -> None:
        """Names that only a deployment knows, where names are fixed."""
        for prop in node.props:
            if prop.name is None:
                self._say(
                    place.origin or prop.key,
                    "BCP040",
                    f"The properties of {wanted.label} have fixed names: they can't be computed.",
                    error=wanted.body,
                )

    def _given(self, node: s.Node | None, found: Kind) -> Mapping[str, s.Prop | Kind]:
        """Properties by name: as they are written, or what is known of them."""
        if isinstance(node, s.Object):
            return {prop.name: prop for prop in node.props if prop.name is not None}
        return {name: prop.kind for name, prop in found.props.items() if not prop.read_only}

    def _case(
        self, node: s.Node | None, found: Kind, wanted: Described, place: Place
    ) -> Kind | None:
        """Which of several descriptions an object is of, as its tag says."""
        given = self._given(node, found)
        part = given.get(wanted.tag)
        if part is None:
            if is_open(node, found) or place.partial:
                return None
            at = self._at(node, place)
            self._say(
                at,
                "BCP078",
                f'The property "{wanted.tag}" is missing here: {_listed(wanted.cases)}.',
                error=wanted.body,
            )
            meant = misspelt(wanted.tag, given)
            if meant:
                written = given[meant]
                self._say(
                    place.origin or (written.key if isinstance(written, s.Prop) else at),
                    "BCP089",
                    f'There is no property "{meant}" here. Did you mean "{wanted.tag}"?',
                    error=wanted.body,
                )
            return None
        value = self.typing.of(part.value) if isinstance(part, s.Prop) else part
        at = self._at(part.value if isinstance(part, s.Prop) else node, place)
        if value.name == "any":
            return None
        if value.is_literal and isinstance(value.value, str):
            case = wanted.cases.get(value.value)
            if case is not None:
                return case()
            meant = misspelt(value.value, sorted(wanted.cases))
            self._say(
                at,
                "BCP088" if meant and place.origin is None else "BCP036",
                f'The property "{wanted.tag}" is wanted as {_listed(wanted.cases)}; '
                f"this is '{value.value}'." + (f" Did you mean '{meant}'?" if meant else ""),
            )
        elif kinds.fits(value, kinds.STRING):
            self._say(
                at,
                "BCP225",
                f'What "{wanted.tag}" is, is not known before the deployment: '
                "the other properties are not checked.",
            )
        else:
            self._say(
                at,
                "BCP036",
                f'The property "{wanted.tag}" is wanted as {_listed(wanted.cases)}; '
                f"this is {spell(value)}.",
            )
        return None

    def _property(
        self, name: str, part: s.Prop | Kind, known: Property, place: Place, owner: Described
    ) -> None:
        key = part.key if isinstance(part, s.Prop) else place.key
        at = place.origin or key
        if known.read_only:
            if at is not None:
                self._say(at, "BCP073", f'"{name}" can\'t be given: Azure sets it.')
            return
        if known.common and at is not None:
            self._say(
                at,
                "BCP187",
                f'"{name}" is no property of {owner.label}, as far as Azure describes it. '
                "It is written as it is.",
            )
        kind = known.kind
        optional = not known.required and not known.common
        self._inside(name, part, kinds.union([kind, kinds.NULL]) if optional else kind, place)

    def _inside(self, name: str, part: s.Prop | Kind, wanted: Kind, place: Place) -> None:
        place = replace(
            place, what=f'The property "{name}"', code="BCP036", partial=False, certain=False
        )
        if isinstance(part, s.Prop):
            self.check(part.value, wanted, replace(place, key=part.key))
        elif place.origin is not None:
            self._value(part, wanted, place)

    def _unknown(
        self,
        name: str,
        part: s.Prop | Kind,
        wanted: Kind,
        given: Iterable[str],
        place: Place,
    ) -> None:
        at = place.origin or (part.key if isinstance(part, s.Prop) else None)
        if at is None:
            return
        described = wanted.azure or _NOTHING
        free = [
            one
            for one, prop in sorted(wanted.props.items())
            if not prop.read_only and not prop.common and one not in given
        ]
        meant = misspelt(name, free) if place.origin is None else ""
        if self.trust == ALMOST and name in _FORMERLY:
            return
        self._say(
            at,
            "BCP089" if meant else "BCP037",
            f'"{name}" is no property of {described.label}.'
            + (f' Did you mean "{meant}"?' if meant else f" {_free(free)}"),
            error=described.body,
        )


def assignable(found: Kind, wanted: Kind, *, strict: bool = False) -> bool:
    """Whether a value may be given, its parts left aside. `strict`: a text that is not known is
    none of those that are wanted."""
    if found.name == "any" or wanted.name == "any":
        return True
    if found.name == "union":
        return all(assignable(one, wanted) for one in found.members)
    if wanted.name == "union":
        return any(assignable(found, one, strict=strict) for one in wanted.members)
    if found.name in ("resource", "module"):
        return wanted.name == "object"
    if found.name != wanted.name:
        return False
    if wanted.is_literal:
        return found.value == wanted.value if found.is_literal else not strict
    return True


def _written(node: s.Node) -> s.Node | None:
    """The object or array that an expression is, through the names of variables."""
    for _ in range(_DEEPEST):
        if isinstance(node, (s.Object, s.Array, s.For)):
            return node
        symbol = node.symbol if isinstance(node, s.Name) else None
        if (
            not isinstance(symbol, Symbol)
            or symbol.kind != sym.VAR
            or not isinstance(symbol.decl, s.VarDecl)
            or symbol.decl.type is not None
        ):
            return None
        node = s.unwrap(symbol.decl.value)
    return None


def lacking(wanted: Kind, given: Iterable[str]) -> list[str]:
    """The required properties that are not given, in the order of the alphabet."""
    return [
        name
        for name, prop in sorted(wanted.props.items())
        if prop.required
        and not prop.read_only
        and name not in given
        and not kinds.may_be_null(prop.kind)
    ]


def is_open(node: s.Node | None, found: Kind) -> bool:
    """Whether an object may have properties that are not seen here."""
    if isinstance(node, s.Object):
        spread = any(isinstance(item, s.Spread) for item in node.items)
        return spread or any(prop.name is None for prop in node.props)
    return not found.closed or found.rest is not None


def spell(kind: Kind) -> str:
    """A kind for people; of many values some."""
    if kind.name != "union" or len(kind.members) <= _MOST_SHOWN:
        return kind.spell()
    shown = sorted(one.spell() for one in kind.members)[:_MOST_SHOWN]
    return f"{' | '.join(shown)} | … ({len(kind.members)} in all)"


def _listed(values: Iterable[str]) -> str:
    return spell(kinds.union(kinds.literal(value) for value in values))


def _free(names: list[str]) -> str:
    if not names:
        return "All that it has are given."
    shown = ", ".join(names[:_MOST_SHOWN])
    return f"There are: {shown}{', …' if len(names) > _MOST_SHOWN else ''}."


def _matches(pattern: str, value: str) -> bool:
    """Whether a text matches a pattern of Azure's; in doubt, it does."""
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True  # .NET's own syntax
