"""Names of executions and replicas."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_lowercase + string.digits


def execution_name(job: str) -> str:
    """`{job}-{7 of a-z0-9}`, as the service's own: `my-job-66v9xh0`."""
    return f"{job}-{_random(7)}"


def replica_name(execution: str) -> str:
    """`{execution}-{5 of a-z0-9}`, as Kubernetes names the pods of a job."""
    return f"{execution}-{_random(5)}"


def container_id() -> str:
    """64 hexadecimal digits, as container engines identify containers."""
    return secrets.token_hex(32)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
