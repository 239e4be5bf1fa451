"""Azure's resource types: how they are spelt, what lies below what, and where each may stand.

`azure_types.txt` is made of the public type definitions of Bicep (Azure/bicep-types-az, September
2026). A line for each provider namespace: its name and its types, the types below one in brackets:

    Microsoft.Storage storageAccounts(blobServices(containers)) locations=0(deletedAccounts=4)

After `=` the scopes in which a type can be read or written, as a sum of 1 (tenant), 2 (management
group), 4 (subscription), 8 (resource group: the usual one, not written) and 16 (another resource);
0 says that they are not known. A line that begins with `~` names a type that some of its API
versions spell otherwise, and these versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

TENANT, MANAGEMENT_GROUP, SUBSCRIPTION, RESOURCE_GROUP, RESOURCE = 1, 2, 4, 8, 16
_PIECE = re.compile(r"[^\s()]+|[()]")


@dataclass(slots=True)
class _Type:
    name: str
    scopes: int = RESOURCE_GROUP
    below: dict[str, _Type] = field(default_factory=dict)


@cache
def _lines() -> tuple[Mapping[str, str], Mapping[str, Mapping[str, str]]]:
    """Lines by namespace in small letters; other spellings by type in small letters and version."""
    text = (files(__package__) / "azure_types.txt").read_text(encoding="utf-8")
    namespaces: dict[str, str] = {}
    spellings: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line.startswith("~"):
            _, spelling, *versions = line.split()
            found = spellings.setdefault(spelling.lower(), {})
            found.update((version, spelling) for version in versions)
        else:
            namespaces[line.partition(" ")[0].lower()] = line
    return namespaces, spellings


@cache
def _namespace(name: str) -> _Type | None:
    line = _lines()[0].get(name.lower())
    if line is None:
        return None
    spelling, _, rest = line.partition(" ")
    root = _Type(spelling)
    holders = [root]
    last = root
    for piece in _PIECE.findall(rest):
        if piece == "(":
            holders.append(last)
        elif piece == ")":
            holders.pop()
        else:
            kind, _, scopes = piece.partition("=")
            last = _Type(kind, int(scopes) if scopes else RESOURCE_GROUP)
            holders[-1].below[kind.lower()] = last
    return root


def _path(kind: str) -> Iterator[_Type]:
    """The namespace and the types that lead to a type, as far as they are known."""
    namespace, *rest = kind.split("/")
    found = _namespace(namespace)
    while found is not None:
        yield found
        found = found.below.get(rest.pop(0).lower()) if rest else None


def spelling(kind: str, version: str) -> str:
    """`microsoft.storage/storageaccounts` -> `Microsoft.Storage/storageAccounts`.

    A type that is not known stays as it is. `version`: some API versions spell a type otherwise.
    """
    other = _lines()[1].get(kind.lower(), {}).get(version.lower())
    if other is not None:
        return other
    path = list(_path(kind))
    if len(path) != kind.count("/") + 1:
        return kind
    return "/".join(step.name for step in path)


def scopes(kind: str) -> int:
    """Where a type can be read or written, as a sum; 0 when that is not known."""
    path = list(_path(kind))
    return path[-1].scopes if len(path) == kind.count("/") + 1 > 1 else 0


def is_known(kind: str) -> bool:
    """Whether this is a type of Azure's."""
    return len(list(_path(kind))) == kind.count("/") + 1 > 1


def names_below(kind: str) -> list[str]:
    """The types right below a namespace or a type; none where it is not known."""
    path = list(_path(kind))
    return [one.name for one in path[-1].below.values()] if len(path) == kind.count("/") + 1 else []


@cache
def namespaces() -> Mapping[str, tuple[str, Sequence[str]]]:
    """Namespace in small letters -> its spelling and its top-level types."""
    found = {}
    for name in _lines()[0]:
        namespace = _namespace(name)
        if namespace is not None:
            found[name] = (namespace.name, [kind.name for kind in namespace.below.values()])
    return found
