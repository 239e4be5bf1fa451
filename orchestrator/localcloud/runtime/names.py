"""Names of executions and replicas, and those that containers and volumes may have."""

from __future__ import annotations

import re
import secrets
import string

_ALPHABET = string.ascii_lowercase + string.digits
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST = 63


def wrong_label(name: str) -> str | None:
    """What is wrong with the name of a container or a volume; None: nothing.

    They are labels of Kubernetes' (RFC 1123). The service's own reference has no rule for volumes;
    it hands their names on, and a replica whose volume has a dot or a capital in its name is never
    created. Here they also name folders.
    """
    if _LABEL.fullmatch(name) and len(name) <= _LONGEST:
        return None
    return (
        "it must consist of lower case alphanumeric characters or '-', start and end with an "
        f"alphanumeric character, and have at most {_LONGEST}"
    )


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
