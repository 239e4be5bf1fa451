"""What a job is made of: state, identity, permissions, image, secrets, scale rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.doctor.findings import Finding
from orchestrator.doctor.patient import Patient
from orchestrator.errors import OrchestratorError
from orchestrator.queues.body import resource_name

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/integration
DATA_OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"
DATA_SENDER = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
DATA_RECEIVER = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
_ROLE_NAMES = {
    DATA_OWNER: "Data Owner",
    DATA_SENDER: "Data Sender",
    DATA_RECEIVER: "Data Receiver",
}
NAMESPACES = "Microsoft.ServiceBus/namespaces"
REGISTRIES = "Microsoft.ContainerRegistry/registries"
REGISTRIES_VERSION = "2023-07-01"


def state(patient: Patient) -> Iterator[Finding]:
    """Provisioned, and allowed to start."""
    provisioning = str(patient.properties.get("provisioningState") or "")
    if provisioning not in ("", "Succeeded"):
        failed = provisioning == "Failed"
        yield Finding(
            level="problem" if failed else "note",
            check="state",
            what=f"The job's provisioning state is {provisioning}.",
            evidence="The last create or update did not end well."
            if failed
            else "It is being changed right now.",
            next="Deploy it again: orchestrator deploy" if failed else "Wait, and look again.",
        )
    elif patient.suspended:
        yield Finding(
            level="problem",
            check="state",
            what="The job is suspended, so that nothing starts it.",
            evidence="runningState is Suspended.",
            next=f"Let it start again: orchestrator jobs resume {patient.name}",
        )
    else:
        yield Finding(level="fine", check="state", what="The job is deployed and ready.")


def identity(patient: Patient) -> Iterator[Finding]:
    """Identities that the job names are there."""
    missing = [i for i in patient.identities if patient.ward.identity(i) is None]
    for resource_id in missing:
        yield Finding(
            level="problem",
            check="identity",
            what=f"The job's identity {resource_id.rpartition('/')[2]} does not exist.",
            evidence=f"Nothing is at {resource_id}.",
            next="Make it, and the job's link to it: orchestrator up",
        )
    if not patient.has_identity and _uses_service_bus(patient):
        yield Finding(
            level="problem",
            check="identity",
            what="The job uses Service Bus without a connection string, and has no identity.",
            evidence=_uses_service_bus(patient),
            next="Give the profile an identity, then: orchestrator up",
        )
    elif patient.has_identity and not missing:
        yield Finding(level="fine", check="identity", what="The job's identity is there.")


def _uses_service_bus(patient: Patient) -> str:
    """Evidence that it talks to the profile's namespace by identity, "" when nothing shows it."""
    names = patient.ward.rooms.clients.names
    suffix = patient.ward.rooms.clients.endpoints.service_bus_suffix
    host = f"{names.namespace}.{suffix}".lower()
    for variable in patient.variables:
        if str(variable.get("value") or "").lower() == host:
            return f"Its variable {variable.get('name')} is {host}."
    return ""


def permissions(patient: Patient) -> Iterator[Finding]:
    """The identities may use what the job's variables, scale rules and registries point to."""
    yield from _registry_permissions(patient)
    rooms = patient.ward.rooms
    namespace = rooms.clients.names.namespace
    principals = patient.own_principals()
    if not namespace or not principals:
        return
    scope = rooms.clients.resource_id(NAMESPACES, namespace)
    uses = _uses_service_bus(patient)
    if patient.spec is not None and patient.spec.own_identity:
        yield from _least_privilege(patient, principals, scope)
    elif uses:
        held = set(_held(patient, principals, scope))
        for queue in _queues_named(patient):
            held |= set(_held(patient, principals, f"{scope}/queues/{resource_name(queue)}"))
        if held:
            words = ", ".join(sorted(_ROLE_NAMES[role] for role in held))
            yield Finding(
                level="fine",
                check="permissions",
                what=f"The job's identity may use Service Bus: {words}.",
            )
        else:
            yield Finding(
                level="problem",
                check="permissions",
                what=f"The job's identity has no Service Bus data role on {namespace}.",
                evidence=f"{uses} No role assignment of {principals[0]} is at the namespace, above "
                "it, or at a queue that the job names.",
                next="Give it one: orchestrator up (a new role takes minutes on Azure)",
            )
    for rule in patient.rules:
        yield from _scaler_permission(patient, rule, scope)


