"""Ctrl-C before a command has begun, and after it has done its work: it ends without a word."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# What the installed script does, in the name of which everything is imported.
SCRIPT = """
import json, sys
sys.argv = ["orchestrator", "--version"]
before = set(sys.modules)
from orchestrator.cli import main
entered = sorted(set(sys.modules) - before)
"""
# … with a Ctrl-C at the moment in which the named module is imported.
INTERRUPTED_AT = """
import sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
"""
# The names that are imported after the script's first line, in their order.
IMPORTED = """
import builtins
try:
    main()
except SystemExit:
    print(json.dumps([entered, [name for name in sys.modules if name.startswith("orchestrator")]]))
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def imported() -> tuple[list[str], list[str]]:
    """(what the script imports before `main` can catch anything, our modules it needs in all)"""
    done = run(SCRIPT + IMPORTED)
    entered, ours = json.loads(done.stdout.splitlines()[-1])
    return entered, ours


def test_before_the_command_can_catch_it_next_to_nothing_is_imported(
    imported: tuple[list[str], list[str]],
) -> None:
    assert imported[0] == ["__future__", "orchestrator", "orchestrator.cli"]


def test_while_it_imports_it_ends_quietly(imported: tuple[list[str], list[str]]) -> None:
    later = ["click", *(name for name in imported[1] if name not in imported[0])]
    assert "orchestrator.cli.app" in later
    for name in later:
        done = run(INTERRUPTED_AT + SCRIPT.replace("sys.argv =", "_ =") + "main()", name)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", ""), name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows delivers Ctrl-C to the whole console")
def test_while_the_interpreter_tidies_up_it_ends_quietly() -> None:
    at_exit = (
        "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    )
    done = run(at_exit + SCRIPT + "main()")
    assert done.stdout.startswith("orchestrator ")  # its work was done
    assert done.stderr == ""
