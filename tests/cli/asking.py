"""What the tests ask of the command again and again."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cli.conftest import Cli, Result


def ok(result: Result) -> str:
    assert result.status == 0, result
    return result.out


def until(test: Callable[[], object], timeout: float = 30) -> None:
    end = time.monotonic() + timeout
    while not test():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


def status_of(cli: Cli, execution: str) -> str:
    shown = cli("executions", "show", execution, "--query", "properties.status", "-o", "tsv")
    return ok(shown).strip()


def latest(cli: Cli, job: str) -> str:
    out = ok(cli("executions", "show", f"{job}@latest", "--query", "name", "-o", "tsv"))
    return out.strip()
