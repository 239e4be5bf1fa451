"""Commands that are shown to be typed next, as they can be typed here.

`make demo` runs `.venv/bin/orchestrator` without an activated environment: there, a hint that says
`orchestrator status` would not be found, or would be another installation's.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

NAME = "orchestrator"
# The name as a command with something after it, and not as a part of a path or of `-m`.
_COMMAND = re.compile(rf"(?<![\w./\\-])(?<!-m ){NAME}(?= (?:-|[a-z]))")


def typed(text: str) -> str:
    """`text` with each `orchestrator …` in it as the user of this process can call it."""
    path, folder = os.environ.get("PATH", ""), Path.cwd()
    program = _program(sys.argv[0], sys.executable, path, folder, elsewhere="cd " in text)
    return text if program == NAME else _COMMAND.sub(lambda _: program, text)


@functools.cache
def _program(called: str, python: str, path: str, folder: Path, *, elsewhere: bool = False) -> str:
    """How this program is called again.

    Args:
        called: `sys.argv[0]`.
        python: The interpreter.
        path: The variable PATH.
        folder: The working folder, from which a shorter path is shown.
        elsewhere: It is to be called from another folder.
    """
    script = Path(called)
    by_module = script.name == "__main__.py" and script.parent.name == NAME
    if by_module:
        script = Path(python).with_name(NAME)
    elif script.stem != NAME:  # a program that uses the command as a part of its own
        return NAME
    found = shutil.which(NAME, path=path)
    if found and _same(Path(found), folder / script):
        return NAME
    if by_module and not _there(script):
        return f"{_shown(Path(python), None)} -m {NAME}"
    return _shown(folder / script, None if elsewhere else folder)


def _same(one: Path, other: Path) -> bool:
    return _bare(one) == _bare(other)


def _bare(path: Path) -> str:
    path = path.parent.resolve() / path.name  # the script itself may be a link to anywhere
    return os.path.normcase(path.with_suffix("") if path.suffix.lower() == ".exe" else path)


def _there(script: Path) -> bool:
    return script.exists() or script.with_suffix(".exe").exists()


def _shown(path: Path, folder: Path | None) -> str:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - links are kept, unlike resolve()
    text = str(path)
    if folder is not None and path.is_relative_to(folder):
        path = path.relative_to(folder)
        # A bare name would be looked for on PATH.
        text = str(path) if len(path.parts) > 1 else os.path.join(".", path)  # noqa: PTH118
    if os.name == "nt":
        return f'& "{text}"' if " " in text else text  # as PowerShell wants it
    return shlex.quote(text)
