"""Functions of numbers and of anything; https://learn.microsoft.com/kusto/query/ and the name."""

from __future__ import annotations

_LISTED = (
    "list_transform([generate_series({0}, {1}, {2})], lambda _r: "
    "CASE WHEN typeof(_r) = 'TIMESTAMP[]' THEN to_json(list_transform(_r, lambda _t: "
    "strftime(TRY_CAST(CAST(_t AS VARCHAR) AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f0Z'))) "
    "ELSE to_json(_r) END)[1]"
)

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    # Of whole numbers or of datetimes, both ends included.
    ("range", _LISTED, (3,)),
    ("range", _LISTED.replace("{2}", "1"), (2,)),
    ("rand", "random()", (0,)),
    ("rand", "CAST(floor(random() * {0}) AS BIGINT)", (1,)),
    ("new_guid", "uuid()", (0,)),
    ("todecimal", "TRY_CAST(CAST({0} AS VARCHAR) AS DECIMAL(34, 17))", (1,)),
    ("loggamma", "lgamma({0})", (1,)),
    ("bitset_count_ones", "CAST(bit_count(CAST({0} AS BIGINT)) AS BIGINT)", (1,)),
    ("current_database", "'LogManagement'", (0,)),
)
