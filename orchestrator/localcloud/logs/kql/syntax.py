"""KQL text: its statements, its `render`, and what is wrong with it in words.

The grammar is duckdb-kql's (Microsoft's own `Kql.g4`); this module reads its tokens. It splits a
query of several statements, and turns the parser's diagnostics, which name every keyword of the
language, into one sentence that says where the query breaks and what was expected there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from antlr4 import InputStream  # type: ignore[import-untyped]
from antlr4.Token import Token as AntlrToken  # type: ignore[import-untyped]
from duckdb_kql._antlr.KqlLexer import KqlLexer
from duckdb_kql.errors import Diagnostic

from orchestrator.localcloud.logs.errors import QueryError, syntax_error

_FORMS = {
    "as": "as <name>",
    "distinct": "distinct <column>, …",
    "extend": "extend <name> = <expression>, …",
    "filter": "filter <condition>",
    "join": "join kind=inner (<table>) on <column>",
    "limit": "limit <number>",
    "lookup": "lookup (<table>) on <column>",
    "mv-expand": "mv-expand <column>",
    "order": "order by <column> asc|desc",
    "parse": "parse <column> with <pattern>",
    "parse-where": "parse-where <column> with <pattern>",
    "project": "project <column>, <name> = <expression>, …",
    "project-away": "project-away <column>, …",
    "project-rename": "project-rename <new name> = <column>",
    "render": "render <chart>",
    "sort": "sort by <column> asc|desc",
    "summarize": "summarize <aggregate>, … by <column>, …",
    "take": "take <number>",
    "top": "top <number> by <column>",
    "union": "union <table>, …",
    "where": "where <condition>",
}
# Operators of KQL that are recognised as such though duckdb-kql does not run them.
_OTHER_OPERATORS = frozenset(
    {
        "consume", "count", "evaluate", "facet", "find", "fork", "getschema", "invoke",
        "macro-expand", "make-graph", "make-series", "mv-apply", "partition", "print",
        "project-keep", "project-reorder", "range", "reduce", "sample", "sample-distinct", "scan",
        "search", "serialize", "top-hitters", "top-nested",
    }
)  # fmt: skip
OPERATORS = frozenset(_FORMS) | _OTHER_OPERATORS

_SYMBOL_HINTS = {
    "&": "write 'and'",
    "#": "a comment begins with '//'",
    "`": "a name in quotes is written ['name']",
    "!": "write 'not(…)' or '!='",
}
_OPENING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of the query: its text, line and column (both from 1), offset in the text."""

    kind: str
    text: str
    line: int
    column: int
    start: int

    @property
    def end(self) -> int:
        """The offset behind its last character."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Statement:
    """One tabular statement of a query.

    Attributes:
        text: The whole query with every other tabular statement blanked out, so that the `let`s
            stay and every position is still that of the query as it was sent.
        render: The chart that the statement asks for, and its properties.
    """

    text: str
    render: dict[str, Any] | None


@lru_cache(8)
def tokens(query: str) -> tuple[Token, ...]:
    """The tokens of a query, without white space and comments."""
    lexer = KqlLexer(InputStream(query))
    lexer.removeErrorListeners()
    names = KqlLexer.symbolicNames
    found = []
    while (token := lexer.nextToken()).type != AntlrToken.EOF:
        if token.channel == AntlrToken.DEFAULT_CHANNEL:
            found.append(
                Token(names[token.type], token.text, token.line, token.column + 1, token.start)
            )
    return tuple(found)


def by_depth(found: Sequence[Token]) -> Iterator[tuple[int, int, Token]]:
    """Each token with its index and the number of brackets open before it (after, if it closes)."""
    depth = 0
    for index, token in enumerate(found):
        if token.text in (")", "]", "}"):
            depth -= 1
        yield index, depth, token
        if token.text in ("(", "[", "{"):
            depth += 1


# A statement's first and last offset, and whether it is a `let` or the like.
_Part = tuple[int, int, bool]


def split_statements(query: str) -> list[Statement]:
    """The tabular statements of a query, each with the `let`, `set` and `declare` of the whole.

    Raises:
        QueryError: The query is empty, a management command, or holds nothing but `let`.
    """
    found = tokens(query)
    if not found and not query.strip():
        raise syntax_error(
            "the query is empty; expected a table name, such as ContainerAppConsoleLogs_CL",
            line=1,
            position=1,
            found="",
        )
    if found and found[0].text == ".":
        raise syntax_error(
            "management commands are not part of the Log Analytics query API",
            line=found[0].line,
            position=found[0].column,
            found=".",
        )
    parts: list[_Part] = []
    start, first, end = 0, True, len(query)
    prelude = False
    for _, depth, token in by_depth(found):
        if first:
            prelude = token.text in ("let", "set", "declare", "alias", "restrict")
            first = False
        if token.text == ";" and depth == 0:
            parts.append((start, token.start + 1, prelude))
            start, first, prelude = token.start + 1, True, False
    if not first:
        parts.append((start, end, prelude))
    tabular = [part for part in parts if not part[2] and query[part[0] : part[1]].strip(" \n\t;")]
    if not tabular:
        last = found[-1] if found else Token("", "", 1, 1, 0)
        raise syntax_error(
            "expected a table or an expression that gives one, such as "
            "ContainerAppConsoleLogs_CL | take 10",
            line=last.line,
            position=last.column + len(last.text),
            found="",
        )
    return [_isolated(query, part, tabular, found) for part in tabular]


def _isolated(query: str, part: _Part, tabular: list[_Part], found: Sequence[Token]) -> Statement:
    text = query
    for other in tabular:
        if other is not part:
            blank = "".join(c if c == "\n" else " " for c in text[other[0] : other[1]])
            text = text[: other[0]] + blank + text[other[1] :]
    own = [token for token in found if part[0] <= token.start < part[1]]
    return Statement(text, _render(own))


def _render(own: Sequence[Token]) -> dict[str, Any] | None:
    """The last `| render kind with (property=value, …)` outside brackets."""
    render: dict[str, Any] | None = None
    for index, depth, token in by_depth(own):
        if depth == 0 and token.text == "render" and index and own[index - 1].text == "|":
            rest = own[index + 1 :]
            render = {"visualization": rest[0].text if rest else None}
            for at, name in enumerate(rest[:-2]):
                if rest[at + 1].text == "=":
                    render[_camel(name.text)] = _plain(rest[at + 2].text)
    return render


def _camel(name: str) -> str:
    known = {"xcolumn": "xColumn", "ycolumns": "yColumns", "xtitle": "xTitle", "ytitle": "yTitle",
             "xaxis": "xAxis", "yaxis": "yAxis", "ysplit": "ySplit",
             "anomalycolumns": "anomalyColumns"}  # fmt: skip
    return known.get(name.lower(), name)


def _plain(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "'\"" else text


def place_of(query: str, name: str) -> str:
    """` (line 1, position 5)` for the first use of an identifier; empty if it is not found."""
    for token in tokens(query):
        if token.text in (name, f"'{name}'", f'"{name}"'):
            return f" (line {token.line}, position {token.column})"
    return ""


def check_conditions(query: str) -> None:
    """Refuse `where a = b`, which the grammar lets through and which means nothing.

    Raises:
        QueryError: 400, naming the place.
    """
    operator: dict[int, str] = {}
    previous = ""
    found = tokens(query)
    named = {found[i + 1].text for i, one in enumerate(found[:-1]) if one.text == "let"}
    for index, depth, token in by_depth(found):
        if previous == "|" or (previous == "(" and token.text in OPERATORS):
            operator[depth] = token.text
        elif previous == ";":
            operator[depth] = ""
        if token.text == "(":
            # What stands in brackets belongs to the operator outside, until there is one inside.
            # The arguments of a function of the query's own may have names: f(a = 1).
            calls = previous in named and (index < 2 or found[index - 2].text != "let")
            operator[depth + 1] = "" if calls else operator.get(depth, "")
        elif token.text == "=" and operator.get(depth) in ("where", "filter"):
            raise syntax_error(
                "expected a comparison such as '=='",
                line=token.line,
                position=token.column,
                found="=",
            )
        previous = token.text


def explain(query: str, diagnostics: list[Diagnostic]) -> QueryError:
    """The parser's diagnostics as one refusal."""
    found = tokens(query)
    first = diagnostics[0]
    line, column = first.span.line, first.span.column + 1
    message = first.message
    if message.startswith("token recognition error"):
        return _unrecognised(query, line, column)
    unbalanced = _unbalanced(found)
    if unbalanced is not None:
        return unbalanced
    try:
        check_conditions(query)
    except QueryError as error:
        return error
    at = next((i for i, t in enumerate(found) if (t.line, t.column) == (line, column)), len(found))
    token = found[at] if at < len(found) else None
    following = found[at + 1] if at + 1 < len(found) else None
    # The parser takes a word it does not know for the end of the pipeline: the fault is behind
    # the bar.
    if token is not None and token.text == "|" and at > 0 and "<EOF>" in message:
        if following is None:
            return syntax_error(
                "expected an operator after '|'", line=line, position=column, found="|"
            )
        return _bad_operator(following)
    if token is not None and token.text in OPERATORS and "<EOF>" in message:
        what = f"expected '|' before '{token.text}'"
    elif found and found[0].text.lower() == "select":
        what = "this looks like SQL; expected KQL, such as ContainerAppConsoleLogs_CL | take 10"
    else:
        what = _expected(message)
    return syntax_error(
        what, line=line, position=column, found=token.text if token is not None else ""
    )


