"""Logins of Azure for what modules are fetched from, as bicepconfig.json orders them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


class NoLogin(Exception):  # noqa: N818 -- it reads by what happened
    """Nobody is logged in here; the message says why, as a part of a sentence."""


def _makers() -> dict[str, Callable[[], TokenCredential]]:
    from azure import identity

    return {
        "Environment": identity.EnvironmentCredential,
        "WorkloadIdentity": identity.WorkloadIdentityCredential,
        "ManagedIdentity": identity.ManagedIdentityCredential,
        "AzureCLI": identity.AzureCliCredential,
        "AzurePowerShell": identity.AzurePowerShellCredential,
    }


def azure_token(names: Sequence[str], scope: str) -> str:
    """A token of the first login that gives one.

    `names`: as `cloud.credentialPrecedence` of bicepconfig.json has them.

    Raises: NoLogin.
    """
    from azure.core.exceptions import AzureError

    why = "bicepconfig.json names no login that can be used here"
    for name in names:
        maker = _makers().get(name)
        if maker is None:
            continue
        try:
            return maker().get_token(scope).token
        except (AzureError, ValueError) as fault:
            why = f"{name}: {str(fault).splitlines()[0].rstrip('.')}"
    raise NoLogin(why)
