"""Operators of KQL that are written with others: values are those of the operator's page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.localcloud.logs.errors import QueryError

from .conftest import Logs

ROWS = "datatable(n:long, k:string)[1,'a', 2,'a', 3,'b', 5,'b', 8,'a']"
ARRAYS = "datatable(i:int, d:dynamic)[0, dynamic([5, 1, 3]), 1, dynamic([4, 10, 8, 7])]"
PAIRS = 'src=10.1.1.123 bytes=125 failure="connection aborted" "event time"=2021-01-01T10:00:54'


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


async def _answers(logs: Logs, query: str) -> tuple[list[str], list[list[Any]]]:
    [table] = (await logs.answer(query))["tables"]
    names = [column["name"] for column in table["columns"]]
    return names, [[_plain(value) for value in row] for row in table["rows"]]


async def test_mv_apply_runs_a_pipeline_for_each_row(logs: Logs) -> None:
    for query, names, rows in (
        (
            f"{ARRAYS} | mv-apply x=d to typeof(long) on (top 2 by x | summarize t=make_list(x))",
            ["i", "d", "t"],
            [[0, [5, 1, 3], [5, 3]], [1, [4, 10, 8, 7], [10, 8]]],
        ),
        (
            f"{ARRAYS} | mv-apply with_itemindex=at d to typeof(long) on (where at >= 2)",
            ["i", "d", "at"],
            [[0, 3, 2], [1, 8, 2], [1, 7, 3]],
        ),
        # A row none of whose values fits is in the answer, too.
        (
            f"{ARRAYS} | mv-apply d to typeof(long) on (where d > 5 | summarize c=count(), sum(d))",
            ["i", "c", "sum_d"],
            [[0, 0, 0], [1, 3, 25]],
        ),
        # What it writes over, the rows keep.
        (
            f"{ARRAYS} | mv-apply x=d to typeof(long) on (extend i = 7 | summarize m=max(i + x))",
            ["i", "d", "m"],
            [[0, [5, 1, 3], 12], [1, [4, 10, 8, 7], 17]],
        ),
        (
            f"{ARRAYS} | mv-apply d to typeof(long) on (order by d asc "
            "| extend p = prev(d) | project p, s = row_cumsum(d) | where isnull(p))",
            ["i", "p", "s"],
            [[0, None, 1], [1, None, 4]],
        ),
        (
            'print s = \'[{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3]}]\' '
            "| mv-apply x = parse_json(s) on (mv-apply y = x.b to typeof(long) on "
            "(summarize t = sum(y)) | summarize t = sum(t)) | project t",
            ["t"],
            [[6]],
        ),
    ):
        assert await _answers(logs, query) == (names, rows), query


async def test_partition_runs_a_pipeline_for_each_value(logs: Logs) -> None:
    for query, rows in (
        (f"{ROWS} | partition by k (top 1 by n) | sort by k asc", [[8, "a"], [5, "b"]]),
        (
            f"{ROWS} | partition hint.strategy=native by k "
            "(order by n asc | extend p = prev(n), r = row_number() | where r == 2) "
            "| sort by k asc",
            [[2, "a", 1, 2], [5, "b", 3, 2]],
        ),
        (f"{ROWS} | partition by k (summarize s=sum(n)) | sort by s asc", [[8], [11]]),
        (f"{ROWS} | partition by tolower(k) (count) | sort by Count asc", [[2], [3]]),
    ):
        assert (await _answers(logs, query))[1] == rows, query


async def test_top_nested_goes_down_level_by_level(logs: Logs) -> None:
    rows = (
        "datatable(n:long, k:string, c:string)"
        "[1,'a','x', 2,'a','y', 3,'b','x', 5,'b','x', 8,'a','y']"
    )
    assert await _answers(
        logs,
        f"{rows} // all of it\n| top-nested 1 of k by sum(n), // the first\n"
        "top-nested 2 of Z = c by m = max(n) asc",
    ) == (
        ["k", "aggregated_k", "Z", "m"],
        [["a", 11, "x", 1], ["a", 11, "y", 8]],
    )
    assert await _answers(logs, f"{rows} | top-hitters 1 of k by n") == (
        ["k", "approximate_sum_n"],
        [["a", 11]],
    )


async def test_find_tells_where_it_found_what(logs: Logs) -> None:
    logs.line("the needle is here")
    logs.line("nothing")
    logs.event("Started", "a needle in the system log")
    names, rows = await _answers(
        logs, "find where * has 'needle' project Log_s, Reason_s | sort by source_ asc"
    )
    assert names == ["source_", "Log_s", "Reason_s"]
    assert [row[0] for row in rows] == [
        "ContainerAppConsoleLogs",
        "ContainerAppConsoleLogs_CL",
        "ContainerAppSystemLogs",
        "ContainerAppSystemLogs_CL",
    ]
    assert rows[1] == ["ContainerAppConsoleLogs_CL", "the needle is here", ""]
    names, [row] = await _answers(
        logs, "find in (ContainerAppSystemLogs_CL) where Reason_s == 'Started'"
    )
    assert names == ["source_", "Reason_s", "pack_"]
    assert row[2]["Log_s"] == "a needle in the system log"
    assert "Reason_s" not in row[2]


@pytest.mark.parametrize(
    ("text", "asked", "expected"),
    [
        (
            PAIRS,
            "(['event time']:datetime, src:string, bytes:long, failure) "
            "with (pair_delimiter=' ', kv_delimiter='=', quote='\"')",
            ["2021-01-01T10:00:54Z", "10.1.1.123", 125, "connection aborted"],
        ),
        (
            "a=(x y) (b c)=(1)",
            "(a:string, ['b c']:long) with (pair_delimiter=' ', kv_delimiter='=', quote='()')",
            ["x y", 1],
        ),
        (
            'failure="sent \\"bye!\\"" time=7',
            "(failure:string, ['time']:long) "
            "with (pair_delimiter=' ', kv_delimiter='=', quote='\"', escape='\\\\')",
            ['sent "bye!"', 7],
        ),
        (
            "name=John Doe phone=555 5555 city=New York",
            "(name:string, city:string) with (pair_delimiter=' ', kv_delimiter='=', greedy=true)",
            ["John Doe", "New York"],
        ),
        (
            "2021-01-01T10:00:34 [INFO] ThreadId:458745723, Machine:Node001, Text: Started",
            "(Text:string, ThreadId:long, Machine:string)",
            ["Started", 458745723, "Node001"],
        ),
        (
            '["referer url: https://a/?h=1", "advertiser id: 24fefbca"]',
            "(['referer url']:string, ['advertiser id']:string) "
            'with (regex=@\'"([\\w ]+)\\s*:\\s*([^"]*)"\')',
            ["https://a/?h=1", "24fefbca"],
        ),
    ],
)
async def test_parse_kv_reads_pairs(logs: Logs, text: str, asked: str, expected: list[Any]) -> None:
    logs.line(text)
    rows = await logs.rows(
        f"ContainerAppConsoleLogs_CL | project Log_s | parse-kv Log_s as {asked} "
        "| project-away Log_s"
    )
    assert rows == [expected]


async def test_functions_of_several_columns(logs: Logs) -> None:
    series = "print x = dynamic([23, 46, 23, 87, 4])"
    assert await _answers(logs, f"{series} | project series_stats(x)") == (
        [
            f"series_stats_x_{figure}"
            for figure in ("min", "min_idx", "max", "max_idx", "avg", "stdev", "variance")
        ],
        [[4.0, 4, 87.0, 3, 36.6, pytest.approx(31.8638, 1e-4), pytest.approx(1015.3)]],
    )
    names, [row] = await _answers(
        logs,
        "print y = dynamic([1, 3, 5]) | extend (r, slope) = series_fit_line(y) | project slope",
    )
    assert (names, row) == (["slope"], [2.0])


async def test_all_columns_are_packed(logs: Logs) -> None:
    rows = await logs.rows(
        "print a = 1, b = '', c = 'x' | project d = pack_all(), e = pack_all(true), "
        "f = bag_pack_columns(a, c)"
    )
    assert [_plain(value) for value in rows[0]] == [
        {"a": 1, "b": "", "c": "x"},
        {"a": 1, "c": "x"},
        {"a": 1, "c": "x"},
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"{ARRAYS} | mv-apply d on (join ({ROWS}) on $left.i == $right.n)", "'join' inside of"),
        (f"{ROWS} | partition by k (union ({ROWS}))", "'union' inside of mv-apply or partition"),
        (f"{ROWS} | partition by k {{ T | where k == k }}", "'partition'"),
        (f"{ROWS} | top-nested 1 of k with others = 'x' by sum(n)", "top-nested"),
        (f"{ROWS} | mv-apply k", "mv-apply"),
    ],
)
async def test_what_is_not_supported_is_refused(logs: Logs, query: str, message: str) -> None:
    with pytest.raises(QueryError) as refusal:
        await logs.rows(query)
    assert message in str(refusal.value)
    assert "__local" not in str(refusal.value)
    assert "$" not in str(refusal.value)


async def test_literals_are_read_in_every_form(logs: Logs) -> None:
    query = (
        r"""print a = '\x41\u00e9\U0001F600', b = 'x' h'y' h"z", c = '\\u0041', d = @'\u', """
        r"""e = 'it\u0027s', f = '\t\\d'"""
    )
    assert await logs.rows(query) == [["Aé😀", "xyz", "\\u0041", "\\u", "it's", "\t\\d"]]


async def test_arguments_may_be_named(logs: Logs) -> None:
    query = (
        "let f = (a:long, b:string = 'B', c:long = 0) { strcat(a, '-', b, '-', c) }; "
        "let g = (x:long) { f(c=x, a=1) }; "
        "let T = (n:long, m:long = 2) { range x from n to m step 1 }; "
        "print f(c=7, a=12), f(12, c=7), g(x=2), f(a=f(a=1)), toscalar(T(m=5, n=4) | count)"
    )
    assert await logs.rows(query) == [["12-B-7", "12-B-7", "1-B-2", "1-B-0-B-0", 2]]


async def test_summarize_in_the_forms_that_people_write(logs: Logs) -> None:
    for query, names, rows in (
        (f"{ROWS} | summarize count(k), n = count(n)", ["count_k", "n"], [[5, 5]]),
        (
            f"{ROWS} | summarize hint.strategy=partitioned makelist(n), makeset(k)",
            ["list_n", "set_k"],
            [[[1, 2, 3, 5, 8], ["a", "b"]]],
        ),
        (f"{ROWS} | summarize argmax(n, *)", ["n", "k"], [[8, "a"]]),
        (
            f"{ROWS} | summarize (N, twice) = arg_max(n, n * 2), c = 'all' by k | sort by k asc",
            ["k", "N", "twice", "c"],
            [["a", 8, 16, "all"], ["b", 5, 10, "all"]],
        ),
    ):
        assert await _answers(logs, query) == (names, rows), query


async def test_a_pattern_may_begin_with_a_column(logs: Logs) -> None:
    query = (
        "print m = 'TCP request from 1.2.3.4:80' | parse m with Protocol ' request from ' IP ':' *"
    )
    assert await logs.rows(query) == [["TCP request from 1.2.3.4:80", "TCP", "1.2.3.4"]]


@pytest.mark.parametrize("query", ["search in (Nope) 'x'", "find in (Nope) where * has 'x'"])
async def test_a_table_that_is_not_there_is_named(logs: Logs, query: str) -> None:
    with pytest.raises(QueryError) as refusal:
        await logs.rows(query)
    assert "table or column expression named 'Nope'" in str(refusal.value)


async def test_a_text_of_json_is_spread_under_its_own_name(logs: Logs) -> None:
    query = (
        'print d = \'[{"a": 1}, {"a": 2}]\', n = 7 | mv-expand todynamic(d) | project n, a = d.a'
    )
    assert (await _answers(logs, query))[1] == [[7, "1"], [7, "2"]]


async def test_a_decimal_has_the_digits_that_it_was_written_with(logs: Logs) -> None:
    query = "print d = todecimal('1.50'), e = todecimal('100'), f = todecimal('x')"
    assert await logs.rows(query) == [["1.5", "100", None]]
