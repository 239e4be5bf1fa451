"""Types of Bicep: tokens into a tree."""

from __future__ import annotations

from orchestrator.bicep import syntax as s
from orchestrator.bicep.lexer import IDENT, INTEGER, NEWLINE, STRING, STRING_LEFT
from orchestrator.bicep.parser import ExpressionParser, SyntaxFault


class TypeParser(ExpressionParser):
    def type(self, *, bare_resource: bool = False) -> s.Node:
        if self.is_word("resource") and self.peek().kind != "<":
            word = self.next()
            if self.token.kind in (STRING, STRING_LEFT):
                name = self.string()
                return s.TypeResource(word.start, name.end, name)
            if not bare_resource:
                raise self.fail("BCP068", "Expected a resource type: 'Provider/type@version'.")
            return s.TypeResource(word.start, word.end, None)
        return self.union()

    def _at_bar(self) -> bool:
        return self.is_at("|") or (
            self.is_at(NEWLINE) and self.peek(over_newlines=True).kind == "|"
        )

    def union(self) -> s.Node:
        start = self.token.start
        leading = self._at_bar()
        if leading:
            self.newlines()
            self.next()
        first = self.suffixed_type()
        if not leading and not self._at_bar():
            return first
        members = [first]
        while self._at_bar():
            self.newlines()
            self.next()
            members.append(self.suffixed_type())
        return s.TypeUnion(start, members[-1].end, members)

    def suffixed_type(self) -> s.Node:
        current = self.unary_type()
        while True:
            if self.is_at("?"):
                current = s.TypeNullable(current.start, self.next().end, current)
            elif self.is_at("!"):
                current = s.TypeNonNull(current.start, self.next().end, current)
            else:
                return current

    def unary_type(self) -> s.Node:
        if self.token.kind not in ("-", "!"):
            return self.member_type()
        op = self.next()
        operand = self.member_type()
        if isinstance(operand, s.TypeLiteral):
            if op.kind == "-" and type(operand.value) is int:
                return s.TypeLiteral(op.start, operand.end, -operand.value)
            if op.kind == "!" and isinstance(operand.value, bool):
                return s.TypeLiteral(op.start, operand.end, not operand.value)
        raise self.fail("BCP285", f'"{op.text}" has no meaning before this type.', op)

    def member_type(self) -> s.Node:
        current = self.primary_type()
        while True:
            if self.is_at("["):
                self.next()
                if self.accept("]"):
                    current = s.TypeArray(current.start, self.previous_end, current)
                elif self.accept("*"):
                    self.expect("]", "BCP018", '"]"')
                    current = s.TypeItems(current.start, self.previous_end, current)
                elif self.token.kind == STRING:
                    name = self.next()
                    self.expect("]", "BCP018", '"]"')
                    ident = s.Ident(name.start, name.end, name.text)
                    current = s.TypeMember(current.start, self.previous_end, current, ident)
                else:
                    index = self.integer()
                    self.expect("]", "BCP018", '"]"')
                    current = s.TypeIndex(current.start, self.previous_end, current, index.value)
            elif self.is_at("."):
                self.next()
                if self.accept("*"):
                    current = s.TypeRest(current.start, self.previous_end, current)
                    continue
                ident = self.ident("BCP020", "a property's name")
                if self.is_at("<"):
                    current = self.derived(ident, current.start)
                else:
                    current = s.TypeMember(current.start, ident.end, current, ident)
            else:
                return current

    def derived(self, name: s.Ident, start: int) -> s.TypeDerived:
        self.next()
        args = self.arguments(">", self.union)
        return s.TypeDerived(start, self.previous_end, name, args)

    def primary_type(self) -> s.Node:
        token = self.token
        kind = token.kind
        if kind == IDENT:
            self.next()
            if token.text in ("true", "false"):
                return s.TypeLiteral(token.start, token.end, token.text == "true")
            if token.text == "null":
                return s.TypeLiteral(token.start, token.end, None)
            if self.is_at("<"):
                return self.derived(s.Ident(token.start, token.end, token.text), token.start)
            return s.TypeName(token.start, token.end, token.text)
        if kind in (STRING, STRING_LEFT):
            text = self.string()
            if text.literal is None:
                self.diagnostics.error(
                    self.source, text.start, text.end, "BCP032", "A type's string can't have holes."
                )
                raise SyntaxFault
            return s.TypeLiteral(text.start, text.end, text.literal)
        if kind == INTEGER:
            number = self.integer()
            return s.TypeLiteral(number.start, number.end, number.value)
        if kind == "{":
            self.next()
            props = self.separated("}", self.type_property)
            return s.TypeObject(token.start, self.previous_end, props)
        if kind == "[":
            self.next()
            items = self.separated("]", self.tuple_item)
            return s.TypeTuple(token.start, self.previous_end, items)
        if kind == "(":
            self.next()
            self.newlines()
            inner = self.union()
            self.newlines()
            self.expect(")", "BCP018", '")"')
            return inner
        raise self.fail("BCP279", f"Expected a type here, found {self.spoken()}.")

    def type_property(self) -> s.TypeProp:
        decorators = self.decorators()
        token = self.token
        name: str | None
        if self.accept("*"):
            name = None
        elif token.kind in (IDENT, STRING):
            name = self.next().text
        else:
            raise self.fail("BCP022", f"Expected a property name here, found {self.spoken()}.")
        self.expect(":", "BCP018", '":" and the type of the property')
        value = self.union()
        start = decorators[0].start if decorators else token.start
        return s.TypeProp(start, value.end, decorators, name, value)

    def tuple_item(self) -> s.TypeProp:
        decorators = self.decorators()
        value = self.union()
        return s.TypeProp(value.start, value.end, decorators, None, value)
