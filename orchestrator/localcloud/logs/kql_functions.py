"""Functions of KQL that duckdb-kql has no SQL for, as rows of its own registry.

Each row is the function's name, its SQL with `{0}`, `{1}` … for the arguments, and how many it
takes, as its page under https://learn.microsoft.com/kusto/query/ documents it. A `dynamic` is
DuckDB's JSON. Lists keep the order in which their elements come first.
"""

from __future__ import annotations

from duckdb_kql.translate.functions import (
    AGGREGATE_FUNCTIONS,
    SCALAR_FUNCTIONS,
    AggregateSpec,
    FunctionSpec,
)

_LIST = "CAST(to_json({}) AS JSON[])"
_A, _B = _LIST.format("{0}"), _LIST.format("{1}")


def _text(argument: str) -> str:
    """SQL for an argument as KQL's string of it; of a `dynamic` string without its quotes."""
    return (
        f"(CASE WHEN typeof({argument}) = 'JSON' THEN CAST({argument} AS JSON) ->> '$' "
        f"ELSE CAST({argument} AS VARCHAR) END)"
    )


def _once(items: str) -> str:
    """SQL for a list without its repetitions, in order."""
    first = "lambda _x, _i: list_position(_s, _x) = _i"
    return f"list_transform([{items}], lambda _s: list_filter(_s, {first}))[1]"


def _bag(argument: str) -> str:
    return f"CAST(to_json({argument}) AS JSON)"


def _pairs(bag: str, condition: str) -> str:
    """SQL for a bag's entries as JSON text, of the keys `_k` for which the condition holds."""
    value = f"CAST(json_extract({bag}, '$.\"' || replace(_k, '\"', '\\\"') || '\"') AS VARCHAR)"
    return (
        f"list_transform(list_filter(json_keys({bag}), lambda _k: {condition}), "
        f"lambda _k: CAST(to_json(_k) AS VARCHAR) || ':' || {value})"
    )


def _made(entries: str) -> str:
    return f"CAST('{{{{' || array_to_string({entries}, ',') || '}}}}' AS JSON)"


def _entries(argument: str, condition: str) -> str:
    """SQL for a bag that keeps the keys `_k` for which the condition holds."""
    bag = _bag(argument)
    return f"CASE WHEN json_type({bag}) = 'OBJECT' THEN {_made(_pairs(bag, condition))} END"


def _merged(one: str, other: str) -> str:
    """SQL for two bags' entries together; of a key of both, the first one's value."""
    left, right = _bag(one), _bag(other)
    added = _pairs(right, f"NOT list_contains(json_keys({left}), _k)")
    both = f"list_concat({_pairs(left, 'true')}, {added})"
    bags = " AND ".join(f"json_type({bag}) = 'OBJECT'" for bag in (left, right))
    return f"CASE WHEN {bags} THEN {_made(both)} END"


def _epoch(per_second: int) -> str:
    return f"make_timestamp(CAST(round(({{0}}) * {1_000_000 // per_second}) AS BIGINT))"


# Parts of a timespan by the letters of `format_timespan`; https://learn.microsoft.com/kusto/query/
# format-timespan-function. `_t` is the span's size in microseconds.
_SPAN_PARTS = (
    ("d", "_t // 86400000000", 8),
    ("H", "_t // 3600000000 % 24", 2),
    ("h", "_t // 3600000000 % 24", 2),
    ("m", "_t // 60000000 % 60", 2),
    ("s", "_t // 1000000 % 60", 2),
)


def _format_timespan() -> str:
    sql = "_f"
    fraction = "lpad(CAST(_t % 1000000 AS VARCHAR), 6, '0') || '0'"
    # Letters are replaced longest run first, each by signs that no later letter is found in.
    for length in range(7, 0, -1):
        digits = f"left({fraction}, {length})"
        sql = f"replace({sql}, '{'f' * length}', {digits})"
        sql = f"replace({sql}, '{'F' * length}', rtrim({digits}, '0'))"
    for letter, part, longest in _SPAN_PARTS:
        for length in range(longest, 0, -1):
            number = f"CAST({part} AS VARCHAR)"
            padded = f"lpad({number}, CAST(greatest({length}, length({number})) AS INTEGER), '0')"
            sql = f"replace({sql}, '{letter * length}', {padded})"
    return (
        "list_transform([{{'t': abs(epoch_us(CAST({0} AS INTERVAL))), 'f': {1}}}], lambda _r: "
        "list_transform([_r.t], lambda _t: list_transform([_r.f], lambda _f: "
        f"{sql})[1])[1])[1]"
    )


