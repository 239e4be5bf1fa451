"""`parse-kv`: keys and their values out of a text, as one expression for each key.

https://learn.microsoft.com/kusto/query/parse-kv-operator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orchestrator.localcloud.logs.kql.syntax import by_depth
from orchestrator.localcloud.logs.kql.tokens import (
    NotAsDocumented,
    Operator,
    Tokens,
    bracketed,
    listed,
    string,
    text_of,
    written,
)

_NAME = re.compile(r"\[['\"](.+?)['\"]\]")


@dataclass
class _Options:
    """What `with (…)` says; without delimiters, any sign but letters and digits is one."""

    pair: str | None = None
    between: str | None = None
    regex: str | None = None
    greedy: bool = False
    quotes: list[str] = field(default_factory=list)
    escapes: list[str] = field(default_factory=list)


def parse_kv(query: str, operator: Operator) -> str:
    """The operator as `extend key = extract(…)`."""
    args = operator.args
    at = next(i for i, depth, token in by_depth(args) if token.text == "as" and not depth)
    subject = written(query, args[:at])
    keys = bracketed(args, at + 1)
    rest = args[at + 1 + len(keys) + 2 :]
    if rest and rest[0].text != "with":
        raise NotAsDocumented
    options = _options(bracketed(rest, 1) if rest else ())
    columns = []
    for key in listed(keys):
        name, kind = key[0].text, key[2].text if len(key) > 2 else "string"
        if key[0].text == "[":
            close = next(i for i, token in enumerate(key) if token.text == "]")
            name = written(query, key[: close + 1])
            kind = key[close + 2].text if len(key) > close + 2 else "string"
        bare = _NAME.sub(r"\1", name)
        value = _value(subject, bare, options)
        columns.append(f"{name} = {value if kind == 'string' else f'to{kind}({value})'}")
    return "| extend " + ", ".join(columns)


def _options(given: Tokens) -> _Options:
    options = _Options()
    for option in listed(given):
        if len(option) != 3 or option[1].text != "=":
            raise NotAsDocumented
        name, value = option[0].text, option[2].text
        if name == "pair_delimiter":
            options.pair = text_of(value)
        elif name == "kv_delimiter":
            options.between = text_of(value)
        elif name == "regex":
            options.regex = text_of(value)
        elif name == "greedy":
            options.greedy = value == "true"
        elif name == "quote":
            options.quotes.append(text_of(value))
        elif name == "escape":
            options.escapes.append(text_of(value))
        else:
            raise NotAsDocumented
    return options


def _value(subject: str, key: str, options: _Options) -> str:
    """The expression for the text behind a key."""
    word = re.escape(key)
    if options.regex is not None:
        return f"trim(@'\\s+', extract({string(_keyed(options.regex, word))}, 1, {subject}))"
    # A key stands in quotes where its text has delimiters in it.
    quoted = [f"{re.escape(q[0])}{word}{re.escape(q[-1])}" for q in options.quotes]
    named = f"(?:{'|'.join([word, *quoted])})"
    if options.between is None or options.pair is None:
        signs = "".join(re.escape(q) for quote in options.quotes for q in quote)
        start = f"(?:^|[^0-9A-Za-z]){named}[^0-9A-Za-z{signs}]+"
        plain = f"{start}([0-9A-Za-z]+)"
    else:
        pair, between = re.escape(options.pair), re.escape(options.between)
        start = f"(?:^|{pair})\\s*{named}\\s*{between}\\s*"
        end = f"{pair}|$"
        if options.greedy:
            end = f"{pair}\\s*[^{_inside(options.pair + options.between)}]+{between}|$"
        plain = f"{start}(.*?)\\s*(?:{end})"
    value = f"extract({string(plain)}, 1, {subject})"
    for quote in options.quotes:
        value = _in_quotes(subject, start, quote, options.escapes, value)
    return value


def _inside(signs: str) -> str:
    return "".join(re.escape(sign) for sign in dict.fromkeys(signs))


def _in_quotes(subject: str, start: str, quote: str, escapes: list[str], otherwise: str) -> str:
    """The text between quotes, if it begins with one, without the signs that escape."""
    first, last = re.escape(quote[0]), re.escape(quote[-1])
    escape = "".join(re.escape(one) for one in escapes)
    text = f"(?:[{escape}].|[^{escape}{last}])*" if escape else f"[^{last}]*"
    pattern = string(f"{start}{first}({text}){last}")
    value = f"extract({pattern}, 1, {subject})"
    if escape:
        value = f"replace_regex({value}, {string(f'[{escape}](.)')}, {string(chr(92) + '1')})"
    return f"iff({subject} matches regex {pattern}, {value}, {otherwise})"


def _keyed(regex: str, word: str) -> str:
    """A pattern of two groups, key and value, as one of the value behind a given key."""
    start = _group(regex, 0)
    depth, at = 0, start
    while at < len(regex):
        if regex[at] == "\\":
            at += 2
            continue
        if regex[at] == "[":
            at = regex.index("]", at + 2)
        depth += (regex[at] == "(") - (regex[at] == ")")
        if not depth:
            return f"{regex[:start]}{word}{regex[at + 1 :]}"
        at += 1
    raise NotAsDocumented


def _group(regex: str, at: int) -> int:
    """Where the first group begins that captures."""
    while at < len(regex):
        if regex[at] == "\\":
            at += 1
        elif regex[at] == "[":
            at = regex.index("]", at + 2)
        elif regex[at] == "(" and regex[at + 1] != "?":
            return at
        at += 1
    raise NotAsDocumented
