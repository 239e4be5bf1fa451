"""From a request to a checked plan: everything that can be known to be wrong is found here."""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm import linked_access
from orchestrator.localcloud.arm.access import operation
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call
from orchestrator.localcloud.deployments import records
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.deployments.complete import remove_the_rest
from orchestrator.localcloud.deployments.linking import Link, beside, linked
from orchestrator.localcloud.deployments.records import STATUS_WORDS
from orchestrator.localcloud.deployments.request import PROVIDER, TEMPLATE, Wanted, wanted
from orchestrator.localcloud.deployments.rollback import only_at_the_root
from orchestrator.localcloud.deployments.scopes import (
    check_schema,
    environment_of,
    kind_of,
    scope_of,
)
from orchestrator.localcloud.templates.environment import Scope
from orchestrator.localcloud.templates.graph import connect
from orchestrator.localcloud.templates.placing import GROUP
from orchestrator.localcloud.templates.plan import Instance, Plan

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager
    from orchestrator.localcloud.deployments.engine import Engine

MAX_RESOURCES = 800
_NAME = re.compile(r"[-\w._()]{1,64}")


@dataclass(slots=True)
class Prepared:
    """A deployment that can be run.

    Attributes:
        name: What it is called.
        plan: What it deploys.
        bodies: Each resource to deploy, with its body as far as it is known.
        open: The keys of those whose bodies hold what only the running cloud can tell.
        link: Where the template is from; None: it was sent.
    """

    name: str
    plan: Plan
    scope: Scope
    mode: str
    location: str | None
    tags: JSON
    hash: str
    caller: Caller
    level: str
    bodies: list[tuple[Instance, Any]] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    link: Link | None = None

    async def complete(self, arm: ResourceManager, engine: Engine) -> None:
        """Delete from the group what the template does not have. Raises ArmError."""
        from orchestrator.localcloud.deployments.provider import outcome

        kept = [*outcome(arm, self, engine), *self.plan.declared()]
        await remove_the_rest(arm, Client(arm, self.caller), self.scope, kept)


