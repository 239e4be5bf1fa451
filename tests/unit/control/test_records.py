"""How results show themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pandas as pd
import pytest

from orchestrator.alerts.verbs import AlertRule, AlertRules
from orchestrator.errors import OrchestratorError
from orchestrator.queries.result import QueryResult, QueryTable
from orchestrator.queues.messages import Sent
from orchestrator.queues.records import Queue, Queues
from orchestrator.records import show, show_bytes, show_duration
from orchestrator.results import Change, Changes, Execution, Executions, FieldChange, LogLine, Logs

START = datetime(2026, 11, 23, 20, 0, 0, tzinfo=UTC)


def execution(name: str = "sender-abc1234", **given: Any) -> Execution:
    told: dict[str, Any] = {"job": "sender", "status": "Succeeded", "start": START}
    return Execution(name=name, **{**told, "end": START + timedelta(seconds=65), **given})


def test_a_result_is_an_aligned_plain_table() -> None:
    two = Executions([execution(), execution("sender-x", status="Running", start=START, end=None)])
    assert repr(two) == (
        "execution       job     status     started              ended                duration"
        "  reason\n"
        "sender-abc1234  sender  Succeeded  2026-11-23 20:00:00  2026-11-23 20:01:05    1m 05s\n"
        "sender-x        sender  Running    2026-11-23 20:00:00"
    )


def test_nothing_says_that_it_is_nothing() -> None:
    assert repr(Executions()) == "no executions"
    assert Executions()._repr_html_() == "<p>no executions</p>"


def test_a_slice_is_a_result_again() -> None:
    many = Executions([execution(f"s-{i}") for i in range(5)])
    assert isinstance(many[1:3], Executions)
    assert [e.name for e in many[1:3]] == ["s-1", "s-2"]
    assert many[0].name == "s-0"
    assert many == Executions(many)
    assert many != Executions(many[1:])


def test_a_column_with_nothing_to_say_is_not_in_a_notebooks_table_but_of_an_answer_it_is() -> None:
    run = Execution(name="a-1", job="a", status="Running")
    html = Executions([run])._repr_html_()
    assert ">reason</th>" not in html
    assert ">ended</th>" in html
    failed = msgspec.structs.replace(run, reason="BackoffLimitExceeded")
    assert ">reason</th>" in Executions([run, failed])._repr_html_()
    answer = QueryTable([("x", None)], names=["a", "reason"], types=["string", "string"])
    assert ">reason</th>" in answer._repr_html_()


def test_a_time_is_not_broken_in_a_notebooks_table() -> None:
    moment = datetime(2026, 11, 29, 17, 53, 34, tzinfo=UTC)
    html = Executions(
        [Execution(name="a-1", job="a", status="Running", start=moment)]
    )._repr_html_()
    assert 'nowrap;text-align:left">2026-11-29 17:53:34</td>' in html


def test_what_was_sent_is_told_short() -> None:
    sent = Sent(queue="orders", sent=2_000, ids=tuple(map(str, range(2_000))))
    assert repr(sent) == "<Sent orders: 2,000 accepted>"


def test_html_is_escaped() -> None:
    line = LogLine(time=START, text="<script>alert('x')</script> & more", job='"<b>')
    html = Logs([line])._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<b>" not in html
    assert "&amp; more" in html
    single = line._repr_html_()
    assert "<script>" not in single


def test_a_line_with_control_characters_stays_one_line_in_a_table() -> None:
    shown = repr(Logs([LogLine(time=START, text="a\nb\x1b[31mred\x00")]))
    assert len(shown.splitlines()) == 2
    assert "a\\nb\\x1b[31mred\\x00" in shown


def test_a_frame_has_typed_columns_in_utc() -> None:
    frame = Executions([execution(), execution("r", end=None, status="Running")]).to_pandas()
    assert str(frame["start"].dtype) == "datetime64[us, UTC]"
    assert str(frame["duration"].dtype) == "timedelta64[us]"
    assert isinstance(frame["status"].dtype, pd.CategoricalDtype)
    assert frame["duration"][0] == pd.Timedelta(seconds=65)
    rules = AlertRules(
        [AlertRule(name="a", kind="log alert", severity=2, enabled=True)]
    ).to_pandas()
    assert isinstance(rules["severity"].dtype, pd.CategoricalDtype)
    assert pd.isna(frame["end"][1])


def test_an_empty_result_is_an_empty_frame_with_the_same_types() -> None:
    frame = Executions().to_pandas()
    assert len(frame) == 0
    assert str(frame["start"].dtype) == "datetime64[us, UTC]"
    queues = Queues([Queue(name="q", active=5)]).to_pandas()
    assert str(queues["active"].dtype) == "Int64"


def test_without_pandas_the_next_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(OrchestratorError) as caught:
        Executions().to_pandas()
    assert "aca-orchestrator[notebook]" in caught.value.hint


def test_json_of_an_execution_has_the_shape_of_az() -> None:
    raw = {"id": "/x", "name": "e", "type": "t", "properties": {"status": "Succeeded"}}
    one = execution("e", raw=raw, resource_group="rg")
    assert one.as_json() == {**raw, "resourceGroup": "rg"}
    json.dumps(Executions([one]).as_json())


def test_json_of_changes_is_plain() -> None:
    change = Change(
        name="sender",
        kind="job",
        action="updated",
        fields=(FieldChange(path="timeout", old="10m", new="5m"),),
    )
    assert json.loads(json.dumps(Changes([change]).as_json())) == [
        {
            "name": "sender",
            "kind": "job",
            "action": "updated",
            "fields": [{"path": "timeout", "old": "10m", "new": "5m"}],
        }
    ]
    assert "timeout: 10m → 5m" in repr(Changes([change]))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.04, "0.0s"),
        (9.9, "9.9s"),
        (9.96, "10s"),
        (59.6, "1m"),
        (65, "1m 05s"),
        (600, "10m"),
        (3599.7, "1h"),
        (7380, "2h 03m"),
        (100000, "1d 03h"),
        (-5, "-5.0s"),
        (-0.01, "0.0s"),
    ],
)
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 * 1024**2, "20 MiB")]
)
def test_sizes_are_binary(size: int, shown: str) -> None:
    assert show_bytes(size) == shown


def test_values_are_shown_by_kind() -> None:
    assert show(None) == ""
    assert show(True) == "yes"
    assert show(12345, "number") == "12,345"
    assert show(datetime.fromisoformat("2026-11-23T22:00:00+02:00")) == "2026-11-23 20:00:00"


# ------------------------------------------------------------------------------- the exit status


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("Succeeded", "", 0),
        ("Running", "", 0),
        ("Failed", "BackoffLimitExceeded", 3),
        ("Degraded", "", 3),
        ("Stopped", "", 4),
        ("Failed", "DeadlineExceeded", 5),
    ],
)
def test_an_outcome_is_an_exit_status(status: str, reason: str, code: int) -> None:
    assert execution(status=status, reason=reason).exit_code == code


# ------------------------------------------------------------------------------- queries


def test_a_query_result_shows_its_own_columns() -> None:
    first = QueryTable(
        [("sender", 3, START), ("receiver", 12000, None)],
        names=["job", "lines", "at"],
        types=["string", "long", "datetime"],
    )
    result = QueryResult([first, QueryTable([(1,)], names=["x"], types=["int"], name="Second")])
    assert repr(result) == (
        "job        lines  at\nsender         3  2026-11-23 20:00:00\nreceiver  12,000"
    )
    assert result[0] == ("sender", 3, START)
    assert result.as_json()[1] == {"job": "receiver", "lines": 12000, "at": None}
    assert result.tables[1].name == "Second"
    assert str(result.to_pandas()["at"].dtype) == "datetime64[us, UTC]"
    assert [row[0] for row in result[1:]] == ["receiver"]


def test_a_query_without_rows_says_so() -> None:
    assert repr(QueryResult([QueryTable([], names=["a"], types=["string"])])) == "no rows"
    assert repr(QueryResult([])) == "no rows"
