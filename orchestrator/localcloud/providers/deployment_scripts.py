"""Microsoft.Resources/deploymentScripts: scripts that templates have run, and read outputs of.

"Deployment Scripts" of the REST reference (2019-10-01-preview to 2023-08-01). A PUT answers while
its script runs; `Azure-AsyncOperation` leads to how that ends. What has not changed since it last
succeeded is not run again. How scripts run is `scripts/`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import uuid
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from orchestrator.localcloud.arm.content import strip_nulls
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, group_id, missing, parse
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
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.durations import read_duration
from orchestrator.localcloud.runtime import process_tree
from orchestrator.localcloud.scripts.model import (
    ALWAYS,
    CLEANUPS,
    CLI,
    KINDS,
    TIMEOUT,
    Ending,
    Failure,
    read_script,
)
from orchestrator.localcloud.scripts.running import ScriptRun, ScriptRuns

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_log = logging.getLogger(__name__)

SCRIPTS = "Microsoft.Resources/deploymentScripts"
_KIND = "deployment script"
_PRIVATE = "run"
"""The member of a stored script that nobody is shown: what was run, and as what."""

TERMINAL = ("Succeeded", "Failed", "Canceled")
_AGAIN = ("Failed", "Canceled")
"""After these a script is run again, though nothing of it has changed (assumed)."""

_READ_ONLY = ("provisioningState", "status", "outputs")
_PATIENCE = 3600.0
"""Seconds for which a script that runs cannot be deleted."""

_MAX_TAIL = 1000


class DeploymentScripts(Provider):
    """Deployment scripts.

    Attributes:
        runs: Runs them; set when processes can be started.
    """

    namespace: ClassVar[str] = "Microsoft.Resources"

    def __init__(self) -> None:
        self.runs: ScriptRuns | None = None
        self._running: dict[str, ScriptRun] = {}
        self._operations: dict[str, asyncio.Future[JSON]] = {}
        self._expiries: dict[str, asyncio.Task[None]] = {}

    def types(self) -> Iterable[ResourceType]:
        """The one type."""
        return [Scripts(self)]

    async def open(self, arm: ResourceManager) -> None:
        """A script that the server's end has interrupted has failed; its processes are ended.

        A deployment that goes on deploys it again, and so runs it again.
        """
        for record in arm.store.records(SCRIPTS):
            resource = record.read()
            if resource["properties"].get("provisioningState", "Succeeded") in TERMINAL:
                continue
            private = resource.get(_PRIVATE, {})
            marks = {str(private.get("name", "")): [str(private.get("mark", ""))]}
            await asyncio.to_thread(process_tree.end_orphans, marks)
            lost = Failure(
                "DeploymentScriptOperationFailed",
                "The local cloud ended while the deployment script ran, and the script with it. "
                "Deploy it again.",
            )
            _end(resource, Ending(failure=lost), arm.clock.time())
            await arm.store.write(put=[(record.id, resource, secrets.token_hex(8))])

    async def resume(self, arm: ResourceManager) -> None:
        """The operations of those have failed; scripts that are over are kept for their time."""
        for operation in arm.operations.unfinished(_KIND):
            id = parse(operation["resource"])
            arm.operations.resume(operation, partial(self._told, arm, id))
        for record in arm.store.records(SCRIPTS):
            self._keep_for_a_while(arm, record.id, record.read())

    async def close(self) -> None:
        """Nothing expires any more; what runs was ended with its operation."""
        for task in self._expiries.values():
            task.cancel()
        await asyncio.gather(*self._expiries.values(), return_exceptions=True)

    # ---------------------------------------------------------------------- runs ----

    async def launch(self, arm: ResourceManager, id: ResourceId) -> JSON:
        """Run a stored script in the background, once; the operation that does."""
        if (known := self._operations.get(id.key)) is not None:
            return await asyncio.shield(known)
        told: asyncio.Future[JSON] = asyncio.get_running_loop().create_future()
        self._operations[id.key] = told
        try:
            operation = await arm.operations.start(id, _KIND, partial(self._work, arm, id))
        except BaseException as error:
            self._operations.pop(id.key, None)
            told.cancel()
            raise error from None
        told.set_result(operation)
        return operation

    async def _work(self, arm: ResourceManager, id: ResourceId) -> None:
        try:
            await self._run(arm, id)
        finally:
            self._running.pop(id.key, None)
            self._operations.pop(id.key, None)
        await self._told(arm, id)

    async def _run(self, arm: ResourceManager, id: ResourceId) -> None:
        await self._note(arm, id, {"provisioningState": "ProvisioningResources"})
        resource = arm.store.get(id)
        if resource is None or self.runs is None:
            return
        # From here on whoever deletes it, and holds the turn, waits for the end of its process:
        # nothing until then may wait for the turn.
        run = self.runs.begin(read_script(resource), str(resource[_PRIVATE]["name"]))
        self._running[id.key] = run
        began = iso(arm.clock.time())

        async def started(mark: str) -> None:
            await self._note(arm, id, {"provisioningState": "Running"}, began=began, mark=mark)

        ending = Ending()
        try:
            ending = await run.run(started)
        except Exception:  # noqa: BLE001 - the last resort: logged, told
            _log.exception("script %s failed inside the local cloud", id)
            ending = Ending(
                failure=Failure(
                    "DeploymentScriptOperationFailed",
                    "The script failed for a reason inside the local cloud; server.log has it.",
                )
            )
        async with arm.changes.turn(id):
            resource = arm.store.get(id)
            if resource is None or resource.get(_PRIVATE, {}).get("name") != run.name:
                return
            resource["properties"]["status"].setdefault("startTime", began)
            resource[_PRIVATE].pop("mark", None)
            _end(resource, ending, arm.clock.time(), canceled=run.halted.is_set())
            await arm.store.write(put=[(id, resource, secrets.token_hex(8))])
        self._keep_for_a_while(arm, id, resource)

    async def _note(
        self,
        arm: ResourceManager,
        id: ResourceId,
        changes: JSON,
        *,
        began: str = "",
        mark: str = "",
    ) -> None:
        async with arm.changes.turn(id):
            resource = arm.store.get(id)
            if resource is None:
                return
            resource["properties"] |= changes
            if mark:
                resource["properties"]["status"]["startTime"] = began
                resource[_PRIVATE]["mark"] = mark
            await arm.store.write(put=[(id, resource, secrets.token_hex(8))])

    async def _told(self, arm: ResourceManager, id: ResourceId) -> None:
        """How a script ended, as its operation has it. Raises ArmError where it failed."""
        resource = arm.store.get(id)
        state = (resource or {}).get("properties", {}).get("provisioningState", "Canceled")
        error = (resource or {}).get("properties", {}).get("status", {}).get("error")
        if state == "Canceled":
            raise ArmError("DeploymentCanceled", f"The script '{id.name}' was canceled.", 409)
        if error is not None:
            raise ArmError(str(error["code"]), str(error["message"]), 409)

    async def stop(self, key: str, *, hurry: bool = False) -> None:
        """End a script that runs, if it does; returns when its process is over."""
        run = self._running.get(key)
        if run is not None:
            await run.stop(hurry=hurry)

    # ------------------------------------------------------------------ retention ----

    def _keep_for_a_while(self, arm: ResourceManager, id: ResourceId, resource: JSON) -> None:
        expires = resource.get(_PRIVATE, {}).get("expires")
        self.forget_expiry(id.key)
        if expires is not None:
            self._expiries[id.key] = asyncio.create_task(
                self._expire(arm, id, float(expires)), name=f"expiry of {id}"
            )

    def forget_expiry(self, key: str) -> None:
        """It does not expire any more."""
        task = self._expiries.pop(key, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _expire(self, arm: ResourceManager, id: ResourceId, when: float) -> None:
        await arm.clock.sleep_until(when)
        resource = arm.store.get(id)
        if resource is None or resource.get(_PRIVATE, {}).get("expires") != when:
            return
        try:
            await arm.changes.delete(Call("DELETE", id, arm))
        except ArmError as error:
            _log.info("script %s is over its time and stays: %s", id, error.message)


class Scripts(ResourceType):
    """A script, with how it ended; what is secret of it is shown to nobody."""

    type: ClassVar[str] = SCRIPTS
    tracked: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False
    shape: ClassVar[Shape] = {
        "kind": str,
        "properties": {
            "scriptContent": str,
            "primaryScriptUri": str,
            "supportingScriptUris": [str],
            "arguments": str,
            "environmentVariables": [{"name": str, "value": str, "secureValue": str}],
            "forceUpdateTag": str,
            "cleanupPreference": str,
            "azCliVersion": str,
            "azPowerShellVersion": str,
            "containerSettings": {"containerGroupName": str},
            "storageAccountSettings": {"storageAccountName": str, "storageAccountKey": str},
        },
    }

    def __init__(self, scripts: DeploymentScripts) -> None:
        self._scripts = scripts

    def methods(self) -> Mapping[str, Handler]:
        """A PUT that has something run leads to its end."""
        return {"PUT": self._put}

    async def _put(self, call: Call) -> Answer:
        arm = call.arm
        reply = await arm.changes.put(call)
        stored = arm.store.get(call.id)
        if stored is None or stored["properties"]["provisioningState"] in TERMINAL:
            return reply
        id = parse(stored["id"])
        operation = await self._scripts.launch(arm, id)
        reply.headers |= arm.operations.async_operation(call, id, operation)
        return Reply(reply.body, reply.status, reply.headers)

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check it, fill in defaults; what is as it was keeps how that ended."""
        if call.method == "PATCH" and old is not None:
            # "Updates deployment script tags with specified values": nothing else.
            kept = {key: value for key, value in old.items() if key not in ("id", "name", "type")}
            return {**kept, "tags": resource.get("tags", {})}
        properties = resource["properties"]
        for name in (*_READ_ONLY, "isSynchronous"):
            properties.pop(name, None)
        resource.pop(_PRIVATE, None)
        _check(resource, call.id.name)
        before = (old or {}).get(_PRIVATE, {})
        salt = before.get("salt") or secrets.token_hex(16)
        mark = _fingerprint(resource, salt)
        state = old["properties"]["provisioningState"] if old else None
        if old is not None and before.get("fingerprint") == mark and state not in _AGAIN:
            kept = {name: value for name, value in old["properties"].items() if name in _READ_ONLY}
            secure = properties if state not in TERMINAL else _without_secrets(properties)
            return {**resource, "properties": {**secure, **kept}, _PRIVATE: before}
        if old is not None and state not in TERMINAL:
            raise ArmError(
                "DeploymentScriptResourceConflict",
                f"The deployment script '{call.id.name}' is being run, and cannot be run with "
                "another content at the same time. Wait until it is over.",
                409,
            )
        group = call.id
        name = f"{call.id.name.lower()}-{uuid.uuid4().hex[:12]}"
        settings = properties.get("containerSettings") or {}
        container = settings.get("containerGroupName") or f"{mark[:13]}azscripts"
        properties["provisioningState"] = "Creating"
        properties["status"] = {
            "containerInstanceId": f"/subscriptions/{group.subscription}/resourceGroups/"
            f"{group.group}/providers/Microsoft.ContainerInstance/containerGroups/{container}",
        }
        return {**resource, _PRIVATE: {"salt": salt, "fingerprint": mark, "name": name}}

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        """What an earlier run has left goes."""
        before = (old or {}).get(_PRIVATE, {}).get("name")
        if before and before != resource[_PRIVATE]["name"]:
            self._remove(str(before))
            self._scripts.forget_expiry(parse(resource["id"]).key)

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its secrets."""
        resource.pop(_PRIVATE, None)
        resource["properties"] = _without_secrets(resource["properties"])
        return resource

    async def deleting(self, call: Call, resource: JSON) -> None:
        """One that runs is not deleted, unless it has for an hour or its group goes."""
        key = parse(resource["id"]).key
        if resource["properties"]["provisioningState"] not in TERMINAL:
            id = parse(resource["id"])
            began = resource["systemData"]["lastModifiedAt"]
            recent = began > iso(call.arm.clock.time() - _PATIENCE)
            if recent and not _group_goes(call.arm, id):
                raise ArmError(
                    "DeploymentScriptResourceConflict",
                    f"The deployment script '{id.name}' is being run; it cannot be deleted before "
                    "it is over, or has run for an hour.",
                    409,
                )
            await self._scripts.stop(key, hurry=True)

    async def deleted(self, call: Call, resource: JSON) -> None:
        """Its log and its files go with it."""
        self._scripts.forget_expiry(parse(resource["id"]).key)
        self._remove(str(resource.get(_PRIVATE, {}).get("name", "")))

    def _remove(self, run: str) -> None:
        if run and self._scripts.runs is not None:
            self._scripts.runs.folder(run).remove()

    async def interrupt(self, id: ResourceId) -> None:
        """Whoever deploys it was canceled: so is it."""
        await self._scripts.stop(id.key)

    def reads(self) -> Mapping[str, Handler]:
        """Its log."""
        return {"logs": self._logs, "logs/default": self._log}

    async def _logs(self, call: Call) -> Answer:
        return [self._log_of(call)]

    async def _log(self, call: Call) -> Answer:
        text = call.query.get("tail")
        if text is None:
            return self._log_of(call)
        if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= _MAX_TAIL:
            raise ArmError(
                "InvalidTail",
                f"The value '{text[:20]}' of 'tail' is not valid: a number from 1 to {_MAX_TAIL} "
                "is.",
                target="tail",
            )
        return self._log_of(call, int(text))

    def _log_of(self, call: Call, tail: int | None = None) -> JSON:
        stored = call.arm.store.get(call.id)
        if stored is None:
            raise missing(call.id)
        run, runs = str(stored.get(_PRIVATE, {}).get("name", "")), self._scripts.runs
        text = runs.folder(run).text(tail) if runs is not None and run else ""
        return {
            "id": f"{stored['id']}/logs/default",
            "name": "default",
            "type": f"{SCRIPTS}/logs",
            "properties": {"log": text},
        }


def _group_goes(arm: ResourceManager, id: ResourceId) -> bool:
    if id.subscription is None or id.group is None:
        return False
    group = arm.store.get(group_id(id.subscription, id.group)) or {}
    return bool(group.get("properties", {}).get("provisioningState") == "Deleting")


def _check(resource: JSON, name: str) -> None:
    """See to it that it can be run; fill in its defaults.

    Raises:
        ArmError: 400; the code is assumed for what the reference only says is needed.
    """

    def refuse(message: str, target: str) -> ArmError:
        return ArmError("DeploymentScriptInvalidOperation", message, target=target)

    properties = resource["properties"]
    kind = KINDS.get(str(resource.get("kind", "")).lower())
    if kind is None:
        raise refuse(
            f"The deployment script '{name}' needs a 'kind': AzureCLI or AzurePowerShell.", "kind"
        )
    resource["kind"] = kind
    version = "azCliVersion" if kind == CLI else "azPowerShellVersion"
    for needed in (version, "retentionInterval"):
        if not properties.get(needed):
            message = f"The deployment script '{name}' needs the property '{needed}'."
            raise refuse(message, f"properties.{needed}")
    if bool(properties.get("scriptContent")) == bool(properties.get("primaryScriptUri")):
        raise refuse(
            f"The deployment script '{name}' needs one of 'scriptContent' and 'primaryScriptUri'.",
            "properties.scriptContent",
        )
    properties.setdefault("timeout", TIMEOUT)
    for duration in ("timeout", "retentionInterval"):
        try:
            if read_duration(properties[duration], duration) <= 0:
                raise ValueError(f"The property '{duration}' must be more than nothing.")
        except ValueError as error:
            raise refuse(str(error), f"properties.{duration}") from None
    cleanup = CLEANUPS.get(str(properties.get("cleanupPreference", ALWAYS)).lower())
    if cleanup is None:
        raise refuse(
            f"The 'cleanupPreference' of '{name}' is not valid: {', '.join(CLEANUPS.values())} "
            "are.",
            "properties.cleanupPreference",
        )
    properties["cleanupPreference"] = cleanup
    for item in properties.get("environmentVariables") or ():
        if not item.get("name"):
            message = f"An environment variable of the deployment script '{name}' has no name."
            raise refuse(message, "properties.environmentVariables")
    if "system" in str((resource.get("identity") or {}).get("type", "")).lower():
        raise refuse(
            f"The deployment script '{name}' can have user-assigned identities only.", "identity"
        )


def _fingerprint(resource: JSON, salt: str) -> str:
    """The same for what need not be run again; tells nothing of the secrets in it."""
    assigned = (resource.get("identity") or {}).get("userAssignedIdentities") or {}
    parts = [resource["kind"], sorted(assigned), resource["properties"]]
    text = json.dumps(strip_nulls({"script": parts}), sort_keys=True)
    return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()


def _without_secrets(properties: JSON) -> JSON:
    found = {**properties}
    if variables := found.get("environmentVariables"):
        found["environmentVariables"] = [
            {key: value for key, value in item.items() if key != "secureValue"}
            for item in variables
        ]
    if settings := found.get("storageAccountSettings"):
        found["storageAccountSettings"] = {
            key: value for key, value in settings.items() if key != "storageAccountKey"
        }
    return found


def _end(resource: JSON, ending: Ending, now: float, *, canceled: bool = False) -> None:
    """Write down how a script ended; its secrets are not needed any more."""
    properties = resource["properties"] = _without_secrets(resource["properties"])
    status = properties["status"]
    expires = now + read_duration(properties["retentionInterval"], "retentionInterval")
    status |= {"endTime": iso(now), "expirationTime": iso(min(expires, 253_402_300_799.0))}
    resource.setdefault(_PRIVATE, {})["expires"] = expires
    if canceled:
        properties["provisioningState"] = "Canceled"
    elif ending.failure is not None:
        properties["provisioningState"] = "Failed"
        failure = {"code": ending.failure.code, "message": ending.failure.message}
        status["error"] = failure
    else:
        properties["provisioningState"] = "Succeeded"
        if ending.outputs is not None:
            properties["outputs"] = ending.outputs
