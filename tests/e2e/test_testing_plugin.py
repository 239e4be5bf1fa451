"""The pytest plugin, as a user's project uses it: the examples of docs/testing.md, run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "orchestrator.testing.plugin"
NAMED = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)


def examples() -> dict[str, str]:
    """The files of docs/testing.md, by name."""
    return dict(NAMED.findall((ROOT / "docs" / "testing.md").read_text(encoding="utf-8")))


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project of its own, warnings being errors."""
    installed = any(point.value == PLUGIN for point in entry_points(group="pytest11"))
    plugin = () if installed else ("-p", PLUGIN)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("ORCHESTRATOR_", "PYTEST_"))}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
    )


def test_the_complete_example_of_the_documentation_passes(tmp_path: Path) -> None:
    files = examples()
    for name in ("double.py", "test_double.py"):
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    run = pytest_in(tmp_path)
    assert "5 passed" in run.stdout, run.stdout + run.stderr


def test_the_example_with_a_projects_own_settings_passes(tmp_path: Path) -> None:
    files = examples()
    for name in ("conftest.py", "test_project.py"):
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    (tmp_path / "orchestrator.toml").write_bytes((ROOT / "orchestrator.toml").read_bytes())
    shutil.copytree(ROOT / "jobs", tmp_path / "jobs")
    run = pytest_in(tmp_path)
    assert "1 passed" in run.stdout, run.stdout + run.stderr


MISTAKES = """
import pytest
from orchestrator.clock import ManualClock
from orchestrator.errors import JobNotFound, SettingsError, WaitTimeout

def two(a, b=1):
    pass

def sleepy():
    import time
    time.sleep(60)

def broken():
    raise RuntimeError("no luck today")

def test_wrong_declarations_are_refused(local_cloud):
    with pytest.raises(ValueError, match="it wants a"):
        local_cloud.job("x", two)
    with pytest.raises(ValueError, match="top level of a file"):
        local_cloud.job("x", lambda: None)
    with pytest.raises(ValueError, match="not both"):
        local_cloud.job("x", sleepy, command=["true"])
    with pytest.raises(JobNotFound, match="no job x"):
        local_cloud.job("x")
    with pytest.raises(SettingsError, match="crno"):
        local_cloud.job("x", sleepy, trigger="schedule", crno="* * * * *")
    with pytest.raises(SettingsError):
        local_cloud.queue("q", lock_duration="1h")

def test_a_job_that_does_not_end_is_given_up(local_cloud):
    job = local_cloud.job("sleepy", sleepy)
    with pytest.raises(WaitTimeout):
        job.run(timeout=0.5)

def test_an_exception_is_a_failure_with_its_traceback(local_cloud):
    with pytest.raises(AssertionError, match="no luck today"):
        local_cloud.job("broken", broken).run().check()

def test_clouds_share_nothing_and_may_have_clocks_of_their_own(local_cloud, local_cloud_factory):
    clock = ManualClock()
    other = local_cloud_factory(clock=clock)
    before = other.time.now
    other.call(clock.advance(3600))
    assert (other.time.now - before).total_seconds() == 3600
    assert other.connection["resource_manager"] != local_cloud.connection["resource_manager"]
    local_cloud.queue("mine")
    local_cloud.messages("mine").send("1")
    other.queue("mine")
    assert other.depth("mine").active == 0
    assert local_cloud.depth("mine").active == 1
"""


def test_mistakes_are_told_and_clouds_are_apart(tmp_path: Path) -> None:
    (tmp_path / "test_mistakes.py").write_text(MISTAKES, encoding="utf-8")
    run = pytest_in(tmp_path)
    assert "4 passed" in run.stdout, run.stdout + run.stderr


def test_loading_the_plugin_imports_nothing_of_the_library() -> None:
    heavy = ("aiohttp", "azure", "duckdb", "orchestrator.localcloud", "orchestrator.client")
    program = (
        f"import sys, pytest; before = set(sys.modules); import {PLUGIN}\n"
        f"print([name for name in {heavy!r} if name in set(sys.modules) - before])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


@pytest.mark.parametrize("name", sorted(examples()))
def test_every_file_of_the_documentation_is_valid_python(name: str) -> None:
    compile(examples()[name], name, "exec")
