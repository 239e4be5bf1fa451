r"""A `parse` by its literals: the same rows without a regular expression.

duckdb-kql writes `parse Log_s with * 'fibonacci(' n:long ')' *` as two matches of the expression
`.*?fibonacci\((?P<n>.*?)\).*?$` for each row and column. Such a pattern, literals with anything in
between up to the end, matches where each literal is found first after the one before, so the text
can be cut at the literals, in a tenth of the time. `.` matches no line feed: a text that has one is
left to the expression.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_HEAD = "(SELECT *, regexp_extract("
_TAIL = re.compile(r" AS \"_parse\" FROM (?P<table>\w+)\) AS _p\b")
_NAMES = re.compile(r"\[(?:'(?:[^']|'')*'(?:, )?)+\]")
_PIECE = re.compile(
    r"(?P<skip>\.\*\?)|\(\?P<[^>]+>\.\*\?\)|(?P<end>\$\Z)"
    r"|\\(?P<escaped>\W)|(?P<plain>[^\\.+*?()|\[\]{}^$])"
)
_MATCHED = "_parse matched"
_REST, _FOUND = "_parse rest {}", "_parse found {}"


@dataclass
class _Pattern:
    """Literals and the gaps around them.

    Attributes:
        literals: In order.
        gaps: gaps[i] lies before literals[i], the last one after all: None where there is none,
            else whether it is captured.
    """

    literals: list[str] = field(default_factory=list)
    gaps: list[bool | None] = field(default_factory=list)


def parse_by_literals(sql: str) -> str:
    """The SQL with every such `parse` rewritten; the same text where there is none."""
    at = sql.find(_HEAD)
    while at >= 0:
        sql, after = _rewritten(sql, at)
        at = sql.find(_HEAD, after)
    return sql


def _rewritten(sql: str, at: int) -> tuple[str, int]:
    """The SQL with the `parse` at this place rewritten, if it can be, and where to look on."""
    after = at + len(_HEAD)
    found = _arguments(sql, after)
    if found is None:
        return sql, after
    arguments, end = found
    tail = _TAIL.match(sql, end)
    if len(arguments) != 3 or tail is None or not _NAMES.fullmatch(arguments[2]):
        return sql, after
    source, pattern, listed = arguments
    names = [_text(word) for word in re.findall(r"'(?:[^']|'')*'", listed)]
    pieces = _pattern(_text(pattern))
    begin, close = _surroundings(sql, at)
    head, rest = sql[begin:at], sql[tail.end() : close]
    # Without a list of columns ("*", "COLUMNS(...)") the columns made here would show.
    listing = re.match(r"\s*SELECT (?!\*|COLUMNS)", head)
    if pieces is None or listing is None or _MATCHED in names:
        return sql, after
    matches = f"regexp_matches({source}, {pattern})"
    matched = f'"_parse"."{_MATCHED}"'
    made = _cut(source, pattern, names, pieces, tail["table"])
    head, rest = head.replace(matches, matched), rest.replace(matches, matched)
    done = f"{sql[:begin]}{head}{made}"
    return f"{done} AS _p{rest}{sql[close:]}", len(done)


def _cut(source: str, pattern: str, names: list[str], pieces: _Pattern, table: str) -> str:
    """The subquery that gives `_parse`: a struct of the captured texts and whether it matched."""
    literals, gaps = pieces.literals, pieces.gaps
    suffix = literals[-1] if gaps[-1] is None else None
    inner = literals[:-1] if suffix is not None else literals
    first, rest = _REST.format(0), _REST
    query = f'(SELECT *, {source} AS "{first}" FROM {table})'  # noqa: S608 - all of it is SQL
    made, conditions, values = [first], [], []
    for number, literal in enumerate(inner):
        before = f'"{rest.format(number)}"'
        if gaps[number]:
            values.append(f"split_part({before}, {_quoted(literal)}, 1)")
        there = f"contains({before}, {_quoted(literal)})"
        if number == len(inner) - 1 and suffix is None and not gaps[-1]:
            conditions.append(there)  # what comes after it is not asked for
            break
        place = f"strpos({before}, {_quoted(literal)}) + {len(literal)}"
        made += [rest.format(number + 1), _FOUND.format(number)]
        columns = f'substr({before}, {place}) AS "{made[-2]}", {there} AS "{made[-1]}"'
        query = f"(SELECT *, {columns} FROM {query})"  # noqa: S608
        conditions.append(f'"{made[-1]}"')
    last = f'"{rest.format(len(inner))}"'
    if suffix is not None:
        conditions.append(f"ends_with({last}, {_quoted(suffix)})")
        if gaps[len(inner)]:
            values.append(f"left({last}, -{len(suffix)})")
    elif gaps[-1]:
        values.append(last)
    whole = f'"{first}"'
    by_expression = [f"regexp_extract({whole}, {pattern}, {n})" for n in range(1, len(names) + 1)]
    blank = ["''"] * len(names)
    temporary = ", ".join(f'"{name}"' for name in made)
    return (
        f"(SELECT * EXCLUDE ({temporary}), "  # noqa: S608
        f"CASE WHEN {whole} IS NULL THEN NULL "
        f"WHEN contains({whole}, chr(10)) THEN "
        f"{_struct(names, by_expression, f'regexp_matches({whole}, {pattern})')} "
        f"WHEN {' AND '.join(conditions)} THEN {_struct(names, values, 'true')} "
        f"ELSE {_struct(names, blank, 'false')} "
        f'END AS "_parse" FROM {query})'
    )


def _struct(names: list[str], values: list[str], matched: str) -> str:
    fields = [f"{_quoted(n)}: {value}" for n, value in zip(names, values, strict=True)]
    return "{" + ", ".join([*fields, f"'{_MATCHED}': {matched}"]) + "}"


def _pattern(expression: str) -> _Pattern | None:
    """The pieces of an expression; None when it is of another kind."""
    read = _Pattern()
    gap: bool | None = None
    literal = ""
    at, ended = 0, False
    while at < len(expression):
        piece = _PIECE.match(expression, at)
        if piece is None:
            return None
        at = piece.end()
        if piece["end"] is not None:
            ended = True
        elif (text := piece["escaped"] or piece["plain"]) is not None:
            literal += text
            if len(literal) == 1:
                read.gaps.append(gap)
                gap = None
        else:
            if literal:
                read.literals.append(literal)
                literal = ""
            if gap is not None:
                return None  # two gaps side by side: how they share is the expression's to say
            gap = piece["skip"] is None
    if literal:
        read.literals.append(literal)
    read.gaps.append(gap)
    return read if ended and read.literals else None


# ------------------------------------------------------------------------- reading SQL


def _tokens(sql: str, at: int) -> Iterator[tuple[int, str]]:
    """Brackets and commas from `at` on, outside of strings and quoted names."""
    while at < len(sql):
        character = sql[at]
        if character in "'\"":
            # A doubled quote ends one string and begins the next, which comes to the same.
            at = sql.find(character, at + 1)
            if at < 0:
                return
        elif character in "()[]{},":
            yield at, character
        at += 1


def _arguments(sql: str, at: int) -> tuple[list[str], int] | None:
    """The arguments of the call whose opening parenthesis is before `at`, and where it ends."""
    depth, begin, found = 0, at, []
    for place, character in _tokens(sql, at):
        if character in "([{":
            depth += 1
        elif character == "," and not depth:
            found.append(sql[begin:place].strip())
            begin = place + 1
        elif character in ")]}":
            if not depth:
                return [*found, sql[begin:place].strip()], place + 1
            depth -= 1
    return None


def _surroundings(sql: str, at: int) -> tuple[int, int]:
    """Begin and end of what is inside the innermost parentheses around `at`."""
    opened: list[int] = []
    begin, level = 0, -1
    for place, character in _tokens(sql, 0):
        if place >= at and level < 0:
            begin, level = (opened[-1] + 1 if opened else 0), len(opened)
        if character == "(":
            opened.append(place)
        elif character == ")":
            if level >= 0 and len(opened) == level:
                return begin, place
            opened.pop()
    return begin, len(sql)


def _text(literal: str) -> str:
    return literal[1:-1].replace("''", "'")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
