"""The Python of the documentation runs, in the project that `orchestrator init` makes."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import orchestrator
from tests.cli.conftest import Cli
from tests.unit.docs.test_code_blocks import blocks

# Where the others are run: testing.md by test_testing_plugin.py; the rest names another program's
# files, or a connection string.
ELSEWHERE = ("docs/testing.md", "docs/bicep.md", "docs/local-cloud.md")
BLOCKS = [(where, text) for where, text in blocks("python") if not where.startswith(ELSEWHERE)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The names that the pages take for granted, in a project with a local cloud that runs."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("pandas")
    folder = tmp_path_factory.mktemp("documented")
    assert Cli(folder)("init").status == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MPLBACKEND", "Agg")
        for name in list(os.environ):
            if name.startswith("ORCHESTRATOR_"):
                patch.delenv(name)
        for port in ("PORT", "IDENTITY_PORT", "AMQP_PORT", "AMQPS_PORT"):
            patch.setenv(f"ORCHESTRATOR_{port}", "0")
        with orchestrator.local_cloud(folder / ".orchestrator" / "local") as orc:
            orc.start("processor").wait()  # of what has never run nothing is drawn
            names = {"orc": orc, "orchestrator": orchestrator, "asyncio": asyncio}
            yield {**names, "timedelta": timedelta, "tmp_path": folder / "other"}


def test_there_are_several() -> None:
    assert len(BLOCKS) >= 9


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("where", "text"), BLOCKS, ids=[where for where, _ in BLOCKS])
def test_it_runs(where: str, text: str, project: dict[str, Any]) -> None:
    code = compile(text, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = dict(project)
    if code.co_flags & inspect.CO_COROUTINE:

        async def run() -> None:
            await eval(code, names)

        asyncio.run(run())
    else:
        exec(code, names)
