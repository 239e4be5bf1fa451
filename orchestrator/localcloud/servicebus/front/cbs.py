"""Claims-based security: tokens put on `$cbs`, and what they allow on their connection.

A token is a JWT of the local cloud's identity, or a Service Bus SharedAccessSignature
(https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas). What it grants ends with
it; putting a newer one for the same resource extends it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from orchestrator.localcloud.identity import TokenError
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.addresses import Address, covers, host_label, parse
from orchestrator.localcloud.servicebus.model import AccessRule, Right

Authenticate = Callable[[str, Collection[str]], Mapping[str, Any]]
"""`Identity.check`: claims of a JWT for one of these audiences; raises `TokenError`."""

RightsOf = Callable[[str, str, str], frozenset[Right]]
"""(object id, namespace, path of an entity or "") -> what the principal may do there now."""

AUDIENCE = "https://servicebus.azure.net"

_SAS = "SharedAccessSignature "
_LONG_EXPIRY = 20  # digits
ALL_RIGHTS = frozenset(Right)


class TokenRefusedError(Exception):
    """A token that grants nothing; `status` is the status-code of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Grant:
    """namespace: folded; None where the address names none (loopback): then any.
    path: of the entity, "" for the whole namespace. expires_at: epoch seconds.
    held: what it gives on an entity when that is not settled by the token but by roles, which may
    change while it lasts; None: `rights` everywhere."""

    namespace: str | None
    path: str
    rights: frozenset[Right]
    expires_at: float
    held: Callable[[str, str], frozenset[Right]] | None = None

    def on(self, namespace: str, path: str) -> frozenset[Right]:
        """The rights on an entity, or on a whole namespace (path "")."""
        return self.rights if self.held is None else self.held(namespace, path)


class TokenChecker:
    """Reads the tokens of one front."""

    def __init__(
        self, broker: Broker, authenticate: Authenticate, rights_of: RightsOf | None = None
    ) -> None:
        self._broker = broker
        self._authenticate = authenticate
        self._rights_of = rights_of

    def check(self, token: str, resource: str, now: float) -> Grant:
        """What `token` grants on `resource` (`sb://host/entity`). Raises `TokenRefusedError`."""
        if not resource:
            raise TokenRefusedError(
                400, "The put-token request names no resource (property 'name')."
            )
        if not token.isascii():
            raise TokenRefusedError(401, "InvalidToken: A token has ASCII characters only.")
        if token.startswith(_SAS):
            return self._check_signature(token, resource, now)
        return self._check_jwt(token, resource)

    def missing(self, resource: str, dialled: str | None) -> str | None:
        """With what words 404 answers a token for an entity that is not there; None: it does not.

        dialled: the name by which the client has reached this server. The service answers so to
        all. Here it is kept to those who have dialled the namespace's own name: to others (a
        custom endpoint, the emulator's connection string) the link tells, for the Python SDK
        takes a refused token at a custom endpoint for a broken connection.
        """
        address = parse(resource)
        if not address.path or None in (self._namespace(address.host), self._namespace(dialled)):
            return None
        if self._broker.find(address.host, address.path) is not None:
            return None
        return f"The messaging entity '{resource}' could not be found."

    def check_key(self, rule_name: str, key: str) -> Grant | None:
        """SASL PLAIN: a rule's name and key grant the rule's rights on its namespace."""
        for namespace in self._broker.namespaces():
            rule = self._broker.rule(namespace, rule_name)
            if rule is not None and _is_key(rule, key):
                return Grant(namespace.casefold(), "", _implied(rule.rights), float("inf"))
        return None

    def _namespace(self, host: str | None) -> str | None:
        label = host_label(host)
        names = {name.casefold() for name in self._broker.namespaces()}
        return label if label in names else None

    def _check_jwt(self, token: str, resource: str) -> Grant:
        address = parse(resource)
        audiences = [AUDIENCE]
        if address.host:
            audiences += [f"sb://{address.host}", f"https://{address.host}", resource]
        try:
            claims = self._authenticate(token, audiences)
        except TokenError as error:
            raise TokenRefusedError(401, error.message) from error
        expires = claims.get("exp")
        held = None
        if self._rights_of is not None:
            held = partial(self._rights_of, str(claims.get("oid", "")))
        return Grant(
            self._namespace(address.host),
            address.path,
            ALL_RIGHTS,
            float(expires) if isinstance(expires, int | float) else float("inf"),
            held,
        )

    def _check_signature(self, token: str, resource: str, now: float) -> Grant:
        fields = dict(part.partition("=")[::2] for part in token[len(_SAS) :].split("&"))
        signed, signature, name = fields.get("sr"), fields.get("sig"), fields.get("skn")
        expiry = fields.get("se", "")
        if not (signed and signature and name and expiry.isdigit() and len(expiry) < _LONG_EXPIRY):
            raise TokenRefusedError(
                401, "A SharedAccessSignature needs the fields sr, sig, se (epoch seconds) and skn."
            )
        expires = int(expiry)
        if expires <= now:
            moment = datetime.fromtimestamp(expires, UTC)
            raise TokenRefusedError(
                401,
                f"ExpiredToken: The token is expired. Expiration time: {moment:%m/%d/%Y %H:%M:%S}.",
            )
        scope, address = _scope(signed), parse(resource)
        if not covers(scope.path, address.path) or (
            scope.host is not None and address.host is not None and _other(scope.host, address.host)
        ):
            raise TokenRefusedError(
                401, f"The token is for {unquote_plus(signed)}, which does not contain {resource}."
            )
        given = unquote_plus(signature)
        namespace = self._namespace(address.host)
        for candidate in self._broker.namespaces() if namespace is None else [namespace]:
            for entity in dict.fromkeys((*_entities_of(scope.path), None)):
                rule = self._broker.rule(candidate, unquote_plus(name), entity)
                if rule is not None and _signed_by(rule, signed, expiry, given):
                    where = address.path
                    if rule.entity is not None and not covers(rule.entity, where):
                        continue
                    return Grant(candidate.casefold(), where, _implied(rule.rights), expires)
        raise TokenRefusedError(
            401,
            f"InvalidSignature: The token has an invalid signature, or there is no key named "
            f"{unquote_plus(name)}.",
        )


