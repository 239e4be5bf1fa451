"""Lists in pages: `{"value": […], "nextLink": …}`.

A page ends with the id of its last item, so that items which appear or vanish while a caller pages
are neither skipped nor given twice.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from orchestrator.localcloud.arm.errors import ArmError

PAGE = 100
"""Items in one page."""


def page(
    items: Sequence[dict[str, Any]],
    *,
    link: str,
    query: Mapping[str, str],
    size: int = PAGE,
    top_is_page: bool = False,
) -> dict[str, Any]:
    """One page of `items`.

    Args:
        items: The whole list, filtered, in its order; each with an `id`.
        link: The address of the list without its query, for `nextLink`.
        query: The request's query: `$top` and `$skip` limit the list, `$skiptoken` continues it.
        size: How many items a page holds.
        top_is_page: Whether `$top` asks for pages of that many items, and the list goes on, as
            Resource Manager's own lists have it; otherwise it ends there.

    Raises:
        ArmError: 400 for a `$top`, `$skip` or `$skiptoken` that is none.
    """
    skip = _number(query, "$skip") or 0
    top = _number(query, "$top")
    if top_is_page and top:
        size, top = min(size, top), None
    rest = list(items[skip : None if top is None else skip + top])
    start = 0
    if token := query.get("$skiptoken"):
        start = _after(rest, token)
    chunk = rest[start : start + size]
    body: dict[str, Any] = {"value": chunk}
    if start + size < len(rest):
        again = {name: value for name, value in query.items() if name != "$skiptoken"}
        again["$skiptoken"] = _token(start + size, str(chunk[-1].get("id", "")))
        body["nextLink"] = f"{link}?{urlencode(again, quote_via=quote, safe='$')}"
    return body


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ArmError(
            "InvalidQueryParameter", f"The query parameter {name} must be a whole number.", 400
        )
    return int(text)


def _token(offset: int, last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([offset, last]).encode()).decode().rstrip("=")


def _after(items: Sequence[dict[str, Any]], token: str) -> int:
    try:
        offset, last = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        offset, last = int(offset), str(last)
    except (ValueError, TypeError):
        raise ArmError(
            "InvalidSkipToken", "The query parameter $skiptoken is not one of this list.", 400
        ) from None
    if offset and offset <= len(items) and items[offset - 1].get("id") == last:
        return offset
    for index, item in enumerate(items):
        if item.get("id") == last:
            return index + 1
    return max(0, min(offset, len(items)))
