"""The names by which an image is looked up: what `[images.<name>]` of orchestrator.toml may say."""

from __future__ import annotations

import re

_REFERENCE = re.compile(
    r"^(?P<name>[^@\s]+?)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[\w+.-]+:[0-9a-fA-F]+))?$"
)


def repository_names(image: str) -> list[str]:
    """Names to look an image up by, the fullest first; without tag and digest."""
    match = _REFERENCE.match(image.strip())
    full = match["name"] if match else image.strip()
    names = [full]
    host, slash, path = full.partition("/")
    # The rule of the container engines: a first part with a dot or a port is a host.
    if slash and ("." in host or ":" in host or host == "localhost"):
        names.append(path)
    names.append(names[-1].rpartition("/")[2])
    return list(dict.fromkeys(names))
