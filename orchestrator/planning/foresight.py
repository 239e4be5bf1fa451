"""What nothing refuses and will probably not do: told beforehand, as a note, never as an error.

A start takes any variable, and a deployment any image: what was misspelt is found out when it has
run. What can be seen before is said before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError
from orchestrator.image_names import repository_names

if TYPE_CHECKING:
    from orchestrator.azure.profile import Profile
    from orchestrator.doctor.patient import Ward
    from orchestrator.settings import JobSpec, Settings

_NEAR = 0.8  # of difflib's ratio: two letters changed places, or one is wrong, of five and more


def variable_notes(known: Iterable[str], given: Collection[str]) -> list[str]:
    """Of variables that are new to a job, those that are nearly one that it has.

    `known`: the job's own; `given`: those that a start sets.
    """
    names = list(known)
    # A pair such as MIN_NUMBER and MAX_NUMBER, both of which are given, is no slip.
    candidates = {name.lower(): name for name in names if name not in given}
    notes = []
    for name in given:
        if name in names:
            continue
        if near := get_close_matches(name.lower(), candidates, 1, _NEAR):
            meant = candidates[near[0]]
            notes.append(f"{name} is new to the job; did you mean {meant}?")
    return notes


def image_note(image: str, settings: Settings, profile: Profile) -> str:
    """Why an image will probably not be found, "" when nothing speaks against it.

    A local cloud that runs images as processes knows those of `[images]`, and no other. Elsewhere
    an image may come from anywhere, and only one that is nearly one of these is told.
    """
    names = repository_names(image)
    known = settings.images
    if not image or not known or any(name in known for name in names):
        return ""
    near = get_close_matches(names[-1], known, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    if profile.kind == "local" and profile.spec.executor == "process":
        there = meant or f", which has {', '.join(sorted(known))}."
        return f"The image {image} is none of [images]{there}"
    return f"The image {image} is none of [images]{meant}" if near else ""


def lacks(
    name: str,
    body: Mapping[str, Any],
    live: Mapping[str, Any] | None,
    spec: JobSpec,
    ward: Callable[[], Ward],
) -> list[str]:
    """What the job will lack: identities, the roles that they need, queues that it watches.

    As the doctor judges a job, here of the `body` that would be sent. Only reads; what cannot be
    read is not foreseen. `ward`: what several jobs share, read once.
    """
    from orchestrator.doctor.checks_configuration import identity, permissions, watched_queues
    from orchestrator.doctor.patient import Patient

    own = dict(body.get("identity") or {})
    if principal := ((live or {}).get("identity") or {}).get("principalId"):
        own["principalId"] = principal  # of its own one, which a job has once it is made
    patient = Patient(ward(), {**body, "name": name, "identity": own}, spec)
    found = []
    for check in (identity, permissions, watched_queues):
        try:
            found += [f for f in check(patient) if f.level == "problem"]
        except OrchestratorError:  # who may deploy may not be let look at roles
            continue
    return [f"{finding.what} {finding.next}" for finding in found]