def _unrecognised(query: str, line: int, column: int) -> QueryError:
    text = query.split("\n")[line - 1][column - 1 :].rstrip("\r")
    if text[:1] in ("'", '"') or text[1:2] in ("'", '"'):
        what = "the string is not closed on this line"
    else:
        hint = _SYMBOL_HINTS.get(text[:1])
        what = f"'{text[:1]}' means nothing in KQL" + (f"; {hint}" if hint else "")
        text = text[:1]
    return syntax_error(what, line=line, position=column, found=text)


def _unbalanced(found: Sequence[Token]) -> QueryError | None:
    opened: list[Token] = []
    for token in found:
        if token.text in _OPENING:
            opened.append(token)
        elif token.text in _OPENING.values():
            if not opened or _OPENING[opened[-1].text] != token.text:
                what = (
                    f"expected '{_OPENING[opened[-1].text]}'"
                    if opened
                    else f"there is no bracket that this '{token.text}' closes"
                )
                return syntax_error(what, line=token.line, position=token.column, found=token.text)
            opened.pop()
    if not opened:
        return None
    token = opened[-1]
    return syntax_error(
        f"expected '{_OPENING[token.text]}', this bracket is not closed",
        line=token.line,
        position=token.column,
        found=token.text,
    )


def _bad_operator(token: Token) -> QueryError:
    word = token.text
    if word in _FORMS:
        what = f"the '{word}' operator is not complete; expected: {_FORMS[word]}"
    elif word in OPERATORS:
        what = f"the '{word}' operator is not written as expected"
    else:
        near = difflib.get_close_matches(word.lower(), OPERATORS, 1, 0.6)
        what = "expected an operator" + (
            f"; did you mean '{near[0]}'?"
            if near
            else " such as where, project, extend, summarize, order by, take"
        )
    return syntax_error(what, line=token.line, position=token.column, found=word)


def _expected(message: str) -> str:
    """The parser's list of expected tokens, as short as it can be said."""
    _, found, after = message.partition("expecting ")
    if not found:
        _, found, after = message.partition("missing ")
        return f"expected {after.split(' at ')[0]}" if found else "this is not expected here"
    names = after.strip("{}").split(", ")
    if "IDENTIFIER" in after or len(names) > 8:
        return "expected an expression: a column, a value or a function call"
    words = ["the end of the query" if name == "<EOF>" else name for name in names]
    if "the end of the query" in words:
        words.insert(0, "'|'")
    listed = words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" or {words[-1]}"
    return f"expected {listed}"
