"""KQL that the translator is taught: expected values are those of Kusto's own pages or by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.localcloud.logs.errors import QueryError

from .conftest import Logs

T = "ContainerAppConsoleLogs_CL"
ROWS = "datatable(n:long, k:string)[1,'a', 2,'a', 3,'b', 5,'b', 8,'a']"
TIMES = (
    "datatable(t:datetime, k:string)[datetime(2026-01-01 00:00:10),'a', "
    "datetime(2026-01-01 00:00:50),'a', datetime(2026-01-01 00:03:00),'b']"
)


def _plain(value: Any) -> Any:
    """A dynamic value read."""
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" and value else value


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # Windows
        (
            f"{ROWS} | sort by n asc | extend p = prev(n), q = next(n, 2, -1) | project p, q",
            [[None, 3], [1, 5], [2, 8], [3, -1], [5, -1]],
        ),
        (f"{ROWS} | serialize i = row_number(10) | project i", [[10], [11], [12], [13], [14]]),
        (
            f"{ROWS} | sort by k asc, n asc"
            " | extend i = row_number(1, prev(k) != k), s = row_cumsum(n, prev(k) != k)"
            " | project i, s",
            [[1, 1], [2, 3], [3, 11], [1, 3], [2, 8]],
        ),
        (
            f"{ROWS} | sort by n asc | extend d = row_rank_dense(k), m = row_rank_min(k)"
            " | project d, m",
            [[1, 1], [1, 1], [2, 3], [2, 3], [3, 5]],
        ),
        (f"{ROWS} | sort by n asc | where n - prev(n) > 1 | project n", [[5], [8]]),
        (f"{ROWS} | sort by n asc | project prev(n) | take 2", [[None], [1]]),
        (
            f"{ROWS} | sort by n asc | extend c = row_cumsum(iff(prev(k) != k, 1, 0)) | project c",
            [[1], [1], [2], [2], [3]],
        ),
        # Columns by pattern
        (f"{ROWS} | extend nn = 1 | project-keep n* | take 1", [[1, 1]]),
        (f"{ROWS} | extend x2 = 2, x10 = 10 | project-away n, k* | take 1", [[2, 10]]),
        (
            "print x10 = 10, x2 = 2, a = 'a' | project-reorder x* granny-asc, a",
            [[2, 10, "a"]],
        ),
        ("print b = 1, a = 2 | project-reorder * asc", [[2, 1]]),
        (f"{ROWS} | project k | distinct * | sort by k asc", [["a"], ["b"]]),
        (f"{ROWS} | sample-distinct 5 of k | count", [[2]]),
        (f"{ROWS} | sample 3 | count", [[3]]),
        # Search
        (f"{ROWS} | where * has 'b' | project n", [[3], [5]]),
        (f"{ROWS} | search 'b' or n == 8 | project n", [[3], [5], [8]]),
        ("datatable(s:string)['alpha', 'Beta'] | search 'ALP*' | project s", [["alpha"]]),
        ("datatable(s:string)['alpha', 'Beta'] | search '*et*' | project s", [["Beta"]]),
        ("datatable(s:string)['alpha', 'Beta'] | search kind=case_sensitive 'beta' | count", [[0]]),
        ("datatable(s:string, t:string)['x','y', 'y','x'] | search s:'x' | project t", [["y"]]),
        ("datatable(s:string)['a','b'] | search * == 'a' and not('b') | count", [[1]]),
        # Names
        (f"{ROWS} | as X | where n > 2 | count", [[3]]),
        (
            f"{ROWS} | summarize n = sum(n) by k | as hint.materialized=true S "
            "| extend p = n * 100 / toscalar(S | summarize sum(n)) | project k, p | sort by k asc",
            [["a", 57], ["b", 42]],
        ),
        (
            "print p = dynamic({'kind': 'x', 'count': 2}) | project strcat(p.kind, p.count)",
            [["x2"]],
        ),
        ("print kind = 'x' | where kind == 'x' | project kind", [["x"]]),
        (f"let f = (m:long) {{ {ROWS} | where n > m }}; f(2) | count", [[3]]),
        (f"let f = (X:(n:long), m:long = 4) {{ X | where n > m }}; f({ROWS}) | count", [[2]]),
        (f"let f = () {{ {ROWS} | take 2 }}; union f(), f | count", [[4]]),
        ("set notruncation; print 1", [[1]]),
        ("print n = column_ifexists('nope', 7)", [[7]]),
        (f"{ROWS} | extend v = columnifexists('k', 'x') | project v | take 1", [["a"]]),
        # Arguments stay what they are, wherever they are put
        ("let f=(n:long){ datatable(x:long)[5,6] | where x == (n * 2) }; f(1 + 2)", [[6]]),
        ("let f=(n:long){ datatable(x:long)[5] | extend y = n * 2 }; f(1 + 2)", [[5, 6]]),
        (
            "let f=(b:bool){ datatable(x:long)[1,2] | where (b and x == 2) }; f(true or false)",
            [[2]],
        ),
        # Literals are texts, never syntax
        ("datatable(s:string)['a', 'say \"hi\"'] | search 'say \"hi\"' | count", [[1]]),
        ("datatable(s:string)['a'] | search 'a\" or \"b' | count", [[0]]),
        ("datatable(s:string)['a', 'b'] | search @'a' | count", [[1]]),
        ("datatable(s:string)['abc'] | where * matches regex 'a.c' | count", [[1]]),
        ("datatable(s:string)['a x', 'a'] | search 'a' and not 'x' | project s", [["a"]]),
        (
            "print s = 'a=1\\tb=2' | parse-kv s as (a:long, b:long) "
            "with (pair_delimiter='\\t', kv_delimiter='=') | project a, b",
            [[1, 2]],
        ),
        # Aggregates
        (
            "range x from 1 to 100 step 1 | summarize percentiles(x, 50, 95)",
            [[50, 95]],
        ),
        (
            "range x from 1 to 100 step 1 | summarize (half, most) = percentiles(x, 50, 95)",
            [[50, 95]],
        ),
        (f"{ROWS} | summarize make_list(n, 2)", [[[1, 2]]]),
        (f"{ROWS} | summarize make_set(k, 1)", [[["a"]]]),
        (f"{ROWS} | summarize make_list_if(n, k == 'b')", [[[3, 5]]]),
        (f"{ROWS} | summarize make_set_if(k, n > 2)", [[["b", "a"]]]),
        (f"{ROWS} | summarize minif(n, k == 'b'), maxif(n, k == 'a')", [[3, 8]]),
        (f"{ROWS} | summarize take_anyif(n, n == 5)", [[5]]),
        (f"{ROWS} | where n == 5 | summarize take_any(*) by k", [["b", 5]]),
        (f"{ROWS} | summarize count_distinct(k), stdevp(iff(k == 'a', 1, 1))", [[2, 0.0]]),
        (f"{ROWS} | summarize make_bag(bag_pack(k, n))", [[{"a": 1, "b": 3}]]),
        (f"{ROWS} | summarize what = 'all', n = count()", [["all", 5]]),
        (
            f"let s = 60; {TIMES} | summarize n = count() by bin(t, s * 1s) | sort by t asc",
            [["2026-01-01T00:00:00Z", 2], ["2026-01-01T00:03:00Z", 1]],
        ),
        # parse-kv
        (
            "print s = 'level=info id=7 text=\"a b\"' | parse-kv s as (level:string, id:long, "
            "text:string) with (pair_delimiter=' ', kv_delimiter='=', quote='\"') "
            "| project level, id, text",
            [["info", 7, "a b"]],
        ),
        ("print e = extract('(\\\\d+)', 1, 'id: 7', typeof(long)) | project e + 1", [[8]]),
        # make-series
        (
            f"{TIMES} | make-series n = count() on t from datetime(2026-01-01) "
            "to datetime(2026-01-01 00:04) step 1m",
            [[[2, 0, 0, 1], [f"2026-01-01T00:0{m}:00.0000000Z" for m in range(4)]]],
        ),
        (
            f"{TIMES} | make-series n = count() default = -1 on t in "
            "range(datetime(2026-01-01), datetime(2026-01-01 00:02), 1m) by k",
            [["a", [2, -1, -1], [f"2026-01-01T00:0{m}:00.0000000Z" for m in range(3)]]],
        ),
        (
            f"{ROWS} | make-series count(), m = max(n) on n from 0 to 9 step 3",
            [[[2, 2, 1], [2, 5, 8], [0, 3, 6]]],
        ),
        (
            f"{TIMES} | make-series n = count() on t step 1m by k | where k == 'a' | project n",
            [[[2]]],
        ),
        (
            f"{TIMES} | where k == 'none' | make-series n = count() on t from datetime(2026-01-01) "
            "to datetime(2026-01-01 00:02) step 1m | count",
            [[0]],
        ),
        # Functions
        ("print set_union(dynamic([3, 1]), dynamic([2, 1]))", [[[3, 1, 2]]]),
        ("print set_difference(dynamic([1, 2, 2, 3]), dynamic([2]))", [[[1, 3]]]),
        ("print set_intersect(dynamic([1, 'x']), dynamic(['x']))", [[["x"]]]),
        ("print jaccard_index(dynamic([1, 2, 3]), dynamic([1, 2, 3, 4]))", [[0.75]]),
        ("print bag_keys(dynamic({'a': 1, 'b': {'c': 2}}))", [[["a", "b"]]]),
        ("print bag_merge(dynamic({'a': 1}), dynamic({'a': 2, 'b': 3}))", [[{"a": 1, "b": 3}]]),
        (
            "print bag_merge(dynamic({'a': {'x': 1}, 'n': null}), dynamic({'a': {'y': 2}}))",
            [[{"a": {"x": 1}, "n": None}]],
        ),
        ("print bag_has_key(dynamic({'a': {'b': 1}}), '$.a.b')", [[True]]),
        ("print translate('abc', 'x', 'abc')", [["xxx"]]),
        ("print unixtime_seconds_todatetime(1.5)", [["1970-01-01T00:00:01.5Z"]]),
        ("print format_bytes(5497558138880)", [["5 TB"]]),
        ("print bag_remove_keys(dynamic({'a': 1, 'b': 'x'}), dynamic(['a']))", [[{"b": "x"}]]),
        ("print bag_has_key(dynamic({'a': 1}), 'a')", [[True]]),
        ("print bag_has_key(dynamic({'a': 1}), 'b')", [[False]]),
        ("print unixtime_seconds_todatetime(1546300800)", [["2019-01-01T00:00:00Z"]]),
        ("print unixtime_milliseconds_todatetime(1546300800000)", [["2019-01-01T00:00:00Z"]]),
        (
            "print format_timespan(time(29.09:00:05.12345), 'dd.hh:mm:ss [FF]'), "
            "format_timespan(time(29.09:00:05.12345), 'ddd.h:mm:ss [fffffff]')",
            [["29.09:00:05 [12]", "029.9:00:05 [1234500]"]],
        ),
        (
            "print bin_at(datetime(2026-01-01 10:37), 1h, datetime(2026-01-01 00:30))",
            [["2026-01-01T10:30:00Z"]],
        ),
        ("print range(1, 8, 3)", [[[1, 4, 7]]]),
        ("print extract_json('$.a.b', '{\"a\": {\"b\": 7}}', typeof(int))", [[7]]),
        ("print tohex(256), strcmp('ABC', 'abc')", [["100", -1]]),
        ("print translate('krasp', 'otsku', 'spark')", [["kusto"]]),
        ("print url_encode('https://a/b c')", [["https%3a%2f%2fa%2fb+c"]]),
        ("print url_decode('a%20b')", [["a b"]]),
        ("print repeat(1, 3), string_size('é'), isascii('é')", [[[1, 1, 1], 2, False]]),
        ("print parse_version('1.2.3') > parse_version('1.2')", [[True]]),
        (
            "print datetime_utc_to_local(datetime(2026-07-01 12:00), 'Europe/Berlin')",
            [["2026-07-01T14:00:00Z"]],
        ),
    ],
)  # fmt: skip
async def test_the_answer_is_kustos(logs: Logs, query: str, expected: list[list[Any]]) -> None:
    assert [[_plain(value) for value in row] for row in await logs.rows(query)] == expected


BAGS = (
    "datatable(d:dynamic, n:int)[dynamic({'Name': 'John', 'Age': 20}), 1, "
    "dynamic({'Name': 'Dave', 'Age': 40.5, 'tags': ['a']}), 2, dynamic(null), 3]"
)


@pytest.mark.parametrize(
    ("query", "columns", "rows"),
    [
        (
            f"{BAGS} | evaluate bag_unpack(d)",
            {"n": "int", "Age": "real", "Name": "string", "tags": "dynamic"},
            [[1, 20.0, "John", None], [2, 40.5, "Dave", '["a"]'], [3, None, "", None]],
        ),
        (
            f"{BAGS} | evaluate bag_unpack(d, 'p_') | where p_Age > 30 | project p_Name",
            {"p_Name": "string"},
            [["Dave"]],
        ),
        (
            f"{ROWS} | evaluate pivot(k, sum(n))",
            {"a": "long", "b": "long"},
            [[11, 8]],
        ),
        (
            f"{ROWS} | extend g = n % 2 | evaluate pivot(k, count(), g) | sort by g asc",
            {"g": "long", "a": "long", "b": "long"},
            [[0, 2, 0], [1, 1, 2]],
        ),
        (
            f"let X = {ROWS}; X | project k, n | evaluate pivot(k) | sort by n asc | take 1",
            {"n": "long", "a": "long", "b": "long"},
            [[1, 1, 0]],
        ),
        (
            """datatable(k:string)["it's", 'a"b'] | evaluate pivot(k)""",
            {'a"b': "long", "it's": "long"},
            [[1, 1]],
        ),
    ],
)
async def test_columns_that_depend_on_the_rows(
    logs: Logs, query: str, columns: dict[str, str], rows: list[list[Any]]
) -> None:
    [table] = (await logs.answer(query))["tables"]
    assert {column["name"]: column["type"] for column in table["columns"]} == columns
    assert table["rows"] == rows


async def test_lines_of_json_are_unpacked(logs: Logs) -> None:
    logs.line('{"level": "warn", "ms": 12}')
    logs.line('{"level": "info", "ms": 8, "user": "ann"}')
    logs.line("no JSON")
    query = f"{T} | extend d = parse_json(Log_s) | project d | evaluate bag_unpack(d)"
    assert await logs.rows(f"{query} | where level != '' | sort by ms asc") == [
        ["info", 8, "ann"],
        ["warn", 12, ""],
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (f"{ROWS} | summarize percentiles(n, 50, 95)", ["percentile_n_50", "percentile_n_95"]),
        (f"{ROWS} | summarize p = percentiles(n, 50, 95)", ["p", "percentile_n_95"]),
        (f"{ROWS} | sort by n asc | project prev(k)", ["prev_k"]),
        (f"{TIMES} | make-series count() on t step 1m by k", ["k", "count_", "t"]),
        (f"{ROWS} | sort by n asc | extend p = prev(n)", ["n", "k", "p"]),
        (f"{ROWS} | summarize make_list(n, 2), make_set(k, 2)", ["list_n", "set_k"]),
    ],
)
async def test_columns_have_kustos_names(logs: Logs, query: str, names: list[str]) -> None:
    answer = await logs.answer(query)
    assert [column["name"] for column in answer["tables"][0]["columns"]] == names


async def test_a_search_finds_lines_in_every_table(logs: Logs) -> None:
    logs.line("the needle is here")
    logs.line("nothing")
    logs.event("Started", "a Needle in the system log")
    found = await logs.rows("search 'needle' | summarize count() by $table | sort by $table asc")
    assert found == [
        ["ContainerAppConsoleLogs", 1],
        ["ContainerAppConsoleLogs_CL", 1],
        ["ContainerAppSystemLogs", 1],
        ["ContainerAppSystemLogs_CL", 1],
    ]
    assert await logs.rows(f"search in ({T}) 'needle' | project Log_s") == [["the needle is here"]]


async def test_hidden_columns_show_where_they_are_asked_for(logs: Logs) -> None:
    logs.line("12345")
    logs.line("1234567890")
    [[short, long]] = await logs.rows(f"{T} | summarize min(_BilledSize), max(_BilledSize)")
    assert 10 < short <= long - 5
    assert await logs.rows(f"{T} | where _IsBillable | project ingestion_time() | count") == [[2]]
    answer = await logs.answer(T)
    assert "_BilledSize" not in [column["name"] for column in answer["tables"][0]["columns"]]


async def test_a_query_that_is_wrong_takes_no_slot_for_good(logs: Logs) -> None:
    doubling = "let f0 = () { print 1 };" + "".join(
        f"let f{n} = () {{ union (f{n - 1}()), (f{n - 1}()) }};" for n in range(1, 40)
    )
    for query in (*[f"{ROWS} | summarize p) = percentiles(n, 50)"] * 6, f"{doubling} f39()"):
        with pytest.raises(QueryError):
            await logs.rows(query)
    assert await logs.rows("print 1") == [[1]]


async def test_rows_keep_their_order_over_many(logs: Logs) -> None:
    """A window looks at the row before in the order asked for, whatever threads did the work."""
    query = (
        "range x from 1 to 300000 step 1 | extend k = hash_md5(tostring(x)) | sort by k asc "
        "| extend before = prev(k), i = row_number() | extend ok = before < k or i == 1 "
        "| summarize bad = countif(not(ok)), n = max(i)"
    )
    assert await logs.rows(query) == [[0, 300000]]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"{ROWS} | extend p = prev(n)", "prev() cannot be invoked here: the row set must be"),
        (f"{ROWS} | sort by n asc | count | extend i = row_number()", "row_number()"),
        (f"{ROWS} | sort by n asc | extend p = prev()", "prev(): function expects 1 to 3"),
        (f"{ROWS} | project-keep nope", "named 'nope'"),
        (f"{ROWS} | project-away *", "leaves no column"),
        ("print range(1, 10000000, 1)", "'range' makes more than 1048576 values"),
        (f"{ROWS} | parse-kv k as level", "parse-kv"),
        (f"{ROWS} | make-series n = count()", "make-series"),
        (f"{ROWS} | sample-distinct 3", "sample-distinct"),
        (f"let f = (m:long) {{ {ROWS} | take m }}; f(1, 2)", "not supported"),
        ("print payload.kind.", "parsed"),
        (f"{BAGS} | evaluate bag_unpack(nope)", "no column 'nope' before it"),
        (f"{BAGS} | evaluate bag_unpack(d, columnsConflict='x')", "the column and a prefix alone"),
        (f"{BAGS} | evaluate bag_unpack(d) : (n:int, *)", "A schema behind a plugin"),
        (f"{ROWS} | summarize p) = percentiles(n, 50)", "parsed"),
        ("let f=(n:long=) { datatable(x:long)[5] | take n }; f(1)", "parsed"),
        ("let T = () { T | take 1 }; T()", "does not call itself"),
        (f"let {T} = view () {{ {T} | where Log_s != '' }}; {T} | take 1", ""),
        ("datatable(x:long)[1] | extend desc = x | order by x desc", "parsed"),
        ("print bag_remove_keys(dynamic({'a': 1}), dynamic(['$.a']))", "takes no paths"),
        (f"{BAGS} | extend Age = 1 | evaluate bag_unpack(d)", "a column 'Age' already"),
        (f"{ROWS} | evaluate pivot(k, hll(n))", "'hll' is not supported"),
        ("range x from 1 to 501 step 1 | evaluate pivot(x)", "would make 501 columns"),
        (f"{ROWS} | evaluate autocluster()", "'evaluate' (line 1"),
    ],
)  # fmt: skip
async def test_what_means_nothing_is_refused(logs: Logs, query: str, message: str) -> None:
    with pytest.raises(QueryError) as refusal:
        await logs.rows(query)
    assert message in str(refusal.value)
    assert "__local" not in str(refusal.value)
    assert "$op" not in str(refusal.value)
