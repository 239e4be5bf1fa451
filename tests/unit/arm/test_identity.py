"""Tokens: what is in them, which are good, and what a header allows."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jwt
import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.identity import Identity, Principal, TokenError
from orchestrator.localcloud.state import Settings, StateFolder, StateUnreadable, make_folder

ARM = "https://management.azure.com"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    make_folder(tmp_path / "state")
    return StateFolder(tmp_path / "state")


@pytest.fixture
def identity(folder: StateFolder, clock: ManualClock) -> Identity:
    made = Identity(folder, Settings(), clock, "https://here")
    made.open()
    return made


def refused(identity: Identity, token: str, *audiences: str) -> TokenError:
    with pytest.raises(TokenError) as caught:
        identity.check(token, audiences or (ARM,))
    assert not token or token not in str(caught.value)
    return caught.value


def test_a_token_says_who_for_whom_and_how_long(identity: Identity, clock: ManualClock) -> None:
    token = identity.issue(ARM, client_id="c", object_id="o", lifetime=60)
    claims = identity.check(token, [ARM])
    assert (claims["appid"], claims["oid"], claims["aud"]) == ("c", "o", ARM)
    assert claims["tid"] == identity.tenant
    assert claims["exp"] == clock.time() + 60 == identity.expiry(token)


def test_a_trailing_slash_and_the_case_of_an_audience_do_not_count(identity: Identity) -> None:
    token = identity.issue("https://Management.Azure.com/")
    assert identity.check(token, [ARM])


async def test_a_token_expires(identity: Identity, clock: ManualClock) -> None:
    token = identity.issue(ARM, lifetime=60)
    identity.check(token, [ARM])
    await clock.advance(61)
    assert refused(identity, token).code == "ExpiredAuthenticationToken"


def test_a_token_for_somebody_else_is_refused(identity: Identity) -> None:
    token = identity.issue("https://servicebus.azure.net")
    error = refused(identity, token)
    assert error.code == "InvalidAuthenticationTokenAudience"
    assert ARM in error.message


def test_damaged_foreign_and_unsigned_tokens_are_refused(
    identity: Identity, tmp_path: Path, clock: ManualClock
) -> None:
    good = identity.issue(ARM)
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["oid"] = "somebody-else"
    forged_body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    make_folder(tmp_path / "other")
    other = Identity(StateFolder(tmp_path / "other"), Settings(), clock, "https://here")
    other.open()
    unsigned = jwt.encode(claims, None, algorithm="none")
    symmetric = jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": identity.key_id})
    for bad in (
        "",
        "nonsense",
        "a.b.c",
        f"{head}.{forged_body}.{signature}",
        other.issue(ARM),
        unsigned,
        symmetric,
    ):
        assert refused(identity, bad).code == "InvalidAuthenticationToken"


def test_the_key_survives_a_restart(folder: StateFolder, clock: ManualClock) -> None:
    settings = Settings()
    first = Identity(folder, settings, clock, "https://here")
    first.open()
    second = Identity(folder, settings, clock, "https://here")
    second.open()
    assert second.check(first.issue(ARM), [ARM])
    assert first.key_id == second.key_id


def test_a_damaged_key_is_refused_and_left_alone(folder: StateFolder, clock: ManualClock) -> None:
    path = folder.file("identity-key.pem")
    path.write_text("no key")
    with pytest.raises(StateUnreadable, match=r"identity-key\.pem"):
        Identity(folder, Settings(), clock, "https://here").open()
    assert path.read_text() == "no key"


def test_the_published_key_verifies_tokens(identity: Identity) -> None:
    [key] = identity.jwks()["keys"]
    token = identity.issue(ARM)
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    public = jwt.PyJWK(key)
    claims = jwt.decode(
        token, public.key, algorithms=["RS256"], audience=ARM, options={"verify_exp": False}
    )
    assert claims["iss"] == identity.issuer


def test_a_replicas_header_gives_only_its_own_identities(identity: Identity) -> None:
    mine = Principal("client-1", "object-1", "/id/one")
    theirs = Principal("client-2", "object-2", "/id/two")
    known = {
        ("client_id", "client-1"): mine,
        ("object_id", "object-1"): mine,
        ("client_id", "client-2"): theirs,
    }
    identity.directory = lambda kind, value: known.get((kind, value))
    header = identity.replica_header(["CLIENT-1"])
    grant = identity.grant(header)
    assert grant is not None
    assert grant.default is None
    assert identity.find(grant, "client_id", "client-1") == mine
    assert identity.find(grant, "object_id", "object-1") == mine
    assert identity.find(grant, "client_id", "client-2") is None
    assert identity.find(grant, "client_id", "unknown") is None
    identity.forget_header(header)
    assert identity.grant(header) is None


def test_a_system_identity_answers_by_default_and_by_name(identity: Identity) -> None:
    system = Principal("client-s", "object-s", "/job", kind="system")
    grant = identity.grant(identity.replica_header([], system=system))
    assert grant is not None
    assert grant.default == system
    assert identity.find(grant, "client_id", "CLIENT-S") == system


def test_headers_of_replicas_differ_and_wrong_ones_open_nothing(identity: Identity) -> None:
    assert identity.replica_header(None) != identity.replica_header(None)
    assert identity.grant("") is None
    assert identity.grant("ungültig") is None


def test_only_the_right_secret_of_the_known_application_is_accepted(
    folder: StateFolder, clock: ManualClock
) -> None:
    settings = Settings()
    identity = Identity(folder, settings, clock, "https://here")
    client, secret = settings.application["client_id"], settings.application["client_secret"]
    assert identity.application_allowed(client.upper(), secret) is True
    assert identity.application_allowed(client, secret + "x") is False
    assert identity.application_allowed("somebody", secret) is None
