"""What all plots share: colours, the kinds of picture, and a figure that a notebook shows.

matplotlib is imported when something is drawn, and never pyplot: its figures live on in a registry
of their own, and choose a window system.
"""

from __future__ import annotations

import io
import os
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator.errors import BadInput, OrchestratorError

# Colours that are told apart without red and green (Okabe and Ito), and those that mean something.
COLOURS = ("#0072b2", "#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#444444")
MEANT = {
    "Succeeded": "#009e73",
    "Failed": "#d55e00",
    "Running": "#56b4e9",
    "Stopped": "#e69f00",
}
QUIET = "#666666"


@cache
def figure_type() -> Any:
    """A matplotlib `Figure` that shows itself in a notebook. Raises OrchestratorError."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise OrchestratorError(
            "matplotlib is not installed, and it draws the plots.",
            'Install it: pip install "aca-orchestrator[notebook]"',
        ) from None
    base: Any = Figure

    class Drawing(base):  # type: ignore[misc]  # matplotlib has no types
        """A figure with a picture of itself, also where pyplot was never imported."""

        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            self.savefig(picture, format="png")
            return picture.getvalue()

    return Drawing


def check_kind(path: str | os.PathLike[str]) -> None:
    """Raises BadInput for a file whose ending says no kind of picture."""
    known = sorted(figure_type()().canvas.get_supported_filetypes())
    if Path(path).suffix.lower().lstrip(".") not in known:
        raise BadInput(
            f'"{path}" is no kind of picture that can be drawn.',
            f"Give it one of these endings: {', '.join('.' + kind for kind in known)}",
        )
