"""Operators of KQL that duckdb-kql does not run, written with those that it does.

Works on the tokens of the text, before the parser. What needs to know the columns at hand becomes
a call of a function named `__local_…`, which `nodes.py` replaces once they are known. The
innermost operator is rewritten first. What is not written as documented is left alone, so that it
is refused in its own words. Rules: https://learn.microsoft.com/kusto/query/ and the operator's
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.localcloud.logs.kql import calls
from orchestrator.localcloud.logs.kql.groups import APPLY, GIVEN, KEY, PARTITION
from orchestrator.localcloud.logs.kql.literals import plain_literals
from orchestrator.localcloud.logs.kql.nested import top_hitters, top_nested
from orchestrator.localcloud.logs.kql.pairs import parse_kv
from orchestrator.localcloud.logs.kql.search import find, search, where
from orchestrator.localcloud.logs.kql.syntax import by_depth, tokens
from orchestrator.localcloud.logs.kql.tokens import (
    NotAsDocumented,
    Operator,
    Tokens,
    after,
    bracketed,
    listed,
    stand_in,
    written,
)
from orchestrator.localcloud.logs.kql.tuples import several

MAX_REWRITES = 200


def plain(query: str) -> str:
    """The query in operators that duckdb-kql knows; the same text where it is so already."""
    query = plain_literals(query)
    query = calls.without_settings(query)
    query = calls.renamed(query)
    query = calls.in_order(query)
    query = calls.named_views(query)
    query = calls.inlined(query)
    query = calls.unwrapped(query)
    query = calls.quoted_keywords(query)
    query = calls.rewritten(query)
    refused: set[tuple[str, str]] = set()
    for _ in range(MAX_REWRITES):
        found = [
            operator
            for operator in _operators(query)
            if operator.word in _REWRITERS and (operator.word, _of(query, operator)) not in refused
        ]
        if not found:
            break
        last = max(found, key=lambda operator: operator.start)
        try:
            text = _REWRITERS[last.word](query, last)
        except (NotAsDocumented, IndexError, StopIteration, ValueError):
            text = None
        if text is None:
            refused.add((last.word, _of(query, last)))
        elif last.word in _WHOLE:
            query = text
        else:
            query = f"{query[: last.start]}{text}{query[last.end :]}"
    return query


def _of(query: str, operator: Operator) -> str:
    return query[operator.start : operator.end]


def _operators(query: str) -> list[Operator]:
    found = tokens(query)
    if not any(token.text in _TRIGGERS for token in found):
        return []
    depths = [depth for _, depth, _ in by_depth(found)]
    operators = []
    for index, token in enumerate(found):
        before = found[index - 1].text if index else ";"
        source = token.text in _BEGIN and before in (";", "(", "=")
        if not (source or (before == "|" and token.text in _TRIGGERS)):
            continue
        depth = depths[index]
        end = index + 1
        while end < len(found):
            ends = (found[end].text in ("|", ";") and depths[end] == depth) or depths[end] < depth
            if ends:
                break
            end += 1
        first = token if source else found[index - 1]
        stop = found[end - 1].end
        operators.append(Operator(token.text, found[index + 1 : end], first.start, stop, source))
    return operators


# --------------------------------------------------------------------------- rows and columns


def _serialize(query: str, operator: Operator) -> str:
    added = f" | extend {written(query, operator.args)}" if operator.args else ""
    return stand_in("serialize") + added


def _sample(query: str, operator: Operator) -> str:
    count = written(query, operator.args)
    return f"| extend ['$r'] = rand() | top {count} by ['$r'] | project-away ['$r']"


def _sample_distinct(query: str, operator: Operator) -> str:
    count, column = after(operator.args, "of")
    if not column:
        raise NotAsDocumented
    return f"| distinct {written(query, column)} | take {written(query, count)}"


def _patterns(query: str, part: Tokens) -> list[str]:
    """Names and patterns (`Time*`) of a list of columns, with what is said behind them."""
    return [
        re.sub(r"\[['\"](.+?)['\"]\]", r"\1", written(query, one)).replace(" *", "*")
        for one in listed(part)
    ]


def _keep(query: str, operator: Operator) -> str:
    return stand_in("keep", *_patterns(query, operator.args))


def _away(query: str, operator: Operator) -> str | None:
    if not any(token.text == "*" for token in operator.args):
        return None
    return stand_in("away", *_patterns(query, operator.args))


def _reorder(query: str, operator: Operator) -> str:
    return stand_in("reorder", *_patterns(query, operator.args))


def _distinct(_query: str, operator: Operator) -> str | None:
    return stand_in("distinct") if [t.text for t in operator.args] == ["*"] else None


def _as(query: str, operator: Operator) -> str | None:
    """The query with `T | as X | …` as `let X = T; X | …`, or without it if X is not used."""
    name = operator.args[-1].text
    rest = query[operator.end :]
    if not any(token.text == name for token in tokens(rest)):
        return query[: operator.start] + rest
    before = [token for token in tokens(query) if token.start < operator.start]
    if sum((token.text in "([{") - (token.text in ")]}") for token in before):
        return None  # inside brackets a name could not be told from one outside
    start = max((token.end for token in before if token.text == ";"), default=0)
    return (
        f"{query[:start]} let {name} = materialize({query[start : operator.start].strip()}\n); "
        f"{name} {rest}"
    )


# --------------------------------------------------------------------------------- make-series


def _name_of(query: str, aggregate: Tokens) -> tuple[str, str]:
    """The name and the text of `n = count()` or of `avg(x)`, named as Kusto names it."""
    if len(aggregate) > 1 and aggregate[1].text == "=":
        return written(query, aggregate[:1]), written(query, aggregate[2:])
    arguments = bracketed(aggregate, 1)
    column = arguments[0].text if len(arguments) == 1 else ""
    return f"{aggregate[0].text}_{column}", written(query, aggregate)


_NUMBERS = frozenset({"LONGLITERAL", "INTLITERAL", "REALLITERAL", "DECIMALLITERAL"})


def _make_series(query: str, operator: Operator) -> str:
    asked, rest = after(operator.args, "on")
    filled = bool(asked) and asked[0].text == "kind"  # kind=nonempty: a row in any case
    asked = asked[3:] if filled else asked
    rest, by = after(rest, "by")
    before, step = after(rest, "step")
    if step:
        before, to = after(before, "to")
        axis, start = after(before, "from")
        ends = "<"
    else:
        axis, bounds = after(rest, "in")
        start, to, step = listed(bracketed(bounds, 1))
        ends = "<="
    name = written(query, axis)
    width = written(query, step)
    low, high = (f"({written(query, part)})" if part else "" for part in (start, to))
    conditions = [f"{name} >= {low}"] * bool(low) + [f"{name} {ends} {high}"] * bool(high)
    names, groups = [], []
    for index, group in enumerate(listed(by)):
        named = len(group) == 1 or group[1].text == "="
        names.append(group[0].text if named else f"['Column{index + 1}']")
        text = written(query, group)
        groups.append(text if named else f"{names[-1]} = {text}")
    values = []
    for one in listed(asked):
        aggregate, default = after(one, "default")
        column, text = _name_of(query, aggregate)
        values.append((column, text, written(query, default[1:]) if default else "0"))
    bin_ = f"bin({name}, {width})"
    if low and all(token.kind in _NUMBERS for token in step):
        bin_ = f"{low} + bin({name} - {low}, {width})"
    elif low:
        bin_ = f"bin_at({name}, {width}, {low})"
    moment = f"['$t'] = {bin_}"
    inner = [f"['$v{i}'] = {text}" for i, (_, text, _) in enumerate(values)]
    points = [f"['$p{i}'] = __local_points(['$t'], ['$v{i}'])" for i in range(len(values))]
    first, last = low or "__local_first(['$p0'])", high or "__local_last(['$p0'])"
    span = f"{first}, {last}, {width}, {'true' if high and ends == '<' else 'false'}"
    made = [
        *names,
        *(
            f"{column} = __local_series(['$p{i}'], {span}, {default})"
            for i, (column, _, default) in enumerate(values)
        ),
        f"{name} = __local_axis({span})",
    ]
    filtered = f"| where {' and '.join(conditions)} " if conditions else ""
    by_group = f" by {', '.join(names)}" if names else ""
    if not names and not filled:
        by_group = " | where isnotnull(['$p0'])"
    return (
        f"{filtered}| summarize {', '.join(inner)} by {', '.join([*groups, moment])} "
        f"| summarize {', '.join(points)}{by_group} | project {', '.join(made)}"
    )


def _summarize(query: str, operator: Operator) -> str | None:
    """`summarize Bucket = "x"`: a constant beside the aggregates.

    And `summarize (t, v) = arg_max(t, a + b)`, whose columns are made before and named behind.
    """
    asked, by = after(operator.args, "by")
    made: list[str] = []
    names: list[str] = []
    aggregates = []
    for one in listed(asked):
        text = written(query, one)
        if len(one) == 3 and one[1].text == "=" and one[2].kind.endswith("LITERAL"):
            text = f"{one[0].text} = take_any({one[2].text})"
        elif one[0].text == "(" and (call := _arg_max(one)):
            columns = []
            for part in listed(bracketed(call, 1)):
                columns.append(written(query, part))
                if len(part) > 1 and len(columns) > 1:
                    columns[-1] = f"['$arg{operator.start + len(made)}']"
                    made.append(f"{columns[-1]} = {written(query, part)}")
            given = [written(query, name) for name in listed(bracketed(one, 0))]
            text = f"{given[0]} = {call[0].text}({', '.join(columns)})"
            names += [
                f"{name} = {column}" for name, column in zip(given[1:], columns[1:], strict=False)
            ]
        aggregates.append(text)
    text = f"{', '.join(aggregates)} by {written(query, by)}" if by else ", ".join(aggregates)
    if text.split() == written(query, operator.args).split():
        return None
    before = f"| extend {', '.join(made)} " if made else ""
    return f"{before}| summarize {text}" + (
        f" | project-rename {', '.join(names)}" if names else ""
    )


def _arg_max(aggregate: Tokens) -> Tokens:
    """The call in `(t, v) = arg_max(t, …)`; nothing if it is another, or of `*`."""
    call = aggregate[len(bracketed(aggregate, 0)) + 3 :]
    if not call or call[0].text not in ("arg_max", "arg_min"):
        return ()
    return () if any(part[0].text == "*" for part in listed(bracketed(call, 1))) else call


def _parse(query: str, operator: Operator) -> str | None:
    """`parse x with Name " is " *`: a column first, which begins where the text does."""
    subject, pattern = after(operator.args, "with")
    if not pattern or pattern[0].kind == "STRINGLITERAL" or pattern[0].text == "*":
        return None
    options = 0
    while options + 3 < len(subject) and subject[options + 1].text == "=":
        options += 3
    said = written(query, subject[:options])
    return (
        f"| {operator.word} {said} strcat('\x01', {written(query, subject[options:])}) "
        f"with '\x01' {written(query, pattern)}"
    )


def _mv_expand(query: str, operator: Operator) -> str | None:
    """`mv-expand todynamic(x)` spreads the column `x`, and keeps its name."""
    made, named = [], False
    for one in listed(operator.args):
        text = written(query, one)
        if [token.text for token in one[1:2]] == ["("] and one[0].text in _DYNAMIC:
            inside = bracketed(one, 1)
            if len(inside) == 1:
                text, named = f"{inside[0].text} = {text}", True
        made.append(text)
    return f"| {operator.word} {', '.join(made)}" if named else None


_DYNAMIC = frozenset({"todynamic", "parse_json"})


def _mv_apply(query: str, operator: Operator) -> str:
    spread, pipeline = after(operator.args, "on")
    inside = written(query, bracketed(pipeline, 0))
    return (
        f"| union withsource={APPLY} (['{GIVEN}'] | mv-expand {written(query, spread)} | {inside})"
    )


def _partition(query: str, operator: Operator) -> str:
    _, rest = after(operator.args, "by")
    # The pipeline is in the last brackets; what it is divided by may have some of its own.
    at = max(i for i, depth, token in by_depth(rest) if token.text == "(" and depth == 0)
    if not at or rest[-1].text != ")":
        raise NotAsDocumented
    key, inside = written(query, rest[:at]), written(query, bracketed(rest, at))
    return f"| union withsource={PARTITION} (['{GIVEN}'] | extend ['{KEY}'] = {key} | {inside})"


_REWRITERS: dict[str, Callable[[str, Operator], str | None]] = {
    "as": _as,
    "serialize": _serialize,
    "sample": _sample,
    "sample-distinct": _sample_distinct,
    "project-keep": _keep,
    "project-away": _away,
    "project-reorder": _reorder,
    "distinct": _distinct,
    "where": where,
    "filter": where,
    "search": search,
    "summarize": _summarize,
    "parse": _parse,
    "parse-where": _parse,
    "parse-kv": parse_kv,
    "find": find,
    "top-hitters": top_hitters,
    "top-nested": top_nested,
    "extend": several,
    "print": several,
    "project": several,
    "make-series": _make_series,
    "mv-apply": _mv_apply,
    "mv-expand": _mv_expand,
    "mvexpand": _mv_expand,
    "partition": _partition,
}
_TRIGGERS = frozenset(_REWRITERS)
# Those that a pipeline may begin with; those that are given the whole query and give another.
_BEGIN = frozenset({"search", "find", "print"})
_WHOLE = frozenset({"as", "top-nested"})
