"""Where an AMQP address points: `amqps://host:port/entity/$management` and its shorter forms."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote


class Node(Enum):
    """What kind of node an address names."""

    ENTITY = "entity"
    CBS = "$cbs"
    MANAGEMENT = "$management"


class Address(NamedTuple):
    """host: as written, None in a bare path. path: the entity's, without slashes around it."""

    host: str | None
    path: str
    node: Node


def parse(text: str) -> Address:
    """Read an address. Every text is one; whether its entity exists is not asked here."""
    host = None
    path = text
    if "://" in text:
        _, _, rest = text.partition("://")
        host, _, path = rest.partition("/")
    path = unquote(path).strip("/")
    folded = path.casefold()
    if folded == "$cbs":
        return Address(host, "", Node.CBS)
    if folded == "$management":
        return Address(host, "", Node.MANAGEMENT)
    if folded.endswith("/$management"):
        return Address(host, path[: -len("/$management")].strip("/"), Node.MANAGEMENT)
    return Address(host, path, Node.ENTITY)


def host_label(host: str | None) -> str | None:
    """The first label of a host name, which names a Service Bus namespace; folded."""
    if not host:
        return None
    return host.partition(":")[0].partition(".")[0].casefold() or None


def covers(granted: str, path: str) -> bool:
    """Whether a grant for the path `granted` ("" for all) extends to the entity `path`."""
    granted = granted.strip("/").casefold()
    path = path.strip("/").casefold()
    return not granted or path == granted or path.startswith(granted + "/")
