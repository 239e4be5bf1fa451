"""Functions of KQL by subject: each value is that of the function's page, or worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.localcloud.logs.errors import QueryError

from .conftest import Logs

ARRAYS: dict[str, Any] = {
    "array_iff(dynamic([true, false, true]), dynamic([1, 2, 3]), dynamic([4, 5, 6]))": [1, 5, 3],
    "array_iff(dynamic([1, 0, 50]), 'yes', 'no')": ["yes", "no", "yes"],
    "array_iff(dynamic(['x', null]), 1, 0)": [None, None],
    "array_iif(dynamic([true, true, true]), dynamic([1, 2]), dynamic([3, 4]))": [1, 2, None],
    "array_shift_left(dynamic([1, 2, 3, 4, 5]), 2)": [3, 4, 5, None, None],
    "array_shift_left(dynamic([1, 2, 3, 4, 5]), -2, -1)": [-1, -1, 1, 2, 3],
    "array_shift_right(dynamic([1, 2, 3, 4, 5]), 2)": [None, None, 1, 2, 3],
    "array_rotate_left(dynamic([1, 2, 3, 4, 5]), 2)": [3, 4, 5, 1, 2],
    "array_rotate_right(dynamic([1, 2, 3, 4, 5]), 2)": [4, 5, 1, 2, 3],
    "array_split(dynamic([1, 2, 3, 4, 5]), 2)": [[1, 2], [3, 4, 5]],
    "array_split(dynamic([1, 2, 3, 4, 5]), dynamic([1, 3]))": [[1], [2, 3], [4, 5]],
    "array_index_of(dynamic(['this', 'is', 'an', 'is']), 'is', 2)": 3,
    "array_index_of(dynamic(['this', 'is', 'an', 'is']), 'is', 2, 1)": -1,
    "array_index_of(dynamic(['this', 'is', 'an', 'is']), 'is', 0, -1, 2)": 3,
    "array_sort_asc(dynamic([null, 'b', 'a', null]))": ["a", "b", None, None],
    "array_sort_asc(dynamic([null, 'b', 'a']), false)": [None, "a", "b"],
    "array_sort_desc(dynamic([2, 10, null]), false)": [None, 10, 2],
    "has_any_index('this is an example', dynamic(['not', 'example']))": 1,
    "has_any_index('this is an example', dynamic([]))": -1,
    "set_union(dynamic([1]), dynamic([2]), dynamic([1, 3]))": [1, 2, 3],
    "range(1, 4)": [1, 2, 3, 4],
}
BAGS: dict[str, Any] = {
    "bag_set_key(dynamic({'a': 1, 'b': 'x'}), 'b', 3)": {"a": 1, "b": 3},
    "bag_set_key(dynamic({'a': {'b': 1, 'c': 2}}), '$.a.b', 'x')": {"a": {"b": "x", "c": 2}},
    "bag_zip(dynamic(['a', 8, 'b']), dynamic([1, '2', 2.5]))": {"a": 1, "b": 2.5},
    "bag_zip(dynamic(['a', 'b']), dynamic([1]))": {"a": 1, "b": None},
    "bag_keys(dynamic([1]))": None,
    "bag_merge(dynamic({'a': 1}), dynamic({'b': 2}), dynamic({'a': 3, 'c': 4}))": {
        "a": 1, "b": 2, "c": 4,
    },
}  # fmt: skip
ADDRESSES: dict[str, Any] = {
    "ipv4_compare('192.168.1.1/30', '192.168.1.255/24')": 0,
    "ipv4_compare('192.168.1.1', '192.168.1.0')": 1,
    "ipv4_compare('192.168.1.1', '192.168.1.0', 31)": 0,
    "ipv4_compare('192.168.1.1', 'nonsense')": None,
    "ipv4_is_match('192.168.1.1/24', '192.168.1.255')": True,
    "ipv4_is_in_range('192.168.1.1', '192.168.1.255/24')": True,
    "ipv4_is_in_range('192.168.2.1', '192.168.1.255/24')": False,
    "ipv4_is_in_any_range('192.168.1.6', '192.168.1.1/24', '10.0.0.1/8')": True,
    "ipv4_is_in_any_range('1.1.1.1', dynamic(['127.0.0.1', '192.168.1.1']))": False,
    "ipv4_is_private('10.1.2.3')": True,
    "ipv4_is_private('192.168.1.1/24')": True,
    "ipv4_is_private('127.0.0.1')": False,
    "ipv4_netmask_suffix('192.168.1.1/24')": 24,
    "parse_ipv4_mask('127.0.0.1', 24)": 2130706432,
    "format_ipv4('192.168.1.1', 24)": "192.168.1.0",
    "format_ipv4_mask('192.168.1.1/24', 32)": "192.168.1.0/24",
    "format_ipv4('192.168.1.1', -1)": "",
    "format_ipv4(3232235777)": "192.168.1.1",
    "has_ipv4('05:04:54 127.0.0.1 GET /favicon.ico 404', '127.0.0.1')": True,
    "has_ipv4('05:04:54127.0.0.1 GET', '127.0.0.1')": False,
    "has_ipv4('from 127.0.0.256', '127.0.0.256')": False,
    "has_any_ipv4('from 10.1.1.115 and 10.1.1.201.', '10.1.1.201', '1.2.3.4')": True,
    "has_ipv4_prefix('05:04:54 127.0.0.1 GET', '127.0.')": True,
    "has_ipv4_prefix('05:04:54 127.0.0.1 GET', '127.0')": False,
    "has_any_ipv4_prefix('05:04:54 127.0.0.1 GET', dynamic(['127.0.', '192.168.']))": True,
    "ipv6_compare('fe80::85d:e82c:9446:7994', 'fe80::85d:e82c:9446:7998/120')": 0,
    "ipv6_compare('fe80::1', 'fe80::2')": -1,
    "ipv6_is_match('192.168.1.1', '::ffff:c0a8:0101')": True,
    "ipv6_is_in_range('a5e:f127:8a9d:146d:e102:b5d3:c755:abcd', "
    "'a5e:f127:8a9d:146d:e102:b5d3:c755:0000/112')": True,
}
SERIES: dict[str, Any] = {
    "series_add(dynamic([1, 2, 4]), dynamic([4, 2, 1]))": [5, 4, 5],
    "series_subtract(dynamic([1, 2.5]), dynamic([4, 'x']))": [-3, None],
    "series_divide(dynamic([1, 2, 4]), dynamic([4, 2, 1]))": [0.25, 1.0, 4.0],
    "series_pow(dynamic([1, 2, 3]), 2)": [1.0, 4.0, 9.0],
    "series_greater(dynamic([1, 2, 4]), dynamic([4, 2, 1]))": [False, False, True],
    "series_abs(dynamic([-6.5, 0, 8.2]))": [6.5, 0.0, 8.2],
    "series_fill_forward(dynamic([111, null, 36, null]))": [111, 111, 36, 36],
    "series_fill_backward(dynamic([111, -1, 36]), -1)": [111, 36, 36],
    "series_fill_const(dynamic([111, null]), 0)": [111, 0],
    "series_fill_linear(dynamic([null, 111, null, 36, null]))": [111, 111, 73, 36, 36],
    "series_fill_linear(dynamic([null, 1.0, null, 2.0]), double(null), false)": [None, 1, 1.5, 2],
    "series_dot_product(dynamic([1, 2, 4]), 2)": 14.0,
    "series_magnitude(dynamic([3, 4]))": 5.0,
    "series_sum(dynamic([1, 2, 3, 4]))": 10.0,
    "series_product(dynamic([1, 2, 3, 4]))": 24.0,
    "series_cosine_similarity(dynamic([1, 0]), dynamic([0, 1]))": 0.0,
    "series_fir(dynamic([1, 2, 3]), dynamic([1, 1]), false)": [1, 3, 5],
    "round(todouble(series_fit_line_dynamic(dynamic([1, 3, 5])).slope), 3)": 2.0,
    "todouble(series_stats_dynamic(dynamic([23, 46, 23, 87])).max)": 87.0,
}
TEXTS: dict[str, Any] = {
    "indexof('abcdefg', 'cde', 1, 4)": 2,
    "indexof('abcdefg', 'cde', 1, 2)": -1,
    "indexof('abcdefg', 'cde', -5)": 2,
    "indexof('a.b.c', '.', 0, -1, 2)": 3,
    "indexof_regex('abcabc', @'a.c')": 0,
    "indexof_regex('abcabcdefg', @'a.c', 0, 9, 2)": 3,
    "indexof_regex('ababaa', @'a.a', 0, -1, 2)": -1,
    "indexof_regex('abcabc', @'a|ab', -1)": None,
    "replace_strings('a cat into a dog', dynamic(['cat', 'dog']), dynamic(['dog', 'pigeon']))":
        "a dog into a pigeon",
    "replace_strings('a.b', dynamic(['.']), '-')": "a-b",
    """parse_csv('aa,"b,b,b",cc,"say \"\"x\"\"",')""": ["aa", "b,b,b", "cc", 'say "x"', ""],
    "parse_csv('record1,a\\nrecord2,x')": ["record1", "a"],
    "parse_urlquery('k1=v1&k2=a%20b')": {"Query Parameters": {"k1": "v1", "k2": "a b"}},
    "parse_path(@'C:\\temp\\file.txt')": {
        "Scheme": "", "RootPath": "C:", "DirectoryPath": "C:\\temp", "DirectoryName": "temp",
        "Filename": "file.txt", "Extension": "txt", "AlternateDataStreamName": "",
    },
    "tohex(-256)": "ffffffffffffff00",
    "tohex(256, 8)": "00000100",
    "format_bytes(10000000, 2)": "9.54 MB",
    "format_bytes(1024, 0, 'Bytes')": "1024 Bytes",
    "unicode_codepoints_to_string(dynamic([75, 117, 115, 116, 111]))": "Kusto",
    "unicode_codepoints_from_string('Ku')": [75, 117],
    "base64_decode_toarray('S3VzdG8=')": [75, 117, 115, 116, 111],
    "bin_at(6.5, 2.5, 7)": 4.5,
    "bin_at(1h, 1d, 12h)": "-12:00:00",
    "around(5, 4, 1)": True,
    "make_timespan(1, 12, 30, 55.123)": "1.12:30:55.1230000",
}  # fmt: skip


def _read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


@pytest.mark.parametrize("values", [ARRAYS, BAGS, ADDRESSES, SERIES, TEXTS])
async def test_a_function_gives_what_its_page_says(logs: Logs, values: dict[str, Any]) -> None:
    calls = ", ".join(f"v{n} = {call}" for n, call in enumerate(values))
    [row] = await logs.rows(f"print {calls}")
    assert dict(zip(values, map(_read, row), strict=True)) == values


async def test_a_function_takes_the_values_of_rows_and_of_subqueries(logs: Logs) -> None:
    """What stands for an argument is computed once, and may be a query of its own."""
    rows = await logs.rows(
        "let T = datatable(ip:string)['10.0.0.1', '8.8.8.8']; "
        "let Networks = toscalar(T | take 1 | summarize make_list(strcat(ip, '/8'))); "
        "T | extend inside = ipv4_is_in_any_range(ip, Networks) | sort by ip asc"
    )
    assert rows == [["10.0.0.1", True], ["8.8.8.8", False]]


async def test_lists_hold_values_as_a_dynamic_does(logs: Logs) -> None:
    [row] = await logs.rows(
        "datatable(d:dynamic, t:datetime, s:timespan, x:long)["
        "dynamic({'a': 1}), datetime(2020-01-01), 1d, 7, dynamic([1]), datetime(null), 2h, 5] "
        "| summarize make_list(d), make_list(t), make_set(s), make_set(x), make_list(x, 1), "
        "make_list_if(t, x == 7), make_list_with_nulls(t)"
    )
    assert [json.loads(value) for value in row] == [
        [{"a": 1}, [1]],
        ["2020-01-01T00:00:00.0000000Z"],
        ["02:00:00", "1.00:00:00"],
        [5, 7],
        [7],
        ["2020-01-01T00:00:00.0000000Z"],
        ["2020-01-01T00:00:00.0000000Z", None],
    ]


async def test_a_wrong_number_of_arguments_is_told_with_the_right_ones(logs: Logs) -> None:
    with pytest.raises(QueryError) as refusal:
        await logs.rows("print ipv4_compare('1.1.1.1')")
    assert "ipv4_compare() takes 2 or 3 arguments" in str(refusal.value)
    assert "__local" not in str(refusal.value)
