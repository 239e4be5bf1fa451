"""A slip in orchestrator.toml is told with the file, the line and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import SettingsError
from orchestrator.settings import load
from orchestrator.settings.slips import line_of

HEAD = """\
[profiles.local]
kind = "local"

[jobs.sender]
trigger = "manual"
image = "sender"
"""  # six lines

SLIPS = [
    (
        'trigger = "event"',
        'line 7, column 18: not valid TOML: the key "trigger" is there already in [jobs.sender], '
        "on line 5: keep one of the two.",
    ),
    (
        '[jobs.sender]\nimage = "other"',
        "line 7, column 13: not valid TOML: [jobs.sender] is there already, on line 4: put its "
        "keys together.",
    ),
    (
        "scale = 1\n[jobs.sender.scale]\nmax = 1",
        "line 8, column 19: not valid TOML: [jobs.sender.scale] is there already, on line 7: put "
        "its keys together.",
    ),
    (
        'cron = "* * * * *\nretries = 1',
        'line 7, column 18: not valid TOML: a quote is missing at the end of the text: "* * * * *.',
    ),
    (
        "executor = process",
        'line 7, column 12: not valid TOML: process is no value; text is in quotes: "process".',
    ),
    (
        "timeout = 10m",
        'line 7, column 13: not valid TOML: 10m is no number; text is in quotes: "10m".',
    ),
    ("timeout = ", "line 7, column 11: not valid TOML: the value after = is missing."),
    (
        "timeout: 1",
        "line 7, column 8: not valid TOML: write = between a key and its value, not :.",
    ),
    (
        "timeout",
        "line 7, column 8: not valid TOML: after the key timeout there has to be = and a value.",
    ),
    (
        "[jobs.other",
        "line 7, column 12: not valid TOML: the ] that ends the name of a table is missing.",
    ),
    (
        "sends = True",
        "line 7, column 9: not valid TOML: write true in small letters.",
    ),
    (
        "sends = null",
        "line 7, column 9: not valid TOML: there is no such value: leave the key out.",
    ),
    (
        "timeout = “10m”",
        'line 7, column 11: not valid TOML: quotes are straight ones: "…".',
    ),
    (
        "retries = 1 // once",
        "line 7, column 13: not valid TOML: a comment begins with #, not with //.",
    ),
    (
        'timeout = "1m" "2m"',
        'line 7, column 16: not valid TOML: nothing can follow the value on its line, as "2m" '
        "does.",
    ),
    (
        'sends = ["a"\nretries = 1',
        "line 8, column 1: not valid TOML: the list before this has no ] at its end, or a comma is "
        "missing in it.",
    ),
    (
        'working = "C:\\Users"',
        "not valid TOML: a backslash begins an escape: write it twice, or the text between ' "
        "and '.",
    ),
]


def told(folder: Path, text: str) -> str:
    path = folder / "orchestrator.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert caught.value.message.startswith(str(path))
    return caught.value.message.removeprefix(str(path))


@pytest.mark.parametrize(("slip", "sentence"), SLIPS, ids=[slip for slip, _ in SLIPS])
def test_what_is_no_toml_is_told_as_what_was_meant(
    tmp_path: Path, slip: str, sentence: str
) -> None:
    assert told(tmp_path, f"{HEAD}{slip}\n").endswith(sentence)


def test_what_cannot_be_a_value_is_told_with_its_line(tmp_path: Path) -> None:
    text = f"""{HEAD}parallelism = "2"
[jobs.sender.env]
COUNT = 5
[queues.in]
lock_duration = 5
"""
    assert told(tmp_path, text) == (
        " has 3 problems:\n"
        '  line 7, jobs.sender.parallelism: expected a whole number, found the text "2".\n'
        '  line 9, jobs.sender.env.COUNT: values of variables are text: write "5" in quotes.\n'
        '  line 11, queues.in.lock_duration: 5 has no unit: write it as "5s" or "5m".'
    )


def test_a_key_is_found_in_tables_lists_of_tables_and_texts() -> None:
    text = """\
default_profile = "a"
[jobs.a]
env.X = "1"
note = \"\"\"
image = "not this one"
\"\"\"
[[jobs.a.scale.rules]]
queue = "q"
[[jobs.a.scale.rules]]
metadata = { a = "b" }
[jobs."b c"]
image = "x"
"""
    assert line_of(text, "default_profile") == 1
    assert line_of(text, "jobs.a.env.X") == 3
    assert line_of(text, "jobs.a.image") == 2  # missing: where its table begins
    assert line_of(text, "jobs.a.scale.rules[0].queue") == 8
    assert line_of(text, "jobs.a.scale.rules[1].metadata.a") == 10
    assert line_of(text, 'jobs."b c".image') == 12
    assert line_of(text, "nothing.of.this") is None
