"""`evaluate bag_unpack(…)` and `evaluate pivot(…)`: operators whose columns depend on the rows.

What is before them is asked first, for the keys of the bags or the values of the pivot column; then
they are written with operators whose columns are known. Rules:
https://learn.microsoft.com/kusto/query/bag-unpack-plugin and …/pivot-plugin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql.functions.aggregates import CONDITIONAL
from orchestrator.localcloud.logs.kql.syntax import Token, by_depth, split_statements, tokens
from orchestrator.localcloud.logs.kql.tokens import listed, written

Ask = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]
"""Runs KQL; gives the names of its columns, and its rows."""

MAX_COLUMNS = 500
"""Most columns that one of these makes."""

_CONVERSIONS = {
    "long": "tolong", "int": "tolong", "real": "todouble", "double": "todouble", "bool": "tobool",
    "string": "tostring",
}  # fmt: skip
_PREFIX = re.compile(r"['\"](\w*)['\"]")
_NAME = re.compile(r"\[\s*['\"](.+?)['\"]\s*\]|(\w+)")


def resolved(query: str, ask: Ask) -> str:
    """The query with its outermost `evaluate`s of these plugins in operators of known columns.

    Raises:
        QueryError: 400; a plugin's arguments are not as documented, or it would make columns
            without end or twice.
    """
    for _ in range(20):
        place = _plugin(query)
        if place is None:
            return query
        bar, end, name, arguments = place
        before = split_statements(query[:bar])[-1].text
        columns, _rows = ask(f"{before} | take 0")
        made = _PLUGINS[name](before, columns, [written(query, one) for one in arguments], ask)
        query = f"{query[:bar]}{made}{query[end:]}"
    return query


_Place = tuple[int, int, str, list[Sequence[Token]]]


def _plugin(query: str) -> _Place | None:
    """The first of them outside brackets: from its bar to its end, its name, its arguments."""
    if "evaluate" not in query:
        return None
    found = tokens(query)
    for index, depth, token in by_depth(found):
        if token.text != "evaluate" or depth or not index or found[index - 1].text != "|":
            continue
        at = index + 1
        while at + 2 < len(found) and found[at].text.startswith("hint"):
            at += 3  # hint.distribution=…, one word to the lexer
        if at + 1 >= len(found) or found[at].text not in _PLUGINS or found[at + 1].text != "(":
            return None
        open_ = 0
        for last in range(at + 1, len(found)):
            open_ += (found[last].text == "(") - (found[last].text == ")")
            if not open_:
                inside = found[at + 2 : last]
                return found[index - 1].start, _end(found, last), found[at].text, listed(inside)
    return None


def _end(found: Sequence[Token], last: int) -> int:
    """Behind the plugin; a schema that is given with it, `: (a:long, *)`, is refused."""
    if last + 1 < len(found) and found[last + 1].text == ":":
        raise semantic_error(
            "SEM0001",
            "A schema behind a plugin is not supported by the local Log Analytics; leave it out, "
            "and convert the columns with extend",
        )
    return found[last].end


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _name(value: str) -> str:
    return "['" + value.replace("\\", "\\\\").replace("'", "\\'") + "']"


def _plain(argument: str) -> str:
    found = _NAME.fullmatch(argument.strip())
    return (found[1] or found[2]) if found else ""


def _bag_unpack(before: str, columns: list[str], arguments: list[str], ask: Ask) -> str:
    column = _plain(arguments[0]) if arguments else ""
    if column not in columns:
        raise semantic_error(
            "SEM0100",
            f"bag_unpack(): there is no column '{column or ''.join(arguments[:1])}' before it",
        )
    given = [_PREFIX.fullmatch(one.strip()) for one in arguments[1:]]
    if len(given) > 1 or None in given:
        raise semantic_error(
            "SEM0001",
            "bag_unpack(): the local Log Analytics takes the column and a prefix alone: "
            f"bag_unpack({column}, 'prefix_')",
        )
    prefix = given[0][1] if given and given[0] else ""
    bags = (
        f"{before} | project ['$bag'] = {_name(column)} | where gettype(['$bag']) == 'dictionary'"
    )
    _, rows = ask(
        f"{bags} | mv-expand ['$key'] = bag_keys(['$bag']) to typeof(string) "
        "| summarize by ['$key'] | sort by ['$key'] asc"
    )
    keys = [str(key) for (key,) in rows if key]
    _limited("bag_unpack", len(keys))
    kinds = _kinds(bags, keys, ask)
    taken = set(columns) - {column}
    made = []
    for key in keys:
        name = prefix + key
        if name in taken:
            raise semantic_error(
                "SEM0001",
                f"bag_unpack(): there is a column '{name}' already; give a prefix for the new ones:"
                f" bag_unpack({column}, 'prefix_')",
            )
        value = f"['$bag'][{_text(key)}]"
        conversion = _conversion(kinds[key])
        made.append(f"{_name(name)} = {f'{conversion}({value})' if conversion else value}")
    kept = [_name(one) for one in columns if one != column]
    if not (kept or made):
        raise semantic_error("SEM0001", "bag_unpack(): no row has a bag, so no column is left")
    return f"| project-rename ['$bag'] = {_name(column)} | project {', '.join([*kept, *made])}"


def _kinds(bags: str, keys: list[str], ask: Ask) -> dict[str, set[str]]:
    """The types of the values of each key."""
    if not keys:
        return {}
    each = [f"['t{n}'] = make_set(gettype(['$bag'][{_text(key)}]))" for n, key in enumerate(keys)]
    _, rows = ask(f"{bags} | summarize {', '.join(each)}")
    return {key: set(json.loads(found)) for key, found in zip(keys, rows[0], strict=True)}


def _conversion(kinds: set[str]) -> str:
    """What makes a value of the kinds that were seen one of a column; "" for `dynamic`."""
    kinds = {"long" if kind == "int" else kind for kind in kinds} - {"null"}
    if kinds and kinds <= {"long", "real", "double"}:
        return "tolong" if kinds == {"long"} else "todouble"
    return _CONVERSIONS.get(next(iter(kinds)), "") if len(kinds) == 1 else ""


def _pivot(before: str, columns: list[str], arguments: list[str], ask: Ask) -> str:
    column = _plain(arguments[0]) if arguments else ""
    if column not in columns:
        raise semantic_error(
            "SEM0100", f"pivot(): there is no column '{column or ''.join(arguments[:1])}' before it"
        )
    function, inside, rest = "count", "", arguments[1:]
    if rest and (call := re.fullmatch(r"(\w+)\s*\((.*)\)", rest[0].strip(), re.DOTALL)):
        function, inside, rest = call[1], call[2].strip(), rest[1:]
    if function != "count" and function not in CONDITIONAL:
        raise semantic_error(
            "SEM0001",
            f"pivot(): '{function}' is not supported by the local Log Analytics here; "
            f"it can do count, {', '.join(sorted(CONDITIONAL))}",
        )
    groups = [_plain(one) for one in rest] or [
        one for one in columns if one not in (column, _plain(inside))
    ]
    for group in groups:
        if group not in columns:
            raise semantic_error("SEM0100", f"pivot(): there is no column '{group}' before it")
    _, rows = ask(f"{before} | summarize by ['$value'] = tostring({_name(column)})")
    values = sorted("" if value is None else str(value) for (value,) in rows)
    _limited("pivot", len(values))
    made = []
    for value in values:
        same = f"tostring({_name(column)}) == {_text(value)}"
        counted = f"countif({same})" if function == "count" else ""
        cell = counted or f"{CONDITIONAL[function]}({inside}, {same})"
        made.append(f"{_name(value or 'Column1')} = {cell}")
    if not made:
        return f"| summarize by {', '.join(map(_name, groups))}" if groups else "| take 0"
    by = f" by {', '.join(map(_name, groups))}" if groups else ""
    return f"| summarize {', '.join(made)}{by}"


def _limited(plugin: str, count: int) -> None:
    if count > MAX_COLUMNS:
        raise semantic_error(
            "SEM0001", f"{plugin}() would make {count} columns; at most {MAX_COLUMNS} are allowed"
        )


_PLUGINS: dict[str, Callable[[str, list[str], list[str], Ask], str]] = {
    "bag_unpack": _bag_unpack,
    "pivot": _pivot,
}
