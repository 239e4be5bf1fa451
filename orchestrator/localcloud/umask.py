"""Files of the server's process are its user's alone; those of the programs it starts are not.

Not every file of the state folder is made by code of ours: SQLite and DuckDB make theirs beside
the databases, when they need them.
"""

from __future__ import annotations

import os
from typing import Any

PRIVATE = 0o077

_users: int | None = None


def keep_private() -> None:
    """Make every file that this process creates 0600 and every folder 0700, where modes exist."""
    global _users  # noqa: PLW0603 -- as a process has one umask
    if os.name == "posix":
        _users = os.umask(PRIVATE)


def spawn_options() -> dict[str, Any]:
    """Arguments for starting a user's program with the umask that its user has chosen."""
    return {} if _users is None else {"umask": _users}
