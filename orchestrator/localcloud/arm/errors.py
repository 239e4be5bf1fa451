"""Refusals in Resource Manager's shape.

`{"error": {"code", "message", "target"?, "details"?}}` is what every Azure SDK and `az` read
(ARM resource provider contract, "error response content").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ArmError(Exception):
    """A request that is refused, with what the caller is told.

    `code` is Azure's machine-readable word, `message` one sentence for people, `status` the HTTP
    status. `target` names the property or resource at fault; `details` holds further refusals of
    the same request. `headers` are added to the answer, `more` to what is told.
    """

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        *,
        target: str | None = None,
        details: Sequence[ArmError] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.target = target
        self.details = tuple(details)
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def inner(self) -> dict[str, Any]:
        """`{"code", "message", "target"?, "details"?}`, as it also stands in an operation."""
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            body["target"] = self.target
        if self.details:
            body["details"] = [detail.inner() for detail in self.details]
        return body | self.more

    def body(self) -> dict[str, Any]:
        """The whole answer: `{"error": {...}}`."""
        return {"error": self.inner()}


def revived(error: Mapping[str, Any]) -> ArmError:
    """An error out of its JSON."""
    return ArmError(
        str(error.get("code", "Failed")),
        str(error.get("message", "")),
        409,
        target=error.get("target"),
        details=[revived(item) for item in error.get("details", ())],
    )


def not_found(what: str, *, group: str | None = None) -> ArmError:
    """404 for a resource; `what` is `Microsoft.App/jobs/sender`, `group` its resource group."""
    where = f" under resource group '{group}'" if group else ""
    return ArmError("ResourceNotFound", f"The Resource '{what}'{where} was not found.", 404)


def group_not_found(name: str) -> ArmError:
    """404 for a resource group that does not exist."""
    return ArmError("ResourceGroupNotFound", f"Resource group '{name}' could not be found.", 404)


def no_namespace(name: str) -> ArmError:
    """404 for a provider that does not exist."""
    return ArmError("InvalidResourceNamespace", f"The resource namespace '{name}' is invalid.", 404)


def subscription_not_found(name: str) -> ArmError:
    """404 for a subscription that is not the local cloud's."""
    return ArmError(
        "SubscriptionNotFound",
        f"The subscription '{name}' could not be found. "
        "This local cloud's own is listed at /subscriptions.",
        404,
    )


def invalid_content(message: str, *, target: str | None = None) -> ArmError:
    """400 for a body that cannot be understood at all."""
    return ArmError("InvalidRequestContent", message, 400, target=target)
