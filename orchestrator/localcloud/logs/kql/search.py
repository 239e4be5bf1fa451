"""Conditions on any column, and the operators that look in every table: `search` and `find`.

https://learn.microsoft.com/kusto/query/search-operator and …/find-operator.
"""

from __future__ import annotations

import re

from orchestrator.localcloud.logs.kql.syntax import by_depth
from orchestrator.localcloud.logs.kql.tokens import (
    NotAsDocumented,
    Operator,
    Tokens,
    after,
    listed,
    replaced,
    stand_in,
    string,
    text_of,
    written,
)

_COMPARISONS = frozenset(
    {
        "==", "!=", "<", "<=", ">", ">=", "=~", "!~", "has", "!has", "has_cs", "contains",
        "!contains", "contains_cs", "startswith", "endswith", "hasprefix", "hassuffix", "regex",
        "in", "!in", ":",
    }
)  # fmt: skip
_ANY = "['$any']"


def where(query: str, operator: Operator) -> str | None:
    """`where * has "x"`: in any column."""
    if not _any_column(operator.args):
        return None
    return "| where " + replaced(query, operator.args, lambda index: _star(operator.args, index))


def _any_column(part: Tokens) -> bool:
    return any(_star(part, index) is not None for index in range(len(part)))


def _star(part: Tokens, index: int) -> str | None:
    token = part[index]
    following = part[index + 1].text if index + 1 < len(part) else ""
    before = part[index - 1].text if index else "and"
    if (
        token.text == "*"
        and before in ("and", "or", "(")
        and (following in _COMPARISONS or following.startswith("matches"))
    ):
        return _ANY
    return None


def _term(literal: str, *, case: bool) -> str:
    """The condition that a text of `search` stands for, `*` in it a wildcard."""
    text, suffix = text_of(literal), "_cs" if case else ""
    inner = text.strip("*")
    quoted = string(inner)
    if not inner:
        return "true"
    if "*" in inner:
        pattern = r".*".join(re.escape(piece) for piece in text.split("*"))
        return f"{_ANY} matches regex {string(('' if case else '(?i)') + pattern)}"
    if text.startswith("*") and text.endswith("*"):
        return f"{_ANY} contains{suffix} {quoted}"
    if text.startswith("*"):
        return f"{_ANY} hassuffix{suffix} {quoted}"
    if text.endswith("*"):
        return f"{_ANY} hasprefix{suffix} {quoted}"
    return f"{_ANY} has{suffix} {quoted}"


def _condition(query: str, args: Tokens, *, case: bool) -> str:
    """A predicate in which a text alone, and `*`, stand for any column."""

    def rewritten(index: int) -> str | None:
        token, before = args[index], args[index - 1].text if index else "("
        following = args[index + 1].text if index + 1 < len(args) else ""
        if token.text == ":":
            return " has "
        if token.text == "*":
            if following in _COMPARISONS or following.startswith("matches"):
                return _ANY
            return "true" if before in ("(", "and", "or", "not") else None
        if token.kind == "STRINGLITERAL" and before in ("(", "and", "or", "not"):
            calls = before == "(" and index > 1 and args[index - 2].kind == "IDENTIFIER"
            if calls and args[index - 2].text != "not":
                return None  # an argument
            term = _term(token.text, case=case)
            return f"({term})" if before == "not" else term
        return None

    return replaced(query, args, rewritten)


def search(query: str, operator: Operator) -> str:
    """`search in (T) "x"` as a union that is filtered, its `$table` told."""
    args, tables, case = list(operator.args), "*", False
    while args and args[0].text in ("kind", "in"):
        if args[0].text == "kind":
            case = args[2].text == "case_sensitive"
            args = args[3:]
        else:
            close = next(i for i, depth, token in by_depth(args) if token.text == ")" and not depth)
            tables = written(query, args[2:close])
            args = args[close + 1 :]
    if not args:
        raise NotAsDocumented

    condition = f"where {_condition(query, args, case=case)}"
    if not operator.source:
        return f"| {condition}"
    return (
        f"union withsource=__local_table {tables} "
        f"| project-rename ['$table'] = __local_table | {condition} "
    )


def find(query: str, operator: Operator) -> str:
    """`find in (T) where x == 1 project a, b` as a union that is filtered; `source_` is told.

    Without `project`, the columns of the predicate are shown, and a bag of the others.
    """
    args, tables, source = list(operator.args), "*", "source_"
    while args and args[0].text in ("withsource", "in", "where"):
        if args[0].text == "withsource":
            source, args = args[2].text, args[3:]
        elif args[0].text == "in":
            close = next(i for i, depth, token in by_depth(args) if token.text == ")" and not depth)
            tables, args = written(query, args[2:close]), args[close + 1 :]
        else:
            args = args[1:]
    predicate, shown = after(args, "project")
    if not shown:
        predicate, _ = after(args, "project-smart")
    if not predicate:
        raise NotAsDocumented
    names, packed = [], "rest" if not shown else ""
    for one in listed(shown):
        if one[0].text in ("pack", "pack_all"):
            packed = "all"
        else:
            names.append(one[0].text)
    if not shown:
        names = [token.text for token in predicate if token.kind == "IDENTIFIER"]
    return (
        f"union withsource={source} {tables} | where {_condition(query, predicate, case=False)} "
        + stand_in("find", source, packed, *names)
    )
