"""`workspace("…").Table` and `resource("…").Table` in the text of a query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .logs_server import OTHER, OTHER_ID, TABLE, WORKSPACE, Server, job_id


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    running.line("mine")
    running.line("theirs", job="receiver")
    yield running
    running.stop()


def _ask(server: Server, query: str) -> tuple[int, Any]:
    return server.ask("POST", f"/v1/workspaces/{WORKSPACE}/query", {"query": query})


def _rows(server: Server, query: str) -> list[list[Any]]:
    status, answer = _ask(server, query)
    assert status == 200, answer
    rows: list[list[Any]] = answer["tables"][0]["rows"]
    return rows


def _refusal(server: Server, query: str) -> tuple[int, str]:
    status, answer = _ask(server, query)
    error = answer["error"]
    while "innererror" in error:
        error = error["innererror"]
    return status, error["message"]


@pytest.mark.parametrize(
    "there",
    [
        'workspace("other")',
        "workspace('Other')",
        f'workspace("{OTHER}")',
        f'workspace( "{OTHER_ID}" )',
        f'resource("{OTHER_ID}")',
        f'resource("{job_id("receiver")}")',
    ],
)
def test_a_table_of_another_workspace_is_read(server: Server, there: str) -> None:
    assert _rows(server, f"{there}.{TABLE} | project Log_s") == [["theirs"]]
    both = f"union {TABLE}, {there}.{TABLE} | project Log_s | order by Log_s asc"
    assert _rows(server, both) == [["mine"], ["theirs"]]


def test_it_stands_wherever_a_table_stands(server: Server) -> None:
    named = f'workspace("other").{TABLE}'
    joined = (
        f"{TABLE} | extend k = 1 | join kind=inner ({named} | extend k = 1) on k "
        "| project Log_s, Log_s1"
    )
    assert _rows(server, joined) == [["mine", "theirs"]]
    assert _rows(server, f"let W = {named}; W | count") == [[1]]
    assert _rows(server, f"let n = toscalar({named} | count); print n") == [[1]]
    told = f"union withsource=S {TABLE}, {named} | project S, Log_s | order by Log_s asc"
    assert _rows(server, told) == [[TABLE, "mine"], [named, "theirs"]]
    # Patterns of names mean the tables of the workspace that is asked.
    shown = f"union withsource=S ContainerAppConsoleLogs_C*, ({named} | take 0) | distinct S"
    assert _rows(server, shown) == [[TABLE]]
    # The words alone are no references.
    assert _rows(server, "print s = 'workspace(\"nowhere\").T' // app('x').T") == [
        ['workspace("nowhere").T']
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f'workspace("nowhere").{TABLE}', "Failed to resolve workspace expression named 'nowhere'"),
        (f'union isfuzzy=true {TABLE}, workspace("nowhere").{TABLE}', "named 'nowhere'"),
        ('app("shop").requests', "no Application Insights here"),
        (f'resource("job").{TABLE}', "a resource is named by its id"),
        (
            'print 1;\nworkspace("other").Nope',
            "Failed to resolve table or column expression named 'workspace(\"other\").Nope' "
            "(line 2, position 1)",
        ),
        (
            f'workspace("other").{TABLE} | where Nope == 1',
            f"resolve scalar expression named 'Nope' (line 1, position {29 + len(TABLE)}",
        ),
        ('workspace("other") | count', "names a table of another workspace"),
    ],
)
def test_what_is_not_there_is_refused(server: Server, query: str, words: str) -> None:
    status, message = _refusal(server, query)
    assert status == 400
    assert words in message


def test_a_workspace_that_may_not_be_read_is_refused(server: Server) -> None:
    server.closed.add(OTHER)
    query = f'{TABLE} | union workspace("other").{TABLE}'
    assert _refusal(server, query) == (403, "No access")
    assert _rows(server, f"{TABLE} | project Log_s") == [["mine"]]
