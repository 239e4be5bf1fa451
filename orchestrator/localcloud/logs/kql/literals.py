"""String literals in forms that duckdb-kql does not read, written as it reads them.

`\\u00e9` and the like, and literals behind one another of which some are obfuscated (`"a" h"b"`):
https://learn.microsoft.com/kusto/query/scalar-data-types/string.
"""

from __future__ import annotations

import re

from orchestrator.localcloud.logs.kql.syntax import tokens

_ESCAPE = re.compile(
    r"\\(?:u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|x(?P<x>[0-9a-fA-F]{2})|(?P<sign>[abfv])"
    r"|(?P<other>.))",
    re.DOTALL,
)
_SIGNS = {"a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_HIDDEN = re.compile(r"[hH](?=['\"@`~])")


def plain_literals(query: str) -> str:
    """The query with its literals in forms that are read; the same text if they are so already."""
    if "\\" not in query and not _HIDDEN.search(query):
        return query
    found = [token for token in tokens(query) if token.kind == "STRINGLITERAL"]
    last = None
    places = []
    for token in found:
        text = token.text
        if last is not None and not query[last.end : token.start].strip():
            text = _HIDDEN.sub("", text, count=1) if _HIDDEN.match(text) else text
        body = text.lstrip("hH")
        if body[:1] in ("'", '"'):
            text = _ESCAPE.sub(_sign, text)
        if text != token.text:
            places.append((token, text))
        last = token
    for token, text in reversed(places):
        query = query[: token.start] + text + query[token.end :]
    return query


def _sign(found: re.Match[str]) -> str:
    code = found["u"] or found["U"] or found["x"]
    if code is not None and int(code, 16) <= 0x10FFFF:
        sign = chr(int(code, 16))
        return f"\\{sign}" if sign in "\\'\"" else _PLAIN.get(sign, sign)
    return _SIGNS[found["sign"]] if found["sign"] else found[0]


_PLAIN = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
