"""Statements of a Bicep file and of a `.bicepparam` file."""

from __future__ import annotations

from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import not_built_in
from orchestrator.bicep.diagnostics import UNSUPPORTED, Diagnostics, SourceText
from orchestrator.bicep.lexer import END, IDENT, NEWLINE, STRING, STRING_LEFT
from orchestrator.bicep.parser import SyntaxFault
from orchestrator.bicep.type_parser import TypeParser

# declarations of experimental features that are left out
_EXPERIMENTAL = {"extensionConfig": "moduleExtensionConfigs"}
_BICEP = (
    "targetScope",
    "metadata",
    "type",
    "param",
    "var",
    "func",
    "resource",
    "module",
    "output",
    "import",
    "assert",
    "extension",
    "provider",
    "test",
)
_PARAMS = ("using", "extends", "param", "var", "type", "func", "import", "extensionConfig")


class StatementParser(TypeParser):
    def __init__(self, source: SourceText, diagnostics: Diagnostics, *, params: bool) -> None:
        super().__init__(source, diagnostics)
        self.params = params
        self.words = _PARAMS if params else _BICEP
        self.broken: set[str] = set()
        self.foreign = False  # whether an extension was to be had: its types are not Azure's

    def run(self) -> list[s.Decl]:
        found: list[s.Decl] = []
        self.newlines()
        while not self.is_at(END):
            begin = self.at
            try:
                found.append(self.statement())
                if not self.is_at(NEWLINE):
                    raise self.fail(
                        "BCP019", f"Expected a new line after the statement, found {self.spoken()}."
                    )
            except SyntaxFault:
                self._recover(begin)
            self.newlines()
        return found

    def _recover(self, begin: int) -> None:
        """Go on at the next line that begins a statement."""
        for index in range(begin, min(self.at + 2, len(self.tokens) - 1)):
            word, name = self.tokens[index], self.tokens[index + 1]
            if word.kind == IDENT and word.text in self.words and name.kind == IDENT:
                self.broken.add(name.text)
                break
        if self.at == begin and not self.is_at(END):
            self.next()
        while not self.is_at(END):
            if self.is_at(NEWLINE):
                token = self.peek()
                column = self.source.position(token.start)[1]
                if column == 1 and (
                    token.kind == "@" or (token.kind == IDENT and token.text in self.words)
                ):
                    return
            self.next()

    def statement(self) -> s.Decl:
        start = self.token.start
        decorators = self.decorators()
        token = self.token
        if token.kind != IDENT or token.text not in self.words:
            if decorators:
                raise self.fail("BCP132", "Expected a declaration after the decorator.")
            meant = (
                "using, extends, param, var, type, func or import"
                if self.params
                else ("param, var, resource, module, output, type, func, import, targetScope")
            )
            raise self.fail("BCP007", f"This begins no declaration; expected {meant}.")
        if token.text in ("extension", "provider", "extensionConfig") or (
            token.text == "import" and self.peek().kind in (STRING, STRING_LEFT)
        ):
            if token.text in ("extension", "provider", "import"):
                self._foreign()
            feature = _EXPERIMENTAL.get(token.text)
            raise self.fail(
                UNSUPPORTED,
                not_built_in(f'"{token.text}" declarations are of', feature)
                if feature
                else f'"{token.text}" declarations are not supported by the built-in compiler; '
                "install the real bicep to use them.",
            )
        self.next()
        method = getattr(self, f"_{'assign' if self._is_assignment(token.text) else token.text}")
        statement: s.Decl = method(start, decorators)
        return statement

    def _foreign(self) -> None:
        """An extension is not read, but its name is known: what uses it is not said, too."""
        self.foreign = True
        index = self.at + 1
        while self.tokens[index].kind not in (NEWLINE, END):
            word, name = self.tokens[index], self.tokens[index + 1]
            if word.kind == IDENT and word.text == "as" and name.kind == IDENT:
                self.broken.add(name.text)
            index += 1

    def _is_assignment(self, word: str) -> bool:
        return self.params and word == "param"

    def _equals(self) -> None:
        self.expect("=", "BCP018", '"="')
        self.newlines_before_value()

    def newlines_before_value(self) -> None:
        if self.is_at(NEWLINE) and self.peek(over_newlines=True).text == "if":
            self.newlines()

    # one method for each first word

    def _targetScope(self, start: int, decorators: list[s.Decorator]) -> s.Decl:  # noqa: N802
        self._equals()
        value = self.expression()
        return s.TargetScope(start, value.end, decorators, value)

    def _metadata(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP145", "a name for the metadata")
        self._equals()
        value = self.expression()
        return s.MetadataDecl(start, value.end, decorators, name, value)

    def _assert(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP301", "a name for the assertion")
        self._equals()
        value = self.expression()
        return s.AssertDecl(start, value.end, decorators, name, value)

    def _assign(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP013", "a parameter's name")
        self._equals()
        value = self.expression()
        return s.ParamAssign(start, value.end, decorators, name, value)

    def _type(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP283", "a name for the type")
        self._equals()
        value = self.union()
        return s.TypeDecl(start, value.end, decorators, name, value)

    def _param(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP013", "a parameter's name")
        if self.is_at("=") or (self.is_at(NEWLINE) and not self._at_bar()):
            raise self.fail(
                "BCP014", f'Expected the type of "{name.name}" here, for instance string.'
            )
        type_ = self.type()
        default = None
        if self.accept("="):
            default = self.expression()
        elif not self.is_at(NEWLINE):
            raise self.fail("BCP008", f'Expected "=" or a new line here, found {self.spoken()}.')
        end = default.end if default is not None else type_.end
        return s.ParamDecl(start, end, decorators, name, type_, default)

    def _var(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP015", "a variable's name")
        type_ = None if self.is_at("=") else self.type()
        self._equals()
        value = self.expression()
        return s.VarDecl(start, value.end, decorators, name, type_, value)

    def _func(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP015", "a function's name")
        self.expect("(", "BCP018", '"("')
        params = self.arguments(")", self._func_param)
        result = self.type()
        self.expect("=>", "BCP018", '"=>"')
        self.newlines()
        body = self.expression()
        return s.FuncDecl(start, body.end, decorators, name, params, result, body)

    def _func_param(self) -> s.FuncParam:
        name = self.ident("BCP015", "a parameter's name")
        type_ = self.type()
        return s.FuncParam(name.start, type_.end, name, type_)

    def _output(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP016", "an output's name")
        if self.is_at("="):
            raise self.fail(
                "BCP146", f'Expected the type of "{name.name}" here, for instance string.'
            )
        type_ = self.type(bare_resource=True)
        self._equals()
        value = self.expression()
        return s.OutputDecl(start, value.end, decorators, name, type_, value)

    def _type_string(self, code: str, what: str) -> s.Str:
        if self.token.kind not in (STRING, STRING_LEFT):
            raise self.fail(code, f"Expected {what} here, found {self.spoken()}.")
        return self.string()

    def _resource(self, start: int, decorators: list[s.Decorator]) -> s.ResourceDecl:
        name = self.ident("BCP017", "a name for the resource")
        type_ = self._type_string("BCP068", "a type: 'Provider/type@version'")
        existing = self.is_word("existing")
        if existing:
            self.next()
        self._equals()
        value = self._body(resources=True)
        return s.ResourceDecl(start, value.end, decorators, name, type_, existing, value)

    def nested_resource(self) -> s.Node:
        start = self.token.start
        decorators = self.decorators()
        self.word("resource")
        return self._resource(start, decorators)

    def _module(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP096", "a name for the module")
        path = self._type_string("BCP097", "the module's path")
        self._equals()
        value = self._body(resources=False)
        return s.ModuleDecl(start, value.end, decorators, name, path, value)

    def _test(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        name = self.ident("BCP346", "a name for the test")
        path = self._type_string("BCP347", "the path of the file that is tested")
        self._equals()
        value = self.object()
        return s.TestDecl(start, value.end, decorators, name, path, value)

    def _body(self, *, resources: bool) -> s.Node:
        def conditional() -> s.Node:
            if self.is_word("if"):
                return self.condition(resources=resources)
            if self.is_at("{"):
                return self.object(resources=resources)
            raise self.fail("BCP167", f'Expected "{{" or "if" here, found {self.spoken()}.')

        if self.is_at("["):
            return self.loop(body=conditional)
        if self.is_at("{") or self.is_word("if"):
            return conditional()
        raise self.fail("BCP118", f'Expected "{{", "[" or "if" here, found {self.spoken()}.')

    def _import(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        items: list[s.ImportItem] = []
        wildcard = None
        if self.accept("*"):
            self.word("as")
            wildcard = self.ident("BCP358", "a name for what is imported")
        elif self.accept("{"):
            items = self.separated("}", self._import_item)
        else:
            raise self.fail("BCP358", f'Expected "{{" or "* as name" here, found {self.spoken()}.')
        self.word("from")
        path = self._type_string("BCP097", "the file's path")
        return s.ImportDecl(start, path.end, decorators, items, wildcard, path)

    def _import_item(self) -> s.ImportItem:
        token = self.token
        if token.kind not in (IDENT, STRING):
            raise self.fail(
                "BCP355", f"Expected the name of an exported symbol, found {self.spoken()}."
            )
        self.next()
        name = s.Ident(token.start, token.end, token.text)
        if self.is_word("as"):
            self.next()
            name = self.ident("BCP015", "a name")
        elif token.kind == STRING:
            raise self.fail("BCP380", 'A name in quotes needs an "as name".', token)
        return s.ImportItem(token.start, name.end, token.text, name)

    def _using(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        if self.is_word("none"):
            return s.UsingDecl(start, self.next().end, decorators, None)
        path = self._type_string("BCP097", "the path of the Bicep file")
        if self.is_word("with"):
            raise self.fail(UNSUPPORTED, not_built_in('"using … with" is of', "deployCommands"))
        return s.UsingDecl(start, path.end, decorators, path)

    def _extends(self, start: int, decorators: list[s.Decorator]) -> s.Decl:
        path = self._type_string("BCP097", "the path of a .bicepparam file")
        return s.ExtendsDecl(start, path.end, decorators, path)


def parse(source: SourceText, diagnostics: Diagnostics) -> tuple[list[s.Decl], set[str], bool]:
    """The statements of a file, the names of those that can't be read (it is said why), and
    whether an extension is among these."""
    params = source.path.suffix == ".bicepparam"
    parser = StatementParser(source, diagnostics, params=params)
    return parser.run(), parser.broken, parser.foreign
