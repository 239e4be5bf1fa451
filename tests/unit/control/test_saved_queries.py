"""Saved queries: declarations read, values bound as literals of their type, wrong ones refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BadInput, NotFound
from orchestrator.queries.saved import (
    LITERALS,
    Parameter,
    SavedQuery,
    declaration,
    find,
    find_all,
    literal,
    read,
)


def query(text: str) -> SavedQuery:
    declared = declaration(text)
    return SavedQuery(
        name="mine",
        description="",
        parameters=tuple(declared.parameters) if declared else (),
        origin="project",
        path="mine.kql",
        text=text,
    )


def test_a_declaration_becomes_lets_on_as_many_lines() -> None:
    text = (
        "// about\n"
        "declare query_parameters(\n"
        "    job:string,\n"
        '    since:timespan = 1d, words:dynamic = dynamic(["a, b", ")"])\n'
        ");\n"
        "T | where Job == job"
    )
    found = query(text)
    assert [str(p) for p in found.parameters] == [
        "job:string",
        "since:timespan = 1d",
        'words:dynamic = dynamic(["a, b", ")"])',
    ]
    sent = found.kql({"job": "it's", "since": "90m"})
    assert "let job = 'it\\'s'; let since = 90m;" in sent
    assert 'let words = dynamic(["a, b", ")"]);' in sent
    assert sent.count("\n") == text.count("\n")
    assert "declare" not in sent


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("string", "a'; drop", "'a\\'; drop'"),
        ("int", "42", "int(42)"),
        ("long", -7, "long(-7)"),
        ("real", "0.5", "real(0.5)"),
        ("decimal", "1.25", "decimal(1.25)"),
        ("bool", "True", "true"),
        ("bool", False, "false"),
        ("timespan", "1h30m", "90m"),
        ("timespan", "1.02:30:00", "time(1.02:30:00)"),
        ("timespan", timedelta(milliseconds=1500), "15000000tick"),
        ("datetime", "2026-11-24T20:00Z", "datetime(2026-11-24T20:00:00.000000Z)"),
        ("datetime", datetime(2026, 1, 1, tzinfo=UTC), "datetime(2026-01-01T00:00:00.000000Z)"),
        ("guid", "0" * 8 + "-0000-0000-0000-" + "0" * 12, None),
        ("dynamic", '["a"]', "parse_json('[\"a\"]')"),
        ("dynamic", {"a": 1}, "parse_json('{\"a\": 1}')"),
    ],
)
def test_values_are_written_as_their_type(kind: str, value: Any, written: str | None) -> None:
    made = literal(Parameter(name="p", type=kind), value)
    assert made == written if written is not None else made.startswith("guid(")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "4; drop"),
        ("int", True),
        ("long", "1.5"),
        ("real", "many"),
        ("bool", "yes"),
        ("timespan", "long"),
        ("datetime", "yesterday"),
        ("guid", "x"),
        ("dynamic", "{not json"),
    ],
)
def test_values_of_another_type_are_refused(kind: str, value: Any) -> None:
    with pytest.raises(BadInput, match=f"not a {kind} for the parameter p") as caught:
        literal(Parameter(name="p", type=kind), value)
    assert caught.value.hint.startswith("Such as")


@given(st.text(max_size=60))
def test_any_text_stays_one_value(text: str) -> None:
    from orchestrator.queries.kql_words import words

    made = literal(Parameter(name="p", type="string"), text)
    assert [w.kind for w in words(made)] == ["text"]
    assert "\n" not in made


@given(st.text(max_size=40), st.sampled_from([k for k in LITERALS if k != "string"]))
def test_any_text_is_a_literal_or_refused(text: str, kind: str) -> None:
    from orchestrator.queries.kql_words import statements

    try:
        made = literal(Parameter(name="p", type=kind), text)
    except BadInput:
        return
    assert len(statements(made)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("declare query_parameters(job);", 'expected ":", found "\\)"'),
        ("declare query_parameters(job:text);", "one of the types string"),
        ("declare query_parameters(job:string", '"," or "\\)", found the end'),
        ("declare query_parameters(job:string)\nT", 'line 2.*expected ";"'),
        ("declare query_parameters(job:string =);", "the default"),
    ],
)
def test_a_declaration_that_is_not_right_is_said(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        declaration(text)


def test_what_is_needed_and_what_there_is_not() -> None:
    found = query("declare query_parameters(job:string);\nT")
    with pytest.raises(BadInput, match="needs the parameter job"):
        found.kql()
    with pytest.raises(BadInput, match='no parameter "jbo"') as caught:
        found.kql({"jbo": "x"})
    assert caught.value.hint == "Did you mean job?"
    assert query("T | take 1").kql() == "T | take 1"


def test_a_projects_own_stand_beside_those_that_come_along(tmp_path: Path) -> None:
    (tmp_path / "mine.kql").write_text("// My own.\nT")
    (tmp_path / "log-volume.kql").write_text("// Ours instead.\nT | count")
    found = {one.name: one for one in find_all(tmp_path)}
    assert found["mine"].description == "My own."
    assert found["log-volume"].origin == "project"
    assert found["failures-by-job"].origin == "shipped"
    assert find("LOG-VOLUME", tmp_path).text.endswith("count")
    with pytest.raises(NotFound, match="log-volum") as caught:
        find("log-volum", tmp_path)
    assert caught.value.hint == 'Did you mean "log-volume"?'
    (tmp_path / "bad.kql").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInput, match="UTF-8"):
        read(tmp_path / "bad.kql")


def test_those_that_come_along_are_whole() -> None:
    found = {one.name: one for one in find_all(None)}
    assert set(found) == {
        "errors-per-hour",
        "execution-story",
        "failures-by-job",
        "log-volume",
        "slowest-executions",
    }
    for one in found.values():
        assert one.description.endswith(".")
        assert one.kql({p.name: "x" for p in one.parameters if not p.default})
