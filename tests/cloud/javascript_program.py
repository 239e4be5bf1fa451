"""The programs in javascript/, which drive Microsoft's JavaScript SDKs and print what they saw."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).parent / "javascript"
_NODE = shutil.which("node")


def needs(package: str) -> pytest.MarkDecorator:
    """Skips, with a clear word, where Node.js or a package of npm is absent."""
    missing = "node" if _NODE is None else package
    absent = _NODE is None or not (_FOLDER / "node_modules" / package).is_dir()
    return pytest.mark.skipif(
        absent,
        reason=f"{missing} is not installed: npm install --prefix tests/cloud/javascript",
    )


def ran(
    script: str, *arguments: str, ca: str | None = None, env: Mapping[str, str] | None = None
) -> Any:
    """What a script printed, which ended well.

    ca: path of a certificate to trust. env: in place of this process's environment.
    """
    assert _NODE is not None
    trusted = {} if ca is None else {"NODE_EXTRA_CA_CERTS": ca}
    ended = subprocess.run(
        [_NODE, script, *arguments],
        cwd=_FOLDER,
        env={**(os.environ if env is None else env), **trusted},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
