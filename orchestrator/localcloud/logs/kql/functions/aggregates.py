"""Aggregates of `summarize`; https://learn.microsoft.com/kusto/query/ and the function's name."""

from __future__ import annotations

from duckdb_kql.translate.functions import AggregateSpec

from orchestrator.localcloud.logs.kql.functions.pieces import bag, element, merged, once


def _given(value: str, condition: str) -> str:
    return f"{value} FILTER (WHERE {condition})"


_ELEMENT = element("{0}")
_ITEMS = (
    "CASE WHEN json_type(TRY_CAST({0} AS JSON)) = 'ARRAY' "
    f"THEN CAST(to_json({{0}}) AS JSON[]) ELSE [{_ELEMENT}] END"
)


def _set_where(condition: str) -> str:
    """SQL for the set of an aggregate's values; of arrays, of what they hold."""
    return once(f"flatten({_given(f'list({_ITEMS})', condition)})")


def _list_where(condition: str) -> str:
    """SQL for the array of an aggregate's values."""
    return f"coalesce({_given(f'list({_ELEMENT})', condition)}, [])"


def _bags(condition: str) -> str:
    """SQL for an aggregate's bags as one; of a key of several, one's value is kept."""
    bags = _given(f"list({bag('{0}')})", f"json_type({bag('{0}')}) = 'OBJECT'{condition}")
    return (
        f"coalesce(list_reduce({bags}, lambda _m, _o: {merged('_m', '_o')}), "
        "CAST('{{{{}}}}' AS JSON))"
    )


_SOME = "{0} IS NOT NULL"

# Those that duckdb-kql has, too: its lists are DuckDB's, in which a datetime is not written as in a
# dynamic and a dynamic becomes a text; its sets are in no order.
OWN: tuple[AggregateSpec, ...] = (
    AggregateSpec("make_list", f"to_json({_list_where(_SOME)})", (1,), "list"),
    AggregateSpec(
        "make_set",
        "to_json(coalesce(list_sort(list_distinct(flatten("
        f"{_given(f'list({_ITEMS})', _SOME)}))), []))",
        (1,),
        "set",
    ),
)

AGGREGATES: tuple[AggregateSpec, ...] = (
    AggregateSpec(
        "__local_sum_span",
        "to_microseconds(CAST(coalesce(sum(epoch_us({0})), 0) AS BIGINT))",
        (1,),
        "sum",
    ),
    AggregateSpec(
        "__local_avg_span", "to_microseconds(CAST(avg(epoch_us({0})) AS BIGINT))", (1,), "avg"
    ),
    AggregateSpec(
        "__local_avg_moment", "make_timestamp(CAST(avg(epoch_us({0})) AS BIGINT))", (1,), "avg"
    ),
    AggregateSpec("__local_points", "list({{'t': {0}, 'v': {1}}})", (2,)),
    AggregateSpec(
        "make_list_of",
        f"to_json(list_slice({_list_where(_SOME)}, 1, {{1}}))",
        (2,),
        "list",
    ),
    AggregateSpec(
        "make_set_of",
        f"to_json(list_slice(coalesce({_set_where(_SOME)}, []), 1, {{1}}))",
        (2,),
        "set",
    ),
    AggregateSpec(
        "make_list_if",
        f"to_json({_list_where(f'{_SOME} AND ({{1}})')})",
        (2,),
        "list",
    ),
    AggregateSpec(
        "make_set_if",
        f"to_json(coalesce({_set_where(f'{_SOME} AND ({{1}})')}, []))",
        (2,),
        "set",
    ),
    AggregateSpec("make_list_with_nulls", f"to_json({_list_where('true')})", (1,), "list"),
    AggregateSpec("minif", _given("min({0})", "{1}"), (2,)),
    AggregateSpec("maxif", _given("max({0})", "{1}"), (2,)),
    AggregateSpec("take_anyif", _given("any_value({0})", "{1}"), (2,), name_is_argument=True),
    AggregateSpec("stdevp", "coalesce(stddev_pop({0}), 0.0)", (1,)),
    AggregateSpec("variancep", "coalesce(var_pop({0}), 0.0)", (1,)),
    AggregateSpec("stdevpif", f"coalesce({_given('stddev_pop({0})', '{1}')}, 0.0)", (2,)),
    AggregateSpec("variancepif", f"coalesce({_given('var_pop({0})', '{1}')}, 0.0)", (2,)),
    AggregateSpec("covariance", "coalesce(covar_samp({0}, {1}), 0.0)", (2,)),
    AggregateSpec("covariancep", "coalesce(covar_pop({0}, {1}), 0.0)", (2,)),
    AggregateSpec("covarianceif", f"coalesce({_given('covar_samp({0}, {1})', '{2}')}, 0.0)", (3,)),
    AggregateSpec("covariancepif", f"coalesce({_given('covar_pop({0}, {1})', '{2}')}, 0.0)", (3,)),
    AggregateSpec("count_distinct", "count(DISTINCT {0})", (1,)),
    AggregateSpec("count_distinctif", "count(DISTINCT {0}) FILTER (WHERE {1})", (2,)),
    AggregateSpec("binary_all_or", "bit_or(CAST({0} AS BIGINT))", (1,)),
    AggregateSpec("binary_all_and", "bit_and(CAST({0} AS BIGINT))", (1,)),
    AggregateSpec("binary_all_xor", "bit_xor(CAST({0} AS BIGINT))", (1,)),
    AggregateSpec("make_bag", _bags(""), (1,), "bag"),
    AggregateSpec("make_bag_if", _bags(" AND ({1})"), (2,), "bag"),
)

CONDITIONAL = {
    "sum": "sumif", "avg": "avgif", "min": "minif", "max": "maxif", "dcount": "dcountif",
    "take_any": "take_anyif", "any": "take_anyif", "make_list": "make_list_if",
    "make_set": "make_set_if", "stdev": "stdevif", "variance": "varianceif",
}  # fmt: skip
"""An aggregate -> the same of those rows alone for which a condition holds."""
