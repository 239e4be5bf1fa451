"""Tokens: who gets one, what is in it, and whether one is good.

Tokens are JWTs (RS256) of this local cloud's own issuer. They are issued in two places only: the
managed-identity endpoint, to whoever holds an IDENTITY_HEADER secret (the person at the machine;
each replica, for the identities of its job), and the token endpoint, to the app registration. Every
API checks signature, expiry and audience.

Tokens live in the machine's time: they are cached by programs that know no other.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.state import Settings, StateFolder, StateUnreadable, write_private

KEY = "identity-key.pem"

ARM = "https://management.azure.com"
ARM_AUDIENCES = (
    ARM,
    "https://management.core.windows.net",
    "https://management.azure.com.",
)
LOGS_AUDIENCES = ("https://api.loganalytics.io", "https://api.loganalytics.azure.com")
METRICS_AUDIENCES = ("https://metrics.monitor.azure.com",)
LOG_STREAM_AUDIENCE = "https://logstream.containerapps.local"
GRAPH_AUDIENCES = ("https://graph.microsoft.com",)

AZ_CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The client id of `az`, which stands in the token of a person who logged in with it."""

PERSON = "developer@localhost"
"""The name of the person at the machine in the directory."""

_CACHE = 2048


class TokenError(Exception):
    """A token that is not accepted.

    Attributes:
        code: `AuthenticationFailed` (none), `InvalidAuthenticationToken`,
            `ExpiredAuthenticationToken`, `InvalidAuthenticationTokenAudience`.
        message: One sentence; never holds the token.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody a token can speak for.

    Attributes:
        client_id: Its application id (`appid`).
        object_id: Its object id in the directory (`oid`).
        resource_id: Of a managed identity: its resource id; "" otherwise.
        kind: "user", "app", "system" (the system-assigned identity of a job) or "identity".
    """

    client_id: str
    object_id: str
    resource_id: str = ""
    kind: str = "identity"


Directory = Callable[[str, str], Principal | None]
"""(`client_id` | `object_id` | `mi_res_id`, value) -> the managed identity; None if unknown."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What an IDENTITY_HEADER allows.

    Attributes:
        default: Whose token is given when no identity is named; None: naming one is required.
        allowed: Client ids that may be named, in lower case; None: any of the directory.
    """

    default: Principal | None
    allowed: frozenset[str] | None


