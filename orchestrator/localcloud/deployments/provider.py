"""Microsoft.Resources/deployments: requests at resource groups, subscriptions, management groups
and the tenant (ARM REST "Deployments", 2021-04-01 and later).

A PUT is checked whole before it is accepted; then it runs in the background, and its caller follows
`Azure-AsyncOperation`. A deployment that a server's end interrupts goes on at the next start: what
it has deployed stays, the rest follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from orchestrator.localcloud.arm.content import strip_nulls
from orchestrator.localcloud.arm.errors import ArmError, invalid_content, revived
from orchestrator.localcloud.arm.ids import ResourceId, parse
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
from orchestrator.localcloud.deployments import records
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.deployments.engine import Engine
from orchestrator.localcloud.deployments.exporting import export_group
from orchestrator.localcloud.deployments.history import clean, require_room
from orchestrator.localcloud.deployments.kinds import (
    DeploymentType,
    OperationType,
    stored_deployment,
)
from orchestrator.localcloud.deployments.linking import Link, linked
from orchestrator.localcloud.deployments.preparing import Prepared, prepare, validated
from orchestrator.localcloud.deployments.records import PRIVATE, TERMINAL, details, shown
from orchestrator.localcloud.deployments.request import debug_setting, validation_level, wanted
from orchestrator.localcloud.deployments.rollback import earlier, on_error
from orchestrator.localcloud.deployments.scopes import PREFIXES, check_location
from orchestrator.localcloud.deployments.specs import TemplateSpecs, TemplateSpecVersions
from orchestrator.localcloud.deployments.whatif import what_if
from orchestrator.localcloud.durations import write_duration

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_log = logging.getLogger(__name__)

_KIND = "deployment"


class Deployments(Provider):
    """Template deployments."""

    namespace: ClassVar[str] = "Microsoft.Resources"

    def __init__(self) -> None:
        self._runs: dict[str, Engine] = {}

    def types(self) -> Iterable[ResourceType]:
        """Deployments and their operations; the templates that are kept to be deployed."""
        return [DeploymentType(self), OperationType(), TemplateSpecs(), TemplateSpecVersions()]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """What is asked of a deployment that need not exist yet, at each scope."""
        found: dict[tuple[str, str], Handler] = {
            ("POST", f"{PREFIXES[0]}/exportTemplate"): export_group
        }
        for prefix in PREFIXES:
            path = f"{prefix}/providers/{records.DEPLOYMENTS}/{{}}"
            found["PUT", path] = self.put
            found["POST", f"{path}/validate"] = self.validate
            found["POST", f"{path}/whatIf"] = what_if
        return found

    def actions(self) -> Mapping[str, Handler]:
        """`calculateTemplateHash`."""
        return {"calculateTemplateHash": self._hash}

    async def _hash(self, call: Call) -> Answer:
        import json

        if not isinstance(call.body, dict):
            raise invalid_content("The template must be a JSON object.")
        return {
            "minifiedTemplate": json.dumps(call.body, separators=(",", ":"), ensure_ascii=False),
            "templateHash": records.template_hash(call.body),
        }

    # --------------------------------------------------------------------- PUT ----

    async def put(self, call: Call) -> Answer:
        """Check a deployment, keep it, run it."""
        arm = call.arm
        body, link = await linked(arm, Caller.of(call), call.body)
        prepared = await prepare(arm, call.id, wanted(body), Caller.of(call), link=link)
        check_location(arm, call.id, prepared.location)
        await validated(arm, prepared.caller, prepared)
        back = on_error(arm, call.id, body)
        require_room(arm, call.id)
        async with arm.changes.turn(call.id):
            old = arm.store.get(call.id)
            if old is not None and old["properties"]["provisioningState"] not in TERMINAL:
                raise ArmError(
                    "DeploymentActive",
                    f"Unable to edit or replace deployment '{call.id.name}': previous deployment "
                    f"from '{old['properties']['timestamp']}' is still active. Please see "
                    "https://aka.ms/arm-deploy for usage details.",
                    409,
                )
            id = parse(old["id"]) if old is not None else call.id
            record = self._record(id, prepared, call)
            if link is not None:
                record["properties"]["templateLink"] = link.shown
                record[PRIVATE]["link"] = link.stored()
            if (debug := debug_setting(body)) is not None:
                record["properties"]["debugSetting"] = debug
            if back is not None:
                record["properties"]["onErrorDeployment"] = back
            if (level := validation_level(body)) is not None:
                record["properties"]["validationLevel"] = level
            await arm.store.write(
                put=[(id, record, secrets.token_hex(8))],
                delete=[item.id for item in arm.store.inside(id)],
            )
            engine = self._engine(arm, id, prepared)
            engine.detail = details(record)
        await clean(arm, id)
        operation = await arm.operations.start(
            id, _KIND, partial(self._run, arm, id, engine, prepared)
        )
        reply = Reply(shown(record), 201 if old is None else 200)
        reply.headers = arm.operations.async_operation(call, id, operation)
        return reply

    def _record(self, id: ResourceId, prepared: Prepared, call: Call) -> JSON:
        now = call.arm.clock.time()
        properties: JSON = {
            "templateHash": prepared.hash,
            "parameters": prepared.plan.inputs.shown(),
            "mode": prepared.mode,
            "provisioningState": "Accepted",
            "timestamp": iso(now),
            "duration": "PT0S",
            "correlationId": call.correlation,
            "providers": records.providers(prepared.plan),
            "dependencies": records.dependencies(prepared.plan),
        }
        record: JSON = {
            "id": id.text,
            "name": id.name,
            "type": records.DEPLOYMENTS,
            "properties": properties,
            PRIVATE: {
                "template": prepared.plan.document.raw,
                "inputs": prepared.plan.inputs.values(),
                "caller": Caller.of(call).stored(),
                "began": now,
            },
        }
        if prepared.location is not None:
            record["location"] = prepared.location
        if prepared.tags:
            record["tags"] = strip_nulls(prepared.tags)
        return record

    def _engine(self, arm: ResourceManager, id: ResourceId, prepared: Prepared) -> Engine:
        engine = Engine(arm, id, prepared.plan, Client(arm, prepared.caller))
        engine.link = prepared.link
        self._runs[id.key] = engine
        return engine

    async def _run(
        self, arm: ResourceManager, id: ResourceId, engine: Engine, prepared: Prepared
    ) -> None:
        state, error = "Succeeded", None
        try:
            await self._update(arm, id, engine, {"provisioningState": "Running"})
            await engine.run()
            if prepared.mode == "Complete":
                await prepared.complete(arm, engine)
        except ArmError as refusal:
            error = refusal
            state = "Canceled" if refusal.code == "DeploymentCanceled" else "Failed"
        except Exception:  # noqa: BLE001 - the last resort: logged, told
            _log.exception("deployment %s failed", id)
            state, error = "Failed", inside(id)
        finally:
            if self._runs.get(id.key) is engine:
                del self._runs[id.key]
        changes: JSON = {"provisioningState": state}
        if state == "Succeeded":
            changes["outputs"] = engine.outputs
        changes["outputResources"] = [{"id": made} for made in outcome(arm, prepared, engine)]
        if error is not None:
            changes["error"] = error.inner()
        await self._update(arm, id, engine, changes, last=True)
        if error is not None:
            if state == "Failed":
                await self._roll_back(arm, id)
            raise error

    async def _roll_back(self, arm: ResourceManager, id: ResourceId) -> None:
        """Run the deployment again that a failed one names for this, and say how that ended."""
        failed = arm.store.get(id)
        if failed is None or (back := failed["properties"].get("onErrorDeployment")) is None:
            return
        before = earlier(id, back)
        begun = back.get("provisioningState") is not None
        async with arm.changes.turn(before):
            if arm.store.get(id) != failed:  # deployed anew meanwhile: that one decides
                return
            stored = arm.store.get(before)
            state = (stored or {}).get("properties", {}).get("provisioningState")
            if stored is not None and not begun and state == "Succeeded":
                # From here on it is a deployment like any other, after a restart, too.
                self._renew(arm, stored, failed)
                back["provisioningState"] = "Running"
                await arm.store.write(
                    put=[
                        (it, b, secrets.token_hex(8)) for it, b in ((before, stored), (id, failed))
                    ],
                    delete=[item.id for item in arm.store.inside(before)],
                )
        if stored is None or (not begun and state != "Succeeded"):
            outcome = "Failed"
        else:
            if not begun:
                with contextlib.suppress(ArmError):
                    await self._again(arm, before, stored)
            outcome = await ended(arm, before)
        failed = arm.store.get(id)
        if failed is not None and failed["properties"].get("onErrorDeployment") == back:
            failed["properties"]["onErrorDeployment"]["provisioningState"] = outcome
            await arm.store.write(put=[(id, failed, secrets.token_hex(8))])

    def _renew(self, arm: ResourceManager, stored: JSON, failed: JSON) -> None:
        """Make a deployment that has ended one that begins, on behalf of a failed one's caller."""
        now = arm.clock.time()
        properties, private = stored["properties"], stored[PRIVATE]
        for name in ("outputs", "outputResources", "error"):
            properties.pop(name, None)
        properties |= {
            "mode": "Complete",
            "provisioningState": "Accepted",
            "timestamp": iso(now),
            "duration": "PT0S",
            "correlationId": failed["properties"]["correlationId"],
        }
        private |= {"caller": failed[PRIVATE]["caller"], "began": now}
        private.pop("secureOutputs", None)

    async def _update(
        self,
        arm: ResourceManager,
        id: ResourceId,
        engine: Engine,
        changes: JSON,
        *,
        last: bool = False,
    ) -> None:
        record = arm.store.get(id)
        if record is None or not engine.ledger.open:
            return
        now = arm.clock.time()
        record["properties"] |= changes
        record["properties"]["timestamp"] = iso(now)
        record["properties"]["duration"] = write_duration(now - record[PRIVATE]["began"])
        if last:
            # Secret parameters are kept while the deployment may have to go on or be run again.
            if changes["provisioningState"] != "Succeeded" or id.group is None:
                record[PRIVATE].pop("inputs", None)
                record[PRIVATE].pop("link", None)
            if engine.secure_outputs:
                record[PRIVATE]["secureOutputs"] = engine.secure_outputs
        await arm.store.write(put=[(id, record, secrets.token_hex(8))])

    # ------------------------------------------------------------------- others ----

    async def validate(self, call: Call) -> Answer:
        """What a PUT would check, and what it would deploy; nothing is kept."""
        body, link = await linked(call.arm, Caller.of(call), call.body)
        prepared = await prepare(call.arm, call.id, wanted(body), Caller.of(call), link=link)
        debug_setting(body)
        check_location(call.arm, call.id, prepared.location)
        plan = prepared.plan
        ids = await validated(call.arm, prepared.caller, prepared)
        back = on_error(call.arm, call.id.parent or call.id, body)
        properties: JSON = {
            "templateHash": prepared.hash,
            "parameters": plan.inputs.shown(),
            "mode": prepared.mode,
            "provisioningState": "Succeeded",
            "timestamp": iso(call.arm.clock.time()),
            "duration": "PT0S",
            "correlationId": call.correlation,
            "providers": records.providers(plan),
            "dependencies": records.dependencies(plan),
            "validatedResources": [{"id": id} for id in ids],
        }
        if link is not None:
            properties["templateLink"] = link.shown
        if back is not None:
            properties["onErrorDeployment"] = back
        if (level := validation_level(body)) is not None:
            properties["validationLevel"] = level
        return {
            "id": call.id.parent.text if call.id.parent else call.id.text,
            "name": call.id.names[0],
            "type": records.DEPLOYMENTS,
            "properties": properties,
        }

    async def cancel(self, call: Call) -> Answer:
        """Begin nothing new; what is under way ends."""
        record = stored_deployment(call)
        state = record["properties"]["provisioningState"]
        engine = self._runs.get(call.id.key)
        if state in TERMINAL or engine is None:
            raise ArmError(
                "DeploymentCannotBeCancelled",
                f"The deployment '{call.id.name}' cannot be cancelled because its provisioning "
                f"state is '{state}'.",
                409,
            )
        nested = {made.id.lower() for made in engine.nested()}
        for run in [engine, *(run for key, run in self._runs.items() if key in nested)]:
            await run.cancel()
        return Reply(None, 204)

    def abandon(self, id: ResourceId) -> None:
        """Its record goes: stop, and write no more."""
        engine = self._runs.get(id.key)
        if engine is not None:
            engine.canceled = True
            engine.ledger.open = False

    async def resume(self, arm: ResourceManager) -> None:
        """Go on with the deployments that a server's end has interrupted."""
        pending = {parse(item["resource"]).key: item for item in arm.operations.unfinished(_KIND)}
        for stored in arm.store.of_type(records.DEPLOYMENTS):
            id = parse(stored["id"])
            if stored["properties"]["provisioningState"] in TERMINAL:
                if id.key in pending:
                    work = partial(self._over, arm, id, stored)
                    arm.operations.resume(pending.pop(id.key), work)
                continue
            operation = pending.pop(id.key, None) or arm.operations.finished(id, kind=_KIND)
            operation |= {"status": "InProgress"}
            arm.operations.resume(operation, partial(self._again, arm, id, stored))

    async def _over(self, arm: ResourceManager, id: ResourceId, stored: JSON) -> None:
        """A deployment that had ended when the server did; its way back may not have."""
        if stored["properties"]["provisioningState"] == "Failed":
            await self._roll_back(arm, id)
        if "error" in stored["properties"]:
            raise revived(stored["properties"]["error"])

    async def _again(self, arm: ResourceManager, id: ResourceId, stored: JSON) -> None:
        private = stored[PRIVATE]
        properties = {
            "template": private["template"],
            "parameters": {name: {"value": value} for name, value in _inputs(stored).items()},
            "mode": stored["properties"]["mode"],
        }
        # An older version has kept a location for deployments to a group, too.
        location = stored.get("location") if id.group is None else None
        body = {"properties": properties, "location": location}
        caller = Caller.read(private["caller"])
        link = Link(**private["link"]) if "link" in private else None
        try:
            prepared = await prepare(arm, id, wanted(body), caller, link=link)
        except ArmError as refusal:
            # What it was to be deployed to has changed meanwhile.
            stored["properties"] |= {"provisioningState": "Failed", "error": refusal.inner()}
            stored["properties"]["timestamp"] = iso(arm.clock.time())
            private.pop("inputs", None)
            private.pop("link", None)
            await arm.store.write(put=[(id, stored, secrets.token_hex(8))])
            raise
        engine = self._engine(arm, id, prepared)
        engine.detail = details(stored)
        await self._run(arm, id, engine, prepared)


