"""`--since` a moment that is to come: told, where an empty table would hide a slip."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli

COMMANDS = [
    ("executions", "list"),
    ("logs",),
    ("logs", "--system"),
    ("logs", "--job", "talker", "--follow"),
    ("logs", "--job", "talker", "--follow", "--system"),
    ("query", "print 1"),
    ("query", "ContainerAppConsoleLogs_CL", "--all"),
    ("queues", "peek", "work"),
    ("queues", "dead-letters", "list", "work"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_moment_that_is_to_come_is_told(cli: Cli, command: tuple[str, ...]) -> None:
    done = cli(*command, "--since", "2999-01-02T03:04Z")
    assert (done.status, done.out) == (2, ""), done
    said, step = done.err.splitlines()
    assert said.startswith("2999-01-02 03:04:00 UTC is still to come: it is 20")
    assert "UTC by the service's clock" in said
    assert step.startswith("Next: Say how long ago, as in 2h; or a time with its zone, as in 20")
