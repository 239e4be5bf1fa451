"""Revisions of container apps: what each change of an app's template makes.

Rules: "Revisions in Azure Container Apps" (a new one when something in the template changes; in
single mode the latest alone is active; up to 100 inactive ones are kept, the oldest go first) and
"Traffic splitting". An app's record holds its revisions in `properties.revisions`, which is not
shown, so that both are changed in one write.

Nothing runs of an app here: an active revision is provisioned, and has no replicas.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Reply, ResourceType
from orchestrator.localcloud.providers.container_apps.app_rules import LABELS, MULTIPLE, SINGLE
from orchestrator.localcloud.providers.container_apps.job_template import TEMPLATE_FAULT
from orchestrator.localcloud.providers.faults import Faults

APPS = "Microsoft.App/containerApps"
KEY = "revisions"
MAX_NAME = 54
"""Characters of an app's name and a suffix together."""

_SUFFIX = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NUMBER = re.compile(r"\d{7}")


def revise(app: str, properties: JSON, before: JSON, now: float) -> None:
    """Add the revision that a changed template makes to `properties`, and say which is the latest.

    Args:
        app: The app's name.
        properties: Checked; `revisions` are those there were.
        before: The properties until now, `{}` of a new app.
        now: Epoch seconds.

    Raises:
        ArmError: 400: the suffix cannot be had, or traffic goes where there is no revision.
    """
    template = properties["template"]
    revisions: list[JSON] = properties.setdefault(KEY, [])
    suffix = _suffix(app, template)
    made = None
    if not revisions or _differs(template, before.get("template") or {}):
        name = f"{app}--{suffix or _next(revisions)}"
        if any(revision["name"] == name for revision in revisions):
            raise ArmError(
                TEMPLATE_FAULT,
                "The following field(s) are either invalid or missing. Field "
                f"'template.revisionsuffix' is invalid with details: 'Invalid value: \"{suffix}\": "
                f"revision with suffix {suffix} already exists.'.",
                target="template.revisionsuffix",
            )
        made = {"name": name, "createdTime": iso(now), "active": True}
        revisions.append(made | {"template": copy.deepcopy(template)})
    template["revisionSuffix"] = suffix
    latest = revisions[-1]
    properties["latestRevisionName"] = properties["latestReadyRevisionName"] = latest["name"]
    configuration = properties["configuration"]
    _traffic(properties)
    mode = configuration["activeRevisionsMode"]
    # Who has activated an older one keeps it until something is deployed, or the mode changes.
    if made or mode != (before.get("configuration") or {}).get("activeRevisionsMode"):
        _activate(properties, mode, now)
    _prune(properties)


def _suffix(app: str, template: JSON) -> str:
    suffix = template.get("revisionSuffix") or ""
    if not isinstance(suffix, str) or (
        suffix
        and (
            not _SUFFIX.fullmatch(suffix) or "--" in suffix or len(app) + len(suffix) + 2 > MAX_NAME
        )
    ):
        raise ArmError(
            "ContainerAppInvalidRevisionName",
            f"Revision name has an invalid value '{suffix}'. A revision name must consist of lower "
            "case alphanumeric characters or '-', start with an alphabetic character, and end with "
            "an alphanumeric character. The length of the revision name must not be more than a "
            f"combined {MAX_NAME} characters with the container app name.",
            target="template.revisionSuffix",
        )
    return suffix


def _differs(template: JSON, before: JSON) -> bool:
    """Whether a template makes a revision: who names no suffix leaves it to the service."""
    old, new = dict(before), dict(template)
    old_suffix, new_suffix = old.pop("revisionSuffix", ""), new.pop("revisionSuffix", "")
    return new != old or bool(new_suffix and new_suffix != old_suffix)


def _next(revisions: Iterable[JSON]) -> str:
    suffixes = (revision["name"].rpartition("--")[2] for revision in revisions)
    numbers = [int(suffix) for suffix in suffixes if _NUMBER.fullmatch(suffix)]
    return f"{max(numbers, default=0) + 1:07d}"