def _scope(signed: str) -> Address:
    """What a signature is for: the field `sr`, an address that may lack its scheme (as Go's
    azservicebus signs a namespace), and may have a query (JavaScript's administration client)."""
    text = unquote_plus(signed).partition("?")[0]
    return parse(text if "://" in text else f"sb://{text}")


def _entities_of(path: str) -> tuple[str, ...]:
    """The entities whose rules may have signed for `path`: itself; of a subscription the topic; of
    its messages' address over HTTP, which clients sign as it is, the entity."""
    entity = path.partition("/$")[0]
    owner = entity.casefold().partition("/messages")[0]
    topic = owner.partition("/subscriptions/")[0]
    return (entity, owner, topic) if entity else ()


def _other(one: str, another: str) -> bool:
    return one.partition(":")[0].casefold() != another.partition(":")[0].casefold()


def _implied(rights: Collection[Right]) -> frozenset[Right]:
    """Manage includes Send and Listen."""
    return ALL_RIGHTS if Right.MANAGE in rights else frozenset(rights)


def _is_key(rule: AccessRule, key: str) -> bool:
    given = key.encode()
    return hmac.compare_digest(given, rule.primary_key.encode()) or hmac.compare_digest(
        given, rule.secondary_key.encode()
    )


def _signed_by(rule: AccessRule, resource: str, expiry: str, signature: str) -> bool:
    text = f"{resource}\n{expiry}".encode()
    for key in (rule.primary_key, rule.secondary_key):
        digest = hmac.new(key.encode(), text, hashlib.sha256).digest()
        if hmac.compare_digest(base64.b64encode(digest), signature.encode()):
            return True
    return False


def _holds(rights: frozenset[Right], right: Right | None) -> bool:
    return bool(rights) if right is None else right in rights


class Grants:
    """What the tokens put on one connection allow."""

    def __init__(self) -> None:
        self._grants: dict[tuple[str | None, str], Grant] = {}

    def add(self, grant: Grant) -> None:
        """A grant replaces the former one for the same resource."""
        self._grants[grant.namespace, grant.path.casefold()] = grant

    def until(self, namespace: str, path: str, right: Right | None, now: float) -> float | None:
        """Until when `right` (None: any) holds for an entity; None if it does not hold now."""
        best: float | None = None
        folded = namespace.casefold()
        for grant in self._grants.values():
            if (
                grant.expires_at > now
                and (grant.namespace is None or grant.namespace == folded)
                and covers(grant.path, path)
                and _holds(grant.on(namespace, path), right)
                and (best is None or grant.expires_at > best)
            ):
                best = grant.expires_at
        return best

    def next_expiry(self, now: float) -> float | None:
        """When the next live grant ends; None if there is none that does."""
        ends = [g.expires_at for g in self._grants.values() if now < g.expires_at < float("inf")]
        return min(ends, default=None)

    @property
    def namespaces(self) -> frozenset[str]:
        """Those that the keys which signed are of, folded; none when a token is good for all."""
        named = frozenset(g.namespace for g in self._grants.values() if g.namespace is not None)
        return named if all(g.namespace for g in self._grants.values()) else frozenset()

    def drop_expired(self, now: float) -> None:
        self._grants = {k: g for k, g in self._grants.items() if g.expires_at > now}

    def __len__(self) -> int:
        return len(self._grants)
