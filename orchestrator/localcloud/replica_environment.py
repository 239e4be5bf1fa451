"""What the platform puts into the environment of a replica.

Container Apps gives a replica IDENTITY_ENDPOINT and IDENTITY_HEADER when its job has an identity
("Managed identities in Azure Container Apps"). The rest lets clients find the local broker and
trust the local authority; on Azure none of it is set, and a program needs none.

A Python program that knows nothing of it is served as well: PYTHONPATH begins with a folder whose
`sitecustomize` leads Azure's host names here (see `runtime/replica_site`).
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from orchestrator.localcloud.identity import Identity
from orchestrator.localcloud.providers.managed_identity import system_principal
from orchestrator.localcloud.runtime.python_site import ROUTES

HTTPS_HOSTS = ("management.azure.com", "api.loganalytics.io")
"""What the HTTPS port answers for. Azure would refuse a replica's token."""


class ReplicaEnvironments:
    """Opens one environment for each replica; closing it makes its identity header worthless.

    Args:
        identity: Issues the headers.
        endpoint: Address of the managed-identity endpoint.
        broker: `host:port` of the Service Bus TLS listener.
        ca: Path of the local authority's certificate.
        bundle: Path of the bundle that holds the public authorities and the local one.
        https: `host:port` of the HTTPS listener.
        namespaces: Names of the Service Bus namespaces there are now. Those of Azure that are not
            here stay reachable.
        sole: Whether the only identity of what has one answers without being named, as in container
            instances.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        endpoint: str,
        broker: str,
        ca: str,
        bundle: str,
        https: str,
        namespaces: Callable[[], Iterable[str]],
        sole: bool = False,
    ) -> None:
        self._identity = identity
        self._endpoint = endpoint
        self._broker = broker
        self._https = https
        self._namespaces = namespaces
        self._sole = sole
        self._trust = {
            "SERVICE_BUS_CUSTOM_ENDPOINT": f"sb://{broker}",
            "SERVICE_BUS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "CURL_CA_BUNDLE": bundle,
            "NODE_EXTRA_CA_CERTS": ca,
            "PYTHONUNBUFFERED": "1",
        }

    @contextlib.asynccontextmanager
    async def __call__(self, job: dict[str, Any]) -> AsyncIterator[Mapping[str, str]]:
        """The variables of one replica of `job`, a job's ARM resource."""
        header = self._header(job)
        try:
            identity = (
                {"IDENTITY_ENDPOINT": self._endpoint, "IDENTITY_HEADER": header} if header else {}
            )
            yield self._trust | identity | {ROUTES: self._routes()}
        finally:
            if header:
                self._identity.forget_header(header)

    def _routes(self) -> str:
        entries = [f"{host}:443={self._https}" for host in HTTPS_HOSTS]
        for name in self._namespaces():
            host = f"{name.lower()}.servicebus.windows.net"
            entries += [f"{host}:5671={self._broker}", f"{host}:443={self._https}"]
        return " ".join(entries)

    def _header(self, job: dict[str, Any]) -> str | None:
        assigned = job.get("identity", {}).get("userAssignedIdentities", {})
        withheld = _withheld(job)
        clients = [
            str(ids["clientId"])
            for name, ids in assigned.items()
            if "clientId" in ids and name.lower() not in withheld
        ]
        system = None if "system" in withheld else system_principal(job)
        if not clients and system is None:
            return None
        if self._sole and system is None and len(clients) == 1:
            system = self._identity.directory("client_id", clients[0])
        return self._identity.replica_header(clients, system=system)


def _withheld(job: dict[str, Any]) -> set[str]:
    """The job's identities that its containers get no token of: those the platform alone works
    with, to pull images or to read what a scale rule watches.

    Source: "Managed identities in Azure Container Apps", control managed identity availability.
    """
    configuration = job.get("properties", {}).get("configuration") or {}
    return {
        str(setting.get("identity", "")).lower()
        for setting in configuration.get("identitySettings") or ()
        if str(setting.get("lifecycle", "")).lower() == "none"
    }
