"""Progress on stderr: what is being done now, and what is done, with the time each part took.

Only on a terminal. In a pipe, a CI log or a notebook's subprocess nothing is written: stdout
carries the result, and stderr only what went wrong.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from orchestrator.display.terminal import animated, can_encode, console
from orchestrator.records import show_duration

if TYPE_CHECKING:
    from rich.status import Status


class Progress:
    """A calm list of finished steps above one spinner. A context manager; silent in a pipe.

    `begin` names what is under way, `update` adds to it, `done` leaves a line that stays.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.shown = animated(self.stream)
        self._console: Any = None
        self._status: Status | None = None
        self._title = ""
        self._started = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def begin(self, title: str) -> None:
        """Show `title` as what is being done now."""
        self._title, self._started = title, time.monotonic()
        self._show(title)

    def update(self, detail: str) -> None:
        """Show `detail` beside the current title."""
        self._show(f"{self._title}  {detail}" if detail else self._title)

    def done(self, text: str = "", *, seconds: float | None = None, whole: bool = True) -> None:
        """Leave a line for the finished step, with its time, and take the spinner away.

        `seconds`: how long it took; None: since `begin`. `whole`: whether all of it was done.
        """
        if seconds is None:
            seconds = time.monotonic() - self._started
        text = text or self._title
        self.clear()
        if not self.shown:
            return
        from rich.text import Text

        mark = (_mark(self.stream), "green") if whole else ("-", "yellow")
        line = Text.assemble(mark, " ", text)
        if seconds >= 0.05:  # "0.0s" says nothing
            line.append(f"  {show_duration(seconds)}", "dim")
        self._out().print(line, overflow="fold")

    def note(self, text: str) -> None:
        """A dim line that stays, without a mark."""
        if not self.shown:
            return
        from rich.text import Text

        self._out().print(Text(f"  {text}", "dim"), overflow="fold")

    def clear(self) -> None:
        """Take the spinner away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _out(self) -> Any:
        if self._console is None:
            self._console = console(self.stream)
        return self._console

    def _show(self, text: str) -> None:
        if not self.shown:
            return
        from rich.text import Text

        if self._status is None:
            self._status = self._out().status(
                Text(text),
                spinner="dots" if can_encode(self.stream, "⠋") else "line",
                spinner_style="cyan",
            )
            self._status.start()
        else:
            self._status.update(Text(text))


def _mark(stream: TextIO) -> str:
    return "✓" if can_encode(stream, "✓") else "*"
