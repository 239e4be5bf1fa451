"""The Log Analytics API, asked by Microsoft's own client and by plain HTTPS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.monitor.query import (
    LogsBatchQuery,
    LogsQueryError,
    LogsQueryPartialResult,
    LogsQueryResult,
    LogsQueryStatus,
)

from orchestrator.localcloud.logs.model import SystemEvent

from .logs_server import (
    EXECUTION,
    GROUP,
    OTHER,
    OTHER_ID,
    REPLICA,
    START,
    TABLE,
    WORKSPACE,
    WORKSPACE_ID,
    AsyncCredential,
    Credential,
    Server,
    job_id,
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.stop()


# With the client library


def test_the_client_library_reads_typed_rows(server: Server) -> None:
    for n in range(3):
        server.line(f"line {n}")
    with server.client() as client:
        result = client.query_workspace(
            WORKSPACE,
            f"{TABLE} | where ContainerGroupName_s startswith '{EXECUTION}' "
            "| order by _timestamp_d asc | project TimeGenerated, ContainerJobName_s, Log_s",
            timespan=timedelta(hours=1),
        )
    assert isinstance(result, LogsQueryResult)
    assert result.status == LogsQueryStatus.SUCCESS
    table = result.tables[0]
    assert table.name == "PrimaryResult"
    assert table.columns == ["TimeGenerated", "ContainerJobName_s", "Log_s"]
    assert table.columns_types == ["datetime", "string", "string"]
    assert [row["Log_s"] for row in table.rows] == ["line 0", "line 1", "line 2"]
    assert table.rows[0]["TimeGenerated"] == START
    assert table.rows[1]["TimeGenerated"] == START + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("timespan", "expected"),
    [
        (None, ["early", "late"]),
        (timedelta(hours=2.5), ["late"]),
        ((START, timedelta(minutes=1)), ["early"]),
        ((START, START + timedelta(hours=3)), ["early"]),
        ((START + timedelta(minutes=1), START + timedelta(hours=4)), ["late"]),
    ],
)
def test_every_form_of_timespan_is_honoured(
    server: Server, timespan: Any, expected: list[str]
) -> None:
    server.line("early")
    server.call(server.clock.advance(3 * 3600))
    server.line("late")
    with server.client() as client:
        result = client.query_workspace(
            WORKSPACE, f"{TABLE} | order by TimeGenerated asc", timespan=timespan
        )
    assert [row["Log_s"] for row in result.tables[0].rows] == expected


def test_statistics_and_visualization_come_when_asked_for(server: Server) -> None:
    query = "range x from 1 to 3 step 1 | render piechart"
    with server.client() as client:
        plain = client.query_workspace(WORKSPACE, query, timespan=None)
        full = client.query_workspace(
            WORKSPACE, query, timespan=None, include_statistics=True, include_visualization=True,
            server_timeout=30,
        )  # fmt: skip
    assert plain.statistics is None
    assert plain.visualization is None
    assert full.statistics["query"]["datasetStatistics"][0]["tableRowCount"] == 3
    assert full.visualization["visualization"] == "piechart"


def test_several_statements_give_several_tables(server: Server) -> None:
    with server.client() as client:
        result = client.query_workspace(WORKSPACE, "print 1; print 'two'", timespan=None)
    assert [table.rows[0][0] for table in result] == [1, "two"]


@pytest.mark.parametrize("resource", [WORKSPACE_ID, job_id("sender"), GROUP, "/subscriptions/0F0F"])
def test_a_resource_can_be_asked_instead_of_a_workspace(server: Server, resource: str) -> None:
    server.line("hello")
    with server.client() as client:
        result = client.query_resource(resource, f"{TABLE} | project Log_s", timespan=None)
    assert [list(row) for row in result.tables[0].rows] == [["hello"]]


def test_further_workspaces_are_asked_along(server: Server) -> None:
    server.line("one")
    server.line("two", job="receiver")
    query = f"{TABLE} | project Log_s | order by Log_s asc"
    with server.client() as client:
        for name in (OTHER, "Other", OTHER_ID):
            result = client.query_workspace(
                WORKSPACE, query, timespan=None, additional_workspaces=[name]
            )
            assert [row[0] for row in result.tables[0].rows] == ["one", "two"]
        alone = client.query_workspace(OTHER, query, timespan=None)
    assert [row[0] for row in alone.tables[0].rows] == ["two"]


def test_a_batch_answers_each_query_for_itself(server: Server) -> None:
    server.line("hello")
    asked = [
        LogsBatchQuery(WORKSPACE, f"{TABLE} | project Log_s", timespan=timedelta(hours=1)),
        LogsBatchQuery(WORKSPACE, f"{TABLE} | wherex", timespan=None),
        LogsBatchQuery("nobody", "print 1", timespan=None),
        LogsBatchQuery(WORKSPACE, "range x from 1 to 9000 step 1", timespan=None),
        LogsBatchQuery(
            WORKSPACE, "print 1 | render table", timespan=None, include_visualization=True
        ),
    ]
    with server.client() as client:
        first, wrong, nowhere, partial, drawn = client.query_batch(asked)
    assert first.tables[0].rows[0][0] == "hello"
    assert isinstance(wrong, LogsQueryError)
    assert wrong.code == "BadArgumentError"
    assert "did you mean 'where'?" in wrong.message
    assert isinstance(nowhere, LogsQueryError)
    assert "'nobody' could not be found" in nowhere.message
    assert isinstance(partial, LogsQueryPartialResult)
    assert drawn.visualization["visualization"] == "table"


def test_too_many_rows_are_a_partial_result(server: Server) -> None:
    with server.client() as client:
        result = client.query_workspace(WORKSPACE, "range x from 1 to 9000 step 1", timespan=None)
    assert isinstance(result, LogsQueryPartialResult)
    assert result.status == LogsQueryStatus.PARTIAL
    assert len(result.partial_data[0].rows) == 5000
    assert result.partial_error.code == "PartialError"
    assert "5000 records" in result.partial_error.message
    assert result.partial_error.details


def test_a_wrong_query_shows_its_place_in_the_clients_exception(server: Server) -> None:
    server.line("a")
    with server.client() as client, pytest.raises(HttpResponseError) as refusal:
        client.query_workspace(WORKSPACE, f"{TABLE}\n| wherex Log_s == 'a'", timespan=None)
    assert refusal.value.status_code == 400
    assert refusal.value.model.code == "BadArgumentError"
    assert refusal.value.model.message == (
        "Query could not be parsed at 'wherex' on line [2,3]: "
        "expected an operator; did you mean 'where'?"
    )


def test_a_table_that_is_not_there_yet_is_a_bad_argument(server: Server) -> None:
    with server.client() as client, pytest.raises(HttpResponseError) as refusal:
        client.query_workspace(WORKSPACE, f"{TABLE} | where Log_s == 'a'", timespan=None)
    assert refusal.value.error.code == "BadArgumentError"
    assert refusal.value.model.message.startswith(
        f"'where' operator: Failed to resolve table or column expression named '{TABLE}'"
    )


def test_an_unknown_workspace_is_not_found(server: Server) -> None:
    with server.client() as client, pytest.raises(HttpResponseError) as refusal:
        client.query_workspace("11111111-2222-3333-4444-555555555555", "print 1", timespan=None)
    assert refusal.value.status_code == 404
    assert refusal.value.error.code == "PathNotFoundError"


def test_a_wrong_token_is_refused(server: Server) -> None:
    with server.client(credential=Credential("bad")) as client:
        for ask in (
            lambda: client.query_workspace(WORKSPACE, "print 1", timespan=None),
            lambda: client.query_resource(WORKSPACE_ID, "print 1", timespan=None),
            lambda: client.query_batch([LogsBatchQuery(WORKSPACE, "print 1", timespan=None)]),
        ):
            with pytest.raises(HttpResponseError) as refusal:
                ask()
            assert refusal.value.status_code == 401


def test_a_query_over_its_time_is_a_gateway_timeout(server: Server) -> None:
    endless = (
        "range x from 1 to 100000 step 1 | extend k = 1 | join kind=inner "
        "(range y from 1 to 100000 step 1 | extend k = 1) on k | summarize sum(x*y)"
    )
    with server.client() as client, pytest.raises(HttpResponseError) as refusal:
        client.query_workspace(WORKSPACE, endless, timespan=None, server_timeout=1)
    assert refusal.value.status_code == 504
    assert refusal.value.error.code == "GatewayTimeout"
    with server.client() as client:
        assert client.query_workspace(WORKSPACE, "print 1", timespan=None).tables


async def test_the_asynchronous_client_works_alike(server: Server) -> None:
    from azure.monitor.query.aio import LogsQueryClient as AsyncClient

    server.line("hello")
    client = AsyncClient(
        AsyncCredential(), endpoint=server.endpoint, connection_verify=server.ca, retry_total=0
    )
    async with client:
        query = f"{TABLE} | project Log_s"
        answers = await asyncio.gather(
            *(client.query_workspace(WORKSPACE, query, timespan=None) for _ in range(10)),
            client.query_resource(job_id("sender"), query, timespan=timedelta(days=1)),
        )
        assert {answer.tables[0].rows[0][0] for answer in answers} == {"hello"}
        batch = await client.query_batch([LogsBatchQuery(WORKSPACE, query, timespan=None)])
        assert batch[0].tables[0].rows[0][0] == "hello"
        with pytest.raises(HttpResponseError) as refusal:
            await client.query_workspace(WORKSPACE, "nothing | count", timespan=None)
        assert "'nothing'" in refusal.value.model.message


# With plain HTTPS, as curl and `az rest` do


def test_a_query_can_be_sent_in_the_address(server: Server) -> None:
    server.line("hello")
    for start in (f"/v1/workspaces/{WORKSPACE.upper()}", f"/v1{job_id('sender')}",
                  f"/v1/{job_id('sender')}"):  # fmt: skip
        status, answer = server.ask(
            "GET", f"{start}/query?query={TABLE}%20%7C%20project%20Log_s&timespan=PT1H"
        )
        assert (status, answer["tables"][0]["rows"]) == (200, [["hello"]])
    status, answer = server.ask(
        "GET", f"/v1/workspaces/{WORKSPACE}/query?query=print%201&workspaces=other,nobody"
    )
    assert (status, answer["error"]["code"]) == (404, "PathNotFoundError")


def test_a_body_with_only_a_query_is_enough(server: Server) -> None:
    status, answer = server.ask("POST", f"/v1/workspaces/{WORKSPACE}/query", {"query": "print 1"})
    assert status == 200
    assert answer == {
        "tables": [
            {
                "name": "PrimaryResult",
                "columns": [{"name": "print_0", "type": "long"}],
                "rows": [[1]],
            }
        ]
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not json", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"\xff\xfe", "not JSON"),
        ({}, "no 'query'"),
        ({"query": 5}, "no 'query'"),
        ({"query": "print 1", "timespan": "1h"}, "'1h' is not a timespan"),
        ({"query": "print 1", "timespan": 5}, "not a string"),
        ({"query": "print 1", "workspaces": "x"}, "not a list of strings"),
    ],
)
def test_a_malformed_request_is_told_what_is_wrong(server: Server, body: Any, words: str) -> None:
    status, answer = server.ask("POST", f"/v1/workspaces/{WORKSPACE}/query", body)
    assert status == 400
    assert answer["error"]["code"] == "BadArgumentError"
    assert answer["error"]["correlationId"]
    assert words in answer["error"]["innererror"]["message"]


@pytest.mark.parametrize(
    ("item", "status", "words"),
    [
        ({"id": "1", "workspace": WORKSPACE, "body": {"query": "print 1"}}, 200, ""),
        ({"id": "1", "workspace": WORKSPACE}, 400, "no 'query'"),
        ({"id": "1", "body": {"query": "print 1"}}, 400, "names no 'workspace'"),
        ({"id": "1", "workspace": WORKSPACE, "path": "/delete", "body": {}}, 404, "does not exist"),
    ],
)
def test_items_of_a_batch_fail_alone(
    server: Server, item: dict[str, Any], status: int, words: str
) -> None:
    good = {"id": "2", "workspace": WORKSPACE, "body": {"query": "print 2"}, "path": "/query",
            "method": "POST"}  # fmt: skip
    for path in ("/v1/$batch", "/v1/%24batch"):
        answered, answer = server.ask("POST", path, {"requests": [item, good]})
        assert answered == 200
        first, second = answer["responses"]
        assert (first["id"], first["status"]) == ("1", status)
        assert words in json.dumps(first["body"])
        assert second["body"]["tables"][0]["rows"] == [[2]]
    answered, answer = server.ask("POST", "/v1/$batch", {"queries": []})
    assert answered == 400


def test_a_large_answer_arrives_whole(server: Server) -> None:
    query = "range x from 1 to 5000 step 1 | extend s = strrep('é', 900)"
    status, answer = server.ask("POST", f"/v1/workspaces/{WORKSPACE}/query", {"query": query})
    assert status == 200
    assert len(answer["tables"][0]["rows"]) == 5000
    assert answer["tables"][0]["rows"][4999] == [5000, "é" * 900]


def test_events_reach_the_client_too(server: Server) -> None:
    async def write() -> None:
        server.store.system(
            SystemEvent(
                server.clock.time(),
                "sender",
                EXECUTION,
                REPLICA,
                "Completed",
                "it is done",
                "Normal",
                "local",
                job_id("sender"),
            )
        )

    server.call(write())
    with server.client() as client:
        result = client.query_workspace(
            WORKSPACE,
            f"ContainerAppSystemLogs_CL | where JobName_s == 'sender' "
            f"and ExecutionName_s == '{EXECUTION}' | project Reason_s, Log_s, Count_d",
            timespan=timedelta(hours=1),
        )
    assert [list(row) for row in result.tables[0].rows] == [["Completed", "it is done", 1.0]]
