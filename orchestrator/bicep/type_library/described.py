"""The seam between the checks and whatever knows Azure's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.bicep.kinds import Kind


@dataclass(slots=True, frozen=True, eq=False)
class ResourceType:
    """A type in one version. `readable`, `writable`: the scopes, as orchestrator.azure_types sums
    them. `functions`: what its functions give, by name. `certain`: whether the description is
    Azure's own for this very version; else nothing that is told of it is an error."""

    name: str
    body: Kind
    readable: int
    writable: int
    functions: Mapping[str, Callable[[], Kind]] = field(default_factory=dict)
    certain: bool = True


class Library(Protocol):
    @property
    def is_whole(self) -> bool:
        """Whether a type that the library has not is none of Azure's."""

    def find(self, kind: str, version: str) -> ResourceType | None:
        """The type in this version; None when the library has it not."""
