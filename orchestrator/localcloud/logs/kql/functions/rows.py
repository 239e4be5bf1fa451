"""What `kql/text.py`, `kql/nodes.py` and `kql/windows.py` call, of rows and series of points.

A window function's arguments are a value, the part of the rows, a row's number.
"""

from __future__ import annotations

_PARTED = "OVER (PARTITION BY {1} ORDER BY {2})"
_RUNNING = "OVER (PARTITION BY {1} ORDER BY {2} ROWS UNBOUNDED PRECEDING)"
_UP = "count(*) FILTER (WHERE {0})"


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
_STAND_INS = ("serialize", "keep", "away", "reorder", "distinct", "find")

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    *((f"__local_{name}", "NULL", ()) for name in _STAND_INS),
    ("__local_all", "NULL", (0,)),
    (
        "__local_text",
        "CASE WHEN typeof({0}) = 'VARCHAR' THEN coalesce(CAST({0} AS VARCHAR), '') "
        "ELSE CAST({0} AS VARCHAR) END",
        (1,),
    ),
    ("__local_string", "coalesce({0}, '')", (1,)),
    ("ingestion_time", "{0}", (0, 1)),
    ("__local_row", "row_number() OVER ()", (0,)),
    ("__local_prev_1", "lag({0}) OVER (ORDER BY {1})", (2,)),
    ("__local_prev_2", "lag({0}, {1}) OVER (ORDER BY {2})", (3,)),
    ("__local_prev_3", "lag({0}, {1}, {2}) OVER (ORDER BY {3})", (4,)),
    ("__local_next_1", "lead({0}) OVER (ORDER BY {1})", (2,)),
    ("__local_next_2", "lead({0}, {1}) OVER (ORDER BY {2})", (3,)),
    ("__local_next_3", "lead({0}, {1}, {2}) OVER (ORDER BY {3})", (4,)),
    *(
        (
            f"__local_{word}_{count}_of",
            f"{sql}({', '.join(f'{{{n}}}' for n in range(count))}) "
            f"OVER (PARTITION BY {{{count + 1}}} ORDER BY {{{count}}})",
            (count + 2,),
        )
        for word, sql in (("prev", "lag"), ("next", "lead"))
        for count in (1, 2, 3)
    ),
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
)