def _least_privilege(patient: Patient, principals: list[str], scope: str) -> Iterator[Finding]:
    """Each queue that the settings say it sends to or receives from may be used so."""
    assert patient.spec is not None
    ways = (
        ("send to", patient.spec.sends, DATA_SENDER),
        ("receive from", patient.spec.receives, DATA_RECEIVER),
    )
    allowed: list[str] = []
    for verb, queues, role in ways:
        for queue in queues or ():
            held = set(_held(patient, principals, f"{scope}/queues/{resource_name(queue)}"))
            if held & {role, DATA_OWNER}:
                allowed.append(f"{verb} {queue}")
                continue
            words = ", ".join(sorted(_ROLE_NAMES[one] for one in held)) or "none"
            yield Finding(
                level="problem",
                check="permissions",
                what=f"The job's identity may not {verb} {queue}.",
                evidence=f"That needs Azure Service Bus {_ROLE_NAMES[role]}; its roles there: "
                f"{words}.",
                next="Give it that role: orchestrator up (a new role takes minutes on Azure)",
            )
    if allowed:
        yield Finding(
            level="fine",
            check="permissions",
            what=f"The job's identity may {', '.join(allowed)}.",
        )


def _held(patient: Patient, principals: list[str], scope: str) -> list[str]:
    roles = [role for p in principals for role in patient.ward.roles(p, scope)]
    return [role for role in roles if role in _ROLE_NAMES]


def _queues_named(patient: Patient) -> list[str]:
    """Names of queues that the job's variables hold as they are."""
    try:
        known = patient.ward.queues
    except OrchestratorError:
        return []
    values = {str(v.get("value") or "").lower() for v in patient.variables}
    values |= {str((r.get("metadata") or {}).get("queueName") or "").lower() for r in patient.rules}
    return [queue.name for name, queue in known.items() if name in values]


def _scaler_permission(
    patient: Patient, rule: Mapping[str, Any], namespace_scope: str
) -> Iterator[Finding]:
    identity = str(rule.get("identity") or "")
    queue = str((rule.get("metadata") or {}).get("queueName") or "")
    if (
        rule.get("type") != "azure-servicebus"
        or not identity
        or watches_another_namespace(patient, rule)
    ):
        return
    principals = patient.principals(identity)
    if not principals:  # it is not there, which is a finding of its own
        return
    scope = f"{namespace_scope}/queues/{resource_name(queue)}" if queue else namespace_scope
    held = _held(patient, principals, scope)
    if DATA_OWNER not in held:
        # KEDA reads the depth by the management API, which wants the Manage claim.
        words = ", ".join(sorted({_ROLE_NAMES[role] for role in held})) or "none"
        yield Finding(
            level="problem",
            check="permissions",
            what=f"The identity of the scale rule {rule.get('name')} may not read how many "
            f"messages wait in {queue or 'the namespace'}.",
            evidence=f"That needs Azure Service Bus Data Owner; its roles there: {words}.",
            next="Give it that role: orchestrator up",
        )
    else:
        yield Finding(
            level="fine",
            check="permissions",
            what=f"The scale rule {rule.get('name')} may read the depth of {queue}.",
        )


def watches_another_namespace(patient: Patient, rule: Mapping[str, Any]) -> bool:
    """Whether it watches somebody else's namespace, which is not ours to look into."""
    own = str(patient.ward.rooms.clients.names.namespace)
    return str((rule.get("metadata") or {}).get("namespace") or own).lower() != own.lower()


def _registry_permissions(patient: Patient) -> Iterator[Finding]:
    """Images may be pulled by the identity that is named for that; of a registry of the profile's
    resource group, since another's roles are elsewhere."""
    for registry in patient.configuration.get("registries") or ():
        identity = str(registry.get("identity") or "")
        server = str(registry.get("server") or "")
        name = server.partition(".")[0]
        principals = patient.principals(identity) if identity else []
        if not principals or ".azurecr." not in server:
            continue
        scope = patient.ward.rooms.clients.resource_id(REGISTRIES, name)
        if patient.ward.resource(scope, REGISTRIES_VERSION) is None:
            continue
        if any(patient.ward.roles(principal, scope) for principal in principals):
            # Which roles let pull is not for us to list: Reader does, and any custom one may.
            yield Finding(
                level="fine",
                check="permissions",
                what=f"The identity that images are pulled with has a role on {name}.",
            )
        else:
            yield Finding(
                level="problem",
                check="permissions",
                what=f"The identity {identity.rpartition('/')[2]}, which images are pulled with, "
                f"may not pull from {server}.",
                evidence=f"That needs AcrPull; no role assignment of {principals[0]} is at the "
                "registry or above it.",
                next="Give it that role: orchestrator up (a new role takes minutes on Azure)",
            )


