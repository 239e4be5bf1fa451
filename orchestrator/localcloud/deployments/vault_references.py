"""Parameters that refer to secrets of a key vault instead of having a value.

`{"reference": {"keyVault": {"id": …}, "secretName": …}}`: the vault must be enabled for template
deployment, and the caller may deploy from it ("Use Azure Key Vault to pass secure parameter value
during deployment"). What lies in the vaults of this local cloud are secrets that templates have
made; versions but the last are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.deployments.calls import Caller
from orchestrator.localcloud.providers.key_vault.vaults import VAULTS, current_version
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

DEPLOY = f"{VAULTS}/deploy/action"


def with_secrets(arm: ResourceManager, caller: Caller, body: Any) -> Any:
    """A deployment's request with the values of the secrets that its parameters refer to, each
    beside its reference: that is what may be shown.

    Args:
        arm: Where the vaults are.
        caller: On whose behalf.
        body: As it came; not changed. References with expressions in them are left.

    Raises:
        ArmError: 400; a vault, a secret or the right to use it is missing.
    """
    properties = member(body, "properties") if isinstance(body, dict) else None
    given = member(properties, "parameters") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(given, dict):
        return body
    inner = member(given, "parameters")
    if member(given, "$schema") is not None and isinstance(inner, dict):
        given = inner
    found = {
        name: {
            "value": _value(arm, caller, name, reference),
            "reference": member(item, "reference"),
        }
        for name, item in given.items()
        if isinstance(item, dict) and (reference := _reference(item)) is not None
    }
    if not found:
        return body
    kept = {name: value for name, value in properties.items() if name.lower() != "parameters"}
    others = {name: value for name, value in body.items() if name.lower() != "properties"}
    return {**others, "properties": {**kept, "parameters": {**given, **found}}}


def _reference(item: JSON) -> tuple[ResourceId, str, str] | None:
    """Vault, secret and version that a parameter refers to; None where it does not, or not yet."""
    reference = member(item, "reference")
    vault = member(reference, "keyVault") if isinstance(reference, dict) else None
    id = member(vault, "id") if isinstance(vault, dict) else None
    name = member(reference, "secretName") if isinstance(reference, dict) else None
    if not isinstance(id, str) or not isinstance(name, str) or not id.startswith("/"):
        return None
    if "[" in name:
        return None
    return parse(id), name, str(member(reference, "secretVersion") or "")


def _value(
    arm: ResourceManager, caller: Caller, parameter: str, reference: tuple[ResourceId, str, str]
) -> Any:
    id, name, version = reference
    vault = arm.store.get(id)
    if vault is None or id.type.lower() != VAULTS.lower():
        raise ArmError(
            "KeyVaultParameterReferenceNotFound",
            f"The specified KeyVault '{id.text}' could not be found.",
            target=f"properties.parameters.{parameter}",
        )
    who = str(caller.claims.get("oid", ""))
    if arm.access is not None and not arm.access.allows(who, DEPLOY, id.text):
        raise ArmError(
            "KeyVaultParameterReferenceAuthorizationFailed",
            f"The client with object id '{who}' does not have permission to perform action "
            f"'{DEPLOY}' on the specified KeyVault resource '{id.text}'.",
            403,
            target=f"properties.parameters.{parameter}",
        )
    if vault["properties"].get("enabledForTemplateDeployment") is not True:
        raise _not_retrieved(
            parameter,
            f"The vault '{id.text}' is not enabled for template deployment "
            "(enabledForTemplateDeployment).",
        )
    secret = arm.store.get(id.child("secrets", name))
    current = current_version(secret) if secret else None
    value = secret["properties"].get("value") if secret else None
    if secret is None or value is None or (version and version.lower() != current):
        raise _not_retrieved(
            parameter,
            f"A secret with (name/id) {name}{f'/{version}' if version else ''} was not found in "
            f"the key vault '{id.text}'. Deploy one as {VAULTS}/secrets: nobody sets secrets by "
            "the vault's own address here.",
        )
    if (secret["properties"].get("attributes") or {}).get("enabled") is False:
        raise _not_retrieved(parameter, f"The secret {name} is disabled.")
    return value


def _not_retrieved(parameter: str, why: str) -> ArmError:
    return ArmError(
        "KeyVaultParameterReferenceSecretRetrieveFailed",
        f"The secret of KeyVault parameter '{parameter}' cannot be retrieved. {why} Please see "
        "https://aka.ms/arm-keyvault for usage details.",
        target=f"properties.parameters.{parameter}",
    )
