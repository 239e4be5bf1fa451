"""The faster SQL gives the rows of the SQL that duckdb-kql wrote."""

from __future__ import annotations

from typing import Any

import duckdb
import duckdb_kql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.logs.rewrite import faster

from .conftest import Logs

SCHEMA = {"T": ["TimeGenerated", "Log_s"]}


def _both(query: str, times: list[int], texts: list[str | None]) -> tuple[Any, Any]:
    sql = str(duckdb_kql.to_sql(query, schema=SCHEMA))
    quick = faster(sql)
    assert quick != sql
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        'CREATE TABLE "T" AS SELECT make_timestamp(unnest($1::BIGINT[])) AS "TimeGenerated", '
        'unnest($2::VARCHAR[]) AS "Log_s"',
        [times, texts],
    )
    answers = [connection.execute(text).fetchall() for text in (sql, quick)]
    connection.close()
    return answers[0], answers[1]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["1s", "30s", "1m", "5m", "1h", "1d", "7d"]),
    st.lists(st.integers(-(10**15), 4 * 10**15), min_size=1, max_size=20),
)
def test_bins_of_time_are_the_same(size: str, times: list[int]) -> None:
    query = f"T | extend b = bin(TimeGenerated, {size}) | project b"
    slow, quick = _both(query, times, [""] * len(times))
    assert quick == slow


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.text("[]17 :=aé\n'", max_size=12), min_size=1, max_size=20))
def test_parsed_columns_are_the_same(texts: list[str | None]) -> None:
    query = "T | parse Log_s with '[' pid ']' * 'a' rest | project pid, rest"
    slow, quick = _both(query, [0] * len(texts), texts)
    assert quick == slow


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["contains", "contains_cs", "startswith", "endswith", "!contains"]),
    st.text("aAbé'.*(", min_size=1, max_size=3),
    st.lists(st.none() | st.text("aAbBé'.*(%_", max_size=6), min_size=1, max_size=20),
)
def test_parts_of_a_text_are_found_the_same(word: str, part: str, texts: list[str | None]) -> None:
    quoted = part.replace("'", "\\'")
    query = f"T | where Log_s {word} '{quoted}' | project Log_s"
    slow, quick = _both(query, [0] * len(texts), texts)
    assert quick == slow


@pytest.mark.parametrize("part", ["50%", "a_b", "back\\\\slash"])
def test_a_text_that_needs_an_escape_keeps_it(part: str) -> None:
    sql = str(duckdb_kql.to_sql(f"T | where Log_s contains '{part}'", schema=SCHEMA))
    assert faster(sql) == sql


def test_what_is_not_known_stays_as_it_is() -> None:
    for query in ("T | count", "T | parse Log_s with 'a' n: long | project n"):
        sql = str(duckdb_kql.to_sql(query, schema=SCHEMA))
        assert faster(sql) == sql


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("print t = datetime(2026-01-01 10:29:59) | extend b = bin(t, 1h) | project b",
         [["2026-01-01T10:00:00Z"]]),
        # The form that duckdb-kql writes for a datetime, over a column that is a timespan.
        ("print t = 90m | extend b = bin(t, 1h) | project b", [["1970-01-01T01:00:00Z"]]),
    ],
)  # fmt: skip
async def test_a_query_runs_in_one_of_the_two_forms(
    logs: Logs, query: str, expected: list[Any]
) -> None:
    assert await logs.rows(query) == expected
