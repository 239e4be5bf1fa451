"""What the streams are: a terminal or a pipe, with or without colour, and how wide.

Colour is off when the stream is no terminal, when NO_COLOR is set (https://no-color.org), when
TERM is "dumb", and after `disable_colour()` (the `--no-color` option).
"""

from __future__ import annotations

import codecs
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_colour_allowed = True


def disable_colour(disabled: bool = True) -> None:
    """Turn colours off for the rest of the process (or allow them again)."""
    global _colour_allowed  # noqa: PLW0603 -- one process has one answer
    _colour_allowed = not disabled


def is_terminal(stream: TextIO) -> bool:
    """True if a person reads this stream as it is written."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # replaced or already closed
        return False


def colour(stream: TextIO) -> bool:
    """True if escape sequences are welcome on this stream."""
    return (
        _colour_allowed
        and is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def animated(stream: TextIO) -> bool:
    """True if lines may be redrawn there (a terminal that understands it)."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def width() -> int:
    """Columns of the terminal; COLUMNS overrides."""
    import shutil

    return max(20, shutil.get_terminal_size((100, 24)).columns)


def can_encode(stream: TextIO, text: str) -> bool:
    """True if the stream's encoding has these characters (a Windows code page may not)."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def console(stream: TextIO) -> Console:
    """A rich console on this stream that obeys the rules above."""
    from rich.console import Console

    return Console(
        file=stream,
        no_color=not colour(stream),
        color_system="auto" if colour(stream) else None,
        highlight=False,
        emoji=False,
        markup=False,
        soft_wrap=False,
        # Both, or rich takes a dumb terminal to have 80 columns.
        width=width() if is_terminal(stream) else None,
        height=25 if is_terminal(stream) else None,
    )


_ALIKE = {"→": "->", "…": "...", "·": "-", "–": "-"}


def _alike(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of codecs: what is written instead of the first character that cannot be."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _ALIKE.get(error.object[error.start], "?"), error.start + 1


def prepare_streams() -> None:
    """Never fail on a character that the terminal's code page lacks: show one like it, or `?`."""
    codecs.register_error("orchestrator.alike", _alike)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="orchestrator.alike")
    if sys.platform == "win32":
        _let_consoles_understand_escapes()


if sys.platform == "win32":

    def _let_consoles_understand_escapes() -> None:
        # https://learn.microsoft.com/windows/console/setconsolemode, flag
        # ENABLE_VIRTUAL_TERMINAL_PROCESSING: older consoles print escape sequences otherwise.
        import ctypes

        kernel = ctypes.windll.kernel32
        for number in (-11, -12):  # STD_OUTPUT_HANDLE, STD_ERROR_HANDLE
            mode = ctypes.c_uint32()
            handle = kernel.GetStdHandle(number)
            if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
                kernel.SetConsoleMode(handle, mode.value | 4)
