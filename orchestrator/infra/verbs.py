"""Infrastructure: what the jobs live in, made by deploying a template.

A template is deployed as a *deployment stack*, so that Azure itself keeps which resources it has
made: `show` lists them, `destroy` removes them and nothing else. Before anything is sent, what-if
tells what would change; when nothing would, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.azure.clients import Clients
from orchestrator.azure.failures import Refusal, told
from orchestrator.azure.names import STACK, plain_outputs
from orchestrator.errors import Conflict, DeploymentFailed, NotFound
from orchestrator.infra.changes import (
    Deployed,
    Resource,
    WhatIf,
    order,
    parse_id,
    title,
    what_if,
)
from orchestrator.infra.following import Failure, Progress, Watch, failures_of
from orchestrator.infra.stack import (
    MADE_BY,
    TERMINAL,
    deployment_id,
    description_of,
    kept_of,
    reason,
    state_of,
)
from orchestrator.infra.template import Template, compiled, infra_file, load
from orchestrator.queues.body import IMMUTABLE, immutable
from orchestrator.results import Change, Changes, Step
from orchestrator.waiting import backoff

if TYPE_CHECKING:
    from orchestrator.infra.removal import Doomed, Removal
    from orchestrator.settings import Settings
    from orchestrator.waiting import Time

REGISTRIES = "Microsoft.ContainerRegistry/registries"
_PATIENCE = 3600.0  # seconds that another deployment is waited for
# Codes of a refusal because another deployment runs.
_BUSY = ("DeploymentStackInNonTerminalState", "DeploymentActive")
_LOOK = 1.0  # seconds between two looks at a running deployment


class InfraVerbs:
    """The verbs on what one profile's jobs live in.

    Wherever a call takes `template`, it is a .bicep, .bicepparam or .json file, and None is the
    profile's own: `infra` of its settings, else templates/infra/main.bicep beside them, else the
    one that comes along. `parameters` is a parameters file; `values` are single parameters, which
    win over it. See `orchestrator.infra.template` for where the others come from.
    """

    def __init__(self, clients: Clients, settings: Settings, time: Time) -> None:
        self._time = time
        self._clients = clients
        self._settings = settings
        self._profile = clients.profile
        self._group = clients.profile.resource_group

    # ---------------------------------------------------------------- before anything is sent

    def build(self, template: str | Path | None = None) -> dict[str, Any]:
        """The ARM template that a Bicep file compiles to. Contacts nobody.

        Raises BicepError with the place of everything that is wrong, BadInput.
        """
        file = Path(template) if template is not None else infra_file(self._settings, self._profile)
        return compiled(file)

    def load(
        self,
        template: str | Path | None = None,
        *,
        parameters: str | Path | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Template:
        """The template and its parameters, as `deploy` would send them. Raises as `build`."""
        return load(
            self._settings,
            self._profile,
            template,
            parameters=parameters,
            values=values,
            name=name,
            outputs=lambda: self._clients.names.outputs,
            known=self._registry_elsewhere(),
        )

    def validate(
        self,
        template: str | Path | None = None,
        *,
        parameters: str | Path | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Deployed:
        """Let Resource Manager check it; gives the resources that it would make.

        Raises DeploymentFailed with what it refuses, NotFound when there is no resource group yet,
        BicepError, BadInput.
        """
        from azure.mgmt.resource.deployments.models import Deployment

        made = self.load(template, parameters=parameters, values=values, name=name)

        body = Deployment({"properties": {"mode": "Incremental", **self._what_is_deployed(made)}})
        with self._checking(made, f"validate {made.name}"):
            result = self._clients.deployments.deployments.begin_validate(
                self._group, made.name, body
            ).result()
        answer = result.as_dict()
        if error := answer.get("error"):
            raise self._failed(made, "is not valid", failures_of(error))
        found = (answer.get("properties") or {}).get("validatedResources") or ()
        ids = [str(r.get("id") or "") for r in found]
        return Deployed(
            [_resource(i) for i in ids if "/deployments/" not in i.lower()],
            name=made.name,
            resource_group=self._group,
            state="valid",
        )

    def what_if(
        self,
        template: str | Path | None = None,
        *,
        parameters: str | Path | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> WhatIf:
        """What `deploy` would change, without changing it. Raises as `validate`."""
        return self._foresee(self.load(template, parameters=parameters, values=values, name=name))

    # ---------------------------------------------------------------- deploy

    def deploy(
        self,
        template: str | Path | None = None,
        *,
        parameters: str | Path | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Deployed:
        """Deploy it; what is there and right is left, and when everything is, nothing is sent.

        `progress` is called when a resource is begun and when it is done. Nothing that the template
        does not speak of any more is deleted.

        Raises DeploymentFailed with each resource that failed and why, Conflict for a change that a
        service does not allow, BicepError, BadInput, ProfileError.
        """
        tell = progress or (lambda step: None)
        made = self.load(template, parameters=parameters, values=values, name=name)
        tell(Step(title="looking at what is there", number=0, total=0))
        group = self.ensure_group()
        stack = self._settled(made.name, tell)
        foreseen = self._foresee(made)
        _refuse_impossible(foreseen)
        nothing = foreseen.certain and not foreseen.changed
        if stack is not None and state_of(stack) == "succeeded" and nothing:
            return self._deployed(stack, changes=(group, *foreseen.changes()))
        kept = kept_of(stack) if stack is not None else _there_before(foreseen)
        before = deployment_id(stack)
        watch = Watch(self._clients, foreseen, tell, before=before)
        try:
            self._send(made, kept, watch, watched=progress is not None)
        except Conflict as error:
            if error.code not in _BUSY:
                raise
            # Somebody else has begun one in between: theirs is waited for, and looked at.
            return self.deploy(
                template, parameters=parameters, values=values, name=name, progress=progress
            )
        self._clients.names.forget()
        after = self._find(made.name)
        if after is None:
            raise NotFound(f"The deployment {made.name} is gone.", "Somebody has destroyed it.")
        return self._deployed(after, changes=(group, *foreseen.changes()))

    def _settled(self, name: str, tell: Progress) -> dict[str, Any] | None:
        """The stack once nobody deploys to it. Raises Conflict when that takes an hour."""
        end = self._time.time() + _PATIENCE
        for pause in backoff(0.1, 5.0):
            stack = self._find(name)
            if stack is None or state_of(stack) in TERMINAL:
                return stack
            if self._time.time() > end:
                break
            tell(Step(title="another deployment runs; waiting for its end", number=0, total=0))
            self._time.sleep(pause)
        raise Conflict(
            f"Another deployment of {name} to {self._group} has not ended within an hour.",
            f"See what it does: orchestrator infra show --name {name}",
        )

    def ensure_group(self) -> Change:
        """The resource group, made if it is not there. Raises ProfileError without a location."""
        groups = self._clients.resources.resource_groups
        with told(self._profile, f"make the resource group {self._group}"):
            from azure.core.exceptions import ResourceNotFoundError

            try:
                groups.get(self._group)
            except ResourceNotFoundError:
                location = self._location()
                groups.create_or_update(self._group, {"location": location, "tags": MADE_BY})
                return Change(name=self._group, kind="resource group", action="created")
        return Change(name=self._group, kind="resource group", action="unchanged")

    def _location(self) -> str:
        if self._profile.location:
            return self._profile.location
        from orchestrator.errors import Problem, ProfileError

        name = self._profile.name
        raise ProfileError(
            f'There is no resource group {self._group}, and the profile "{name}" says no location '
            "to make it in.",
            f"Add location to [profiles.{name}], or set ORCHESTRATOR_LOCATION.",
            problems=[Problem(f"profiles.{name}.location", "it is missing")],
        )

    def _what_is_deployed(self, made: Template) -> dict[str, Any]:
        return {"template": made.content, "parameters": made.parameters}

    def _foresee(self, made: Template) -> WhatIf:
        from azure.mgmt.resource.deployments.models import DeploymentWhatIf

        body = DeploymentWhatIf(
            {"properties": {"mode": "Incremental", **self._what_is_deployed(made)}}
        )
        with self._checking(made, f"foresee what {made.name} would change"):
            result = self._clients.deployments.deployments.begin_what_if(
                self._group, made.name, body
            ).result()
        answer = result.as_dict()
        if error := answer.get("error"):
            raise self._failed(made, "is not valid", failures_of(error))
        return what_if(answer)

    def _send(
        self,
        made: Template,
        kept: list[str],
        watch: Watch,
        *,
        watched: bool,
    ) -> None:
        from azure.core.exceptions import HttpResponseError
        from azure.mgmt.resource.deploymentstacks.models import DeploymentStack

        body = DeploymentStack(
            {
                "properties": {
                    **self._what_is_deployed(made),
                    "actionOnUnmanage": {"resources": "detach", "resourceGroups": "detach"},
                    "denySettings": {"mode": "none"},
                    "description": description_of(kept),
                },
                "tags": MADE_BY,
            }
        )
        with told(self._profile, f"deploy {made.name}"):
            try:
                poller = self._clients.stacks.begin_create_or_update_at_resource_group(
                    self._group, made.name, body
                )
                pause = 0.05
                while watched and not poller.done():
                    poller.wait(pause)
                    watch.look(lambda: self._find(made.name))
                    pause = min(pause * 2, _LOOK)
                poller.result()
            except HttpResponseError as error:
                refusal = Refusal(error)
                if not _of_the_template(refusal) or refusal.code in _BUSY:
                    raise
                failures = watch.failures(lambda: self._find(made.name))
                failures = failures or failures_of(refusal.body)
                raise self._failed(made, "failed", failures) from error
        if watched:
            watch.look(lambda: self._find(made.name))

    @contextmanager
    def _checking(self, made: Template, doing: str) -> Iterator[None]:
        """A template that is refused as a whole is told resource by resource."""
        from azure.core.exceptions import HttpResponseError

        with told(self._profile, doing):
            try:
                yield
            except HttpResponseError as error:
                refusal = Refusal(error)
                if refusal.code == "ResourceGroupNotFound":
                    raise self._no_group(doing, refusal) from error
                if not _of_the_template(refusal):
                    raise
                raise self._failed(made, "is not valid", failures_of(refusal.body)) from error

    def _no_group(self, doing: str, refusal: Refusal) -> NotFound:
        """What only looks makes no group: who wants to look first may make an empty one."""
        where = self._profile.location or "REGION"
        return NotFound(
            f"Could not {doing}: there is no resource group {self._group} yet, and Resource "
            "Manager looks at a template only for a group that is there.",
            f"Make it and everything in it: orchestrator --profile {self._profile.name} up; or the "
            f"group alone, to look first: az group create --name {self._group} --location {where}",
            code=refusal.code,
            status=refusal.status,
        )

    def _failed(self, made: Template, what: str, failures: list[Failure]) -> DeploymentFailed:
        lines = "".join(f"\n  {failure}" for failure in _distinct(failures))
        where = f"{made.name} to {self._group}"
        return DeploymentFailed(
            f"The deployment of {where} {what}:{lines}"
            if lines
            else f"The deployment of {where} {what}.",
            _next_step(failures) if what == "failed" else "Correct it; nothing was changed.",
            failures=tuple(_distinct(failures)),
        )

    # ---------------------------------------------------------------- show

    def show(self, name: str = STACK) -> Deployed:
        """What was deployed under this name: its resources by type, its outputs.

        Raises NotFound when nothing was.
        """
        return self._deployed(self.stack(name))

    def stack(self, name: str = STACK) -> dict[str, Any]:
        """The deployment stack itself, as the service sends it. Raises NotFound."""
        stack = self._find(name)
        if stack is None:
            raise NotFound(
                f"Nothing is deployed as {name} in the resource group {self._group}.",
                "Deploy it: orchestrator infra deploy",
                status=404,
            )
        return stack

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            with told(
                self._profile,
                f"read the deployment {name}",
                lambda r: NotFound(r.message, status=404),
            ):
                found = self._clients.stacks.get_at_resource_group(self._group, name)
        except NotFound:
            return None
        return dict(found.as_dict())

    def _deployed(self, stack: Mapping[str, Any], changes: tuple[Change, ...] = ()) -> Deployed:
        properties = stack.get("properties") or {}
        failed = {
            str(r.get("id") or "").lower(): reason(r)
            for r in properties.get("failedResources") or ()
        }
        ids = [str(r.get("id") or "") for r in properties.get("resources") or ()]
        ids += [str(r["id"]) for r in properties.get("failedResources") or () if r.get("id")]
        found = [
            _resource(i, failed.get(i.lower()) or "managed", self._link(i))
            for i in dict.fromkeys(ids)
            if parse_id(i).kind.lower() != "microsoft.resources/deployments"
        ]
        return Deployed(
            sorted(found, key=lambda r: (order(r.kind), r.kind, r.name)),
            name=str(stack.get("name") or ""),
            resource_group=self._group,
            state=state_of(stack),
            outputs=plain_outputs(stack),
            changes=tuple(sorted(changes, key=lambda c: order(c.kind))),
            duration=str(properties.get("duration") or ""),
        )

    def _link(self, resource_id: str) -> str:
        """The resource's page in Azure's portal; there is none of a local cloud."""
        if self._profile.kind != "azure" or self._profile.spec.resource_manager:
            return ""
        tenant = self._profile.spec.tenant
        return f"https://portal.azure.com/#{'@' + tenant if tenant else ''}/resource{resource_id}"

    # ---------------------------------------------------------------- destroy

    def doomed(self, name: str = STACK) -> Doomed:
        """What `destroy` would delete. Raises NotFound when nothing is deployed under this name,
        Conflict when the environment holds jobs that are none of the settings."""
        return self._removal.doomed(self.stack(name), self.show(name), self._settings)

    def destroy(
        self, name: str = STACK, *, doomed: Doomed | None = None, progress: Progress | None = None
    ) -> Changes:
        """Delete what was deployed under this name, and nothing else; its jobs first.

        What was in the resource group before the first deployment stays, and so does the group
        unless it was made here and is empty then. Raises as `doomed`.
        """
        done = self._removal.destroy(doomed or self.doomed(name), progress or (lambda step: None))
        self._clients.names.forget()
        return done

    @property
    def _removal(self) -> Removal:
        from orchestrator.infra.removal import Removal

        return Removal(self._clients, self.build)

    # ---------------------------------------------------------------- what they share

    def _registry_elsewhere(self) -> dict[str, Any]:
        """The registry's id as a parameter, when it is in another resource group."""
        name, dot, rest = (self._profile.registry or "").lower().partition(".")
        if not dot or not rest.startswith("azurecr."):
            return {}
        with told(self._profile, f"look for the registry {name}"):
            listing = self._clients.resources.resources.list(
                filter=f"resourceType eq '{REGISTRIES}'"
            )
            ids = [str(r.id) for r in listing if str(r.name).lower() == name]
        here = f"/resourcegroups/{self._group}/".lower()
        elsewhere = next((i for i in ids if here not in i.lower()), None)
        return {"registryId": elsewhere} if elsewhere else {}


