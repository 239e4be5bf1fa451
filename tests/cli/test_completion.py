"""What the shell completes: every place that takes a name knows the names."""

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from orchestrator.cli import known_names
from orchestrator.cli.app import root

SETTINGS = """
[profiles.local]
kind = "local"
[queues.orders]
[images.worker]
process = ["worker"]
[jobs.nightly]
trigger = "manual"
image = "worker"
[alerts.nightly-failed]
when = "failed"
job = "nightly"
"""


def completed(*words: str) -> set[str]:
    shell = ShellComplete(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE")
    return {item.value for item in shell.get_completions(list(words), "")}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orchestrator.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # No service is asked here: nothing has been seen of one.
    monkeypatch.setattr(known_names, "names", lambda *_: [])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("deploy", "nightly"),
        ("plan", "nightly"),
        ("drift", "nightly"),
        ("doctor", "nightly"),
        ("start", "nightly"),
        ("stop", "nightly@latest"),
        ("stop --job", "nightly"),
        ("jobs show", "nightly"),
        ("jobs export", "nightly"),
        ("jobs suspend", "nightly"),
        ("jobs resume", "nightly"),
        ("jobs delete", "nightly"),
        ("executions list --job", "nightly"),
        ("executions list --status", "Failed"),
        ("executions show", "nightly@latest"),
        ("executions retry", "nightly@latest"),
        ("executions wait", "nightly@latest"),
        ("logs --job", "nightly"),
        ("logs --execution", "nightly@latest"),
        ("metrics --job", "nightly"),
        ("metrics --queue", "orders"),
        ("alerts apply", "nightly-failed"),
        ("alerts delete", "nightly-failed"),
        ("alerts history", "nightly-failed"),
        ("queues create", "orders"),
        ("queues show", "orders"),
        ("queues delete", "orders"),
        ("queues peek", "orders"),
        ("queues send", "orders"),
        ("queues dead-letters list", "orders"),
        ("images build", "worker"),
        ("images push", "worker"),
        ("query --saved", "failures-by-job"),
        ("--profile", "local"),
        ("status --output", "jsonl"),
        ("infra", "what-if"),
        ("local fault add", "server-busy"),
    ],
)
def test_a_place_for_a_name_completes_it(words: str, name: str) -> None:
    assert name in completed(*words.split())


def test_every_argument_that_takes_a_known_noun_completes() -> None:
    nouns = {"job", "jobs", "execution", "executions", "queue", "queues", "images"}
    unknown: list[str] = []

    def look(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                look(below, f"{path} {name}")
            return
        for parameter in command.params:
            known = parameter._custom_shell_complete is not None
            if parameter.name in nouns and not known and "fault" not in path:
                unknown.append(f"{path} {parameter.name}")

    look(root, "orchestrator")
    assert not unknown
