"""What the documentation tells to type can be typed: each command line parses, each piece of Python
compiles and names what there is, each settings block is read."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import orchestrator
from tests.cli.test_help import parse

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "jobs" / "README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]
_BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELLS = ("bash", "sh", "console", "powershell")


def blocks(*languages: str) -> list[tuple[str, str]]:
    """(page and line, text) of the blocks in these languages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in _BLOCK.finditer(text):
            if block[1] in languages:
                line = text.count("\n", 0, block.start()) + 1
                found.append((f"{page.relative_to(ROOT).as_posix()}:{line}", block[2]))
    return found


def calls(text: str) -> Iterator[list[str]]:
    """The arguments of each call of `orchestrator` in a piece of shell."""
    text = re.sub(r"\\\n\s*", " ", text)
    for line in text.splitlines():
        lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            tokens = list(lexer)
        except ValueError:  # the middle of a text over several lines
            continue
        for token in [*tokens, ";"]:
            if re.fullmatch(r"[();<>|&]+", token):
                if "orchestrator" in words:
                    yield words[words.index("orchestrator") + 1 :]
                words = []
            elif "$(orchestrator " in token:  # eval "$(orchestrator …)"
                yield from calls(token.partition("$(")[2].rpartition(")")[0])
            else:
                words.append(token)


CALLS = [(where, words) for where, text in blocks(*_SHELLS) for words in calls(text)]
SPANS = [
    (f"{page.relative_to(ROOT).as_posix()}:{number}", words)
    for page in PAGES
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
    for span in re.findall(r"`(orchestrator [^`]+)`", line)
    for words in calls(span)
]


def named(found: list[tuple[str, list[str]]]) -> list[str]:
    return [f"{where} {' '.join(words)}" for where, words in found]


def test_the_calls_are_found() -> None:
    assert len(CALLS) > 200
    assert len(SPANS) > 150
    text = """$ orchestrator a "b c" && x; y | orchestrator d > f
        eval "$(orchestrator local env)"
        orchestrator e \\
          --f
        """
    assert list(calls(text)) == [["a", "b c"], ["d"], ["local", "env"], ["e", "--f"]]


@pytest.mark.parametrize(("where", "words"), CALLS, ids=named(CALLS))
def test_a_command_line_to_type_parses(
    where: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failures.kql").touch()
    with contextlib.suppress(click.exceptions.Exit):  # --help, --version
        parse(words)


@pytest.mark.parametrize(("where", "words"), SPANS, ids=named(SPANS))
def test_a_command_in_a_sentence_is_one(where: str, words: list[str]) -> None:
    """It may leave out its arguments, or have words in their places: JOB, COMMAND, …"""
    shown = any(word.isupper() or "…" in word for word in words)
    try:
        parse(words)
    except (click.MissingParameter, click.exceptions.Exit):
        pass
    except click.NoSuchOption:
        raise
    except click.UsageError:
        assert shown


# -------------------------------------------------------------------------------------- Python

PYTHON = blocks("python")
_OWNERS = {"orchestrator": orchestrator, "orc": orchestrator.Orchestrator}


@pytest.mark.parametrize(("where", "text"), PYTHON, ids=[where for where, _ in PYTHON])
def test_python_compiles_and_calls_what_there_is(where: str, text: str) -> None:
    compile(text, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if not isinstance(owner, ast.Name) or owner.id not in _OWNERS:
            continue
        verb = getattr(_OWNERS[owner.id], node.func.attr, None)
        assert verb is not None, f"{where}: {owner.id}.{node.func.attr}"
        if not inspect.isfunction(verb):
            continue  # a property, whose value is called: `orc.executions()`
        known = inspect.signature(verb).parameters
        for keyword in node.keywords:
            assert keyword.arg in known, f"{where}: {node.func.attr}({keyword.arg}=…)"


# ------------------------------------------------------------------------------------ settings


TOML = blocks("toml")


@pytest.mark.parametrize(("where", "text"), TOML, ids=[where for where, _ in TOML])
def test_settings_are_toml(where: str, text: str) -> None:
    assert tomllib.loads(text)