def image(patient: Patient) -> Iterator[Finding]:
    """Images could be pulled."""
    failed = patient.image_failures
    if patient.has_another_image:
        yield Finding(
            level="note",
            check="image",
            what="An image could not be pulled; the job has another one now.",
            evidence=_sentence(failed[-1].text),
            next=f"See whether it is right: orchestrator start {patient.name} --wait",
        )
    elif failed:
        yield Finding(
            level="problem",
            check="image",
            what="The job's image could not be pulled.",
            evidence=_sentence(failed[-1].text),
            next="Push it, or correct the image: orchestrator images list",
        )
    if failed:
        return
    for container in patient.containers:
        reference = str(container.get("image") or "")
        tag = reference.rpartition("/")[2].partition(":")[2]
        if "@" not in reference and tag == "latest":
            yield Finding(
                level="note",
                check="image",
                what=f"The image {reference} moves: two executions may run different programs.",
                evidence="Its tag is latest.",
                next="Name a version, or a digest.",
            )
    yield Finding(level="fine", check="image", what="No image failed to be pulled in 24 hours.")


def secrets(patient: Patient) -> Iterator[Finding]:
    """Every secret that is referred to is there."""
    there = {str(s.get("name") or "").lower() for s in patient.configuration.get("secrets") or ()}
    wanted: list[tuple[str, str]] = [
        (f"the variable {v.get('name')}", str(v["secretRef"]))
        for v in patient.variables
        if v.get("secretRef")
    ]
    for rule in patient.rules:
        for auth in rule.get("auth") or ():
            wanted.append((f"the scale rule {rule.get('name')}", str(auth.get("secretRef") or "")))
    for registry in patient.configuration.get("registries") or ():
        if registry.get("passwordSecretRef"):
            wanted.append((f"the registry {registry.get('server')}", registry["passwordSecretRef"]))
    missing = [(who, name) for who, name in wanted if name.lower() not in there]
    for who, name in missing:
        yield Finding(
            level="problem",
            check="secrets",
            what=f"There is no secret {name}, to which {who} refers.",
            evidence=f"The job's secrets: {', '.join(sorted(there)) or 'none'}.",
            next=f"Add [jobs.{patient.name}.secrets] {name}, then: orchestrator deploy "
            f"{patient.name}",
        )
    if wanted and not missing:
        yield Finding(level="fine", check="secrets", what="Every secret referred to is there.")


def scale_rules(patient: Patient) -> Iterator[Finding]:
    """The rules of an event-driven job: there, of a kind that works, on a queue that exists."""
    if patient.trigger != "event":
        return
    if not patient.rules:
        yield Finding(
            level="problem",
            check="scale rule",
            what="The job has no scale rule, so that no event starts it.",
            evidence="eventTriggerConfig.scale.rules is empty.",
            next=f"Add [[jobs.{patient.name}.scale.rules]], then: orchestrator deploy",
        )
    failing = [e for e in patient.events if e.reason.startswith(("KEDA", "ScaledJob"))]
    if failing and failing[-1].type == "Warning":
        yield Finding(
            level="problem",
            check="scale rule",
            what="The scaler could not do its work.",
            evidence=_sentence(failing[-1].text),
            next=f"See all of it: orchestrator logs --job {patient.name} --system",
        )
    yield from watched_queues(patient)


def watched_queues(patient: Patient) -> Iterator[Finding]:
    """The queues that its rules watch exist, and can be read."""
    for rule in patient.rules:
        metadata = rule.get("metadata") or {}
        queue = str(metadata.get("queueName") or "")
        if rule.get("type") != "azure-servicebus" or not queue:
            continue
        if str(metadata.get("useRegex") or "").lower() == "true":
            continue
        if watches_another_namespace(patient, rule):
            continue
        if queue.lower() not in patient.ward.queues:
            yield Finding(
                level="problem",
                check="scale rule",
                what=f"The scale rule {rule.get('name')} watches the queue {queue}, which does "
                "not exist.",
                evidence=f"The queues: {', '.join(sorted(patient.ward.queues)) or 'none'}.",
                next="Make it, or correct the rule: orchestrator queues list",
            )
        elif not rule.get("auth") and not rule.get("identity"):
            yield Finding(
                level="problem",
                check="scale rule",
                what=f"The scale rule {rule.get('name')} has neither an identity nor a secret to "
                "read the queue with.",
                evidence="identity and auth are both empty.",
                next="Give the profile an identity, or the rule an auth; then: orchestrator deploy",
            )
        else:
            yield Finding(
                level="fine",
                check="scale rule",
                what=f"The scale rule {rule.get('name')} watches {queue}, which is there.",
            )


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    line = line if len(line) <= 240 else line[:239] + "…"
    return line if line.endswith((".", "…")) else f"{line}."
