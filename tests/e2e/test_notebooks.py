"""The notebooks of the documentation run from top to bottom, as somebody reads them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("default")  # what the kernel's client libraries warn of is theirs
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_to_its_end(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for port in ("PORT", "IDENTITY_PORT", "AMQP_PORT", "AMQPS_PORT"):
        monkeypatch.setenv(f"ORCHESTRATOR_{port}", "0")
    # The notebooks make folders of their own: below this one.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # As after `source .venv/bin/activate`.
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    notebook = nbformat.read(path, as_version=4)
    shown_before = pictures(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    # Raises with the cell and its traceback when one fails.
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert pictures(notebook) == shown_before
    assert tables(notebook) >= 3


def outputs(notebook: object, kind: str) -> list[str]:
    return [
        output["data"][kind]
        for cell in notebook.cells  # type: ignore[attr-defined]
        for output in cell.get("outputs", ())
        if kind in output.get("data", {})
    ]


def pictures(notebook: object) -> int:
    """How many pictures are shown."""
    return len(outputs(notebook, "image/png"))


def tables(notebook: object) -> int:
    return sum("<table" in "".join(text) for text in outputs(notebook, "text/html"))
