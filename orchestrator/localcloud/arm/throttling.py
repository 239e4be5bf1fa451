"""How many requests a caller has left: Azure's token buckets, told and never enforced.

Resource Manager gives each principal a bucket of 250 reads, filled with 25 a second, and of 200
writes and 200 deletes, filled with 10 a second ("Understand how Azure Resource Manager throttles
requests"). The local cloud keeps the same account and says what is left, so that a program which
would be throttled on Azure can be seen; `orchestrator local fault` makes it happen.
"""

from __future__ import annotations

from orchestrator.clock import Clock

_BUCKETS = {
    # kind: (size, refill a second)
    "reads": (250.0, 25.0),
    "writes": (200.0, 10.0),
    "deletes": (200.0, 10.0),
}
_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}
_MOST = 1000


class Allowance:
    """The buckets of all callers, by the machine's time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def spend(self, principal: str, method: str) -> tuple[str, str]:
        """Take one request off; the header that tells what is left, and its value."""
        kind = _KINDS.get(method, "writes")
        size, refill = _BUCKETS[kind]
        now = self._clock.time()
        left, at = self._left.get((principal, kind), (size, now))
        left = max(0.0, min(size, left + (now - at) * refill) - 1.0)
        if len(self._left) >= _MOST:
            self._left.clear()
        self._left[principal, kind] = (left, now)
        return f"x-ms-ratelimit-remaining-subscription-{kind}", str(int(left))
