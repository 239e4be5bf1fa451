"""String functions ("String functions for ARM templates")."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.dotnet import formatted
from orchestrator.localcloud.templates.functions.registry import (
    array,
    integer,
    plain,
    text,
    wrong,
)
from orchestrator.localcloud.templates.values import text_of

MAX_WIDTH = 65_536


@plain("toLower", 1)
def to_lower(value: Any) -> str:
    """Small letters."""
    return text("toLower", value).lower()


@plain("toUpper", 1)
def to_upper(value: Any) -> str:
    """Capital letters."""
    return text("toUpper", value).upper()


@plain("trim", 1)
def trim(value: Any) -> str:
    """Without blanks at both ends."""
    return text("trim", value).strip()


@plain("string", 1)
def string(value: Any) -> str:
    """Any value as a text."""
    return text_of(value)


@plain("format", 1, None)
def format_(pattern: Any, *values: Any) -> str:
    """.NET's composite formatting."""
    return formatted(text("format", pattern), values)


@plain("replace", 3)
def replace(value: Any, old: Any, new: Any) -> str:
    """Every occurrence replaced, by exact letters."""
    old = text("replace", old)
    if not old:
        raise ExpressionError(
            "The template language function 'replace' expects a text to look for that is not empty."
        )
    return text("replace", value).replace(old, text("replace", new))


@plain("padLeft", 2, 3)
def pad_left(value: Any, width: Any, letter: Any = " ") -> str:
    """Filled up on the left."""
    if isinstance(value, (dict, list, bool)) or value is None:
        raise wrong("padLeft", value, "String or Integer")
    letter = text("padLeft", letter)
    if len(letter) != 1:
        raise ExpressionError(
            "The template language function 'padLeft' expects one character to pad with."
        )
    width = integer("padLeft", width)
    if width > MAX_WIDTH:
        raise ExpressionError(
            f"The template language function 'padLeft' pads to at most {MAX_WIDTH} characters."
        )
    return text_of(value).rjust(width, letter)


@plain("substring", 2, 3)
def substring(value: Any, start: Any, length: Any = None) -> str:
    """A part of a text; it must lie within."""
    whole, start = text("substring", value), integer("substring", start)
    if not 0 <= start <= len(whole):
        raise ExpressionError(
            "Unable to evaluate template language function 'substring': the index parameter is "
            f"outside of the text's length. The index parameter: '{start}', the length of the "
            f"string parameter: '{len(whole)}'. Please see https://aka.ms/arm-functions for usage "
            "details."
        )
    if length is None:
        return whole[start:]
    length = integer("substring", length)
    if length < 0 or start + length > len(whole):
        raise ExpressionError(
            "Unable to evaluate template language function 'substring': the index and length "
            "parameters must refer to a location within the string. The index parameter: "
            f"'{start}', the length parameter: '{length}', the length of the string parameter: "
            f"'{len(whole)}'. Please see https://aka.ms/arm-functions for usage details."
        )
    return whole[start : start + length]


@plain("startsWith", 2)
def starts_with(value: Any, start: Any) -> bool:
    """Without regard to case."""
    return text("startsWith", value).lower().startswith(text("startsWith", start).lower())


@plain("endsWith", 2)
def ends_with(value: Any, end: Any) -> bool:
    """Without regard to case."""
    return text("endsWith", value).lower().endswith(text("endsWith", end).lower())


@plain("like", 2)
def like(value: Any, pattern: Any) -> bool:
    """Whether a text is of a pattern in which `*` stands for any letters."""
    parts = [re.escape(part) for part in text("like", pattern).split("*")]
    whole = re.compile(".*".join(parts), re.IGNORECASE | re.DOTALL)
    return whole.fullmatch(text("like", value)) is not None


@plain("split", 2)
def split(value: Any, delimiter: Any) -> list[str]:
    """Parts between delimiters: one text, or several in an array."""
    marks = delimiter if isinstance(delimiter, list) else [delimiter]
    marks = [text("split", mark) for mark in marks]
    parts = [text("split", value)]
    # .NET cuts at whichever delimiter comes first, the longer lists are no exception.
    for mark in marks:
        if mark:
            parts = [piece for part in parts for piece in part.split(mark)]
    return parts


