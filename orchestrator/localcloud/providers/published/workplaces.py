"""Where people work: labs, developer centers, virtual desktops.

Addresses and ids are those of the services' REST reference
(learn.microsoft.com/rest/api/{dtl,devcenter,desktopvirtualization}).
"""

from __future__ import annotations

from orchestrator.localcloud.arm.provider import JSON, Answer
from orchestrator.localcloud.providers.published.seen import Published, Seen, Table


def _lab(seen: Seen) -> JSON:
    return {"uniqueIdentifier": seen.guid("lab")}


def _center(seen: Seen) -> JSON:
    return {"devCenterUri": _center_uri(seen, seen.host)}


def _project(seen: Seen) -> JSON:
    """A project is reached where its developer center is."""
    center = str(seen.prop("devCenterId") or "").rpartition("/")[2].lower()
    return {"devCenterUri": _center_uri(seen, center)} if center else {}


def _center_uri(seen: Seen, name: str) -> str:
    return f"https://{seen.tenant}-{name}.{seen.location}.devcenter.azure.com/"


def _token(seen: Seen) -> str:
    return seen.base64("registration", 96)


def _host_pool(seen: Seen) -> JSON:
    """The token of a registration that was asked for, with which machines join the pool."""
    wanted = str(seen.prop("registrationInfo", "registrationTokenOperation") or "").lower()
    token: JSON = {"registrationInfo": {"token": _token(seen)}} if wanted == "update" else {}
    return {"objectId": seen.guid("pool"), **token}


def _tokens(seen: Seen) -> Answer:
    info = seen.prop("registrationInfo") or {}
    if str(info.get("registrationTokenOperation") or "").lower() != "update":
        return {"value": []}
    return {"value": [{"token": _token(seen), "expirationTime": info.get("expirationTime")}]}


def _object(seen: Seen) -> JSON:
    return {"objectId": seen.guid("object")}


TABLE: Table = {
    "Microsoft.DevTestLab/labs": Published(_lab),
    "Microsoft.DevTestLab/labs/virtualnetworks": Published(_lab),
    "Microsoft.DevCenter/devcenters": Published(_center),
    "Microsoft.DevCenter/networkConnections": Published(hidden=("domainPassword",)),
    "Microsoft.DevCenter/projects": Published(_project),
    "Microsoft.DesktopVirtualization/hostPools": Published(
        _host_pool, actions={"listRegistrationTokens": _tokens}
    ),
    "Microsoft.DesktopVirtualization/applicationGroups": Published(_object),
    "Microsoft.DesktopVirtualization/workspaces": Published(_object),
}
