"""Functions of series, arrays of numbers; https://learn.microsoft.com/kusto/query/ and the name.

What is no number in a series is NULL, in the results, too.
"""

from __future__ import annotations

from orchestrator.localcloud.logs.kql.functions.pieces import bound, items, let, number, numbers

_WHOLE = "('BIGINT', 'UBIGINT')"


def _pairs() -> str:
    """SQL for the pairs of values of two series; a scalar stands for a series of it."""
    left, right = (
        f"CASE WHEN json_type(to_json({one})) = 'ARRAY' THEN {items(one)} "
        f"ELSE list_resize([to_json({one})], CAST(json_array_length(to_json({other})) AS BIGINT), "
        f"to_json({one})) END"
        for one, other in (("_p.a", "_p.b"), ("_p.b", "_p.a"))
    )
    return f"list_zip({left}, {right})"


def _both(of: str) -> str:
    """SQL for the list of what `of` makes of each pair of values `_v.x`, `_v.y` of two series.

    `_v.whole` is whether both are whole numbers.
    """
    pair = (
        "{{'x': TRY_CAST(_q[1] AS DOUBLE), 'y': TRY_CAST(_q[2] AS DOUBLE), "
        f"'whole': json_type(_q[1]) IN {_WHOLE} AND json_type(_q[2]) IN {_WHOLE}}}}}"
    )
    return bound(2, f"to_json(list_transform({_pairs()}, lambda _q: {let(pair, '_v', of)}))")


def _arithmetic(sign: str) -> str:
    value = f"_v.x {sign} _v.y"
    return _both(
        f"CASE WHEN _v.whole THEN to_json(CAST({value} AS BIGINT)) ELSE {number(f'({value})')} END"
    )


def _each(of: str) -> str:
    """SQL for a series of what `of` makes of each value `_x`."""
    return f"to_json(list_transform({numbers('{0}')}, lambda _x: {number(of)}))"


# What is filled: null, or the value that stands for a gap.
def _gap(value: str, given: str | None) -> str:
    if given is None:
        return f"{value} IS NULL"
    return f"({value} IS NULL AND to_json({given}) ->> '$' IS NULL OR {value} = to_json({given}))"


def _filled(count: int, *, backward: bool) -> str:
    """SQL for a series whose gaps have the last value before them, or the next behind."""
    gap = _gap("_a[_j]", "_p.b" if count > 1 else None)
    side = "_j >= _i" if backward else "_j <= _i"
    known = f"list_filter(generate_series(1, len(_a)), lambda _j: NOT coalesce({gap}, false))"
    near = f"list_filter(_g, lambda _j: {side})[{'1' if backward else '-1'}]"
    each = f"lambda _x, _i: coalesce(_a[{near}], _x)"
    series = let(known, "_g", f"to_json(list_transform(_a, {each}))")
    return bound(count, let(items("_p.a"), "_a", series))


def _constant(count: int) -> str:
    gap = _gap("_x", "_p.c" if count > 2 else None)
    each = f"lambda _x: CASE WHEN {gap} THEN to_json(_p.b) ELSE _x END"
    return bound(count, f"to_json(list_transform({items('_p.a')}, {each}))")


def _linear(count: int) -> str:
    """SQL for a series with its gaps on the line between what is around them."""
    gap = _gap("_a[_j]", "_p.b" if count > 1 else None)
    edges = "coalesce(_p.c, true)" if count > 2 else "true"
    constant = "to_json(_p.d)" if count > 3 else "to_json(0.0::DOUBLE)"
    low, high = "TRY_CAST(_a[_k[1]] AS DOUBLE)", "TRY_CAST(_a[_k[2]] AS DOUBLE)"
    known = f"list_filter(generate_series(1, len(_a)), lambda _j: NOT coalesce({gap}, false))"
    around = (
        "[list_max(list_filter(_g, lambda _j: _j < _i)), "
        "list_min(list_filter(_g, lambda _j: _j > _i))]"
    )
    between = f"({low} + ({high} - {low}) * (_i - _k[1]) / (_k[2] - _k[1]))"
    whole = f"json_type(_a[_k[1]]) IN {_WHOLE} AND json_type(_a[_k[2]]) IN {_WHOLE}"
    filled = (
        f"CASE WHEN _k[1] IS NOT NULL AND _k[2] IS NOT NULL THEN CASE WHEN {whole} "
        f"THEN to_json(CAST(trunc({between}) AS BIGINT)) ELSE {number(between)} END "
        f"WHEN len(_g) = 0 THEN {constant} "
        f"WHEN {edges} THEN coalesce(_a[_k[1]], _a[_k[2]]) ELSE _x END"
    )
    value = let(around, "_k", filled)
    each = f"lambda _x, _i: CASE WHEN list_contains(_g, _i) THEN _x ELSE {value} END"
    series = let(known, "_g", f"to_json(list_transform(_a, {each}))")
    return bound(count, let(items("_p.a"), "_a", series))


_PRODUCT = "TRY_CAST(_q[1] AS DOUBLE) * TRY_CAST(_q[2] AS DOUBLE)"
_DOT = f"list_sum(list_transform({_pairs()}, lambda _q: {_PRODUCT}))"
_NORM = "sqrt(list_sum(list_transform({0}, lambda _x: _x * _x)))"
_COSINE = f"{_DOT} / ({_NORM.format(numbers('_p.a'))} * {_NORM.format(numbers('_p.b'))})"
_CENTRED = (
    "[list_transform({0}, lambda _x: _x - list_avg({0})), "
    "list_transform({1}, lambda _x: _x - list_avg({1}))]"
).format(numbers("_p.a"), numbers("_p.b"))
_PEARSON = let(
    _CENTRED,
    "_c",
    "list_sum(list_transform(list_zip(_c[1], _c[2]), lambda _q: _q[1] * _q[2])) / "
    f"({_NORM.format('_c[1]')} * {_NORM.format('_c[2]')})",
)


def _stats() -> str:
    """SQL for the bag of a series' figures, null where it has no numbers."""
    fields = {
        "min": "list_min(_n)",
        "min_idx": "list_position(_n, list_min(_n)) - 1",
        "max": "list_max(_n)",
        "max_idx": "list_position(_n, list_max(_n)) - 1",
        "avg": "list_avg(_n)",
        "stdev": "coalesce(list_stddev_samp(_n), 0.0)",
        "variance": "coalesce(list_var_samp(_n), 0.0)",
        "sum": "list_sum(_n)",
        "len": "len(_n)",
    }
    inside = ", ".join(f"'{name}', {sql}" for name, sql in fields.items())
    return let(numbers("{0}"), "_n", f"json_object({inside})")


def _line() -> str:
    """SQL for the bag of the line that is fitted to a series, by least squares."""
    size = "len(_y)"
    moments = (
        f"{{{{'n': {size}, 'mx': ({size} - 1) / 2.0, 'my': list_avg(_y), "
        f"'sxx': {size} * ({size} * {size} - 1) / 12.0, "
        "'sxy': list_sum(list_transform(_y, lambda _v, _i: "
        f"(_i - 1 - ({size} - 1) / 2.0) * _v)), 'vy': list_var_samp(_y)}}}}"
    )
    slope = "(_m.sxy / _m.sxx)"
    fitted = f"list_transform(_y, lambda _v, _i: _m.my + {slope} * (_i - 1 - _m.mx))"
    rest = "list_var_samp(list_transform(list_zip(_y, _f), lambda _q: _q[1] - _q[2]))"
    made = (
        f"json_object('rsquare', 1 - ({rest}) / _m.vy, 'slope', {slope}, 'variance', _m.vy, "
        f"'rvariance', {rest}, 'interception', _m.my - {slope} * _m.mx, 'line_fit', to_json(_f))"
    )
    return let(numbers("{0}"), "_y", let(moments, "_m", let(fitted, "_f", made)))


def _fir(count: int) -> str:
    """SQL for a series filtered: each value a sum of those before it by their weights."""
    centre = "coalesce(_p.d, false)" if count > 3 else "false"
    whole = "coalesce(_p.c, true)" if count > 2 else "true"
    weights = let(
        numbers("_p.b"),
        "_w",
        f"CASE WHEN {whole} THEN list_transform(_w, lambda _x: _x / list_sum(_w)) ELSE _w END",
    )
    offset = f"(CASE WHEN {centre} THEN len(_w) // 2 ELSE 0 END)"
    each = (
        "lambda _x, _i: list_sum(list_transform(_w, lambda _h, _j: _h * coalesce("
        f"CASE WHEN _i - _j + 1 + {offset} >= 1 THEN _a[_i - _j + 1 + {offset}] END, 0)))"
    )
    return bound(
        count,
        let(numbers("_p.a"), "_a", let(weights, "_w", f"to_json(list_transform(_a, {each}))")),
    )


_UNARY = {
    "abs": "abs(_x)", "acos": "CASE WHEN abs(_x) <= 1 THEN acos(_x) END",
    "asin": "CASE WHEN abs(_x) <= 1 THEN asin(_x) END", "atan": "atan(_x)",
    "ceiling": "ceil(_x)", "cos": "cos(_x)", "exp": "exp(_x)", "floor": "floor(_x)",
    "log": "CASE WHEN _x > 0 THEN ln(_x) END", "sign": "sign(_x)", "sin": "sin(_x)",
    "tan": "tan(_x)",
}  # fmt: skip
_COMPARISONS = {
    "equals": "=", "not_equals": "<>", "less": "<", "less_equals": "<=", "greater": ">",
    "greater_equals": ">=",
}  # fmt: skip

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    *((f"series_{name}", _each(sql), (1,)) for name, sql in _UNARY.items()),
    ("series_add", _arithmetic("+"), (2,)),
    ("series_subtract", _arithmetic("-"), (2,)),
    ("series_multiply", _arithmetic("*"), (2,)),
    ("series_divide", _both(number("(_v.x / _v.y)")), (2,)),
    ("series_pow", _both(number("pow(_v.x, _v.y)")), (2,)),
    *((f"series_{name}", _both(f"_v.x {sign} _v.y"), (2,)) for name, sign in _COMPARISONS.items()),
    ("series_sum", f"list_sum({numbers('{0}')})", (1,)),
    ("series_product", f"list_product({numbers('{0}')})", (1,)),
    ("series_magnitude", _NORM.replace("{0}", numbers("{0}")), (1,)),
    ("series_dot_product", bound(2, _DOT), (2,)),
    ("series_cosine_similarity", bound(2, _COSINE), (2,)),
    ("series_pearson_correlation", bound(2, _PEARSON), (2,)),
    ("series_fill_forward", _filled(1, backward=False), (1,)),
    ("series_fill_forward", _filled(2, backward=False), (2,)),
    ("series_fill_backward", _filled(1, backward=True), (1,)),
    ("series_fill_backward", _filled(2, backward=True), (2,)),
    ("series_fill_const", _constant(2), (2,)),
    ("series_fill_const", _constant(3), (3,)),
    *(("series_fill_linear", _linear(count), (count,)) for count in (1, 2, 3, 4)),
    ("series_stats_dynamic", _stats(), (1,)),
    ("series_fit_line_dynamic", _line(), (1,)),
    *(("series_fir", _fir(count), (count,)) for count in (2, 3, 4)),
)
