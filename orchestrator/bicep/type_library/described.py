"""The seam between the checks and whatever knows Azure's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.bicep.kinds import Kind

# how far a description can be trusted
OWN = "own"  # Azure's own, of this very version
SAME = "same"  # a package's, of this version: what it says is warned of
ALMOST = "almost"  # a package's, of a later version: what is almost as it says is warned of


@dataclass(slots=True, frozen=True, eq=False)
class ResourceType:
    """A type in one version. `readable`, `writable`: the scopes, as orchestrator.azure_types sums
    them. `functions`: what its functions give, by name. `trust`: OWN, SAME or ALMOST; only what
    Azure itself describes is read by, and can be an error."""

    name: str
    body: Kind
    readable: int
    writable: int
    functions: Mapping[str, Callable[[], Kind]] = field(default_factory=dict)
    trust: str = OWN


class Library(Protocol):
    @property
    def is_whole(self) -> bool:
        """Whether a type that the library has not is none of Azure's."""

    def find(self, kind: str, version: str) -> ResourceType | None:
        """The type in this version; None when the library has it not."""
