"""Microsoft.Resources/deploymentStacks: a template's resources as one thing that can be deleted
(ARM REST "Deployment Stacks", 2024-03-01 and later).

A stack deploys its template by a deployment of its own. What an earlier version of the template
had made and the present one does not is deleted or detached, as `actionOnUnmanage` says; deleting
the stack does the same with all of it. What its deny settings keep from others is
`arm/denials.py`.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.localcloud.arm.access import unauthorized
from orchestrator.localcloud.arm.denials import MODES, STACKS, mode_of
from orchestrator.localcloud.arm.errors import ArmError, invalid_content
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from orchestrator.localcloud.arm.shapes import Shape, check_shape
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.deployments.complete import remove
from orchestrator.localcloud.deployments.linking import linked
from orchestrator.localcloud.deployments.preparing import prepare, validated
from orchestrator.localcloud.deployments.provider import ended, inside
from orchestrator.localcloud.deployments.records import (
    DEPLOYMENTS,
    PRIVATE,
    shown,
)
from orchestrator.localcloud.deployments.request import parse_body, wanted
from orchestrator.localcloud.deployments.scopes import PREFIXES
from orchestrator.localcloud.durations import write_duration
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_log = logging.getLogger(__name__)

MANAGE_DENY = f"{STACKS}/manageDenySetting/action"
_DEPLOY, _DELETE = "deployment stack", "delete deployment stack"
_ENDED = ("succeeded", "failed", "canceled")
_DENY_SHAPE: Shape = {"excludedPrincipals": [str], "excludedActions": [str]}
_SCOPE = re.compile(
    r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?"
    r"|/providers/Microsoft\.Management/managementGroups/[^/]+",
    re.IGNORECASE,
)
_KEPT = ("description", "denySettings", "debugSetting", "deploymentScope", "tags")


class StackType(ResourceType):
    """A stack: kept, shown, listed; made and deleted by `DeploymentStacks`."""

    type: ClassVar[str] = STACKS
    provisioning: ClassVar[bool] = False

    def parse(self, raw: bytes) -> Any:
        """`az` may send a template file as it is."""
        return parse_body(raw)

    async def get(self, call: Call) -> JSON | None:
        """The stack. Raises ArmError in the words of stacks where there is none."""
        await call.arm.require_scope(call.id)
        found = call.arm.store.get(call.id)
        if found is None:
            raise ArmError(
                "DeploymentStackNotFound",
                f"The deployment stack '{call.id.name}' could not be found.",
                404,
            )
        return found

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without what only the engine needs."""
        return shown(resource)

    async def members(self, call: Call) -> Iterable[JSON]:
        """The stacks at exactly this scope."""
        own = call.id.key + "/"
        return [
            record.read()
            for record in call.arm.store.records(self.type)
            if record.id.key.startswith(own) and "/" not in record.id.key[len(own) :]
        ]

    def actions(self) -> Mapping[str, Handler]:
        """The template it was made from."""
        return {"exportTemplate": self._export}

    async def _export(self, call: Call) -> Answer:
        stack = call.arm.store.get(call.id)
        if stack is None:
            raise missing(call.id)
        template: JSON = stack[PRIVATE]["properties"]["template"]
        return {"template": template}


