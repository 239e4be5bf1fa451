"""Any resource type that nobody knows better: kept as it was sent."""

from __future__ import annotations

from typing import ClassVar

from orchestrator.localcloud.arm.provider import ResourceType


class Generic(ResourceType):
    """PUT, GET, PATCH, DELETE, HEAD and list, for every type and every scope.

    A create answers 201 with `Azure-AsyncOperation`, which long-running and plain clients take.
    """

    type: ClassVar[str] = "*"
    create_status: ClassVar[int] = 201
