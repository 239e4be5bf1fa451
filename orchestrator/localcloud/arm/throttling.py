"""How many requests a caller has left: Azure's token buckets, told always and enforced on request.

Resource Manager gives each principal of a subscription a bucket of 250 reads, filled with 25 a
second, and of 200 writes and 200 deletes, filled with 10 a second; all principals together have
fifteen times that; what concerns no subscription has buckets of the tenant ("Understand how Azure
Resource Manager throttles requests"). The local cloud keeps the same account and says what is left.
With the setting `throttling = "enforce"` it also refuses what is too much, so that a program which
would be throttled on Azure meets that here.
"""

from __future__ import annotations

import math

from orchestrator.clock import Clock
from orchestrator.localcloud.arm.errors import ArmError

_BUCKETS = {
    # kind: (size, refill a second)
    "reads": (250.0, 25.0),
    "writes": (200.0, 10.0),
    "deletes": (200.0, 10.0),
}
_KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}
_TOGETHER = 15
_MOST = 1000
_LEFT = "x-ms-ratelimit-remaining"


class Allowance:
    """The buckets of all callers, by the machine's time.

    Args:
        clock: The machine's; a steered time would fill buckets at once.
        enforce: Whether an empty bucket refuses.
    """

    def __init__(self, clock: Clock, *, enforce: bool = False) -> None:
        self._clock = clock
        self._enforce = enforce
        self._left: dict[tuple[str, str, str], tuple[float, float]] = {}

    def spend(self, principal: str, method: str, subscription: str | None) -> dict[str, str]:
        """Take one request off; the headers that tell what is left.

        Args:
            principal: Object id of the caller.
            method: `GET`, `PUT`, …
            subscription: The one that is asked, as its path has it; None: the tenant.

        Raises:
            ArmError: 429 `SubscriptionRequestsThrottled` or `TenantRequestsThrottled` with
                `Retry-After`, where it is enforced and nothing is left; nothing is taken then.
        """
        kind = _KINDS.get(method, "writes")
        scope = "tenant" if subscription is None else "subscription"
        now = self._clock.time()
        own, own_wait = self._look(scope, principal, kind, 1, now)
        wait, headers = own_wait, {f"{_LEFT}-{scope}-{kind}": str(int(own))}
        everybody = 0.0
        if subscription is not None:
            everybody, all_wait = self._look(scope, "", kind, _TOGETHER, now)
            headers[f"{_LEFT}-{scope}-global-{kind}"] = str(int(everybody))
            wait = max(wait, all_wait)
        if self._enforce and wait > 0:
            raise _throttled(kind, subscription, principal, math.ceil(wait), headers)
        self._keep(scope, principal, kind, own, now)
        if subscription is not None:
            self._keep(scope, "", kind, everybody, now)
        return headers

    def _look(
        self, scope: str, principal: str, kind: str, times: int, now: float
    ) -> tuple[float, float]:
        """What would be left after one more request, and the seconds until there is one."""
        size, refill = (value * times for value in _BUCKETS[kind])
        left, at = self._left.get((scope, principal, kind), (size, now))
        there = min(size, left + max(0.0, now - at) * refill)
        return max(0.0, there - 1.0), max(0.0, (1.0 - there) / refill)

    def _keep(self, scope: str, principal: str, kind: str, left: float, now: float) -> None:
        if len(self._left) >= _MOST:
            self._left.clear()
        self._left[scope, principal, kind] = (left, now)


def _throttled(
    kind: str, subscription: str | None, principal: str, wait: int, left: dict[str, str]
) -> ArmError:
    whose = "tenant" if subscription is None else f"subscription '{subscription}'"
    wait = max(1, wait)
    return ArmError(
        "TenantRequestsThrottled" if subscription is None else "SubscriptionRequestsThrottled",
        f"Number of '{kind.removesuffix('s')}' requests for {whose} actor '{principal}' exceeded. "
        f"Please try again after '{wait}' seconds after additional tokens are available. Refer to "
        "https://aka.ms/arm-throttling for additional information.",
        429,
        headers={"Retry-After": str(wait), **left},
    )
