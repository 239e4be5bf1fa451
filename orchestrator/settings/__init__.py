"""`orchestrator.toml` and ORCHESTRATOR_*: found, read, checked, typed.

tables.py    what the file says, as types
loading.py   finding it, reading it, everything that is wrong with it at once
slips.py     where in the file that is, and what was meant where it is no TOML
reader.py    TOML tables -> those types, noting each problem with its key
checks.py    what concerns more than one key
rules.py     what a single value may be, and by whose rule
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.settings.loading import check, find, load
    from orchestrator.settings.tables import (
        ActionGroupSpec,
        AlertSpec,
        ImageSpec,
        JobSpec,
        ProfileSpec,
        QueueSpec,
        RuleAuth,
        Scale,
        ScaleRule,
        ScriptSpec,
        SecretRef,
        SecretSource,
        Settings,
        WebhookSpec,
    )

# The rules alone are wanted by a command that only checks an option: nothing else comes with them.
_HOMES = {
    **dict.fromkeys(("check", "find", "load"), "loading"),
    **dict.fromkeys(
        (
            "ActionGroupSpec",
            "AlertSpec",
            "ImageSpec",
            "JobSpec",
            "ProfileSpec",
            "QueueSpec",
            "RuleAuth",
            "Scale",
            "ScaleRule",
            "ScriptSpec",
            "SecretRef",
            "SecretSource",
            "Settings",
            "WebhookSpec",
        ),
        "tables",
    ),
}

__all__ = [
    "ActionGroupSpec",
    "AlertSpec",
    "ImageSpec",
    "JobSpec",
    "ProfileSpec",
    "QueueSpec",
    "RuleAuth",
    "Scale",
    "ScaleRule",
    "ScriptSpec",
    "SecretRef",
    "SecretSource",
    "Settings",
    "WebhookSpec",
    "check",
    "find",
    "load",
]


if not TYPE_CHECKING:  # a type checker is to know these names and no others

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value
