"""The reference pages are what the types and the commands say today."""

import importlib.util
import typing
from pathlib import Path
from types import ModuleType

import click
import msgspec
import pytest

from orchestrator.cli.app import root
from orchestrator.settings import tables

DOCS = Path(__file__).resolve().parents[3] / "docs"


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generate()


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_reference_page_is_what_would_be_generated(name: str) -> None:
    written = (generate.FOLDER / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), f"docs/reference/{name} is old: make docs"


def test_every_table_of_the_settings_is_in_the_reference() -> None:
    def below(table: type[tables.Table]) -> set[type[tables.Table]]:
        found = {table}
        hints = [typing.get_type_hints(table)[f.name] for f in msgspec.structs.fields(table)]
        while hints:
            hint = hints.pop()
            if isinstance(hint, type) and issubclass(hint, tables.Table):
                found |= below(hint)
            hints += typing.get_args(hint)
        return found

    assert set(generate.TABLES.values()) == below(tables.Settings)


@pytest.mark.parametrize("table", generate.TABLES.values(), ids=lambda table: table.__name__)
def test_the_docstring_of_a_table_describes_each_of_its_keys(table: type[tables.Table]) -> None:
    _, of_keys = generate.descriptions(table)
    for key in generate.keys_of(table):
        assert of_keys.get(key), f"{table.__name__}.{key} has no line `{key}: …` in the docstring"


def _options() -> list[tuple[str, click.Option]]:
    return [
        (path, option)
        for path, command in generate.commands(root, "orchestrator")
        for option in generate.own_options(command)
    ]


def test_every_command_and_option_has_a_help_text() -> None:
    for path, command in generate.commands(root, "orchestrator"):
        assert command.help, path
    bare = [f"{path} {option.opts[-1]}" for path, option in _options() if not option.help]
    assert not bare


@pytest.mark.parametrize(
    ("help_text", "markdown"),
    [
        ("--wait till <id> is done", "`--wait` till \\<id> is done"),
        ("as in */5 * * * *", "as in \\*/5 \\* \\* \\* \\*"),
        ("`--wait` and --job", "`--wait` and `--job`"),
        ("a time-out, orchestrator.toml", "a time-out, `orchestrator.toml`"),
        ("the resource_group of it", "the `resource_group` of it"),
    ],
)
def test_help_is_written_as_markdown(help_text: str, markdown: str) -> None:
    assert generate.prose(help_text) == markdown
