"""Shared access signatures, made as the service's documentation says."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote_plus


def signature(resource: str, rule: str, key: str, expiry: float) -> str:
    """A SharedAccessSignature for `resource`, valid until `expiry` (epoch seconds)."""
    scope = quote_plus(resource)
    text = f"{scope}\n{int(expiry)}".encode()
    digest = base64.b64encode(hmac.new(key.encode(), text, hashlib.sha256).digest()).decode()
    return f"SharedAccessSignature sr={scope}&sig={quote_plus(digest)}&se={int(expiry)}&skn={rule}"