class DeploymentStacks(Provider):
    """Deployment stacks."""

    namespace: ClassVar[str] = "Microsoft.Resources"

    def types(self) -> Iterable[ResourceType]:
        """Stacks."""
        return [StackType()]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Making, checking and deleting, at each scope."""
        found: dict[tuple[str, str], Handler] = {}
        for prefix in PREFIXES:
            path = f"{prefix}/providers/{STACKS}/{{}}"
            found["PUT", path] = self.put
            found["DELETE", path] = self.delete
            found["POST", f"{path}/validate"] = self.validate
        return found

    # --------------------------------------------------------------------- PUT ----

    async def put(self, call: Call) -> Answer:
        """Check a stack, keep it, deploy it."""
        arm = call.arm
        call.body, link = await linked(call.arm, Caller.of(call), call.object())
        properties = _properties(call)
        unmanage = _unmanage(member(properties, "actionOnUnmanage"))
        _deny(member(properties, "denySettings"))
        _may_deny(call, {"properties": properties})
        deployment = await self._check(call, properties)
        async with arm.changes.turn(call.id):
            old = arm.store.get(call.id)
            if old is not None and old["properties"]["provisioningState"] not in _ENDED:
                raise ArmError(
                    "DeploymentStackInNonTerminalState",
                    f"The deployment stack '{call.id.name}' is in the state "
                    f"'{old['properties']['provisioningState']}'; it can be changed when that has "
                    "ended.",
                    409,
                )
            id = parse(old["id"]) if old else call.id
            now = arm.clock.time()
            record: JSON = {
                "id": id.text,
                "name": id.name,
                "type": STACKS,
                "systemData": {"createdAt": iso(now), "lastModifiedAt": iso(now)},
                "properties": {
                    **{k: properties[k] for k in _KEPT if properties.get(k) is not None},
                    "actionOnUnmanage": unmanage,
                    "provisioningState": "deploying",
                    "correlationId": call.correlation,
                    "deploymentId": deployment.text,
                    "resources": old["properties"].get("resources", []) if old else [],
                    "detachedResources": [],
                    "deletedResources": [],
                    "failedResources": [],
                },
                PRIVATE: {
                    "properties": properties,
                    "location": call.object().get("location"),
                    "caller": Caller.of(call).stored(),
                    "began": now,
                },
            }
            if link is not None:
                record["properties"]["templateLink"] = link.shown
            for name in ("location", "tags"):
                if call.object().get(name):
                    record[name] = call.object()[name]
            if old is not None:
                record["systemData"]["createdAt"] = old["systemData"]["createdAt"]
            await arm.store.write(put=[(id, record, secrets.token_hex(8))])
        operation = await arm.operations.start(id, _DEPLOY, partial(self._deploy, arm, id))
        reply = Reply(shown(record), 201 if old is None else 200)
        reply.headers = arm.operations.async_operation(call, id, operation)
        return reply

    async def _check(self, call: Call, properties: JSON) -> ResourceId:
        """The id of the stack's deployment, once its template is found to be valid."""
        scope = member(properties, "deploymentScope") or call.id.scope
        mark = f"{call.id.name[:40]}-{secrets.token_hex(5)}"
        target = parse(f"{scope}/providers/{DEPLOYMENTS}/{mark}")
        await prepare(
            call.arm,
            target,
            wanted(_body(target.text, call.object().get("location"), properties)),
            Caller.of(call),
        )
        return target

    async def _deploy(self, arm: ResourceManager, id: ResourceId) -> None:
        stack = arm.store.get(id)
        if stack is None:
            return
        private, properties = stack[PRIVATE], stack["properties"]
        client = _client(arm, id, stack)
        before = [item["id"] for item in properties["resources"]]
        error: ArmError | None = None
        try:
            # After a restart it goes on by itself.
            await ended(arm, parse(properties["deploymentId"]))
            body = _body(properties["deploymentId"], private.get("location"), private["properties"])
            await client.finish("PUT", parse(properties["deploymentId"]), body, "2025-04-01")
        except ArmError as refusal:
            error = refusal
        except Exception:  # noqa: BLE001 - the last resort: logged, told
            _log.exception("deployment stack %s failed", id)
            error = inside(id)
        deployed = (arm.store.get(properties["deploymentId"]) or {}).get("properties", {})
        made = [item["id"] for item in deployed.get("outputResources", [])]
        known = {item.lower() for item in made}
        gone = [item for item in before if item.lower() not in known]
        changes: JSON = {"parameters": deployed.get("parameters", {})}
        if error is None:
            left = await self._release(client, gone, properties["actionOnUnmanage"])
            changes |= left
            changes["outputs"] = deployed.get("outputs", {})
            if left["failedResources"]:
                error = _not_deleted(id, left["failedResources"])
            made += [item["id"] for item in left["failedResources"]]
        else:
            # What was there before is still the stack's.
            made += gone
            changes["failedResources"] = [
                {"id": str(item.target), "error": item.inner()}
                for item in error.details
                if item.target
            ]
        changes["resources"] = [
            {"id": item, "status": "managed", "denyStatus": mode_of(stack)} for item in made
        ]
        await self._end(arm, id, changes, error)

    async def _release(self, client: Client, ids: list[str], unmanage: JSON) -> JSON:
        """Delete or detach what is no longer the stack's."""
        deleted: list[ResourceId] = []
        detached: list[ResourceId] = []
        for text in ids:
            id = parse(text)
            group = id.namespace is None
            action = unmanage["resourceGroups" if group else "resources"]
            (deleted if action == "delete" else detached).append(id)
        # What lies inside first, groups last; later ones may use earlier ones.
        deleted.reverse()
        ordered = sorted(deleted, key=lambda id: (id.namespace is None, -len(id.names)))
        refused = await remove(client, ordered)
        failed = {id.key: error for id, error in refused}
        return {
            "deletedResources": [{"id": id.text} for id in deleted if id.key not in failed],
            "detachedResources": [{"id": id.text} for id in detached],
            "failedResources": [{"id": id.text, "error": error.inner()} for id, error in refused],
        }

    async def _end(
        self, arm: ResourceManager, id: ResourceId, changes: JSON, error: ArmError | None
    ) -> None:
        stack = arm.store.get(id)
        if stack is not None:
            state = "succeeded" if error is None else "failed"
            stack["properties"] |= changes | {"provisioningState": state}
            if error is not None:
                stack["properties"]["error"] = error.inner()
            seconds = arm.clock.time() - stack[PRIVATE]["began"]
            stack["properties"]["duration"] = write_duration(seconds)
            # Values of parameters are kept only while they may be needed again.
            stack[PRIVATE]["properties"].pop("parameters", None)
            await arm.store.write(put=[(id, stack, secrets.token_hex(8))])
        if error is not None:
            raise error

    # ------------------------------------------------------------------- others ----

    async def validate(self, call: Call) -> Answer:
        """What a PUT would check."""
        call.body, link = await linked(call.arm, Caller.of(call), call.object())
        properties = _properties(call)
        unmanage = _unmanage(member(properties, "actionOnUnmanage"))
        target = call.id.parent or call.id
        _deny(member(properties, "denySettings"))
        _may_deny(replace(call, id=target), {"properties": properties})
        scope = member(properties, "deploymentScope") or target.scope
        deployment = parse(f"{scope}/providers/{DEPLOYMENTS}/{target.names[0][:64]}")
        prepared = await prepare(
            call.arm,
            deployment,
            wanted(_body(deployment.text, call.object().get("location"), properties)),
            Caller.of(call),
        )
        ids = await validated(call.arm, prepared.caller, prepared)
        return {
            "id": target.text,
            "name": target.names[0],
            "type": STACKS,
            "properties": {
                "actionOnUnmanage": unmanage,
                "correlationId": call.correlation,
                "denySettings": member(properties, "denySettings") or {"mode": "none"},
                "parameters": prepared.plan.inputs.shown(),
                "validatedResources": [{"id": item} for item in ids],
                **({} if link is None else {"templateLink": link.shown}),
            },
        }

    async def delete(self, call: Call) -> Answer:
        """Delete a stack, and what it manages if that is asked for."""
        arm = call.arm
        _may_deny(call)
        async with arm.changes.turn(call.id):
            stack = arm.store.get(call.id)
            if stack is None:
                await arm.require_scope(call.id)
                return Reply(None, 204)
            if stack["properties"]["provisioningState"] not in (*_ENDED, "deleting"):
                raise ArmError(
                    "DeploymentStackInNonTerminalState",
                    f"The deployment stack '{call.id.name}' is being deployed; delete it when that "
                    "has ended.",
                    409,
                )
            id = parse(stack["id"])
            asked = {
                name: call.query.get(f"unmanageaction.{name.lower()}", "detach")
                for name in ("resources", "resourceGroups", "managementGroups")
            }
            stack["properties"]["actionOnUnmanage"] = _unmanage(asked)
            stack["properties"]["provisioningState"] = "deleting"
            stack[PRIVATE]["caller"] = Caller.of(call).stored()
            stack[PRIVATE]["began"] = arm.clock.time()
            await arm.store.write(put=[(id, stack, secrets.token_hex(8))])
        operation = await arm.operations.start(id, _DELETE, partial(self._delete, arm, id))
        return Reply(None, 202, arm.operations.location(call, id, operation))

    async def _delete(self, arm: ResourceManager, id: ResourceId) -> None:
        stack = arm.store.get(id)
        if stack is None:
            return
        properties = stack["properties"]
        client = _client(arm, id, stack)
        ids = [item["id"] for item in properties["resources"]]
        left = await self._release(client, ids, properties["actionOnUnmanage"])
        if left["failedResources"]:
            kept = [item["id"] for item in left["failedResources"]]
            left["resources"] = [
                {"id": item, "status": "deleteFailed", "denyStatus": mode_of(stack)}
                for item in kept
            ]
            await self._end(arm, id, left, _not_deleted(id, left["failedResources"]))
            return
        await arm.store.write(delete=[item.id for item in arm.store.inside(id)] + [id])

    async def resume(self, arm: ResourceManager) -> None:
        """Go on with what a server's end has interrupted."""
        for kind, work in ((_DEPLOY, self._deploy), (_DELETE, self._delete)):
            for operation in arm.operations.unfinished(kind):
                id = parse(operation["resource"])
                arm.operations.resume(operation, partial(work, arm, id))


