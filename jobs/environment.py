"""What a payload is told: its environment variables, checked before anything is done with them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*")
_ENDPOINT = re.compile(r"sb://[^/\s:]+:\d{1,5}")
# Queue names: letters, numbers, periods, hyphens, underscores and slashes, at most 260 characters.
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_QUEUE = re.compile(r"(?=.{1,260}\Z)[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?")


class VariableError(Exception):
    """A variable that is missing or has a value that is not allowed; the text names both."""

    def __init__(self, name: str, problem: str, allowed: str) -> None:
        super().__init__(f"{name} {problem}; allowed: {allowed}")
        self.name = name


def load_dotenv_file(folder: Path | None = None) -> None:
    """Add the variables of `.env` in `folder` (default: the working folder) to the environment.

    A variable that is already set keeps its value: what a job is started with has the last word.
    """
    path = (folder or Path.cwd()) / ".env"
    if path.is_file():
        from dotenv import load_dotenv

        load_dotenv(path, override=False)


def text(name: str, *, pattern: re.Pattern[str], allowed: str, required: bool = True) -> str:
    """The value of `name`, matching `pattern`; an empty string when it is not set nor required."""
    value = os.environ.get(name, "").strip()
    if not value:
        if required:
            raise VariableError(name, "is not set", allowed)
        return ""
    if not pattern.fullmatch(value):
        raise VariableError(name, f"is {value!r}", allowed)
    return value


def integer(name: str, default: int, *, minimum: int | None = None) -> int:
    """The integer in `name`, or `default` when it is not set."""
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    allowed = "an integer" if minimum is None else f"an integer of {minimum} or more"
    try:
        number = int(value)
    except ValueError:
        raise VariableError(name, f"is {value!r}", allowed) from None
    if minimum is not None and number < minimum:
        raise VariableError(name, f"is {number}", allowed)
    return number


def seconds(name: str, default: float) -> float:
    """The number of seconds in `name` (more than 0, at most a day), or `default`."""
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    allowed = "a number of seconds, more than 0 and at most 86400"
    try:
        number = float(value)
    except ValueError:
        raise VariableError(name, f"is {value!r}", allowed) from None
    if not 0 < number <= 86_400:
        raise VariableError(name, f"is {value}", allowed)
    return number


def choice(name: str, default: str, allowed: Sequence[str]) -> str:
    """One of the `allowed` words, in any case, or `default`."""
    value = os.environ.get(name, "").strip() or default
    if value.lower() not in allowed:
        raise VariableError(name, f"is {value!r}", " or ".join(allowed))
    return value.lower()


def queue(name: str) -> str:
    """The name of a queue, which must be set."""
    return text(name, pattern=_QUEUE, allowed="the name of a queue, such as parameters")


@dataclass(frozen=True)
class Connection:
    """Where Service Bus is.

    `custom_endpoint` and `ca_bundle` are for a namespace that is not reached at its own name and
    port 5671: behind a gateway, or on the local cloud. Both are empty on Azure.
    """

    namespace: str
    custom_endpoint: str = ""
    ca_bundle: str = ""

    @classmethod
    def from_environment(cls) -> Self:
        ca_bundle = os.environ.get("SERVICE_BUS_CA_BUNDLE", "").strip()
        if ca_bundle and not Path(ca_bundle).is_file():
            raise VariableError(
                "SERVICE_BUS_CA_BUNDLE", f"is {ca_bundle!r}", "the path of a PEM file that exists"
            )
        return cls(
            namespace=text(
                "FULLY_QUALIFIED_NAMESPACE",
                pattern=_HOST,
                allowed="a host name, such as my-namespace.servicebus.windows.net",
            ),
            custom_endpoint=text(
                "SERVICE_BUS_CUSTOM_ENDPOINT",
                pattern=_ENDPOINT,
                allowed="sb://<host>:<port>",
                required=False,
            ),
            ca_bundle=ca_bundle,
        )


def run_id() -> str:
    """The name that this run puts before the ids of its messages.

    On Container Apps it is the replica's: replicas side by side (a parallelism above 1) each send
    messages of their own, and a replica that is tried again sends the ids and the numbers it sent
    before, so that what was sent twice counts once. A replica that replaces a lost one has a new
    name. With MESSAGE_ID_SCOPE=execution it is the execution's, which a replacement shares: right
    only for a job whose parallelism is 1, as replicas that share ids are taken for duplicates of
    each other. Anywhere else it is a new one each time.
    """
    import uuid

    scope = choice("MESSAGE_ID_SCOPE", "replica", ("replica", "execution"))
    execution = os.environ.get("CONTAINER_APP_JOB_EXECUTION_NAME", "").strip()
    replica = os.environ.get("CONTAINER_APP_REPLICA_NAME", "").strip()
    if scope == "execution" and execution:
        return execution
    if execution and not replica:
        # The platform promises jobs the execution's name only. A replica's host is named after the
        # replica; should it not be, two of them must still differ.
        replica = os.environ.get("HOSTNAME", "").strip() or uuid.uuid4().hex
    if execution and not replica.startswith(f"{execution}-"):
        return f"{execution}-{replica}"
    return replica or uuid.uuid4().hex
