"""Microsoft.Features: previews that a subscription can register for. There are none here.

What the reference documents for a feature that does not exist is answered ("Features", 2021-07-01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import Answer, Call, Handler, Provider


class Features(Provider):
    """Microsoft.Features."""

    namespace: ClassVar[str] = "Microsoft.Features"

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Lists, and what can be done to one."""
        base = f"/subscriptions/{{}}/providers/{self.namespace}"
        one = f"{base}/providers/{{}}/features/{{}}"
        return {
            ("GET", f"{base}/features"): _none,
            ("GET", f"{base}/providers/{{}}/features"): _none,
            ("GET", one): _missing,
            ("POST", f"{one}/register"): _missing,
            ("POST", f"{one}/unregister"): _missing,
            ("GET", f"{base}/subscriptionFeatureRegistrations"): _none,
        }


async def _none(call: Call) -> Answer:
    return []


async def _missing(call: Call) -> Answer:
    raise ArmError(
        "FeatureNotFound",
        f"The feature '{call.arguments[-1]}' of '{call.arguments[-2]}' could not be found. This "
        "local cloud has no previews: what it can do, it does without a registration.",
        404,
    )
