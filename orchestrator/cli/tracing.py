"""`-v`: the SDKs' own account of their requests, on stderr, with every secret hidden.

azure.core redacts headers that are not on its allow-list (`HttpLoggingPolicy`); the filter here
hides what could still slip through: tokens, keys, signatures, connection strings.
"""

from __future__ import annotations

import logging
import re
import sys

_SECRETS = (
    re.compile(r"(?i)\b(bearer|sharedaccesssignature)\s+[^\s'\",]+"),
    re.compile(r"(?i)\b(sharedaccesskey|accountkey|client_secret|password|sig)=[^&;\s'\"]+"),
    re.compile(r"(?i)(x-identity-header['\"]?\s*[:=]\s*['\"]?)[^\s'\",]+"),
    re.compile(
        r"(?i)(['\"](?:access_token|refresh_token|token|primaryKey|secondaryKey|sharedKey"
        r"|primaryConnectionString|secondaryConnectionString|password)['\"]\s*:\s*['\"])[^'\"]+"
    ),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),
)
_LOGGERS = ("azure", "orchestrator")


def redact(text: str) -> str:
    """`text` with whatever looks like a secret replaced by `(hidden)`."""
    text = _SECRETS[0].sub(r"\1 (hidden)", text)
    text = _SECRETS[1].sub(r"\1=(hidden)", text)
    text = _SECRETS[2].sub(r"\1(hidden)", text)
    text = _SECRETS[3].sub(r"\1(hidden)", text)
    return _SECRETS[4].sub("(hidden)", text)


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def tell_failures_alone() -> None:
    """Keep the SDKs' warnings off stderr: what they warn of ends the command in one sentence of
    ours (azure-identity's lists every credential that it tried, in nine lines), or passes.
    """
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not logger.hasHandlers():  # else it is somebody's wish to read them
            logger.addHandler(logging.NullHandler())


def trace_requests(level: int) -> None:
    """Log the SDKs to stderr from now on: `level` 1 requests and answers, 2 everything."""
    chosen = logging.INFO if level == 1 else logging.DEBUG
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(h.formatter, _Redacted) for h in logger.handlers):
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(_Redacted("%(asctime)s %(name)s  %(message)s", "%H:%M:%S"))
            logger.addHandler(handler)
            logger.propagate = False
        logger.setLevel(chosen)
