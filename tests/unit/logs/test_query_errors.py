"""What a person is told about a query that is wrong: where, what was found, what was expected."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.kql.syntax import split_statements
from orchestrator.localcloud.logs.kql.translate import Translator
from orchestrator.localcloud.logs.result import types_in
from orchestrator.localcloud.logs.tables import COLUMNS

from .conftest import Logs

T = "ContainerAppConsoleLogs_CL"


async def _refusal(logs: Logs, query: str) -> QueryError:
    logs.line("[1] a line")
    logs.event("Started")
    with pytest.raises(QueryError) as refusal:
        await logs.answer(query)
    assert refusal.value.status == 400
    assert refusal.value.error["code"] == "BadArgumentError"
    assert refusal.value.error["message"] == "The request had some invalid properties"
    return refusal.value


@pytest.mark.parametrize(
    ("query", "line", "position", "found", "words"),
    [
        (f"{T} | wherex Log_s == 'a'", 1, 30, "wherex", "did you mean 'where'?"),
        (f"{T}\n| where Log_s == 'a'\n| tak 5", 3, 3, "tak", "did you mean 'take'?"),
        (f"{T} | frobnicate", 1, 30, "frobnicate", "expected an operator such as where"),
        (f"{T} | where Log_s = 'a'", 1, 42, "=", "expected a comparison such as '=='"),
        (f"{T} | where (Log_s = 'a')", 1, 43, "=", "expected a comparison"),
        (f"{T} |", 1, 28, "|", "expected an operator after '|'"),
        (f"{T} | take", 1, 30, "take", "expected: take <number>"),
        (f"{T} | top 5", 1, 30, "top", "expected: top <number> by <column>"),
        (f"{T} | where Log_s ==", 1, 44, "", "expected an expression"),
        (f"{T}\n| where Log_s ==\n| take 5", 3, 1, "|", "expected an expression"),
        (f"{T} | where Log_s == 'a", 1, 45, "'a", "the string is not closed"),
        (f"{T} | summarize count( by Log_s", 1, 45, "(", "expected ')'"),
        (f"{T} | where Log_s == 'a')", 1, 48, ")", "no bracket that this ')' closes"),
        (f"{T} where Log_s == 'a'", 1, 28, "where", "expected '|' before 'where'"),
        (f"{T} | project Log_s Stream_s", 1, 44, "Stream_s", "expected '|', the end"),
        (f"{T} | where Log_s == 'a' && true", 1, 49, "&", "write 'and'"),
        (f"{T} # comment", 1, 28, "#", "a comment begins with '//'"),
        (f"select * from {T}", 1, 15, T, "this looks like SQL"),
        ("", 1, 1, "", "the query is empty"),
        ("  \n ", 1, 1, "", "the query is empty"),
        ("// nothing", 1, 1, "", "expected a table"),
        ("let x = 1;", 1, 11, "", "expected a table"),
        ("let x = 1", 1, 10, "", "expected a table"),
        (".show tables", 1, 1, ".", "management commands"),
        ("print 1; print )", 1, 16, ")", "no bracket"),
    ],
)
async def test_a_query_that_does_not_parse_says_where_and_what_was_expected(
    logs: Logs, query: str, line: int, position: int, found: str, words: str
) -> None:
    error = (await _refusal(logs, query)).error
    assert error["innererror"]["code"] == "SyntaxError"
    inner = error["innererror"]["innererror"]
    assert (inner["line"], inner["pos"], inner["token"]) == (line, position, found)
    assert inner["message"].startswith(
        f"Query could not be parsed at '{found}' on line [{line},{position}]: "
    )
    assert words in inner["message"]
    assert len(inner["message"]) < 200


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "ContainerAppConsoleLog_CL | take 5",
            "'take' operator: Failed to resolve table or column expression named "
            "'ContainerAppConsoleLog_CL' (line 1, position 1). "
            "Did you mean 'ContainerAppConsoleLogs_CL'?",
        ),
        (
            "containerappconsolelogs_cl | take 5",
            "'take' operator: Failed to resolve table or column expression named "
            "'containerappconsolelogs_cl' (line 1, position 1)",
        ),
        (
            f"{T} | where log_s == 'x'",
            "'where' operator: Failed to resolve scalar expression named 'log_s' "
            "(line 1, position 36). Did you mean 'Log_s'?",
        ),
        (
            f"{T}\n| project Log_s\n| where Stream_s == 'stderr'",
            "'where' operator: Failed to resolve scalar expression named 'Stream_s' "
            "(line 3, position 9)",
        ),
        (
            f"{T} | summarize n = count() by Stream_s | order by TimeGenerated",
            "'sort' operator: Failed to resolve scalar expression named 'TimeGenerated' "
            "(line 1, position 75)",
        ),
        (
            f"{T} | join (ContainerAppSystemLogs_CL) on ExecutionName",
            "'join' operator: Failed to resolve scalar expression named 'ExecutionName' "
            "(line 1, position 66). Did you mean 'ExecutionName_s'?",
        ),
        (
            f"{T} | where Log_s in (ContainerAppSystemLogs_CL | project Nope)",
            "'project' operator: Failed to resolve scalar expression named 'Nope'",
        ),
        (
            f"union {T}, Nope | count",
            "Failed to resolve table or column expression named 'Nope' (line 1, position 35)",
        ),
        (f"{T} | project frob(Log_s)", "Unknown function: 'frob' (line 1, position 38)"),
        (f"{T} | project strln(Log_s)", "Did you mean 'strlen'?"),
        (f"{T} | fork (count)", "'fork' (line 1, position 30) is not supported by the local"),
        (f"{T} | reduce by Log_s", "'reduce' (line 1, position 30) is not supported by the local"),
        (f"{T} | evaluate basket()", "'evaluate' (line 1, position 30) is not"),
        (
            "workspace('other').Heartbeat",
            "workspace() (line 1, position 1): other workspaces and resources cannot",
        ),
        (f"{T} | where Log_s > 5", "Values of the types string and long cannot be compared"),
        (f"{T} | where Log_s matches regex '('", "A regular expression is not right: missing )"),
        ("print dcount(1)", "dcount() is an aggregate"),
        ("print tostring()", "tostring() takes 1 argument (line 1, position 7)"),
        (f"{T} | take abc", "'take' (line 1, position 30) wants a whole number"),
        ("print bin(5)", "bin: expects (value, roundTo)"),
        (f"{T} | summarize max(Log_s, 1)", "max() takes 1 arguments, not 2"),
        ("print datetime_diff('foo', now(), now())", "takes day, hour, microsecond"),
        (f"{T} | summarize cuont()", "Did you mean 'count'?"),
        (f"{T} | where Log_s has 5", "'has', 'matches regex' or the like does not take"),
        (f"{T} | where TimeGenerated > ago(1)", "'-' does not take values of the types datetime"),
        (f"{T} | where TimeGenerated > 'abc'", "'abc' is no datetime"),
        (f"{T} | where ago(1h)", "A datetime cannot be used as a bool"),
        (f"{T} | summarize avg(Log_s)", "avg() does not take a string"),
        (f"{T} | summarize stdev(Log_s)", "stdev() does not take a string"),
        ("print array_length('x')", "A string that is no JSON"),
    ],
)
async def test_a_query_that_means_nothing_says_what_is_not_known(
    logs: Logs, query: str, message: str
) -> None:
    refusal = await _refusal(logs, query)
    assert message in str(refusal)
    assert "SELECT" not in str(refusal)
    assert "Candidate" not in str(refusal)


async def test_an_error_in_the_second_statement_has_its_own_position(logs: Logs) -> None:
    query = f"{T} | count;\n{T} | where nope == 1"
    assert "'nope' (line 2, position 36)" in str(await _refusal(logs, query))


def test_statements_keep_their_place_and_share_the_lets() -> None:
    query = "let a = 1; print a;\nprint 'x;y' ; // end; of it\nlet b = {c;d}; print b"
    first, second, third = split_statements(query)
    for statement in (first, second, third):
        assert len(statement.text) == len(query)
        assert statement.text.startswith("let a = 1;")
        assert "\nlet b = {c;d};" in statement.text
    assert first.text.index("print a;") == query.index("print a;")
    assert "print 'x;y'" not in first.text
    assert second.text.index("print 'x;y'") == query.index("print 'x;y'")
    assert third.text.endswith("print b")


@pytest.mark.parametrize(
    "query",
    [
        f"{T} | where Log_s in ({T} | extend a = Log_s | project a)",
        f"{T} | where Log_s == toscalar(print x = 'a')",
        f"{T} | join kind=inner ({T} | where Log_s == 'a') on Log_s",
        f"{T} | where Log_s == 'a' | extend a = 1",
        f"let f = (a: long) {{ a + 1 }}; {T} | where strlen(Log_s) == f(1)",
    ],
)
async def test_an_equals_sign_where_it_belongs_is_let_through(logs: Logs, query: str) -> None:
    logs.line("a")
    await logs.rows(query)


_WORDS = st.sampled_from(
    [T, "|", "where", "take", "5", "Log_s", "==", "'a'", "(", ")", "summarize", "count()", "by",
     "extend", "x", "=", "let", ";", ",", "union", "join", "on", "[", "]", "{", "}", "'", '"',
     "\n", "//", "print", "ago(1h)", "in", "and", "not", "..", "@", "#", "\0", "é", "😀", "set",
     "project-away", "1d", "$left", "render", "timechart", "datatable", ":", "long", "parse",
     "with", "*", "order", "range", "from", "to", "step"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(_WORDS, max_size=14).map(" ".join) | st.text(max_size=30))
def test_whatever_is_sent_is_translated_or_refused_in_one_sentence(query: str) -> None:
    from datetime import UTC, datetime

    known: dict[str, Any] = dict(COLUMNS)

    def types(sql: str, values: dict[str, Any], _: frozenset[str]) -> list[tuple[str, str]]:
        with duckdb.connect() as connection:
            for name, columns in COLUMNS.items():
                listed = ", ".join(f"'' AS \"{column}\"" for column in columns)
                connection.execute(f'CREATE VIEW "{name}" AS SELECT {listed}')
            return types_in(connection, sql, values)

    try:
        translated = Translator().translate(query, known, datetime(2026, 1, 1, tzinfo=UTC), types)
    except duckdb.Error as refusal:
        told = (400, str(refusal))
    except QueryError as refusal:
        told = (refusal.status, str(refusal))
    else:
        told = (400, " ".join(statement.sql for statement in translated))
    assert told[0] == 400
    assert told[1]
