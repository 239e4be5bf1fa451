"""`union`, and joins whose rows may lack a partner: the types of what they put together."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.localcloud.logs.errors import QueryError

from .conftest import Logs

VIEWS = "let View_1 = view () { print x=1 }; let View_2 = view () { print x=toint(2) };"


async def _asked(logs: Logs, query: str) -> tuple[list[str], list[list[Any]]]:
    table = (await logs.answer(query))["tables"][0]
    return [f"{c['name']}:{c['type']}" for c in table["columns"]], table["rows"]


@pytest.mark.parametrize(
    ("query", "columns", "rows"),
    [
        # The examples of https://learn.microsoft.com/kusto/query/union-operator
        (
            f"{VIEWS} union withsource=TableName View_1, View_2",
            ["TableName:string", "x_long:long", "x_int:int"],
            [["View_1", 1, None], ["View_2", None, 2]],
        ),
        (
            f"{VIEWS} let View_3 = view () {{ print x_long=3 }};"
            "union withsource=TableName View_1, View_2, View_3",
            ["TableName:string", "x_long1:long", "x_int:int", "x_long:long"],
            [["View_1", 1, None, None], ["View_2", None, 2, None], ["View_3", None, None, 3]],
        ),
        (
            "let View_1 = view () { print x=1 }; let View_2 = view () { print x=1 };"
            "let OtherView_1 = view () { print x=1 };"
            "union isfuzzy=true (View_1 | where x > 0), (View_2 | where x > 0), "
            "(View_3 | where x > 0) | count",
            ["Count:long"],
            [[2]],
        ),
        (
            "let View_1 = view () { print x=1 }; let View_2 = view () { print x=1 };"
            "let OtherView_1 = view () { print x=1 };"
            "union isfuzzy=true View*, SomeView*, OtherView* | count",
            ["Count:long"],
            [[3]],
        ),
        # Its words: one column for each name and type; what an input lacks is null, or empty
        (
            "print x=1 | union (print x='a', y=2)",
            ["x_long:long", "x_string:string", "y:long"],
            [[1, "", None], [None, "a", 2]],
        ),
        (
            "union (print x=1), (print x='a') | where x_long == 1 | project-keep x*",
            ["x_long:long", "x_string:string"],
            [[1, ""]],
        ),
        (
            "union kind=inner withsource=T (print x=1, y=2), (print x='a', y=3)",
            ["T:string", "y:long"],
            [["union_arg0", 2], ["union_arg1", 3]],
        ),
        (
            "let n = 2; union (print x=n), (range x from 1 to n step 1) | summarize sum(x)",
            ["sum_x:long"],
            [[5]],
        ),
        (
            "union (print x=1), (union (print x='s'), (print x=2))",
            ["x:long", "x_string:string", "x_long:long"],
            [[1, "", None], [None, "s", None], [None, "", 2]],
        ),
        ("let f = view () { print x=1 }; f() | extend y = 2", ["x:long", "y:long"], [[1, 2]]),
        # A string is never null
        (
            "union (print a='x'), (print b='y') | where a == '' and not(isnull(a)) | project b",
            ["b:string"],
            [["y"]],
        ),
        (
            "union (print a='x'), (print b='y') | summarize dcount(a), make_list(a)",
            ["dcount_a:long", "list_a:dynamic"],
            [[2, '["x",""]']],
        ),
        (
            "datatable(k:string, v:long)['a',1, 'b',2] | join kind=leftouter "
            "(datatable(k:string, w:string, n:long)['a','x',7]) on k "
            "| where w == '' | project k, w, n",
            ["k:string", "w:string", "n:long"],
            [["b", "", None]],
        ),
        (
            "datatable(k:string, v:long)['a',1] | join kind=rightouter "
            "(datatable(k:string)['a', 'c']) on k | where k == '' | project k, k1, v",
            ["k:string", "k1:string", "v:long"],
            [["", "c", None]],
        ),
        (
            "datatable(k:string)['a'] | join kind=fullouter (datatable(k:string)['c']) on k "
            "| summarize countif(k == ''), countif(k1 == '')",
            ["countif_:long", "countif_1:long"],
            [[1, 1]],
        ),
        (
            "datatable(k:string)['a', 'b'] | lookup (datatable(k:string, w:string)['a','x']) on k "
            "| where w != 'x'",
            ["k:string", "w:string"],
            [["b", ""]],
        ),
    ],
)  # fmt: skip
async def test_what_a_union_or_join_gives(
    logs: Logs, query: str, columns: list[str], rows: list[list[Any]]
) -> None:
    assert await _asked(logs, query) == (columns, rows)


async def test_tables_are_told_by_their_names(logs: Logs) -> None:
    logs.line("one")
    logs.line("two")
    logs.event("Started")
    counted = "| summarize n = count() by T | order by T asc"
    both = [
        ["ContainerAppConsoleLogs", 2],
        ["ContainerAppConsoleLogs_CL", 2],
        ["ContainerAppSystemLogs", 1],
        ["ContainerAppSystemLogs_CL", 1],
    ]
    assert await logs.rows(f"union withsource=T ContainerApp* {counted}") == both
    assert await logs.rows(f"union withsource=T * {counted}") == both
    shared, _ = await _asked(logs, "union kind=inner ContainerApp* | project-away _*")
    assert shared == [
        "TenantId:string", "TimeGenerated:datetime", "Category:string", "SourceSystem:string",
        "Type:string",
    ]  # fmt: skip
    named = (
        "let A = ContainerAppConsoleLogs_CL; let B = A | take 1;"
        f"union withsource=T A, B, (ContainerAppSystemLogs_CL) {counted}"
    )
    assert await logs.rows(named) == [
        ["ContainerAppConsoleLogs_CL", 2], ["ContainerAppSystemLogs_CL", 1], ["union_arg1", 1],
    ]  # fmt: skip


async def test_fuzzy_leaves_out_tables_and_nothing_else(logs: Logs) -> None:
    logs.line("one")
    for tables in ("Nope, ContainerAppConsoleLogs_CL", "ContainerAppConsoleLogs_CL, Nope"):
        assert await logs.rows(f"union isfuzzy=true {tables} | count") == [[1]]
    with pytest.raises(QueryError, match=r"Failed to resolve .* 'Nope'"):
        await logs.rows("union ContainerAppConsoleLogs_CL, Nope | count")
    with pytest.raises(QueryError, match="'Nope'; with isfuzzy=true one table at least must exist"):
        await logs.rows("union isfuzzy=true Nope, Nowhere | count")
    with pytest.raises(QueryError, match=r"Failed to resolve scalar expression named 'x' \(line 1"):
        await logs.rows("union isfuzzy=true Nope, (ContainerAppConsoleLogs_CL | where x == 1)")
    with pytest.raises(QueryError, match=r"Failed to resolve .* 'Nope\*'"):
        await logs.rows("union Nope* | count")
    with pytest.raises(QueryError, match="Failed to resolve scalar expression named 'x'"):
        await logs.rows("union (print x=1), (print x='a') | where x == 1")
