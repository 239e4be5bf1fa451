"""Certificates and Dapr components of a managed environment: what is told of them, and what not."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import Provider
from orchestrator.localcloud.providers.container_apps.environment_secrets import (
    Certificates,
    DaprComponents,
)
from tests.unit.arm.world import GROUP, World, world

ENVIRONMENT = f"{GROUP}/providers/Microsoft.App/managedEnvironments/env"
CERTIFICATE = f"{ENVIRONMENT}/certificates/own"


class Parts(Provider):
    namespace = "Microsoft.App"

    def types(self) -> list[Any]:
        return [Certificates(), DaprComponents()]


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Parts()) as made:
        await made.group()
        await made.put(ENVIRONMENT, {"location": "westeurope"})
        yield made


def certificate(begins: float) -> tuple[bytes, bytes]:
    """A PFX with the password `pw`, and a PEM file of the same certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    start = datetime.fromtimestamp(begins, UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pfx = pkcs12.serialize_key_and_certificates(
        b"own", key, made, None, serialization.BestAvailableEncryption(b"pw")
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + made.public_bytes(serialization.Encoding.PEM)
    return pfx, pem


def body(raw: bytes, **more: str) -> dict[str, Any]:
    value = base64.b64encode(raw).decode()
    return {"location": "westeurope", "properties": {"value": value, **more}}


async def test_a_certificate_tells_what_it_says_and_never_its_key(arm: World) -> None:
    pfx, pem = certificate(arm.clock.time())
    made = await arm.put(CERTIFICATE, body(pfx, password="pw"))
    assert made["properties"]["subjectName"] == "CN=example.com"
    assert made["properties"]["subjectAlternativeNames"] == ["example.com"]
    assert len(made["properties"]["thumbprint"]) == 40
    assert made["properties"]["valid"] is True
    assert not {"value", "password"} & set(made["properties"])
    lines = base64.encodebytes(pem).decode()
    again = await arm.put(f"{ENVIRONMENT}/certificates/pem", body(pem, value=lines))
    assert again["properties"]["thumbprint"] == made["properties"]["thumbprint"]
    listed = (await arm.get(f"{ENVIRONMENT}/certificates"))["value"]
    assert base64.b64encode(pfx).decode() not in json.dumps(listed)
    assert [it["name"] for it in listed] == ["own", "pem"]
    # Tags are changed without giving the key again, and it expires.
    patched = (await arm.ask("PATCH", CERTIFICATE, {"tags": {"a": "b"}})).body
    assert patched["properties"]["thumbprint"] == made["properties"]["thumbprint"]
    arm.clock.jump(3 * 86400)
    assert (await arm.get(CERTIFICATE))["properties"]["valid"] is False


async def test_one_of_an_older_state_is_read_when_it_is_shown(arm: World) -> None:
    pfx, _ = certificate(arm.clock.time())
    stored = {"id": CERTIFICATE, "name": "own", "type": Certificates.type}
    properties = body(pfx, password="pw")["properties"]
    await arm.arm.store.write(put=[(parse(CERTIFICATE), {**stored, "properties": properties}, "x")])
    [shown] = (await arm.get(f"{ENVIRONMENT}/certificates"))["value"]
    assert shown["properties"]["subjectName"] == "CN=example.com"
    assert "value" not in shown["properties"]


@pytest.mark.parametrize("case", ["none", "garbage", "password", "keyless"])
async def test_what_is_no_certificate_is_refused(arm: World, case: str) -> None:
    pfx, pem = certificate(arm.clock.time())
    given = {
        "none": {"location": "westeurope", "properties": {}},
        "garbage": body(b"nothing"),
        "password": body(pfx, password="other"),
        "keyless": body(pem[pem.index(b"-----BEGIN CERT") :]),
    }[case]
    with pytest.raises(ArmError) as caught:
        await arm.put(CERTIFICATE, given)
    assert (caught.value.status, caught.value.code) == (400, "InvalidRequestParameterWithDetails")


async def test_secrets_of_a_dapr_component_are_told_by_their_action_alone(arm: World) -> None:
    path = f"{ENVIRONMENT}/daprComponents/store"
    properties = {
        "componentType": "state.redis",
        "version": "v1",
        "secrets": [{"name": "key", "value": "whisper"}],
    }
    made = await arm.put(path, {"properties": properties})
    assert made["properties"]["secrets"] == [{"name": "key"}]
    assert made["properties"]["ignoreErrors"] is False
    await arm.put(path, made)
    told = (await arm.ask("POST", f"{path}/listSecrets")).body
    assert told == {"value": [{"name": "key", "value": "whisper"}]}
    with pytest.raises(ArmError):
        await arm.put(path, {"properties": {"version": "v1"}})
