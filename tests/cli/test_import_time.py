"""What a command imports: `--help` must stay fast, whatever the commands behind it need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import Cli

HEAVY = (
    "aiohttp",
    "asyncio",
    "azure",
    "duckdb",
    "jmespath",
    "msgspec",
    "pandas",
    "requests",
    "rich",
    "yaml",
    "orchestrator.client",
    "orchestrator.localcloud",
    "orchestrator.settings",
)

PROBE = """
import json, sys
sys.argv = ["orchestrator", *sys.argv[1:]]
from orchestrator.cli import main
try:
    main()
except SystemExit as end:
    status = end.code
print("\\n" + json.dumps([status, sorted(sys.modules)]))
"""


def modules_after(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status in (0, None)
    return set(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("start", "--help"),
        ("executions", "--help"),
        ("executions", "list", "--help"),
        ("local", "up", "--help"),
        ("query", "--help"),
        ("demo", "--help"),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_help_imports_no_sdk_and_no_display(arguments: tuple[str, ...]) -> None:
    loaded = modules_after(*arguments)
    assert {name for name in HEAVY if name in loaded} == set()


def test_the_probe_sees_what_a_command_imports() -> None:
    # Without this the test above could pass by looking at the wrong process.
    assert "click" in modules_after("--help")
    assert "jmespath" in modules_after("--query", "a", "completion", "bash")


def test_a_list_of_executions_does_without_requests(cli: Cli) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "executions", "list", "-o", "json"],
        cwd=cli.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    assert "azure.core" in modules
    assert {"requests", "urllib3", "msal", "azure.mgmt", "rich"}.isdisjoint(modules)
