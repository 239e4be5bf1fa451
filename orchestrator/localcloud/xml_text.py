"""Elements of XML as text: what the HTTP APIs of a namespace write."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

# What XML 1.0 has no way to write (section 2.2).
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def tag(name: str, content: object, **attributes: str) -> str:
    """An element with text in it."""
    return raw(name, clean(content), **attributes)


def raw(name: str, inner: str, **attributes: str) -> str:
    """An element with elements in it; `__` in an attribute's name stands for a colon."""
    written = "".join(
        f" {key.replace('__', ':')}={quoteattr(_ILLEGAL.sub('?', value))}"
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def clean(content: object) -> str:
    """Text as XML can hold it."""
    text = str(content).lower() if isinstance(content, bool) else str(content)
    return escape(_ILLEGAL.sub("?", text))
