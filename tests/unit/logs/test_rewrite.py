"""The faster SQL gives the rows of the SQL that duckdb-kql wrote."""

from __future__ import annotations

from typing import Any

import duckdb
import duckdb_kql
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.logs.rewrite import faster

from .conftest import Logs

_CONNECTION = duckdb.connect()
SCHEMA = {"T": ["TimeGenerated", "Log_s"]}


def _both(query: str, times: list[int], texts: list[str | None]) -> tuple[Any, Any]:
    sql = str(duckdb_kql.to_sql(query, schema=SCHEMA))
    quick = faster(sql)
    assert quick != sql
    connection = _CONNECTION
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        'CREATE OR REPLACE TABLE "T" AS '
        'SELECT make_timestamp(unnest($1::BIGINT[])) AS "TimeGenerated", '
        'unnest($2::VARCHAR[]) AS "Log_s"',
        [times, texts],
    )
    answers = [connection.execute(text).fetchall() for text in (sql, quick)]
    return answers[0], answers[1]


@settings(max_examples=40)
@given(
    st.sampled_from(["1s", "30s", "1m", "5m", "1h", "1d", "7d"]),
    st.lists(st.integers(-(10**15), 4 * 10**15), min_size=1, max_size=20),
)
def test_bins_of_time_are_the_same(size: str, times: list[int]) -> None:
    query = f"T | extend b = bin(TimeGenerated, {size}) | project b"
    slow, quick = _both(query, times, [""] * len(times))
    assert quick == slow


@settings(max_examples=40)
@given(st.lists(st.none() | st.text("[]17 :=aé\n'", max_size=12), min_size=1, max_size=20))
def test_parsed_columns_are_the_same(texts: list[str | None]) -> None:
    query = "T | parse Log_s with '[' pid ']' * 'a' rest | project pid, rest"
    slow, quick = _both(query, [0] * len(texts), texts)
    assert quick == slow


@settings(max_examples=60)
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


_LITERALS = st.text("ab.é\u0301😀(' \t%", min_size=1, max_size=2)
_TYPES = st.sampled_from(["", "", ":long", ":int", ":real", ":bool", ":timespan", ":datetime"])


@st.composite
def _patterns(draw: st.DrawFn) -> str:
    """A pattern of a simple or relaxed `parse`, or of a `parse-where`, by its literals."""
    words, names = [], iter("nmkxyz")
    if draw(st.booleans()):
        words.append("*")
    for _ in range(draw(st.integers(1, 3))):
        literal = draw(_LITERALS).replace("'", "\\'").replace("\t", "\\t")
        words.append(f"'{literal}'")
        words.append(f"{next(names)}{draw(_TYPES)}" if draw(st.integers(0, 3)) else "*")
    end = draw(st.integers(0, 2))
    if words[-1] == "*" or end == 0:
        words.append("'a'")
    if end == 1 and words[-1] == "'a'":
        words.append("*")
    return " ".join(words)


@settings(max_examples=150)
@given(
    _patterns(),
    st.sampled_from(["parse", "parse kind=relaxed", "parse-where"]),
    st.lists(st.none() | st.text("ab.é\u0301😀(' \t%1-\n\0", max_size=14), min_size=1, max_size=25),
)
def test_a_parse_by_literals_gives_what_the_expression_gives(
    pattern: str, operator: str, texts: list[str | None]
) -> None:
    names = [word.partition(":")[0] for word in pattern.split() if word[0] in "nmkxyz"]
    query = f"T | {operator} Log_s with {pattern} | project Log_s{''.join(f', {n}' for n in names)}"
    try:
        duckdb_kql.to_sql(query, schema=SCHEMA)
    except duckdb_kql.errors.KqlError:
        assume(False)
    assume(names)
    slow, quick = _both(query, [0] * len(texts), texts)
    # (NaN is read from no such text, so that equal rows are equal.)
    assert sorted(map(repr, quick)) == sorted(map(repr, slow))


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("* 'fibonacci(' n:long ')' *", "m 4: fibonacci(7) = 13", (7,)),
        ("* 'fibonacci(' n ')' *", "fibonacci(fibonacci(7) = 13", ("fibonacci(7",)),
        ("* 'fibonacci(' n ')'", "fibonacci(7) = f(13)", ("7) = f(13",)),
        ("'a' n ' = ' m", "a1 = b = c", ("1", "b = c")),
        ("* 'x' n 'y' *", "a\nxby", ("b",)),
        ("'a' n 'y' *", "ab\ncy", ("",)),
    ],
)
def test_a_parse_by_literals_cuts_where_kusto_does(pattern: str, text: str, expected: Any) -> None:
    names = [word.partition(":")[0] for word in pattern.split() if word[0] in "nm"]
    query = f"T | parse Log_s with {pattern} | project {', '.join(names)}"
    slow, quick = _both(query, [0], [text])
    assert slow == quick == [expected]


@pytest.mark.parametrize(
    "query",
    [
        "T | parse Log_s with 'a' n 'b' | parse n with 'c' m 'd' * | project n, m",
        "T | parse strcat(Log_s, ',(\"') with 'a' n 'b' * | project n",
        "T | where Log_s has 'a' | parse Log_s with * 'a' n:long | summarize count() by n",
        "T | join kind=inner (T | parse Log_s with * 'a' n '1' *) on Log_s | project n",
        "T | parse-where Log_s with * 'a' n:long * | extend ok = Log_s matches regex '.*?a' "
        "| project n, ok",
        "T | parse kind=regex Log_s with '.*' n:long '[b ]+' m | project n, m",
    ],
)
def test_a_parse_among_other_operators_is_the_same(query: str) -> None:
    texts = ["a1b", "ac1db", "xa 12", "a 3 b x", "ab", "", "a7ca8d", "a1\nb", None]
    slow, quick = _both(query, [0] * len(texts), texts)
    assert sorted(map(repr, quick)) == sorted(map(repr, slow))


def test_what_is_not_known_stays_as_it_is() -> None:
    for query in (
        "T | count",
        "T | parse Log_s with 'a' n: real * | project n",
        "T | parse kind=regex Log_s with 'a' n 'b' m: real | project n",
    ):
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
