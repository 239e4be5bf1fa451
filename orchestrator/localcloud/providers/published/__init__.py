"""What services publish of resources that only they know: addresses, keys, state.

Templates read it, with `reference()` and `listKeys()`, of resources that a job's world has around
it: a site's host name, a database's address, an account's keys. Nothing is behind any of it here.
The tables name the types; what they do not name has only what was sent.
"""

from __future__ import annotations

from orchestrator.localcloud.providers.published import (
    data,
    messaging,
    networking,
    platform,
    web,
    workplaces,
)
from orchestrator.localcloud.providers.published.seen import Action, Published, Regeneration, Seen

__all__ = ["Action", "Published", "Regeneration", "Seen", "action_names", "actions_of", "of_type"]

_TABLES = (
    data.TABLE,
    messaging.TABLE,
    networking.TABLE,
    platform.TABLE,
    web.TABLE,
    workplaces.TABLE,
)
_TABLE = {type.lower(): published for table in _TABLES for type, published in table.items()}


def of_type(type: str) -> Published | None:
    """What is published of a type, in any case."""
    return _TABLE.get(type.lower())


def actions_of(namespace: str) -> dict[str, list[str]]:
    """Types of a namespace, in any case -> the names of their actions."""
    prefix = f"{namespace}/".lower()
    return {
        type: [*published.actions, *published.regenerations]
        for table in _TABLES
        for type, published in table.items()
        if type.lower().startswith(prefix)
    }


def action_names() -> set[str]:
    """The names of all actions."""
    return {
        name
        for published in _TABLE.values()
        for name in (*published.actions, *published.regenerations)
    }