def _inputs(stored: JSON) -> JSON:
    """What a stored deployment was given; an older version kept of it only what is shown."""
    parameters = stored["properties"].get("parameters", {})
    told = {name: item["value"] for name, item in parameters.items() if "value" in item}
    found: JSON = stored[PRIVATE].get("inputs", told)
    return found


async def ended(arm: ResourceManager, id: ResourceId) -> str:
    """Wait for a deployment; how it ended, "Failed" where it is gone."""
    while True:
        found = arm.store.get(id)
        state = found["properties"]["provisioningState"] if found else "Failed"
        if state in TERMINAL:
            return str(state)
        await asyncio.sleep(0.05)


def inside(id: ResourceId) -> ArmError:
    """What is told of a mistake of the local cloud itself."""
    return ArmError(
        "InternalServerError",
        f"The deployment '{id.name}' failed for a reason inside the local cloud; server.log has "
        "it.",
        500,
        target=id.text,
    )


def outcome(arm: ResourceManager, prepared: Prepared, engine: Engine) -> list[str]:
    """The resources that a deployment and those nested in it have made, in the template's order."""
    made = set(engine.made)
    found: list[str] = []
    for item in prepared.plan.instances.values():
        if item.id not in made:
            continue
        if not item.is_deployment:
            found.append(item.id)
            continue
        inner = arm.store.get(item.id) or {}
        resources = inner.get("properties", {}).get("outputResources", [])
        found.extend(entry["id"] for entry in resources)
    return list(dict.fromkeys(found))