# Kusto writes the digits of `%2f` small.
_ENCODED = (
    "array_to_string(list_transform(string_split(url_encode({0}), '%'), lambda _p, _i: "
    "CASE WHEN _i = 1 THEN _p ELSE lower(left(_p, 2)) || substr(_p, 3) END), '%')"
)

# Arguments of the window functions: a value, the part of the rows, a row's number.
_PARTED = "OVER (PARTITION BY {1} ORDER BY {2})"
_RUNNING = "OVER (PARTITION BY {1} ORDER BY {2} ROWS UNBOUNDED PRECEDING)"
_UP = "count(*) FILTER (WHERE {0})"


def _whole(unit: str) -> str:
    return f"CAST(CAST(round({{0}} / {unit}) AS BIGINT) AS VARCHAR)"


def _steps(first: str, last: str, width: str, open_end: str) -> str:
    return (
        f"list_filter(generate_series({first}, {last}, {width}), "
        f"lambda _t: NOT {open_end} OR _t < {last})"
    )


_ISO = (
    "CASE WHEN typeof(_t) = 'TIMESTAMP' THEN to_json("
    "strftime(TRY_CAST(CAST(_t AS VARCHAR) AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f0Z')) "
    "ELSE to_json(_t) END"
)

_AXIS = _steps("{0}", "{1}", "{2}", "{3}")

_SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    # Sets and arrays.
    ("set_union", f"to_json({_once(f'list_concat({_A}, {_B})')})", (2,)),
    (
        "set_difference",
        f"to_json({_once(f'list_filter({_A}, lambda _y: NOT list_contains({_B}, _y))')})",
        (2,),
    ),
    (
        "set_intersect",
        f"to_json({_once(f'list_filter({_A}, lambda _y: list_contains({_B}, _y))')})",
        (2,),
    ),
    ("set_equals", f"(list_sort(list_distinct({_A})) = list_sort(list_distinct({_B})))", (2,)),
    (
        "jaccard_index",
        f"(CAST(len(list_intersect({_A}, {_B})) AS DOUBLE) / "
        f"len(list_distinct(list_concat({_A}, {_B}))))",
        (2,),
    ),
    (
        "repeat",
        "to_json(list_transform(generate_series(1, CAST({1} AS BIGINT)), lambda _i: {0}))",
        (2,),
    ),
    # Of whole numbers or of datetimes, both ends included.
    (
        "range",
        "list_transform([generate_series({0}, {1}, {2})], lambda _r: "
        "CASE WHEN typeof(_r) = 'TIMESTAMP[]' THEN to_json(list_transform(_r, lambda _t: "
        "strftime(TRY_CAST(CAST(_t AS VARCHAR) AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f0Z'))) "
        "ELSE to_json(_r) END)[1]",
        (3,),
    ),
    # Property bags.
    ("bag_keys", f"to_json(json_keys({_bag('{0}')}))", (1,)),
    (
        "bag_has_key",
        f"CASE WHEN starts_with({{1}}, '$.') "
        f"THEN coalesce(json_exists({_bag('{0}')}, {{1}}), false) "
        f"ELSE coalesce(list_contains(json_keys({_bag('{0}')}), {{1}}), false) END",
        (2,),
    ),
    (
        "bag_remove_keys",
        "CASE WHEN len(list_filter(CAST(to_json({1}) AS VARCHAR[]), lambda _p: "
        "starts_with(_p, '$.'))) > 0 THEN error('bag_remove_keys() takes no paths here') ELSE "
        + _entries("{0}", "NOT list_contains(CAST(to_json({1}) AS VARCHAR[]), _k)")
        + " END",
        (2,),
    ),
    ("bag_merge", _merged("{0}", "{1}"), (2,)),
    # Time.
    ("unixtime_seconds_todatetime", _epoch(1), (1,)),
    ("unixtime_milliseconds_todatetime", _epoch(1_000), (1,)),
    ("unixtime_microseconds_todatetime", _epoch(1_000_000), (1,)),
    ("unixtime_nanoseconds_todatetime", "make_timestamp(CAST({0} AS BIGINT) // 1000)", (1,)),
    ("bin_at", "time_bucket({1}, {0}, {2})", (3,)),
    ("format_timespan", _format_timespan(), (2,)),
    (
        "datetime_utc_to_local",
        "(({0}) AT TIME ZONE 'UTC' AT TIME ZONE {1})",
        (2,),
    ),
    (
        "datetime_local_to_utc",
        "(({0}) AT TIME ZONE {1} AT TIME ZONE 'UTC')",
        (2,),
    ),
    # Text.
    ("extract_json", f"json_extract_string({_text('{1}')}, {{0}})", (2,)),
    ("extractjson", f"json_extract_string({_text('{1}')}, {{0}})", (2,)),
    ("tohex", "lower(printf('%x', CAST({0} AS BIGINT)))", (1,)),
    ("url_encode", f"replace({_ENCODED}, '%20', '+')", (1,)),
    ("url_encode_component", _ENCODED, (1,)),
    ("url_decode", "url_decode({0})", (1,)),
    # What the second text is too short for becomes its last character.
    (
        "translate",
        "translate({2}, {0}, rpad({1}, CAST(length({0}) AS INTEGER), right({1}, 1)))",
        (3,),
    ),
    ("strcmp", "(CASE WHEN {0} < {1} THEN -1 WHEN {0} > {1} THEN 1 ELSE 0 END)", (2,)),
    ("string_size", "CAST(octet_length(encode({0})) AS BIGINT)", (1,)),
    ("isascii", "(octet_length(encode({0})) = length({0}))", (1,)),
    (
        "format_bytes",
        "(CASE WHEN abs({0}) < 1024 THEN CAST({0} AS VARCHAR) || ' Bytes' "
        f"WHEN abs({{0}}) < 1048576 THEN {_whole('1024.0')} || ' KB' "
        f"WHEN abs({{0}}) < 1073741824 THEN {_whole('1048576.0')} || ' MB' "
        f"WHEN abs({{0}}) < 1099511627776 THEN {_whole('1073741824.0')} || ' GB' "
        f"ELSE {_whole('1099511627776.0')} || ' TB' END)",
        (1,),
    ),
    # What `kql_text.py`, `kql_nodes.py` and `kql_windows.py` call; a row's number comes last.
    *((f"__local_{name}", "NULL", ()) for name in ("serialize", "keep", "away", "reorder")),
    ("__local_distinct", "NULL", ()),
    ("__local_all", "NULL", (0,)),
    ("ingestion_time", "{0}", (0, 1)),
    ("__local_row", "row_number() OVER ()", (0,)),
    ("__local_prev_1", "lag({0}) OVER (ORDER BY {1})", (2,)),
    ("__local_prev_2", "lag({0}, {1}) OVER (ORDER BY {2})", (3,)),
    ("__local_prev_3", "lag({0}, {1}, {2}) OVER (ORDER BY {3})", (4,)),
    ("__local_next_1", "lead({0}) OVER (ORDER BY {1})", (2,)),
    ("__local_next_2", "lead({0}, {1}) OVER (ORDER BY {2})", (3,)),
    ("__local_next_3", "lead({0}, {1}, {2}) OVER (ORDER BY {3})", (4,)),
    ("__local_part", f"{_UP} OVER (ORDER BY {{1}} ROWS UNBOUNDED PRECEDING)", (2,)),
    ("__local_row_number", f"(row_number() {_PARTED} - 1 + {{0}})", (3,)),
    (
        "__local_row_cumsum",
        f"list_transform([sum({{0}}) {_RUNNING}], lambda _c: "
        "CASE WHEN typeof(_c) = 'HUGEINT' THEN CAST(_c AS BIGINT) ELSE _c END)[1]",
        (3,),
    ),
    (
        "__local_changed",
        f"({{0}} IS DISTINCT FROM lag({{0}}) {_PARTED} OR row_number() {_PARTED} = 1)",
        (3,),
    ),
    ("__local_row_rank_dense", f"{_UP} {_RUNNING}", (3,)),
    # `{0}` says where the value changes: the rank is the number of the last row where it did.
    (
        "__local_row_rank_min",
        f"(max(CASE WHEN {{0}} THEN {{2}} END) {_RUNNING} - "
        "min({2}) OVER (PARTITION BY {1}) + 1)",
        (3,),
    ),
    # Points of a series by their moment; times and values of every step from first to last.
    ("__local_first", "list_min(list_transform({0}, lambda _p: _p.t))", (1,)),
    ("__local_last", "list_max(list_transform({0}, lambda _p: _p.t))", (1,)),
    ("__local_axis", f"to_json(list_transform({_AXIS}, lambda _t: {_ISO}))", (4,)),
    (
        "__local_series",
        "list_transform([map_from_entries({0})], lambda _m: to_json(list_transform("
        f"{_steps('{1}', '{2}', '{3}', '{4}')}, lambda _t: coalesce(_m[_t], {{5}}))))[1]",
        (6,),
    ),
    # The rest.
    ("rand", "random()", (0,)),
    ("new_guid", "uuid()", (0,)),
    ("todecimal", "TRY_CAST(CAST({0} AS VARCHAR) AS DECIMAL(34, 17))", (1,)),
    ("dynamic_to_json", "CAST(to_json({0}) AS VARCHAR)", (1,)),
    (
        "parse_version",
        "list_transform([list_transform(string_split({0}, '.'), lambda _p: "
        "TRY_CAST(_p AS BIGINT))], lambda _v: CAST(_v[1] * 1000000000000000000000000 "
        "+ coalesce(_v[2], 0) * 10000000000000000 + coalesce(_v[3], 0) * 100000000 "
        "+ coalesce(_v[4], 0) AS DECIMAL(38, 0)))[1]",
        (1,),
    ),
)  # fmt: skip