async def validated(arm: ResourceManager, caller: Caller, prepared: Prepared) -> list[str]:
    """The ids of all that a deployment and those nested in it deploy, each of them checked, as
    Resource Manager does before it begins ("preflight").

    Raises:
        ArmError: A nested template is not valid, the caller may not deploy a resource, or a
            provider would refuse one; all that is wrong is told at once.
    """
    errors: list[ArmError] = []
    found = await _looked_over(arm, caller, prepared, errors)
    roles, providers = prepared.level == PROVIDER, prepared.level != TEMPLATE
    if roles:
        _permitted(arm, caller, [item for item, _, _ in found])
    made = [(item.id.lower(), f"'{item.name.split('/')[-1]}'".lower()) for item, _, _ in found]
    for item, body, ready in found:
        try:
            if providers:
                _typed(arm, prepared.name, item)
            if roles:
                _linked(arm, caller, prepared.name, item, body)
            if ready and providers:
                await _accepted(arm, caller, prepared.name, item, body)
        except ArmError as error:
            errors.append(error)
    # What misses something of this same deployment may find it there by then.
    errors = [error for error in errors if not _speaks_of(error, made)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        words = ",".join(STATUS_WORDS.get(error.status, str(error.status)) for error in errors)
        raise ArmError(
            "MultipleErrorsOccurred",
            f"Multiple error occurred: {words}. Please see details.",
            details=errors,
        )
    return [item.id for item, _, _ in found]


def _speaks_of(error: ArmError, made: Sequence[tuple[str, str]]) -> bool:
    """Whether what a resource is refused for names another one of `made` (ids and quoted names)."""
    if any(inner.code == linked_access.LINKED for inner in error.details):
        return False  # a right is lacking, whether that is there or not
    own = (error.target or "").lower()
    told = " ".join(inner.message for inner in error.details).lower()
    return any(id in told or name in told for id, name in made if id != own)


_Found = tuple[Instance, Any, bool]
"""What is deployed, its body, and whether that can be checked now."""


async def _looked_over(
    arm: ResourceManager,
    caller: Caller,
    prepared: Prepared,
    errors: list[ArmError],
    *,
    known: bool = True,
) -> list[_Found]:
    """known: whether all that this deployment was given is known; what is not is an expression."""
    groups = {
        item.id.lower(): str(body.get("location", ""))
        for item, body in prepared.bodies
        if item.type.lower() == GROUP
    }
    found: list[_Found] = []
    for item, body in prepared.bodies:
        if not known and not item.is_located:
            continue
        closed = known and item.key not in prepared.open
        if not item.is_deployment:
            found.append((item, body, closed and not item.depends))
            continue
        try:
            only_at_the_root(body)
            inner = await prepare_nested(arm, item, body, prepared, groups)
        except ArmError as error:
            if closed:  # else: checked once the values are known
                errors.append(_not_valid(item.name, item.id, error))
            continue
        found += await _looked_over(arm, caller, inner, errors, known=closed)
    return found


def _permitted(arm: ResourceManager, caller: Caller, items: Sequence[Instance]) -> None:
    """See to it that the caller has a role to write each of them.

    Raises:
        ArmError: 400 InvalidTemplateDeployment, naming them.
    """
    if arm.access is None:
        return
    who = str(caller.claims.get("oid", ""))
    refused = []
    for item in items:
        action, scope = operation("PUT", parse(item.id))
        if not arm.access.allows(who, action, scope.text):
            refused.append(
                f"Authorization failed for template resource '{item.name}' of type '{item.type}'. "
                f"The client '{caller.claims.get('appid') or who}' with object id '{who}' does not "
                f"have permission to perform action '{action}' at scope '{scope.text}'."
            )
    if refused:
        many = "Deployment failed with multiple errors" if len(refused) > 1 else None
        raise ArmError(
            "InvalidTemplateDeployment",
            f"{many or 'The template deployment failed with error'}: '{':'.join(refused)}'.",
        )


def _typed(arm: ResourceManager, deployment: str, item: Instance) -> None:
    """See to it that Azure has such a type. Raises ArmError (400 InvalidTemplateDeployment)."""
    try:
        arm.require_type(parse(item.id), item.api_version)
    except ArmError as error:
        raise _not_valid(deployment, item.id, error) from None


def _linked(
    arm: ResourceManager, caller: Caller, deployment: str, item: Instance, body: JSON
) -> None:
    """See to it that the caller may use what a resource refers to, as far as that is known.

    Raises:
        ArmError: 400 InvalidTemplateDeployment with `LinkedAuthorizationFailed`.
    """
    if arm.access is None:
        return
    try:
        linked_access.check(arm.access, _call(arm, caller, item, body))
    except ArmError as error:
        raise _not_valid(deployment, item.id, error) from None


def _call(arm: ResourceManager, caller: Caller, item: Instance, body: JSON) -> Call:
    """The PUT of a resource, as the caller would send it."""
    return Call(
        "PUT",
        parse(item.id),
        arm,
        body=copy.deepcopy(body),
        query={"api-version": item.api_version},
        claims=caller.claims,
        base=caller.base,
        correlation=caller.correlation,
    )


async def _accepted(
    arm: ResourceManager, caller: Caller, deployment: str, item: Instance, body: JSON
) -> None:
    """Ask a resource's provider whether it would take it; it waits for nothing that is missing.

    Raises:
        ArmError: It would not.
    """
    id = parse(item.id)
    if id.namespace is None or (id.parent is not None and id.parent not in arm.store):
        return
    try:
        await arm.changes.preview(_call(arm, caller, item, body))
    except ArmError as error:
        if error.status == 400:
            raise _not_valid(deployment, item.id, error) from None


def _not_valid(name: str, id: str, error: ArmError) -> ArmError:
    return ArmError(
        "InvalidTemplateDeployment",
        f"The template deployment '{name}' is not valid according to the validation procedure. "
        f"The tracking id is '{uuid.uuid4()}'. See inner errors for details.",
        target=id,
        details=[error],
    )


def _check_request(arm: ResourceManager, name: str, kind: str, request: Wanted) -> None:
    """Raises ArmError for a name, a location or a mode that a deployment there may not have."""
    if not _NAME.fullmatch(name):
        raise ArmError(
            "InvalidDeploymentName",
            f"The deployment name '{name}' is not valid: at most 64 letters, digits and '-', '_', "
            "'.', '(', ')' are allowed.",
        )
    if (kind == "group") == bool(request.location):
        refused = "is not allowed" if request.location else "must be specified"
        where = " at resource group scope" if request.location else ""
        raise ArmError(
            "InvalidDeployment",
            f"The 'location' property {refused} for '{name}'{where}. Please see "
            "https://aka.ms/deploy-to-subscription for usage details.",
        )
    if kind == "group":
        return
    arm.require_region(str(request.location).replace(" ", "").lower(), "deployment")
    if request.mode == "Complete":
        raise ArmError(
            "InvalidDeploymentMode",
            f"A deployment to a {kind} has the mode 'Incremental' only.",
            target="properties.mode",
        )


async def prepare_nested(
    arm: ResourceManager,
    item: Instance,
    body: JSON,
    above: Prepared,
    assumed: Mapping[str, str],
) -> Prepared:
    """Check a deployment that lies in another one, `above`, with what it links to. See `prepare`.

    Raises:
        ArmError: It is refused.
    """
    depth = above.link.depth + 1 if above.link is not None else 0
    whole, link = await linked(arm, above.caller, beside(body, above.link), depth)
    at = parse(item.id)
    return await prepare(arm, at, wanted(whole), above.caller, assumed=assumed, link=link)


async def prepare(
    arm: ResourceManager,
    id: ResourceId,
    request: Wanted,
    caller: Caller,
    *,
    assumed: Mapping[str, str] | None = None,
    link: Link | None = None,
) -> Prepared:
    """Check a deployment.

    Args:
        id: Of the deployment, or of an action on it.
        assumed: Resource groups (ids in small letters) that will exist by then, with their
            locations.
        link: Where the template is from.

    Raises:
        ArmError: It is refused, and nothing has happened.
    """
    scope = scope_of(id)
    name = id.names[0]
    _check_request(arm, name, kind_of(scope), request)
    document = request.document
    check_schema(scope, document.schema, empty=not document.resources)
    hash_ = records.template_hash(document.raw)
    deployment: JSON = {
        "name": name,
        "properties": {
            "template": document.raw,
            "templateHash": hash_,
            "parameters": {key: {"value": value} for key, value in request.given.items()},
            "mode": request.mode,
            "provisioningState": "Accepted",
        },
    }
    if request.location:
        deployment["location"] = request.location
    if link is not None:
        deployment["properties"]["templateLink"] = link.told()
    environment = await environment_of(arm, caller, scope, deployment, assumed or {})
    plan = Plan(document, request.given, environment)
    plan.inputs.references = request.references
    prepared = Prepared(
        name,
        plan,
        scope,
        request.mode,
        request.location,
        request.tags,
        hash_,
        caller,
        request.level,
        link=link,
    )

    def seen(item: Instance, body: Any, known: bool) -> None:
        prepared.bodies.append((item, body))
        if not known:
            prepared.open.add(item.key)

    connect(plan, seen)
    if len(plan.instances) > MAX_RESOURCES:
        raise ArmError(
            "InvalidTemplate",
            f"Deployment template validation failed: 'The number of template resources limit "
            f"exceeded. Limit: '{MAX_RESOURCES}' and actual: '{len(plan.instances)}'.'.",
        )
    for item, _ in prepared.bodies:
        parse(item.id)
    return prepared
