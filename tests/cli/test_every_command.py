"""Every command there is, in every output format, alone and with `--query`, on a real local cloud.

The commands are found by walking the tree: a new one fails here until it has a way to be called.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from orchestrator.cli.session import FORMATS
from orchestrator.localcloud import process
from orchestrator.localcloud.config import CloudConfig
from tests.cli.asking import ok, until
from tests.cli.conftest import SETTINGS, TALKER, Cli, Result
from tests.cli.test_help import COMMANDS

MORE = """
[queues.orders]
dead_letter_on_expiration = true

[images.built]
build = "."
process = ["{python}", "talker.py"]

[action_groups.team]
emails = ["team@example.com"]

[alerts.twins-failed]
when = "failed"
job = "twins"
action_groups = ["team"]

[alerts.many-wait]
when = "dead-letters"
queue = "work"
"""

KQL = "print n = real(nan), i = real(+inf), t = now(), d = 12d, j = dynamic([1]), s = 'a\\tb\\nc'"
FAULT = "local fault add latency --delay 1s --on /none"


@dataclass(frozen=True)
class Way:
    """How a command is called here. `{n}`: a number that is new in each call.

    `before`: commands that make the call possible, run before each. `status`: what it exits with.
    `slow`: it takes a second each time (the SDK's links do, to close), so each format is asked
    for once, every other time with a selection. `once`: only with one format.
    """

    arguments: str = ""
    before: tuple[str, ...] = ()
    status: int = 0
    slow: bool = False
    once: bool = False

    @property
    def calls(self) -> list[tuple[str, str]]:
        """(format, selection) of each call; no selection is ""."""
        if self.once:
            return [("json", "type(@)")]
        plain = [(format, "") for format in FORMATS]
        selected = [(f, "type(@)" if n % 2 else "@") for n, f in enumerate(FORMATS)]
        return [*plain[::2], *selected[1::2]] if self.slow else [*plain, *selected]


WAYS = {
    "up": Way(),
    "status": Way(),
    "deploy": Way(),
    "plan": Way(),
    "drift": Way(),
    "doctor": Way("yearly --all"),
    "infra build": Way("--stdout"),
    "infra validate": Way(),
    "infra what-if": Way(),
    "infra deploy": Way(),
    "infra show": Way(),
    "infra destroy": Way("--yes", before=("up",), once=True),
    "start": Way("talker --env LINES=1"),
    "stop": Way("sleeper@latest", before=("start sleeper",)),
    "jobs list": Way(),
    "jobs show": Way("yearly"),
    "jobs export": Way("yearly"),
    "jobs suspend": Way("yearly"),
    "jobs resume": Way("yearly"),
    "jobs delete": Way("ghost --yes", before=("deploy ghost",)),
    "executions list": Way(),
    "executions show": Way("twins@latest"),
    "executions wait": Way("twins@latest", status=3),
    "executions retry": Way("talker@latest"),
    "logs": Way("--job twins"),
    "query": Way(shlex.quote(KQL)),
    "metrics": Way("--queue orders"),
    "alerts apply": Way(),
    "alerts list": Way(),
    "alerts delete": Way("many-wait --yes", before=("alerts apply many-wait",)),
    "alerts history": Way(),
    "queues list": Way(),
    "queues show": Way("orders"),
    "queues create": Way("new-{n}"),
    "queues delete": Way("new-{n} --yes", before=("queues create new-{n}",)),
    "queues peek": Way("orders", slow=True),
    "queues sessions": Way(
        "talks",
        before=("queues create talks --sessions", "queues send talks hi --session s"),
        slow=True,
    ),
    "queues send": Way("work {n}", slow=True),
    "queues receive": Way("work", before=("queues send work {n}",), slow=True),
    "queues purge": Way("work --yes", slow=True),
    "queues dead-letters list": Way("orders", slow=True),
    "queues dead-letters resubmit": Way("orders --dry-run", slow=True),
    "queues dead-letters purge": Way("orders --dry-run", slow=True),
    # No container engine answers here, whatever the machine has.
    "images build": Way("built", status=1),
    "images list": Way(status=1),
    "images push": Way("built", status=2),
    "init": Way("made-{n}"),
    # These are not the demo's settings; what it prints is tests/e2e/test_demo.py's.
    "demo": Way(status=2),
    "completion": Way("bash"),
    "local up": Way(),
    "local status": Way(),
    "local logs": Way("--tail 3"),
    "local env": Way(),
    "local clock show": Way(),
    "local clock advance": Way("1s"),
    "local clock rate": Way("1"),
    "local clock freeze": Way(),
    "local clock reset": Way(),
    "local fault add": Way("latency --delay 1s --on /none"),
    "local fault list": Way(before=(FAULT,)),
    "local fault remove": Way("--all", before=(FAULT,)),
    # The first of these calls stops it; the others find it stopped, and say so as well.
    "local down": Way(),
    "down": Way(),
    "local reset": Way("--yes"),
}

PATHS = [
    path.removeprefix("orchestrator ")
    for path, command in COMMANDS
    if not isinstance(command, click.Group)
]
LAST = ("infra destroy", "local down", "down", "local reset")
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with something of everything: failed executions, dead letters, alerts, metrics."""
    folder = tmp_path_factory.mktemp("everything")
    (folder / "orchestrator.toml").write_text(SETTINGS + MORE)
    (folder / "talker.py").write_text(TALKER)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    yield folder
    process.reset(folder / ".orchestrator" / "local")


@pytest.fixture
def everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command there; its local cloud runs, whatever was called before."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/engine.sock")
    cli, state = Cli(folder), folder / ".orchestrator" / "local"
    new = not state.exists()
    if process.status(state).state != "running":
        process.up(CloudConfig(state, folder, port=0, identity_port=0, amqp_port=0, amqps_port=0))
    if new:
        ok(cli("up"))
        assert cli("start", "twins", "--wait", "--env", "STATUS=1").status == 3
        ok(cli("start", "talker", "--wait"))
        awkward = ("orders", 'a\tb\n"c", d', "--subject", "é")
        ok(cli("queues", "send", *awkward, "--time-to-live", "1s"))
        ok(cli("alerts", "apply"))
        until(lambda: "about to fail" in ok(cli("logs", "--job", "twins")))
        ok(cli("local", "clock", "advance", "10m"))
        until(lambda: "twins" in ok(cli("alerts", "history")))
        ok(cli("queues", "send", *awkward))
    return cli


