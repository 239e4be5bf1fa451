"""The functions of the template language, by lower-case name."""

from __future__ import annotations

from orchestrator.localcloud.templates.functions import (
    cidr,
    collections,
    dates,
    hashing,
    identifiers,
    lambdas,
    logic,
    numbers,
    running,
    surroundings,
    texts,
)
from orchestrator.localcloud.templates.functions.registry import FUNCTIONS as ALL

__all__ = [
    "ALL",
    "cidr",
    "collections",
    "dates",
    "hashing",
    "identifiers",
    "lambdas",
    "logic",
    "numbers",
    "running",
    "surroundings",
    "texts",
]