@plain("join", 2)
def join(values: Any, delimiter: Any) -> str:
    """Items with a delimiter between them."""
    return text("join", delimiter).join(text_of(item) for item in array("join", values))


# ---------------------------------------------------------------------- encodings ----


def _decoded(function: str, value: Any) -> str:
    data = text(function, value).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ExpressionError(
            f"The template language function '{function}' expects a base64 string; the provided "
            "value is not one of readable text."
        ) from None


@plain("base64", 1)
def base64_(value: Any) -> str:
    """The base64 form of a text's UTF-8 bytes."""
    return base64.b64encode(text("base64", value).encode()).decode()


@plain("base64ToString", 1)
def base64_to_string(value: Any) -> str:
    """The text behind a base64 form."""
    return _decoded("base64ToString", value)


@plain("base64ToJson", 1)
def base64_to_json(value: Any) -> Any:
    """The JSON value behind a base64 form."""
    return _json("base64ToJson", _decoded("base64ToJson", value))


def _json(function: str, value: str) -> Any:
    # Newtonsoft reads what JSON calls comments and single quotes, too; templates rarely do.
    from orchestrator.localcloud.templates.reading import read

    try:
        return read(value)
    except ValueError as error:
        raise ExpressionError(
            f"The template language function '{function}' parameter is not valid JSON: {error}."
        ) from None


@plain("json", 1)
def json_(value: Any) -> Any:
    """The value a JSON text stands for."""
    return _json("json", text("json", value))


@plain("dataUri", 1)
def data_uri(value: Any) -> str:
    """A data URI of a text."""
    return "data:text/plain;charset=utf-8;base64," + base64_(text("dataUri", value))


@plain("dataUriToString", 1)
def data_uri_to_string(value: Any) -> str:
    """The text of a data URI."""
    head, mark, data = text("dataUriToString", value).partition(",")
    if not mark or not head.lower().startswith("data:"):
        raise ExpressionError(
            "The template language function 'dataUriToString' expects a data URI."
        )
    if head.lower().endswith(";base64"):
        return _decoded("dataUriToString", data)
    return unquote(data)


@plain("uriComponent", 1)
def uri_component(value: Any) -> str:
    """Percent-encoded."""
    return quote(text("uriComponent", value), safe="-_.~")


@plain("uriComponentToString", 1)
def uri_component_to_string(value: Any) -> str:
    """Percent-decoded."""
    return unquote(text("uriComponentToString", value))


@plain("uri", 2)
def uri(base: Any, relative: Any) -> str:
    """A relative address resolved against a base."""
    base = text("uri", base)
    if not urlsplit(base).scheme:
        raise ExpressionError(
            f"The template language function 'uri' expects an absolute address, not '{base}'."
        )
    return str(urljoin(base, text("uri", relative)))


@plain("parseUri", 1)
def parse_uri(value: Any) -> dict[str, Any]:
    """The parts of an address."""
    parts = urlsplit(text("parseUri", value))
    if not parts.scheme or not parts.hostname:
        raise ExpressionError("The template language function 'parseUri' expects an absolute URI.")
    default = {"https": 443, "http": 80}.get(parts.scheme)
    found: dict[str, Any] = {"scheme": parts.scheme, "host": parts.hostname}
    if (port := parts.port or default) is not None:
        found["port"] = port
    found["path"] = parts.path or "/"
    if parts.query:
        found["query"] = "?" + parts.query
    return found


@plain("buildUri", 1)
def build_uri(value: Any) -> str:
    """An address from its parts."""
    if not isinstance(value, dict):
        raise wrong("buildUri", value, "Object")
    port = value.get("port")
    default = {"https": 443, "http": 80}.get(str(value.get("scheme")))
    host = f"{value.get('host', '')}{f':{port}' if port not in (None, -1, default) else ''}"
    path = str(value.get("path") or "/")
    query = str(value.get("query") or "")
    return (
        f"{value.get('scheme', '')}://{host}{path if path.startswith('/') else '/' + path}"
        f"{query if not query or query.startswith('?') else '?' + query}"
    )