def test_every_command_has_a_way_to_be_called_here() -> None:
    assert set(PATHS) == set(WAYS), "tests/cli/test_every_command.py: WAYS is how each is called"


@pytest.mark.parametrize("path", [*(p for p in PATHS if p not in LAST), *LAST])
def test_every_format_holds_what_the_command_says(everything: Cli, path: str) -> None:
    way = WAYS[path]
    for format, selection in way.calls:
        number = str(next(numbers))
        for line in way.before:
            ok(everything(*shlex.split(line.format(n=number))))
        given = shlex.split(way.arguments.format(n=number))
        asked = ("-o", format, *(("--query", selection) if selection else ()))
        result = everything(*path.split(), *given, *asked)
        _truthful(result, way.status, told=format == "table" and not selection)
        if result.out:
            read = READERS[format](result.out)
            if selection == "type(@)":
                assert read in ("array", "object"), "the selection was passed over"


def _truthful(result: Result, status: int, *, told: bool) -> None:
    """`told`: what there is to say may be said on stderr."""
    assert result.status == status, result
    assert "\x1b" not in result.out + result.err
    assert "Traceback" not in result.err
    if status in (1, 2):
        assert result.out == ""
        assert re.search(r"^Next: ", result.err, re.MULTILINE)
    else:
        assert result.out or (told and result.err), result


# --------------------------------------------------------------- reading what was written, strictly


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def _jsonl(text: str) -> Any:
    rows = [_json(line) for line in text.splitlines()]
    return rows[0] if len(rows) == 1 else rows


def _yaml(text: str) -> Any:
    read = yaml.safe_load(text)
    assert not isinstance(read, str) or "\n" not in read
    # A stream of records is a list with an item for each (`queues receive`).
    return read[0] if isinstance(read, list) and len(read) == 1 else read


def _csv(text: str) -> Any:
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1, rows
    if rows == [["array"]] or rows == [["object"]]:
        return rows[0][0]
    heading = rows[0]
    assert len(set(heading)) == len(heading)
    assert all(heading)
    for row in rows:
        _cells(row)
    return rows


def _tsv(text: str) -> Any:
    assert text.endswith("\n")
    rows = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert len({len(row) for row in rows}) == 1, rows
    for row in rows:
        _cells(row)
    return rows[0][0] if rows == [[rows[0][0]]] else rows


def _cells(row: list[str]) -> None:
    for cell in row:
        assert cell not in ("None", "True", "False", "nan", "inf"), row
        assert not re.fullmatch(r"[\d.]+e\+?\d+", cell), row  # a duration or size in few digits


def _table(text: str) -> Any:
    assert "\r" not in text
    lines = text.splitlines()
    assert not any(line != line.rstrip() for line in lines), text
    return lines[0] if len(lines) == 1 else lines


READERS = {
    "table": _table,
    "json": _json,
    "jsonl": _jsonl,
    "yaml": _yaml,
    "csv": _csv,
    "tsv": _tsv,
}
