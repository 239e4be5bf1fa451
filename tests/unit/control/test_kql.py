"""The queries the library asks, and how values get into them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadInput, QueryError, TableNotFound
from orchestrator.logs.verbs import check_grep, epoch_moment, execution_of, query_error, timespan
from orchestrator.queries import kql

UNESCAPED = {"\\\\": "\\", "\\'": "'", "\\n": "\n", "\\r": "\r", "\\t": "\t"}


def read_back(literal: str) -> str:
    """A KQL string literal's value, by the rules of the Kusto documentation."""
    assert literal[0] == literal[-1] == "'"
    pattern = r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})|\\.|[^\\']"
    pieces = list(re.finditer(pattern, literal[1:-1], re.DOTALL))
    assert "".join(p[0] for p in pieces) == literal[1:-1], "a quote that closes early"
    return "".join(
        chr(int(p[1] or p[2], 16)) if p[1] or p[2] else UNESCAPED.get(p[0], p[0]) for p in pieces
    )


@given(st.text())
def test_any_text_stays_a_value(value: str) -> None:
    literal = kql.text(value)
    assert "\n" not in literal
    assert read_back(literal) == value


def test_what_would_break_out_does_not() -> None:
    assert kql.text("x' | union *") == "'x\\' | union *'"
    assert kql.text("a\\' b") == "'a\\\\\\' b'"


def test_the_query_for_an_executions_lines_is_microsofts() -> None:
    assert kql.console_lines("sender", execution="sender-abc1234", grep="fail(ed)?", tail=5) == (
        "ContainerAppConsoleLogs_CL\n"
        "| where ContainerJobName_s == 'sender'\n"
        "| where ContainerGroupName_s startswith 'sender-abc1234'\n"
        "| where Log_s matches regex 'fail(ed)?'\n"
        "| top 5 by _timestamp_d desc\n"
        "| project _timestamp_d, ContainerJobName_s, ContainerGroupName_s, ContainerName_s, "
        "Stream_s, Log_s"
    )


def test_times_bound_the_lines_and_order_them() -> None:
    query = kql.console_lines(after=1.5, before=2)
    assert "where _timestamp_d > 1.500000" in query
    assert "where _timestamp_d < 2.000000" in query
    assert "order by _timestamp_d asc" in query


@pytest.mark.parametrize("grep", ["(", "[a", "*x", "(?P<n>a)(?P<n>b)"])
def test_a_wrong_expression_is_refused_with_its_place(grep: str) -> None:
    with pytest.raises(BadInput, match="is not a regular expression") as caught:
        check_grep(grep)
    assert caught.value.exit_code == 2


def nested(message: str, **more: Any) -> dict[str, Any]:
    """An error as the Log Analytics API nests it."""
    inner = {"code": "SYN0002", "message": message, **more}
    middle = {
        "code": "SyntaxError",
        "message": "A recognition error occurred.",
        "innererror": inner,
    }
    return {"message": "invalid properties", "code": "BadArgumentError", "innererror": middle}


def test_a_wrong_query_is_told_with_its_innermost_sentence_and_its_place() -> None:
    error = query_error(
        nested("Query could not be parsed at 'x' on line [2,3]", line=2, pos=3), "T\n| x y"
    )
    assert isinstance(error, QueryError)
    assert error.message == (
        "The query is not right: Query could not be parsed at 'x' on line [2,3]."
    )
    assert (error.line, error.column, error.code) == (2, 3, "SYN0002")
    assert error.hint == "| x y\n  ^"
    assert error.exit_code == 2


def test_a_place_outside_the_query_is_no_crash() -> None:
    error = query_error(nested("bad", line=9, pos=-4), "T")
    assert "https://learn.microsoft.com/kusto" in error.hint


def test_a_table_without_rows_yet_is_told_apart_from_a_misspelt_one() -> None:
    text = "'x' Failed to resolve table or column expression named '{}'"
    yet = query_error(nested(text.format(kql.CONSOLE)), "q")
    assert isinstance(yet, TableNotFound)
    assert "yet" in yet.message
    assert "first row" in yet.hint
    assert yet.exit_code == 1
    misspelt = query_error(nested(text.format("ContainerAppConsoleLog_CL")), "q")
    assert misspelt.hint == f"Did you mean {kql.CONSOLE}?"


@pytest.mark.parametrize("error", [{}, {"message": None}, {"innererror": "x"}, {"innererror": {}}])
def test_an_error_of_no_shape_is_still_a_query_error(error: dict[str, Any]) -> None:
    assert isinstance(query_error(error, "q"), QueryError)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00:01:30", timedelta(seconds=90)),
        ("1.02:03:04.5000000", timedelta(1, 7384.5)),
        ("-00:00:01", timedelta(seconds=-1)),
        ("None", None),
        ("soon", "soon"),
    ],
)
def test_kustos_timespans_are_timedeltas(text: str, value: object) -> None:
    assert timespan(text) == value


def test_seconds_and_milliseconds_since_the_epoch_are_told_apart() -> None:
    assert epoch_moment(1795470314.25) == epoch_moment(1795470314250)


def test_a_replicas_execution_is_its_name_without_the_last_part() -> None:
    assert execution_of("my-job-66v9xh0-abcde") == "my-job-66v9xh0"
    assert execution_of("my-job-66v9xh0-a-b", "my-job-66v9xh0") == "my-job-66v9xh0"


@pytest.mark.parametrize("grep", ["al(?=pha)", "(?<!x)y", r"(a)\1", "(?P=name)"])
def test_what_kql_has_not_is_refused_live_too(grep: str) -> None:
    with pytest.raises(BadInput, match="knows neither look-around nor back-references"):
        check_grep(grep)


@pytest.mark.parametrize("grep", [r"status\(?=5", "[(?=]", r"\\1", "(?:a|b)", "(?i)x"])
def test_what_only_looks_like_it_is_not_refused(grep: str) -> None:
    assert check_grep(grep) is not None
