"""`checkResourceName`: whether a name is one that Azure keeps for itself.

Words and rules: "Resolve errors for reserved resource names". Resources with an address of their
own are refused for such a name on Azure.
"""

from __future__ import annotations

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import Answer, Call

_WHOLE = frozenset(
    (
        *("access", "azure", "bing", "bizspark", "biztalk", "cortana", "directx", "dotnet"),
        *("dynamics", "excel", "exchange", "forefront", "groove", "hololens", "hyperv", "kinect"),
        *("lync", "msdn", "o365", "office", "office365", "onedrive", "onenote", "outlook"),
        *("powerpoint", "sharepoint", "skype", "visio", "visualstudio"),
    )
)
_INSIDE = ("microsoft", "windows")
_FIRST = "login"


def is_reserved(name: str) -> bool:
    """Whether Azure keeps a name, or one with such a word in it."""
    plain = name.lower()
    return plain in _WHOLE or plain.startswith(_FIRST) or any(word in plain for word in _INSIDE)


async def check_resource_name(call: Call) -> Answer:
    """`{"name", "type", "status": "Allowed" | "Reserved"}`. Raises ArmError (400)."""
    body = call.object()
    name, kind = body.get("name"), body.get("type")
    if not isinstance(name, str) or not name or not isinstance(kind, str) or not kind:
        raise ArmError("InvalidRequestContent", "'name' and 'type' of a resource are needed.")
    return {"name": name, "type": kind, "status": "Reserved" if is_reserved(name) else "Allowed"}
