"""Log lines as they come: the container's own text, told apart when several replicas speak.

The text is printed as it was written, so that `| grep` and `> file` see what the program said. A
prefix names the execution or replica only where lines of several are mixed; on a terminal each
has its colour, and what came on stderr is yellow. Control characters other than a tab are made
visible on a terminal, so that a payload cannot play with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import TYPE_CHECKING, Literal, TextIO

import click

from orchestrator.display.moments import machine
from orchestrator.display.terminal import colour, is_terminal

if TYPE_CHECKING:
    from orchestrator.logs.system_log import SystemEvent
    from orchestrator.results import LogLine

Prefix = Literal["auto", "none", "replica", "execution"]
_COLOURS = ("cyan", "magenta", "green", "blue", "bright_cyan", "bright_magenta", "bright_green")


class LinePrinter:
    """Writes log lines to a stream.

    `prefix`: "replica" or "execution" names that before each line, "none" nothing; "auto" names
    the replica as soon as a second one has spoken. `timestamps`: put the time first. `raw`: the
    container's text and nothing else, whatever it holds.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        prefix: Prefix = "auto",
        timestamps: bool = False,
        raw: bool = False,
    ) -> None:
        self._stream = stream
        self._raw = raw
        self._prefix: Prefix = prefix
        self._timestamps = timestamps
        self._colour = colour(stream)
        self._terminal = is_terminal(stream)
        self._speakers: dict[str, str] = {}

    def choose_prefix(self, lines: Iterable[LogLine]) -> None:
        """Settle "auto" by looking at all lines that will be printed."""
        if self._prefix != "auto":
            return
        lines = list(lines)
        if len({line.execution for line in lines}) > 1:
            self._prefix = "execution"
        elif len({line.replica for line in lines}) > 1:
            self._prefix = "replica"
        else:
            self._prefix = "none"

    def print(self, line: LogLine) -> None:
        """Write one line and flush it."""
        if self._raw:
            self._stream.write(f"{line.text}\n")
            self._stream.flush()
            return
        parts = []
        if self._timestamps:
            when = str(machine(line.time.astimezone(UTC)))
            parts.append(click.style(when, dim=True) if self._colour else when)
        speaker = self._speaker(line)
        if speaker:
            parts.append(speaker)
        text = _calm(line.text) if self._terminal else line.text
        if self._colour and line.stream == "stderr":
            text = click.style(text, fg="yellow")
        parts.append(text)
        whole = "  ".join(parts)
        if self._terminal:
            click.echo(whole, file=self._stream, color=self._colour)  # knows older Windows consoles
        else:  # click would strip the payload's own escape sequences here
            self._stream.write(f"{whole}\n")
            self._stream.flush()

    def _speaker(self, line: LogLine) -> str:
        if self._prefix == "none":
            return ""
        name = line.execution if self._prefix == "execution" else line.replica
        if not name:
            return ""
        if name not in self._speakers:
            self._speakers[name] = _COLOURS[len(self._speakers) % len(_COLOURS)]
        if self._prefix == "auto" and len(self._speakers) < 2:
            return ""
        return click.style(name, fg=self._speakers[name]) if self._colour else name


class EventPrinter:
    """Writes system events to a stream, a line each: when, what, of whom, and the sentence.

    What went wrong is yellow on a terminal; the rest is told apart by its columns.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = colour(stream)
        self._terminal = is_terminal(stream)
        self._widths = [20, 0]

    def print(self, event: SystemEvent) -> None:
        """Write one event and flush it."""
        when = str(machine(event.time.astimezone(UTC)))
        words = [event.reason, event.replica or event.execution or event.job]
        self._widths = [max(w, len(word)) for w, word in zip(self._widths, words, strict=True)]
        reason, whose = (w.ljust(n) for w, n in zip(words, self._widths, strict=True))
        if self._colour:
            when = click.style(when, dim=True)
            reason = click.style(reason, fg="yellow" if event.type == "Warning" else "green")
        text = " ".join(event.text.splitlines())
        whole = "  ".join([when, reason, whose, _calm(text) if self._terminal else text])
        click.echo(whole, file=self._stream, color=self._colour)
        self._stream.flush()


def _calm(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )
