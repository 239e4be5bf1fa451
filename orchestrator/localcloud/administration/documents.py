"""XML of the administration API: read without trust, written with the names clients look for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from orchestrator.localcloud.xml_text import raw, tag

ATOM = "http://www.w3.org/2005/Atom"
SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
SCHEMA = "http://www.w3.org/2001/XMLSchema"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

MAX_DEPTH = 24
MAX_ELEMENTS = 20_000
_SEPARATOR = "\n"


class DocumentError(Exception):
    """The document cannot be read; says why."""


@dataclass(slots=True)
class Element:
    """name: without its namespace. attributes: names without theirs. text: of it, stripped."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def child(self, name: str) -> Element | None:
        return next((one for one in self.children if one.name == name), None)

    def all(self, name: str) -> Iterator[Element]:
        return (one for one in self.children if one.name == name)

    def value(self, name: str) -> str | None:
        """The text of a child; None where there is none or it is nil."""
        found = self.child(name)
        if found is None or found.attributes.get("nil") in ("true", "1"):
            return None
        return found.text

    @property
    def type(self) -> str:
        """`i:type` without its prefix."""
        return self.attributes.get("type", "").rpartition(":")[2]


def parse(document: bytes) -> Element:
    """The root of a document. No document type and no entity of its own is accepted.

    Raises DocumentError.
    """
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    stack: list[Element] = []
    roots: list[Element] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) >= MAX_DEPTH or count > MAX_ELEMENTS:
            raise DocumentError("The document is too deep or has too many elements.")
        short = {key.rpartition(_SEPARATOR)[2]: value for key, value in attributes.items()}
        element = Element(name.rpartition(_SEPARATOR)[2], short)
        (stack[-1].children if stack else roots).append(element)
        stack.append(element)

    def end(name: str) -> None:
        element = stack.pop()
        if element.children:
            element.text = element.text.strip()

    def text(data: str) -> None:
        if stack:
            stack[-1].text += data

    def refuse(*_: object) -> None:
        raise DocumentError("A document type or entity is not accepted.")

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise DocumentError(f"The document is not well-formed XML: {error}.") from error
    except (ValueError, LookupError) as error:
        raise DocumentError(f"The document cannot be decoded: {error}.") from error
    return roots[0]


def entry(
    address: str, title: str, author: str, published: str, updated: str, description: str
) -> str:
    """One entity as an Atom entry. address: its own URL."""
    return raw(
        "entry",
        tag("id", address)
        + tag("title", title, type="text")
        + tag("published", published)
        + tag("updated", updated)
        + raw("author", tag("name", author))
        + raw("link", "", rel="self", href=address)
        + raw("content", description, type="application/xml"),
        xmlns=ATOM,
    )


def feed(address: str, title: str, updated: str, entries: list[str], following: str | None) -> str:
    """A page of entries. following: the next page's URL; None at the end."""
    links = raw("link", "", rel="self", href=address)
    if following is not None:
        links += raw("link", "", rel="next", href=following)
    return raw(
        "feed",
        tag("title", title, type="text")
        + tag("id", address)
        + tag("updated", updated)
        + links
        + "".join(entries),
        xmlns=ATOM,
    )


def greeting(updated: str) -> str:
    """What a namespace's root says to anybody, by which people see that they reach it
    (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-troubleshooting-guide)."""
    return raw(
        "feed",
        tag("title", "Publicly Listed Services", type="text")
        + tag(
            "subtitle",
            "This is the list of publicly-listed services currently available.",
            type="text",
        )
        + tag("id", f"uuid:{uuid.uuid4()};id=1")
        + tag("updated", updated)
        + tag("generator", "Service Bus 1.1"),
        xmlns=ATOM,
    )
