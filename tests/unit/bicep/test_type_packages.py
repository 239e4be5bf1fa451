"""Resources' bodies against what Microsoft's installed packages send, where no library is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.bicep import compile_file
from tests.unit.bicep.compiling import write

TEMPLATES = Path(__file__).parents[3] / "templates"


def job(configuration: str, version: str = "2025-01-01", tail: str = "") -> str:
    return (
        f"resource job 'Microsoft.App/jobs@{version}' = {{\n  name: 'sender'\n  location: 'x'\n"
        f"  properties: {{\n    configuration: {{\n{configuration}\n    }}\n  }}\n}}\n{tail}"
    )


def assignment(properties: str) -> str:
    return (
        "resource a 'Microsoft.Authorization/roleAssignments@2022-04-01' = {\n  name: 'a'\n"
        f"  properties: {{\n    roleDefinitionId: 'r'\n{properties}\n  }}\n}}\n"
    )


def warned(folder: Path, text: str) -> list[tuple[str, int, int]]:
    found = compile_file(write(folder, {"main.bicep": text})).warnings
    return [(one.code, one.line, one.column) for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(job("      replicaTimout: 600"), ("BCP089", 6, 7), id="misspelt"),
        pytest.param(job("      triggerType: 'Manul'"), ("BCP088", 6, 20), id="misspelt value"),
        pytest.param(job("      triggerType: 'Other'"), None, id="another version's value"),
        pytest.param(job("      somethingElse: 1"), None, id="another version's property"),
        pytest.param(job("      replicaTimout: 600", "2099-01-01"), None, id="later version"),
        pytest.param(job("      replicaTimout: 600", "2025-02-02-preview"), None, id="preview"),
        pytest.param(job("", tail="output o int = job.properties.x\n"), None, id="read"),
        pytest.param(job("      action: 1"), None, id="almost nothing"),
        pytest.param(assignment("    principalId: 'p'"), None, id="right"),
        pytest.param(assignment(""), ("BCP035", 3, 3), id="missing"),
        pytest.param(assignment("    principalId: 1"), ("BCP036", 5, 18), id="another kind"),
        pytest.param(assignment("    principalId: 'p'\n    moat: 1"), ("BCP037", 6, 5), id="unknown"),
        pytest.param(
            assignment("    principalId: 'p'\n    createdBy: 'c'"), ("BCP073", 6, 5), id="read-only"
        ),
    ],
)  # fmt: skip
def test_warning(tmp_path: Path, text: str, expected: tuple[str, int, int] | None) -> None:
    assert warned(tmp_path, text) == ([expected] if expected is not None else [])


def test_none_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_BICEP_TYPES", "none")
    assert warned(tmp_path, job("      replicaTimout: 600")) == []


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.bicep")), ids=lambda path: path.stem)
def test_shipped_templates_are_right(path: Path) -> None:
    assert [str(one) for one in compile_file(path).warnings if one.code.startswith("BCP")] == []