# ------------------------------------------------------------------------------- refusals


def _next_step(failures: Sequence[Failure]) -> str:
    if any(failure.code == "RoleAssignmentUpdateNotPermitted" for failure in failures):
        # https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
        return (
            "A role assignment is still there of an identity that was deleted and made anew: "
            "delete it (az role assignment delete --ids …), and run it again."
        )
    return "What was deployed before that stays; correct it, and run it again."


def _there_before(foreseen: WhatIf) -> list[str]:
    return [c.id for c in foreseen if c.effect in ("modify", "unchanged", "deploy")]


def _resource(resource_id: str, status: str = "", link: str = "") -> Resource:
    parts = parse_id(resource_id)
    return Resource(
        id=resource_id,
        type=parts.kind,
        kind=parts.noun,
        name=title(resource_id),
        status=status,
        link=link,
    )


def _of_the_template(refusal: Refusal) -> bool:
    """Whether what was sent is at fault, and not who sent it, or the service."""
    return refusal.status not in (401, 403, 404, 429) and (refusal.status or 0) < 500


def _distinct(failures: Sequence[Failure]) -> list[Failure]:
    """Each failure once: a module tells what its resources tell as well."""
    seen: dict[tuple[str, str], Failure] = {}
    for failure in failures:
        seen.setdefault((failure.code, failure.message), failure)
    return list(seen.values())


def _refuse_impossible(foreseen: WhatIf) -> None:
    """Raise Conflict for what Service Bus lets nobody change on a live queue."""
    for change in foreseen:
        if change.noun != "queue" or change.effect != "modify":
            continue
        for field in change.properties:
            key = field.path.removeprefix("properties.")
            if key in IMMUTABLE and field.before is not None:
                raise immutable(change.name, key, field.before, field.after)
