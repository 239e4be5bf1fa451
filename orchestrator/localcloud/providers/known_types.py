"""Which provider namespaces and resource types Azure has, so that a misspelt one is told.

The types are those of `orchestrator.azure_types`, and what is served here besides. What lies below
a top-level type is not looked at, and a namespace without types has any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from orchestrator import azure_types
from orchestrator.localcloud.providers.catalogue import NAMESPACES

# Every provider has them.
_COMMON = ("operations", "locations", "checknameavailability")


@cache
def namespaces() -> Mapping[str, tuple[str, Sequence[str]]]:
    """Namespace in small letters -> its spelling and its top-level types."""
    found = dict(azure_types.namespaces())
    for name, more in NAMESPACES.items():
        _, types = found.get(name.lower(), (name, ()))
        known = {kind.lower() for kind in types}
        own = dict.fromkeys(kind.partition("/")[0] for kind in more)
        found[name.lower()] = (name, [*types, *(k for k in own if k.lower() not in known)])
    return found


@cache
def _names() -> Mapping[str, frozenset[str]]:
    return {
        name: frozenset((*(kind.lower() for kind in types), *_COMMON)) if types else frozenset()
        for name, (_, types) in namespaces().items()
    }


def known(namespace: str, kind: str | None = None) -> bool:
    """Whether Azure has a provider of that name, and in it such a top-level type; in any case."""
    types = _names().get(namespace.lower())
    return types is not None and (kind is None or not types or kind.lower() in types)
