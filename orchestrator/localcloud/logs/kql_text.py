"""Operators of KQL that duckdb-kql does not run, written with those that it does.

Works on the tokens of the text, before the parser. What needs to know the columns at hand becomes
a call of a function named `__local_…`, which `kql_nodes.py` replaces once they are known. The
innermost operator is rewritten first. What is not written as documented is left alone, so that it
is refused in its own words. Rules: https://learn.microsoft.com/kusto/query/ and the operator's
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.localcloud.logs import kql_calls
from orchestrator.localcloud.logs.syntax import Token, by_depth, tokens

Tokens = Sequence[Token]

MAX_REWRITES = 200


class NotAsDocumented(Exception):  # noqa: N818
    """The operator is not written as its page says."""


@dataclass(frozen=True)
class Operator:
    """One operator of a pipeline, or a source: its word and the tokens behind it.

    Attributes:
        start, end: Offsets in the text, the bar included.
        source: Whether the pipeline begins with it.
    """

    word: str
    args: Tokens
    start: int
    end: int
    source: bool


def plain(query: str) -> str:
    """The query in operators that duckdb-kql knows; the same text where it is so already."""
    query = kql_calls.without_settings(query)
    query = kql_calls.inlined(query)
    query = kql_calls.quoted_keywords(query)
    query = kql_calls.rewritten(query)
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
        elif last.word == "as":
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
        source = token.text == "search" and before in (";", "(", "=")
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


def written(query: str, part: Tokens) -> str:
    """The text of some tokens in a row."""
    return query[part[0].start : part[-1].end] if part else ""


def listed(part: Tokens, separator: str = ",") -> list[Tokens]:
    """The parts of a list between separators, outside brackets."""
    parts: list[list[Token]] = [[]]
    for _, depth, token in by_depth(part):
        if token.text == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _after(part: Tokens, word: str) -> tuple[Tokens, Tokens]:
    """What stands before and behind a word outside brackets; nothing behind if it is not there."""
    for index, depth, token in by_depth(part):
        if token.text == word and depth == 0:
            return part[:index], part[index + 1 :]
    return part, ()


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"t": "\t", "n": "\n", "r": "\r", "0": "\0"}


def text_of(literal: str) -> str:
    """The text that a string literal stands for."""
    if literal[:1] in "hH":
        literal = literal[1:]
    if literal[:1] == "@":
        quote = literal[1]
        return literal[2:-1].replace(quote * 2, quote)
    return _ESCAPE.sub(lambda found: _MEANT.get(found[1], found[1]), literal[1:-1])


def _stand_in(name: str, *arguments: str) -> str:
    return f"| extend ['$op'] = __local_{name}({', '.join(map(_string, arguments))})"


# --------------------------------------------------------------------------- rows and columns


def _serialize(query: str, operator: Operator) -> str:
    added = f" | extend {written(query, operator.args)}" if operator.args else ""
    return _stand_in("serialize") + added


def _sample(query: str, operator: Operator) -> str:
    count = written(query, operator.args)
    return f"| extend ['$r'] = rand() | top {count} by ['$r'] | project-away ['$r']"


def _sample_distinct(query: str, operator: Operator) -> str:
    count, column = _after(operator.args, "of")
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
    return _stand_in("keep", *_patterns(query, operator.args))


def _away(query: str, operator: Operator) -> str | None:
    if not any(token.text == "*" for token in operator.args):
        return None
    return _stand_in("away", *_patterns(query, operator.args))


def _reorder(query: str, operator: Operator) -> str:
    return _stand_in("reorder", *_patterns(query, operator.args))


def _distinct(_query: str, operator: Operator) -> str | None:
    return _stand_in("distinct") if [t.text for t in operator.args] == ["*"] else None


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
        f"{query[:start]} let {name} = materialize({query[start : operator.start].strip()}); "
        f"{name} {rest}"
    )


# ------------------------------------------------------------------------------------- search

_COMPARISONS = frozenset(
    {
        "==", "!=", "<", "<=", ">", ">=", "=~", "!~", "has", "!has", "has_cs", "contains",
        "!contains", "contains_cs", "startswith", "endswith", "hasprefix", "hassuffix", "regex",
        "in", "!in", ":",
    }
)  # fmt: skip
_ANY = "['$any']"


def _where(query: str, operator: Operator) -> str | None:
    """`where * has "x"`: in any column."""
    if not _any_column(operator.args):
        return None
    return "| where " + _replaced(query, operator.args, lambda index: _star(operator.args, index))


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


def _replaced(query: str, part: Tokens, of: Callable[[int], str | None]) -> str:
    """The text of tokens with some of them written otherwise."""
    text, at = "", part[0].start
    for index, token in enumerate(part):
        new = of(index)
        if new is not None:
            text += query[at : token.start] + new
            at = token.end
    return text + query[at : part[-1].end]


def _term(literal: str, *, case: bool) -> str:
    """The condition that a text of `search` stands for, `*` in it a wildcard."""
    text, suffix = text_of(literal), "_cs" if case else ""
    inner = text.strip("*")
    quoted = _string(inner)
    if not inner:
        return "true"
    if "*" in inner:
        pattern = r".*".join(re.escape(piece) for piece in text.split("*"))
        return f"{_ANY} matches regex {_string(('' if case else '(?i)') + pattern)}"
    if text.startswith("*") and text.endswith("*"):
        return f"{_ANY} contains{suffix} {quoted}"
    if text.startswith("*"):
        return f"{_ANY} hassuffix{suffix} {quoted}"
    if text.endswith("*"):
        return f"{_ANY} hasprefix{suffix} {quoted}"
    return f"{_ANY} has{suffix} {quoted}"


def _search(query: str, operator: Operator) -> str:
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

    def rewritten(index: int) -> str | None:
        token, before = args[index], args[index - 1].text if index else "("
        following = args[index + 1].text if index + 1 < len(args) else ""
        if token.text == ":":
            return " has "
        if token.text == "*":
            return (
                _ANY if (following in _COMPARISONS or following.startswith("matches")) else "true"
            )
        if token.kind == "STRINGLITERAL" and before in ("(", "and", "or", "not"):
            calls = before == "(" and index > 1 and args[index - 2].kind == "IDENTIFIER"
            if calls and args[index - 2].text != "not":
                return None  # an argument
            term = _term(token.text, case=case)
            return f"({term})" if before == "not" else term
        return None

    condition = f"where {_replaced(query, args, rewritten)}"
    if not operator.source:
        return f"| {condition}"
    return (
        f"union withsource=__local_table {tables} "
        f"| project-rename ['$table'] = __local_table | {condition} "
    )


# ----------------------------------------------------------------------------------- parse-kv


def _parse_kv(query: str, operator: Operator) -> str:
    args = operator.args
    at = next(i for i, depth, token in by_depth(args) if token.text == "as" and not depth)
    subject = written(query, args[:at])
    keys = _bracketed(args, at + 1)
    options = {"pair_delimiter": " ", "kv_delimiter": "=", "quote": '"'}
    rest = args[at + 1 + len(keys) + 2 :]
    if rest:
        if rest[0].text != "with":
            raise NotAsDocumented
        for option in listed(_bracketed(rest, 1)):
            if option[0].text not in options or len(option) != 3:
                raise NotAsDocumented
            options[option[0].text] = text_of(option[2].text)
    pair, between, quote = (re.escape(value) for value in options.values())
    columns = []
    for key in listed(keys):
        name, kind = key[0].text, key[2].text if len(key) > 2 else "string"
        bare = re.sub(r"\[['\"](.+?)['\"]\]", r"\1", name)
        start = f"(?:^|{pair})\\s*{re.escape(bare)}\\s*{between}\\s*"
        quoted, open_ = f"{start}{quote}([^{quote}]*){quote}", f"{start}(.*?)(?:{pair}|$)"
        value = (
            f"iff({subject} matches regex {_string(quoted)}, "
            f"extract({_string(quoted)}, 1, {subject}), extract({_string(open_)}, 1, {subject}))"
        )
        columns.append(f"{name} = {value if kind == 'string' else f'to{kind}({value})'}")
    return "| extend " + ", ".join(columns)


def _bracketed(part: Tokens, at: int) -> Tokens:
    """What stands in the brackets that open at an index."""
    if part[at].text != "(":
        raise NotAsDocumented
    depth = 0
    for index in range(at, len(part)):
        depth += (part[index].text == "(") - (part[index].text == ")")
        if not depth:
            return part[at + 1 : index]
    raise NotAsDocumented


# --------------------------------------------------------------------------------- make-series


def _name_of(query: str, aggregate: Tokens) -> tuple[str, str]:
    """The name and the text of `n = count()` or of `avg(x)`, named as Kusto names it."""
    if len(aggregate) > 1 and aggregate[1].text == "=":
        return written(query, aggregate[:1]), written(query, aggregate[2:])
    arguments = _bracketed(aggregate, 1)
    column = arguments[0].text if len(arguments) == 1 else ""
    return f"{aggregate[0].text}_{column}", written(query, aggregate)


_NUMBERS = frozenset({"LONGLITERAL", "INTLITERAL", "REALLITERAL", "DECIMALLITERAL"})


def _make_series(query: str, operator: Operator) -> str:
    asked, rest = _after(operator.args, "on")
    filled = bool(asked) and asked[0].text == "kind"  # kind=nonempty: a row in any case
    asked = asked[3:] if filled else asked
    rest, by = _after(rest, "by")
    before, step = _after(rest, "step")
    if step:
        before, to = _after(before, "to")
        axis, start = _after(before, "from")
        ends = "<"
    else:
        axis, bounds = _after(rest, "in")
        start, to, step = listed(_bracketed(bounds, 1))
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
        aggregate, default = _after(one, "default")
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
    """`summarize Bucket = "x"`: a constant beside the aggregates."""
    asked, _ = _after(operator.args, "by")
    constants = {
        one[2].start: one[2]
        for one in listed(asked)
        if len(one) == 3 and one[1].text == "=" and one[2].kind.endswith("LITERAL")
    }
    if not constants:
        return None
    args = operator.args
    new = {i: f"take_any({t.text})" for i, t in enumerate(args) if t.start in constants}
    return f"| summarize {_replaced(query, args, new.get)}"


_REWRITERS: dict[str, Callable[[str, Operator], str | None]] = {
    "as": _as,
    "serialize": _serialize,
    "sample": _sample,
    "sample-distinct": _sample_distinct,
    "project-keep": _keep,
    "project-away": _away,
    "project-reorder": _reorder,
    "distinct": _distinct,
    "where": _where,
    "filter": _where,
    "search": _search,
    "summarize": _summarize,
    "parse-kv": _parse_kv,
    "make-series": _make_series,
}
_TRIGGERS = frozenset(_REWRITERS)