def _client(arm: ResourceManager, id: ResourceId, stack: JSON) -> Client:
    """Who asked for the stack, in its name."""
    return Client(arm, replace(Caller.read(stack[PRIVATE]["caller"]), stack=id.key))


def _properties(call: Call) -> JSON:
    id = call.id.parent or call.id
    if id.group is not None and call.object().get("location"):
        raise ArmError(
            "InvalidDeployment",
            f"The 'location' property is not allowed for '{id.names[0]}' at resource group scope. "
            "Please see https://aka.ms/deploy-to-subscription for usage details.",
        )
    properties = member(call.object(), "properties")
    if not isinstance(properties, dict):
        raise invalid_content("A deployment stack needs 'properties'.", target="properties")
    scope = member(properties, "deploymentScope")
    if scope is not None and not (isinstance(scope, str) and _SCOPE.fullmatch(scope)):
        raise ArmError(
            "InvalidDeploymentStackScope",
            f"The deploymentScope '{scope}' is not the id of a resource group, a subscription or a "
            "management group.",
            target="properties.deploymentScope",
        )
    # Nulls inside the template mean something.
    return {name: item for name, item in properties.items() if item is not None}


def _body(target: str, location: Any, properties: JSON) -> JSON:
    """The request of the stack's deployment; one to a group has no location of its own."""
    names = ("template", "templateLink", "parameters", "parametersLink", "externalInputs")
    body: JSON = {"properties": {k: properties[k] for k in names if properties.get(k)}}
    body["properties"]["mode"] = "Incremental"
    if location and parse(target).group is None:
        body["location"] = location
    return body


