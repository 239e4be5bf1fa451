"""Resource providers as a subscription sees them: described, registered, unregistered.

All are registered from the start. One that was unregistered refuses new resources with
`MissingSubscriptionRegistration`, upon which `az` registers it again ("Resolve errors for resource
provider registration").
"""

from __future__ import annotations

import secrets

from orchestrator.localcloud.arm.errors import ArmError, no_namespace
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call
from orchestrator.localcloud.providers import known_types
from orchestrator.localcloud.providers.catalogue import NAMESPACES, location_names

_STATES = "Microsoft.Resources/registrations"
_OWN = (_STATES.lower(), "microsoft.resources/tagnames")
_ALWAYS = ("microsoft.resources", "microsoft.authorization")
_VERSIONS = (
    *("2026-07-01", "2026-01-01", "2025-07-01", "2025-04-01", "2025-02-01", "2025-01-01"),
    *("2024-11-01", "2024-03-01", "2024-01-01", "2023-05-01", "2023-01-31", "2022-09-01"),
    *("2022-05-01", "2022-04-01", "2021-04-01", "2020-10-01", "2020-06-01", "2018-05-01"),
)
_UNTRACKED = (
    *("roleassignments", "roledefinitions", "locks", "diagnosticsettings", "operations"),
    *("checknameavailability", "tags", "deployments", "tenants", "subscriptions"),
)


def _state(call: Call, namespace: str) -> ResourceId:
    return parse(f"/subscriptions/{call.arm.subscription}/providers/{_STATES}/{namespace.lower()}")


def _describe(call: Call, namespace: str, types: list[str]) -> JSON:
    away = _state(call, namespace) in call.arm.store
    # The tenant's view of a provider knows nothing of registrations.
    within = call.id.subscription is not None
    base = f"/subscriptions/{call.arm.subscription}" if within else ""
    state = {"registrationState": "Unregistered" if away else "Registered"} if within else {}
    return {
        "id": f"{base}/providers/{namespace}",
        "namespace": namespace,
        **state,
        "registrationPolicy": "RegistrationFree"
        if namespace.lower() in _ALWAYS
        else "RegistrationRequired",
        "resourceTypes": [
            {
                "resourceType": name,
                "locations": [] if name.lower() in _UNTRACKED else location_names(),
                "apiVersions": list(_VERSIONS),
                "defaultApiVersion": _VERSIONS[0],
                "capabilities": "None"
                if "/" in name or name.lower() in _UNTRACKED
                else "SupportsTags, SupportsLocation",
            }
            for name in types
        ],
    }


def _known(call: Call) -> dict[str, list[str]]:
    known = {namespace: list(types) for namespace, types in NAMESPACES.items()}
    names = {namespace.lower(): namespace for namespace in known}
    used = [kind.type for kind in call.arm.types()]
    used += [
        record.id.type
        for record in call.arm.store.all()
        if record.id.namespace and record.id.type.lower() not in _OWN
    ]
    for full in used:
        namespace, _, rest = full.partition("/")
        namespace = names.setdefault(namespace.lower(), namespace)
        types = known.setdefault(namespace, [])
        if rest.lower() not in {name.lower() for name in types}:
            types.append(rest)
    return known


async def providers(call: Call) -> Answer:
    """All that are known."""
    return [_describe(call, namespace, types) for namespace, types in sorted(_known(call).items())]


async def provider(call: Call) -> Answer:
    """One. Raises ArmError (404) for a namespace that neither Azure nor anybody here has."""
    # The last hole is the namespace, with or without a subscription before it.
    wanted = call.arguments[-1]
    for namespace, types in _known(call).items():
        if namespace.lower() == wanted.lower():
            return _describe(call, namespace, types)
    found = known_types.namespaces().get(wanted.lower())
    if found is None:
        raise no_namespace(wanted)
    return _describe(call, found[0], list(found[1]))


async def resource_types(call: Call) -> Answer:
    """The resource types of one provider. Raises ArmError (404)."""
    found = await provider(call)
    assert isinstance(found, dict)
    return {"value": found["resourceTypes"]}


async def register(call: Call) -> Answer:
    """Take it back into use."""
    await provider(call)  # it exists
    id = _state(call, call.arguments[-1])
    if id in call.arm.store:
        await call.arm.store.write(delete=[id])
    return await provider(call)


async def unregister(call: Call) -> Answer:
    """Refuse new resources of it. Raises ArmError (409) while there are some."""
    wanted = call.arguments[-1]
    if wanted.lower() in _ALWAYS:
        raise ArmError(
            "UnregistrationNotAllowed", f"The provider '{wanted}' is always registered.", 409
        )
    used = next(
        (
            record.id.text
            for record in call.arm.store.all()
            if str(record.id.namespace).lower() == wanted.lower()
        ),
        None,
    )
    if used is not None:
        raise ArmError(
            "CannotUnregisterProvider",
            f"The provider '{wanted}' cannot be unregistered while resources of it exist, for "
            f"instance '{used}'.",
            409,
        )
    id = _state(call, wanted)
    await call.arm.store.write(put=[(id, {"id": id.text, "name": wanted}, secrets.token_hex(8))])
    return await provider(call)


def check_registered(call: Call) -> None:
    """Refuse a new resource of an unregistered provider.

    Raises:
        ArmError: 409 `MissingSubscriptionRegistration`.
    """
    namespace = str(call.id.namespace or "")
    if _state(call, namespace) in call.arm.store:
        raise ArmError(
            "MissingSubscriptionRegistration",
            f"The subscription is not registered to use namespace '{namespace}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions.",
            409,
            target=namespace,
        )
