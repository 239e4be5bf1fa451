"""Where KQL and SQL mean something else: what is expected, Kusto's own pages say."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.localcloud.logs.errors import QueryError

from .conftest import Logs

D = "datatable(d:dynamic)[dynamic({'k': 5}), dynamic({'k': 10})]"
NONE = "datatable(v:long)[]"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # https://learn.microsoft.com/kusto/query/scalar-data-types/null-values
        (
            "datatable(val:int)[5, int(null)] | extend IsBiggerThan3 = val > 3 "
            "| extend IsBiggerThan3OrNull = val > 3 or isnull(val) "
            "| extend IsEqualToNull = val == int(null), IsNotEqualToNull = val != int(null) "
            "| sort by val asc nulls last",
            [[5, True, True, False, True], [None, None, True, None, None]],
        ),
        (
            "datatable(ival:int, sval:string)[5, 'a', int(null), 'b'] | where ival != 5",
            [[None, "b"]],
        ),
        # A string is never null: https://learn.microsoft.com/kusto/query/scalar-data-types/string
        ("print isnull(''), isempty(''), isempty(long(null)), isnotempty('a')",
         [[False, True, True, True]]),
        (
            "datatable(s:string)['a', 'b'] | serialize | extend p = prev(s) "
            "| where p == '' | project s",
            [["a"]],
        ),
        (
            "datatable(s:string)['a', 'b'] | serialize | extend p = next(s) "
            "| where p != '' | project s",
            [["a"]],
        ),
        (
            "datatable(s:string)[] | summarize m = take_any(s) | project m == '', '' != m",
            [[True, False]],
        ),
        # Aggregates of nothing: the table of https://learn.microsoft.com/kusto/query/
        # summarize-operator#aggregates-default-values
        (
            f"{NONE} | summarize count(), sum(v), avg(v), min(v), dcount(v), make_list(v), "
            "countif(v > 1), percentile(v, 50)",
            [[0, 0, "NaN", None, 0, "[]", 0, None]],
        ),
        (f"{NONE} | summarize count() by v", []),
        # Whole numbers; bins to the left, of the epoch, of spans
        ("print 7/2, -7/2, 5%2, 2/3.0", [[3, -3, 1, 2 / 3]]),
        ("print bin(-3, 2), bin(-7.5, 2), bin(-90m, 1h)", [[-4, -8.0, "-02:00:00"]]),
        (
            "print bin(datetime(1969-12-31 23:59), 1h), bin(datetime(1970-05-11 13:45:07), 1d), "
            "bin(time(16d), 7d)",
            [["1969-12-31T23:00:00Z", "1970-05-11T00:00:00Z", "14.00:00:00"]],
        ),
        ("print 1h/2, 1d/1h, 90m/1.5", [["00:30:00", 24.0, "01:00:00"]]),
        # Terms: https://learn.microsoft.com/kusto/query/datatypes-string-operators
        (
            "print 'North America' has 'america', 'North America' has_cs 'america', "
            "'abcdef' has 'abc', 'a.b-c' has 'b', 'aBc' contains_cs 'BC', 'aBc' !contains_cs 'bc', "
            "'a' in ('A'), 'a' in~ ('A'), 'ABC' matches regex 'b', 'xay' contains 'x_y'",
            [[True, False, False, True, False, True, False, True, False, False]],
        ),
        # Order: descending, nulls last; ascending, nulls first
        ("datatable(n:long)[2, long(null), 3] | sort by n", [[3], [2], [None]]),
        ("datatable(n:long)[2, long(null), 3] | order by n asc", [[None], [2], [3]]),
        ("datatable(s:string)['b', '', 'a'] | sort by s", [["b"], ["a"], [""]]),
        # One row of the left for each key: https://learn.microsoft.com/kusto/query/join-innerunique
        (
            "datatable(k:long, v:string)[1,'a', 1,'b'] | join (datatable(k:long, w:string)"
            "[1,'x', 1,'y']) on k | count",
            [[2]],
        ),
        # Spans and calendars
        (
            "datatable(t:datetime)[datetime(2024-01-01), datetime(2024-01-03)] "
            "| where t between (datetime(2024-01-01) .. 1d)",
            [["2024-01-01T00:00:00Z"]],
        ),
        (
            "print startofweek(datetime(2024-01-03)), startofweek(datetime(2024-01-07)), "
            "dayofweek(datetime(2024-01-07))",
            [["2023-12-31T00:00:00Z", "2024-01-07T00:00:00Z", "00:00:00"]],
        ),
        ("print now() == now(), now() - ago(1h)", [[True, "01:00:00"]]),
        # Datetimes: in an answer without zeros at the end, as a text with seven digits
        (
            "print datetime(2024-01-01), datetime(2024-01-01 10:00:00.10), "
            "datetime(2024-01-01 10:00:00.123456)",
            [["2024-01-01T00:00:00Z", "2024-01-01T10:00:00.1Z", "2024-01-01T10:00:00.123456Z"]],
        ),
        ("print t = datetime(2024-01-01 00:00:10), s = 1h",
         [["2024-01-01T00:00:10Z", "01:00:00"]]),
        (
            "print tostring(datetime(2024-01-01)), strcat(datetime(2024-01-01 10:00:00.5), '!')",
            [["2024-01-01T00:00:00.0000000Z", "2024-01-01T10:00:00.5000000Z!"]],
        ),
        # https://learn.microsoft.com/kusto/query/parse-json-function: what is no JSON is a string
        (
            "print tostring(parse_json('no json')), gettype(parse_json('{')), "
            "isnull(parse_json('x').y), tolong(parse_json('{\"a\": 7}').a)",
            [["no json", "string", True, 7]],
        ),
        # https://learn.microsoft.com/kusto/query/base64-decode-tostring-function
        (
            "print base64_decode_tostring('S3VzdG8='), "
            "base64_decode_tostring('U3RyaW5n0KHR0tGA0L7Rh9C60LA=')",
            [["Kusto", ""]],
        ),
        # Absent keys and places
        (
            "print d = dynamic({'a': [1, 2]}) | project isnull(d.zz), tostring(d.zz), "
            "tolong(d.a[-1]), isnull(d.a[9])",
            [[True, "", 2, True]],
        ),
        # Brackets around a pipeline, arguments with names
        ("(range x from 1 to 3 step 1 | where x > 1) | count", [[2]]),
        ("((range x from 1 to 3 step 1)) | count", [[3]]),
        (
            "let f = (T:(x:long), v:long) { T | where x >= v }; "
            "f((range x from 1 to 10 step 1), 9)",
            [[9], [10]],
        ),
        (
            "let f = (a:long, b:long = 2) { a + b }; datatable(x:long)[3, 4] "
            "| where f(a=1, b=x) == 4",
            [[3]],
        ),
        # Aggregates of times, and of lists as texts
        (
            "datatable(k:string, d:timespan)['a',1h, 'a',2h, 'b',5m] "
            "| summarize sum(d), m = avg(d), n = count() by k | sort by k asc",
            [["a", "03:00:00", "01:30:00", 2], ["b", "00:05:00", "00:05:00", 1]],
        ),
        ("datatable(d:timespan)[] | summarize sum(d), avg(d)", [["00:00:00", None]]),
        (
            "datatable(t:datetime)[datetime(2024-01-01), datetime(2024-01-03)] "
            "| summarize avg(t), d = max(t) - min(t)",
            [["2024-01-02T00:00:00Z", "2.00:00:00"]],
        ),
        (
            "datatable(t:datetime)[datetime(2024-01-01), datetime(2024-01-03)] "
            "| summarize x = avg(datetime(2024-01-04) - t)",
            [["2.00:00:00"]],
        ),
        (
            "datatable(k:string, s:string)['a','x', 'a','y'] "
            "| summarize x = strcat_array(make_list(s), ', '), n = count() by k",
            [["a", "x, y", 2]],
        ),
        # https://learn.microsoft.com/kusto/query/covariance-aggregation-function, its column
        (
            "datatable(x:real, y:real)[1.0,14.0, 2.0,10.0, 3.0,17.0, 4.0,20.0, 5.0,50.0] "
            "| summarize covariance(x, y) | project covariance_x_y",
            [[20.5]],
        ),
        # Keys that are no dynamics
        (f"{D} | sort by tolong(d.k) asc | project tolong(d.k)", [[5], [10]]),
        (f"{D} | summarize n = count() by tostring(d.k) | sort by d_k asc", [["10", 1], ["5", 1]]),
        (f"{D} | extend k = tolong(d.k) | top 1 by k | project k", [[10]]),
    ],
)  # fmt: skip
async def test_the_answer_is_kustos(logs: Logs, query: str, expected: list[list[Any]]) -> None:
    assert await logs.rows(query) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"{D} | sort by d.k asc", "'sort' operator: a key is of type 'dynamic'"),
        (f"{D} | top 1 by d.k", "'top' operator: a key is of type 'dynamic'"),
        (f"{D} | summarize count() by d.k", "'summarize' operator: a key is of type 'dynamic'"),
        (f"{D} | distinct d", "'distinct' operator: a key is of type 'dynamic'"),
        (
            "datatable(s:string)['{}'] | extend j = parse_json(s) | order by j",
            "'sort' operator: a key is of type 'dynamic'",
        ),
        ("print (a, b) = dynamic([1, 2])", "(line 1, position 7): several names"),
        ("print s = 'a,b' | extend (a, b) = split(s, ',')", "(line 1, position 26): several names"),
        ("print array_sort_asc(dynamic([2,1]), dynamic(['a','b']))", "of several arrays"),
        ("print dynamic_to_json(dynamic({'b': 1, 'a': 2}))", "dynamic_to_json"),
        ("datatable(a:long)[1] | where a = 1", "expected a comparison such as '=='"),
        ("let f = (a:long) { a }; datatable(a:long)[1] | where a = f(1)", "such as '=='"),
    ],
)
async def test_what_kusto_refuses_is_refused(logs: Logs, query: str, words: str) -> None:
    with pytest.raises(QueryError) as refusal:
        await logs.rows(query)
    assert words in str(refusal.value)
