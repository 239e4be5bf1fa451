"""Following a deployment while it runs: which resources are done, and what failed and why.

A module of a template is a deployment of its own inside the first, so the operations of all of them
are looked through. Source: "View deployment history with Azure Resource Manager", operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator.azure.failures import told
from orchestrator.errors import OrchestratorError
from orchestrator.infra.changes import WhatIf, parse_id, title
from orchestrator.quantities import parse_iso_duration
from orchestrator.results import Change, Step

if TYPE_CHECKING:
    from orchestrator.azure.clients import Clients

Progress = Callable[[Step], None]

# What Resource Manager puts around the sentence that tells what is wrong.
_WRAPPINGS = ("Deployment template validation failed: '",)

DEPLOYMENTS = "microsoft.resources/deployments"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One resource of a running deployment.

    Attributes:
        id: The resource's.
        noun: What it is called.
        name: Its name.
        state: Running, Succeeded, Failed, …
        time: When it was last told of, as the service writes it.
        seconds: How long it took; None while it runs or where nobody tells.
        error: The service's error when it failed: code, message, details.
    """

    id: str
    noun: str
    name: str
    state: str
    time: str = ""
    seconds: float | None = None
    error: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        return self.state.lower() in ("succeeded", "failed", "canceled")

    @property
    def failed(self) -> bool:
        return self.state.lower() in ("failed", "canceled")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One resource that could not be deployed, and the innermost reason that was given."""

    noun: str
    name: str
    code: str
    message: str
    id: str = ""

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"{f'{self.noun} {self.name}'.strip()}: {self.message}{code}"


class Follower:
    """The operations of one deployment and of those inside it."""

    def __init__(self, clients: Clients, deployment_id: str) -> None:
        self._clients = clients
        self._root = deployment_id
        self._done: set[str] = set()  # nested deployments that are over and told
        self.operations: dict[str, Operation] = {}

    def look(self) -> list[Operation]:
        """Ask again; gives the resources that have finished since the last look."""
        before = {key for key, operation in self.operations.items() if operation.finished}
        with told(self._clients.profile, "see how far the deployment is"):
            self._walk(self._root)
        done = [o for key, o in self.operations.items() if o.finished and key not in before]
        return sorted(done, key=lambda o: o.time)

    def running(self) -> list[Operation]:
        """The resources that are being made now."""
        return [o for o in self.operations.values() if not o.finished]

    def failures(self) -> list[Failure]:
        """What failed, resource by resource."""
        return [_failure(o) for o in self.operations.values() if o.failed]

    def _walk(self, deployment_id: str) -> None:
        if deployment_id.lower() in self._done:
            return
        scope, name = _scope_and_name(deployment_id)
        inner: list[tuple[str, str, Mapping[str, Any]]] = []
        for found in self._operations(scope, name):
            properties = found.as_dict().get("properties") or {}
            target = properties.get("targetResource") or {}
            target_id = str(target.get("id") or "")
            if not target_id or str(properties.get("provisioningOperation") or "") in (
                "EvaluateDeploymentOutput",
                "Read",
                "Action",
            ):
                continue
            state = str(properties.get("provisioningState") or "")
            if str(target.get("resourceType") or "").lower() == DEPLOYMENTS:
                inner.append((target_id, state, properties))
                continue
            self._note(target_id, state, properties)
        for target_id, state, properties in inner:
            before = len([o for o in self.operations.values() if o.failed])
            self._walk(target_id)
            if state.lower() in ("succeeded", "failed", "canceled"):
                self._done.add(target_id.lower())
            after = len([o for o in self.operations.values() if o.failed])
            # A module that failed as a whole: nothing inside of it tells why.
            if state.lower() == "failed" and after == before and not self._known_failure(target_id):
                self._note(target_id, state, properties)

    def _operations(self, scope: str, name: str) -> list[Any]:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return list(self._clients.deployments.deployment_operations.list_at_scope(scope, name))
        except ResourceNotFoundError:  # a module that is about to be begun
            return []

    def _known_failure(self, deployment_id: str) -> bool:
        return deployment_id.lower() in self.operations

    def _note(self, target_id: str, state: str, properties: Mapping[str, Any]) -> None:
        response = properties.get("response") or {}
        content = response.get("content") if isinstance(response, Mapping) else None
        shown = (content or {}).get("properties") if isinstance(content, Mapping) else None
        parts = parse_id(target_id)
        module = parts.kind.lower() == DEPLOYMENTS
        self.operations[target_id.lower()] = Operation(
            id=target_id,
            noun="module" if module else parts.noun,
            name=title(target_id, shown if isinstance(shown, Mapping) else None),
            state=state,
            time=str(properties.get("timestamp") or ""),
            seconds=_seconds(properties.get("duration")),
            error=_error(properties.get("statusMessage")),
        )


class Watch:
    """Tells the progress of a stack's deployment, resource by resource.

    Args:
        foreseen: What what-if said: how many resources there are, and what is done to each.
        tell: Called when a resource is begun, and when it is done.
        before: Id of the stack's deployment before this one, "" if there was none.
    """

    def __init__(self, clients: Clients, foreseen: WhatIf, tell: Progress, before: str) -> None:
        self._clients = clients
        self._tell = tell
        self._before = before.lower()
        self._follower: Follower | None = None
        self._changes = {
            c.id.lower(): change
            for c, change in zip(
                [c for c in foreseen if c.effect not in ("ignore", "delete")],
                foreseen.changes(),
                strict=True,
            )
        }
        self._number = 0
        self._told: set[str] = set()

    def look(self, stack: Callable[[], Mapping[str, Any] | None]) -> None:
        """Ask how far it is. `stack` reads the stack, until its deployment is known.

        Looking is no part of the deployment: what goes wrong with it is left to the next look.
        """
        try:
            follower = self._find(stack)
            done = follower.look() if follower is not None else []
        except OrchestratorError:
            return
        if follower is None:
            return
        for operation in done:
            if operation.id.lower() not in self._told:
                self._finished(operation)
        running = [o for o in follower.running() if o.id.lower() not in self._told]
        if running:
            more = f" and {len(running) - 1} more" if len(running) > 1 else ""
            self._step(f"{self._title(running[0])}{more}")

    def failures(self, stack: Callable[[], Mapping[str, Any] | None]) -> list[Failure]:
        """It has ended badly: which resources, and why."""
        self.look(stack)
        return self._follower.failures() if self._follower is not None else []

    def _find(self, stack: Callable[[], Mapping[str, Any] | None]) -> Follower | None:
        if self._follower is None:
            properties = (stack() or {}).get("properties") or {}
            found = str(properties.get("deploymentId") or "")
            if found and found.lower() != self._before:
                self._follower = Follower(self._clients, found)
        return self._follower

    def _finished(self, operation: Operation) -> None:
        self._told.add(operation.id.lower())
        self._number += 1
        foreseen = self._changes.get(operation.id.lower())
        change = foreseen or Change(name=operation.name, kind=operation.noun, action="unchanged")
        if operation.failed:
            return
        self._step(self._title(operation), change, operation.seconds)

    def _title(self, operation: Operation) -> str:
        """What it is called: what-if knew what a role allows, an operation knows where it is."""
        foreseen = self._changes.get(operation.id.lower())
        return f"{operation.noun} {foreseen.name if foreseen else operation.name}"

    def _step(self, what: str, change: Change | None = None, seconds: float | None = None) -> None:
        total = max(len(self._changes), self._number)
        number = self._number if change else min(self._number + 1, total)
        self._tell(Step(title=what, number=number, total=total, change=change, seconds=seconds))


def _scope_and_name(deployment_id: str) -> tuple[str, str]:
    at = deployment_id.lower().rfind("/providers/microsoft.resources/deployments/")
    return deployment_id[:at].strip("/"), deployment_id.rpartition("/")[2]


def _seconds(text: Any) -> float | None:
    try:
        return parse_iso_duration(str(text)).total_seconds() if text else None
    except ValueError:
        return None


def _error(message: Any) -> Mapping[str, Any] | None:
    if not message:
        return None
    if isinstance(message, Mapping):
        error = message.get("error")
        return error if isinstance(error, Mapping) else message
    return {"message": str(message)}


def _failure(operation: Operation) -> Failure:
    code, message = innermost(operation.error or {})
    return Failure(
        noun=operation.noun,
        name=operation.name,
        code=code,
        message=message or f"it ended as {operation.state.lower()}",
        id=operation.id,
    )


def failures_of(error: Mapping[str, Any]) -> list[Failure]:
    """What an error of a whole deployment tells of its resources, by its leaves."""
    found = []
    for leaf, target in _leaves(error):
        code, message = innermost(leaf)
        parts = parse_id(target)
        known = target and parts.kind.lower() != DEPLOYMENTS
        found.append(
            Failure(
                noun=parts.noun if known else "template",
                name=title(target) if known else "",
                code=code,
                message=message,
                id=target,
            )
        )
    return found


def _leaves(error: Mapping[str, Any], around: str = "") -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each innermost error, with the id of the nearest resource that it or one around it names."""
    target = str(error.get("target") or "")
    target = target if target.startswith("/") or not around else around
    details = [d for d in error.get("details") or () if isinstance(d, Mapping)]
    if not details:
        yield error, target
    for detail in details:
        yield from _leaves(detail, target)


def innermost(error: Mapping[str, Any]) -> tuple[str, str]:
    """(code, sentence) of the deepest error: those around it only say that something failed."""
    code, message = str(error.get("code") or ""), " ".join(str(error.get("message") or "").split())
    inner = error.get("error")
    below: Iterable[Any] = error.get("details") or ([inner] if isinstance(inner, Mapping) else ())
    for detail in below:
        if isinstance(detail, Mapping) and (detail.get("message") or detail.get("details")):
            return innermost(detail)
    for wrapping in _WRAPPINGS:
        if message.startswith(wrapping):
            # What is quoted may end with a quoted value itself.
            message = message.removeprefix(wrapping).removesuffix(".").removesuffix("'")
    return code, message.rstrip(".")
