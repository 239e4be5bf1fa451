"""Every command says what it does and shows how, and what it shows is right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from orchestrator.cli.app import root
from orchestrator.cli.grammar import GLOBAL_OPTIONS, Command, LazyGroup

Walked = tuple[str, click.Command]


def walk(command: click.Command, path: str) -> Iterator[Walked]:
    yield path, command
    if isinstance(command, LazyGroup):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, f"{path} {name} is listed and does not exist"
            yield from walk(child, f"{path} {name}")


COMMANDS = list(walk(root, "orchestrator"))
IDS = [path for path, _ in COMMANDS]


def parse(line: list[str]) -> None:
    """Parse a command line to its end without running it; raises click's errors."""
    parent: click.Context | None = None
    command: click.Command = root
    name, rest = "orchestrator", line
    while True:
        context = command.make_context(name, list(rest), parent=parent)
        if not isinstance(command, LazyGroup):
            return
        known = vars(context)  # older clicks have no underscore there
        before = known.get("_protected_args", known.get("protected_args", []))
        words = [*before, *context.args]
        found, child, rest = command.resolve_command(context, words)
        assert found is not None
        assert child is not None
        parent, command, name = context, child, found


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_every_command_has_a_sentence_and_an_example(path: str, command: click.Command) -> None:
    assert isinstance(command, Command | LazyGroup)
    assert command.help
    assert command.help.strip().endswith(".")
    assert command.examples
    shown = command.get_help(click.Context(command, info_name=path))
    for what, line in command.examples:
        assert f"# {what}" in shown
        assert line in shown


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_every_example_parses(path: str, command: click.Command, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failures.kql").write_text("print 1")
    for _, line in command.examples:
        calls = [w for w in re.split(r"&&|\||>|\$\(|\)\"", _unquoted(line)) if "orchestrator " in w]
        assert calls, f"{line} does not call orchestrator"
        for call in calls:
            words = [_restored(w) for w in shlex.split(call)]
            words = words[words.index("orchestrator") + 1 :]
            parse(words)


_PIPE, _AND = "\ue000", "\ue001"


def _unquoted(line: str) -> str:
    """The line with `|` and `>` inside quotes replaced, so that it can be cut into commands."""
    return re.sub(
        r"'[^']*'|\"(?!\$)[^\"]*\"",
        lambda m: m[0].replace("|", _PIPE).replace(">", _AND),
        line.removeprefix("eval "),
    )


def _restored(word: str) -> str:
    return word.replace(_PIPE, "|").replace(_AND, ">").strip('"')


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_every_command_takes_the_global_options(path: str, command: click.Command) -> None:
    assert set(GLOBAL_OPTIONS) <= set(command.params)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_every_option_is_explained(path: str, command: click.Command) -> None:
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{path} {param.opts[0]} has no help"


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=IDS)
def test_a_command_is_named_as_it_is_listed(path: str, command: click.Command) -> None:
    assert command.name == path.split()[-1]


def test_help_fits_eighty_columns() -> None:
    for path, command in COMMANDS:
        shown = command.get_help(click.Context(command, info_name=path, max_content_width=80))
        examples = {line for _, line in command.examples}  # type: ignore[attr-defined]
        for line in shown.splitlines():
            assert len(line) <= 80 or line.strip() in examples, line