class Identity:
    """The directory and token service of one local cloud."""

    def __init__(self, state: StateFolder, settings: Settings, clock: Clock, issuer: str) -> None:
        self._state = state
        self._settings = settings
        self._clock = clock
        self._issuer = f"{issuer}/{settings.tenant}/v2.0"
        self._grants: dict[bytes, Grant] = {}
        self._checked: dict[str, Mapping[str, Any]] = {}
        self._key: Any = None
        self._public: Any = None
        self.key_id = ""
        self.directory: Directory = lambda kind, value: None
        self.owner = Principal(AZ_CLIENT, settings.owner, kind="user")
        self.application = Principal(
            settings.application["client_id"], settings.application_object, kind="app"
        )
        self._grants[_digest(settings.header)] = Grant(self.owner, None)

    @property
    def tenant(self) -> str:
        """The tenant's guid."""
        return self._settings.tenant

    @property
    def issuer(self) -> str:
        """The `iss` of every token."""
        return self._issuer

    def open(self) -> None:
        """Load the signing key, or make one.

        Raises:
            StateUnreadable: The key file holds no key.
        """
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        path = self._state.file(KEY)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise ValueError("it is no RSA key")
        except FileNotFoundError:
            key = rsa.generate_private_key(65537, 2048)
            write_private(
                path,
                key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                ),
            )
        except (ValueError, TypeError, OSError) as error:
            raise StateUnreadable(path, f"is no key ({error})") from error
        self._key = key
        self._public = key.public_key()
        encoded = self._public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = hashlib.sha256(encoded).hexdigest()[:32]

    # --------------------------------------------------------------- issuing ----

    def issue(
        self,
        audience: str,
        *,
        client_id: str | None = None,
        object_id: str | None = None,
        lifetime: float = 3600,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed token.

        Args:
            audience: `aud`, as the caller asked for it.
            client_id: `appid`; the app registration's when left out.
            object_id: `oid` and `sub`; the person's at the machine when left out.
            lifetime: Seconds until it expires.
            extra: Further claims.
        """
        import jwt

        now = int(self._clock.time())
        person = object_id in (None, self.owner.object_id)
        claims = {
            "aud": audience,
            "iss": self._issuer,
            "iat": now,
            "nbf": now - 5,
            "exp": now + int(lifetime),
            "tid": self.tenant,
            "oid": object_id or self.owner.object_id,
            "sub": object_id or self.owner.object_id,
            "appid": client_id or self.owner.client_id,
            "azp": client_id or self.owner.client_id,
            "idtyp": "user" if person else "app",
            **({"upn": PERSON} if person else {}),
            "ver": "1.0",
            "jti": secrets.token_hex(8),
            **(extra or {}),
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})

    def expiry(self, token: str) -> int:
        """The `exp` of a token that was just issued, epoch seconds."""
        import jwt

        return int(jwt.decode(token, options={"verify_signature": False})["exp"])

    def check(self, token: str, audiences: Collection[str]) -> Mapping[str, Any]:
        """The claims of a good token.

        Args:
            token: The JWT, without `Bearer `.
            audiences: Accepted `aud` values; a trailing slash and case make no difference.

        Raises:
            TokenError: Not ours, damaged, expired, not yet valid, or for somebody else.
        """
        claims = self._checked.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._checked) >= _CACHE:
                self._checked.clear()
            self._checked[token] = claims
        now = self._clock.time()
        if now >= claims["exp"]:
            self._checked.pop(token, None)
            raise TokenError(
                "ExpiredAuthenticationToken", "The access token expiry time has passed."
            )
        if now < claims.get("nbf", 0) - 300:
            raise TokenError("InvalidAuthenticationToken", "The access token is not yet valid.")
        if _audience(str(claims["aud"])) not in {_audience(name) for name in audiences}:
            raise TokenError(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource "
                f"'{claims['aud']}'. It should exactly match with one of the allowed audiences "
                f"{', '.join(repr(name) for name in audiences)}.",
            )
        return claims

    def _verify(self, token: str) -> Mapping[str, Any]:
        import jwt

        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                issuer=self._issuer,
                options={
                    "verify_aud": False,
                    # Times are checked against our own clock.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "require": ["exp", "aud", "iss"],
                },
            )
            if not isinstance(claims["exp"], int | float) or not isinstance(claims["aud"], str):
                raise jwt.InvalidTokenError
        except jwt.InvalidTokenError:
            raise TokenError(
                "InvalidAuthenticationToken",
                "The access token is invalid: it was not issued by this local cloud, or it was "
                "damaged on the way.",
            ) from None
        return claims

    # --------------------------------------------- managed-identity endpoint ----

    def replica_header(
        self, identities: Sequence[str] | None, *, system: Principal | None = None
    ) -> str:
        """A fresh IDENTITY_HEADER for one replica.

        Args:
            identities: Client ids of the job's user-assigned identities; None: any.
            system: The job's system-assigned identity, which answers when no identity is named.
        """
        header = secrets.token_urlsafe(32)
        allowed = None if identities is None else frozenset(name.lower() for name in identities)
        self._grants[_digest(header)] = Grant(system, allowed)
        return header

    def forget_header(self, header: str) -> None:
        """The replica is over: its header opens nothing any more."""
        if header != self._settings.header:
            self._grants.pop(_digest(header), None)

    def grant(self, header: str) -> Grant | None:
        """What an IDENTITY_HEADER allows; None for an unknown one."""
        return self._grants.get(_digest(header))

    def find(self, grant: Grant, kind: str, value: str) -> Principal | None:
        """The identity that a holder of `grant` names; None if there is none or it may not."""
        principal = self.directory(kind, value)
        if (
            principal is None
            and grant.default is not None
            and value.lower()
            == (grant.default.client_id if kind == "client_id" else grant.default.object_id).lower()
        ):
            principal = grant.default
        if principal is None:
            return None
        if (
            grant.allowed is not None
            and principal != grant.default
            and principal.client_id.lower() not in grant.allowed
        ):
            return None
        return principal

    # -------------------------------------------------------- token endpoint ----

    def application_allowed(self, client_id: str, client_secret: str) -> bool | None:
        """Whether the secret is the app registration's; None for an unknown client id."""
        known = self._settings.application
        if client_id.lower() != known["client_id"].lower():
            return None
        return secrets.compare_digest(client_secret.encode(), known["client_secret"].encode())

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        import json

        from jwt.algorithms import RSAAlgorithm

        key = json.loads(RSAAlgorithm.to_jwk(self._public))
        key.pop("key_ops", None)
        return {"keys": [{**key, "use": "sig", "alg": "RS256", "kid": self.key_id}]}


def _digest(header: str) -> bytes:
    """What headers are looked up by: how long a look-up takes then tells nothing of them."""
    return hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()


def _audience(text: str) -> str:
    return text.lower().rstrip("/")


def stable_guid(*parts: str) -> str:
    """A guid that is the same for the same parts, for ids that must survive being made again."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(part.lower() for part in parts)))
