"""What is wrong with a Bicep file, and where: file, line, column, the line itself and a caret.

Codes are those of the Bicep language (`BCP057`: an unknown name), so that they can be looked up;
the sentences are our own. What the built-in compiler does not do has the code `unsupported`.
"""

from __future__ import annotations

import bisect
import contextlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from orchestrator.errors import BicepError

ERROR = "error"
WARNING = "warning"
UNSUPPORTED = "unsupported"

_LINE_END = re.compile(r"\r\n|\r|\n")
_NO_CELLS = "\u200d\ufe0e\ufe0f"  # they join pictures, or choose how one is drawn


class SourceText:
    """A file's text, and where its lines begin. Positions are offsets into the text."""

    __slots__ = ("_directives", "_starts", "path", "text")

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self._starts: list[int] | None = None
        self._directives: list[tuple[str, int, frozenset[str]]] = []

    def direct(self, word: str, offset: int, codes: Iterable[str]) -> None:
        """`#word codes`: of which warnings nothing is to be told."""
        self._directives.append((word, self.position(offset)[0], frozenset(codes)))

    def is_quiet(self, code: str, offset: int) -> bool:
        """Whether a directive before an offset says that a warning is not to be told."""
        if not self._directives:
            return False
        line = self.position(offset)[0]
        quiet = False
        for word, at, codes in self._directives:
            if at >= line:
                break
            if code not in codes:
                continue
            if word == "disable-next-line":
                if at == line - 1:
                    return True
            else:
                quiet = word == "disable-diagnostics"
        return quiet

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *(found.end() for found in _LINE_END.finditer(self.text))]
        return self._starts

    def place(self, offset: int) -> tuple[int, int]:
        """The line of an offset, from 1, and how many characters of it are before."""
        starts = self._line_starts()
        line = bisect.bisect_right(starts, offset) - 1
        return line + 1, offset - starts[line]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset; both count from 1.

        Columns are counted in UTF-16, as the real compiler and editors do.
        """
        line, before = self.place(offset)
        return line, 1 + len(self.text[offset - before : offset].encode("utf-16-le")) // 2

    def line(self, number: int) -> str:
        starts = self._line_starts()
        begin = starts[number - 1]
        end = starts[number] if number < len(starts) else len(self.text)
        return self.text[begin:end].rstrip("\r\n")


class Diagnostic:
    """One finding. `line` and `column` count from 1."""

    __slots__ = (
        "_carets",
        "code",
        "column",
        "hint",
        "line",
        "message",
        "path",
        "severity",
        "source",
    )

    def __init__(
        self,
        source: SourceText,
        start: int,
        end: int,
        code: str,
        message: str,
        *,
        severity: str = ERROR,
        hint: str = "",
    ) -> None:
        self.source = source
        self.path = source.path
        self.code = code
        self.message = message
        self.severity = severity
        self.hint = hint
        self.line, self.column = source.position(start)
        _, begin = source.place(start)
        end_line, last = source.place(max(end, start))
        # which characters of the line are meant
        self._carets = slice(begin, last if end_line == self.line else None)

    def __str__(self) -> str:
        place = f"{_shown(self.path)}({self.line},{self.column})"
        return f"{place}: {self.severity} {self.code}: {self.message}"

    def render(self) -> str:
        """The finding, its line of the file, and a caret below what is meant."""
        text = self.source.line(self.line)
        before = text[: self._carets.start]
        pad = "".join("\t" if char == "\t" else " " * _cells(char) for char in before)
        carets = "^" * max(1, sum(map(_cells, text[self._carets])))
        gutter = f"{self.line:>5} | "
        shown = "".join(char if _is_shown(char) else "\ufffd" for char in text)
        lines = [str(self), f"{gutter}{shown}", f"{' ' * (len(gutter) - 2)}| {pad}{carets}"]
        if self.hint:
            lines.append(f"{' ' * (len(gutter) - 2)}= {self.hint}")
        return "\n".join(lines)


def _is_shown(char: str) -> bool:
    """Whether a character may go to a terminal; others may steer it."""
    return char == "\t" or not unicodedata.category(char).startswith("C") or _cells(char) == 0


def _cells(char: str) -> int:
    """How many cells of a terminal a character takes."""
    if unicodedata.combining(char) or char in _NO_CELLS:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _shown(path: Path) -> Path:
    """A file below the working folder by its way from there."""
    with contextlib.suppress(ValueError, OSError):
        return path.relative_to(Path.cwd())
    return path


class Diagnostics:
    """What was found so far in one compilation, over all its files."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._seen: set[tuple[Path, int, int, str]] = set()

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep a finding. Of several errors at one place the first says why, the others follow."""
        warns = diagnostic.severity == WARNING
        why = f"{diagnostic.code}: {diagnostic.message}" if warns else ERROR
        key = (diagnostic.path, diagnostic.line, diagnostic.column, why)
        if key not in self._seen:
            self._seen.add(key)
            self.found.append(diagnostic)

    def error(
        self, source: SourceText, start: int, end: int, code: str, message: str, hint: str = ""
    ) -> None:
        self.add(Diagnostic(source, start, end, code, message, hint=hint))

    def warning(
        self, source: SourceText, start: int, end: int, code: str, message: str, hint: str = ""
    ) -> None:
        if not source.is_quiet(code, start):
            self.add(Diagnostic(source, start, end, code, message, severity=WARNING, hint=hint))

    @property
    def errors(self) -> list[Diagnostic]:
        return [found for found in self.found if found.severity == ERROR]

    @property
    def warnings(self) -> list[Diagnostic]:
        """As the files have them; the first file that is warned of first."""
        found = [one for one in self.found if one.severity == WARNING]
        files = list(dict.fromkeys(one.path for one in found))
        return sorted(found, key=lambda one: (files.index(one.path), one.line, one.column))

    def refuse_errors(self) -> None:
        """Raise everything that is wrong, together.

        Raises: BicepError when there is an error.
        """
        errors = self.errors
        if errors:
            raise bicep_error(errors)


def bicep_error(errors: Iterable[Diagnostic]) -> BicepError:
    ordered = sorted(errors, key=lambda found: (str(found.path), found.line, found.column))
    return BicepError("\n\n".join(found.render() for found in ordered), diagnostics=ordered)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or ""."""
    import difflib

    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(names), n=1, cutoff=0.7)
    return names[close[0]] if close else ""


def misspelt(word: str, known: Iterable[str]) -> str:
    """The known word that a word differs from in no more than a third of its letters, or ""."""
    most = len(word) * 34 // 100
    best = ""
    for name in known:
        if abs(len(word) - len(name)) > min(most, 2):
            continue
        if name.lower() == word.lower():
            return name
        distance = _distance(word.lower(), name.lower())
        if len(name) > 2 and distance <= most:
            best, most = name, distance - 1
    return best


def _distance(one: str, other: str) -> int:
    """How many letters are to be put in, left out or changed to make one word the other."""
    row = list(range(len(other) + 1))
    for count, letter in enumerate(one, 1):
        before, row[0] = row[0], count
        for place, its in enumerate(other, 1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (letter != its)),
            )
    return row[-1]
