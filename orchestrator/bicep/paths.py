"""Paths in a Bicep file: relative, with / on every system, so that the file works on all of them.

Source: Bicep's documentation of modules, "Local file".
"""

from __future__ import annotations

import re

_DRIVE = re.compile(r"[A-Za-z]:")
_FORBIDDEN = frozenset('"*:<>?|')


def path_fault(path: str, *, folder: bool = False) -> tuple[str, str] | None:
    """What is wrong with a path (code, message); None when nothing is. `folder`: it names one."""
    if not path:
        return "BCP050", "The path is empty."
    if path.startswith("/") or _DRIVE.match(path):
        return "BCP051", "A path is relative to the file that names it."
    for character in path:
        if character == "\\":
            return "BCP098", "A path is written with / on every system."
        if character in _FORBIDDEN:
            return "BCP085", f"A path has none of these characters: {' '.join(sorted(_FORBIDDEN))}"
        if character < " ":
            return "BCP111", "A path has no control characters."
    if path[-1] in " ." and not folder:
        return "BCP086", "A path does not end with a blank or a dot."
    return None


def reading_fault(fault: OSError | UnicodeDecodeError) -> str:
    """Why a file can't be read, as a part of a sentence."""
    if isinstance(fault, UnicodeDecodeError):
        return f"it is no UTF-8, at its byte {fault.start + 1}; save it as UTF-8"
    return fault.strerror or str(fault)
