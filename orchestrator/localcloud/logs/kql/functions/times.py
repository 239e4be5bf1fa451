"""Functions of time; https://learn.microsoft.com/kusto/query/ and the function's name."""

from __future__ import annotations

from orchestrator.localcloud.logs.kql.functions.pieces import bound


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


SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("unixtime_seconds_todatetime", _epoch(1), (1,)),
    ("unixtime_milliseconds_todatetime", _epoch(1_000), (1,)),
    ("unixtime_microseconds_todatetime", _epoch(1_000_000), (1,)),
    ("unixtime_nanoseconds_todatetime", "make_timestamp(CAST({0} AS BIGINT) // 1000)", (1,)),
    ("bin_at", "time_bucket({1}, {0}, {2})", (3,)),
    # Which of the two is meant, the literals that it is called with say.
    ("__local_bin_at_number", "({2} + floor(({0} - {2}) / CAST({1} AS DOUBLE)) * {1})", (3,)),
    (
        "__local_bin_at_span",
        "(to_microseconds(CAST(epoch_us({2}) + floor((epoch_us({0}) - epoch_us({2})) "
        "/ CAST(epoch_us({1}) AS DOUBLE)) * epoch_us({1}) AS BIGINT)))",
        (3,),
    ),
    ("__local_divided_span", "to_microseconds(CAST(epoch_us({0}) / {1} AS BIGINT))", (2,)),
    ("format_timespan", _format_timespan(), (2,)),
    ("datetime_utc_to_local", "(({0}) AT TIME ZONE 'UTC' AT TIME ZONE {1})", (2,)),
    ("datetime_local_to_utc", "(({0}) AT TIME ZONE {1} AT TIME ZONE 'UTC')", (2,)),
    ("around", "({0} BETWEEN ({1}) - ({2}) AND ({1}) + ({2}))", (3,)),
    (
        "datetime_list_timezones",
        "(SELECT to_json(list(name ORDER BY name)) FROM pg_timezone_names())",
        (0,),
    ),
    (
        "make_datetime",
        "TRY_CAST(CAST({0} AS VARCHAR) AS TIMESTAMP)",
        (1,),
    ),
    (
        "make_datetime",
        bound(
            7,
            "make_timestamp(_p.a, _p.b, _p.c, _p.d, _p.e, _p.f + (_p.g // 10) / 1000000.0)",
        ),
        (7,),
    ),
    (
        "make_timespan",
        bound(
            4,
            "to_microseconds(CAST(_p.a * 86400000000 + _p.b * 3600000000 + _p.c * 60000000 "
            "+ round(_p.d * 1000000) AS BIGINT))",
        ),
        (4,),
    ),
)
