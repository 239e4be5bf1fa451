"""From the text of a filter or an action to functions that evaluate it.

Precedence, loosest first: OR, AND, NOT, comparison (also IN, LIKE, IS), + and -, * / %, sign. Rows
of operators of one precedence become one node, so that only nesting deepens the recursion, and
nesting is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from orchestrator.localcloud.servicebus.content import (
    SETTABLE,
    MessageContent,
    system_name,
)
from orchestrator.localcloud.servicebus.topics.sql import values as v
from orchestrator.localcloud.servicebus.topics.sql.tokens import SqlError, Token, tokenize

Parameters = Mapping[str, Any]
Evaluate = Callable[[MessageContent, Parameters], Any]
"""A value, None for unknown. Raises EvaluationError."""

MAX_LENGTH = 1024
MAX_DEPTH = 32
MAX_STATEMENTS = 32

_WORDS = frozenset(
    ("AND", "OR", "NOT", "LIKE", "ESCAPE", "IN", "IS", "NULL", "EXISTS", "TRUE", "FALSE")
).union(("SET", "REMOVE"))
_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")


class Reference(NamedTuple):
    """A property: of the system (`sys.`, its own spelling) or of the user."""

    system: bool
    name: str


class Statement(NamedTuple):
    """SET target = value; REMOVE target where value is None."""

    target: Reference
    value: Evaluate | None


class Parsed(NamedTuple):
    """parameters: the names, with `@`, folded, that the text refers to."""

    evaluate: Evaluate
    parameters: frozenset[str]


def parse_filter(text: str) -> Parsed:
    """Raises SqlError."""
    parser = _Parser(text)
    evaluate = parser.disjunction()
    parser.end()
    return Parsed(evaluate, frozenset(parser.parameters))


def parse_action(text: str) -> tuple[tuple[Statement, ...], frozenset[str]]:
    """The statements of an action and the parameters that it refers to. Raises SqlError."""
    parser = _Parser(text)
    statements = parser.statements()
    return statements, frozenset(parser.parameters)


def user_property(content: MessageContent, name: str) -> Any:
    """An application property; one of another case where there is none so spelt."""
    found = content.properties.get(name)
    if found is None and name not in content.properties:
        key = spelling(content, name)
        return None if key is None else content.properties[key]
    return found


def spelling(content: MessageContent, name: str) -> str | None:
    """How the message spells the application property; None if it has none of that name."""
    if name in content.properties:
        return name
    folded = name.lower()
    return next((key for key in content.properties if key.lower() == folded), None)


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise SqlError(f"it has {len(text)} characters; allowed are {MAX_LENGTH}")
        self._tokens = tokenize(text)
        self._place = 0
        self._depth = 0
        self.parameters: set[str] = set()

    # Walking

    @property
    def _token(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._place += 1
        return token

    def _accept(self, *words_or_symbols: str) -> Token | None:
        token = self._token
        if token.is_word(*words_or_symbols) or token.is_symbol(*words_or_symbols):
            return self._next()
        return None

    def _expect(self, what: str) -> None:
        if self._accept(what) is None:
            raise self._error(f"{what} is expected")

    def _error(self, what: str) -> SqlError:
        token = self._token
        if token.kind == "end":
            return SqlError(f"{what} at its end")
        return SqlError(f"{what} before {token.text!r} at character {token.place + 1}")

    def end(self) -> None:
        if self._token.kind != "end":
            raise self._error("AND, OR or the end is expected")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SqlError(f"it is nested more than {MAX_DEPTH} deep")

    # Predicates

    def disjunction(self) -> Evaluate:
        parts = [self._conjunction()]
        while self._accept("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else partial(_any, tuple(parts))

    def _conjunction(self) -> Evaluate:
        parts = [self._negation()]
        while self._accept("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else partial(_all, tuple(parts))

    def _negation(self) -> Evaluate:
        inverted = False
        while self._accept("NOT"):
            inverted = not inverted
        predicate = self._predicate()
        return partial(_not, predicate) if inverted else predicate

    def _predicate(self) -> Evaluate:
        if self._accept("EXISTS"):
            self._expect("(")
            reference = self._reference()
            self._expect(")")
            return partial(_exists, reference)
        left = self._sum()
        comparison = self._accept(*_COMPARISONS)
        if comparison:
            return partial(_compare, comparison.text, left, self._sum())
        if self._accept("IS"):
            return self._null_test(left)
        inverted = self._accept("NOT") is not None
        if self._accept("LIKE"):
            pattern = self._sum()
            escape = self._sum() if self._accept("ESCAPE") else None
            test: Evaluate = partial(_like, left, pattern, escape)
        elif self._accept("IN"):
            test = partial(_in, left, self._list())
        elif inverted:
            raise self._error("LIKE or IN is expected")
        else:
            return left
        return partial(_not, test) if inverted else test

    def _null_test(self, left: Evaluate) -> Evaluate:
        inverted = self._accept("NOT") is not None
        self._expect("NULL")
        return partial(_is_null, left, not inverted)

    def _list(self) -> tuple[Evaluate, ...]:
        self._expect("(")
        items = [self._sum()]
        while self._accept(","):
            items.append(self._sum())
        self._expect(")")
        return tuple(items)

    # Expressions

    def _sum(self) -> Evaluate:
        return self._row(self._product, "+", "-")

    def _product(self) -> Evaluate:
        return self._row(self._signed, "*", "/", "%")

    def _row(self, part: Callable[[], Evaluate], *symbols: str) -> Evaluate:
        first = part()
        rest: list[tuple[str, Evaluate]] = []
        while operator := self._accept(*symbols):
            rest.append((operator.text, part()))
        return partial(_combine, first, tuple(rest)) if rest else first

    def _signed(self) -> Evaluate:
        negative = False
        signed = False
        while sign := self._accept("+", "-"):
            signed = True
            negative ^= sign.text == "-"
        value = self._primary()
        if not signed:
            return value
        return partial(_negate, value) if negative else partial(_plus, value)

    def _primary(self) -> Evaluate:
        token = self._token
        if token.kind in ("number", "string"):
            return partial(_constant, self._next().value)
        if token.kind == "parameter":
            name = self._next().text.lower()
            self.parameters.add(name)
            return partial(_parameter, name)
        if self._accept("("):
            self._deeper()
            # A value in parentheses is a predicate without a comparison.
            inner = self.disjunction()
            self._depth -= 1
            self._expect(")")
            return inner
        if token.is_word("TRUE", "FALSE"):
            return partial(_constant, self._next().text.upper() == "TRUE")
        if token.is_word("NULL"):
            self._next()
            return partial(_constant, None)
        function = self._function()
        if function is not None:
            return function
        return partial(_property, self._reference())

    def _function(self) -> Evaluate | None:
        if not (self._token.is_word("NEWID", "P", "PROPERTY")):
            return None
        if not self._tokens[self._place + 1].is_symbol("("):
            return None
        name = self._next().text.upper()
        self._expect("(")
        if name == "NEWID":
            self._expect(")")
            return _newid
        self._deeper()
        argument = self._sum()
        self._depth -= 1
        self._expect(")")
        return partial(_named_property, argument)

    def _reference(self) -> Reference:
        token = self._token
        if token.kind == "name" and self._tokens[self._place + 1].is_symbol("."):
            scope = self._next().text.lower()
            self._next()
            if scope not in ("sys", "user"):
                raise SqlError(f"the scope {scope!r} is neither sys nor user")
            name = self._identifier()
            if scope == "user":
                return Reference(False, name)
            known = system_name(name)
            if known is None:
                raise SqlError(f"there is no system property {name!r}")
            return Reference(True, known)
        return Reference(False, self._identifier())

    def _identifier(self) -> str:
        token = self._token
        if token.kind == "delimited" and token.value:
            return str(self._next().value)
        if token.kind == "name" and token.text.upper() not in _WORDS:
            return self._next().text
        raise self._error("a property, a value or a parenthesis is expected")

    # Actions

    def statements(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while self._token.kind != "end":
            if self._accept(";"):
                continue
            if self._accept("SET"):
                target = self._target()
                self._expect("=")
                found.append(Statement(target, self._sum()))
            elif self._accept("REMOVE"):
                found.append(Statement(self._target(), None))
            else:
                raise self._error("SET or REMOVE is expected")
            if self._token.kind != "end" and not self._token.is_word("SET", "REMOVE"):
                self._expect(";")
        if len(found) > MAX_STATEMENTS:
            raise SqlError(f"it has {len(found)} statements; allowed are {MAX_STATEMENTS}")
        return tuple(found)

    def _target(self) -> Reference:
        target = self._reference()
        if target.system and target.name not in SETTABLE:
            raise SqlError(f"sys.{target.name} cannot be changed")
        return target


# Nodes. What stands for a truth value is True, False or None.


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _any(parts: tuple[Evaluate, ...], content: MessageContent, parameters: Parameters) -> Any:
    result: bool | None = False
    for part in parts:
        result = v.disjunction(result, _bool(part(content, parameters)))
        if result is True:
            break
    return result


def _all(parts: tuple[Evaluate, ...], content: MessageContent, parameters: Parameters) -> Any:
    result: bool | None = True
    for part in parts:
        result = v.conjunction(result, _bool(part(content, parameters)))
        if result is False:
            break
    return result


def _not(part: Evaluate, content: MessageContent, parameters: Parameters) -> Any:
    return v.inverse(_bool(part(content, parameters)))


def _exists(reference: Reference, content: MessageContent, parameters: Parameters) -> Any:
    if reference.system:
        return content.system.get(reference.name) is not None
    return spelling(content, reference.name) is not None


def _compare(
    symbol: str, left: Evaluate, right: Evaluate, content: MessageContent, parameters: Parameters
) -> Any:
    return v.compare(symbol, left(content, parameters), right(content, parameters))


def _is_null(part: Evaluate, wanted: bool, content: MessageContent, parameters: Parameters) -> Any:
    return (part(content, parameters) is None) is wanted


def _like(
    left: Evaluate,
    pattern: Evaluate,
    escape: Evaluate | None,
    content: MessageContent,
    parameters: Parameters,
) -> Any:
    mark = None if escape is None else escape(content, parameters)
    if escape is not None and mark is None:
        return None
    return v.like(left(content, parameters), pattern(content, parameters), mark)


def _in(
    left: Evaluate, items: tuple[Evaluate, ...], content: MessageContent, parameters: Parameters
) -> Any:
    value = left(content, parameters)
    result: bool | None = False
    for item in items:
        result = v.disjunction(result, v.compare("=", value, item(content, parameters)))
        if result is True:
            break
    return result


def _combine(
    first: Evaluate,
    rest: tuple[tuple[str, Evaluate], ...],
    content: MessageContent,
    parameters: Parameters,
) -> Any:
    value = first(content, parameters)
    for symbol, part in rest:
        value = v.combine(symbol, value, part(content, parameters))
    return value


def _negate(part: Evaluate, content: MessageContent, parameters: Parameters) -> Any:
    return v.negate(part(content, parameters))


def _plus(part: Evaluate, content: MessageContent, parameters: Parameters) -> Any:
    value = part(content, parameters)
    return value if v.is_number(value) else None


def _constant(value: Any, content: MessageContent, parameters: Parameters) -> Any:
    return value


def _parameter(name: str, content: MessageContent, parameters: Parameters) -> Any:
    try:
        return parameters[name]
    except KeyError:
        raise v.EvaluationError(f"the parameter {name} has no value") from None


def _property(reference: Reference, content: MessageContent, parameters: Parameters) -> Any:
    if reference.system:
        return content.system.get(reference.name)
    return user_property(content, reference.name)


def _named_property(argument: Evaluate, content: MessageContent, parameters: Parameters) -> Any:
    name = argument(content, parameters)
    if not isinstance(name, str):
        return None
    scope, dot, rest = name.partition(".")
    if dot and scope.lower() == "sys":
        known = system_name(rest)
        return None if known is None else content.system.get(known)
    return user_property(content, rest if dot and scope.lower() == "user" else name)


def _newid(content: MessageContent, parameters: Parameters) -> Any:
    return uuid4()
