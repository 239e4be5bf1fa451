"""A request to steer the local cloud that is refused."""

from __future__ import annotations


class SteeringRefused(Exception):  # noqa: N818 - a refusal of a request
    """Something that cannot be done.

    Attributes:
        message: One sentence for the user.
        status: HTTP status that fits.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
