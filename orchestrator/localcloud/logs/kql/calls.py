"""Calls, names and statements of KQL that duckdb-kql does not read, written as it reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.localcloud.logs.kql.syntax import Token, by_depth, tokens

# `set` statements that change nothing here: what they lift or hint at is not there.
_IDLE_SETTINGS = frozenset(
    {"notruncation", "norequesttimeout", "servertimeout", "best_effort", "query_datascope"}
)
# Words with which a table begins.
_SOURCES = frozenset({"union", "search", "datatable", "range", "print"})
MAX_INLINED = 20_000
"""Characters by which calls of functions may grow a query: a thousand take a tenth of a second."""

# What a name stands behind that is being given.
_NAMING = frozenset({"extend", "project", "summarize", "by", "print", ",", "let"})
_WORD = re.compile(r"[A-Za-z_]\w*\Z")
_TYPE = re.compile(r"typeof\s*\(\s*(\w+)\s*\)")
_TO = {
    "long": "tolong", "int": "toint", "real": "toreal", "double": "todouble", "bool": "tobool",
    "datetime": "todatetime", "timespan": "totimespan", "guid": "toguid", "string": "tostring",
    "decimal": "todecimal", "dynamic": "todynamic", "time": "totimespan", "date": "todatetime",
}  # fmt: skip
# Names of log columns and keys that are words of the language, too.
_COMMON = frozenset({"kind"})
# … that a query may make names of columns: those that are syntax in few places, all known here.
_NAMES = _COMMON | {
    "access", "cluster", "database", "delta", "edges", "hot", "list", "map", "nodes", "output",
    "pattern", "plugin", "series", "table", "threshold", "title", "view",
}  # fmt: skip
# What a word of the language that is a word of the language there stands behind.
_OWNERS = frozenset(
    {
        "join", "lookup", "union", "parse", "parse-where", "mv-expand", "mvexpand", "search",
        "reduce", "make-series", "render", "find", "project-smart", "with", "datatable",
    }
)  # fmt: skip


def without_settings(query: str) -> str:
    """The query with those `set …;` blanked that mean nothing here."""
    found = tokens(query)
    at_start = True
    for index, token in enumerate(found):
        if at_start and token.text == "set" and found[index + 1 : index + 2]:
            end = next((t for t in found[index:] if t.text == ";"), None)
            if end is not None and found[index + 1].text in _IDLE_SETTINGS:
                blank = re.sub(r"[^\n]", " ", query[token.start : end.end])
                return without_settings(query[: token.start] + blank + query[end.end :])
        at_start = token.text == ";"
    return query


# ---------------------------------------------------------------------------------- functions


def unwrapped(query: str) -> str:
    """The query with `(T | where …) | …` as `T | where … | …`: blanks for the brackets."""
    found = tokens(query)
    for index, token in enumerate(found):
        before = found[index - 1].text if index else ";"
        if token.text != "(" or before not in (";", "(", "="):
            continue
        close = _closing(found, index)
        inside = found[index + 1 : close] if close else ()
        after = found[close + 1].text if close and close + 1 < len(found) else ";"
        if not close or not inside or after not in (";", "|", ")"):
            continue
        tabular = inside[0].text in _SOURCES or any(
            one.text == "|" and not depth for _, depth, one in by_depth(inside)
        )
        if tabular or (before == ";" and after == "|"):
            end = found[close].start
            query = f"{query[: token.start]} {query[token.end : end]} {query[end + 1 :]}"
            return unwrapped(query)
    return query


def views(query: str) -> frozenset[str]:
    """Names of the `let`s that are views: `let V = view () { … }`."""
    found = tokens(query)
    return frozenset(
        found[index + 1].text
        for index, token in enumerate(found[:-3])
        if token.text == "let" and (found[index + 2].text, found[index + 3].text) == ("=", "view")
    )


def named_views(query: str) -> str:
    """The query with `let V = view () { a pipeline };` as `let V = a pipeline;`: a name that
    patterns of names may mean, and that `withsource` tells."""
    for start, end, name, parameters, body in _functions(query):
        if name not in views(query[start:end]) or parameters:
            continue
        rest = query[end:]
        found = tokens(rest)
        for index in reversed(range(len(found) - 2)):
            if [t.text for t in found[index : index + 3]] == [name, "(", ")"]:
                rest = rest[: found[index + 1].start] + rest[found[index + 2].end :]
        return named_views(f"{query[:start]}let {name} = {body}\n;{rest}")
    return query


def inlined(query: str) -> str:
    """The query with every `let f = (…) { a pipeline }` in place of its calls."""
    limit = len(query) + MAX_INLINED
    for _ in range(50):
        function = next(_functions(query), None)
        if function is None:
            return query
        start, end, name, parameters, body = function
        rest = _calls(query[end:], name, parameters, body, limit)
        if rest is None or len(rest) > limit:
            return query
        query = query[:start] + " " * (end - start) + rest
    return query


def in_order(query: str) -> str:
    """The query with named arguments (`f(c=7, a=12)`) in the places of their parameters."""
    found = tokens(query)
    for index, token in enumerate(found):
        begins = token.text == "let" and (index == 0 or found[index - 1].text == ";")
        if not begins or [t.text for t in found[index + 2 : index + 4]] != ["=", "("]:
            continue
        close = _closing(found, index + 3)
        read = None if close is None else _parameters(query, found[index + 4 : close])
        if close is not None and read is not None and found[close + 1 : close + 2]:
            start = found[close + 1].start
            query = query[:start] + _placed_calls(query[start:], found[index + 1].text, read[0])
            return query[:start] + in_order(query[start:])
    return query


def _placed_calls(text: str, name: str, parameters: list[tuple[str, str | None]]) -> str:
    names = [parameter for parameter, _ in parameters]
    found = tokens(text)
    for index in reversed(range(len(found) - 1)):
        if found[index].text != name or found[index + 1].text != "(":
            continue
        close = _closing(found, index + 1)
        given = [] if close is None else _listed(found[index + 2 : close])
        if close is None or not any(_name_of(one) in names for one in given):
            continue
        values: dict[str, str] = {p: default for p, default in parameters if default is not None}
        for place, one in enumerate(given):
            named = _name_of(one)
            key = named if named in names else names[place] if place < len(names) else ""
            value = one[2:] if named in names else one
            values[key] = text[value[0].start : value[-1].end]
        if set(names) <= values.keys():
            inside = ", ".join(values[one] for one in names)
            text = f"{text[: found[index + 1].start]}({inside}){text[found[close].end :]}"
            found = tokens(text)
    return text


def _name_of(argument: Sequence[Token]) -> str | None:
    return argument[0].text if len(argument) > 2 and argument[1].text == "=" else None


_Function = tuple[int, int, str, list[tuple[str, str | None]], str]


def _functions(query: str) -> Iterator[_Function]:
    """Each `let` of a function with a table for its body: its place, name, parameters, body."""
    found = tokens(query)
    for index, token in enumerate(found):
        begins = token.text == "let" and (index == 0 or found[index - 1].text == ";")
        if not begins or len(found) < index + 6 or found[index + 2].text != "=":
            continue
        at = index + 3 + (found[index + 3].text == "view")
        if found[at].text != "(":
            continue
        close = _closing(found, at)
        if close is None or found[close + 1 : close + 2] == () or found[close + 1].text != "{":
            continue
        last = _closing(found, close + 1)
        end = next((t.end for t in found[(last or 0) + 1 :][:1] if t.text == ";"), None)
        if last is None or end is None:
            continue
        inside = found[close + 2 : last]
        if not inside or any(t.text == ";" for t in inside[:-1]):
            continue
        read = _parameters(query, found[at + 1 : close])
        if read is None:
            continue
        parameters, tabular = read
        bars = any(t.text == "|" and depth == 0 for _, depth, t in by_depth(inside))
        if not (bars or tabular or inside[0].text in _SOURCES):
            continue
        inside = inside[: -1 if inside[-1].text == ";" else None]
        body = query[inside[0].start : inside[-1].end]
        name = found[index + 1].text
        if any(token.text == name for token in inside):
            continue  # it would call itself
        yield token.start, end, found[index + 1].text, parameters, body


def _closing(found: Sequence[Token], at: int) -> int | None:
    depth = 0
    for index in range(at, len(found)):
        depth += (found[index].text in "([{") - (found[index].text in ")]}")
        if not depth:
            return index
    return None


def _parameters(
    query: str, part: Sequence[Token]
) -> tuple[list[tuple[str, str | None]], bool] | None:
    """Names of parameters with their defaults, and whether one of them is a table; None where
    they are not written as parameters are."""
    parameters: list[tuple[str, str | None]] = []
    tabular = False
    for one in _listed(part):
        default = next((i for i, token in enumerate(one) if token.text == "="), None)
        tabular |= any(token.text == "(" for token in one)
        value = None
        if default is not None and not one[default + 1 :]:
            return None
        if default is not None:
            value = query[one[default + 1].start : one[-1].end]
        parameters.append((one[0].text, value))
    return parameters, tabular


def _listed(part: Sequence[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for _, depth, token in by_depth(part):
        if token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [one for one in parts if one]


def _calls(
    text: str, name: str, parameters: list[tuple[str, str | None]], body: str, limit: int
) -> str | None:
    """The text with calls of a function replaced by its body; None if one is not as it must be, or
    if it grows beyond `limit` characters."""
    while len(text) <= limit:
        found = tokens(text)
        index = next((i for i in reversed(range(len(found))) if found[i].text == name), None)
        if index is None:
            return text
        end, given = found[index].end, []
        if index + 1 < len(found) and found[index + 1].text == "(":
            close = _closing(found, index + 1)
            if close is None:
                return None
            end = found[close].end
            given = [text[a[0].start : a[-1].end] for a in _listed(found[index + 2 : close])]
        if len(given) > len(parameters):
            return None
        values: dict[str, str] = {}
        for position, (parameter, default) in enumerate(parameters):
            value = given[position] if position < len(given) else default
            if value is None:
                return None
            values[parameter] = value
        inside = _placed(_substituted(body, values), found, index)
        text = f"{text[: found[index].start]}{inside}{text[end:]}"
    return None


def _substituted(body: str, values: dict[str, str]) -> str:
    found = tokens(body)
    for index in reversed(range(len(found))):
        token = found[index]
        if token.kind == "IDENTIFIER" and token.text in values:
            value = _placed(values[token.text], found, index)
            body = body[: token.start] + value + body[token.end :]
    return body


def _placed(value: str, found: Sequence[Token], index: int) -> str:
    """A value in place of a token: in brackets, but where a pipeline begins or it is one word."""
    parts = tokens(value)
    tabular = parts and (
        parts[0].text in _SOURCES or any(t.text == "|" and not d for _, d, t in by_depth(parts))
    )
    begins = (found[index - 1].text if index else ";") in (";", "(", "=")
    return value if len(parts) == 1 or (tabular and begins) else f"({value})"


# -------------------------------------------------------------------------------- words as names


def quoted_keywords(query: str) -> str:
    """The query with words of the language that are names in it written as names.

    `payload.kind` as `payload["kind"]`, `extend kind = 1 | where kind == 1` with `['kind']`.
    """
    found = tokens(query)
    own: set[str] = set()
    places: dict[int, str] = {}
    operator = ""
    for index, token in enumerate(found):
        before = found[index - 1].text if index else ""
        following = found[index + 1].text if index + 1 < len(found) else ""
        if before == "|":
            operator = token.text
        if token.kind in ("IDENTIFIER", "STRINGLITERAL") or not _WORD.match(token.text):
            continue
        if before == "." and following != "(":
            places[index] = "."
        elif following == "=" and before in _NAMING:
            if operator in _OWNERS or token.text not in _NAMES:
                continue
            own.add(token.text)
            places[index] = "name"
    for index, token in enumerate(found):
        following = found[index + 1].text if index + 1 < len(found) else ""
        before = found[index - 1].text if index else ""
        if index in places or token.text not in own | _COMMON or token.kind == "IDENTIFIER":
            continue
        if following in ("=", "(") or before in ("|", "."):
            continue
        places[index] = "name"
    for index in sorted(places, reverse=True):
        token = found[index]
        if places[index] == ".":
            dot = found[index - 1]
            query = f'{query[: dot.start]}["{token.text}"]{query[token.end :]}'
        else:
            query = f"{query[: token.start]}['{token.text}']{query[token.end :]}"
    return query


# ---------------------------------------------------------------------------------------- calls

# Names that functions had before; queries written then still use them.
_OLD_NAMES = {
    "argmax": "arg_max", "argmin": "arg_min", "arraylength": "array_length",
    "array_strcat": "strcat_array", "makelist": "make_list", "makeset": "make_set",
    "make_dictionary": "make_bag", "notempty": "isnotempty", "pack_dictionary": "bag_pack",
    "parsejson": "parse_json", "parseurl": "parse_url", "parseurlquery": "parse_urlquery",
    "parsepath": "parse_path",
}  # fmt: skip


def renamed(query: str) -> str:
    """The query with functions under their present names, and without hints how to run it."""
    found = tokens(query)
    for index in reversed(range(len(found) - 1)):
        token, following = found[index], found[index + 1]
        if following.text == "(" and token.text in _OLD_NAMES:
            query = query[: token.start] + _OLD_NAMES[token.text] + query[token.end :]
        elif token.text.startswith("hint.") and following.text == "=" and index + 2 < len(found):
            blank = re.sub(r"[^\n]", " ", query[token.start : found[index + 2].end])
            query = query[: token.start] + blank + query[found[index + 2].end :]
    return query


def rewritten(query: str) -> str:
    """The query with calls in other words: of `percentiles`, of `extract` with a type …"""
    refused: set[int] = set()
    while True:
        found = tokens(query)
        index = next(
            (
                i
                for i in reversed(range(len(found) - 1))
                if found[i].text in _CALLS and found[i + 1].text == "(" and i not in refused
            ),
            None,
        )
        close = None if index is None else _closing(found, index + 1)
        if index is None or close is None:
            return query
        arguments = _listed(found[index + 2 : close])
        texts = [query[a[0].start : a[-1].end] for a in arguments]
        new = _CALLS[found[index].text](found, index, arguments, texts)
        if new is None:
            refused.add(index)
            continue
        start, text = new
        query = f"{query[:start]}{text}{query[found[close].end :]}"


_Rewritten = tuple[int, str] | None


def _typed(
    found: Sequence[Token], index: int, arguments: list[list[Token]], texts: list[str]
) -> _Rewritten:
    asked = _TYPE.fullmatch(texts[-1]) if arguments else None
    if asked is None or asked[1] not in _TO:
        return None
    return found[index].start, f"{_TO[asked[1]]}({found[index].text}({', '.join(texts[:-1])}))"


def _percentiles(
    found: Sequence[Token], index: int, arguments: list[list[Token]], texts: list[str]
) -> _Rewritten:
    if len(texts) < 2:
        return None
    calls = [f"percentile({texts[0]}, {rank})" for rank in texts[1:]]
    start, names = found[index].start, []
    if index > 1 and found[index - 1].text == "=":
        if found[index - 2].text == ")":
            opened = next((i for i in reversed(range(index)) if found[i].text == "("), None)
            if opened is None:
                return None
            names = [one[0].text for one in _listed(found[opened + 1 : index - 2])]
            start = found[opened].start
        else:
            names, start = [found[index - 2].text], found[index - 2].start
    column = arguments[0][0].text if len(arguments[0]) == 1 else ""
    for at in range(len(names), len(calls)):
        names.append(f"['percentile_{column}_{texts[at + 1]}']")
    return start, ", ".join(f"{name} = {call}" for name, call in zip(names, calls, strict=False))


def _any(
    found: Sequence[Token], index: int, _arguments: list[list[Token]], texts: list[str]
) -> _Rewritten:
    return (found[index].start, "take_any(__local_all())") if texts == ["*"] else None


def _count(
    found: Sequence[Token], index: int, arguments: list[list[Token]], _texts: list[str]
) -> _Rewritten:
    """`count(x)` counts rows, too, whatever `x` is, and is named after it."""
    if not arguments:
        return None
    before = found[index - 1].text if index else ""
    column = arguments[0][0].text if len(arguments[0]) == 1 else ""
    name = f"['count_{column}'] = " if before in ("summarize", ",") else ""
    return found[index].start, f"{name}count()"


_CALLS = {
    "count": _count,
    "extract": _typed,
    "extract_json": _typed,
    "extractjson": _typed,
    "percentiles": _percentiles,
    "take_any": _any,
    "any": _any,
}
