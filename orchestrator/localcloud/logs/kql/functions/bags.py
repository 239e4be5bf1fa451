"""Functions of property bags; https://learn.microsoft.com/kusto/query/ and the function's name."""

from __future__ import annotations

from orchestrator.localcloud.logs.kql.functions.pieces import (
    bag,
    bound,
    items,
    let,
    made,
    merged,
    pairs,
)


def _entries(argument: str, condition: str) -> str:
    """SQL for a bag that keeps the keys `_k` for which the condition holds."""
    of = bag(argument)
    return f"CASE WHEN json_type({of}) = 'OBJECT' THEN {made(pairs(of, condition))} END"


# A value put at a path: a bag with that alone, merged over the other as JSON Merge Patch does.
_NESTED = (
    "list_reduce(list_reverse(_k), lambda _v, _n: "
    "CAST('{{' || CAST(to_json(_n) AS VARCHAR) || ':' || _v || '}}' AS VARCHAR), "
    "CAST(to_json(_p.c) AS VARCHAR))"
)
_SET = bound(
    3,
    "CASE WHEN json_type(to_json(_p.a)) = 'OBJECT' THEN CASE WHEN starts_with(_p.b, '$.') THEN "
    + let(
        "string_split(substr(_p.b, 3), '.')",
        "_k",
        f"json_merge_patch(to_json(_p.a), CAST({_NESTED} AS JSON))",
    )
    + f" ELSE {merged('json_object(_p.b, _p.c)', '_p.a')} END END",
)
_ZIPPED = bound(
    2,
    let(
        items("_p.a"),
        "_n",
        let(
            items("_p.b"),
            "_v",
            made(
                "list_transform(list_filter(_n, lambda _x: json_type(_x) = 'VARCHAR'), "
                "lambda _x: CAST(to_json(_x ->> '$') AS VARCHAR) || ':' || "
                "coalesce(CAST(_v[list_position(_n, _x)] AS VARCHAR), 'null'))"
            ),
        ),
    ),
)

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    (
        "bag_keys",
        f"CASE WHEN json_type({bag('{0}')}) = 'OBJECT' THEN to_json(json_keys({bag('{0}')})) END",
        (1,),
    ),
    (
        "bag_has_key",
        f"CASE WHEN starts_with({{1}}, '$.') "
        f"THEN coalesce(json_exists({bag('{0}')}, {{1}}), false) "
        f"ELSE coalesce(list_contains(json_keys({bag('{0}')}), {{1}}), false) END",
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
    ("bag_merge", merged("{0}", "{1}"), (2,)),
    ("bag_set_key", _SET, (3,)),
    ("bag_zip", _ZIPPED, (2,)),
    (
        "__local_without_empty",
        _entries(
            "{0}",
            f"coalesce(json_extract({bag('{0}')}, '$.\"' || replace(_k, '\"', '\\\"') || '\"') "
            "NOT IN (CAST('null' AS JSON), CAST('\"\"' AS JSON)), false)",
        ),
        (1,),
    ),
)
