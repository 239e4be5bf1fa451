"""Progress in a notebook: `orchestrator.progress()` is a bar that every long call takes.

    with orchestrator.progress("deploying") as bar:
        orc.up(progress=bar)

In Jupyter it is one line of HTML that is redrawn in place; in a terminal a spinner on stderr; in a
pipe it is silent. It needs neither ipywidgets nor a front end that runs scripts.
"""

from __future__ import annotations

import html
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from orchestrator.display.progress import Progress

_REDRAWN = 0.1  # seconds between two drawings; a front end is slower than a loop


class ProgressBar:
    """A bar. Call it with what a long call tells: a `Step`, done and total, or a text.

    `title`: what is being done; a call's own words replace it.
    """

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.done = 0
        self.total: int | None = None
        self._handle: Any = None
        self._terminal: Progress | None = None
        self._drawn = 0.0

    def __enter__(self) -> Self:
        if in_notebook():
            import IPython.display as shown

            untyped: Any = shown
            self._handle = untyped.display(untyped.HTML(self.as_html()), display_id=True)
        else:
            from orchestrator.display.progress import Progress

            self._terminal = Progress(sys.stderr)
            self._terminal.__enter__()
            if self.title:
                self._terminal.begin(self.title)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.total is not None:
            self.done = self.total
        self._draw(now=True)
        if self._terminal is not None:
            self._terminal.__exit__(kind, error, trace)
            self._terminal = None

    def __call__(self, told: Any, total: int | None = None) -> None:
        """Take what a call tells: a `Step`, done and total, rows of a large answer, or a text."""
        if isinstance(told, str):
            self.title = told
        elif isinstance(told, int):
            self.done, self.total = told, total
        else:
            self.title = str(getattr(told, "title", self.title))
            self.total = int(told.total)
            if hasattr(told, "number"):  # a Step is told twice: when it begins, and when it ends
                self.done = told.number - (0 if told.change is not None else 1)
            else:  # an answer that comes in parts
                self.done = int(told.rows)
        self._draw()

    @property
    def words(self) -> str:
        """What the bar says: `deploying  3 of 12`."""
        count = "" if self.total is None else f"{self.done:,} of {self.total:,}"
        return "  ".join(part for part in (self.title, count) if part)

    def as_html(self) -> str:
        """The bar as one line of HTML; without a total it has no bar."""
        bar = (
            f'<progress value="{self.done}" max="{max(self.total, 1)}" '
            'style="width:18em;vertical-align:middle"></progress> '
            if self.total is not None
            else ""
        )
        return (
            f'<div style="font-variant-numeric:tabular-nums">{bar}{html.escape(self.words)}</div>'
        )

    def _draw(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not now and moment - self._drawn < _REDRAWN and self.done != self.total:
            return
        self._drawn = moment
        if self._handle is not None:
            import IPython.display as shown

            untyped: Any = shown
            self._handle.update(untyped.HTML(self.as_html()))
        elif self._terminal is not None:
            self._terminal.begin(self.words)


def progress(title: str = "") -> ProgressBar:
    """A progress bar for a `with` block; what it gives is a callback for `progress=`."""
    return ProgressBar(title)


def in_notebook() -> bool:
    """True in a Jupyter kernel. Never imports IPython: a kernel has done so."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"
