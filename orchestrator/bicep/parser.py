"""Expressions of Bicep: tokens into a tree.

Why not a grammar of somebody else's: the one that is packaged (tree-sitter-bicep 1.1) leaves an
ERROR node in one file of five of Microsoft's own modules (`!`, spread, `.?`, an import after a
nullable type), and a tree with holes can only become a wrong template.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from orchestrator.bicep import syntax as s
from orchestrator.bicep.diagnostics import Diagnostics, SourceText
from orchestrator.bicep.lexer import (
    END,
    IDENT,
    INTEGER,
    NEWLINE,
    STRING,
    STRING_LEFT,
    STRING_MIDDLE,
    STRING_RIGHT,
    Lexer,
    Token,
)

_PRECEDENCE = {
    "%": 100,
    "*": 100,
    "/": 100,
    "+": 90,
    "-": 90,
    ">": 80,
    ">=": 80,
    "<": 80,
    "<=": 80,
    "==": 70,
    "!=": 70,
    "=~": 70,
    "!~": 70,
    "&&": 50,
    "||": 40,
    "??": 30,
}
_SPOKEN = {
    NEWLINE: "the end of the line",
    END: "the end of the file",
    STRING: "a string",
    STRING_LEFT: "a string",
    STRING_MIDDLE: "the rest of a string",
    STRING_RIGHT: "the rest of a string",
}
_VALUES = frozenset({"true", "false", "null"})
_MAX_INT = 2**63 - 1

_Item = TypeVar("_Item")


class SyntaxFault(Exception):  # noqa: N818 -- it never leaves the parser
    """This statement cannot be read; it has been said why."""


class ExpressionParser(ABC):
    def __init__(self, source: SourceText, diagnostics: Diagnostics) -> None:
        self.source = source
        self.diagnostics = diagnostics
        self.tokens = Lexer(source, diagnostics).run()
        # where the text itself is wrong, what cannot be read follows from it
        self.wrong_lines = {found.line for found in diagnostics.errors if found.path == source.path}
        self.at = 0

    # --- tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def previous_end(self) -> int:
        return self.tokens[self.at - 1].end if self.at else 0

    def is_at(self, kind: str) -> bool:
        return self.tokens[self.at].kind == kind

    def is_word(self, word: str, ahead: int = 0) -> bool:
        index = min(self.at + ahead, len(self.tokens) - 1)
        token = self.tokens[index]
        return token.kind == IDENT and token.text == word

    def peek(self, *, ahead: int = 1, over_newlines: bool = False) -> Token:
        index = min(self.at + ahead, len(self.tokens) - 1)
        if over_newlines:
            while self.tokens[index].kind == NEWLINE:
                index += 1
        return self.tokens[index]

    def next(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != END:
            self.at += 1
        return token

    def accept(self, kind: str) -> Token | None:
        return self.next() if self.is_at(kind) else None

    def newlines(self) -> None:
        while self.is_at(NEWLINE):
            self.next()

    def fail(self, code: str, message: str, token: Token | None = None) -> SyntaxFault:
        token = token or self.token
        if self.source.position(token.start)[0] not in self.wrong_lines:
            end = max(token.end, token.start)
            self.diagnostics.error(self.source, token.start, end, code, message)
        return SyntaxFault()

    def spoken(self, token: Token | None = None) -> str:
        token = token or self.token
        return _SPOKEN.get(token.kind) or f'"{token.text}"'

    def expect(self, kind: str, code: str, what: str) -> Token:
        if self.is_at(kind):
            return self.next()
        raise self.fail(code, f"Expected {what} here, found {self.spoken()}.")

    def word(self, text: str, code: str = "BCP012") -> Token:
        if self.is_word(text):
            return self.next()
        raise self.fail(code, f'Expected the word "{text}" here, found {self.spoken()}.')

    def ident(self, code: str, what: str) -> s.Ident:
        if self.token.text in _VALUES:
            raise self.fail(code, f'Expected {what} here; "{self.token.text}" is a value.')
        token = self.expect(IDENT, code, what)
        return s.Ident(token.start, token.end, token.text)

    # --- lists

    def separated(self, close: str, item: Callable[[], _Item]) -> list[_Item]:
        """Items of an array or object, with `close`: on lines of their own or by commas."""
        found: list[_Item] = []
        self.newlines()
        while not self.is_at(close):
            if self.is_at(END):
                raise self.fail("BCP018", f'Expected "{close}" before the end of the file.')
            found.append(item())
            if self.is_at(close):
                break
            if self.accept(","):
                if self.is_at(NEWLINE) and self.peek(over_newlines=True).kind != close:
                    raise self.fail(
                        "BCP238",
                        "A comma at the end of a line: items on lines of their own need no comma.",
                    )
                self.newlines()
            elif self.is_at(NEWLINE):
                self.newlines()
            else:
                raise self.fail(
                    "BCP236", f"Expected a new line or a comma here, found {self.spoken()}."
                )
        self.next()
        return found

    def arguments(self, close: str, item: Callable[[], _Item]) -> list[_Item]:
        """Arguments, up to and with `close`: by commas, lines as one likes."""
        found: list[_Item] = []
        self.newlines()
        while not self.is_at(close):
            found.append(item())
            self.newlines()
            if self.is_at(close):
                break
            if not self.accept(","):
                raise self.fail("BCP018", f'Expected "," or "{close}" here, found {self.spoken()}.')
            self.newlines()
            if self.is_at(close):
                raise self.fail("BCP009", "Expected a value after the comma.")
        self.next()
        return found

    # --- expressions

    def expression(self, *, literals: bool = True) -> s.Node:
        condition = self.binary(literals, 0)
        if self.is_at(NEWLINE) and self.peek(over_newlines=True).kind == "?":
            self.newlines()
        if not self.accept("?"):
            return condition
        yes = self.expression(literals=literals)
        if self.is_at(NEWLINE) and self.peek(over_newlines=True).kind == ":":
            self.newlines()
        self.expect(":", "BCP018", '":" and the value for "otherwise"')
        no = self.expression(literals=literals)
        return s.Ternary(condition.start, no.end, condition, yes, no)

    def binary(self, literals: bool, floor: int) -> s.Node:
        left = self.unary(literals)
        while (precedence := _PRECEDENCE.get(self.token.kind, -1)) > floor:
            op = self.next().kind
            right = self.binary(literals, precedence)
            left = s.Binary(left.start, right.end, op, left, right)
        return left

    def unary(self, literals: bool) -> s.Node:
        if self.token.kind in ("!", "-", "+"):
            op = self.next()
            if op.kind == "+":
                raise self.fail("BCP007", "A number needs no + before it.", op)
            operand = self.member(literals)
            return s.Unary(op.start, operand.end, op.kind, operand)
        return self.member(literals)

    def member(self, literals: bool) -> s.Node:
        current = self.primary(literals)
        while True:
            kind = self.token.kind
            if kind == "[":
                self.next()
                safe = self.accept("?") is not None
                from_end = self.accept("^") is not None
                if self.is_at("]"):
                    raise self.fail("BCP117", "An index is missing between the brackets.")
                index = self.expression(literals=literals)
                self.expect("]", "BCP018", '"]"')
                current = s.Index(current.start, self.previous_end, current, index, safe, from_end)
            elif kind == ".":
                self.next()
                safe = self.accept("?") is not None
                name = self.ident("BCP020", "a property or function name")
                if self.is_at("("):
                    if safe:
                        raise self.fail(
                            "BCP322", "A function can't be called with .?; use a plain dot."
                        )
                    self.next()
                    args = self.arguments(")", self.expression)
                    current = s.MethodCall(current.start, self.previous_end, current, name, args)
                else:
                    current = s.Member(current.start, name.end, current, name, safe)
            elif kind == "::":
                self.next()
                name = self.ident("BCP020", "the name of a nested resource")
                current = s.Nested(current.start, name.end, current, name)
            elif kind == "!":
                current = s.NonNull(current.start, self.next().end, current)
            else:
                return current

    def primary(self, literals: bool) -> s.Node:
        token = self.token
        kind = token.kind
        if kind == IDENT:
            return self.name_or_call()
        if kind in (STRING, STRING_LEFT):
            return self.string()
        if kind == INTEGER:
            return self.integer()
        if kind == "(":
            return self.parenthesis()
        if kind in ("{", "["):
            if not literals:
                raise self.fail(
                    "BCP174" if kind == "[" else "BCP249", "An array or object can't stand here."
                )
            if kind == "{":
                return self.object()
            if self.peek(over_newlines=True).text == "for" and (
                self.peek(over_newlines=True).kind == IDENT
            ):
                return self.loop(body=self.expression)
            self.next()
            items = self.separated("]", self.array_item)
            return s.Array(token.start, self.previous_end, items)
        raise self.fail("BCP009", f"Expected a value here, found {self.spoken()}.")

    def array_item(self) -> s.Node:
        return self.spread() if self.is_at("...") else self.expression()

    def spread(self) -> s.Spread:
        dots = self.next()
        value = self.expression()
        return s.Spread(dots.start, value.end, value)

    def integer(self) -> s.Int:
        token = self.expect(INTEGER, "BCP010", "a whole number")
        value = int(token.text)
        if value > _MAX_INT + 1:
            raise self.fail("BCP010", "This number does not fit in 64 bits.", token)
        return s.Int(token.start, token.end, value)

    def string(self) -> s.Str:
        token = self.next()
        if token.kind == STRING:
            return s.Str(token.start, token.end, [token.text], [])
        parts, holes = [token.text], []
        while True:
            self.newlines()
            holes.append(self.expression(literals=False))
            self.newlines()
            piece = self.token
            if piece.kind not in (STRING_MIDDLE, STRING_RIGHT):
                raise self.fail(
                    "BCP064", f"Expected the end of the hole here, found {self.spoken()}."
                )
            self.next()
            parts.append(piece.text)
            if piece.kind == STRING_RIGHT:
                return s.Str(token.start, piece.end, parts, holes)

    def name_or_call(self) -> s.Node:
        token = self.next()
        if token.text in ("true", "false"):
            return s.Bool(token.start, token.end, token.text == "true")
        if token.text == "null":
            return s.Null(token.start, token.end)
        if self.is_at("("):
            self.next()
            args = self.arguments(")", self.expression)
            name = s.Ident(token.start, token.end, token.text)
            return s.Call(token.start, self.previous_end, name, args)
        if self.is_at("=>"):
            self.next()
            self.newlines()
            body = self.expression()
            param = s.Ident(token.start, token.end, token.text)
            return s.Lambda(token.start, body.end, [param], body)
        return s.Name(token.start, token.end, token.text)

    def parenthesis(self) -> s.Node:
        open_ = self.next()
        items = self.arguments(")", self.expression)
        end = self.previous_end
        if self.accept("=>"):
            self.newlines()
            params = []
            for item in items:
                if not isinstance(item, s.Name):
                    self.diagnostics.error(
                        self.source, item.start, item.end, "BCP015", "Expected a variable's name."
                    )
                    raise SyntaxFault
                params.append(s.Ident(item.start, item.end, item.name))
            body = self.expression()
            return s.Lambda(open_.start, body.end, params, body)
        if len(items) != 1:
            self.diagnostics.error(
                self.source, open_.start, end, "BCP243", "Parentheses hold exactly one value."
            )
            raise SyntaxFault
        return s.Paren(open_.start, end, items[0])

    def object(self, *, resources: bool = False) -> s.Object:
        brace = self.expect("{", "BCP018", '"{"')
        items = self.separated("}", lambda: self.object_item(resources))
        return s.Object(brace.start, self.previous_end, items)

    def object_item(self, resources: bool) -> s.Node:
        if resources and (
            self.is_at("@") or (self.is_word("resource") and self.peek().kind == IDENT)
        ):
            return self.nested_resource()
        if self.is_at("..."):
            return self.spread()
        token = self.token
        if token.kind == IDENT:
            if self.peek().kind == IDENT and self.source.position(token.start)[1] == 1:
                raise self.fail(
                    "BCP018", f'Expected "}}" before "{token.text}": an object is not closed above.'
                )
            self.next()
            key = s.Str(token.start, token.end, [token.text], [])
        elif token.kind in (STRING, STRING_LEFT):
            key = self.string()
        else:
            raise self.fail("BCP022", f"Expected a property name here, found {self.spoken()}.")
        self.expect(":", "BCP018", f'":" after the property name "{"".join(key.parts)}"')
        value = self.expression()
        return s.Prop(key.start, value.end, key, value)

    @abstractmethod
    def nested_resource(self) -> s.Node:
        """A resource among the properties of another, which statements are made of."""

    def loop(self, *, body: Callable[[], s.Node]) -> s.For:
        bracket = self.next()
        self.newlines()
        self.word("for")
        index = None
        if self.accept("("):
            item = self.ident("BCP163", "the loop's variable")
            self.expect(",", "BCP249", "a comma and the index variable")
            index = self.ident("BCP163", "the loop's index variable")
            self.expect(")", "BCP018", '")"')
        else:
            item = self.ident("BCP162", "the loop's variable, or (item, index)")
        self.word("in")
        array = self.expression()
        self.expect(":", "BCP018", '":" and the body of the loop')
        value = body()
        self.newlines()
        self.expect("]", "BCP018", '"]" at the end of the loop')
        return s.For(bracket.start, self.previous_end, item, index, array, value)

    def condition(self, *, resources: bool) -> s.If:
        word = self.word("if")
        open_ = self.expect("(", "BCP018", '"(" and the condition')
        self.newlines()
        inner = self.expression()
        self.newlines()
        self.expect(")", "BCP018", '")" after the condition')
        test = s.Paren(open_.start, self.previous_end, inner)
        body = self.object(resources=resources)
        return s.If(word.start, body.end, test, body)

    # --- decorators

    def decorators(self) -> list[s.Decorator]:
        found = []
        while self.is_at("@"):
            at = self.next()
            namespace = None
            name = self.ident("BCP123", "a decorator's name")
            if self.accept("."):
                namespace = name
                name = self.ident("BCP020", "a decorator's name")
            args: list[s.Node] = []
            called = self.accept("(") is not None
            if called:
                args = self.arguments(")", self.expression)
            found.append(s.Decorator(at.start, self.previous_end, name, args, called, namespace))
            if not self.is_at(NEWLINE):
                raise self.fail(
                    "BCP019", f"Expected a new line after the decorator, found {self.spoken()}."
                )
            self.newlines()
        return found