def _traffic(properties: JSON) -> None:
    """Where requests go: all to the latest, unless several may be active and it is said."""
    configuration = properties["configuration"]
    ingress = configuration.get("ingress")
    if ingress is None:
        return
    if configuration["activeRevisionsMode"] == SINGLE or not ingress.get("traffic"):
        ingress["traffic"] = [{"weight": 100, "latestRevision": True}]
        return
    faults = Faults()
    path = "configuration.ingress.traffic"
    known = {revision["name"] for revision in properties[KEY]}
    total = 0
    labels: set[str] = set()
    for at, share in faults.objects(ingress["traffic"], path):
        total += faults.whole(share, "weight", at, least=0, default=0)
        name = faults.text(share.get("revisionName"), f"{at}.revisionName")
        if name and share.get("latestRevision") is True:
            faults.add(at, f"'{at}' has both a revisionName and latestRevision.")
        elif name and name not in known:
            faults.add(f"{at}.revisionName", f"The revision '{name}' was not found.")
        elif not name and share.get("latestRevision") is not True:
            faults.add(at, f"'{at}' needs a revisionName, or latestRevision: true.")
        label = faults.text(share.get("label"), f"{at}.label").lower()
        if label in labels:
            faults.add(f"{at}.label", f"The label '{label}' is given twice.")
        labels |= {label} - {""}
    if total != 100:
        faults.add(path, f"The weights of '{path}' must add up to 100, not {total}.")
    faults.raise_any()


def _activate(properties: JSON, mode: str, now: float) -> None:
    """Of all revisions the latest alone; those with a label, too, where labels say it."""
    if mode == MULTIPLE:
        return
    keep = {properties["latestRevisionName"]}
    if mode == LABELS:
        shares = (properties["configuration"].get("ingress") or {}).get("traffic", [])
        keep |= {share.get("revisionName") for share in shares if share.get("label")}
    for revision in properties[KEY]:
        set_active(revision, revision["name"] in keep, now)


def set_active(revision: JSON, active: bool, now: float) -> None:
    """Activate or deactivate one revision."""
    if revision["active"] and not active:
        revision["lastActiveTime"] = iso(now)
    revision["active"] = active


def _prune(properties: JSON) -> None:
    most = properties["configuration"]["maxInactiveRevisions"]
    inactive = [revision for revision in properties[KEY] if not revision["active"]]
    gone = {revision["name"] for revision in inactive[: max(0, len(inactive) - most)]}
    properties[KEY] = [revision for revision in properties[KEY] if revision["name"] not in gone]


def address(app: JSON, name: str) -> str:
    """The host name of an app, or of a revision of it; empty without ingress."""
    fqdn = (app["properties"]["configuration"].get("ingress") or {}).get("fqdn", "")
    return f"{name}.{fqdn.partition('.')[2]}" if fqdn else ""


def _shown(app: JSON, revision: JSON) -> JSON:
    properties = app["properties"]
    running = revision["active"] and properties["runningStatus"] != "Stopped"
    latest = revision["name"] == properties["latestRevisionName"]
    shares = (properties["configuration"].get("ingress") or {}).get("traffic", [])
    shown = {
        "createdTime": revision["createdTime"],
        "lastActiveTime": revision.get("lastActiveTime"),
        "fqdn": address(app, revision["name"]),
        "template": revision["template"],
        "active": revision["active"],
        "replicas": 0,
        "trafficWeight": sum(
            share["weight"]
            for share in shares
            if share.get("revisionName") == revision["name"]
            or (latest and share.get("latestRevision") is True)
        ),
        "labels": [
            share["label"]
            for share in shares
            if share.get("label") and share.get("revisionName") == revision["name"]
        ],
        "healthState": "Healthy" if running else "None",
        "provisioningState": "Provisioned" if revision["active"] else "Deprovisioned",
        "runningState": "Running" if running else "Stopped",
    }
    id = parse(app["id"]).child("revisions", revision["name"])
    properties = {key: value for key, value in shown.items() if value not in (None, "", [])}
    return {
        "id": id.text,
        "name": revision["name"],
        "type": f"{APPS}/revisions",
        "properties": properties,
    }


