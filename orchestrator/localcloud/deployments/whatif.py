"""What-if: what a deployment would change, told before anything is (ARM REST "What If").

A resource is compared with what the service would show of it after the deployment: its own
provider completes the wanted body as it would on a PUT. So a default that the service fills in is
no change, and neither is a secret that it never gives back. A nested deployment is looked into;
what its outputs will be is known to those that refer to it, as far as it can be.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Reply
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.deployments.complete import beyond
from orchestrator.localcloud.deployments.differences import differences, ineffective, without
from orchestrator.localcloud.deployments.linking import linked
from orchestrator.localcloud.deployments.preparing import Prepared, prepare, prepare_nested
from orchestrator.localcloud.deployments.request import wanted
from orchestrator.localcloud.deployments.scopes import check_location, kind_of
from orchestrator.localcloud.templates.errors import (
    ExpressionError,
    NotYetKnown,
    Request,
)
from orchestrator.localcloud.templates.evaluation import Evaluation
from orchestrator.localcloud.templates.expressions import is_expression
from orchestrator.localcloud.templates.placing import GROUP
from orchestrator.localcloud.templates.plan import Instance
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

T = TypeVar("T")
SECRET = "*******"  # noqa: S105 - what stands for one
_FORMATS = ("fullresourcepayloads", "resourceidonly")
_UNIDENTIFIABLE = (
    "Changes to the resource declared as '{}' cannot be analyzed because its resource ID or API "
    "version cannot be calculated until the deployment is under way. Please see "
    "https://aka.ms/WhatIfUnidentifiableResource for help."
)
_SHORT_CIRCUITED = (
    "A nested deployment got short-circuited and all its resources got skipped from validation. "
    "This is due to a nested template having a parameter that was not fully evaluated (contains a "
    "function such as reference() or list*())."
)
_ORDER = ("Delete", "Create", "Deploy", "Modify", "Unsupported", "NoChange", "NoEffect", "Ignore")


@dataclass(slots=True)
class Prediction:
    """What is found out about one request."""

    arm: ResourceManager
    caller: Caller
    only_ids: bool
    changes: list[JSON] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)
    deployed: dict[str, JSON] = field(default_factory=dict)
    deployment: str = ""

    async def look_into(self, prepared: Prepared, deployment: str) -> None:
        """Predict everything that a deployment and those nested in it would do.

        Args:
            prepared: The deployment.
            deployment: Its id.
        """
        self.secrets |= prepared.plan.inputs.secrets()
        for item, _ in prepared.bodies:
            if item.type.lower() == GROUP:
                body = await self._body(item)
                self.groups[item.id.lower()] = str(body.get("location", ""))
        for item in _in_order(prepared):
            self.deployment = deployment
            if not item.is_located:
                self._unsupported(item, _UNIDENTIFIABLE.format(item.symbol or item.name))
                continue
            try:
                body = await self._body(item)
            except ArmError as error:
                self._unsupported(item, error.message)
                continue
            if item.is_deployment:
                await self._nested(item, body, prepared)
            else:
                await self._resource(item, body)

    async def _body(self, item: Instance) -> JSON:
        """A body as far as it can be known without deploying anything."""
        try:
            return await self._known(item.evaluation, item.body)
        except (ExpressionError, RecursionError) as error:
            raise ArmError("InvalidTemplate", str(error)) from None

    async def _known(self, at: Evaluation, evaluate: Callable[[Evaluation], T]) -> T:
        """What `evaluate` gives when all is told that can be told; the rest stays as it is written.

        Raises:
            ExpressionError, RecursionError: As evaluation does.
        """
        hopeless: set[Request] = set()
        while True:
            asked: list[Request] = []

            def unknown(
                at: Evaluation,
                text: str,
                error: NotYetKnown,
                asked: list[Request] = asked,
            ) -> Any:
                asked.append(error.request)
                return text

            found = evaluate(replace(at, unknown=unknown))
            news = [request for request in asked if request not in hopeless]
            if not news:
                return found
            for request in news:
                answer = await self._answer(request)
                if answer is None:
                    hopeless.add(request)
                else:
                    at.answers.keep(request, answer)

    async def _answer(self, request: Request) -> Any:
        """What a reference would give now, or after the deployment; None where nobody knows."""
        if request.kind != "reference":
            return None  # an action is not done for a prediction
        predicted = self.deployed.get(request.id.lower())
        if predicted is not None:
            return predicted
        try:
            client = Client(self.arm, self.caller)
            return (await client.send("GET", request.id, api_version=request.api_version)).body
        except ArmError:
            return None

    async def _nested(self, item: Instance, body: JSON, above: Prepared) -> None:
        try:
            inner = await prepare_nested(self.arm, item, body, above, self.groups)
        except ArmError as error:
            later = _open(member(body.get("properties") or {}, "parameters"))
            self._unsupported(item, _SHORT_CIRCUITED if later else error.message)
            return
        await self.look_into(inner, item.id)
        self.deployed[item.id.lower()] = await self._afterwards(item, inner)

    async def _afterwards(self, item: Instance, inner: Prepared) -> JSON:
        """A nested deployment as others will find it. What cannot be known of its outputs is what
        the last deployment of its name gave, and an expression where there was none."""
        plan = inner.plan
        stored = self.arm.store.get(parse(item.id)) or {}
        last = (stored.get("properties") or {}).get("outputs") or {}
        outputs: JSON = {}
        for name in plan.document.outputs:
            definition = plan.document.definition("output", name)
            try:
                value = await self._known(plan.evaluation, partial(plan.outcome, name))
            except (ExpressionError, NotYetKnown, RecursionError):
                value = None
            if value is None or _open(value):
                later = f"[reference('{item.id}').outputs.{name}.value]"
                value = (last.get(name) or {}).get("value", later)
            outputs[name] = {"type": plan.document.types.name(definition), "value": value}
        return {
            "id": item.id,
            "name": item.name,
            "type": item.type,
            "properties": {"provisioningState": "Succeeded", "outputs": outputs},
        }

    def _unsupported(self, item: Instance, reason: str) -> None:
        change: JSON = {"resourceId": item.id, "deploymentId": self.deployment}
        change |= {"changeType": "Unsupported", "unsupportedReason": reason}
        self.changes.append(change)

    # ---------------------------------------------------------------- resources ----

    async def _resource(self, item: Instance, body: JSON) -> None:
        id = parse(item.id)
        stored = await self._there(id)
        after = {"apiVersion": item.api_version, "id": item.id, "type": item.type}
        after |= {"name": id.name} | _plain(body)
        change: JSON = {
            "resourceId": stored["id"] if stored else item.id,
            "deploymentId": self.deployment,
        }
        if item.symbol is not None:
            change["symbolicName"] = item.symbol
        if stored is None:
            change |= {"changeType": "Create", "after": after}
        elif self.only_ids:
            change |= {"changeType": "Deploy"}
        else:
            before = await self._shown(id)
            predicted, noise = await self._predicted(id, item.api_version, before, body)
            delta = without(differences(before, predicted), noise)
            changed = bool(delta)
            without_effect = ineffective(before, predicted, body, noise)
            delta += [item for item in without_effect if not _open(item.get("after"))]
            change |= {
                "changeType": "Modify" if changed else "NoChange",
                "before": before | {"apiVersion": item.api_version},
                "after": predicted | {"apiVersion": item.api_version},
                "delta": delta,
            }
        if self.only_ids:
            for name in ("before", "after", "delta"):
                change.pop(name, None)
        self.changes.append(change)

    async def _there(self, id: ResourceId) -> JSON | None:
        """What there is; not all of it is in the store: subnets are a part of their network."""
        stored = self.arm.store.get(id)
        if stored is not None or self.arm.kind(id).stored:
            return stored
        try:
            return await self._shown(id)
        except ArmError:
            return None

    async def _shown(self, id: ResourceId) -> JSON:
        reply = await Client(self.arm, self.caller).send("GET", id)
        found: JSON = dict(reply.body)
        found.pop("systemData", None)
        return found

    async def _predicted(
        self, id: ResourceId, version: str, before: JSON, body: JSON
    ) -> tuple[JSON, list[JSON]]:
        """The resource after the deployment, and what would change if nothing were changed."""
        try:
            if not id.namespace or not self.arm.kind(id).stored:
                raise ArmError("NoPreview", "Its provider has no completed form of it.")
            known = _settled(self.arm.store.get(id), body)
            after = await self._preview(id, version, known)
        except ArmError:
            # Values that come later cannot be completed by the service: compare what is said.
            plain = _plain(body)
            if not self.arm.kind(id).stored:
                # A part of another resource is nowhere of its own, whatever is said.
                plain = {
                    key: value for key, value in plain.items() if key not in ("location", "tags")
                }
            return _overlaid(before, plain), []
        unsteady = differences(after, await self._preview(id, version, known))
        after.pop("systemData", None)
        try:
            unchanged = await self._preview(id, version, _input(before))
        except ArmError:
            # What is shown is not enough to write it again: secrets are missing.
            return after, unsteady
        # What is said may be what makes the difference; not where the service says otherwise.
        own = {item["path"].lower() for item in (*unsteady, *differences(unchanged, after))}
        said = {path.lower() for path in _paths("", body)}
        steady = {item["path"].lower() for item in unsteady}
        noise = [
            item
            for item in differences(before, unchanged)
            if item["children"]
            or (path := item["path"].lower()) not in said
            or path not in own
            or path in steady
        ]
        return after, noise

    async def _preview(self, id: ResourceId, version: str, body: JSON) -> JSON:
        call = Call(
            "PUT",
            id,
            self.arm,
            body=copy.deepcopy(body),
            query={"api-version": version},
            claims=self.caller.claims,
            base=self.caller.base,
            correlation=self.caller.correlation,
        )
        return await self.arm.changes.preview(call)

    async def rest(self, prepared: Prepared) -> None:
        """What the group holds beyond the template: ignored, or deleted by the mode Complete."""
        if kind_of(prepared.scope) != "group":
            return
        kept = [change["resourceId"] for change in self.changes]
        kept += prepared.plan.declared()
        for id in beyond(self.arm, prepared.scope, kept):
            kind = "Delete" if prepared.mode == "Complete" else "Ignore"
            change: JSON = {"resourceId": id.text, "changeType": kind}
            if not self.only_ids:
                change["before"] = await self._shown(id)
            self.changes.append(change)


async def what_if(call: Call) -> Answer:
    """Answer `POST …/deployments/{name}/whatIf`."""
    properties = member(call.object(), "properties") or {}
    settings = member(properties, "whatIfSettings") or {}
    form = str(member(settings, "resultFormat", "FullResourcePayloads"))
    if form.lower() not in _FORMATS:
        raise ArmError(
            "InvalidWhatIfSettings",
            f"The resultFormat '{form}' is not valid: FullResourcePayloads and ResourceIdOnly are.",
            target="properties.whatIfSettings.resultFormat",
        )
    caller = Caller.of(call)
    target = call.id.parent or call.id
    body, link = await linked(call.arm, caller, call.body)
    prepared = await prepare(call.arm, target, wanted(body), caller, link=link)
    check_location(call.arm, target, prepared.location)
    prediction = Prediction(call.arm, caller, form.lower() == "resourceidonly")
    await prediction.look_into(prepared, target.text)
    await prediction.rest(prepared)
    changes = sorted(
        prediction.changes,
        key=lambda item: (_ORDER.index(item["changeType"]), item["resourceId"].lower()),
    )
    result: JSON = {
        "status": "Succeeded",
        "properties": {
            "correlationId": call.correlation,
            "changes": _masked(changes, prediction.secrets),
        },
    }
    operation = call.arm.operations.finished(target, result=result, kind="what-if")
    await call.arm.store.write(operations=[operation])
    return Reply(None, 202, call.arm.operations.location(call, target, operation))


def _in_order(prepared: Prepared) -> list[Instance]:
    """What is deployed, each after all that it waits for."""
    waiting = {item.key: item for item, _ in prepared.bodies}
    found: list[Instance] = []
    while waiting:
        ready = [item for item in waiting.values() if not item.depends & waiting.keys()]
        found += ready
        for item in ready:
            del waiting[item.key]
    return found


def _open(value: Any) -> bool:
    """Whether a value has an expression in it that could not be evaluated."""
    if isinstance(value, str):
        return is_expression(value)
    if isinstance(value, dict):
        return any(map(_open, value.values()))
    return isinstance(value, list) and any(map(_open, value))


def _plain(body: JSON) -> JSON:
    return {name: item for name, item in body.items() if item is not None}


def _input(before: JSON) -> JSON:
    return {name: item for name, item in before.items() if name not in ("systemData", "etag")}


def _overlaid(before: Any, said: Any) -> Any:
    """What is there with what is said put over it; values that come later leave what is there."""
    if isinstance(said, str) and is_expression(said) and before is not None:
        return before
    if isinstance(before, dict) and isinstance(said, dict):
        found = dict(before)
        for name, item in said.items():
            key = next((one for one in found if one.lower() == name.lower()), name)
            if item is not None:
                found[key] = _overlaid(found.get(key), item)
        return found
    if isinstance(before, list) and isinstance(said, list) and len(before) == len(said):
        return [_overlaid(left, right) for left, right in zip(before, said, strict=True)]
    return said


def _settled(stored: Any, said: Any) -> Any:
    """What is said, with what is stored in place of values that come later: keys, outputs."""
    if isinstance(said, str) and is_expression(said) and stored is not None:
        return stored
    if isinstance(stored, dict) and isinstance(said, dict):
        return {name: _settled(member(stored, name), item) for name, item in said.items()}
    if isinstance(stored, list) and isinstance(said, list) and len(stored) == len(said):
        return [_settled(left, right) for left, right in zip(stored, said, strict=True)]
    return said


def _paths(path: str, value: Mapping[str, Any]) -> list[str]:
    found = []
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        found.append(where)
        if isinstance(item, dict):
            found += _paths(where, item)
    return found


def _masked(value: Any, secrets: set[str]) -> Any:
    if isinstance(value, str):
        return SECRET if any(secret in value for secret in secrets) else value
    if isinstance(value, dict):
        return {name: _masked(item, secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, secrets) for item in value]
    return value
