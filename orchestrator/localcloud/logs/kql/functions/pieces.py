"""SQL that the functions are made of. Templates: `{0}`, `{1}` … are arguments, `{{` is a brace.

A `dynamic` is DuckDB's JSON; what is no array where one is expected is NULL, as in Kusto.
"""

from __future__ import annotations

from duckdb_kql.translate import _kql_timespan_text

_LETTERS = "abcdefgh"


def items(argument: str) -> str:
    """SQL for an array's values as `JSON[]`."""
    return f"TRY_CAST(to_json({argument}) AS JSON[])"


def numbers(argument: str) -> str:
    """SQL for an array's values as `DOUBLE[]`, NULL for those that are no numbers."""
    return f"TRY_CAST(to_json({argument}) AS DOUBLE[])"


def bag(argument: str) -> str:
    """SQL for a value as JSON."""
    return f"CAST(to_json({argument}) AS JSON)"


def text(argument: str) -> str:
    """SQL for an argument as KQL's string of it; of a `dynamic` string without its quotes."""
    return (
        f"(CASE WHEN typeof({argument}) = 'JSON' THEN CAST({argument} AS JSON) ->> '$' "
        f"ELSE CAST({argument} AS VARCHAR) END)"
    )


def unquoted(argument: str) -> str:
    """SQL for a JSON value's text, without the quotes of a string."""
    return f"({argument} ->> '$')"


def element(argument: str) -> str:
    """SQL for a value as it stands in a dynamic: times as Kusto writes them there."""
    span = _kql_timespan_text("CAST(CAST(\0 AS VARCHAR) AS INTERVAL)")
    span = span.replace("{", "{{").replace("}", "}}").replace("\0", argument)
    moment = f"TRY_CAST(CAST({argument} AS VARCHAR) AS TIMESTAMP)"
    return (
        f"CASE typeof({argument}) "
        f"WHEN 'TIMESTAMP' THEN to_json(strftime({moment}, '%Y-%m-%dT%H:%M:%S.%f0Z')) "
        f"WHEN 'INTERVAL' THEN to_json({span}) ELSE to_json({argument}) END"
    )


def bound(count: int, body: str) -> str:
    """SQL in which every argument is computed once, and read as `_p.a`, `_p.b` …

    An argument may then be a subquery, too, which DuckDB takes in no lambda.
    """
    fields = ", ".join(f"'{_LETTERS[n]}': {{{n}}}" for n in range(count))
    return f"list_transform([{{{{{fields}}}}}], lambda _p: {body})[1]"


def let(value: str, name: str, body: str) -> str:
    """SQL for `body` with a value under a name."""
    return f"list_transform([{value}], lambda {name}: {body})[1]"


def once(values: str) -> str:
    """SQL for a list without its repetitions, in order."""
    first = "lambda _x, _i: list_position(_s, _x) = _i"
    return f"list_transform([{values}], lambda _s: list_filter(_s, {first}))[1]"


def pairs(of: str, condition: str) -> str:
    """SQL for a bag's entries as JSON text, of the keys `_k` for which the condition holds."""
    value = f"CAST(json_extract({of}, '$.\"' || replace(_k, '\"', '\\\"') || '\"') AS VARCHAR)"
    return (
        f"list_transform(list_filter(json_keys({of}), lambda _k: {condition}), "
        f"lambda _k: CAST(to_json(_k) AS VARCHAR) || ':' || {value})"
    )


def made(entries: str) -> str:
    """SQL for a bag of entries as `pairs` gives them."""
    return f"CAST('{{{{' || array_to_string({entries}, ',') || '}}}}' AS JSON)"


def merged(one: str, other: str) -> str:
    """SQL for two bags' entries together; of a key of both, the first one's value."""
    left, right = bag(one), bag(other)
    added = pairs(right, f"NOT list_contains(json_keys({left}), _k)")
    both = f"list_concat({pairs(left, 'true')}, {added})"
    bags = " AND ".join(f"json_type({one_}) = 'OBJECT'" for one_ in (left, right))
    return f"CASE WHEN {bags} THEN {made(both)} END"


def number(value: str) -> str:
    """SQL for a DOUBLE as JSON, which has no word for one that is not finite."""
    return (
        f"CASE WHEN isfinite({value}) THEN to_json({value}) WHEN isnan({value}) THEN "
        f"to_json('NaN') WHEN {value} > 0 THEN to_json('Infinity') "
        f"WHEN {value} < 0 THEN to_json('-Infinity') END"
    )
