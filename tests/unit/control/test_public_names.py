"""What `import orchestrator` offers, and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(__file__).parents[3]
HEAVY = ("azure", "requests", "aiohttp", "click", "rich", "pandas", "duckdb", "msgspec", "asyncio")


@pytest.mark.parametrize("name", orchestrator.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(orchestrator, name) is not None


def test_the_names_the_homes_and_the_type_checkers_view_agree() -> None:
    tree = ast.parse(Path(orchestrator.__file__).read_text(encoding="utf-8"))
    checked = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__"
        for alias in node.names
        if (node.module or "").startswith("orchestrator.")
    }
    homes = set(orchestrator._HOMES)
    public = set(orchestrator.__all__) - {"__version__"}
    assert checked == homes == public
    assert orchestrator.__all__ == sorted(orchestrator.__all__)


def test_what_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'conect'"):
        _ = orchestrator.conect


def test_every_error_is_public() -> None:
    from orchestrator import errors

    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.OrchestratorError)
    }
    assert tree <= set(orchestrator.__all__)
    assert errors.__doc__ is not None
    for name in tree:
        assert name in errors.__doc__


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert orchestrator.__version__ == project["version"]


def loaded_after(code: str) -> set[str]:
    """The top-level modules loaded by this code in a fresh interpreter."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(shown.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = loaded_after("import orchestrator")
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}


def test_connecting_imports_neither_the_sdks_nor_the_local_cloud() -> None:
    loaded = loaded_after("import orchestrator; orchestrator.connect()")
    assert "orchestrator.client" in loaded
    assert not {n for n in loaded if n.split(".")[0] in set(HEAVY) - {"msgspec"}}
    assert not {n for n in loaded if n.startswith("orchestrator.localcloud")}
