"""How results look: on a terminal, in a pipe, in each format."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from orchestrator.cli.shell_exports import exports
from orchestrator.cli.tracing import redact
from orchestrator.display.formats import write
from orchestrator.display.loglines import LinePrinter
from orchestrator.display.moments import ago, clock_time
from orchestrator.display.progress import Progress
from orchestrator.display.selection import Selection, SelectionError
from orchestrator.display.terminal import colour, disable_colour
from orchestrator.display.views import View, of_data, of_records
from orchestrator.queries.result import QueryTable
from orchestrator.queues.messages import DeadLetterMessages, Message
from orchestrator.results import Execution, Executions, LogLine, Logs
from tests.cli.conftest import ANSI

START = datetime(2026, 11, 23, 21, 3, 12, tzinfo=UTC)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def executions() -> Executions:
    raw = {"id": "/subscriptions/s/x", "name": "sender-abc", "properties": {"status": "Succeeded"}}
    return Executions(
        [
            Execution(
                name="sender-abc",
                job="sender",
                status="Succeeded",
                start=START,
                end=START + timedelta(seconds=1.25),
                resource_group="local",
                raw=raw,
            ),
            Execution(
                name="sender-defghi",
                job="sender",
                status="Failed",
                start=START,
                end=START + timedelta(minutes=3),
                reason="BackoffLimitExceeded",
                raw={**raw, "name": "sender-defghi"},
            ),
        ]
    )


def shown(
    format: str = "table", query: str | None = None, stream: io.StringIO | None = None
) -> str:
    stream = stream or io.StringIO()
    write(of_records(executions()), stream, format, Selection(query) if query else None)
    return stream.getvalue()


# -------------------------------------------------------------------------------------- pipes


def test_a_piped_table_is_aligned_uncut_and_plain() -> None:
    lines = shown().splitlines()
    assert lines[0].split() == [
        "execution",
        "job",
        "status",
        "started",
        "ended",
        "duration",
        "reason",
    ]
    assert lines[1].split()[:4] == ["sender-abc", "sender", "Succeeded", "2026-11-23T21:03:12Z"]
    assert lines[1].index("sender ") == lines[2].index("sender ") == lines[0].index("job")
    assert "BackoffLimitExceeded" in lines[2]
    assert not ESCAPE.search(shown())


def test_an_empty_piped_table_is_empty() -> None:
    stream = io.StringIO()
    write(of_records(Executions()), stream)
    assert stream.getvalue() == ""


def test_control_characters_stay_within_their_cell() -> None:
    stream = io.StringIO()
    write(of_data([{"text": "a\nb\x1b[31m"}]), stream)
    assert stream.getvalue().splitlines() == ["text", r"a\nb\x1b[31m"]


# ---------------------------------------------------------------------------------- terminals


def test_a_terminal_table_has_no_rules_and_coloured_states() -> None:
    stream = Terminal()
    text = shown(stream=stream)
    assert "\x1b[32mSucceeded" in text
    assert "\x1b[31mFailed" in text
    assert not set("─│┃━+|") & set(ESCAPE.sub("", text))
    assert "ago" in text


def test_no_color_takes_the_colours_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(stream=Terminal())
    monkeypatch.delenv("NO_COLOR")
    disable_colour()
    try:
        assert not colour(Terminal())
        assert "\x1b[3" not in shown(stream=Terminal())
    finally:
        disable_colour(False)


def test_a_dumb_terminal_has_the_width_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    there = ESCAPE.sub("", shown(stream=Terminal()))
    monkeypatch.setenv("TERM", "dumb")
    assert shown(stream=Terminal()) == there


@pytest.mark.parametrize("columns", [50, 60, 80, 100])
def test_no_line_is_wider_than_a_narrow_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = ESCAPE.sub("", shown(stream=Terminal()))
    assert max(map(len, text.splitlines())) <= columns
    assert "sender-defghi" in text
    assert "Failed" in text


def heading_at(columns: int, view: View, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str]:
    """The headings that a terminal so wide shows, and all that it shows."""
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    write(view, stream)
    text = ESCAPE.sub("", stream.getvalue())
    assert max(map(len, text.splitlines())) <= columns
    return text.splitlines()[0].split(), text


def test_a_narrow_terminal_does_without_one_column_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = of_records(executions())
    names = ["execution", "job", "status", "started", "ended", "duration", "reason"]
    assert heading_at(140, view, monkeypatch)[0] == names
    names.remove("ended")  # the start and the duration tell it as well
    assert heading_at(80, view, monkeypatch)[0] == names
    names.remove("job")  # an execution's name begins with it
    assert heading_at(70, view, monkeypatch)[0] == names
    names.remove("duration")
    assert heading_at(60, view, monkeypatch)[0] == names


def test_the_id_of_a_message_can_be_copied_from_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id_ = "0b0d0e6f1c4f4c3c8f0d1f0a5b6c7d8e"
    letter = Message(
        sequence_number=7,
        id=id_,
        body="a body of any length, " * 9,
        enqueued=START,
        reason="NotAPositiveInteger",
        description="the body is not a positive integer",
    )
    view = of_records(DeadLetterMessages([letter]))
    headings, text = heading_at(80, view, monkeypatch)
    assert headings == ["number", "message", "reason", "body"]
    assert id_ in text
    headings, text = heading_at(70, view, monkeypatch)
    assert id_ not in text
    assert headings == ["number", "message", "enqueued", "reason", "body"]


def answer(*texts: str) -> QueryTable:
    return QueryTable(
        [(START, text, None) for text in texts],
        names=["TimeGenerated", "Log_s", "size"],
        types=["datetime", "string", "long"],
    )


def test_an_answer_to_a_query_keeps_every_column_and_exact_times() -> None:
    stream = Terminal()
    write(of_records(answer("short")), stream)
    head, row = ESCAPE.sub("", stream.getvalue()).splitlines()
    assert head.split() == ["TimeGenerated", "Log_s", "size"]
    assert row.split() == ["2026-11-23T21:03:12.000Z", "short"]


def test_long_texts_of_an_answer_are_folded_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    words = [f"word{n}" for n in range(30)]
    write(of_records(answer(" ".join(words))), stream)
    text = ESCAPE.sub("", stream.getvalue())
    assert max(map(len, text.splitlines())) <= 80
    assert [w for w in text.split() if w.startswith("word")] == words


def test_an_answer_too_wide_for_the_terminal_stands_row_below_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    write(of_records(answer("a text of some length, forty characters", "b")), stream)
    lines = [line.split() for line in ESCAPE.sub("", stream.getvalue()).splitlines()]
    assert lines[0] == ["1"]
    assert lines[1] == ["TimeGenerated", "2026-11-23T21:03:12.000Z"]
    assert lines[2][0] == "Log_s"
    assert ["2"] in lines


def test_a_column_with_nothing_to_say_is_left_out() -> None:
    stream = Terminal()
    write(of_records(executions()[:1]), stream)
    assert "reason" not in stream.getvalue()
    stream = Terminal()
    write(of_records(executions()), stream)
    assert "reason" in stream.getvalue()


# ------------------------------------------------------------------------------------ formats


def test_json_has_the_whole_resource() -> None:
    data = json.loads(shown("json"))
    assert [row["name"] for row in data] == ["sender-abc", "sender-defghi"]
    assert data[0]["resourceGroup"] == "local"
    assert yaml.safe_load(shown("yaml")) == data
    assert [json.loads(line) for line in shown("jsonl").splitlines()] == data


def test_json_is_laid_out_as_the_standard_library_does() -> None:
    data = [{"a": [], "b": {}, "c": [1.5, 'é"\\\x01\u2028']}, {"d": 10**20, "e": None}]
    stream = io.StringIO()
    write(of_data(data), stream, "json")
    assert stream.getvalue() == json.dumps(data, indent=2) + "\n"


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_what_is_no_number_stays_valid_json(format: str) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    stream = io.StringIO()
    write(of_data([{"x": [math.nan, math.inf, -math.inf]}]), stream, format)
    data = json.loads(stream.getvalue(), parse_constant=refuse)
    assert data in (
        [{"x": ["NaN", "Infinity", "-Infinity"]}],
        {"x": ["NaN", "Infinity", "-Infinity"]},
    )


def test_csv_has_a_heading_and_values_for_programs() -> None:
    rows = list(csv.DictReader(io.StringIO(shown("csv"))))
    assert rows[0]["name"] == "sender-abc"
    assert rows[0]["start"] == "2026-11-23T21:03:12Z"
    assert rows[0]["duration"] == "1.25"
    assert rows[0]["reason"] == ""


def test_tsv_has_no_heading_and_one_line_per_row() -> None:
    lines = shown("tsv").splitlines()
    assert len(lines) == 2
    assert lines[1].split("\t")[:3] == ["sender-defghi", "sender", "Failed"]
    stream = io.StringIO()
    write(of_data([["a\tb", "c\nd", True, None, {"e": 1}]]), stream, "tsv")
    assert stream.getvalue() == 'a\\tb\tc\\nd\ttrue\t\t{"e":1}\n'


@pytest.mark.parametrize(
    ("format", "query", "expected"),
    [
        ("tsv", "[].name", "sender-abc\nsender-defghi\n"),
        ("table", "[0].name", "sender-abc\n"),
        ("tsv", "[?properties.status=='Succeeded'].[name, resourceGroup]", None),
        ("json", "length(@)", "2\n"),
        ("csv", "[].{n: name}", "n\nsender-abc\nsender-defghi\n"),
        ("table", "[].{n: name}", "n\nsender-abc\nsender-defghi\n"),
        ("json", "[5]", "null\n"),
        ("tsv", "[5]", ""),
        ("yaml", "[0].name", "sender-abc\n"),
    ],
)
def test_a_selection_is_what_every_format_carries(
    format: str, query: str, expected: str | None
) -> None:
    if expected is None:
        expected = "sender-abc\tlocal\nsender-defghi\t\n"
    assert shown(format, query) == expected


@pytest.mark.parametrize(
    ("expression", "position"), [("[", 1), ("a b", 2), ("a.#", 2), ("length(", 7)]
)
def test_a_wrong_selection_is_marked_where_it_is_wrong(expression: str, position: int) -> None:
    with pytest.raises(SelectionError) as caught:
        Selection(expression)
    assert caught.value.excerpt.splitlines() == [expression, " " * position + "^"]


def test_a_selection_that_fails_on_the_data_is_a_selection_error() -> None:
    with pytest.raises(SelectionError, match="length"):
        Selection("length(@)").search(5)
    with pytest.raises(SelectionError):
        Selection("no_such_function(@)").search({})


def test_kql_rows_keep_their_columns_when_there_are_none() -> None:
    stream = io.StringIO()
    table = QueryTable([], names=["a", "b"], types=["string", "long"])
    write(of_records(table), stream, "csv")
    assert stream.getvalue() == "a,b\n"


# -------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (12, "12 s ago"), (200, "3 min ago"), (7300, "2 h ago"), (-40, "in 40 s")],
)
def test_relative_times(seconds: int, text: str) -> None:
    assert ago(START - timedelta(seconds=seconds), START) == text


def test_the_time_of_day_has_a_date_when_it_is_another_day() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d", clock_time(START, START))
    assert re.fullmatch(r"Nov 2\d \d\d:\d\d", clock_time(START, START + timedelta(days=3)))


# ---------------------------------------------------------------------------------- log lines


def line(text: str, replica: str = "sender-abc-1", stream: str = "stdout") -> LogLine:
    return LogLine(
        time=START, text=text, job="sender", execution="sender-abc", replica=replica, stream=stream
    )


def test_log_lines_in_a_pipe_are_what_the_container_wrote() -> None:
    out = io.StringIO()
    printer = LinePrinter(out)
    lines = Logs([line("[1] Sent\tmessage \x1b[1m"), line("oops", stream="stderr")])
    printer.choose_prefix(lines)
    for one in lines:
        printer.print(one)
    assert out.getvalue() == "[1] Sent\tmessage \x1b[1m\noops\n"


def test_lines_of_several_replicas_are_told_apart() -> None:
    out = io.StringIO()
    printer = LinePrinter(out)
    lines = Logs([line("a"), line("b", replica="sender-abc-2")])
    printer.choose_prefix(lines)
    for one in lines:
        printer.print(one)
    assert out.getvalue() == "sender-abc-1  a\nsender-abc-2  b\n"


def test_a_payload_cannot_play_with_the_terminal() -> None:
    out = Terminal()
    LinePrinter(out).print(line("a\x1b]0;title\x07b\tc"))
    assert out.getvalue() == "a\\x1b]0;title\\x07b\tc\n"


def test_stderr_lines_are_coloured_on_a_terminal() -> None:
    out = Terminal()
    LinePrinter(out).print(line("oops", stream="stderr"))
    assert out.getvalue() == "\x1b[33moops\x1b[0m\n"


def test_progress_is_silent_in_a_pipe() -> None:
    out = io.StringIO()
    with Progress(out) as progress:
        progress.begin("working")
        progress.update("still")
        progress.done()
        progress.note("by the way")
    assert out.getvalue() == ""


# --------------------------------------------------------------------------------- shell lines


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("sh", """export NAME='it'"'"'s $HOME'"""),
        ("fish", r"""set -gx NAME 'it\'s $HOME'"""),
        ("powershell", "$env:NAME = 'it''s $HOME'"),
    ],
)
def test_exports_are_quoted_for_their_shell(shell: str, line: str) -> None:
    assert list(exports({"NAME": "it's $HOME"}, shell)) == [line]


# ------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer SECRET",
        "Endpoint=sb://a/;SharedAccessKeyName=Root;SharedAccessKey=SECRET;EntityPath=q",
        "SharedAccessSignature sr=x&sig=SECRET&se=1",
        "'X-IDENTITY-HEADER': 'SECRET'",
        '{"access_token": "SECRET", "expires_on": 1}',
        '{"primaryKey":"SECRET"}',
        "token eyJSECRET.eyJSECRET.SECRET end",
        "https://h/p?client_secret=SECRET&x=1",
    ],
)
def test_traces_hide_secrets(text: str) -> None:
    hidden = redact(text)
    assert "SECRET" not in hidden
    assert "(hidden)" in hidden


def test_a_narrow_terminal_shows_what_saved_queries_tell_and_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orchestrator.display.saved import write_saved
    from orchestrator.queries.saved import find_all

    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    found = find_all(None)
    write_saved(found, stream)
    shown = ANSI.sub("", stream.getvalue())
    assert all(len(line) <= 80 for line in shown.splitlines())
    told = " ".join(shown.split())
    for query in found:
        assert query.name in shown
        assert query.description.split()[-1] in told
    assert "--param since=TIMESPAN [default: 1d]" in told
    assert "--param execution=STRING failures" in told  # it must be given


def test_resources_that_are_told_alike_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.display.deployed import write_resources
    from orchestrator.infra.changes import Deployed, Resource

    monkeypatch.setenv("COLUMNS", "60")
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ServiceBus/namespaces/n/queues/q"
    kind = "Microsoft.Authorization/roleAssignments"
    roles = [
        Resource(name="on q", kind="role", type=kind, id=f"{path}/{n}", status="managed")
        for n in range(3)
    ]
    outputs = {"pullIdentityId": path.replace("queues/q", "queues/a-queue-of-a-long-name")}
    stream = Terminal()
    write_resources(
        Deployed(roles, name="infra", resource_group="g", state="succeeded", outputs=outputs),
        stream,
    )
    shown = ANSI.sub("", stream.getvalue())
    assert shown.count("on q") == 1
    assert "on q (3)" in shown
    assert "…/a-queue-of-a-long-name" in shown
    assert all(len(line) <= 60 for line in shown.splitlines())


def test_a_long_sentence_breaks_between_words_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orchestrator.cli.failures import report

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "argv", ["tests"])  # whatever runs them
    sentence = "Could not read the metrics of the job x: Resource group 'local' is missing."
    for stream, lines in ((Terminal(), 3), (io.StringIO(), 2)):
        monkeypatch.setattr(sys, "stderr", stream)
        report(sentence, "orchestrator --profile local up")
        shown = ANSI.sub("", stream.getvalue())
        assert len(shown.splitlines()) == lines
        assert " ".join(shown.split()).startswith(sentence)
    assert shown == f"{sentence}\nNext: orchestrator --profile local up\n"
