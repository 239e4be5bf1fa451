"""Saved queries and large answers, against the local cloud's own limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from orchestrator import errors
from orchestrator.localcloud.logs.result import Limits
from orchestrator.queries.parts import PartsProgress
from tests.cli.conftest import Cli
from tests.cloud.library_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("queries"))
    made.orc.up()
    for env in (
        {"LINES": "300"},
        {"LINES": "2", "EXIT": "3", "COMPLAINT": "a fatal error"},
        {"LINES": "2", "SLEEP": "0.5"},
    ):
        run = made.orc.start("talker", env=env)
        made.orc.wait(run.name, "talker", timeout=60)
    folder = made.folder / "queries"
    folder.mkdir()
    (folder / "words.kql").write_text(
        "// Lines with a word.\n"
        "declare query_parameters(word:string, most:long = 10);\n"
        "ContainerAppConsoleLogs_CL\n| where Log_s has word\n| project Log_s\n"
    )
    yield made
    made.close()


@pytest.fixture
def cli(world: World) -> Cli:
    return Cli(world.folder)


@pytest.fixture
def small(world: World) -> Iterator[None]:
    """The service gives fifty rows at once."""
    engine = world.cloud.server.queries
    before, engine._limits = engine._limits, Limits(rows=50)
    yield
    engine._limits = before


def rows(world: World, name: str, **params: object) -> list[dict[str, object]]:
    query = world.orc.saved_query(name)
    return world.orc.query(query, params=params).as_json()


def test_those_that_come_along_answer(world: World) -> None:
    [failure] = rows(world, "failures-by-job")
    assert (failure["Job"], failure["Failures"]) == ("talker", 1)
    assert rows(world, "failures-by-job", job="nobody") == []
    slowest = rows(world, "slowest-executions")
    assert len(slowest) == 3
    assert {str(one["Outcome"]) for one in slowest} == {"Succeeded", "Failed"}
    assert rows(world, "slowest-executions", longer="1h") == []
    volume = rows(world, "log-volume", step="1d")
    assert sum(int(str(one["Lines"])) for one in volume) == 300 + 2 + 2 + 3 + 1
    errors_found = rows(world, "errors-per-hour")
    assert sum(int(str(one["Errors"])) for one in errors_found) == 1
    failed = next(e for e in world.orc.executions("talker") if e.status == "Failed")
    story = rows(world, "execution-story", execution=failed.name)
    assert {str(one["Source"]) for one in story} == {"platform", "stdout", "stderr"}
    assert any("a fatal error" in str(one["Text"]) for one in story)
    times = [str(one["Time"]) for one in story]
    assert times == sorted(times)


def test_values_stay_values(world: World) -> None:
    assert rows(world, "words", word="' or true or '") == []
    assert len(rows(world, "words", word="fatal")) == 1
    with pytest.raises(errors.BadInput, match="needs the parameter word"):
        rows(world, "words")
    with pytest.raises(errors.BadInput, match="not a long"):
        rows(world, "words", word="x", most="many")


def test_an_answer_that_is_too_large_is_said(world: World, cli: Cli, small: None) -> None:
    found = world.orc.query("ContainerAppConsoleLogs_CL")
    assert len(found) == 50
    assert "limit" in found.partial
    shown = cli("query", "ContainerAppConsoleLogs_CL | project Log_s", "-o", "csv")
    assert shown.status == 0
    assert "The answer is incomplete" in shown.err
    assert "--all" in shown.err


def test_all_of_it_comes_in_parts(world: World, cli: Cli, small: None) -> None:
    seen: list[PartsProgress] = []
    query = (
        "ContainerAppConsoleLogs_CL | where Log_s startswith 'line' | project TimeGenerated, Log_s"
    )
    found = world.orc.query(
        f"{query} | order by TimeGenerated asc", since="1h", whole=True, progress=seen.append
    )
    assert len(found) == 304
    assert found.partial == ""
    stamps = [row[0] for row in found]
    assert stamps == sorted(stamps)
    assert {row[1] for row in found} >= {f"line {n} of talker" for n in range(300)}
    assert seen[-1].rows == 304
    asked = cli("query", query, "--all", "--since", "1h", "-o", "jsonl")
    assert asked.status == 0, asked.err
    assert len(asked.out.splitlines()) == 304


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("order by _timestamp_d desc", lambda rows: sorted(rows, key=lambda row: -row[1])),
        ("extend N = toint(extract('line ([0-9]+)', 1, Log_s)) | project N, _timestamp_d "
         "| order by N asc, _timestamp_d desc",
         lambda rows: sorted(rows, key=lambda row: (row[0] is not None, row[0] or 0, -row[1]))),
        # TimeGenerated goes the other way here: the parts' order is not that of the rows.
        ("extend TimeGenerated = datetime(2026-01-01) - (TimeGenerated - datetime(2026-01-01)) "
         "| order by TimeGenerated asc",
         lambda rows: sorted(rows, key=lambda row: row[0])),
    ],
)  # fmt: skip
def test_another_order_than_the_parts_is_kept(
    world: World, small: None, order: str, expected: Callable[[Any], Any]
) -> None:
    query = f"ContainerAppConsoleLogs_CL | project TimeGenerated, _timestamp_d, Log_s | {order}"
    found = list(world.orc.query(query, since="1h", whole=True))
    assert len(found) == 308
    assert found == expected(found)
    assert found != found[::-1]


def test_an_order_that_parts_cannot_keep_is_refused(cli: Cli, small: None) -> None:
    query = "ContainerAppConsoleLogs_CL | order by Log_s asc"
    refused = cli("query", query, "--all", "--since", "1h")
    assert (refused.status, refused.out) == (2, "")
    assert "Log_s is a string" in refused.err


def test_what_parts_would_falsify_is_refused(world: World, cli: Cli, small: None) -> None:
    wide = "ContainerAppConsoleLogs_CL | summarize count() by Log_s"
    refused = cli("query", wide, "--all", "--since", "1h")
    assert refused.status != 0
    assert "aggregates would be made of each part alone" in refused.err
    assert cli("query", wide, "--all", "--row-wise", "--since", "1h").err == refused.err
    joined = "ContainerAppConsoleLogs_CL | join kind=leftouter (ContainerAppSystemLogs_CL) on Log_s"
    refused = cli("query", joined, "--all", "--since", "1h")
    assert "--row-wise" in refused.err
    # Where the answer fits there is nothing to refuse.
    fits = cli("query", "ContainerAppConsoleLogs_CL | count", "--all", "--since", "1h", "-o", "tsv")
    assert fits.out.strip() == "308"
    assert cli("query", wide, "--all").status == 2
    assert cli("query", wide, "--row-wise").status == 2


def test_the_command_with_saved_queries(world: World, cli: Cli) -> None:
    listed = json.loads(cli("query", "--list", "-o", "json").out)
    assert {one["name"]: one["origin"] for one in listed}["words"] == "project"
    table = cli("query", "--list").out
    assert "failures-by-job" in table
    asked = cli("query", "--saved", "words", "-p", "word=fatal", "-o", "json")
    assert json.loads(asked.out) == [{"Log_s": "a fatal error"}]
    printed = cli("query", "--saved", "words", "-p", "word=a'b", "--print")
    assert "let word = 'a\\'b'; let most = 10;" in printed.out
    file = cli("query", "-f", "queries/words.kql", "-p", "word=fatal", "-o", "json")
    assert json.loads(file.out) == [{"Log_s": "a fatal error"}]
    wrong = cli("query", "--saved", "word")
    assert wrong.status != 0
    assert 'Did you mean "words"?' in wrong.err
    both = cli("query", "T", "--saved", "words")
    assert both.status == 2


def test_a_file_that_is_not_right_is_in_nobodys_way(world: World, cli: Cli) -> None:
    bad = world.folder / "queries" / "bad.kql"
    bad.write_text("declare query_parameters(a:strng);\nprint a")
    try:
        assert cli("query", "print 1", "-o", "tsv").out.strip() == "1"
        assert cli("query", "bad").status == 2  # a name all the same
        listed = cli("query", "--list")
        assert (listed.status, "words" in listed.out) == (0, True)
        assert "Left out:" in listed.err
        assert "bad.kql" in listed.err
        assert cli("query", "--saved", "bad").status == 2
    finally:
        bad.unlink()


def test_a_frame_has_the_types_of_the_query_whatever_its_rows(world: World) -> None:
    rows = "range x from 1 to 3 step 1 | extend b = x > 1, r = 1.5 * x, s = 'a'"
    for query in (rows, f"{rows} | where x > 5"):
        dtypes = world.orc.query(query).to_pandas().dtypes.astype(str).to_dict()
        assert dtypes == {"x": "Int64", "b": "boolean", "r": "Float64", "s": "object"}
