"""KQL over the tables: what they hold, how values look, where time, rows and memory end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.logs import query as query_module
from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.logs.result import Limits
from orchestrator.localcloud.logs.tables import COLUMNS, Scope

from .conftest import GROUP, WORKSPACE, Logs, job_id


def _columns(answer: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["type"] for column in answer["tables"][0]["columns"]}


# The tables


async def test_a_console_line_fills_the_columns_of_container_apps(logs: Logs) -> None:
    logs.line("[17] Sent message a-1: 7", container_id="c0ffee", stream="stderr")
    answer = await logs.answer("ContainerAppConsoleLogs_CL")
    assert answer["tables"][0]["name"] == "PrimaryResult"
    assert list(_columns(answer)) == COLUMNS["ContainerAppConsoleLogs_CL"]
    row = dict(zip(_columns(answer), answer["tables"][0]["rows"][0], strict=True))
    group = row.pop("ContainerGroupId_g")
    assert len(group) == 36
    assert row == {
        "TenantId": WORKSPACE,
        "TimeGenerated": "2026-01-01T00:00:00Z",
        "_timestamp_d": 1767225600.0,
        "time_t": "2026-01-01T00:00:00Z",
        "ContainerAppName_s": "",
        "RevisionName_s": "",
        "ContainerJobName_s": "sender",
        "ExecutionName_s": "sender-abc1234",
        "ContainerGroupName_s": "sender-abc1234-x1y2z",
        "ContainerName_s": "sender",
        "ContainerId_s": "c0ffee",
        "ContainerImage_s": "sender:latest",
        "EnvironmentName_s": "local",
        "Stream_s": "stderr",
        "Log_s": "[17] Sent message a-1: 7",
        "Category": "ContainerAppConsoleLogs",
        "SourceSystem": "RestAPI",
        "Type": "ContainerAppConsoleLogs_CL",
        "_ResourceId": job_id("sender").lower(),
        "_SubscriptionId": "0f0f",
    }
    types = _columns(answer)
    assert types["TimeGenerated"] == types["time_t"] == "datetime"
    assert types["_timestamp_d"] == "real"
    assert types["ContainerGroupId_g"] == "guid"
    assert types["Log_s"] == "string"


async def test_an_event_fills_the_columns_of_the_system_log(logs: Logs) -> None:
    logs.event("BackoffLimitExceeded", "Job has reached the specified backoff limit",
               type="Warning", count=3, source="KEDA")  # fmt: skip
    answer = await logs.answer("ContainerAppSystemLogs_CL")
    assert list(_columns(answer)) == COLUMNS["ContainerAppSystemLogs_CL"]
    row = dict(zip(_columns(answer), answer["tables"][0]["rows"][0], strict=True))
    assert row["JobName_s"] == "sender"
    assert row["ExecutionName_s"] == "sender-abc1234"
    assert row["ReplicaName_s"] == "sender-abc1234-x1y2z"
    assert row["Reason_s"] == "BackoffLimitExceeded"
    assert row["Log_s"] == "Job has reached the specified backoff limit"
    assert row["Type_s"] == row["Level"] == "Warning"
    assert row["EventSource_s"] == "KEDA"
    assert row["Count_d"] == 3.0
    assert row["TimeStamp_s"] == "2026-01-01 00:00:00 +0000 UTC"
    assert row["time_s"] == "2026-01-01T00:00:00.000000Z"


async def test_the_azure_monitor_tables_show_the_same_rows(logs: Logs) -> None:
    logs.line("hello")
    logs.event("Completed", "done")
    rows = await logs.rows(
        "ContainerAppConsoleLogs | project JobName, ExecutionName, ContainerGroupName, Stream, Log"
    )
    assert rows == [["sender", "sender-abc1234", "sender-abc1234-x1y2z", "stdout", "hello"]]
    rows = await logs.rows(
        "ContainerAppSystemLogs | project JobName, ReplicaName, Reason, Log, Count, EventSource"
    )
    assert rows == [
        ["sender", "sender-abc1234-x1y2z", "Completed", "done", 1, "ContainerAppController"]
    ]


async def test_the_official_queries_find_the_lines_of_an_execution(logs: Logs) -> None:
    for n in range(3):
        logs.line(f"mine {n}")
    logs.line("other", execution="sender-zzz9999", replica="sender-zzz9999-aaaaa")
    logs.event("Completed", "mine")
    logs.event("Completed", "other", execution="sender-zzz9999")
    rows = await logs.rows(
        "ContainerAppConsoleLogs_CL | where ContainerGroupName_s startswith 'sender-abc1234' "
        "| order by _timestamp_d asc | project Log_s"
    )
    assert rows == [["mine 0"], ["mine 1"], ["mine 2"]]
    rows = await logs.rows(
        "ContainerAppSystemLogs_CL | where JobName_s == 'sender' "
        "and ExecutionName_s == 'sender-abc1234' | project Log_s"
    )
    assert rows == [["mine"]]


async def test_a_table_without_a_row_does_not_exist_yet(logs: Logs) -> None:
    for table in COLUMNS:
        with pytest.raises(QueryError) as refusal:
            await logs.rows(f"{table} | where TimeGenerated > ago(1h)")
        inner = refusal.value.error["innererror"]["innererror"]
        assert inner["code"] == "SEM0100"
        assert inner["message"].startswith(
            f"'where' operator: Failed to resolve table or column expression named '{table}'"
        )
    logs.event("Started")
    assert await logs.rows("ContainerAppSystemLogs_CL | count") == [[1]]
    with pytest.raises(QueryError, match="ContainerAppConsoleLogs_CL"):
        await logs.rows("ContainerAppConsoleLogs_CL | count")


# Whose rows


async def test_a_workspace_holds_the_rows_of_its_own_environments(tmp_path: Path) -> None:
    owners = {job_id("sender"): "AAAA", job_id("receiver"): "bbbb", job_id("quiet"): None}
    logs = await Logs(tmp_path / "l.duckdb", workspace_of=owners.__getitem__).start()
    for job in ("sender", "receiver", "quiet"):
        logs.line(job, job=job, execution=f"{job}-1", replica=f"{job}-1-a")
    query = "ContainerAppConsoleLogs_CL | project Log_s | order by Log_s asc"
    seen = {
        "a": await logs.rows(query, scope=Scope(workspaces=("aaaa",))),
        "both": await logs.rows(query, scope=Scope(workspaces=("aaaa", "bbbb"))),
        "job": await logs.rows(query, scope=Scope(resources=(job_id("quiet").lower(),))),
        "group": await logs.rows(query, scope=Scope(resources=(GROUP.lower(),))),
    }
    assert seen == {
        "a": [["sender"]],
        "both": [["receiver"], ["sender"]],
        "job": [["quiet"]],
        "group": [["quiet"], ["receiver"], ["sender"]],
    }
    with pytest.raises(QueryError, match="Failed to resolve table"):
        await logs.rows(query, scope=Scope(workspaces=("cccc",)))
    with pytest.raises(QueryError, match="Failed to resolve table"):
        await logs.rows(query, scope=Scope(resources=(GROUP.lower()[:-1],)))
    await logs.close()


async def test_the_last_rows_of_a_deleted_job_stay_in_its_workspace(tmp_path: Path) -> None:
    owners = {job_id("sender"): WORKSPACE}
    logs = await Logs(tmp_path / "l.duckdb", workspace_of=lambda job: owners.get(job, "")).start()
    logs.event("Started")
    owners.clear()
    logs.event("Stopped")
    logs.line("the end")
    logs.event("Started", job="stranger")
    assert await logs.rows("ContainerAppSystemLogs_CL | count") == [[2]]
    assert await logs.texts() == ["the end"]
    await logs.close()


# Time


async def test_a_timespan_is_a_further_bound_on_time_generated(logs: Logs) -> None:
    for hour in range(5):
        logs.line(f"hour {hour}")
        await logs.clock.advance(3600)
    query = "ContainerAppConsoleLogs_CL | project Log_s | order by Log_s asc"
    assert await logs.rows(query, timespan="PT9000.0S") == [["hour 3"], ["hour 4"]]
    window = "2026-01-01T01:00:00Z/2026-01-01T03:00:00Z"
    assert await logs.rows(query, timespan=window) == [["hour 1"], ["hour 2"]]
    assert await logs.rows(query, timespan="2026-01-01T01:00:00Z/PT1H") == [["hour 1"]]
    assert len(await logs.rows(query)) == 5
    both = "ContainerAppConsoleLogs_CL | where TimeGenerated < ago(3h) | project Log_s"
    assert await logs.rows(both, timespan="PT4H") == [["hour 1"]]


async def test_a_timespan_does_not_lose_the_lines_of_this_very_moment(logs: Logs) -> None:
    for n in range(100):
        logs.line(str(n))
    assert await logs.rows("ContainerAppConsoleLogs_CL | count", timespan="PT1S") == [[100]]


async def test_now_is_the_time_of_the_clock_also_when_a_query_is_repeated(logs: Logs) -> None:
    query = "print now(), ago(1h)"
    assert await logs.rows(query) == [["2026-01-01T00:00:00Z", "2025-12-31T23:00:00Z"]]
    await logs.clock.advance(90)
    assert await logs.rows(query) == [["2026-01-01T00:01:30Z", "2025-12-31T23:01:30Z"]]


async def test_a_query_may_set_its_own_now(logs: Logs) -> None:
    query = "set query_now = datetime(2020-02-02); print now()"
    for _ in range(2):
        assert await logs.rows(query) == [["2020-02-02T00:00:00Z"]]


# Values


async def test_values_are_written_as_log_analytics_writes_them(logs: Logs) -> None:
    answer = await logs.answer(
        "print b=true, i=int(3), l=9007199254740993, r=1.5, nan=real(nan), inf=real(+inf), "
        "s='text', d=datetime(2026-01-02 03:04:05.678901), whole=datetime(2026-01-02), "
        "t=1d+2h+3ms, minus=-5m, g=guid(74be27de-1e4e-49d9-b579-fe0b331d3642), "
        "j=dynamic({'a': [1, 'x']}), nl=long(null), nd=datetime(null), ns=''"
    )
    row = dict(zip(_columns(answer), answer["tables"][0]["rows"][0], strict=True))
    assert _columns(answer) == {
        "b": "bool", "i": "int", "l": "long", "r": "real", "nan": "real", "inf": "real",
        "s": "string", "d": "datetime", "whole": "datetime", "t": "timespan",
        "minus": "timespan", "g": "guid", "j": "dynamic", "nl": "long", "nd": "datetime",
        "ns": "string",
    }  # fmt: skip
    assert row == {
        "b": True, "i": 3, "l": 9007199254740993, "r": 1.5, "nan": "NaN", "inf": "Infinity",
        "s": "text", "d": "2026-01-02T03:04:05.678901Z", "whole": "2026-01-02T00:00:00Z",
        "t": "1.02:00:00.0030000", "minus": "-00:05:00",
        "g": "74be27de-1e4e-49d9-b579-fe0b331d3642", "j": '{"a":[1,"x"]}', "nl": None,
        "nd": None, "ns": "",
    }  # fmt: skip


async def test_a_string_without_a_value_is_empty_not_null(logs: Logs) -> None:
    rows = await logs.rows(
        "datatable(k:long)[1, 2] | join kind=leftouter (datatable(k:long, v:string)[1, 'one']) "
        "on k | order by k asc | project v"
    )
    assert rows == [["one"], [""]]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("range x from 1 to 3 step 1", [[1], [2], [3]]),
        ("let n = 2; range x from 1 to 3 step 1 | where x > n", [[3]]),
        ("let f = (a: long) { a * 2 }; print f(21)", [[42]]),
        ("let t = datatable(a: long)[1, 2, 3]; t | summarize sum(a)", [[6]]),
        ("union (print a = 1), (print a = 2) | order by a asc", [[1], [2]]),
        ("print toscalar(range x from 1 to 9 step 1 | summarize max(x))", [[9]]),
        ("datatable(s: string)['a=1', 'a=2'] | parse s with 'a=' n: long | project n", [[1], [2]]),
        ("datatable(d: dynamic)[dynamic({'k': 'v'})] | project tostring(d.k)", [["v"]]),
        ("print 1 // a comment", [[1]]),
    ],
)
async def test_kql_beyond_the_tables_works(logs: Logs, query: str, rows: list[Any]) -> None:
    assert await logs.rows(query) == rows


async def test_every_statement_gives_a_table_of_its_own(logs: Logs) -> None:
    answer = await logs.answer("let n = 5; print n; print n + 1;\nrange x from 1 to n step 1")
    assert [(t["name"], t["rows"][0]) for t in answer["tables"]] == [
        ("PrimaryResult", [5]),
        ("PrimaryResult_1", [6]),
        ("PrimaryResult_2", [1]),
    ]
    assert len(answer["tables"][2]["rows"]) == 5


async def test_a_union_of_everything_sees_every_table_that_exists(logs: Logs) -> None:
    logs.line("a")
    rows = await logs.rows("union * | summarize count() by Type | order by Type asc")
    assert rows == [["ContainerAppConsoleLogs", 1], ["ContainerAppConsoleLogs_CL", 1]]
    rows = await logs.rows(
        "union isfuzzy=true ContainerAppConsoleLogs_CL, ContainerAppSystemLogs_CL | count"
    )
    assert rows == [[1]]


async def test_the_render_of_a_query_is_told_with_its_properties(logs: Logs) -> None:
    answer = await logs.answer(
        "range x from 1 to 3 step 1 | summarize count() by x "
        "| render barchart with (title='Lines', xcolumn=x)"
    )
    assert answer["render"]["visualization"] == "barchart"
    assert answer["render"]["title"] == "Lines"
    assert answer["render"]["xColumn"] == "x"
    assert (await logs.answer("print 1"))["render"]["visualization"] is None


async def test_statistics_count_the_rows(logs: Logs) -> None:
    answer = await logs.answer("range x from 1 to 3 step 1")
    statistics = answer["statistics"]["query"]
    assert statistics["datasetStatistics"][0]["tableRowCount"] == 3
    assert statistics["executionTime"] > 0


# Limits


async def test_more_rows_than_allowed_are_cut_and_said(tmp_path: Path) -> None:
    logs = await Logs(tmp_path / "l.duckdb", limits=Limits(rows=2500, size=10**9)).start()
    answer = await logs.answer("range x from 1 to 5000 step 1")
    assert [row[0] for row in answer["tables"][0]["rows"]] == list(range(1, 2501))
    assert answer["error"]["code"] == "PartialError"
    assert "2500 records" in answer["error"]["details"][0]["innererror"]["message"]
    exact = await logs.answer("range x from 1 to 2500 step 1")
    assert "error" not in exact
    await logs.close()


async def test_more_bytes_than_allowed_are_cut_and_said(tmp_path: Path) -> None:
    logs = await Logs(tmp_path / "l.duckdb", limits=Limits(rows=10**6, size=10_000)).start()
    answer = await logs.answer("range x from 1 to 5000 step 1 | extend s = strrep('y', 90)")
    table = answer["tables"][0]
    assert 80 < len(table["rows"]) < 110
    assert [row[0] for row in table["rows"]] == list(range(1, len(table["rows"]) + 1))
    assert "10000 bytes" in answer["error"]["details"][0]["innererror"]["message"]
    await logs.close()


_ENDLESS = (
    "range x from 1 to 100000 step 1 | extend k = 1 "
    "| join kind=inner (range y from 1 to 100000 step 1 | extend k = 1) on k | summarize sum(x*y)"
)


async def test_a_query_that_takes_too_long_is_cancelled_and_makes_room(logs: Logs) -> None:
    with pytest.raises(QueryError) as refusal:
        await logs.answer(_ENDLESS, timeout=0.3)
    assert refusal.value.status == 504
    assert refusal.value.error["code"] == "GatewayTimeout"
    while logs.engine._running:
        await asyncio.sleep(0.01)
    assert await logs.rows("print 1") == [[1]]


async def test_a_query_nobody_waits_for_is_cancelled(logs: Logs) -> None:
    asked = asyncio.create_task(logs.answer(_ENDLESS))
    while not any(run.cursor for run in logs.engine._running.values()):
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    while logs.engine._running:
        await asyncio.sleep(0.01)


async def test_no_more_queries_run_at_once_than_there_is_room_for(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_module, "RUNNING", 2)
    monkeypatch.setattr(query_module, "WAITING", 1)
    engine = QueryEngine(logs.store, logs.clock)
    scope = Scope(workspaces=(WORKSPACE,))
    long = [asyncio.create_task(engine.execute(_ENDLESS, scope=scope, timeout=5)) for _ in range(2)]
    while len(engine._running) < 2:
        await asyncio.sleep(0.01)
    waiting = asyncio.create_task(engine.execute("print 1", scope=scope))
    await asyncio.sleep(0.01)
    with pytest.raises(QueryError) as refusal:
        await engine.execute("print 2", scope=scope)
    assert refusal.value.status == 429
    for task in long:
        task.cancel()
    assert (await waiting).tables[0].row_count == 1
    await asyncio.gather(*long, return_exceptions=True)
    await engine.close()


async def test_a_query_that_waits_too_long_for_its_turn_is_given_up(logs: Logs) -> None:
    logs.engine._slots = asyncio.Semaphore(0)
    with pytest.raises(QueryError) as refusal:
        await logs.answer("print 3", timeout=0.05)
    assert refusal.value.status == 504


async def test_a_query_that_needs_too_much_memory_is_refused_and_hurts_nobody(
    tmp_path: Path,
) -> None:
    logs = await Logs(tmp_path / "l.duckdb", memory_limit="20MB").start()
    with pytest.raises(QueryError) as refusal:
        await logs.answer(
            "range x from 1 to 900000 step 1 | summarize make_list(strcat(tostring(x), "
            "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'))"
        )
    assert "E_LOW_MEMORY_CONDITION" in str(refusal.value)
    logs.line("fine")
    assert await logs.texts() == ["fine"]
    await logs.close()


async def test_a_range_that_would_fill_the_memory_is_refused(logs: Logs) -> None:
    with pytest.raises(QueryError, match="more than 1000000 rows"):
        await logs.answer("range x from 1 to 10000000000 step 1 | count")


async def test_a_file_that_cannot_be_opened_answers_503_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "l.duckdb"
    logs = await Logs(path).start()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(QueryError) as refusal:
        await logs.answer("print 1")
    assert refusal.value.status == 503
    assert str(path) in str(refusal.value)
    path.unlink()
    assert await logs.rows("print 1") == [[1]]
    await logs.close()


# What a query cannot reach


@pytest.mark.parametrize(
    "query",
    [
        "['/etc/passwd'] | take 1",
        "duckdb_settings | take 1",
        "console | take 1",
        "source | take 1",
        "['information_schema.tables']",
        "database('logs').console",
        "cluster('x').database('y').z",
        "externaldata(a: string)['file:///etc/passwd']",
        ".show tables",
        ".drop table console",
        ".set T <| print 1",
    ],
)
async def test_a_query_reaches_no_file_and_no_table_of_ours(logs: Logs, query: str) -> None:
    logs.line("a")
    with pytest.raises(QueryError) as refusal:
        await logs.answer(query)
    assert refusal.value.status == 400
    assert await logs.texts() == ["a"]


async def test_the_connection_itself_has_no_way_out(logs: Logs, tmp_path: Path) -> None:
    import duckdb

    async with logs.store.cursor() as cursor:
        for statement in (
            f"COPY (SELECT 1) TO '{tmp_path}/x.csv'",
            "SELECT * FROM read_text('/etc/hostname')",
            f"ATTACH '{tmp_path}/other.duckdb'",
            "SET memory_limit = '10GB'",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error):
                cursor.execute(statement)


async def test_a_query_asked_again_is_not_translated_again(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.line("a")
    query = "ContainerAppConsoleLogs_CL | where TimeGenerated > ago(1h) | count"
    assert await logs.rows(query) == [[1]]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("translated again")

    monkeypatch.setattr("duckdb_kql.to_sql", refuse)
    assert await logs.rows(query) == [[1]]
    # Two hours on, the same text has another meaning: its translation is kept, its answer is not.
    await logs.clock.advance(7200)
    assert await logs.rows(query) == [[0]]
