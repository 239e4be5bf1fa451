"""Functions of arrays and sets; https://learn.microsoft.com/kusto/query/ and the name."""

from __future__ import annotations

from orchestrator.localcloud.logs.kql.functions.pieces import bound, items, let, once, unquoted

_A, _B = items("{0}"), items("{1}")


def _shifted(places: str, default: str, count: int) -> str:
    """SQL for an array whose values stand `places` further left, `default` where none is."""
    inside = f"_i + {places} BETWEEN 1 AND len(_a)"
    each = f"lambda _x, _i: CASE WHEN {inside} THEN _a[_i + {places}] ELSE {default} END"
    return bound(count, let(items("_p.a"), "_a", f"to_json(list_transform(_a, {each}))"))


def _rotated(places: str) -> str:
    each = f"lambda _x, _i: _a[(((_i - 1 + {places}) % len(_a)) + len(_a)) % len(_a) + 1]"
    return bound(2, let(items("_p.a"), "_a", f"to_json(list_transform(_a, {each}))"))


# Where an array is cut: each place from 0, those below 0 from its end.
_CUTS = (
    "list_transform(CASE WHEN json_type(to_json(_p.b)) = 'ARRAY' "
    "THEN TRY_CAST(to_json(_p.b) AS BIGINT[]) ELSE [TRY_CAST(to_json(_p.b) AS BIGINT)] END, "
    "lambda _c: greatest(0, least(len(_a), CASE WHEN _c < 0 THEN _c + len(_a) ELSE _c END)))"
)
_SPLIT = bound(
    2,
    let(
        items("_p.a"),
        "_a",
        let(
            f"list_concat([0], {_CUTS}, [CAST(len(_a) AS BIGINT)])",
            "_c",
            "to_json(list_transform(generate_series(1, len(_c) - 1), "
            "lambda _i: _a[CAST(_c[_i] + 1 AS BIGINT) : CAST(_c[_i + 1] AS BIGINT)]))",
        ),
    ),
)


def _chosen(choice: str) -> str:
    """SQL for a value of an array by the place `_i`, or the one value that there is."""
    values = items(choice)
    return (
        f"CASE WHEN json_type(to_json({choice})) = 'ARRAY' THEN {values}[_i] "
        f"ELSE to_json({choice}) END"
    )


_IFF = bound(
    3,
    "to_json(list_transform(" + items("_p.a") + ", lambda _c, _i: "
    "CASE WHEN json_type(_c) = 'BOOLEAN' OR json_type(_c) IN ('BIGINT', 'UBIGINT', 'DOUBLE') "
    f"THEN CASE WHEN CAST(_c AS DOUBLE) <> 0 THEN {_chosen('_p.b')} ELSE {_chosen('_p.c')} END "
    "END))",
)


def _place(count: int) -> str:
    """SQL for the place of a value in an array from a place on, in a part of it, the n-th time."""
    start = "coalesce(CAST(_p.c AS BIGINT), 0)" if count > 2 else "0"
    length = "coalesce(CAST(_p.d AS BIGINT), -1)" if count > 3 else "-1"
    nth = "coalesce(CAST(_p.e AS BIGINT), 1)" if count > 4 else "1"
    first = f"(CASE WHEN {start} < 0 THEN greatest(len(_a) + {start}, 0) ELSE {start} END)"
    found = (
        f"list_filter(generate_series(1, len(_a)), lambda _i: _a[_i] = to_json(_p.b) "
        f"AND _i > {first} AND ({length} < 0 OR _i <= {first} + {length}))"
    )
    return bound(
        count,
        f"CASE WHEN {nth} < 0 OR {length} < -1 THEN NULL ELSE "
        + let(items("_p.a"), "_a", f"coalesce(({found})[{nth}] - 1, -1)")
        + " END",
    )


def _sorted(order: str) -> str:
    """SQL for an array in an order; `{1}` says whether nulls come last."""
    numeric = "lambda _x: json_type(_x) IN ('BIGINT', 'UBIGINT', 'DOUBLE')"

    def by(key: str) -> str:
        pairs = f"list_transform(_n, lambda _x: {{{{'k': {key}, 'x': _x}}}})"
        return f"list_transform(list_sort({pairs}, '{order}'), lambda _y: _y.x)"

    plain = (
        f"CASE WHEN len(list_filter(_n, {numeric})) = len(_n) "
        f"THEN {by('TRY_CAST(_x AS DOUBLE)')} ELSE {by(unquoted('_x'))} END"
    )
    nulls = "list_filter(_a, lambda _x: _x IS NULL)"
    ends = (
        f"CASE WHEN TRY_CAST(CAST(_p.b AS VARCHAR) AS BOOLEAN) THEN list_concat({plain}, {nulls}) "
        f"ELSE list_concat({nulls}, {plain}) END"
    )
    present = "list_filter(_a, lambda _x: _x IS NOT NULL)"
    return bound(2, let(items("_p.a"), "_a", let(present, "_n", f"to_json({ends})")))


_FIRST_ANY = bound(
    2,
    "coalesce(list_transform(list_filter(generate_series(1, len(" + items("_p.b") + ")), "
    "lambda _i: contains(_p.a, " + items("_p.b") + "[_i] ->> '$')), lambda _i: _i - 1)[1], -1)",
)

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("set_union", f"to_json({once(f'list_concat({_A}, {_B})')})", (2,)),
    (
        "set_difference",
        f"to_json({once(f'list_filter({_A}, lambda _y: NOT list_contains({_B}, _y))')})",
        (2,),
    ),
    (
        "set_intersect",
        f"to_json({once(f'list_filter({_A}, lambda _y: list_contains({_B}, _y))')})",
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
    ("array_iff", _IFF, (3,)),
    ("array_iif", _IFF, (3,)),
    ("array_shift_left", _shifted("_p.b", "NULL", 2), (2,)),
    ("array_shift_left", _shifted("_p.b", "to_json(_p.c)", 3), (3,)),
    ("array_shift_right", _shifted("(-_p.b)", "NULL", 2), (2,)),
    ("array_shift_right", _shifted("(-_p.b)", "to_json(_p.c)", 3), (3,)),
    ("array_rotate_left", _rotated("_p.b"), (2,)),
    ("array_rotate_right", _rotated("-_p.b"), (2,)),
    ("array_split", _SPLIT, (2,)),
    ("array_index_of", _place(3), (3,)),
    ("array_index_of", _place(4), (4,)),
    ("array_index_of", _place(5), (5,)),
    ("array_sort_asc", _sorted("ASC"), (2,)),
    ("array_sort_desc", _sorted("DESC"), (2,)),
    ("has_any_index", _FIRST_ANY, (2,)),
)
"""Name, SQL, counts of arguments; a name stands once for every form of its SQL."""
