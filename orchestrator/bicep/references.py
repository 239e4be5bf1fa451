"""What an expression is before it is written: a resource, one of a collection, a known value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.bicep.arm import Arm
from orchestrator.bicep.symbols import Local, Symbol

# what a loop's variables stand for where they are used outside of it
Env = dict[Local, Arm]


@dataclass(slots=True, frozen=True)
class At:
    """Which member of a collection: its index, and what its loop's variables then are."""

    env: Env
    index: Arm


@dataclass(slots=True, frozen=True)
class Value:
    """A value that is known while compiling, as JSON."""

    json: Any


@dataclass(slots=True, frozen=True)
class Reference:
    """A resource or module, perhaps one of a collection, on which something is read."""

    symbol: Symbol
    at: At | None