def shown_revisions(app: JSON) -> list[JSON]:
    """All revisions of an app, oldest first, as they are shown."""
    return [_shown(app, revision) for revision in app["properties"].get(KEY, [])]


class Revisions(ResourceType):
    """`Microsoft.App/containerApps/revisions`: made by changes of their app."""

    type: ClassVar[str] = f"{APPS}/revisions"
    stored: ClassVar[bool] = False

    def missing(self, id: ResourceId) -> ArmError:
        """In the words of the service."""
        app = id.parent.name if id.parent else ""
        return ArmError(
            "ContainerAppRevisionNotFound",
            f"The revision '{id.name}' of the container app '{app}' was not found.",
            404,
        )

    async def get(self, call: Call) -> JSON | None:
        """One revision."""
        name = call.id.name.lower()
        found = (item for item in await self.members(call) if item["name"].lower() == name)
        return next(iter(found), None)

    async def members(self, call: Call) -> Iterable[JSON]:
        """All revisions of an app, oldest first."""
        parent = call.id.parent
        assert parent is not None
        app = call.arm.store.get(parent)
        if app is None:
            raise missing(parent)
        return shown_revisions(app)

    def actions(self) -> Mapping[str, Handler]:
        """Activate, deactivate, restart."""
        return {
            "activate": self._activate,
            "deactivate": self._deactivate,
            "restart": self._restart,
        }

    def reads(self) -> Mapping[str, Handler]:
        """Its replicas, of which there are none here."""
        return {"replicas": self._replicas, "replicas/{}": self._replica}

    # Each is answered with a sentence, which `az` reads and shows.

    async def _activate(self, call: Call) -> Answer:
        await self._set(call, True)
        return Reply("Activate succeeded")

    async def _deactivate(self, call: Call) -> Answer:
        await self._set(call, False)
        return Reply("Deactivate succeeded")

    async def _set(self, call: Call, active: bool) -> None:
        parent = call.id.parent
        assert parent is not None

        def change(app: JSON) -> None:
            for revision in app["properties"].get(KEY, []):
                if revision["name"].lower() == call.id.name.lower():
                    set_active(revision, active, call.arm.clock.time())
                    return
            raise self.missing(call.id)

        await call.arm.changes.alter(replace(call, id=parent), change)

    async def _restart(self, call: Call) -> Answer:
        revision = await self._one(call)
        if not revision["properties"]["active"]:
            raise ArmError(
                "ContainerAppRevisionNotActive",
                f"The revision '{revision['name']}' is not active; activate it first.",
            )
        return Reply("Restart succeeded")

    async def _replicas(self, call: Call) -> Answer:
        await self._one(call)
        return []

    async def _replica(self, call: Call) -> Answer:
        await self._one(call)
        raise missing(call.id.child("replicas", call.arguments[0]))

    async def _one(self, call: Call) -> JSON:
        revision = await self.get(call)
        if revision is None:
            raise self.missing(call.id)
        return revision


class RevisionsApi(ResourceType):
    """`…/detectorProperties/revisionsApi`: by which diagnostics read an app's revisions."""

    type: ClassVar[str] = f"{APPS}/detectorProperties"
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """What its revisions are below."""
        app = call.id.parent
        if call.id.name.lower() != "revisionsapi" or app is None or app not in call.arm.store:
            return None
        return {"id": call.id.text, "name": call.id.name, "type": self.type}

    async def members(self, call: Call) -> Iterable[JSON]:
        """It is not listed."""
        return ()


class DiagnosedRevisions(Revisions):
    """An app's revisions, as diagnostics read them."""

    type: ClassVar[str] = f"{APPS}/detectorProperties/revisions"

    async def members(self, call: Call) -> Iterable[JSON]:
        """All revisions of the app."""
        api = call.id.parent
        assert api is not None
        assert api.parent is not None
        app = call.arm.store.get(api.parent)
        if app is None:
            raise missing(api.parent)
        return shown_revisions(app)

    def actions(self) -> Mapping[str, Handler]:
        """Diagnostics only read."""
        return {}

    def reads(self) -> Mapping[str, Handler]:
        """Nothing is below them."""
        return {}