def _given(value: str, condition: str) -> str:
    return f"{value} FILTER (WHERE {condition})"


_ITEMS = (
    "CASE WHEN json_type(TRY_CAST({0} AS JSON)) = 'ARRAY' "
    "THEN CAST(to_json({0}) AS JSON[]) ELSE [to_json({0})] END"
)


def _set_where(condition: str) -> str:
    """SQL for the set of an aggregate's values; of arrays, of what they hold."""
    return _once(f"flatten({_given(f'list({_ITEMS})', condition)})")


_BAGS = f"list({_bag('{0}')}) FILTER (WHERE json_type({_bag('{0}')}) = 'OBJECT')"
_AGGREGATES: tuple[AggregateSpec, ...] = (
    AggregateSpec("__local_points", "list({{'t': {0}, 'v': {1}}})", (2,)),
    AggregateSpec(
        "make_list_of",
        "list_slice(coalesce(list({0}) FILTER (WHERE {0} IS NOT NULL), []), 1, {1})",
        (2,),
        "list",
    ),
    AggregateSpec(
        "make_set_of",
        f"to_json(list_slice(coalesce({_set_where('{0} IS NOT NULL')}, []), 1, {{1}}))",
        (2,),
        "set",
    ),
    AggregateSpec(
        "make_list_if",
        "coalesce(list({0}) FILTER (WHERE {0} IS NOT NULL AND ({1})), [])",
        (2,),
        "list",
    ),
    AggregateSpec(
        "make_set_if",
        f"to_json(coalesce({_set_where('{0} IS NOT NULL AND ({1})')}, []))",
        (2,),
        "set",
    ),
    AggregateSpec("minif", _given("min({0})", "{1}"), (2,)),
    AggregateSpec("maxif", _given("max({0})", "{1}"), (2,)),
    AggregateSpec(
        "take_anyif", _given("any_value({0})", "{1}"), (2,), name_is_argument=True
    ),
    AggregateSpec("stdevp", "coalesce(stddev_pop({0}), 0.0)", (1,)),
    AggregateSpec("variancep", "coalesce(var_pop({0}), 0.0)", (1,)),
    AggregateSpec("count_distinct", "count(DISTINCT {0})", (1,)),
    AggregateSpec("count_distinctif", "count(DISTINCT {0}) FILTER (WHERE {1})", (2,)),
    AggregateSpec("binary_all_or", "bit_or(CAST({0} AS BIGINT))", (1,)),
    AggregateSpec("binary_all_and", "bit_and(CAST({0} AS BIGINT))", (1,)),
    AggregateSpec("binary_all_xor", "bit_xor(CAST({0} AS BIGINT))", (1,)),
    # Of bags with one key, one's value is kept.
    AggregateSpec(
        "make_bag",
        f"coalesce(list_reduce({_BAGS}, "
        f"lambda _m, _o: {_merged('_m', '_o')}), CAST('{{{{}}}}' AS JSON))",
        (1,),
        "bag",
    ),
)  # fmt: skip


def register() -> None:
    """Make these functions known to the translator; what it knows itself stays as it is."""
    for name, template, arities in _SCALARS:
        SCALAR_FUNCTIONS.setdefault(name, FunctionSpec(name, "template", template, arities))
    for aggregate in _AGGREGATES:
        AGGREGATE_FUNCTIONS.setdefault(aggregate.name, aggregate)
