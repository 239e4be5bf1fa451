"""Ids of resources as far as a call says everything that is in them.

`resourceId('sub', 'group', 'Provider/type', 'name')` needs no deployment; without its first two
arguments it does. Source: Azure's documentation of the resource functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.bicep.pure.arguments import ArgumentFault

# how many arguments before the type say where it is, so that no deployment is needed
SCOPE_ARGUMENTS = {
    "resourceId": 2,
    "subscriptionResourceId": 1,
    "managementGroupResourceId": 1,
    "tenantResourceId": 0,
    "extensionResourceId": 1,
}
_PREFIXES = {
    "resourceId": "/subscriptions/{}/resourceGroups/{}",
    "subscriptionResourceId": "/subscriptions/{}",
    "managementGroupResourceId": "/providers/Microsoft.Management/managementGroups/{}",
    "tenantResourceId": "",
    "extensionResourceId": "{}",
}


def is_type(text: str) -> bool:
    """Whether this is `Provider.Name/type`, with or without a version."""
    provider, slash, rest = text.partition("/")
    return "." in provider and bool(slash and rest)


def says_all(name: str, texts: Sequence[str | None]) -> bool:
    """Whether a call names all that its id holds. `texts`: of arguments that are literals."""
    wanted = SCOPE_ARGUMENTS[name]
    if name in ("tenantResourceId", "extensionResourceId"):
        return True
    before = texts[:wanted]
    return (
        len(texts) >= wanted + 2
        and all(text is not None and not is_type(text) for text in before)
        and is_type(texts[wanted] or "")
    )


def _maker(name: str) -> Callable[..., str]:
    def make(*args: str) -> str:
        count = SCOPE_ARGUMENTS[name]
        if len(args) <= count or not is_type(args[count]):
            needed = "an argument" if count == 1 else f"{count} arguments"
            raise ArgumentFault(f"it needs {needed} before the type: where the resource is")
        scope, kind, names = args[:count], args[count], args[count + 1 :]
        provider, *segments = kind.split("/")
        if len(segments) != len(names):
            raise ArgumentFault(f"{kind} needs {len(segments)} names")
        parts = [part for pair in zip(segments, names, strict=True) for part in pair]
        start = _PREFIXES[name].format(*scope).rstrip("/")
        return "/".join([start, "providers", provider, *parts])

    return make


FUNCTIONS = {name.lower(): _maker(name) for name in SCOPE_ARGUMENTS}
