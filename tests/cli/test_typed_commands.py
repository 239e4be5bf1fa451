"""A command that is printed as the next one works as it is printed."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.demo.account import Account
from orchestrator.cli.demo.summary import Summary, write_summary
from orchestrator.display.commands import typed
from orchestrator.queues.records import Queues
from orchestrator.results import Executions

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="a script with a first line")


def install(folder: Path) -> Path:
    """A console script as pip writes it; gives the folder it is in."""
    folder.mkdir(parents=True)
    script = folder / "orchestrator"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from orchestrator.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)
    return folder


def call(line: str, folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """Type a line into a shell in a folder, with these folders first on PATH."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")}
    env["PATH"] = os.pathsep.join([*map(str, path), "/usr/bin", "/bin"])
    return subprocess.run(
        line, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )


def next_of(failed: subprocess.CompletedProcess[str]) -> str:
    found = re.search(r"^Next: Start it: (.*orchestrator.? local up)", failed.stderr, re.MULTILINE)
    assert found is not None, failed.stderr
    return found[1]


@posix
@pytest.mark.parametrize("venv", [".venv", "my environment", "../elsewhere"])
@pytest.mark.parametrize("another", [False, True])
def test_without_an_activated_environment_the_script_is_named(
    tmp_path: Path, venv: str, another: bool
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    install(project / venv / "bin")
    path = [install(tmp_path / "other" / "bin")] if another else []
    (project / "orchestrator.toml").write_text("")
    script = shlex.quote(f"{venv}/bin/orchestrator")
    said = next_of(call(f"{script} executions list", project, *path))
    assert said != "orchestrator local up"
    helped = call(f"{said} --help", project, *path)
    assert helped.returncode == 0, helped.stderr
    assert "local up" in helped.stdout
    if venv == ".venv":
        assert said == ".venv/bin/orchestrator local up"


@posix
@pytest.mark.parametrize("typed", ["orchestrator", "bin/orchestrator"])
def test_the_one_on_path_is_called_by_its_name(tmp_path: Path, typed: str) -> None:
    folder = install(tmp_path / "bin")
    (tmp_path / "orchestrator.toml").write_text("")
    assert next_of(call(f"{typed} executions list", tmp_path, folder)) == "orchestrator local up"


@posix
def test_a_module_is_called_as_one(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text("")
    program = f"env PYTHONPATH={ROOT} {sys.executable} -m orchestrator"
    said = next_of(call(f"{program} executions list", tmp_path))
    assert call(f"env PYTHONPATH={ROOT} {said} --help", tmp_path).returncode == 0


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """This process is a script that is not on PATH; gives how it is called from its folder."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "env" / "bin" / "orchestrator"
    monkeypatch.setattr(sys, "argv", [str(script)])
    return str(script.relative_to(tmp_path))


def test_the_demo_says_what_can_be_typed_next(called: str) -> None:
    out = io.StringIO()
    write_summary(
        Summary(Account("sender-1"), Executions(), [], Queues(), [("sent", 1.0)], []), out
    )
    lines = out.getvalue().splitlines()
    commands = [line.strip() for line in lines if line.startswith("  ") and "orchestrator" in line]
    assert len(commands) == 3
    assert all(line.startswith(f"{called} ") for line in commands)
    assert f"{called} down stops it" in lines[-1]


@pytest.mark.parametrize("columns", [80, 120])
def test_what_can_be_typed_next_is_not_broken_by_the_terminal(
    called: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    write_summary(
        Summary(Account("sender-1"), Executions(), [], Queues(), [("sent", 1.0)], []), out
    )
    text = out.getvalue()
    offered = text[text.index("\nNext\n") :]
    assert f"{called} start sender -e MESSAGE_COUNT=500 --follow" in offered
    assert "send more, and watch" in offered
    assert max(len(line) for line in offered.splitlines()) <= columns


def test_only_commands_are_changed(called: str, tmp_path: Path) -> None:
    assert (
        typed("`orchestrator local reset` starts afresh") == f"`{called} local reset` starts afresh"
    )
    assert typed("orchestrator --profile azure up") == f"{called} --profile azure up"
    for text in ("Upgrade orchestrator, or not.", "orchestrator.toml is", "a/orchestrator b"):
        assert typed(text) == text
    assert typed("cd demo && orchestrator demo") == f"cd demo && {tmp_path / called} demo"


def test_another_program_says_the_plain_name(called: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("/usr/bin/jupyter", "/lib/python/pytest/__main__.py"):
        monkeypatch.setattr(sys, "argv", [program])
        assert typed("orchestrator up") == "orchestrator up"
