"""Starting and stopping a local cloud from Python: the only door to it outside the command line.

The local cloud is imported when a function here is called, never before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from orchestrator.errors import NotReachable, ProfileError

if TYPE_CHECKING:
    from orchestrator.azure.profile import Profile
    from orchestrator.settings import Settings


def start(settings: Settings, profile: Profile, state: Path | None = None) -> tuple[Profile, bool]:
    """Start the profile's local cloud, or find it running: (profile to reach it, whether started).

    `state`: another state folder than the profile's. Raises ProfileError for a profile on Azure,
    NotReachable when it does not start.
    """
    from orchestrator.localcloud import process

    if profile.kind != "local":
        raise ProfileError(
            f'The profile "{profile.name}" is on Azure; there is no local cloud to start.',
            'Choose a profile of kind "local".',
        )
    folder = state or profile.state
    assert folder is not None
    chosen = msgspec.structs.replace(profile, state=folder)
    spec = profile.spec
    config = process.CloudConfig(
        state=folder,
        project=settings.folder.absolute(),
        port=spec.port,
        identity_port=spec.identity_port,
        amqp_port=spec.amqp_port,
        amqps_port=spec.amqps_port,
        executor=spec.executor,
        rbac=spec.rbac,
        limits=spec.limits,
        throttling=spec.throttling,
    )
    try:
        ran = process.status(folder).state in ("running", "starting")
        process.up(config)
    except process.LocalCloudError as error:
        raise NotReachable(error.message, error.hint) from error
    return chosen, not ran


def stop(profile: Profile) -> None:
    """Stop it; its state stays. Raises NotReachable when that fails."""
    from orchestrator.localcloud import process

    assert profile.state is not None
    try:
        process.down(profile.state)
    except process.LocalCloudError as error:
        raise NotReachable(error.message, error.hint) from error
