"""HTTPS for a machine of one's own: a certificate authority that nobody else trusts.

The SDKs refuse to send bearer tokens over plain HTTP, so the local cloud has an authority of its
own (made once, kept in the state folder) and a server certificate signed by it, renewed before it
expires. `ca-bundle.pem` holds the public authorities and this one: a program pointed at it reaches
the local cloud and the rest of the world.
"""

from __future__ import annotations

import datetime
import secrets
import ssl
from pathlib import Path

from orchestrator.clock import Clock
from orchestrator.localcloud.state import StateFolder, StateUnreadable, make_private, write_private

CA = "ca.pem"
CA_KEY = "ca-key.pem"
BUNDLE = "ca-bundle.pem"
SERVER = "server.pem"

NAMES = (
    "127.0.0.1",
    "::1",
    "localhost",
    "*.servicebus.windows.net",
    "*.servicebus.localhost",
    # Dialled by programs in replicas that know only Azure's own addresses. Nobody but they and the
    # local cloud's clients trusts this authority.
    "management.azure.com",
    "api.loganalytics.io",
)
LIFETIME = datetime.timedelta(days=397)
RENEW = datetime.timedelta(days=30)


class Certificates:
    """The authority, the server certificate and the bundle of one local cloud."""

    def __init__(self, state: StateFolder, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self.ca = state.file(CA)
        self.bundle = state.file(BUNDLE)
        self._server = state.file(SERVER)
        self._contexts: list[ssl.SSLContext] = []

    def prepare(self) -> None:
        """Make or renew what is missing or about to expire.

        Raises:
            StateUnreadable: A file is there and is no certificate or key.
        """
        authority, expires = self._expiry(self.ca), self._expiry(self._server)
        if (
            authority is None
            or expires is None
            or expires - self._clock.now() < RENEW
            or not self._covers_names()
        ):
            self._issue()
        self._write_bundle()

    def context(self) -> ssl.SSLContext:
        """A TLS context for a server; it follows a later renewal."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(context)
        self._contexts.append(context)
        return context

    def renew(self) -> bool:
        """Renew the server certificate if it is time; running listeners take it up. True if so."""
        expires = self._expiry(self._server)
        if expires is not None and expires - self._clock.now() >= RENEW:
            return False
        self._issue()
        self._write_bundle()
        for context in self._contexts:
            self._load(context)
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._server)
        except (ssl.SSLError, OSError) as error:
            raise StateUnreadable(self._server, f"cannot be used ({error})") from error

    def _issue(self) -> None:
        import trustme

        key_path = self._state.file(CA_KEY)
        now = self._clock.now().replace(tzinfo=None)
        expires = self._expiry(self.ca)
        try:
            if expires is not None and expires - self._clock.now() > RENEW and key_path.exists():
                authority = trustme.CA.from_pem(self.ca.read_bytes(), key_path.read_bytes())
            else:
                authority = trustme.CA(
                    organization_name="orchestrator local cloud",
                    organization_unit_name=f"made on this machine {secrets.token_hex(4)}",
                )
                write_private(key_path, authority.private_key_pem.bytes())
                write_private(self.ca, authority.cert_pem.bytes())
        except ValueError as error:
            raise StateUnreadable(self.ca, f"is no certificate with its key ({error})") from error
        issued = authority.issue_cert(
            *NAMES,
            common_name="orchestrator local cloud",
            not_before=now - datetime.timedelta(days=1),
            not_after=now + LIFETIME,
        )
        write_private(self._server, issued.private_key_and_cert_chain_pem.bytes())

    def _write_bundle(self) -> None:
        content = _public_roots() + b"\n# orchestrator local cloud\n" + self.ca.read_bytes()
        if not self.bundle.exists() or self.bundle.read_bytes() != content:
            write_private(self.bundle, content)
        for name in (CA_KEY, SERVER):
            make_private(self._state.file(name))

    def _covers_names(self) -> bool:
        """Whether the server certificate, perhaps an older version's, has all of NAMES."""
        from cryptography import x509

        certificate = x509.load_pem_x509_certificate(_first_certificate(self._server.read_bytes()))
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return False
        return {str(name.value) for name in names.value} >= set(NAMES)

    @staticmethod
    def _expiry(path: Path) -> datetime.datetime | None:
        """When the first certificate of a file expires; None where there is no file."""
        from cryptography import x509

        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return x509.load_pem_x509_certificate(_first_certificate(content)).not_valid_after_utc
        except ValueError as error:
            raise StateUnreadable(path, f"is no certificate ({error})") from error


def _first_certificate(content: bytes) -> bytes:
    """From the first certificate of a PEM file on. Raises ValueError where there is none."""
    return content[content.index(b"-----BEGIN CERTIFICATE-----") :]


def _public_roots() -> bytes:
    """The public authorities: certifi's, or the system's where certifi is absent."""
    try:
        import certifi

        return Path(certifi.where()).read_bytes()
    except (ImportError, OSError):
        default = ssl.get_default_verify_paths().cafile
        return Path(default).read_bytes() if default and Path(default).exists() else b""
