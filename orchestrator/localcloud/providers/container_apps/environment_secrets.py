"""What a managed environment is given and tells nobody: certificates, secrets of Dapr components.

A certificate's blob and password are write-only; the service reads them and shows what the
certificate says of itself (`CertificateProperties` of the REST reference, 2025-07-01). Nothing
serves TLS with it here, and no Dapr runs.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs12

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.providers.container_apps.environment_parts import ENVIRONMENTS
from orchestrator.localcloud.providers.faults import Faults

_WRITE_ONLY = ("value", "password")
_FROM_VAULT = "certificateKeyVaultProperties"

_HEADERS = ("openTelemetryConfiguration", "destinationsConfiguration", "otlpConfigurations", "[]")
_WITHHELD: Sequence[Sequence[str]] = (
    ("daprAIInstrumentationKey",),
    ("daprAIConnectionString",),
    ("appInsightsConfiguration", "connectionString"),
    ("appLogsConfiguration", "logAnalyticsConfiguration", "sharedKey"),
    ("customDomainConfiguration", "certificateValue"),
    ("customDomainConfiguration", "certificatePassword"),
    (*_HEADERS[:2], "dataDogConfiguration", "key"),
    (*_HEADERS, "headers", "[]", "value"),
)
"""Members of an environment's properties that the service takes and tells nobody."""


def keep_secrets(properties: JSON, before: JSON) -> None:
    """Who sends an environment as it was read, nulls for its secrets, leaves them as they are.

    Of a PATCH a null deletes (RFC 7396); what holds a secret is deleted so, the secret with it.
    """
    for path in _WITHHELD:
        _keep(properties, before, path)


def withhold_secrets(properties: JSON) -> None:
    """Take from an environment's properties what nobody is told."""
    for path in _WITHHELD:
        _withhold(properties, path)


def _keep(new: Any, old: Any, path: Sequence[str]) -> None:
    name, *rest = path
    if name == "[]":
        if isinstance(new, list) and isinstance(old, list):
            known = {_label(item): item for item in old}
            for item in new:
                _keep(item, known.get(_label(item)), rest)
    elif isinstance(new, dict) and isinstance(old, dict):
        if rest:
            _keep(new.get(name), old.get(name), rest)
        elif name in old:
            new.setdefault(name, old[name])


def _withhold(value: Any, path: Sequence[str]) -> None:
    name, *rest = path
    if name == "[]":
        for item in value if isinstance(value, list) else ():
            _withhold(item, rest)
    elif isinstance(value, dict):
        if rest:
            _withhold(value.get(name), rest)
        elif name in value:
            # There, and not told: `az containerapp env telemetry app-insights show` looks for it.
            value[name] = None


def _label(item: Any) -> Any:
    """By which the members of a list are told apart: an endpoint's name, a header's key."""
    return item.get("name", item.get("key")) if isinstance(item, dict) else None


class Certificates(ResourceType):
    """Certificates that were uploaded to an environment, as PFX or PEM."""

    type: ClassVar[str] = f"{ENVIRONMENTS}/certificates"
    tracked: ClassVar[bool] = True

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Read it; what it says of itself replaces what a caller claims.

        Raises:
            ArmError: 400; there is none, it cannot be read, or its password is another.
        """
        properties = resource["properties"]
        before = (old or {}).get("properties", {})
        if _FROM_VAULT in properties:
            return resource
        for name in _WRITE_ONLY:
            if name in before:
                properties.setdefault(name, before[name])
        faults = Faults()
        blob = faults.text(properties.get("value"), "properties.value", required=True)
        password = faults.text(properties.get("password"), "properties.password")
        faults.raise_any()
        try:
            found = _read(blob, password)
        except ValueError as error:
            faults.add("properties.value", f"The certificate '{call.id.name}' {error}.")
            faults.raise_any()
            raise
        properties |= _described(found)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its key; whether it is valid now."""
        properties = resource["properties"]
        if "thumbprint" not in properties and "value" in properties:
            # It was uploaded before certificates were read here.
            with contextlib.suppress(ValueError):
                properties |= _described(_read(properties["value"], properties.get("password", "")))
        for name in _WRITE_ONLY:
            properties.pop(name, None)
        if "expirationDate" in properties:
            now = _moment(datetime.fromtimestamp(call.arm.clock.time(), UTC))
            properties["valid"] = properties["issueDate"] <= now < properties["expirationDate"]
        return resource


def _read(blob: str, password: str) -> x509.Certificate:
    """The certificate with a key of a PFX, or the first of a PEM file.

    Raises:
        ValueError: Why not, as the end of a sentence.
    """
    try:
        raw = base64.b64decode("".join(blob.split()), validate=True)  # lines may be broken
    except (binascii.Error, ValueError):
        raise ValueError("is not in base64") from None
    if b"-----BEGIN" in raw:
        if b"PRIVATE KEY-----" not in raw:
            raise ValueError("has no private key: a PEM file holds both, key and certificate")
        try:
            return x509.load_pem_x509_certificates(raw)[0]
        except ValueError:
            raise ValueError("is no PEM file with a certificate") from None
    try:
        _, found, _ = pkcs12.load_key_and_certificates(raw, password.encode() or None)
    except ValueError:
        raise ValueError("is neither PFX nor PEM, or its password is another") from None
    if found is None:
        raise ValueError("is a PFX file without a certificate that has a key")
    return found


def _described(found: x509.Certificate) -> JSON:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        hosts = []
    return {
        "subjectName": found.subject.rfc4514_string(),
        "subjectAlternativeNames": hosts,
        "issuer": found.issuer.rfc4514_string(),
        "issueDate": _moment(found.not_valid_before_utc),
        "expirationDate": _moment(found.not_valid_after_utc),
        # SHA-1 is what a thumbprint is, on Azure and in Windows.
        "thumbprint": found.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303
    }


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class DaprComponents(ResourceType):
    """Dapr components of an environment; the values of their secrets are told by `listSecrets`."""

    type: ClassVar[str] = f"{ENVIRONMENTS}/daprComponents"
    provisioning: ClassVar[bool] = False

    def missing(self, id: ResourceId) -> ArmError:
        """In the service's words."""
        return ArmError(
            "DaprComponentNotFound", f"Dapr Component with name '{id.name}' was not found.", 404
        )

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check what it is; keep the values of secrets that are named again."""
        faults = Faults()
        properties = resource["properties"]
        for name in ("componentType", "version"):
            faults.text(properties.get(name), f"properties.{name}", required=True)
        known = {
            secret.get("name"): secret.get("value")
            for secret in (old or {}).get("properties", {}).get("secrets", [])
        }
        for path, secret in faults.objects(properties.get("secrets"), "properties.secrets"):
            name = faults.text(secret.get("name"), f"{path}.name", required=True)
            if "value" not in secret and known.get(name) is not None:
                secret["value"] = known[name]
        faults.raise_any()
        properties.setdefault("ignoreErrors", False)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without the values of secrets."""
        for secret in _secrets(resource):
            secret.pop("value", None)
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Its secrets."""
        return {"listSecrets": self._list_secrets}

    async def _list_secrets(self, call: Call) -> Answer:
        component = call.arm.store.get(call.id)
        if component is None:
            raise missing(call.id)
        return {"value": copy.deepcopy(_secrets(component))}


def _secrets(component: JSON) -> list[Any]:
    found: list[Any] = component["properties"].get("secrets", [])
    return found
