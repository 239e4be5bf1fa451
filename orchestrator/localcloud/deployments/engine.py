"""Runs one deployment: every resource as soon as what it waits for is there.

A resource that fails stops what waits for it and nothing else, as on Azure. What an expression asks
the cloud for (`reference`, `listKeys`) is fetched when the expression is evaluated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Reply
from orchestrator.localcloud.deployments.calls import Client
from orchestrator.localcloud.deployments.linking import Link, beside
from orchestrator.localcloud.deployments.records import STATUS_WORDS, Ledger, failure, reference_to
from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown, Request
from orchestrator.localcloud.templates.plan import Instance, Plan
from orchestrator.localcloud.templates.types import SPELLING

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_log = logging.getLogger(__name__)
T = TypeVar("T")

AT_ONCE = 32
"""Resources of one deployment that are worked on at the same time."""

MAX_QUESTIONS = 2_000

DONE, FAILED, SKIPPED = "done", "failed", "skipped"


class Engine:
    """One run of one deployment.

    Attributes:
        canceled: Nothing new is begun any more.
        errors: Of the resources that failed.
        link: Where its template is from.
        detail: What operations keep beside their outcome (`records.details`).
        outputs, secure_outputs: Once it has succeeded.
    """

    def __init__(
        self, arm: ResourceManager, deployment: ResourceId, plan: Plan, client: Client
    ) -> None:
        self._deployment = deployment
        self._plan = plan
        self._client = client
        self.ledger = Ledger(arm, deployment)
        self.detail: frozenset[str] = frozenset()
        self.link: Link | None = None
        self.canceled = False
        self.errors: list[ArmError] = []
        self.outputs: JSON = {}
        self.secure_outputs: JSON = {}
        self.made: list[str] = []
        self._arm = arm
        self._under_way: set[str] = set()
        self._tasks: dict[str, asyncio.Task[str]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Deploy everything, then evaluate the outputs.

        Raises:
            ArmError: `DeploymentFailed` with the reasons, or `DeploymentCanceled`.
        """
        wanted = [
            item for item in self._plan.instances.values() if item.condition and not item.existing
        ]
        try:
            for item in wanted:
                self._tasks[item.key] = asyncio.create_task(
                    self._one(item), name=f"deploy {item.id}"
                )
            await asyncio.gather(*self._tasks.values())
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self.errors:
            raise failure(self._deployment, self.errors)
        if self.canceled:
            raise canceled(self._deployment)
        await self._outputs()

    async def cancel(self) -> None:
        """Begin nothing new; end what takes its time and can be ended."""
        self.canceled = True
        for id in [parse(text) for text in self._under_way]:
            await self._arm.kind(id).interrupt(id)

    def nested(self) -> list[Instance]:
        """The deployments inside."""
        return [item for item in self._plan.instances.values() if item.is_deployment]

    # ---------------------------------------------------------------- resources ----

    async def _one(self, item: Instance) -> str:
        await asyncio.sleep(0)
        for key in sorted(item.depends):
            task = self._tasks.get(key)
            # What is not deployed for its condition is waited for by nobody.
            if task is not None and await asyncio.shield(task) != DONE:
                return SKIPPED
        async with self._room:
            if self.canceled:
                return SKIPPED
            return await self._deploy(item)

    async def _deploy(self, item: Instance) -> str:
        before = self.ledger.find(item.id)
        if before is not None and before["properties"]["provisioningState"] == "Succeeded":
            # Deployed by this same deployment before the server's end.
            self.made.append(item.id)
            return DONE
        record = await self.ledger.begin(item.id, "Create", reference_to(item))
        try:
            body = await self._known(item.body, item.id)
            if "requestContent" in self.detail:
                record["properties"]["request"] = {"content": body}
            if item.is_deployment:
                body = beside(body, self.link)
            self._under_way.add(item.id)
            reply = await self._client.finish("PUT", parse(item.id), body, item.api_version)
        except ArmError as error:
            return await self._failed(item, record, error)
        except Exception:  # noqa: BLE001 - the last resort: logged, told
            _log.exception("deploying %s failed", item.id)
            inside = ArmError(
                "InternalServerError",
                "The resource could not be deployed for a reason inside the local cloud; "
                "server.log has it.",
                500,
            )
            return await self._failed(item, record, inside)
        finally:
            self._under_way.discard(item.id)
        if "responseContent" in self.detail and reply.body is not None:
            record["properties"]["response"] = {"content": reply.body}
        await self.ledger.end(record, STATUS_WORDS.get(reply.status, str(reply.status)))
        self.made.append(item.id)
        return DONE

    async def _failed(self, item: Instance, record: JSON, error: ArmError) -> str:
        await self.ledger.end(record, STATUS_WORDS.get(error.status, str(error.status)), error)
        if error.code == "DeploymentCanceled":
            # It did not fail: the whole of it is canceled.
            self.canceled = True
            return FAILED
        shown = ArmError(
            error.code,
            error.message,
            error.status,
            target=error.target if error.target and error.target.startswith("/") else item.id,
            details=error.details,
        )
        self.errors.append(shown)
        return FAILED

    async def _known(self, evaluate: Callable[[], T], where: str) -> T:
        """Evaluate, and ask the cloud for what is missing until nothing is.

        Raises:
            ArmError: An expression cannot be evaluated, or the cloud refuses an answer.
        """
        for _ in range(MAX_QUESTIONS):
            try:
                return evaluate()
            except NotYetKnown as unknown:
                await self._ask(unknown.request)
            except (ExpressionError, RecursionError) as error:
                message = getattr(error, "message", "The expressions are nested too deeply.")
                raise ArmError(
                    "InvalidTemplate",
                    f"Unable to process template language expressions for resource '{where}'. "
                    f"'{message}'",
                ) from None
        raise ArmError("InvalidTemplate", f"The resource '{where}' refers to too many others.")

    async def _ask(self, request: Request) -> None:
        import json

        if request.kind == "reference":
            try:
                reply = await self._client.send("GET", request.id, api_version=request.api_version)
            except ArmError as error:
                if error.status != 404 or not self._plan.may_be_missing(request.id):
                    raise
                reply = Reply(None)
        else:
            reply = await self._client.send(
                "POST",
                f"{request.id}/{request.action}",
                json.loads(request.body) if request.body else None,
                api_version=request.api_version,
            )
        self._plan.inputs.answers.keep(request, reply.body)

    # ------------------------------------------------------------------ outputs ----

    async def _outputs(self) -> None:
        if not self._plan.document.outputs:
            return
        record = await self.ledger.begin("outputs", "EvaluateDeploymentOutput", None)
        errors: list[ArmError] = []
        names: list[str] = []
        for name in self._plan.document.outputs:
            try:
                await self._output(name)
            except ArmError as error:
                names.append(name)
                reason = error.message.partition(f"for resource '{name}'. '")[2].rstrip("'")
                errors.append(
                    ArmError(
                        "DeploymentOutputEvaluationFailed",
                        f"The template output '{name}' is not valid: {reason or error.message}",
                        target=name,
                    )
                )
        if not errors:
            await self.ledger.end(record, "OK")
            return
        whole = ArmError(
            "DeploymentOutputEvaluationFailed",
            f"Unable to evaluate template outputs: '{','.join(names)}'. Please see error details "
            "and deployment operations. Please see https://aka.ms/arm-common-errors for usage "
            "details.",
            details=errors,
        )
        await self.ledger.end(record, "BadRequest", whole)
        raise whole

    async def _output(self, name: str) -> None:
        plan = self._plan
        definition = plan.document.definition("output", name)
        if not await self._known(lambda: plan.wants(definition), name):
            return
        value = await self._known(lambda: plan.output(name, definition), name)
        types = plan.document.types
        shown: JSON = {"type": SPELLING.get(types.name(definition), "Object")}
        if types.is_secure(definition):
            self.secure_outputs[name] = value
        else:
            shown["value"] = value
        self.outputs[name] = shown


def canceled(id: ResourceId) -> ArmError:
    """What a canceled deployment ends with."""
    return ArmError("DeploymentCanceled", f"The deployment '{id.name}' was canceled.", 409)
