"""Bicep's text into tokens.

A string with holes becomes several tokens, as in the language's own grammar: a piece to the left,
pieces between and a piece to the right, with the tokens of each hole between them.
"""

from __future__ import annotations

import re

from orchestrator.bicep.diagnostics import Diagnostics, SourceText

NEWLINE = "newline"
IDENT = "identifier"
INTEGER = "integer"
STRING = "string"  # complete, without holes
STRING_LEFT = "string-left"
STRING_MIDDLE = "string-middle"
STRING_RIGHT = "string-right"
END = "end"

_TRIVIA = re.compile(r"[ \t\u00a0\ufeff]+|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_PRAGMA = re.compile(r"#(disable-next-line|disable-diagnostics|restore-diagnostics)([^\r\n]*)")
_PRAGMA_CODE = re.compile(r"[ \t]+[\w-]+")
_NEWLINES = re.compile(r"\r\n|\r|\n")
_IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INTEGER = re.compile(r"[0-9]+")
_MULTILINE = re.compile(r"(\$*)'''")
_SYMBOL = re.compile(r"\.\.\.|=>|==|=~|!=|!~|<=|>=|&&|\|\||\?\?|::|[@{}()\[\],.?:;=+\-*/%!<>|^]")
_DOUBLE = re.compile(r'"([^"\r\n]*)"?')
_PIECE = re.compile(r"[^'\\$\r\n]+|\$(?!\{)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", "$": "$"}
_UNICODE = re.compile(r"\\u\{([0-9A-Fa-f]{1,6})\}")


class Token:
    __slots__ = ("end", "kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int, end: int) -> None:
        self.kind = kind
        self.text = text  # of a string piece: its value, escapes resolved
        self.start = start
        self.end = end

    def __repr__(self) -> str:
        return f"Token({self.kind!r}, {self.text!r}, {self.start})"


class _Hole:
    """An open `${`: how deep the braces are, and the quotes it will return to."""

    __slots__ = ("depth", "dollars", "multiline")

    def __init__(self, multiline: bool, dollars: int) -> None:
        self.depth = 0
        self.multiline = multiline
        self.dollars = dollars


class Lexer:
    def __init__(self, source: SourceText, diagnostics: Diagnostics) -> None:
        self.source = source
        self.text = source.text
        self.diagnostics = diagnostics
        self.tokens: list[Token] = []
        self.at = 0
        self.holes: list[_Hole] = []
        self.unclosed: set[int] = set()  # ends of lines in which a string is not closed

    def run(self) -> list[Token]:
        text, size = self.text, len(self.text)
        trivia, ident, symbol = _TRIVIA.match, _IDENT.match, _SYMBOL.match
        tokens = self.tokens
        while self.at < size:
            at = self.at
            char = text[at]
            if char in " \t/\u00a0\ufeff" and (found := trivia(text, at)):
                self.at = found.end()
            elif char in "\r\n":
                self._newline()
            elif found := ident(text, at):
                self.at = found.end()
                tokens.append(Token(IDENT, found.group(), at, self.at))
            elif char == "'" or char == "$":
                self._string(at)
            elif char == "}" and self.holes and self.holes[-1].depth == 0:
                self._resume(at)
            elif found := _INTEGER.match(text, at):
                self.at = found.end()
                tokens.append(Token(INTEGER, found.group(), at, self.at))
            elif char == '"':
                self._double_quotes(at)
            elif char == "#" and (found := _PRAGMA.match(text, at)) and self._begins_line(at):
                self._pragma(found)
            elif found := symbol(text, at):
                self._symbol(found.group(), at)
            elif text.startswith("/*", at):
                self._error(at, size, "BCP002", "This comment is never closed; end it with */.")
                self.at = size
            else:
                self._error(at, at + 1, "BCP001", f"The character {char!r} has no meaning here.")
                self.at += 1
        for _hole in self.holes:
            self._error(size, size, "BCP004", "A string ends with the file; a quote is missing.")
        tokens.append(Token(NEWLINE, "", size, size))
        tokens.append(Token(END, "", size, size))
        return tokens

    def _error(self, start: int, end: int, code: str, message: str) -> None:
        self.diagnostics.error(self.source, start, end, code, message)

    def _begins_line(self, at: int) -> bool:
        before = at
        while before and self.text[before - 1] in " \t":
            before -= 1
        return before == 0 or self.text[before - 1] in "\r\n\ufeff"

    def _pragma(self, found: re.Match[str]) -> None:
        """`#disable-next-line CODE …`"""
        self.at = found.end()
        word, codes = found.groups()
        self.source.direct(word, found.start(), codes.split())
        if _PRAGMA_CODE.match(codes) is None:
            self._error(found.start(), self.at, "BCP226", f"#{word} needs the code of a warning.")

    def _double_quotes(self, at: int) -> None:
        """Read as what was meant, so that it is said once."""
        found = _DOUBLE.match(self.text, at)
        assert found is not None
        self.at = found.end()
        self._error(at, self.at, "BCP103", "Strings are written with single quotes: 'text'.")
        self.tokens.append(Token(STRING, found.group(1), at, self.at))

    def _newline(self) -> None:
        found = _NEWLINES.match(self.text, self.at)
        assert found is not None
        start, self.at = self.at, found.end()
        if self.holes and not self.holes[-1].multiline:
            # a string in one line ends with it, also when a hole is open
            if start not in self.unclosed:
                self._error(start, start, "BCP004", "This string is not closed in its line.")
            self.holes.clear()
            self.tokens.append(Token(STRING_RIGHT, "", start, start))
        if not self.tokens or self.tokens[-1].kind != NEWLINE:
            self.tokens.append(Token(NEWLINE, "", start, self.at))

    def _symbol(self, text: str, at: int) -> None:
        self.at = at + len(text)
        if self.holes:
            if text == "{":
                self.holes[-1].depth += 1
            elif text == "}":
                self.holes[-1].depth -= 1
        self.tokens.append(Token(text, text, at, self.at))

    # --- strings

    def _string(self, at: int) -> None:
        if found := _MULTILINE.match(self.text, at):
            self.at = found.end()
            self._multiline(at, len(found.group(1)), first=True)
        elif self.text[at] == "$":
            self._error(at, at + 1, "BCP001", "The character '$' has no meaning here.")
            self.at += 1
        else:
            self.at = at + 1
            self._single(at, first=True)

    def _resume(self, at: int) -> None:
        """Go on with the string whose hole ends here."""
        hole = self.holes.pop()
        self.at = at + 1
        if hole.multiline:
            self._multiline(at, hole.dollars, first=False)
        else:
            self._single(at, first=False)

    def _piece(self, value: str, start: int, *, first: bool, last: bool) -> None:
        kind = (
            (STRING if last else STRING_LEFT)
            if first
            else (STRING_RIGHT if last else STRING_MIDDLE)
        )
        self.tokens.append(Token(kind, value, start, self.at))

    def _single(self, start: int, *, first: bool) -> None:
        text, size = self.text, len(self.text)
        value: list[str] = []
        while True:
            if self.at >= size or text[self.at] in "\r\n":
                self.unclosed.add(self.at)
                self._error(
                    start,
                    self.at,
                    "BCP004",
                    "This string is not closed in its line; a quote is missing.",
                )
                self._piece("".join(value), start, first=first, last=True)
                return
            char = text[self.at]
            if char == "'":
                self.at += 1
                self._piece("".join(value), start, first=first, last=True)
                return
            if char == "\\":
                value.append(self._escape())
            elif text.startswith("${", self.at):
                self.at += 2
                self._piece("".join(value), start, first=first, last=False)
                self.holes.append(_Hole(multiline=False, dollars=1))
                return
            else:
                found = _PIECE.match(text, self.at)
                assert found is not None
                value.append(found.group())
                self.at = found.end()

    def _escape(self) -> str:
        at = self.at
        if found := _UNICODE.match(self.text, at):
            self.at = found.end()
            point = int(found.group(1), 16)
            if 0xD800 <= point < 0xDC00 and (low := _UNICODE.match(self.text, self.at)):
                # UTF-16's two halves of one character
                half = int(low.group(1), 16)
                if 0xDC00 <= half < 0xE000:
                    self.at = low.end()
                    return chr(0x10000 + ((point - 0xD800) << 10) + (half - 0xDC00))
            if point <= 0x10FFFF and not 0xD800 <= point <= 0xDFFF:
                return chr(point)
        elif self.text[at + 1 : at + 2] in _ESCAPES and at + 1 < len(self.text):
            self.at = at + 2
            return _ESCAPES[self.text[at + 1]]
        else:
            self.at = at + 1
        self._error(
            at,
            max(self.at, at + 1),
            "BCP006",
            r"This escape is unknown; these are known: \\ \' \n \r \t \$ \u{hex}.",
        )
        return ""

    def _multiline(self, start: int, dollars: int, *, first: bool) -> None:
        """''' … ''': no escapes; with n dollars before it, a hole opens with n dollars and {."""
        text = self.text
        if first and (found := _NEWLINES.match(text, self.at)):
            self.at = found.end()
        begin = self.at
        opening = "$" * dollars + "{"
        close = text.find("'''", begin)
        hole = text.find(opening, begin) if dollars else -1
        if hole >= 0 and (close < 0 or hole < close):
            self.at = hole + len(opening)
            self._piece(text[begin:hole], start, first=first, last=False)
            self.holes.append(_Hole(multiline=True, dollars=dollars))
            return
        if close < 0:
            self.at = len(text)
            self._error(start, start + 3, "BCP140", "This string is never closed; end it with '''.")
            self._piece(text[begin:], start, first=first, last=True)
            return
        # of more than three quotes the last three close: ''''' ends with two quotes inside
        while text.startswith("'", close + 3):
            close += 1
        self.at = close + 3
        self._piece(text[begin:close], start, first=first, last=True)