def _unmanage(value: Any) -> JSON:
    if not isinstance(value, dict) or not isinstance(member(value, "resources"), str):
        raise ArmError(
            "InvalidRequestContent",
            "'actionOnUnmanage.resources' is missing: it says what happens to resources that the "
            "stack no longer has, 'delete' or 'detach'.",
            target="properties.actionOnUnmanage",
        )
    found: JSON = {}
    for name in ("resources", "resourceGroups", "managementGroups"):
        action = str(member(value, name) or "detach").lower()
        if action not in ("delete", "detach"):
            raise ArmError(
                "InvalidRequestContent",
                f"'actionOnUnmanage.{name}' must be 'delete' or 'detach', not '{action}'.",
                target=f"properties.actionOnUnmanage.{name}",
            )
        found[name] = action
    return found


def _deny(value: Any) -> None:
    mode = member(value, "mode") if isinstance(value, dict) else None
    check_shape(value if isinstance(value, dict) else {}, _DENY_SHAPE, "properties.denySettings")
    if not isinstance(mode, str) or mode.lower() not in MODES:
        raise ArmError(
            "InvalidRequestContent",
            "'denySettings.mode' must be 'none', 'denyDelete' or 'denyWriteAndDelete'.",
            target="properties.denySettings",
        )


def _may_deny(call: Call, wanted: JSON | None = None) -> None:
    """Who makes, changes or deletes a stack that denies something needs a right of its own.

    Raises:
        ArmError: 403 `AuthorizationFailed`.
    """
    access, old = call.arm.access, call.arm.store.get(call.id)
    denying = any(stack and mode_of(stack) != "none" for stack in (wanted, old))
    who = str(call.claims.get("oid", ""))
    if access is None or not denying or access.allows(who, MANAGE_DENY, call.id.text):
        return
    raise unauthorized(call, MANAGE_DENY, call.id.text)


def _not_deleted(id: ResourceId, failed: list[JSON]) -> ArmError:
    return ArmError(
        "DeploymentStackDeleteResourcesFailed",
        f"One or more resources of the deployment stack '{id.name}' could not be deleted.",
        409,
        target=id.text,
        details=[
            ArmError(item["error"]["code"], item["error"]["message"], target=item["id"])
            for item in failed
        ],
    )
