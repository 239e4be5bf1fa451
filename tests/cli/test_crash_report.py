"""What is written down when the command meets a failure of its own: never a value."""

from __future__ import annotations

import pytest

from orchestrator.cli.failures import _without_values


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("TOKEN=s3cret", "TOKEN=…"),
        ("-eTOKEN=s3cret", "-eTOKEN=…"),
        ("--env=TOKEN=s3cret=", "--env=TOKEN=…"),
        ("--set=adminPassword=s3cret", "--set=adminPassword=…"),
        ("two.parts=s3\ncret", "two.parts=…"),
        ("--profile=azure", "--profile=azure"),
        ("T | where Name == 'a'", "T | where Name == 'a'"),
        ("sender", "sender"),
    ],
)
def test_a_command_line_is_kept_without_its_values(given: str, shown: str) -> None:
    assert _without_values(["start", given]) == ["start", shown]
