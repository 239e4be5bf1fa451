"""What comes with the package besides code: starter settings, sample jobs, templates."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = Path("templates") / "infra" / "main.bicep"


def folder() -> Path | None:
    """The folder that holds `orchestrator.toml`, `jobs` and `templates`; None if there is none.

    The wheel carries them in `orchestrator/_sample`; in a checkout they are the repository's own.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "_sample", package.parent):
        if (root / "orchestrator.toml").is_file() and (root / "jobs").is_dir():
            return root
    return None


def template() -> Path | None:
    """The infrastructure's template that comes along."""
    root = folder()
    return root / TEMPLATE if root is not None and (root / TEMPLATE).is_file() else None
