"""What services publish of resources that only they know: addresses, keys, state.

Templates read it, with `reference()` and `listKeys()`, of resources that a job's world has around
it: a site's host name, a database's address, an account's keys. Nothing is behind any of it here.
The tables name the types; what they do not name has only what was sent.
"""

from __future__ import annotations

from orchestrator.localcloud.providers.published import data, messaging, platform, web
from orchestrator.localcloud.providers.published.seen import Action, Published, Regeneration, Seen

__all__ = ["Action", "Published", "Regeneration", "Seen", "action_names", "of_type"]

_TABLE = {
    type.lower(): published
    for table in (data.TABLE, messaging.TABLE, platform.TABLE, web.TABLE)
    for type, published in table.items()
}


def of_type(type: str) -> Published | None:
    """What is published of a type, in any case."""
    return _TABLE.get(type.lower())


def action_names() -> set[str]:
    """The names of all actions."""
    return {
        name
        for published in _TABLE.values()
        for name in (*published.actions, *published.regenerations)
    }
