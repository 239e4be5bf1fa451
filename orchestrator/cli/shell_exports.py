"""What another client needs to reach the local cloud, as lines for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any


def variables(connection: Mapping[str, Any]) -> dict[str, str]:
    """Environment variable -> value, from a connection (the content of cloud.json).

    IDENTITY_ENDPOINT and IDENTITY_HEADER are what azure-identity's ManagedIdentityCredential reads;
    ARM_CLOUD_METADATA_URL is read by `az`, some extensions of which find the query API there alone
    (what else it says of the cloud gives way to the configuration folder); the CA variables by
    requests, OpenSSL, curl and Node.
    """
    identity, bus = connection["identity"], connection["service_bus"]
    bundle = str(connection["ca_bundle"])
    manager = str(connection["resource_manager"])
    return {
        "AZURE_TENANT_ID": str(connection["tenant"]),
        "AZURE_SUBSCRIPTION_ID": str(connection["subscription"]),
        "AZURE_AUTHORITY_HOST": str(connection["login"]),
        "AZURE_RESOURCE_MANAGER_ENDPOINT": manager,
        "AZURE_LOG_ANALYTICS_ENDPOINT": str(connection["logs"]),
        "ARM_CLOUD_METADATA_URL": f"{manager}/metadata/endpoints?api-version=2019-05-01",
        "IDENTITY_ENDPOINT": str(identity["endpoint"]),
        "IDENTITY_HEADER": str(identity["header"]),
        "SERVICE_BUS_CUSTOM_ENDPOINT": f"sb://{bus['amqps']}",
        "SERVICE_BUS_CA_BUNDLE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(connection["ca"]),
    }


def exports(values: Mapping[str, str], shell: str) -> Iterator[str]:
    """One line per variable in the syntax of `sh`, `fish` or `powershell`."""
    for name, value in values.items():
        if shell == "fish":
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            yield f"set -gx {name} '{quoted}'"
        elif shell == "powershell":
            quoted = value.replace("'", "''")
            yield f"$env:{name} = '{quoted}'"
        else:
            yield f"export {name}={shlex.quote(value)}"


def hints() -> Iterator[str]:
    """How `az` is told about this cloud; comments in all three shells."""
    yield "for az: orchestrator local env --az"
